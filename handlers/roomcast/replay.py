"""What a client that joins a room is told of its log: messages, and whether it has missed any.

A membership is written before the log is read, and a sender stores its message before it reads the members. So each
message is in what was read, or its sender sees the new member.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from roomcast import history_items as items
from roomcast import holes
from roomcast.steps import Wait

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from roomcast.frames import Ask, Position
    from roomcast.history_items import Entry, Head
    from roomcast.history_table import Table
    from roomcast.holes import Log, Sealer, Slots
    from roomcast.settled import Tails
    from roomcast.steps import Steps

MOST_MESSAGES = 1_000
MOST_BYTES = 1_048_576
"""Limits of one replay: frames of as much leave within seconds. A client that is told of more asks again."""

MOST_BEHIND = 10_000
"""A client that is further behind begins anew."""

BELOW = 16
"""So many numbers below a position are read as well: one of their messages may prove what is above, and below the head
one may still be under way."""

PAUSES = (0.3,) * 3
"""Seconds before slots are read again because messages may be under way. After a second their senders may be dead."""


class Replay(NamedTuple):
    """The answer for one room.

    Attributes:
        epoch: Name of the log's life.
        seq: The position of the client once it has the slots.
        head: The last number that was given out.
        slots: Messages, and voids between them, in order.
        is_recovered: Whether nothing that was stored above the client's position is missing; ``None`` without one.
        reason: Why something may be missing; empty if nothing is.
        has_more: Whether the client should ask again at once.
    """

    epoch: str
    seq: int
    head: int
    slots: Sequence[Entry]
    is_recovered: bool | None = None
    reason: str = ""
    has_more: bool = False

    @property
    def fields(self) -> dict[str, object]:
        """What ``joined`` says of it."""
        return {
            "epoch": self.epoch,
            "seq": self.seq,
            "head": self.head,
            **({} if self.is_recovered is None else {"recovered": self.is_recovered}),
            **({"reason": self.reason} if self.reason else {}),
            **({"more": True} if self.has_more else {}),
        }


class _Taken:
    """Slots for one replay, as many as it may have.

    Args:
        seq: The position. Slots up to it are only looked at.

    Attributes:
        slots: The slots.
    """

    def __init__(self, seq: int) -> None:
        self.slots: Slots = {}
        self._seq = seq
        self._count = self._size = 0

    def add(self, entries: Iterable[Entry]) -> bool:
        """Take slots in their order; false if one is too many."""
        for each in entries:
            if each.seq > self._seq:
                self._count, self._size = self._count + 1, self._size + items.size_of(each)
                if self._count > MOST_MESSAGES or (self._size > MOST_BYTES and self._count > 1):
                    return False
            self.slots[each.seq] = each
        return True


class Reader(NamedTuple):
    """Reads logs.

    Attributes:
        table: The history table.
        sealer: Seals holes that are found.
        tails: What was read lately.
        until: When to read no further page and to seal no further hole, in seconds of ``time.monotonic``.
        deadline: Latest end.
    """

    table: Table
    sealer: Sealer
    tails: Tails
    until: float
    deadline: float

    def read(self, log: Log, ask: Ask) -> Steps[Replay]:
        """Read what a client should get.

        Args:
            log: The log, with its head as it was read after the membership was written.
            ask: The client's question: its position, if it has one, and how many of the last messages it wants without
                one, or with one that is lost.
        """
        reason = "" if ask.position is None else _impossible(log.head, ask.position)
        if ask.position is not None and not reason:
            replay = yield from self._after(log, ask.position.seq)
            if replay is not None:
                return replay
            reason = "too_old"
        replay = yield from self._at_head(log, ask.last or 0)
        return replay if ask.position is None else replay._replace(is_recovered=False, reason=reason)

    def _after(self, log: Log, seq: int) -> Steps[Replay | None]:
        """What came after a position; ``None`` if it cannot be told whether something is missing."""
        head = log.head
        if seq == head.seq:
            return Replay(head.epoch, seq, head.seq, (), is_recovered=True)
        slots, cut, proved, others = yield from self._slots(log, partial(self._forward, log, seq))
        if others:
            return None
        yield from self.sealer.seal(log, slots, proved, self.until, self.deadline)
        settled = seq
        while settled < cut and settled + 1 in slots:
            settled += 1
        self.tails.keep(log, slots, settled)
        above = [slots[number] for number in sorted(slots) if number > seq]
        has_more = cut < head.seq and settled > seq
        return Replay(head.epoch, settled, head.seq, above, is_recovered=True, has_more=has_more)

    def _slots(
        self, log: Log, read: Callable[[], Steps[tuple[Slots, range]]]
    ) -> Steps[tuple[Slots, int, list[int], list[int]]]:
        """Read slots, and again while messages that nothing proves may be under way.

        Args:
            log: The log.
            read: Reads the slots; gives them, and the numbers that the client must not miss.

        Returns:
            The slots, the last of the numbers, and the empty ones as of ``holes.proved``.
        """
        pauses = iter(PAUSES)
        while True:
            slots, numbers = yield from read()
            missing = [number for number in numbers if number not in slots]
            now, again_at = self.table.now(), time.monotonic() + next(pauses, float("inf"))
            proved, others = holes.proved(slots, log.head, missing, now)
            if again_at >= self.until or not holes.may_be_under_way(slots, log.head, others, now):
                return slots, numbers.stop - 1, proved, others
            yield Wait(None, again_at)

    def _forward(self, log: Log, seq: int) -> Steps[tuple[Slots, range]]:
        """Read the slots from some below a position on; gives them, and the numbers above it that were read."""
        taken = _Taken(seq)
        low, limit = max(1, seq - BELOW), MOST_MESSAGES + BELOW + 1
        kept = self.tails.above(log, low)
        if not taken.add(kept):
            return taken.slots, range(seq + 1, max(taken.slots) + 1)
        if low + len(kept) > log.head.seq:
            return taken.slots, range(seq + 1, log.head.seq + 1)
        query = self.table.slots((log.room, log.head.epoch), low + len(kept), log.head.seq, limit, is_forward=True)
        while True:
            page = yield from self.table.page(query, self.deadline)
            if not taken.add(map(items.entry, page["Items"])):
                # Numbers behind the last slot are for the next replay, which reads what may prove them.
                return taken.slots, range(seq + 1, max(taken.slots) + 1)
            if "LastEvaluatedKey" not in page:
                return taken.slots, range(seq + 1, log.head.seq + 1)
            query["ExclusiveStartKey"] = page["LastEvaluatedKey"]
            if time.monotonic() >= self.until:
                return taken.slots, range(seq + 1, items.seq_of(page["LastEvaluatedKey"]) + 1)

    def _at_head(self, log: Log, last: int) -> Steps[Replay]:
        """The end of a log: the last messages, and a position below which no number is under way."""
        head = log.head
        # Those that may have expired count as settled: the client has asked for no more.
        slots, _, proved, _ = yield from self._slots(log, partial(self._backward, log, last))
        yield from self.sealer.seal(log, slots, proved, self.until, self.deadline)
        settled = min((number - 1 for number in proved if number not in slots), default=head.seq)
        wanted = {*_latest(slots, last, head.floor), *(number for number in slots if number > settled)}
        return Replay(head.epoch, settled, head.seq, [slots[number] for number in sorted(wanted)])

    def _backward(self, log: Log, last: int) -> Steps[tuple[Slots, range]]:
        """Read the last slots; gives them, and the numbers that were read."""
        slots: Slots = {}
        head = log.head
        if not head.seq:
            return slots, range(1, 1)
        messages = size = 0
        low = max(1, head.seq - max(last, BELOW) + 1)
        query = self.table.slots((log.room, head.epoch), 1, head.seq, max(last, BELOW), is_forward=False)
        while True:
            page = yield from self.table.page(query, self.deadline)
            for each in map(items.entry, page["Items"]):
                size += items.size_of(each)
                is_enough = size > MOST_BYTES or (messages >= last and each.seq < low)
                if is_enough and each.seq <= head.seq - BELOW:
                    return slots, range(max(low, each.seq + 1), head.seq + 1)
                slots[each.seq] = each
                messages += not each.is_void
            if "LastEvaluatedKey" not in page:
                return slots, range(low, head.seq + 1)
            query["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def _impossible(head: Head, position: Position) -> str:
    """Why nothing can be said of what came after a position; empty if something can."""
    if position.epoch != head.epoch:
        return "epoch_changed"
    if position.seq > head.seq:
        return "ahead"
    if position.seq < head.floor:
        return "too_old"
    return "too_many" if head.seq - position.seq > MOST_BEHIND else ""


def _latest(slots: Slots, last: int, floor: int) -> list[int]:
    """Numbers of the last messages, as many as one replay may have."""
    found: list[int] = []
    size = 0
    for number in sorted(slots, reverse=True):
        if len(found) == last or number < floor:
            break
        if not slots[number].is_void:
            size += items.size_of(slots[number])
            if size > MOST_BYTES and found:
                break
            found.append(number)
    return found
