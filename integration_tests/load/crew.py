"""Everybody in one process: joins, talks and leaves as told, and knows in the end what it saw."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from integration_tests.harness.deadlines import scaled
from integration_tests.harness.latency import Latency
from integration_tests.harness.ledger import Ledger
from integration_tests.load.participant import Participant
from integration_tests.report.model import Connects, Event

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator, Sequence

    from integration_tests.load.participant import Farewell

MOVEMENTS_AT_ONCE = 256
"""Handshakes and closes under way; more would only queue at the server. A handshake that waits for others counts
as late, because it is timed from when it was due."""
ANSWERS_WITHIN = 60.0
"""Seconds after the last message in which its receipt must have come; an integration ends after 29."""
NOT_CONNECTED = "not connected"
QUIET = 2.0
"""Seconds without any message after which nothing is on its way any more."""
QUEUED_WITHIN = 30.0
"""Seconds in which a message is delivered whose receipt only says that it is queued."""
SOMEBODY_WITHIN = 60.0
"""Seconds that a message waits for anybody to be connected who could send it."""


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


@dataclass
class Notes:
    """What the participants of a process write down together.

    Attributes:
        ledger: Every message and membership.
        connects: Handshakes.
        events: The first of each kind of thing that nobody wishes for.
        messages: Texts of any kind that arrived.
        last_message_at: When the last one did, monotonic seconds.
        settled_at: When every message so far is to be delivered, monotonic seconds.
    """

    ledger: Ledger
    connects: Connects = field(default_factory=Connects)
    events: dict[str, Event] = field(default_factory=dict)
    messages: int = 0
    last_message_at: float = 0.0
    settled_at: float = 0.0

    def received(self, at: float) -> None:
        """Note that any message at all came."""
        self.messages += 1
        self.last_message_at = at

    def acknowledged(self, at: float, *, queued: bool) -> float:
        """Note that a receipt came at ``at``; return when its message is to be delivered, monotonic seconds."""
        settled_at = at + scaled(QUEUED_WITHIN) if queued else at
        self.settled_at = max(self.settled_at, settled_at)
        return settled_at

    def first(self, label: str) -> None:
        """Mark the timeline where something happens for the first time."""
        self.events.setdefault(label, Event(time.monotonic(), label))


class Share(NamedTuple):
    """What one process contributes to the result.

    Attributes:
        ledger: Every message and membership.
        connects: Handshakes.
        events: The first of each kind of thing that nobody wishes for.
    """

    ledger: Ledger
    connects: Connects
    events: list[Event]


class Crew:
    """The participants of one process.

    Args:
        url: The stage's WebSocket URL.
        run: Name of the run, unique to it.
        interval: Length of an interval of the latency's timeline, in seconds.
    """

    def __init__(self, url: str, run: str, interval: float = 1.0) -> None:
        self._url = url
        self._notes = Notes(Ledger(run, transit=scaled(QUIET), latency=Latency(interval)))
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

        No message waits for the one before it. While nobody is connected, what is due waits, and so counts as late.

        Raises:
            TimeoutError: Nobody was connected for a long time.
        """
        speakers = self._speakers()
        async with asyncio.TaskGroup() as group:
            for number in range(schedule.messages):
                due = schedule.at + number * schedule.interval
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                group.create_task(self._let_somebody_say(speakers, due, schedule.size))

    async def _let_somebody_say(self, speakers: Iterator[Participant | None], due: float, size: int) -> None:
        async with asyncio.timeout(scaled(SOMEBODY_WITHIN)):
            while (speaker := next(speakers)) is None:
                self._arrived.clear()
                await self._arrived.wait()
        self._attempted += 1
        await speaker.say(due, size)

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
        deadline = time.monotonic() + scaled(ANSWERS_WITHIN)
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
        deadline = time.monotonic() + scaled(ANSWERS_WITHIN)
        while time.monotonic() < deadline:
            self.absent()  # whose connection has ended has no answer to wait for
            quiet = time.monotonic() - max(self._notes.last_message_at, self._notes.settled_at) > scaled(QUIET)
            if quiet and not self._unanswered:
                return
            await asyncio.sleep(0.1)

    def absent(self) -> list[int]:
        """Return the seats that nobody is connected from, whatever the reason."""
        for participant in self._participants.values():
            participant.notice_end()
        return [seat for seat, participant in self._participants.items() if not participant.present]

    def progress(self) -> Progress:
        """Say how far everything is."""
        connects = self._notes.connects
        return Progress(
            connected=sum(participant.present for participant in self._participants.values()),
            joined=connects.succeeded,
            refused=sum(connects.refused.values()),
            attempted=self._attempted,
            received=self._notes.messages,
            unanswered=self._unanswered,
        )

    async def finish(self) -> Share:
        """Stop measuring and hand over everything."""
        self.absent()
        self._sampling.cancel()
        await asyncio.wait({self._sampling})
        return Share(self._notes.ledger, self._notes.connects, [*self._notes.events.values()])

    @property
    def _unanswered(self) -> int:
        return sum(participant.unanswered for participant in self._participants.values())
