"""Disconnects the clients at the end of a run, one way after the other, and watches their items in the table go."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from integration_tests.load.virtual_user import CloseMode
from integration_tests.report.clients import Departure
from scripts.waiting import scaled

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from integration_tests.harness.table import ConnectionsTable
    from integration_tests.load.workers import Workers

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
"""The kind of the clients that left before the end: replaced, cut off, or dropped by the other side."""
LAST = "all at once"
"""The kind of the clients that leave last."""


class LastLeavers(NamedTuple):
    """The clients that left last.

    Attributes:
        at: When they left, Unix time in seconds.
        connection_ids: Their connections.
    """

    at: float = 0.0
    connection_ids: frozenset[str] = frozenset()


NOBODY = LastLeavers()


@dataclass
class Items:
    """The items of a run's clients.

    Attributes:
        table: The connections table.
        rooms: Every room of the run.
        alone: Whether the table holds no other items.
        lacking: How many items of connected clients the table did not hold before the departures; None if no client was
            connected then, or if that was not counted.
        last: The clients that left last; none before, or if the table lacked items.
    """

    table: ConnectionsTable
    rooms: Sequence[str]
    alone: bool
    lacking: int | None = None
    last: LastLeavers = NOBODY
    _connection_ids: set[str] = field(default_factory=set)

    async def count(self) -> int:
        """Count memberships in the run's rooms, and connection items of the members seen so far."""
        if self.alone:
            return await self.table.size()
        members = await self.members()
        return members + len(await self.table.connections(self._connection_ids))

    async def members(self) -> int:
        """Count the memberships in the run's rooms, and remember the connection ids in them."""
        return sum(map(len, await self._look(self.rooms)))

    async def remember(self, rooms: Collection[str]) -> None:
        """Remember the connection ids in some rooms, because clients leave them: their memberships may go alone."""
        if not self.alone:  # else every item of the table counts
            await self._look(rooms)

    async def remember_last(self) -> None:
        """Remember the clients that are connected now as those that leave last."""
        self.last = LastLeavers(time.time(), frozenset().union(*await self._look(self.rooms)))

    async def _look(self, rooms: Collection[str]) -> list[set[str]]:
        members = await asyncio.gather(*(self.table.members(room) for room in rooms))
        self._connection_ids.update(*members)
        return members


async def depart(workers: Workers, items: Items | None, show: Callable[[str], None]) -> list[Departure]:
    """Disconnect all clients: a third closes, a third aborts, and the rest does both at one moment.

    Args:
        workers: The client processes; their clients send no more.
        items: The clients' items, if the table may be read.
        show: Called with each step.

    Returns:
        Connections and items left for each way of leaving; clients that left earlier come first. A table that lacks
        items of connected clients is not watched, because items that it never held cannot go.
    """
    if items is not None:
        items.lacking = await lacking(workers, items)
        if items.lacking:
            show(f"{items.lacking:,} items of connected clients are not in the table")
    watched = items if items is not None and not items.lacking else None
    progress = await workers.progress()
    present = sorted(await workers.present())
    third = len(present) // 3
    first, second, rest = present[:third], present[third : 2 * third], present[2 * third :]
    ways: dict[str, dict[CloseMode, Sequence[int]]] = {
        EARLIER: {},
        "closed": {CloseMode.CLOSE: first},
        "aborted": {CloseMode.ABORT: second},
        LAST: {CloseMode.CLOSE: rest[::2], CloseMode.ABORT: rest[1::2]},
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
        if watched is not None and kind == LAST:
            await watched.remember_last()
        began_at = time.monotonic()
        await asyncio.gather(*(workers.leave(each, mode) for mode, each in seats.items()))
        if watched is not None:
            await watch(watched, departure, staying, began_at)
        departures.append(departure)
    return [departure for departure in departures if departure.connections or departure.items_left]


async def lacking(workers: Workers, items: Items) -> int | None:
    """Return how many items of connected clients are not in the table, None if no client is connected.

    Args:
        workers: The client processes.
        items: The clients' items.
    """
    deadline = time.monotonic() + scaled(THERE_WITHIN)
    await items.members()
    while True:
        present = await workers.present()
        lacks = max(0, ITEMS_PER_CLIENT * len(present) - await items.count())
        if not lacks or time.monotonic() > deadline:
            return lacks if present else None
        await asyncio.sleep(LOOK_EVERY)


async def watch(items: Items, departure: Departure, staying: int, began_at: float) -> None:
    """Read the table until the items of the clients that left are gone, or until they should be.

    Args:
        items: The clients' items.
        departure: The clients that left; receives the times and the items left.
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
