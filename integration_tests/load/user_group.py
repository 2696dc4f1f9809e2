"""The simulated clients of one process: they connect, send and disconnect on command, and record all arrivals."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, NamedTuple

from integration_tests.harness.ledger import Ledger, Terms
from integration_tests.load.client_user import ClientUser
from integration_tests.load.manner import Manner
from integration_tests.load.recorder import Recorder
from integration_tests.load.terms import TERMS
from integration_tests.load.virtual_user import CloseMode, VirtualUser
from scripts.waiting import TIMEOUT_FACTOR

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator, Sequence

    from integration_tests.harness.latency import Latency

TEXT_MODE = Manner()
GENERATIONS = 3
"""Sockets that a client uses one after the other in a rollover: the third one is opened beside an heir of the first."""
LOOK_EVERY = 0.05
"""Seconds between two looks for answers."""
MOVEMENTS_AT_ONCE = 256
"""Handshakes and closes under way; more would only queue at the server. A handshake that waits for others counts
as late, because it is timed from when it was due."""


class Arrival(NamedTuple):
    """One client to connect: its seat number, its room, and when the handshake is due in monotonic seconds."""

    seat: int
    room: str
    due: float


class Schedule(NamedTuple):
    """Messages of one process, equally spaced; sending does not wait for answers.

    Attributes:
        at: When the first is due, monotonic seconds.
        interval: Seconds between two.
        messages: How many.
        size: Characters of each.
        words: Text of the only message, instead of one with a stamp; it may be sent once in a run.
    """

    at: float
    interval: float
    messages: int
    size: int
    words: str = ""


class Progress(NamedTuple):
    """How far a process is.

    Attributes:
        connected: Open connections.
        joined: Connections that were opened so far.
        refused: Handshakes that failed so far.
        attempted: Messages sent so far.
        received: Messages and answers that arrived so far.
        unanswered: Messages without a receipt so far.
        arrived: Clients that came into their rooms so far, as often as they did.
    """

    connected: int = 0
    joined: int = 0
    refused: int = 0
    attempted: int = 0
    received: int = 0
    unanswered: int = 0
    arrived: int = 0


class UserGroup:
    """The clients of one process.

    Args:
        url: The stage's WebSocket URL.
        run: Name of the run, unique to it.
        latency: Records the delivery times.
        terms: The times that the stage is granted, before they are scaled by ``TIMEOUT_FACTOR``.
        manner: How the clients behave.
    """

    def __init__(
        self,
        url: str,
        run: str,
        latency: Latency | None = None,
        terms: Terms = TERMS,
        manner: Manner = TEXT_MODE,
    ) -> None:
        self._url = url
        self._manner = manner
        self._terms = terms.scaled_by(TIMEOUT_FACTOR)
        ledger = Ledger(run, time.monotonic(), self._terms, latency)
        self._recorder = Recorder(ledger, handshake_within=terms.patience)  # which the client scales
        self._users: dict[int, VirtualUser | ClientUser] = {}
        self._attempted = self._arrived = 0
        self._connected_one = asyncio.Event()
        self._gate = asyncio.Semaphore(MOVEMENTS_AT_ONCE)
        self._sampling = asyncio.create_task(self._recorder.ledger.latency.sample())

    async def join(self, arrivals: Sequence[Arrival]) -> dict[int, str]:
        """Connect clients, each when it is due; return by seat why handshakes were refused."""
        refused: dict[int, str] = {}
        async with asyncio.TaskGroup() as group:
            for seat, room, due in arrivals:
                if seat not in self._users:
                    self._users[seat] = self._user(room, f"client-{seat}")
                if (early := due - time.monotonic()) > 0:  # even sleeping for 0 s is a turn of the event loop
                    await asyncio.sleep(early)
                await self._gate.acquire()
                group.create_task(self._through_gate(self._join(seat, due, refused)))
        return refused

    def _user(self, room: str, name: str) -> VirtualUser | ClientUser:
        if self._manner.speaks_v1:
            return ClientUser(self._recorder, room, name, self._manner)
        return VirtualUser(self._recorder, room, name)

    async def _join(self, seat: int, due: float, refused: dict[int, str]) -> None:
        if reason := await self._users[seat].join(self._url, due):
            refused[seat] = reason
        else:
            self._arrived += 1
            self._connected_one.set()

    async def leave(self, seats: Sequence[int], mode: CloseMode) -> None:
        """Disconnect clients, as fast as possible; in text mode, once what they have sent so far is answered or late.

        So a client takes only the answers with it to messages that it sends during this wait, which is short on a stage
        that answers; a stage that does not is not excused by the departure. A client of ``roomcast.v1`` takes none with
        it, because it sends again when it is back.
        """
        await self._heard([user for seat in seats if isinstance(user := self._users[seat], VirtualUser)])
        async with asyncio.TaskGroup() as group:
            for seat in seats:
                await self._gate.acquire()
                group.create_task(self._through_gate(self._users[seat].leave(mode)))

    async def _heard(self, users: Sequence[VirtualUser]) -> None:
        """Wait until what these clients have sent so far is answered, or late, or cannot be answered any more."""
        asked_at = time.monotonic()
        late_after = min(self._terms.late_after, self._terms.patience)
        while True:
            users = [user for user in users if user.awaits(time.monotonic() - late_after, asked_at)]
            if not users:
                return
            await asyncio.sleep(LOOK_EVERY)

    async def leave_all(self) -> None:
        """Disconnect all clients with closing handshakes."""
        await self.leave([*self._users], CloseMode.CLOSE)

    async def _through_gate(self, movement: Awaitable[None]) -> None:
        try:
            await movement
        finally:
            self._gate.release()

    async def talk(self, schedule: Schedule) -> None:
        """Send all messages of a schedule, by turns from every connected client.

        No message waits for the one before it. While no client is connected, messages wait and so count as late; after
        ``patience`` they count as unsent.
        """
        speakers = self._speakers()
        async with asyncio.TaskGroup() as group:
            for number in range(schedule.messages):
                due = schedule.at + number * schedule.interval
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                group.create_task(self._send_from_next(speakers, due, schedule))

    async def _send_from_next(
        self, speakers: Iterator[VirtualUser | ClientUser | None], due: float, schedule: Schedule
    ) -> None:
        try:
            async with asyncio.timeout(self._terms.patience):
                while (speaker := next(speakers)) is None:
                    self._connected_one.clear()
                    await self._connected_one.wait()
        except TimeoutError:
            self._recorder.ledger.unsent += 1
            self._recorder.first("no client was connected to send a message that was due")
            return
        self._attempted += 1
        try:
            async with asyncio.timeout(self._terms.patience):
                await speaker.say(due, schedule.size, schedule.words)
        except TimeoutError:  # the message counts as attempted, and stays unanswered
            self._recorder.first("a client's connection took no message: the stage reads nothing")

    def _speakers(self) -> Iterator[VirtualUser | ClientUser | None]:
        """Yield connected clients by turns, without end; None for each round in which there was none."""
        while True:
            found = False
            for user in list(self._users.values()):
                if user.present:
                    found = True
                    yield user
            if not found:
                yield None

    async def settle(self) -> None:
        """Wait until every message was answered, or cannot be, and nothing is on its way any more."""
        await self.answered(self._terms.patience)
        await self.quiet()

    async def answered(self, within: float, *, but: int = 0) -> None:
        """Wait until every message was answered, or cannot be because its connection has ended.

        Args:
            within: Seconds after which the wait ends all the same.
            but: As many messages may still be without an answer.
        """
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            self.absent()  # drops the messages of connections that have ended
            if self._unanswered <= but:
                return
            await asyncio.sleep(LOOK_EVERY)

    async def quiet(self) -> None:
        """Wait until no message has come for ``transit`` seconds, or five times as long if they never stop."""
        transit = self._terms.transit
        deadline, rest = time.monotonic() + 5 * transit, transit
        while rest > 0:
            rest = min(deadline, self._recorder.last_message_at + transit) - time.monotonic()
            await asyncio.sleep(max(0.0, rest))

    def ledger(self) -> Ledger:
        """Return everything recorded so far, apart from the latency."""
        return self._recorder.ledger.without_latency()

    def present(self) -> list[int]:
        """Return the seats of clients that are connected."""
        return sorted(self._users.keys() - self.absent())

    def absent(self) -> list[int]:
        """Return the seats of clients that were told to join and are not connected, for any reason."""
        for user in self._users.values():
            user.notice_end()
        return [seat for seat, user in self._users.items() if not user.present]

    def acknowledged(self) -> dict[int, int]:
        """Return by seat how many messages of a client of ``roomcast.v1`` were acknowledged."""
        return {seat: user.acknowledged for seat, user in self._clients.items()}

    def generation(self) -> int:
        """Return how many sockets every client of ``roomcast.v1`` has used at least, one after the other."""
        return min((user.generation for user in self._clients.values()), default=0)

    @property
    def _clients(self) -> dict[int, ClientUser]:
        return {seat: user for seat, user in self._users.items() if isinstance(user, ClientUser)}

    def progress(self) -> Progress:
        """Return how far this process is."""
        connects = self._recorder.connects
        return Progress(
            connected=sum(user.present for user in self._users.values()),
            joined=connects.succeeded,
            refused=sum(connects.refused.values()),
            attempted=self._attempted,
            received=self._recorder.messages,
            unanswered=self._unanswered,
            arrived=self._arrived,
        )

    async def finish(self) -> Recorder:
        """Stop measuring and return everything."""
        self.absent()
        recovery = self._recorder.recovery
        for user in self._clients.values():
            recovery.in_third_generation += user.generation >= GENERATIONS
            recovery.retried += user.retried
        await asyncio.gather(*(user.finish() for user in self._clients.values()))
        self._sampling.cancel()
        await asyncio.wait({self._sampling})
        return self._recorder

    @property
    def _unanswered(self) -> int:
        return sum(user.unanswered for user in self._users.values())
