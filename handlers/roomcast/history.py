"""The log of rooms that keep messages: numbers and stores them, and reads them for clients that return.

A message is stored before the members are read. Numbering is one update of the room's head, and storing one put into
the slot of that number, which a slot takes once. A number whose sender dies in between is a hole, and a reader that
seals it with a void makes a late sender take another number. So a number is for ever one message or void.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, NamedTuple

from roomcast import history_items as items
from roomcast import protocol, rights
from roomcast.heads import Heads
from roomcast.history_table import Table
from roomcast.holes import Log, Sealer
from roomcast.items import key_of
from roomcast.replay import Reader
from roomcast.send_ids import Attempt, SendIds
from roomcast.settled import Tails

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from roomcast.frames import Ask
    from roomcast.history_items import Head, SendId
    from roomcast.history_table import Item
    from roomcast.replay import Replay
    from roomcast.settings import Settings
    from roomcast.steps import Steps

ROUNDS = 5
"""Numbers that one message takes at most: each one but the last was sealed within moments."""


class Draft(NamedTuple):
    """A message that is to be stored.

    Attributes:
        room: Name of the room.
        sender: Name of the sender, as members see it.
        at: When it was sent, in milliseconds since 1970.
        data: As of ``protocol.Message``.
        is_text: As of ``protocol.Message``.
        id: The sender's id of the message, as members see it; empty for none.
        request_id: Tells the request from all others.
        is_backend: Whether a backend publishes it.
    """

    room: str
    sender: str
    at: int
    data: str
    is_text: bool = True
    id: str = ""
    request_id: str = ""
    is_backend: bool = False


class Sender(NamedTuple):
    """Who sends a message under an id, which is its own for the sender and the room.

    Attributes:
        kind: ``client``, or ``publish`` for a backend, whose ids are its own.
        name: Identity of the client; empty where clients have none. Never the connection id, because a client sends
            again over another connection. Of a backend, the name that it gives.
        id: Its id of the message.
        read: What was read under the id before, as of ``look_up``; empty if nothing was read.
    """

    kind: str
    name: str
    id: str
    read: Sequence[SendId | None] = ()

    def key(self, room: str) -> items.Key:
        """Key of the id's item."""
        return items.send_id_key(room, self.kind, self.name, self.id)


class Kept(NamedTuple):
    """A message that is stored.

    Attributes:
        epoch: Life of the log.
        seq: Its number there.
        at: When it was sent first.
        sender: Name of its sender, as members see it.
        is_duplicate: Whether an earlier try has delivered it.
        is_sending: Whether an earlier try may be delivering it.
        key: Key of its id's item; ``None`` without an id.
    """

    epoch: str
    seq: int
    at: int
    sender: str = ""
    is_duplicate: bool = False
    is_sending: bool = False
    key: items.Key | None = None


