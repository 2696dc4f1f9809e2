"""Frames of the protocol ``roomcast.v1``: JSON objects; those of clients have an ``action``, the others a ``type``.

Frames come from the server alone: the text of a member is the ``data`` of a ``message``, whatever it looks like. Every
answer names the ``id`` and the ``room`` of the client's frame. All times are milliseconds.
"""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from roomcast import protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAXIMUM_BYTES = 131_072
"""Size limit of one message in either direction (https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html)."""

SAFE_CHARACTERS = 20_000
"""Of data that fits whatever it is: a character takes six bytes of a frame at most, and an envelope less than the rest.
The frames of other messages are made in order to measure them."""

MINIMUM_ID_CHARACTERS = 16
"""Of a message: a client that sends it again uses the same id, and no other client chooses it."""

MAXIMUM_NAME_CHARACTERS = 160
"""Of a client in ``from`` and ``to``."""

CLIENT = "user:"
"""Begins a ``to`` that is the name of a client and no connection id."""

CLIENT_LIMITS = {"heartbeat": (30_000, 270_000, 480_000), "heal": (500, 3_000, 60_000), "spread": (0, 5_000, 600_000)}
"""Times that the server asks of clients, in milliseconds: the least one, the default and the greatest one. Installed
clients keep to these bounds, whatever a server asks. ``heartbeat`` passes between two ``ping`` frames, because API
Gateway closes a connection that is idle for ten minutes, and timers of a hidden page come up to a minute late. Clients
spread their requests for missing messages over ``heal``, and their return after a lost connection over ``spread``."""

RESERVED = {"sendmessage": {"ephemeral", "meta"}, "join": {"before", "echo", "meta"}}
"""Fields that a later release may serve. They are refused and never ignored, so that a client knows."""


MESSAGES = {
    **protocol.ERRORS,
    "invalid_id": "id is not 16 to 64 printable characters, outside sendmessage 1 to 64; choose another",
    "not_joined": "this connection is not in that room; join it",
    "unknown_recipient": "to names no member of that room; take it from one of its messages",
}
"""The messages of errors, where those of text mode would be wrong."""


class Envelope(NamedTuple):
    """What goes with the data of a message.

    Attributes:
        sender: Name of the sender: its client's, or its connection id where clients have none.
        at: When it was sent.
        mid: Id that tells the message from all others; the same when a message is sent again under its id.
        id: The sender's id of the message; empty if it gave none.
        is_text: Whether the data is a string; else it is the JSON text of another value.
        is_direct: Whether it is for one member alone.
        epoch: Life of the log that keeps it; empty for one that is not kept.
        seq: Its number there.
        is_backend: Whether a backend has published it.
    """

    sender: str
    at: int
    mid: str
    id: str = ""
    is_text: bool = True
    is_direct: bool = False
    epoch: str = ""
    seq: int = 0
    is_backend: bool = False


def mid_of(sender: str, message_id: str) -> str:
    """Id of a message in all frames that hold it.

    Args:
        sender: Name of the sender.
        message_id: Its id of the message, if it chooses another one for each; else empty.
    """
    if not message_id:
        return os.urandom(16).hex()
    return hashlib.sha256(f"{sender}\0{message_id}".encode()).hexdigest()[:32]


def parse_message(body: str, maximum_bytes: int) -> protocol.Message:
    """Read a ``sendmessage`` frame; its ``room`` is always set.

    Args:
        body: The client's frame.
        maximum_bytes: Size limit of ``data`` in UTF-8.

    Raises:
        protocol.Refusal: ``unsupported``, ``room_required``, ``invalid_room``, ``invalid_id``, or as of
            ``protocol.parse_message``.
    """
    frame = protocol.parse_object(body)
    _refuse_reserved("sendmessage", frame)
    room = room_in(frame)
    message_id = frame.get("id")
    if message_id is not None and not _is_id(message_id, MINIMUM_ID_CHARACTERS):
        raise protocol.Refusal("invalid_id")
    data, is_text = protocol.data_in(frame, body, maximum_bytes)
    return protocol.Message(data, _recipient(frame), message_id, room, is_text)


def repeatable(body: str) -> tuple[str, str] | None:
    """Room and id of a message that its sender may send again, as far as its frame tells; ``None`` for any other."""
    try:
        frame = protocol.parse_object(body)
    except protocol.Refusal:
        return None
    room, message_id = frame.get("room"), frame.get("id")
    if "to" in frame or not protocol.is_room(room) or not _is_id(message_id, MINIMUM_ID_CHARACTERS):
        return None
    return str(room), str(message_id)


class Position(NamedTuple):
    """How far a client has the log of a room.

    Attributes:
        epoch: Name of the log's life.
        seq: The client has every message up to this number.
    """

    epoch: str
    seq: int


