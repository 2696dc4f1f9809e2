"""Numbers of a log without a message: proof that there never will be one, and the voids that seal them.

Numbers are given out in order. Had an empty number been used, its message would last as long as one with a lower
number. So it is a hole, and has not merely expired, if something says that it was given out not long ago: a message
below it, or the item that was made just after it. Voids say nothing, because their time is that of the sealing.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from roomcast import history_items as items

if TYPE_CHECKING:
    from collections.abc import Iterable, MutableMapping, Sequence

    from roomcast.history_items import Entry, Head
    from roomcast.history_table import Table
    from roomcast.steps import Steps

    Slots = MutableMapping[int, Entry]

YOUNG_MILLISECONDS = 30 * 60 * 1000
"""A constant, and less than the shortest retention with its margin: a rule by the configured retention would take
expired messages for holes once the retention is raised."""

SEALING_MILLISECONDS = 1000
"""A sender stores its message within hundredths of a second. Sealing too early is safe: it takes another number."""

REMEMBERED = 10_000
"""Empty numbers that an execution environment remembers; then it begins anew."""


class Log(NamedTuple):
    """The log of a room.

    Attributes:
        room: Name of the room.
        head: Its head, as it was read before the slots.
    """

    room: str
    head: Head


def proved(slots: Slots, head: Head, numbers: Iterable[int], now: int) -> tuple[list[int], list[int]]:
    """Those of the empty numbers that are certainly holes, and the others, which may have expired.

    Args:
        slots: The slots that were read, also below the numbers.
        head: The log's head, as it was read before them.
        numbers: The empty numbers.
        now: Milliseconds since 1970.
    """

    def is_young(at: int) -> bool:
        return now - at < YOUNG_MILLISECONDS

    young = [seq for seq, each in slots.items() if not each.is_void and is_young(each.at)]
    anchor = 0 if is_young(head.created_at) else min(young, default=head.seq)
    holes: list[int] = []
    others: list[int] = []
    for number in numbers:
        above = slots.get(number + 1)
        is_hole = (
            number > anchor
            or (number == head.seq and is_young(head.at))
            or (number == head.seq - 1 and is_young(head.previous))
            or (above is not None and not above.is_void and is_young(above.previous))
        )
        (holes if is_hole else others).append(number)
    return holes, others


def may_be_under_way(slots: Slots, head: Head, others: Sequence[int], now: int) -> bool:
    """Whether one of the numbers that nothing proves may be that of a message that is stored in a moment.

    After a long pause nothing proves the first numbers of several senders until one of them has stored its message.

    Args:
        slots: As of ``proved``.
        head: As of ``proved``.
        others: The numbers, in order.
        now: As of ``proved``.
    """
    if not others or now - head.at >= SEALING_MILLISECONDS:
        return False
    above = slots.get(others[-1] + 1)
    # A message says when the number below was given out. It was long ago, and those below that came before it.
    return above is None or above.is_void


class Sealer:
    """Seals holes.

    Args:
        table: The history table.
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        self._seen: dict[tuple[str, str, int], int] = {}

    def seal(self, log: Log, slots: Slots, holes: Sequence[int], until: float, deadline: float) -> Steps[None]:
        """Put voids into old holes; ``slots`` has then what is in each.

        Args:
            log: The log.
            slots: The slots that were read.
            holes: Numbers that are proved to be holes, in order.
            until: When to seal no further one, in seconds of ``time.monotonic``.
            deadline: Latest end, in seconds of ``time.monotonic``.
        """
        now = self._table.now()
        for number in self._old(log, slots, holes, now):
            if time.monotonic() >= until:
                return
            void = items.void(log.room, log.head.epoch, number, now, self._table.end_of(now))
            found = yield from self._table.put(void, deadline)
            # Refused: the message came after all, or another reader was first.
            slots[number] = items.entry(void if found is None else found)

    def _old(self, log: Log, slots: Slots, holes: Sequence[int], now: int) -> list[int]:
        """Those of the holes that have been empty for long enough."""
        if len(self._seen) > REMEMBERED:
            self._seen.clear()
        present = sorted(slots)
        old: list[int] = []
        at = log.head.at
        for number in reversed(holes):
            while present and present[-1] > number:
                at = slots[present.pop()].at
            seen = self._seen.setdefault((log.room, log.head.epoch, number), now)
            if now - at > SEALING_MILLISECONDS or now - seen > SEALING_MILLISECONDS:
                old.append(number)
        return old[::-1]
