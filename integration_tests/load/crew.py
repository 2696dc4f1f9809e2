"""Everybody in one process: joins, talks and leaves as told, and knows in the end what it saw."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, NamedTuple

from integration_tests.harness.latency import Latency
from integration_tests.harness.ledger import Ledger, Terms
from integration_tests.load.participant import Farewell, Participant
from integration_tests.load.recorder import ProcessResult, Recorder
from integration_tests.load.terms import TERMS
from scripts.waiting import TIMEOUT_FACTOR

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

MOVEMENTS_AT_ONCE = 256
"""Handshakes and closes under way; more would only queue at the server. A handshake that waits for others counts
as late, because it is timed from when it was due."""
LOOK_EVERY = 1.0
"""Seconds between two looks for what is still owed, at most; each judges all messages so far."""
NOT_CONNECTED = "not connected"


class Arrival(NamedTuple):
    """Somebody is to join: seat number, room, and when it is due in monotonic seconds."""

    seat: int
    room: str
    due: float


class Schedule(NamedTuple):
    """Messages of one process, equally spaced whatever becomes of them.

    Attributes:
        at: When the first is due, monotonic seconds.
        interval: Seconds between two.
        messages: How many.
        size: Characters of each.
    """

    at: float
    interval: float
    messages: int
    size: int


class Progress(NamedTuple):
    """How far a process is.

    Attributes:
        connected: Open connections.
        joined: Connections that were opened so far.
        refused: Handshakes that failed so far.
        attempted: Messages sent so far.
        received: Messages and answers that arrived so far.
        unanswered: Messages whose receipt is still to come.
    """

    connected: int = 0
    joined: int = 0
    refused: int = 0
    attempted: int = 0
    received: int = 0
    unanswered: int = 0


class Crew:
    """The participants of one process.

    Args:
        url: The stage's WebSocket URL.
        run: Name of the run, unique to it.
        interval: Length of an interval of the latency's timeline, in seconds.
        terms: What the stage is granted; times are scaled by ``TIMEOUT_FACTOR``.
    """

    def __init__(self, url: str, run: str, interval: float = 1.0, terms: Terms = TERMS) -> None:
        self._url = url
        self._terms = terms.scaled_by(TIMEOUT_FACTOR)
        ledger = Ledger(run, terms=self._terms, latency=Latency(interval))
        self._notes = Recorder(ledger, handshake_within=terms.patience)  # which the client scales
        self._participants: dict[int, Participant] = {}
        self._attempted = 0
        self._arrived = asyncio.Event()
        self._gate = asyncio.Semaphore(MOVEMENTS_AT_ONCE)
        self._sampling = asyncio.create_task(self._notes.ledger.latency.sample())

    async def join(self, arrivals: Sequence[Arrival]) -> dict[int, str]:
        """Connect all of them, each when it is due; return why those who were refused were."""
        refused: dict[int, str] = {}
        async with asyncio.TaskGroup() as group:
            for seat, room, due in arrivals:
                if seat not in self._participants:
                    self._participants[seat] = Participant(self._notes, room, f"client-{seat}")
                if (early := due - time.monotonic()) > 0:  # even sleeping for 0 s is a turn of the event loop
                    await asyncio.sleep(early)
                await self._gate.acquire()
                group.create_task(self._through_gate(self._join(seat, due, refused)))
        return refused

    async def _join(self, seat: int, due: float, refused: dict[int, str]) -> None:
        if reason := await self._participants[seat].join(self._url, due):
            refused[seat] = reason
        else:
            self._arrived.set()

    async def leave(self, seats: Sequence[int], farewell: Farewell) -> None:
        """Let all of them go, as fast as possible."""
        async with asyncio.TaskGroup() as group:
            for seat in seats:
                await self._gate.acquire()
                group.create_task(self._through_gate(self._participants[seat].leave(farewell)))

    async def _through_gate(self, movement: Awaitable[None]) -> None:
        try:
            await movement
        finally:
            self._gate.release()

    async def talk(self, schedule: Schedule) -> None:
        """Send all messages of a schedule, by turns from everyone who is connected.

        No message waits for the one before it. While nobody is connected, what is due waits, and so counts as late; if
        that takes too long, it counts as unsent.
        """
        speakers = self._speakers()
        async with asyncio.TaskGroup() as group:
            for number in range(schedule.messages):
                due = schedule.at + number * schedule.interval
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                group.create_task(self._let_somebody_say(speakers, due, schedule.size))

    async def _let_somebody_say(self, speakers: Iterator[Participant | None], due: float, size: int) -> None:
        try:
            async with asyncio.timeout(self._terms.patience):
                while (speaker := next(speakers)) is None:
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            self._notes.ledger.unsent += 1
            self._notes.first("no client was connected to send a message that was due")
            return
        self._attempted += 1
        try:
            async with asyncio.timeout(self._terms.patience):
                await speaker.say(due, size)
        except TimeoutError:  # the message counts as attempted, and stays unanswered
            self._notes.first("a client's connection took no message: the stage reads nothing")

    async def say(self, seat: int, due: float, size: int) -> str | None:
        """Send one message from a seat and wait for its receipt.

        Args:
            seat: Whose message it is.
            due: When it was meant to be sent, monotonic seconds.
            size: Characters of it.

        Returns:
            Why there was no receipt, or a bad one; None if all is well.
        """
        participant = self._participants[seat]
        if not participant.present:
            return NOT_CONNECTED
        self._attempted += 1
        answer = await participant.say(due, size)
        deadline = time.monotonic() + self._terms.patience
        while not answer.done() and time.monotonic() < deadline:
            await asyncio.wait({answer}, timeout=1)
            participant.notice_end()
        return answer.result() if answer.done() else "unanswered"

    def _speakers(self) -> Iterator[Participant | None]:
        """Yield everyone present by turns, for ever; None for each round in which nobody was."""
        while True:
            somebody = False
            for participant in list(self._participants.values()):
                if participant.present:
                    somebody = True
                    yield participant
            if not somebody:
                yield None

    async def settle(self) -> None:
        """Wait until every message was answered, or will not be, and nothing is on its way any more."""
        await self.answered(self._terms.patience)
        await self.quiet()

    async def answered(self, within: float) -> None:
        """Wait until every message was answered, or will not be because its connection has ended.

        Args:
            within: Seconds after which the wait ends all the same.
        """
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            self.absent()  # whose connection has ended has no answer to wait for
            if not self._unanswered:
                return
            await asyncio.sleep(0.05)

    async def quiet(self) -> None:
        """Wait until nothing has come for a while; a stage that sends for ever is not waited for."""
        await silence(lambda: self._notes.last_message_at, self._terms.transit)

    def ledger(self) -> Ledger:
        """Return everything noted so far, apart from the latency."""
        return self._notes.ledger.without_latency()

    def absent(self) -> list[int]:
        """Return the seats that nobody is connected from, whatever the reason."""
        for participant in self._participants.values():
            participant.notice_end()
        return [seat for seat, participant in self._participants.items() if not participant.present]

    def progress(self) -> Progress:
        """Say how far everything is."""
        connects = self._notes.connects
        return Progress(
            connected=self._connected,
            joined=connects.succeeded,
            refused=sum(connects.refused.values()),
            attempted=self._attempted,
            received=self._notes.messages,
            unanswered=self._unanswered,
        )

    async def finish(self) -> ProcessResult:
        """Stop measuring and hand over everything."""
        self.absent()
        self._sampling.cancel()
        await asyncio.wait({self._sampling})
        return ProcessResult(self._notes.ledger, self._notes.connects, [*self._notes.events.values()])

    @property
    def _connected(self) -> int:
        return sum(participant.present for participant in self._participants.values())

    @property
    def _unanswered(self) -> int:
        return sum(participant.unanswered for participant in self._participants.values())


async def silence(last_message_at: Callable[[], float], seconds: float) -> None:
    """Wait until no message has come for some seconds, or for five times as long if they never stop.

    Args:
        last_message_at: Returns when the last one came, monotonic seconds.
        seconds: How long the silence is to last.
    """
    deadline = time.monotonic() + 5 * seconds
    rest = seconds
    while rest > 0:
        rest = min(deadline, last_message_at() + seconds) - time.monotonic()
        await asyncio.sleep(max(0.0, rest))
