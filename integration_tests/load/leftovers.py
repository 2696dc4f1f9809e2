"""How everybody leaves at the end of a run, way by way, and whether their items in the table go with them."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from integration_tests.load.participant import Farewell
from integration_tests.report.model import Departure
from scripts.waiting import scaled

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from integration_tests.harness.table import ConnectionsTable
    from integration_tests.load.team import Team

LOOK_EVERY = 0.5
"""Seconds between two looks into the table; the time until items are gone is known no better than this."""
GONE_WITHIN = 30.0
"""Seconds in which the items of a few clients must be gone; ``$disconnect`` runs once for each client, so add one for
every ``CLIENTS_PER_SECOND`` of them."""
CLIENTS_PER_SECOND = 5
ITEMS_PER_CLIENT = 2
THERE_WITHIN = 5.0
"""Seconds in which the items of connected clients must be seen: they are written before a handshake is answered."""
EARLIER = "during the run"
"""The kind of those who left before the end: replaced, cut off, or dropped by the other side."""


@dataclass
class Items:
    """The items of a run's clients.

    Attributes:
        table: Where they are.
        rooms: Every room of the run.
        alone: Whether the table holds nothing else.
        lacking: How many items of connected clients the table did not hold before the departures; None if no client was
            connected then, or nobody looked.
    """

    table: ConnectionsTable
    rooms: Sequence[str]
    alone: bool
    lacking: int | None = None
    _connection_ids: set[str] = field(default_factory=set)

    async def count(self) -> int:
        """Count them: memberships in the run's rooms, and connection items of everyone who was seen as a member."""
        if self.alone:
            return await self.table.size()
        members = await self.members()
        return members + len(await self.table.connections(self._connection_ids))

    async def members(self) -> int:
        """Count the memberships in the run's rooms, and remember the connection ids in them."""
        members = await asyncio.gather(*(self.table.members(room) for room in self.rooms))
        self._connection_ids.update(*members)
        return sum(map(len, members))

    @property
    def connection_ids(self) -> list[str]:
        """The connection ids that were seen so far, sorted."""
        return sorted(self._connection_ids)


async def depart(team: Team, items: Items | None, show: Callable[[str], None]) -> list[Departure]:
    """Let everybody go: a third closes, a third breaks off, and the rest goes at one moment, in both ways.

    Args:
        team: Whose clients; they talk no more.
        items: Their items, if the table may be read.
        show: Told what happens next.

    Returns:
        What became of the items, by the way in which their clients went; those who went earlier come first. A table
        that lacks items of connected clients is not watched: what it never held cannot go.
    """
    if items is not None:
        items.lacking = await lacking(team, items)
        if items.lacking:
            show(f"{items.lacking:,} items of connected clients are not in the table")
    watched = items if items is not None and not items.lacking else None
    progress = await team.progress()
    present = sorted({*team.plan.seats} - await team.absent())
    third = len(present) // 3
    first, second, rest = present[:third], present[third : 2 * third], present[2 * third :]
    ways: dict[str, dict[Farewell, Sequence[int]]] = {
        EARLIER: {},
        "closed": {Farewell.CLOSE: first},
        "aborted": {Farewell.ABORT: second},
        "all at once": {Farewell.CLOSE: rest[::2], Farewell.ABORT: rest[1::2]},
    }
    staying = len(present)
    departures = []
    for kind, seats in ways.items():
        leaving = sum(map(len, seats.values()))
        staying -= leaving
        if kind == EARLIER:
            departure = Departure(kind, progress.joined - len(present))
        else:
            departure = Departure(kind, leaving)
            show(f"{leaving:,} clients leave: {kind}")
        began_at = time.monotonic()
        await asyncio.gather(*(team.leave(each, farewell) for farewell, each in seats.items()))
        if watched is not None:
            await watch(watched, departure, staying, began_at)
        departures.append(departure)
    return [departure for departure in departures if departure.connections or departure.items_left]


async def lacking(team: Team, items: Items) -> int | None:
    """Return how many items of connected clients are not in the table, None if no client is connected.

    Args:
        team: Whose clients.
        items: Where their items should be.
    """
    deadline = time.monotonic() + scaled(THERE_WITHIN)
    await items.members()
    while True:
        present = {*team.plan.seats} - await team.absent()
        lacks = max(0, ITEMS_PER_CLIENT * len(present) - await items.count())
        if not lacks or time.monotonic() > deadline:
            return lacks if present else None
        await asyncio.sleep(LOOK_EVERY)


async def watch(items: Items, departure: Departure, staying: int, began_at: float) -> None:
    """Look into the table until the items of those who left are gone, or should be.

    Args:
        items: The table.
        departure: Who left; is told what became of their items.
        staying: How many clients of the run are still connected.
        began_at: When the first of them left, monotonic seconds.
    """
    deadline = began_at + scaled(GONE_WITHIN + departure.connections / CLIENTS_PER_SECOND)
    left = ITEMS_PER_CLIENT * departure.connections
    while True:
        still_left = max(0, await items.count() - ITEMS_PER_CLIENT * staying)
        now = time.monotonic()
        for _ in range(left - still_left):
            departure.gone.record(now - began_at)
        left = still_left
        if not left or now > deadline:
            break
        await asyncio.sleep(LOOK_EVERY)
    departure.items_left = left