class Ask(NamedTuple):
    """What a client asks of one room with ``join``.

    Attributes:
        position: Its position in the room's log, if it names one.
        last: How many of the last messages it wants, if it says so.
    """

    position: Position | None = None
    last: int | None = None

    @property
    def wants_history(self) -> bool:
        """Whether it asks for earlier messages."""
        return self.position is not None or self.last is not None


def parse_join(frame: Mapping[str, Any]) -> tuple[Mapping[str, Ask], Mapping[str, str]]:
    """Read a ``join`` frame; gives the rooms that it names, and of several rooms the error codes of faulty ones.

    Raises:
        protocol.Refusal: ``unsupported``, ``room_required``, ``invalid_room``, ``too_many_rooms`` or ``invalid_id``; of
            a single room ``invalid_since`` as well.
    """
    _refuse_reserved("join", frame)
    check_id(frame)
    if "rooms" not in frame:
        return {room_in(frame): _ask(frame)}, {}
    rooms = frame["rooms"]
    if "room" in frame or not isinstance(rooms, dict) or not all(map(protocol.is_room, rooms)):
        raise protocol.Refusal("invalid_room")
    if not rooms:
        raise protocol.Refusal("room_required")
    # Each is answered by a post.
    if len(rooms) > protocol.MOST_ROOMS:
        raise protocol.Refusal("too_many_rooms")
    asks: dict[str, Ask] = {}
    errors: dict[str, str] = {}
    for room, asked in rooms.items():
        try:
            asks[room] = _ask_of_several(asked)
        except protocol.Refusal as refusal:
            errors[room] = refusal.code
    return asks, errors


def parse_ping(frame: Mapping[str, Any]) -> Sequence[str] | None:
    """Read a ``ping`` frame; gives the rooms of which it names a position, or ``None`` if it names no rooms at all.

    Raises:
        protocol.Refusal: ``invalid_room``, ``invalid_since``, ``too_many_rooms`` or ``invalid_id``.
    """
    check_id(frame)
    if "rooms" not in frame:
        return None
    rooms = frame["rooms"]
    if not isinstance(rooms, dict) or not all(map(protocol.is_room, rooms)):
        raise protocol.Refusal("invalid_room")
    if len(rooms) > protocol.MOST_ROOMS:
        raise protocol.Refusal("too_many_rooms")
    if not all(position == {} or _is_position(position) for position in rooms.values()):
        raise protocol.Refusal("invalid_since")
    return [*rooms]


def room_in(frame: Mapping[str, Any]) -> str:
    """The room that a frame names.

    Raises:
        protocol.Refusal: ``room_required`` or ``invalid_room``.
    """
    room = frame.get("room")
    if room is None:
        raise protocol.Refusal("room_required")
    if not protocol.is_room(room):
        raise protocol.Refusal("invalid_room")
    return str(room)


def check_id(frame: Mapping[str, Any]) -> None:
    """Make sure that the id of a frame, which ties the answer to it, can be repeated.

    Raises:
        protocol.Refusal: ``invalid_id``.
    """
    if frame.get("id") is not None and not _is_id(frame["id"], 1):
        raise protocol.Refusal("invalid_id")


def is_suspected(body: str) -> bool:
    """Whether a client's message is one of this protocol, where its connection has no item that tells."""
    try:
        frame = protocol.parse_object(body)
    except protocol.Refusal:
        return False
    # Not a set: an action may be of any type.
    return frame.get("action") in ("join", "leave", "who") or "room" in frame or "rooms" in frame


def message(room: str, data: str, envelope: Envelope) -> str:
    """A message of a room, of one of its members to another, or without a room for a client."""
    which = {"epoch": envelope.epoch, "seq": envelope.seq} if envelope.epoch else {"mid": envelope.mid}
    return framed({"type": "message", **({"room": room} if room else {}), **which}, data, envelope)


def framed(fields: Mapping[str, object], data: str, envelope: Envelope) -> str:
    """A message as a JSON object.

    Args:
        fields: The fields that come first.
        data: The message.
        envelope: What goes with it.
    """
    head = _dump(
        {
            **fields,
            **({"id": envelope.id} if envelope.id else {}),
            "from": envelope.sender,
            "at": envelope.at,
            **({"direct": True} if envelope.is_direct else {}),
            **({"backend": True} if envelope.is_backend else {}),
        }
    )
    # The JSON text of other data goes on as it came.
    return f'{head[:-1]},"data":{_dump(data) if envelope.is_text else data}}}'


