"""Items of the history table: the only module that knows their keys.

A room's log has lives. Each has a name, its epoch, which is part of its messages' keys, so that two lives never mix.

======== =============================== ================= ==========================================================
item     ``partition_key``               ``sort_key``      attributes
======== =============================== ================= ==========================================================
head     ``head#<room>``                 ``head``          ``epoch``, ``generation``, ``seq``, ``at``, ``previous``,
                                                           ``created_at``, ``floor``?, ``expires_at``
message  ``log#<room>#<epoch>``          its number, in    ``at``, ``previous``, ``from``, ``data``, ``writer``,
                                         16 digits         ``id``?, ``digest``?, ``is_json``?, ``backend``?,
                                                           ``expires_at``
void     ``log#<room>#<epoch>``          its number, in    ``void``, ``at``, ``expires_at``
                                         16 digits
send id  ``sent#<room>#<kind>#<digest>`` ``sent``          ``epoch``, ``seq``, ``at``, ``digest``, ``state``,
                                                           ``sending_until``?, ``sending_by``?, ``expires_at``
======== =============================== ================= ==========================================================

``at`` of a message is the sender's clock before it took the number, ``previous`` that of the number before. Both are
milliseconds, as ``created_at`` and ``sending_until``; ``expires_at`` is in seconds.
"""

from __future__ import annotations

import base64
import hashlib
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from roomcast.items import key_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    Key = dict[str, dict[str, str]]

MARGIN_SECONDS = 60 * 60
"""A message outlasts its retention by so much. Then one that is younger than ``holes.YOUNG_MILLISECONDS`` is certainly
there, also with the shortest retention, clocks that differ, and a message that was sent again under its first time."""

HEAD_SECONDS = 90 * 24 * 60 * 60
"""A head outlasts the last message by so much. With a new head a room's numbers begin again."""

SEND_ID_SECONDS = 15 * 60
"""The server remembers a message's id for so long: clients try for eight minutes, and clocks differ."""

EPOCH_BYTES = 5
"""Of chance in the name of an epoch: eight characters."""

NEW = "attribute_not_exists(partition_key)"
"""The condition that there is no item of that key."""

NAMES = {"#at": "at"}
"""DynamoDB reserves the word
(https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ReservedWords.html)."""


class Head(NamedTuple):
    """The head of a room's log.

    Attributes:
        epoch: Name of the log's life.
        seq: The last number that was given out; 0 for none.
        at: When it was given out.
        previous: When the one before was.
        created_at: When the life began.
        generation: Number of the configuration that began it.
        floor: Numbers below are no longer for clients.
    """

    epoch: str
    seq: int
    at: int
    previous: int
    created_at: int
    generation: int
    floor: int = 0


class Entry(NamedTuple):
    """A slot of the log: the message of a number, or its void.

    Attributes:
        seq: The number.
        at: When the message was sent, or the slot sealed.
        is_void: Whether there never will be a message.
        previous: When the number before was given out; 0 in a void.
        sender: Name of the sender.
        data: As of ``protocol.Message``.
        is_text: As of ``protocol.Message``.
        id: The sender's id of the message; empty if it gave none.
        writer: Who put it there.
        is_backend: Whether a backend has published it.
    """

    seq: int
    at: int
    is_void: bool = False
    previous: int = 0
    sender: str = ""
    data: str = ""
    is_text: bool = True
    id: str = ""
    writer: str = ""
    is_backend: bool = False


class SendId(NamedTuple):
    """The record of a message that may be sent again.

    Attributes:
        epoch: Life of the log that has, or shall have, the message.
        seq: Its number there.
        at: When it was sent first.
        digest: As of ``digest_of``.
        is_delivered: Whether its fan-out has ended; else one may be under way until ``sending_until``.
        sending_until: When the last fan-out ends at the latest.
        sending_by: Tells that fan-out from others.
        expires_at: When the item counts no longer, in seconds.
    """

    epoch: str
    seq: int
    at: int
    digest: str
    is_delivered: bool
    sending_until: int = 0
    sending_by: str = ""
    expires_at: int = 0

    def names(self, head: Head) -> bool:
        """Whether the message has, or shall have, the number that a head has given out."""
        return (self.epoch, self.seq) == (head.epoch, head.seq)


def head_key(room: str) -> Key:
    """Key of a room's head."""
    return _key(key_of("head", room), "head")


def log_key(room: str, epoch: str) -> str:
    """Partition key of a room's messages in one life of its log."""
    return key_of("log", room, epoch)


def slot_key(room: str, epoch: str, seq: int) -> Key:
    """Key of a message, or of its void."""
    return _key(log_key(room, epoch), sort_key(seq))


