"""How long a message takes to all members of a room, by the size of the room: a benchmark of a real stage.

One message is on its way at a time, so that nothing waits for anything but its own fan-out; load runs show a stage
under load. The first message of each room is reported apart, because functions may have to be started for it. The
result names no URL and no account, so it can be shared; README.md explains its fields.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from integration_tests.harness.latency import Latency
from integration_tests.load.bench_results import HEADING, Flight, line_of, result_of
from integration_tests.load.user_group import Arrival, Schedule, UserGroup
from integration_tests.load.workers import NoConnectionError
from scripts.waiting import scaled

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from integration_tests.harness.ledger import Verdict
    from integration_tests.load.plan import Plan

EXAMPLES = 3
"""Of the findings of a room, shown under its line."""
SPEAKER = 0
"""Seat of the client that sends."""


class Arrivals(Latency):
    """Delivery times of one message at a time.

    Args:
        members: How many deliveries a message takes.

    Attributes:
        seconds: Of the deliveries of this message so far, from sending, in order.
        complete: Set once it has come to all members.
    """

    def __init__(self, members: int) -> None:
        super().__init__()
        self._members = members
        self.begin()

    def begin(self) -> None:
        """Begin with the next message."""
        self.seconds: list[float] = []
        self.complete = asyncio.Event()

    def record(self, seconds: float) -> None:
        """Record one delivery."""
        super().record(seconds)
        self.seconds.append(seconds)
        if len(self.seconds) >= self._members:
            self.complete.set()


async def measure(url: str, plans: Sequence[Plan], show: Callable[[str], None]) -> list[dict[str, Any]]:
    """Measure one room after the other.

    Args:
        url: The stage's WebSocket URL.
        plans: One for each room; each sends one message more than is measured, for the cold start.
        show: Called with each result as a line.

    Returns:
        One result for each plan.

    Raises:
        integration_tests.load.workers.NoConnectionError: No client of the first room could connect.
    """
    results: list[dict[str, Any]] = []
    show(HEADING)
    for plan in plans:
        flights, verdict, refused = await measure_room(url, plan)
        if refused.total() == plan.connections and not results:
            raise NoConnectionError(refused)
        results.append(result_of(plan.connections, flights, verdict, refused))
        show(line_of(results[-1]))
        for example in verdict.examples[:EXAMPLES]:
            show(f"          {example}")
    return results


async def measure_room(url: str, plan: Plan) -> tuple[list[Flight], Verdict, Counter[str]]:
    """Fill one room, send one message after the other up to the first that fails, and empty the room.

    A room that a client could not enter is not measured.

    Returns:
        The messages that came to all members, the verdict, and refused handshakes by the reason.
    """
    arrivals, flights = Arrivals(plan.connections), list[Flight]()
    users, start = UserGroup(url, plan.run, arrivals, plan.terms), time.monotonic()
    try:
        refused = await users.join(
            [Arrival(seat, plan.room_of(seat), start + seat / plan.connect_rate) for seat in plan.seats]
        )
        while not refused and len(flights) < plan.messages and (flight := await send(users, arrivals, plan)):
            flights.append(flight)
        await users.quiet()
    finally:
        ended_at = time.monotonic()
        await users.leave_all()
        ledger = (await users.finish()).ledger
    ledger.ended_at = ended_at
    ledger.unsent = plan.messages - ledger.verdict().total.attempted
    return flights, ledger.verdict(), Counter(refused.values())


async def send(users: UserGroup, arrivals: Arrivals, plan: Plan) -> Flight | None:
    """Send one message; return None unless it and its receipt come within the patience."""
    if SPEAKER in users.absent():
        return None
    arrivals.begin()
    used, sent_at, patience = time.process_time(), time.monotonic(), scaled(plan.patience)
    try:
        async with asyncio.timeout(patience):
            await users.talk(Schedule(sent_at, 0.0, 1, plan.size))
            await arrivals.complete.wait()
    except TimeoutError:
        return None  # the ledger counts the loss
    cpu = (time.process_time() - used) / (time.monotonic() - sent_at)
    await users.answered(sent_at + patience - time.monotonic())
    sender = users.ledger().sender(plan.room_of(SPEAKER), f"client-{SPEAKER}")
    receipt = sender.answered_at[-1] - sender.sent_at[-1]
    return Flight(arrivals.seconds, receipt, cpu) if receipt < math.inf else None