class History:
    """The logs of all rooms that keep messages.

    The calls are in steps (``steps``). Each takes a ``deadline`` in seconds of ``time.monotonic`` and raises
    ``aws_json.ServiceError`` when the table cannot be reached by then. None of them posts, and none reads a member.

    Args:
        settings: Table name, endpoint, Region, and what is kept for how long.
        clock: Seconds since 1970.

    Attributes:
        heads: The heads of the logs.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        self._table = Table(settings, clock)
        self.heads = Heads(self._table, settings.history_generation)
        self._sealer = Sealer(self._table)
        self._tails = Tails(self._table.now)
        self._ids = SendIds(self._table)
        self._patterns = settings.history_rooms

    def keeps(self, room: str) -> bool:
        """Whether a room's messages are kept."""
        return any(rights.matches(pattern, room) for pattern in self._patterns)

    def look_up(self, room: str, sender: Sender, deadline: float) -> Steps[Sender]:
        """Read the item of a message's id before it is known whether the message may be sent.

        Args:
            room: Name of the room.
            sender: Who may have sent it before.
            deadline: Latest end.
        """
        found = yield from self._ids.find(sender.key(room), deadline)
        return sender._replace(read=(found,))

    def since(self, room: str, ask: Ask, until: float, deadline: float) -> Steps[Replay]:
        """Read what a client should get.

        Args:
            room: Name of the room.
            ask: As of ``replay.Reader.read``.
            until: When to read no further page, in seconds of ``time.monotonic``.
            deadline: Latest end.
        """
        opened = yield from self.heads.open([room], deadline)
        return (yield from self.read(Log(room, opened[room]), ask, until, deadline))

    def read(self, log: Log, ask: Ask, until: float, deadline: float) -> Steps[Replay]:
        """As ``replay.Reader.read``, of a log whose head has been read."""
        return (yield from Reader(self._table, self._sealer, self._tails, until, deadline).read(log, ask))

    def settle(self, kept: Kept, deadline: float) -> Steps[None]:
        """Write down that the fan-out of a message has ended; nothing for a message without an id."""
        if kept.key is not None:
            yield from self._ids.settle(kept.key, kept.epoch, kept.seq, deadline)

    def append(self, draft: Draft, sender: Sender | None, deadline: float) -> Steps[Kept]:
        """Store a message under the next number of its room, or find it there if its sender has sent it before.

        Args:
            draft: The message.
            sender: Who sends it under an id; ``None`` for a message without one.
            deadline: Latest end.

        Raises:
            protocol.Refusal: ``id_reused``, or ``unavailable`` if each number was sealed before it could be used.
        """
        if sender is not None:
            return (yield from self._append_once(draft, sender, deadline))
        writer = key_of("request", draft.request_id or os.urandom(8).hex())
        for _ in range(ROUNDS):
            head = yield from self.heads.take(draft.room, deadline)
            if (yield from self._store(draft, head, writer, "", deadline)):
                return Kept(head.epoch, head.seq, draft.at, draft.sender)
        raise protocol.Refusal("unavailable")

    def _append_once(self, draft: Draft, sender: Sender, deadline: float) -> Steps[Kept]:
        """Store a message under its id, or go on where an earlier try has ended."""
        attempt = self._attempt(draft, sender, deadline)
        [known] = sender.read or [(yield from self._ids.find(attempt.key, deadline))]
        head: Head | None = None
        for _ in range(ROUNDS):
            if known is None:
                head = yield from self.heads.take(draft.room, deadline)
                known = yield from self._ids.claim(attempt, head, deadline)
                yield from self._give_back(draft.room, known, head, deadline)
            if head is not None and known.names(head):
                if (
                    yield from self._store(draft._replace(at=known.at), head, attempt.writer, attempt.digest, deadline)
                ):
                    return Kept(head.epoch, head.seq, known.at, draft.sender, key=attempt.key)
            else:
                kept = yield from self._earlier(draft.room, attempt, known, deadline)
                if kept is not None:
                    return kept
            # Readers may have passed the number, so the message takes another one.
            head = yield from self.heads.take(draft.room, deadline)
            known = yield from self._ids.move(attempt, known, head, deadline)
            yield from self._give_back(draft.room, known, head, deadline)
        raise protocol.Refusal("unavailable")

    def _attempt(self, draft: Draft, sender: Sender, deadline: float) -> Attempt:
        digest = items.digest_of(f"{draft.is_text} {draft.data}")
        until = self._table.now() + int((deadline - time.monotonic()) * 1000)
        writer = key_of(sender.kind, sender.name, sender.id)
        return Attempt(sender.key(draft.room), digest, draft.at, os.urandom(8).hex(), until, writer)

    def _give_back(self, room: str, known: SendId | None, head: Head, deadline: float) -> Steps[None]:
        """Seal a number that the message does not use, because another try was first."""
        if known is None or not known.names(head):
            yield from self._void(room, head.epoch, head.seq, deadline)

    def _earlier(self, room: str, attempt: Attempt, known: SendId, deadline: float) -> Steps[Kept | None]:
        """The message as an earlier try has stored it; ``None`` if it never will, and there is a void."""
        if known.digest != attempt.digest:
            raise protocol.Refusal("id_reused")
        found = yield from self._table.get(items.slot_key(room, known.epoch, known.seq), deadline)
        if found is None:
            found = yield from self._void(room, known.epoch, known.seq, deadline)
        stored = None if found is None else items.entry(found)
        # A message that was withdrawn after its delivery is not sent again.
        if not known.is_delivered and (stored is None or stored.writer != attempt.writer):
            return None
        name = "" if stored is None else stored.sender
        kept = Kept(known.epoch, known.seq, known.at, name, key=attempt.key)
        now: SendId | None = known
        while now is not None and now.sending_by != attempt.by:
            if now.is_delivered:
                return kept._replace(is_duplicate=True)
            if now.sending_until > self._table.now():
                return kept._replace(is_sending=True)
            now = yield from self._ids.take_over(attempt, now, deadline)
        return kept

    def _void(self, room: str, epoch: str, seq: int, deadline: float) -> Steps[Item | None]:
        """Seal a slot; gives what is there if it is not empty."""
        now = self._table.now()
        return (yield from self._table.put(items.void(room, epoch, seq, now, self._table.end_of(now)), deadline))

    def _store(self, draft: Draft, head: Head, writer: str, digest: str, deadline: float) -> Steps[bool]:
        """Put a message into the slot of its number; false if there is a void."""
        entry = items.Entry(
            head.seq,
            draft.at,
            False,
            head.previous,
            draft.sender,
            draft.data,
            draft.is_text,
            draft.id,
            writer,
            draft.is_backend,
        )
        expires_at = self._table.end_of(draft.at)
        item = items.message(draft.room, head.epoch, entry, digest, expires_at)
        found = yield from self._table.put(item, deadline)
        # Refused by its own message: the answer to an earlier request was lost.
        return found is None or items.entry(found).writer == writer
