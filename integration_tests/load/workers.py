"""All client processes of a load run, commanded together."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from integration_tests.harness.latency import Latency
from integration_tests.load.client_user import NOT_IN_THE_ROOM
from integration_tests.load.user_group import Arrival, Progress, Schedule, UserGroup
from integration_tests.load.virtual_user import TIMEOUT
from integration_tests.load.worker_process import WorkerProcess
from integration_tests.report.model import Event
from integration_tests.report.recovery import COMPLETE, TOO_OLD
from scripts.waiting import scaled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence

    from integration_tests.load.plan import Plan
    from integration_tests.load.recorder import Recorder
    from integration_tests.load.virtual_user import CloseMode
    from integration_tests.report.subject import Subject

HEAD_START = 0.05
"""Seconds from a command to the first handshake or message that is due: the command reaches every process before."""
LOOK_EVERY = 1.0
"""Seconds between two looks for deliveries that are owed, at most; each judges all messages so far."""


class NoConnectionError(Exception):
    """No client could connect; the message says why.

    Args:
        reasons: Counts of the reasons that ``virtual_user.reason_of`` gives.

    Attributes:
        refused: Whether a server was there and refused, or did not answer.
    """

    def __init__(self, reasons: Counter[str]) -> None:
        found = ", ".join(f"{count} {reason}" for reason, count in reasons.items())
        super().__init__(f"no client could connect: {found}")
        self.refused = any(reason in {TIMEOUT, NOT_IN_THE_ROOM} or reason.isdigit() for reason in reasons)


class Workers:
    """The client processes of a run.

    Args:
        plan: The run's plan.
        processes: As many as the plan names.
        say: Called with each mark.

    Attributes:
        plan: The run's plan.
        processes: The client processes.
        events: Marks on the run's timeline.
        ended_at: When the run stopped waiting for anything, monotonic seconds; infinite before.
        unsent: Messages that are owed and were never scheduled, because no client was connected to send them.
        subject: What the scenario is about; None if it takes place in any case.
        counted: Name of the count of the report's recovery that says how much of the subject took place; empty if the
            scenario counts it itself.
        look: Called with rooms before clients leave them early; None where nothing is to be seen.
    """

    def __init__(self, plan: Plan, processes: Sequence[WorkerProcess], say: Callable[[str], None]) -> None:
        self.plan = plan
        self.processes = processes
        self.events: list[Event] = []
        self.ended_at = math.inf
        self.unsent = 0
        self.subject: Subject | None = None
        self.counted = ""
        self.look: Callable[[Collection[str]], Awaitable[None]] | None = None
        self._say = say
        self._joined = 0
        self._joining = 0.0

    def mark(self, label: str) -> None:
        """Put a mark on the timeline, and say it."""
        self.events.append(Event(time.monotonic(), label))
        self._say(label)

    async def join(self, seats: Collection[int]) -> dict[int, str]:
        """Connect clients at the plan's rate; return by seat why handshakes were refused."""
        start = time.monotonic() + HEAD_START
        interval = 1 / self.plan.connect_rate if self.plan.connect_rate else 0.0
        arrivals = [
            Arrival(seat, self.plan.room_of(seat), start + place * interval) for place, seat in enumerate(seats)
        ]
        shares = self._shares(arrivals, lambda arrival: arrival.seat)
        refused: dict[int, str] = {}
        for answer in await self._call_each(UserGroup.join, shares):
            refused |= answer
        if len(seats) > 1:  # one alone says nothing about how many a second there could be
            self._joining += time.monotonic() - start
            self._joined += len(seats) - len(refused)
        return refused

    async def assemble(self, seats: Collection[int]) -> None:
        """Connect the first clients of the run, at least one of which must succeed.

        Raises:
            NoConnectionError: None did.
        """
        refused = await self.join(seats)
        if len(refused) == len(seats):
            raise NoConnectionError(Counter(refused.values()))

    async def leave(self, seats: Iterable[int], mode: CloseMode) -> None:
        """Disconnect clients, all at once."""
        await self._call_each(UserGroup.leave, self._shares(seats, lambda seat: seat), mode)

    async def leave_early(self, seats: Collection[int], mode: CloseMode) -> None:
        """Disconnect clients while the run goes on, as :meth:`leave`, after a look at who is in their rooms."""
        if self.look is not None:
            await self.look({self.plan.room_of(seat) for seat in seats})
        await self.leave(seats, mode)

    async def talk(self) -> None:
        """Send the plan's messages at its rate, without waiting for answers."""
        plan, count = self.plan, len(self.processes)
        start, interval = time.monotonic() + HEAD_START, 1 / plan.rate
        await self._call_each(
            UserGroup.talk,
            [
                Schedule(start + place * interval, count * interval, len(range(place, plan.messages, count)), plan.size)
                for place in range(count)
            ],
        )

    async def settle(self) -> None:
        """Wait until every owed delivery has come and nothing is on its way, or until patience ends."""
        patience = scaled(self.plan.patience)
        deadline = time.monotonic() + patience
        await self._call_all(UserGroup.answered, patience)
        pause = 0.05
        while await self._outstanding() and time.monotonic() < deadline:
            await asyncio.sleep(min(pause, deadline - time.monotonic()))
            pause = min(2 * pause, LOOK_EVERY)
        await self._call_all(UserGroup.quiet)
        self.ended_at = time.monotonic()

    async def _outstanding(self) -> bool:
        """Whether a delivery is owed to a connected client, or claimed by a receipt, and has not come yet."""
        total, *others = await self._call_all(UserGroup.ledger)
        for ledger in others:
            total.merge(ledger)
        return bool(total.verdict().outstanding) and (await self.progress()).connected > 0

    async def present(self) -> set[int]:
        """Return the seats of the clients that are connected now."""
        return {seat for seats in await self._call_all(UserGroup.present) for seat in seats}

    async def acknowledged(self) -> dict[int, int]:
        """Return by seat how many messages of a client of ``roomcast.v1`` were acknowledged so far."""
        return {
            seat: count for counts in await self._call_all(UserGroup.acknowledged) for seat, count in counts.items()
        }

    async def generation(self) -> int:
        """Return how many sockets every client of ``roomcast.v1`` has used at least, one after the other."""
        generations: list[int] = await self._call_all(UserGroup.generation)
        return min(generations)

    async def progress(self) -> Progress:
        """Return how far all processes are together."""
        return Progress(*map(sum, zip(*await self._call_all(UserGroup.progress), strict=True)))

    async def finish(self) -> Recorder:
        """Stop measuring; return the records of all processes as one."""
        total: Recorder
        total, *others = await self._call_all(UserGroup.finish)
        for each in others:
            total.merge(each)
        for event in self.events:
            total.note(event)
        total.recovery.expected = TOO_OLD if self.plan.expired else COMPLETE
        if self.subject is not None and self.counted:
            self.subject.done = getattr(total.recovery, self.counted)
        total.ledger.ended_at = self.ended_at
        total.ledger.unsent += self.unsent
        total.connects.per_second = self._joined / self._joining if self._joining else 0.0
        return total

    def _shares(self, items: Iterable[Any], seat_of: Callable[[Any], int]) -> list[list[Any]]:
        """Return the items of each process, which is the one that the seat's client lives in."""
        shares: list[list[Any]] = [[] for _ in self.processes]
        for item in items:
            shares[self.plan.process_of(seat_of(item))].append(item)
        return shares

    async def _call_each(self, method: Callable[..., Any], shares: Sequence[object], *arguments: object) -> list[Any]:
        """Call a method in every process, each with a share of its own, and return all answers."""
        pairs = zip(self.processes, shares, strict=True)
        return await asyncio.gather(*(process.call(method, share, *arguments) for process, share in pairs))

    async def _call_all(self, method: Callable[..., Any], *arguments: object) -> list[Any]:
        """Call a method in every process, and return all answers."""
        return await asyncio.gather(*(process.call(method, *arguments) for process in self.processes))


@asynccontextmanager
async def started_workers(plan: Plan, url: str, interval: float, say: Callable[[str], None]) -> AsyncIterator[Workers]:
    """Start a plan's client processes, and end them when the context ends.

    Args:
        plan: The run's plan.
        url: The stage's WebSocket URL.
        interval: Length of an interval of the latency's timeline, in seconds.
        say: Called with each mark on the timeline.
    """
    processes: list[WorkerProcess] = []
    try:
        for _ in range(plan.processes):
            processes.append(WorkerProcess(url, plan.run, Latency(interval), plan.terms, plan.manner))  # noqa: PERF401 - started ones are stopped
        workers = Workers(plan, processes, say)
        await workers.progress()  # once they answer, their start is no part of the first handshakes
        yield workers
    finally:
        await asyncio.gather(*(process.stop() for process in processes))
