"""All processes of a load run together, told what to do as if they were one."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from integration_tests.load.crew import LOOK_EVERY, Arrival, Crew, Progress, Schedule
from integration_tests.load.participant import TIMEOUT
from integration_tests.load.remote import RemoteCrew
from integration_tests.report.model import Event
from scripts.waiting import scaled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence

    from integration_tests.load.participant import Farewell
    from integration_tests.load.plan import Plan
    from integration_tests.load.recorder import ProcessResult
    from integration_tests.report.model import Connects

HEAD_START = 0.05
"""Seconds between an order and the first thing that is due, so that it reaches every process in time."""


class NobodyError(Exception):
    """No client could connect; the message says why.

    Args:
        reasons: Why each of them could not, by the words of ``participant.reason_of``.

    Attributes:
        refused: Whether a server was there and refused, or did not answer.
    """

    def __init__(self, reasons: Counter[str]) -> None:
        super().__init__(f"nobody could connect: {', '.join(f'{count} {reason}' for reason, count in reasons.items())}")
        self.refused = any(reason == TIMEOUT or reason.isdigit() for reason in reasons)


class Team:
    """Everybody in the run, in however many processes.

    Args:
        plan: What was asked for.
        crews: As many processes as it names.
        say: Told each mark.

    Attributes:
        plan: What was asked for.
        crews: The processes.
        events: Marks on the run's timeline.
        ended_at: When it stopped waiting for anything, monotonic seconds; infinite before.
        unsent: Messages that are owed and were never scheduled, because there was nobody to send them.
    """

    def __init__(self, plan: Plan, crews: Sequence[RemoteCrew], say: Callable[[str], None]) -> None:
        self.plan = plan
        self.events: list[Event] = []
        self.crews = crews
        self.ended_at = math.inf
        self.unsent = 0
        self._say = say
        self._joined = 0
        self._joining = 0.0

    def mark(self, label: str) -> None:
        """Put something on the timeline, and say it."""
        self.events.append(Event(time.monotonic(), label))
        self._say(label)

    async def join(self, seats: Collection[int]) -> dict[int, str]:
        """Connect these seats at the plan's rate; return why those who were refused were."""
        start = time.monotonic() + HEAD_START
        interval = 1 / self.plan.connect_rate if self.plan.connect_rate else 0.0
        shares: list[list[Arrival]] = [[] for _ in self.crews]
        for place, seat in enumerate(seats):
            arrival = Arrival(seat, self.plan.room_of(seat), start + place * interval)
            shares[self.plan.process_of(seat)].append(arrival)
        refused: dict[int, str] = {}
        for answer in await self._tell(Crew.join, shares):
            refused |= answer
        if len(seats) > 1:  # one alone says nothing about how many a second there could be
            self._joining += time.monotonic() - start
            self._joined += len(seats) - len(refused)
        return refused

    async def assemble(self, seats: Collection[int]) -> None:
        """Connect the first clients of the run, at least one of which must succeed.

        Raises:
            NobodyError: None did.
        """
        refused = await self.join(seats)
        if len(refused) == len(seats):
            raise NobodyError(Counter(refused.values()))

    async def leave(self, seats: Iterable[int], farewell: Farewell) -> None:
        """Let these seats go, all at once."""
        shares: list[list[int]] = [[] for _ in self.crews]
        for seat in seats:
            shares[self.plan.process_of(seat)].append(seat)
        await self._tell(Crew.leave, shares, farewell)

    async def talk(self) -> None:
        """Send the plan's messages at its rate, whatever becomes of them."""
        plan, count = self.plan, len(self.crews)
        start, interval = time.monotonic() + HEAD_START, 1 / plan.rate
        await self._tell(
            Crew.talk,
            [
                Schedule(start + place * interval, count * interval, len(range(place, plan.messages, count)), plan.size)
                for place in range(count)
            ],
        )

    async def settle(self) -> None:
        """Wait until everything that is owed has come and nothing is on its way, or until patience ends."""
        patience = scaled(self.plan.patience)
        deadline = time.monotonic() + patience
        await self._ask(Crew.answered, patience)
        pause = 0.05
        while await self._outstanding() and time.monotonic() < deadline:
            await asyncio.sleep(min(pause, deadline - time.monotonic()))
            pause = min(2 * pause, LOOK_EVERY)
        await self._ask(Crew.quiet)
        self.ended_at = time.monotonic()

    async def _outstanding(self) -> bool:
        """Whether a delivery is owed to a client that is connected, and has not come yet."""
        total, *others = await self._ask(Crew.ledger)
        for ledger in others:
            total.merge(ledger)
        total.ended_at = time.monotonic()
        return bool(total.verdict().total.outstanding) and (await self.progress()).connected > 0

    async def absent(self) -> set[int]:
        """Return the seats that nobody is connected from, of those that ever joined."""
        return {seat for seats in await self._ask(Crew.absent) for seat in seats}

    async def progress(self) -> Progress:
        """Say how far everybody is."""
        return Progress(*map(sum, zip(*await self._ask(Crew.progress), strict=True)))

    async def finish(self) -> ProcessResult:
        """Stop measuring; return what all processes saw as if they had been one."""
        shares: list[ProcessResult] = await self._ask(Crew.finish)
        total, *others = shares
        for share in others:
            total.ledger.merge(share.ledger)
            merge_connects(total.connects, share.connects)
            total.events.extend(share.events)
        total.ledger.ended_at = self.ended_at
        total.ledger.unsent += self.unsent
        total.connects.per_second = self._joined / self._joining if self._joining else 0.0
        return total._replace(events=first_of_each([*total.events, *self.events]))

    async def _tell(self, method: Callable[..., Any], shares: Sequence[object], *arguments: object) -> list[Any]:
        """Call a method in every process, each with a share of its own, and return all answers."""
        answers = [crew.call(method, share, *arguments) for crew, share in zip(self.crews, shares, strict=True)]
        return await asyncio.gather(*map(asyncio.wrap_future, answers))

    async def _ask(self, method: Callable[..., Any], *arguments: object) -> list[Any]:
        """Call a method in every process, and return all answers."""
        return await asyncio.gather(*(asyncio.wrap_future(crew.call(method, *arguments)) for crew in self.crews))


@asynccontextmanager
async def assembled(plan: Plan, url: str, interval: float, say: Callable[[str], None]) -> AsyncIterator[Team]:
    """Start a plan's processes, and end them when the context does.

    Args:
        plan: What the team is for.
        url: The stage's WebSocket URL.
        interval: Length of an interval of the latency's timeline, in seconds.
        say: Told each mark on the timeline.
    """
    crews: list[RemoteCrew] = []
    try:
        for _ in range(plan.processes):
            crews.append(RemoteCrew(url, plan.run, interval, plan.terms))  # noqa: PERF401 - those that started must be stopped
        team = Team(plan, crews, say)
        await team.progress()  # once they answer, their start is no part of the first handshakes
        yield team
    finally:
        await asyncio.gather(*(asyncio.to_thread(crew.stop) for crew in crews))


def merge_connects(total: Connects, other: Connects) -> None:
    """Add the handshakes of another process."""
    total.attempted += other.attempted
    total.succeeded += other.succeeded
    total.late += other.late
    total.times.add(other.times)
    for reason, count in other.refused.items():
        total.refused[reason] = total.refused.get(reason, 0) + count


def first_of_each(events: Iterable[Event]) -> list[Event]:
    """Return the first event of each label, in order."""
    first: dict[str, Event] = {}
    for event in sorted(events, key=lambda event: event.at):
        first.setdefault(event.label, event)
    return [*first.values()]
