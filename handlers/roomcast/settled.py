"""The settled ends of logs that were read lately: clients that return together cost the table one read, not one each.

A partition of DynamoDB serves 3,000 read units a second
(https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html), and a replay of 1 MB
takes 250. A settled slot never changes; it is deleted when it has expired or is withdrawn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from roomcast import history_items as items

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from roomcast.history_items import Entry
    from roomcast.holes import Log, Slots

KEPT_MILLISECONDS = 60_000
"""How long a slot may still be served after it was deleted from the table, because its log was read before."""

MOST_BYTES = 4_194_304
"""Of data in one log: four replays."""

MOST_LOGS = 8
"""With Python's own bytes some 50 MB in all, of the 256 MB that a function has."""


class Tail(NamedTuple):
    """The end of a log as it was read.

    Attributes:
        slots: Messages and voids; each number follows the one before.
        read_at: When the first of them were read, in milliseconds since 1970.
    """

    slots: Sequence[Entry]
    read_at: int

    @property
    def first(self) -> int:
        """The lowest number."""
        return self.slots[0].seq

    @property
    def last(self) -> int:
        """The highest number."""
        return self.slots[-1].seq


class Tails:
    """The ends of logs.

    Args:
        now: Milliseconds since 1970.
    """

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._tails: dict[tuple[str, str], Tail] = {}

    def above(self, log: Log, low: int) -> Sequence[Entry]:
        """The slots from a number on, without a gap; empty if they must be read.

        Args:
            log: The log.
            low: The first number that is wanted.
        """
        tail = self._of(log)
        if tail is None or not tail.first <= low <= tail.last:
            return ()
        # Up to the head alone: what was given out since is for the client's next question.
        return tail.slots[low - tail.first : max(0, log.head.seq + 1 - tail.first)]

    def keep(self, log: Log, slots: Slots, settled: int) -> None:
        """Keep what has been read.

        Args:
            log: The log.
            slots: Its slots, those of ``above`` included.
            settled: The last number up to which there is no hole.
        """
        if settled not in slots:
            return
        first = settled
        while first - 1 in slots:
            first -= 1
        read, at = [slots[number] for number in range(first, settled + 1)], self._now()
        tail = self._of(log)
        if tail is not None and tail.first <= first <= tail.last + 1:
            read, at = [*tail.slots, *read[tail.last + 1 - first :]], tail.read_at
        if len(self._tails) >= MOST_LOGS and tail is None:
            self._tails.clear()
        self._tails[log.room, log.head.epoch] = Tail(_end_of(read), at)

    def _of(self, log: Log) -> Tail | None:
        tail = self._tails.get((log.room, log.head.epoch))
        return tail if tail is not None and self._now() - tail.read_at < KEPT_MILLISECONDS else None


def _end_of(slots: Sequence[Entry]) -> Sequence[Entry]:
    """The last slots, as many as may be kept."""
    size = 0
    for count, each in enumerate(reversed(slots)):
        size += items.size_of(each)
        if size > MOST_BYTES and count:
            return slots[-count:]
    return slots