def receipt(message_id: str, room: str, **fields: object) -> str:
    """The answer to a message with an ``id``.

    Args:
        message_id: The id.
        room: Name of the room.
        fields: ``epoch`` and ``seq`` of a message that is kept; ``delivered``, ``gone`` and ``failed``, or ``queued``,
            or ``duplicate`` or ``sending`` for a message that was sent before.
    """
    return _dump({"type": "receipt", "id": message_id, "room": room, **fields})


def joined(  # noqa: PLR0913, PLR0917 - all parts of the answer
    room: str,
    ask: Ask,
    tie: Mapping[str, Any],
    limits: Mapping[str, int] | None,
    log: Mapping[str, object] | None = None,
    presence: int | None = None,
) -> str:
    """The answer to ``join``, for one room.

    Args:
        room: Name of the room.
        ask: The question.
        tie: As of ``tie_of``.
        limits: As of ``limits_of``; ``None`` for none.
        log: What it says of the room's log; ``None`` if no messages are kept, or not for this client.
        presence: Version of the room's presence; ``None`` if the client is not told of it.
    """
    fields: dict[str, object] = {"type": "joined", **tie, "room": room}
    if log is not None:
        fields |= log
    elif ask.position is not None:
        fields |= {"recovered": False, "reason": "no_history"}
    further = {"presence": presence, "limits": limits}
    return _dump({**fields, **{name: value for name, value in further.items() if value is not None}})


def answer(kind: str, tie: Mapping[str, Any], **fields: object) -> str:
    """Any other answer: its type, and what ties it to the question."""
    return _dump({"type": kind, **tie, **fields})


def error(code: str, request_id: str, tie: Mapping[str, Any]) -> str:
    """The answer to a frame that cannot be served.

    Args:
        code: A key of ``MESSAGES``.
        request_id: The id by which the caller's operators find the frame in the logs.
        tie: As of ``tie_of``.
    """
    return answer("error", tie, code=code, message=MESSAGES[code], requestId=request_id)


def limits_of(times: Mapping[str, int], rooms: int, milliseconds: int, keeps: int = 0) -> dict[str, int]:
    """What the server asks of a client.

    Args:
        times: For each of ``CLIENT_LIMITS`` its value.
        rooms: How many rooms a connection may be in.
        milliseconds: How long its items last.
        keeps: How many milliseconds messages are kept; 0 if no room keeps any.
    """
    kept = {"keeps": keeps} if keeps else {}
    return {**times, "frame": MAXIMUM_BYTES, "rooms": rooms, **kept, "expires": max(0, milliseconds)}


def tie_of(body: str, *, with_room: bool = False) -> dict[str, str]:
    """The ``id`` of a client's frame, and its ``room``, as far as they can be repeated."""
    try:
        frame = protocol.parse_object(body)
    except protocol.Refusal:
        return {}
    tie = {"id": frame["id"]} if _is_id(frame.get("id"), 1) else {}
    return {**tie, "room": frame["room"]} if with_room and protocol.is_room(frame.get("room")) else tie


def _ask(asked: Mapping[str, Any]) -> Ask:
    last = asked.get("last")
    is_number = isinstance(last, int) and not isinstance(last, bool) and 0 <= last <= protocol.MOST_MESSAGES
    if "last" in asked and not is_number:
        raise protocol.Refusal("invalid_since")
    if "since" not in asked:
        return Ask(None, last)
    if not _is_position(asked["since"]):
        raise protocol.Refusal("invalid_since")
    return Ask(Position(asked["since"]["epoch"], asked["since"]["seq"]), last)


def _ask_of_several(asked: object) -> Ask:
    if not isinstance(asked, dict):
        raise protocol.Refusal("invalid_since")
    _refuse_reserved("join", asked)
    return _ask(asked)


def _is_position(value: object) -> bool:
    if not isinstance(value, dict):
        return False
    epoch, seq = value.get("epoch"), value.get("seq")
    is_number = isinstance(seq, int) and not isinstance(seq, bool) and 0 <= seq < 2**53
    return is_number and _is_id(epoch, 1)


def _is_id(value: object, minimum: int) -> bool:
    return isinstance(value, str) and minimum <= len(value) <= protocol.MAXIMUM_ID_CHARACTERS and value.isprintable()


def _recipient(frame: Mapping[str, Any]) -> str | None:
    if "to" not in frame:
        return None
    to = frame["to"]
    name = to.removeprefix(CLIENT) if isinstance(to, str) else ""
    if not 1 <= len(name) <= MAXIMUM_NAME_CHARACTERS or not name.isprintable():
        raise protocol.Refusal("unknown_recipient")
    return str(to)


def _refuse_reserved(action: str, frame: Mapping[str, Any]) -> None:
    if not RESERVED[action].isdisjoint(frame):
        raise protocol.Refusal("unsupported")


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
