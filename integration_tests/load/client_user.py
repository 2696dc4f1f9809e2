"""One simulated client of a load run that is the Python client of ``roomcast.v1``; the ledger records it all."""

from __future__ import annotations

import asyncio
import math
import random
import time
from typing import TYPE_CHECKING, Any

from roomcast_client import CLOCK, RANDOM, Client, Closed, Kicked, Message, Recovered, Refused, RoomcastError
from roomcast_client.addresses import Addresses
from roomcast_client.options import Options

from integration_tests.harness import credentials
from integration_tests.harness.answers import object_of
from integration_tests.harness.ledger import NO_QUESTION, Number
from integration_tests.harness.quotes import beginning, printable
from integration_tests.load.links import Link, Numbers
from integration_tests.load.manner import PLANNED_LIFETIME, SPREAD
from integration_tests.load.observed_session import ObservedSession
from integration_tests.load.receipts import Receipts
from integration_tests.load.replies import problem_of
from integration_tests.load.virtual_user import TIMEOUT, CloseMode, reason_of
from integration_tests.report.recovery import COMPLETE
from scripts.waiting import scaled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from roomcast_client.rooms import Ask
    from roomcast_client.sockets import Socket
    from roomcast_client.values import Event

    from integration_tests.harness.ledger import Member
    from integration_tests.load.manner import Manner
    from integration_tests.load.recorder import Recorder

NO_ENVELOPE = "a text that is no frame of roomcast.v1"
UNASKED = "a frame that this client has not asked for"
NOT_IN_THE_ROOM = "not in the room"
"""Why a client that is connected cannot take part: the stage has refused its join."""
RETRY_WITHIN = 0.5
"""Seconds in which a message is sent again: some copies overtake the first one's receipt, some follow it."""