def sort_key(seq: int) -> str:
    """Sort key of a number: texts in the order of the numbers."""
    return f"{seq:016}"


def seq_of(item: Mapping[str, Any]) -> int:
    """The number of a slot, by its item or key."""
    return int(item["sort_key"]["S"])


def send_id_key(room: str, kind: str, sender: str, message_id: str) -> Key:
    """Key of a message's record.

    Args:
        room: Name of the room.
        kind: ``client``, or another kind of sender with ids of its own.
        sender: Name of the sender; empty where clients have none.
        message_id: The sender's id of the message.
    """
    return _key(key_of("sent", room, kind, digest_of(f"{sender}\0{message_id}")), "sent")


def digest_of(text: str) -> str:
    """A short text that stands for another one."""
    return hashlib.sha256(text.encode()).hexdigest()


def new_epoch() -> str:
    """A name for the next life of a log."""
    return base64.b32encode(os.urandom(EPOCH_BYTES)).decode().lower()


def head(item: Mapping[str, Any]) -> Head:
    """Read the head of a room's log."""
    return Head(item["epoch"]["S"], *(_number(item, name) for name in Head._fields[1:]))


def log_of_head(item: Mapping[str, Any]) -> str:
    """Tells heads of several rooms apart, and is in their keys."""
    return str(item["partition_key"]["S"])


def entry(item: Mapping[str, Any]) -> Entry:
    """Read a message or a void."""
    seq, at = seq_of(item), _number(item, "at")
    if "void" in item:
        return Entry(seq, at, is_void=True)
    text = {name: item[name]["S"] for name in ("from", "data", "id", "writer") if name in item}
    return Entry(
        seq,
        at,
        False,
        _number(item, "previous"),
        text.get("from", ""),
        text.get("data", ""),
        "is_json" not in item,
        text.get("id", ""),
        text.get("writer", ""),
        "backend" in item,
    )


def size_of(each: Entry) -> int:
    """Bytes of an entry, nearly."""
    return len(each.data.encode())


def send_id(item: Mapping[str, Any]) -> SendId:
    """Read a message's record."""
    return SendId(
        item["epoch"]["S"],
        _number(item, "seq"),
        _number(item, "at"),
        item["digest"]["S"],
        item["state"]["S"] == "delivered",
        _number(item, "sending_until"),
        item["sending_by"]["S"] if "sending_by" in item else "",
        _number(item, "expires_at"),
    )


def message(room: str, epoch: str, each: Entry, digest: str, expires_at: int) -> dict[str, Any]:
    """The item of a message.

    Args:
        room: Name of the room.
        epoch: Life of the log.
        each: The message.
        digest: As of ``digest_of``; empty for a message without an id.
        expires_at: When it may be deleted, in seconds.
    """
    text = {"from": each.sender, "data": each.data, "writer": each.writer, "id": each.id, "digest": digest}
    return {
        **slot_key(room, epoch, each.seq),
        **numbers(at=each.at, previous=each.previous, expires_at=expires_at),
        **{name: {"S": value} for name, value in text.items() if value},
        **({} if each.is_text else {"is_json": {"BOOL": True}}),
        **({"backend": {"BOOL": True}} if each.is_backend else {}),
    }


def void(room: str, epoch: str, seq: int, at: int, expires_at: int) -> dict[str, Any]:
    """The item that takes the place of a message that will never come."""
    return {**slot_key(room, epoch, seq), "void": {"BOOL": True}, **numbers(at=at, expires_at=expires_at)}


def sent(key: Key, each: SendId) -> dict[str, Any]:
    """The record of a message whose fan-out has not ended, as an item."""
    return {
        **key,
        **numbers(seq=each.seq, at=each.at, sending_until=each.sending_until, expires_at=each.expires_at),
        "epoch": {"S": each.epoch},
        "digest": {"S": each.digest},
        "state": {"S": "sending"},
        "sending_by": {"S": each.sending_by},
    }


def numbers(**values: int) -> dict[str, dict[str, str]]:
    """Attributes that are numbers."""
    return {name: {"N": str(value)} for name, value in values.items()}


def values(**given: str | int) -> dict[str, dict[str, str]]:
    """Values of an expression, by name."""
    return {f":{name}": {"S": each} if isinstance(each, str) else {"N": str(each)} for name, each in given.items()}


def _number(item: Mapping[str, Any], name: str) -> int:
    return int(item[name]["N"]) if name in item else 0


def _key(partition_key: str, sort: str) -> Key:
    return {"partition_key": {"S": partition_key}, "sort_key": {"S": sort}}
