"""All processes of a load run together, told what to do as if they were one."""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

from integration_tests.load import pipes
from integration_tests.load.crew import Arrival, Crew, Progress, Schedule
from integration_tests.report.model import Event

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence

    from integration_tests.load.crew import Share
    from integration_tests.load.participant import Farewell
    from integration_tests.load.plan import Plan
    from integration_tests.report.model import Connects

HEAD_START = 0.05
"""Seconds between an order and the first thing that is due, so that it reaches every process in time."""


class WorkerError(Exception):
    """A process of the run failed or is gone; the message says what it said."""


class NobodyError(Exception):
    """No client could connect; the message says why."""


class Worker:
    """One process of the run.

    Args:
        process: It, with pipes as standard input and output.
    """

    def __init__(self, process: Process) -> None:
        self._process = process
        self._numbers = itertools.count()
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, url: str, run: str, interval: float) -> Worker:
        """Start a process; the arguments are those of :class:`~integration_tests.load.crew.Crew`."""
        command = (sys.executable, "-m", "integration_tests.load.worker", url, run, str(interval))
        pipe = asyncio.subprocess.PIPE
        # Ctrl-C is for the parent; its end closes the pipe, which ends the worker.
        return cls(await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, start_new_session=True))

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    async def call(self, method: Callable[..., Any], *arguments: Any) -> Any:  # noqa: ANN401 - what the method returns
        """Call a method of the process's crew.

        Raises:
            WorkerError: It raised an exception, or the process is gone.
        """
        assert self._process.stdin is not None
        number = next(self._numbers)
        self._waiting[number] = answer = asyncio.get_running_loop().create_future()
        self._process.stdin.write(pipes.pack(pipes.Request(number, method.__name__, arguments)))
        return await answer

    async def stop(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()
        await self._reading

    async def _read(self) -> None:
        assert self._process.stdout is not None
        try:
            while True:
                answer: pipes.Answer = await pipes.receive(self._process.stdout)
                waiting = self._waiting.pop(answer.number)
                if waiting.cancelled():
                    continue
                if answer.error is None:
                    waiting.set_result(answer.value)
                else:
                    waiting.set_exception(WorkerError(answer.error))
        except asyncio.IncompleteReadError:
            status = await self._process.wait()
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(WorkerError(f"a process of the run ended with exit status {status}"))


class Team:
    """Everybody in the run, in however many processes.

    Args:
        plan: What was asked for.
        workers: As many processes as it names.

    Attributes:
        plan: What was asked for.
        workers: The processes.
        events: Marks on the run's timeline.
    """

    def __init__(self, plan: Plan, workers: Sequence[Worker]) -> None:
        self.plan = plan
        self.events: list[Event] = []
        self.workers = workers
        self._joined = 0
        self._joining = 0.0

    def mark(self, label: str) -> None:
        """Put something on the timeline."""
        self.events.append(Event(time.monotonic(), label))

    async def join(self, seats: Collection[int]) -> None:
        """Connect these seats at the plan's rate; return when each is connected or was refused."""
        start = time.monotonic() + HEAD_START
        interval = 1 / self.plan.connect_rate if self.plan.connect_rate else 0.0
        shares: list[list[Arrival]] = [[] for _ in self.workers]
        for place, seat in enumerate(seats):
            arrival = Arrival(seat, self.plan.room_of(seat), start + place * interval)
            shares[self.plan.process_of(seat)].append(arrival)
        await self._tell(Crew.join, shares)
        if len(seats) > 1:  # one alone says nothing about how many a second there could be
            self._joining += time.monotonic() - start
            self._joined += len({*seats} - await self.absent())

    async def assemble(self, seats: Collection[int]) -> None:
        """Connect the first clients of the run, at least one of which must succeed.

        Raises:
            NobodyError: None did.
        """
        await self.join(seats)
        if await self.absent() >= {*seats}:
            reasons = sum(map(Counter, await self._ask(Crew.refusals)), Counter[str]())
            raise NobodyError(
                f"nobody could connect: {', '.join(f'{count} {reason}' for reason, count in reasons.items())}"
            )

    async def leave(self, seats: Iterable[int], farewell: Farewell) -> None:
        """Let these seats go, all at once."""
        shares: list[list[int]] = [[] for _ in self.workers]
        for seat in seats:
            shares[self.plan.process_of(seat)].append(seat)
        await self._tell(Crew.leave, shares, farewell)

    async def talk(self) -> None:
        """Send the plan's messages at its rate, whatever becomes of them."""
        plan, count = self.plan, len(self.workers)
        start, interval = time.monotonic() + HEAD_START, 1 / plan.rate
        await self._tell(
            Crew.talk,
            [
                Schedule(start + place * interval, count * interval, len(range(place, plan.messages, count)), plan.size)
                for place in range(count)
            ],
        )
        self.mark("the last message is sent")

    async def settle(self) -> None:
        """Wait until every message was answered, or will not be, and nothing is on its way any more."""
        await self._ask(Crew.settle)

    async def absent(self) -> set[int]:
        """Return the seats that nobody is connected from, of those that ever joined."""
        return {seat for seats in await self._ask(Crew.absent) for seat in seats}

    async def progress(self) -> Progress:
        """Say how far everybody is."""
        return Progress(*map(sum, zip(*await self._ask(Crew.progress), strict=True)))

    async def finish(self) -> Share:
        """Stop measuring; return what all processes saw as if they had been one."""
        shares: list[Share] = await self._ask(Crew.finish)
        total, *others = shares
        for share in others:
            total.ledger.merge(share.ledger)
            merge_connects(total.connects, share.connects)
            total.events.extend(share.events)
        total.connects.per_second = self._joined / self._joining if self._joining else 0.0
        return total._replace(events=first_of_each([*total.events, *self.events]))

    async def _tell(self, method: Callable[..., Any], shares: Sequence[object], *arguments: object) -> None:
        """Call a method in every process, each with a share of its own."""
        await asyncio.gather(
            *(worker.call(method, share, *arguments) for worker, share in zip(self.workers, shares, strict=True))
        )

    async def _ask(self, method: Callable[..., Any]) -> list[Any]:
        """Call a method in every process and return all answers."""
        return await asyncio.gather(*(worker.call(method) for worker in self.workers))


@asynccontextmanager
async def assembled(plan: Plan, url: str, interval: float) -> AsyncIterator[Team]:
    """Start a plan's processes, and end them when the context does.

    Args:
        plan: What the team is for.
        url: The stage's WebSocket URL.
        interval: Length of an interval of the latency's timeline, in seconds.
    """
    async with AsyncExitStack() as stack:
        workers = []
        for _ in range(plan.processes):
            workers.append(await Worker.start(url, plan.run, interval))
            stack.push_async_callback(workers[-1].stop)
        yield Team(plan, workers)


def merge_connects(total: Connects, other: Connects) -> None:
    """Add the handshakes of another process."""
    total.attempted += other.attempted
    total.succeeded += other.succeeded
    total.times.add(other.times)
    for reason, count in other.refused.items():
        total.refused[reason] = total.refused.get(reason, 0) + count


def first_of_each(events: Iterable[Event]) -> list[Event]:
    """Return the first event of each label, in order."""
    first: dict[str, Event] = {}
    for event in sorted(events, key=lambda event: event.at):
        first.setdefault(event.label, event)
    return [*first.values()]