class ClientUser:
    """One simulated client, which keeps its place in its room across all of its connections.

    Args:
        recorder: Records everything.
        room: The client's room.
        name: The client's name, unique in the run.
        manner: How it behaves.
    """

    def __init__(self, recorder: Recorder, room: str, name: str, manner: Manner) -> None:
        self.room = room
        self.name = name
        self._manner = manner
        self._recorder = recorder
        self._ledger = recorder.ledger
        self._sender = recorder.ledger.sender(room, name)
        self._receipts = Receipts(self._sender, recorder.recovery)
        self._links: dict[Socket, Link] = {}
        self._known = Numbers()
        self._member: Member | None = None
        self._client: Client | None = None
        self._session: ObservedSession | None = None
        self._running: asyncio.Task[None] | None = None
        self._finished = asyncio.Event()
        self._gate = asyncio.Event()
        self._open = asyncio.Event()
        self._offline = asyncio.Event()
        self._parts_by = CloseMode.CLOSE
        self._parting: set[asyncio.Task[None]] = set()
        self._returning_at: float | None = None
        self._is_returning = False
        self._pages = self._filled = False
        self._has_identity = False

    @property
    def present(self) -> bool:
        """Whether the client can send."""
        session = self._session
        return self._gate.is_set() and session is not None and session.link(self.room) is not None

    @property
    def unanswered(self) -> int:
        """How many messages and copies have had no answer yet."""
        return self._receipts.unanswered

    @property
    def acknowledged(self) -> int:
        """How many messages of this client are stored, or reached the members."""
        return sum(self._sender.acknowledged(sequence) for sequence in range(len(self._sender.sent_at)))

    @property
    def retried(self) -> int:
        """How many messages of this client were sent again and had an answer to that."""
        return len(self._receipts.retried)

    @property
    def generation(self) -> int:
        """How many sockets the client has used, each one the heir of the one before."""
        return self._session.generation if self._session else 0

    async def join(self, url: str, due: float) -> str | None:
        """Connect, or return with the position of before; a refusal is recorded, not raised.

        Args:
            url: The stage's WebSocket URL.
            due: When the handshake was meant to begin, monotonic seconds; its time counts from here.

        Returns:
            Why it failed, if it did.
        """
        within = scaled(self._recorder.handshake_within)
        self._gate.set()
        if self._client is None or self._session is None or self._session.has_ended:
            reason = await self._begin(url, within)
        else:
            assert self._member is not None
            self._is_returning, self._returning_at = self._member.joined_at < math.inf, due
            self._client.retry()
            reason = await self._wait_until_open(within)
        if reason is None and self._member is not None and self._member.joined_at == math.inf:
            reason = NOT_IN_THE_ROOM
        if reason is not None:
            self._recorder.connects.attempted += 1
            self._count_refusal(reason)
        else:
            self._recorder.connects.times.record(time.monotonic() - due)
        return reason

    async def _begin(self, url: str, within: float) -> str | None:
        self._member = self._ledger.member(self.room, self.name)
        self._member.asked_at = time.monotonic()
        self._has_identity = credentials.token_for(url) is not None

        async def address(_: Sequence[str]) -> str:
            await self._gate.wait()
            return url

        async def token() -> str | None:
            return credentials.token_for(url)

        lifetime = ((1 - SPREAD) * PLANNED_LIFETIME, (1 + SPREAD) * PLANNED_LIFETIME)
        options = Options(token, in_order=True, lifetime=lifetime, headers=None, ssl=None, clock=CLOCK, random=RANDOM)
        self._session = ObservedSession(Addresses(address, []), options, self, self._manner.pace)
        self._session.memberships.room(self.room)
        self._client = Client(self._session, None)
        entered: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._running = asyncio.create_task(self._run(self._client, entered))
        try:
            async with asyncio.timeout(within):
                return await entered
        except TimeoutError:
            return TIMEOUT

    async def _run(self, client: Client, entered: asyncio.Future[str | None]) -> None:
        try:
            async with client:
                if not entered.done():
                    entered.set_result(None)
                await self._finished.wait()
        except (Refused, Kicked, Closed) as state:
            cause = state.__cause__
            if not entered.done():
                entered.set_result(reason_of(cause) if isinstance(cause, Exception) else state.code)
        except Exception as error:
            if entered.done():
                raise
            entered.set_exception(error)

    async def _wait_until_open(self, within: float) -> str | None:
        try:
            async with asyncio.timeout(within):
                await self._open.wait()
        except TimeoutError:
            return TIMEOUT
        return None

    async def say(self, due: float, size: int, words: str = "") -> None:
        """Send one message to the room, again if this client is to, and wait for the proof that it is stored.

        Args:
            due: When the schedule wanted it sent, monotonic seconds.
            size: Characters of its text; a text is never shorter than the ledger needs.
            words: Sent instead of such a text.
        """
        assert self._client is not None
        sequence, text = self._sender.attempt(due, time.monotonic(), size)
        if words:
            text = self._ledger.in_plain_words(text, words)
        message_id = self._receipts.expect(sequence)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._send(self._client, sequence, text, message_id))
            for _ in range(self._manner.copies):
                group.create_task(self._send_copy(sequence, text, message_id))

    async def _send(self, client: Client, sequence: int, text: str, message_id: str) -> None:
        try:
            await client.send(self.room, text, id=message_id)
        except Closed:  # the run has ended before
            return
        except RoomcastError as error:
            self._receipts.fail(sequence)
            self._recorder.first(f"answer: {printable(error.code)}")

    async def _send_copy(self, sequence: int, text: str, message_id: str) -> None:
        """Send a message once more after a moment, as an application does that is impatient."""
        await asyncio.sleep(random.uniform(0, RETRY_WITHIN))  # noqa: S311 - no secret
        assert self._session is not None
        pending = self._session.outbox.pending.get(message_id)
        if pending is not None and pending.first_at is None:  # it waits for the client's message before it
            await asyncio.wait({pending.answer})
        if (socket := self._session.link(self.room)) is not None:
            self._receipts.expect_copy(sequence)
            socket.say("sendmessage", id=message_id, room=self.room, data=text)

    async def leave(self, mode: CloseMode) -> None:
        """Go offline, if connected; the client comes back when it is told to join."""
        session, member = self._session, self._member
        self._parts_by = mode
        self._gate.clear()
        if session is None or member is None or not session.sockets:
            return
        member.leaving_at = min(member.leaving_at, time.monotonic())
        await asyncio.gather(*(self._part_with(socket) for socket in session.sockets))
        async with asyncio.timeout(scaled(self._recorder.handshake_within)):
            await self._offline.wait()

    async def _part_with(self, socket: Socket) -> None:
        self.closing(socket)
        if self._parts_by is CloseMode.CLOSE:
            await socket.close()
        else:
            socket.abort()

    def notice_end(self) -> None:
        """Do nothing: the session tells of each end."""

    async def finish(self) -> None:
        """Close the client for good."""
        if self._running is None or self._client is None:
            return
        if self._is_returning:
            self._recorder.recovery.unanswered += 1
        self._finished.set()
        await self._client.close()
        await self._running

    # What the session shows

    def opened(self, socket: Socket, asked_at: float) -> None:
        """Record a connection."""
        connection = self._ledger.connection(self.room, self.name)
        connection.asked_at, connection.joined_at = asked_at, time.monotonic()
        self._links[socket] = Link(connection)
        self._offline.clear()
        connects = self._recorder.connects
        connects.attempted += 1
        connects.succeeded += 1
        connects.late += connection.joined_at - asked_at > self._ledger.terms.late_after
        if not self._gate.is_set():  # the client was told to leave while this handshake was under way
            parting = asyncio.create_task(self._part_with(socket))
            self._parting.add(parting)
            parting.add_done_callback(self._parting.discard)

    def refused(self, reason: str) -> None:
        """Record a refused handshake; one that the closed gate held back is none."""
        if self._gate.is_set():
            self._recorder.connects.attempted += 1
            self._count_refusal(reason)

    def _count_refusal(self, reason: str) -> None:
        refused = self._recorder.connects.refused
        refused[reason] = refused.get(reason, 0) + 1
        self._recorder.first(f"handshake refused: {reason}")

    def closing(self, socket: Socket) -> None:
        """Record that the client closes a connection itself, and sends again what has no answer over it."""
        if (link := self._links.get(socket)) is not None:
            now = time.monotonic()
            link.connection.leaving_at = min(link.connection.leaving_at, now)
            self._receipts.end(now)

    def dismissed(self, socket: Socket) -> None:
        """Record that the stage ends a membership: the client has not asked for that, so the connection is broken."""
        assert self._member is not None
        now = time.monotonic()
        self._member.left_at = min(self._member.left_at, now)
        if (link := self._links.get(socket)) is not None:
            link.connection.left_at = min(link.connection.left_at, now)
        self._recorder.first("client taken out by the stage")

    def ended(self, socket: Socket) -> None:
        """Record the end of a connection."""
        if (link := self._links.pop(socket, None)) is None:
            return
        now = time.monotonic()
        link.connection.left_at = min(link.connection.left_at, now)
        self._receipts.end(now)
        if not self._links:
            self._offline.set()
        if link.connection.broken:
            self._recorder.first(f"connection ended by the other side, close code {socket.code}")

    def lost(self) -> None:
        """Record that the client is away: unless it comes back, it is owed nothing more."""
        assert self._member is not None
        now = time.monotonic()
        self._member.left_at = min(self._member.left_at, now)
        self._returning_at = now if self._returning_at is None else self._returning_at
        self._receipts.interrupt(min(self._member.leaving_at, now), self._ledger.terms.late_after)

    def rolled(self, generation: int) -> None:  # noqa: ARG002 - the observer's signature
        """Count a rollover."""
        self._recorder.recovery.rollovers += 1

    def ready(self, *, is_open: bool) -> None:
        """Let the tasks that wait for this client go on."""
        if is_open:
            self._open.set()
        else:
            self._open.clear()

    def heard(self, at: float) -> None:
        """Note that a frame came."""
        self._recorder.received(at)

    def strange(self, text: str, at: float) -> None:
        """Record a text that is no frame; API Gateway's own errors may be answers to messages, and name none."""
        assert self._member is not None
        if (problem := problem_of(object_of(text))) is None:
            self._ledger.stray(self._member, NO_ENVELOPE, text, at)
            return
        self._recorder.first(f"answer: {problem}")
        self._receipts.blame(text, at)
        self._record_unasked()

    def unrecorded(self, error: Exception, what: object, at: float) -> None:
        """Record that one of the methods here has raised an exception at what came."""
        assert self._member is not None
        self._recorder.unrecorded(self._member, error, str(what), at)

    def _record_unasked(self) -> None:
        """Record errors that have turned out to answer nothing."""
        assert self._member is not None
        for text, at in self._receipts.unasked():
            self._ledger.stray(self._member, NO_QUESTION, text, at)

    def posted(self, socket: Socket, slot: Mapping[str, Any], at: float) -> None:
        """Record a number that came, with its message, and whether it had come before."""
        link, member, data = self._links.get(socket), self._member, slot.get("data")
        if link is None or member is None:
            return  # behind the end of a socket that the client has given up
        if slot.get("room") != self.room or not (slot.get("void") or isinstance(data, str)):
            self._ledger.stray(member, NO_ENVELOPE, str(data), at)
            return
        number = Number(slot["epoch"], slot["seq"]) if "seq" in slot else None
        if number is not None:
            is_new = self._known.add(number)
            self._recorder.recovery.doubles_dropped += not is_new and not slot.get("void")
            self._filled |= is_new and bool(slot.get("replayed"))
            numbers = link.replayed if slot.get("replayed") else link.live
            if not numbers.add(number) and isinstance(data, str):
                self._ledger.receive(member, data, at, kept=True)  # twice over one socket, or in one replay
        if isinstance(data, str):
            self._ledger.posted(link.connection, data, number, kept=bool(slot.get("replayed")))

    def joined(self, socket: Socket, frame: Mapping[str, Any], ask: Ask | None) -> None:
        """Record the answer to a join: the first one, a return, or one that heals a gap."""
        now, member, link = time.monotonic(), self._member, self._links.get(socket)
        assert member is not None
        if ask is None or link is None or frame["room"] != self.room:
            return
        link.replayed = Numbers()
        member.joined_at = min(member.joined_at, now)
        if ask.returns:
            self._returned(frame, ask, now)
        elif not ask.is_first and self._filled and not self._pages:
            self._recorder.recovery.healed += 1
        self._pages, self._filled = bool(frame.get("more")), False

    def _returned(self, frame: Mapping[str, Any], ask: Ask, now: float) -> None:
        member, recovery = self._member, self._recorder.recovery
        assert member is not None
        position, is_complete = ask.position, frame.get("recovered") is True
        if position is None and not frame.keys() & {"epoch", "recovered"}:  # there is nothing to be recovered
            recovery.unlogged += 1
        else:
            answer = COMPLETE if is_complete else printable(str(frame.get("reason", "no_history")))
            recovery.answers[answer] += 1
        recovery.behind += position is not None and frame.get("head", frame.get("seq", 0)) > position.seq
        if not is_complete:
            member.gaps.append((min(member.leaving_at, member.left_at), now))
            self._returning_at = None
        member.leaving_at = member.left_at = math.inf
        self._is_returning = False

    def answered(self, frame: Mapping[str, Any], at: float) -> None:
        """Record a receipt."""
        if (mark := self._receipts.take(frame, at)) is not None:
            self._recorder.first(mark)
        self._record_unasked()

    def failed(self, frame: Mapping[str, Any], text: str, at: float, *, answers: bool) -> None:
        """Mark the first error of its kind, and record one that answers nothing; the client repeats messages."""
        assert self._member is not None
        self._recorder.first(f"answer: {printable(frame['code'])}")
        if answers:
            self._receipts.expect_repetition(frame)
        elif not self._receipts.take_error(frame):
            self._ledger.stray(self._member, NO_QUESTION, text, at)

    def unasked(self, text: str, at: float) -> None:
        """Record a frame that answers nothing, or is about another room."""
        assert self._member is not None
        self._ledger.stray(self._member, UNASKED, text, at)

    def handed_over(self, message: Message, at: float) -> None:
        """Record a message that the application is given."""
        assert self._member is not None
        if not isinstance(message.data, str):
            return  # recorded as it came
        kept = message.replayed and self._returning_at is not None
        stamp = self._ledger.receive(self._member, message.data, at, kept=kept, numbered=message.seq is not None)
        if stamp is None:
            return
        sender = self._ledger.sender(self.room, stamp.sender)
        if not self._has_identity:
            sender.call(message.sender)
        if not self._is_envelope_of(message, stamp.sender, stamp.sequence):
            found = beginning(str(message.id))
            sender.alter(stamp.sequence, f"{self.name} received it in an envelope with id {found!r}")

    def _is_envelope_of(self, message: Message, sender: str, sequence: int) -> bool:
        return message.id == f"{sequence:08}.{sender}" and bool(message.sender) and message.at > 0

    def told(self, event: Event, at: float) -> None:
        """Record that everything was handed over, or an error that answers no message."""
        if isinstance(event, Recovered) and event.complete and self._returning_at is not None:
            self._recorder.recovery.times.record(at - self._returning_at)
            self._returning_at = None
