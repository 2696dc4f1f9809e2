"""The members of a room at any time, as masks of their bits."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from itertools import accumulate
from operator import or_
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from integration_tests.harness.ledger.records import Member

POSTS_TO_THE_DEAD = 10.0
"""Seconds after the end of a connection in which a post to it may still be accepted, and so be counted as delivered."""


class Memberships:
    """The memberships of one room.

    Args:
        members: Its members.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        self._joined_at, self._joined = _masks((member.joined_at, member.bit) for member in members)
        self._gone_at, self._gone = _masks((min(member.leaving_at, member.left_at), member.bit) for member in members)
        self._asked_at, self._asked = _masks((member.asked_at, member.bit) for member in members)
        self._dead_at = sorted(member.left_at + POSTS_TO_THE_DEAD for member in members)
        self._gaps = [(begin, end, member.bit) for member in members for begin, end in member.gaps]

    def throughout(self, begin: float, end: float) -> int:
        """Return the members that surely were members from ``begin`` to ``end`` (monotonic seconds)."""
        joined = self._joined[bisect_right(self._joined_at, begin)]
        surely = joined & ~self._gone[bisect_left(self._gone_at, end)]
        for gap_begin, gap_end, bit in self._gaps:
            if gap_begin <= end and begin <= gap_end:
                surely &= ~bit
        return surely

    def asked_by(self, at: float) -> int:
        """Return the members that had begun their handshakes by ``at`` (monotonic seconds)."""
        return self._asked[bisect_right(self._asked_at, at)]

    def dead_by(self, at: float) -> int:
        """Return how many connections ended so long before ``at`` that no post to them is accepted any more."""
        return bisect_left(self._dead_at, at)


def bits(mask: int) -> Iterator[int]:
    """Yield the numbers of the members in a mask."""
    while mask:
        lowest = mask & -mask
        yield lowest.bit_length() - 1
        mask ^= lowest


def _masks(events: Iterable[tuple[float, int]]) -> tuple[list[float], list[int]]:
    """Return the times of events in members' lives, and the mask of the members concerned after the first n of them."""
    happened = sorted(event for event in events if event[0] < math.inf)
    return [at for at, _ in happened], [0, *accumulate((bit for _, bit in happened), or_)]
