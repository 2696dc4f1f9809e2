"""Miniature stages, one for each way to be wrong: WebSocket servers in a thread of this process.

    with miniature("mute") as url: ...

or, in a process of its own, which prints the URL and serves until standard input ends:

    python -m integration_tests.load.tests.miniatures mute

Each speaks Roomcast's protocol (``sendmessage`` with ``data`` and ``id``, ``whoami``, receipts, errors) and breaks one
rule of it on purpose. ``healthy`` breaks none. ``stage.py`` beside this file is for speed; this file is for behaviour.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http
import itertools
import json
import math
import queue
import sys
import threading
import time
import unicodedata
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State
from websockets.typing import Subprotocol  # noqa: TC002 - the dataclass looks it up

from scripts.waiting import scaled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence
    from contextlib import AbstractAsyncContextManager

    from websockets.http11 import Request, Response

PATH = "/live"
DELAY = 8.0
"""Seconds by which the slow stages are slow, unless told otherwise: too slow for a load run's default."""
CLOSE_WITHIN = 0.5
"""Seconds that a closing handshake may take when the stage ends: its clients are gone, or are meant to be."""


@dataclass(eq=False)
class Session:
    """One connection to a miniature stage.

    Attributes:
        connection: The WebSocket.
        connection_id: The answer to ``whoami``.
        room: The room asked for in the handshake.
        received: Messages that this member was sent so far.
    """

    connection: ServerConnection
    connection_id: str
    room: str
    received: int = 0


@dataclass
class Send:
    """One ``sendmessage``.

    Attributes:
        number: Counted from 1 over the whole stage.
        sender: The member that sent it.
        data: The text to deliver.
        message_id: The receipt asked for; None if none was.
        members: How many the room had when it came.
    """

    number: int
    sender: Session
    data: Any
    message_id: str | None
    members: int = 0


@dataclass
class Healthy:
    """A correct stage: every message reaches every member of its room once, and then its sender has a receipt.

    The other stages override a step of it.

    Args:
        delay: Seconds by which a slow stage is slow.
    """

    name: ClassVar[str] = "healthy"
    subprotocols: ClassVar[list[Subprotocol] | None] = None
    delay: float = DELAY
    rooms: defaultdict[str, dict[Session, None]] = field(default_factory=lambda: defaultdict(dict))
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _connection_ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Prepare the memory of a stage."""

    def admit(self, connection: ServerConnection, request: Request) -> Response | None:  # noqa: ARG002 - for overriding
        """Answer a handshake; None accepts it."""
        return None

    async def serve(self, connection: ServerConnection) -> None:
        """Serve one connection until it ends."""
        assert connection.request is not None
        query = parse_qs(urlsplit(connection.request.path).query)
        session = Session(
            connection, f"{next(self._connection_ids):015d}=", self.room_of(query.get("room", ["default"])[0])
        )
        self.rooms[session.room][session] = None
        try:
            await self.welcome(session)
            async for text in connection:
                await self.take(session, json.loads(text))
        except ConnectionClosed:
            pass
        finally:
            self.rooms[session.room].pop(session, None)

    def room_of(self, asked: str) -> str:
        """Return the room of a client that asked for one."""
        return asked

    async def welcome(self, session: Session) -> None:
        """Serve a member right after its handshake."""

    def answer_close(self, connection: ServerConnection) -> None:
        """Do something before a client's closing handshake is answered."""

    async def take(self, session: Session, message: dict[str, Any]) -> None:
        """Route one message by its action."""
        match message.get("action"):
            case "whoami":
                identity = {"connectionId": session.connection_id, "room": session.room}
                await self.tell(session, {"whoami": identity})
            case "sendmessage":
                members = len(self.rooms[session.room])
                await self.send(Send(next(self._numbers), session, message["data"], message.get("id"), members))
            case action:
                await self.tell(session, {"error": error_of("UNKNOWN_ACTION", f"there is no action {action!r}")})

    async def send(self, send: Send) -> None:
        """Deliver a message and send its receipt."""
        await self.deliver(send)
        await self.acknowledge(send)

    async def deliver(self, send: Send) -> None:
        """Deliver a message to all of its recipients."""
        for member in self.recipients(send):
            await self.post(member, send.data)

    def recipients(self, send: Send) -> list[Session]:
        """Return who gets a message."""
        return [*self.rooms[send.sender.room]]

    async def acknowledge(self, send: Send) -> None:
        """Send the receipt, if one was asked for."""
        if send.message_id is not None:
            await self.tell(send.sender, {"receipt": self.receipt(send)})

    def receipt(self, send: Send) -> dict[str, Any]:
        """Return the receipt of a message."""
        return {"id": send.message_id, "delivered": send.members, "gone": 0, "failed": 0}

    async def post(self, member: Session, data: Any) -> None:
        """Send a payload to one member; a text travels as it is, everything else as JSON."""
        member.received += 1
        await self.write(member, text_of(data))

    async def tell(self, session: Session, answer: dict[str, Any]) -> None:
        """Send an answer."""
        await self.write(session, json.dumps(answer, separators=(",", ":")))

    async def write(self, session: Session, text: str) -> None:
        """Send a frame; a client that has gone is skipped."""
        with contextlib.suppress(ConnectionClosed):
            await session.connection.send(text)

    def later(self, work: Callable[[], Any], after: float | None = None) -> None:
        """Do something in the background after the stage's delay, or after some seconds."""

        async def wait() -> None:
            await asyncio.sleep(self.delay if after is None else after)
            await work()

        task = asyncio.create_task(wait())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        """Listen on a free port of 127.0.0.1, which is given."""
        transports: set[asyncio.Transport] = set()
        answer_close = self.answer_close

        class Connection(ServerConnection):
            def send_data(self) -> None:
                if self.protocol.close_rcvd is not None:
                    answer_close(self)
                super().send_data()

            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                super().connection_made(transport)
                transports.add(self.transport)

            def connection_lost(self, exc: Exception | None) -> None:
                super().connection_lost(exc)
                transports.discard(self.transport)

        server = await serve(
            self.serve,
            "127.0.0.1",
            0,
            create_connection=Connection,
            process_request=self.admit,
            subprotocols=self.subprotocols,
            compression=None,
            ping_interval=None,
            close_timeout=CLOSE_WITHIN,
            max_size=None,
        )
        try:
            yield next(iter(server.sockets)).getsockname()[1]
        finally:
            for task in self._tasks:
                task.cancel()
            server.close()
            # A client in an event loop that waits for this thread answers no closing handshake: it is cut off then.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(server.wait_closed(), 2 * CLOSE_WITHIN)
            for transport in [*transports]:
                transport.abort()
            await asyncio.sleep(0)  # lets the transports close their sockets before the event loop ends


def text_of(data: Any) -> str:
    """Return the text of a frame with a payload."""
    return data if isinstance(data, str) else json.dumps(data, separators=(",", ":"))


def error_of(code: str, message: str) -> dict[str, Any]:
    """Return the content of an error as the handlers send it."""
    return {"code": code, "message": message, "requestId": "miniature"}


class Mute(Healthy):
    """Swallows every message: no delivery, no answer."""

    name = "mute"

    async def send(self, send: Send) -> None:
        """Do nothing."""


class MuteUntilTheStorm(Healthy):
    """Swallows every message until a client has left."""

    name = "mute-until-the-storm"
    _one_has_left: bool = False

    async def serve(self, connection: ServerConnection) -> None:
        """Serve, and note the end."""
        await super().serve(connection)
        self._one_has_left = True

    async def take(self, session: Session, message: dict[str, Any]) -> None:
        """Do nothing about a message before that."""
        if self._one_has_left or message.get("action") != "sendmessage":
            await super().take(session, message)


class Errors(Healthy):
    """Answers every message by one of the handlers' errors."""

    name = "error"

    async def send(self, send: Send) -> None:
        """Answer with an error, and deliver nothing."""
        await self.tell(send.sender, {"error": error_of("INTERNAL", "the message could not be sent")})


class InternalServerError(Healthy):
    """Answers every message as API Gateway does if ``sendmessage`` has no concurrency left."""

    name = "internal-server-error"

    async def send(self, send: Send) -> None:
        """Answer with API Gateway's own frame, and deliver nothing."""
        frame = {"connectionId": send.sender.connection_id, "requestId": "miniature"}
        await self.tell(send.sender, {"message": "Internal server error", **frame})


class Half(Healthy):
    """Swallows every second message."""

    name = "half"

    async def send(self, send: Send) -> None:
        """Serve the odd messages only."""
        if send.number % 2:
            await super().send(send)


class HalfOfTheMembers(Healthy):
    """Delivers to every second member, and says in the receipt that all have it."""

    name = "half-of-the-members"

    def recipients(self, send: Send) -> list[Session]:
        """Leave every second member out."""
        return super().recipients(send)[::2]


class HalfHonest(HalfOfTheMembers):
    """Delivers to every second member, and says so in the receipt."""

    name = "half-of-the-members-by-its-receipts"

    def receipt(self, send: Send) -> dict[str, Any]:
        """Count the recipients only."""
        return {**super().receipt(send), "delivered": -(-send.members // 2)}


class OneRoom(Healthy):
    """Ignores rooms: every message goes to all clients."""

    name = "one-room"

    def room_of(self, asked: str) -> str:  # noqa: ARG002 - it is ignored
        """Put all clients into one room."""
        return "the only one"


class Cut(Healthy):
    """Delivers the first half of each message."""

    name = "cut"

    async def post(self, member: Session, data: Any) -> None:
        """Cut the text in the middle."""
        await super().post(member, data[: len(data) // 2])


class Change(Healthy):
    """Changes one character of each message."""

    name = "change"

    async def post(self, member: Session, data: Any) -> None:
        """Change another character in each message: the n-th of the n-th delivery."""
        place = member.received % len(data)
        character = "x" if data[place] != "x" else "y"
        await super().post(member, data[:place] + character + data[place + 1 :])


class Append(Healthy):
    """Appends a line break to each message."""

    name = "append"

    async def post(self, member: Session, data: Any) -> None:
        """Append one character."""
        await super().post(member, f"{data}\n")


class Trim(Healthy):
    """Removes white space at both ends of each message."""

    name = "trim"

    async def post(self, member: Session, data: Any) -> None:
        """Strip the text."""
        await super().post(member, data.strip())


class Encode(Healthy):
    """Delivers each message as UTF-8 that was read as Latin-1 and written as UTF-8 again."""

    name = "encode"

    async def post(self, member: Session, data: Any) -> None:
        """Encode twice."""
        await super().post(member, data.encode().decode("latin-1"))


class Normalise(Healthy):
    """Delivers each message in Unicode's composed form (NFC)."""

    name = "normalise"

    async def post(self, member: Session, data: Any) -> None:
        """Compose letters and accents."""
        await super().post(member, unicodedata.normalize("NFC", data))


class Quote(Healthy):
    """Delivers each message as a JSON string, quotes included."""

    name = "quote"

    async def post(self, member: Session, data: Any) -> None:
        """Write the text as JSON."""
        await super().post(member, json.dumps(data))


class Swap(Healthy):
    """Delivers the second half of each message with the first half of the one before."""

    name = "swap"
    _before: str = ""

    async def deliver(self, send: Send) -> None:
        """Put two messages together."""
        before, self._before = self._before, send.data
        middle = len(send.data) // 2
        await super().deliver(replace(send, data=send.data[:middle] + before[middle:] if before else send.data))


class Slow(Healthy):
    """Answers at once, and delivers late."""

    name = "slow"

    async def deliver(self, send: Send) -> None:
        """Deliver after the delay."""
        self.later(lambda: super(Slow, self).deliver(send))


class SlowAnswers(Healthy):
    """Delivers at once, and answers late."""

    name = "slow-answers"

    async def acknowledge(self, send: Send) -> None:
        """Send the receipt after the delay."""
        self.later(lambda: super(SlowAnswers, self).acknowledge(send))


class Duplicate(Healthy):
    """Delivers every seventh message twice."""

    name = "duplicate"

    async def deliver(self, send: Send) -> None:
        """Deliver, sometimes again."""
        await super().deliver(send)
        if send.number % 7 == 0:
            await super().deliver(send)


class LateDuplicate(Healthy):
    """Delivers the last message of a room again, once, when its first member begins to close."""

    name = "late-duplicate"

    def __post_init__(self) -> None:
        """Prepare the memory."""
        self._last: dict[str, Any] = {}

    async def deliver(self, send: Send) -> None:
        """Deliver and remember."""
        self._last[send.sender.room] = send.data
        await super().deliver(send)

    def answer_close(self, connection: ServerConnection) -> None:
        """Deliver the remembered message to the others, who may leave as soon as this member is gone."""
        for room, members in self.rooms.items():
            if connection not in [member.connection for member in members]:
                continue
            data = self._last.pop(room, None)
            for member in [*members] if data else []:
                if member.connection.protocol.state is State.OPEN:
                    member.connection.protocol.send_text(text_of(data).encode())
                    member.connection.send_data()


class Leak(Healthy):
    """Delivers every seventh message to a client of another room too."""

    name = "leak"
    every = 7

    async def deliver(self, send: Send) -> None:
        """Deliver, sometimes elsewhere too."""
        await super().deliver(send)
        if self.leaks(send):
            elsewhere = next(
                (members for room, members in self.rooms.items() if room != send.sender.room and members), None
            )
            if elsewhere:
                await self.post(next(iter(elsewhere)), send.data)

    def leaks(self, send: Send) -> bool:
        """Whether this message goes to another room."""
        return send.number % self.every == 0


class LeakOnce(Leak):
    """Delivers one single message to a client of another room too."""

    name = "leak-once"

    def leaks(self, send: Send) -> bool:
        """Leak the seventh message only."""
        return send.number == self.every


class Reorder(Healthy):
    """Holds every second message of a room back until the next one was delivered."""

    name = "reorder"

    def __post_init__(self) -> None:
        """Prepare the memory."""
        self._held: dict[str, Send] = {}

    async def deliver(self, send: Send) -> None:
        """Deliver two messages in the wrong order."""
        room = send.sender.room
        if (held := self._held.pop(room, None)) is None:
            self._held[room] = send
            # The last one has no next: it goes after a moment.
            self.later(lambda: self._release(room, send), after=1.0)
            return
        await super().deliver(send)
        await super().deliver(held)

    async def _release(self, room: str, send: Send) -> None:
        if self._held.get(room) is send:
            del self._held[room]
            await super().deliver(send)


class NoReceipt(Healthy):
    """Delivers every message and answers none."""

    name = "no-receipt"

    async def acknowledge(self, send: Send) -> None:
        """Send nothing."""


class WrongReceipt(Healthy):
    """Says in each receipt that one member fewer has the message than is true."""

    name = "wrong-receipt"

    def receipt(self, send: Send) -> dict[str, Any]:
        """Count one too few."""
        receipt = super().receipt(send)
        return {**receipt, "delivered": receipt["delivered"] - 1}


class TooManyInReceipt(Healthy):
    """Says in each receipt that one member more has the message than there are."""

    name = "receipt-of-too-many"

    def receipt(self, send: Send) -> dict[str, Any]:
        """Count one too many."""
        receipt = super().receipt(send)
        return {**receipt, "delivered": receipt["delivered"] + 1}


class GoneInReceipt(Healthy):
    """Says in each receipt that a member was gone, besides those that have the message."""

    name = "receipt-of-gone"

    def receipt(self, send: Send) -> dict[str, Any]:
        """Invent a dead member."""
        return {**super().receipt(send), "gone": 1}


class FailedInReceipt(Healthy):
    """Says in each receipt that one delivery failed, although all took place."""

    name = "receipt-of-failures"

    def receipt(self, send: Send) -> dict[str, Any]:
        """Invent a failed delivery."""
        receipt = super().receipt(send)
        return {**receipt, "delivered": receipt["delivered"] - 1, "failed": 1}


class EmptyReceipt(Healthy):
    """Sends receipts without counts."""

    name = "receipt-without-counts"

    def receipt(self, send: Send) -> dict[str, Any]:
        """Return nothing but the id."""
        return {"id": send.message_id}


class SecondReceipt(Healthy):
    """Sends each receipt twice."""

    name = "second-receipt"

    async def acknowledge(self, send: Send) -> None:
        """Acknowledge again."""
        await super().acknowledge(send)
        await super().acknowledge(send)


class UnknownReceipt(Healthy):
    """Sends with each receipt one for a message that was never sent."""

    name = "unknown-receipt"

    async def acknowledge(self, send: Send) -> None:
        """Acknowledge the message, and one that does not exist."""
        await super().acknowledge(send)
        await super().acknowledge(replace(send, message_id=f"{send.message_id}-never"))


class ReceiptToAnother(Healthy):
    """Sends each receipt to another member of the room too."""

    name = "receipt-to-another"

    async def acknowledge(self, send: Send) -> None:
        """Acknowledge to two."""
        await super().acknowledge(send)
        other = next((each for each in self.recipients(send) if each is not send.sender), None)
        if other is not None:
            await super().acknowledge(replace(send, sender=other))


class ErrorBesides(Healthy):
    """Sends an error after each receipt."""

    name = "error-besides"

    async def acknowledge(self, send: Send) -> None:
        """Acknowledge, and answer with an error too."""
        await super().acknowledge(send)
        await self.tell(send.sender, {"error": error_of("INTERNAL", "the message could not be sent")})


class Echo(Healthy):
    """Delivers each message to its sender only."""

    name = "echo"

    def recipients(self, send: Send) -> list[Session]:
        """Return the sender."""
        return [send.sender]


class NotTheSender(Healthy):
    """Delivers each message to all members but its sender."""

    name = "not-the-sender"

    def recipients(self, send: Send) -> list[Session]:
        """Leave the sender out."""
        return [member for member in super().recipients(send) if member is not send.sender]


class DropSeventh(Healthy):
    """Delivers every seventh message to all members but the one that came first."""

    name = "drop-seventh"

    def recipients(self, send: Send) -> list[Session]:
        """Leave one member out, now and then."""
        return super().recipients(send)[1:] if send.number % 7 == 0 else super().recipients(send)


class Forget(Healthy):
    """Forgets a member after its third message, and leaves its connection open."""

    name = "forget"
    remembered = 3

    async def post(self, member: Session, data: Any) -> None:
        """Deliver, and take the member out of its room."""
        await super().post(member, data)
        if member.received >= self.remembered:
            self.rooms[member.room].pop(member, None)


class CloseAfterSome(Healthy):
    """Closes a connection after its third message."""

    name = "close-after-some"
    remembered = 3

    async def post(self, member: Session, data: Any) -> None:
        """Deliver, and close."""
        await super().post(member, data)
        if member.received >= self.remembered:
            self.rooms[member.room].pop(member, None)
            await self.end(member)

    async def end(self, member: Session) -> None:
        """Close the connection with a closing handshake, not waiting for its end."""
        self.later(member.connection.close, after=0)


class CutOffAfterSome(CloseAfterSome):
    """Cuts a connection off after its third message, without a close frame."""

    name = "cut-off-after-some"

    async def end(self, member: Session) -> None:
        """Reset the connection."""
        member.connection.transport.abort()


class CloseAtOnce(Healthy):
    """Accepts each handshake and closes the connection at once."""

    name = "close-at-once"

    async def welcome(self, session: Session) -> None:
        """Close."""
        await session.connection.close()


class Refuse(Healthy):
    """Refuses every handshake with status 403."""

    name = "refuse"

    def admit(self, connection: ServerConnection, request: Request) -> Response | None:  # noqa: ARG002
        """Refuse, as an authorizer that denies does."""
        return connection.respond(http.HTTPStatus.FORBIDDEN, '{"message":"Forbidden"}')


class RefuseSome(Healthy):
    """Refuses every fourth handshake with status 429."""

    name = "refuse-some"

    def admit(self, connection: ServerConnection, request: Request) -> Response | None:  # noqa: ARG002
        """Refuse every fourth."""
        if next(self._numbers) % 4 == 0:
            return connection.respond(http.HTTPStatus.TOO_MANY_REQUESTS, "")
        return None


class Hang(Healthy):
    """Accepts TCP connections and never answers a handshake."""

    name = "hang"

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        """Listen, read, and write nothing."""
        held: list[asyncio.StreamWriter] = []

        async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            held.append(writer)
            with contextlib.suppress(OSError):
                while await reader.read(1024):
                    pass
            writer.close()

        server = await asyncio.start_server(hold, "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            for writer in held:
                writer.transport.abort()
            await asyncio.sleep(0)  # lets the transports close their sockets before the event loop ends


class HangAfterHandshake(Healthy):
    """Accepts every handshake, and then reads nothing and writes nothing."""

    name = "hang-after-handshake"

    async def serve(self, connection: ServerConnection) -> None:
        """Wait for the end of the connection."""
        await connection.wait_closed()


class Garbage(Healthy):
    """Sends every member one more frame with each message, which is no message."""

    name = "garbage"

    async def post(self, member: Session, data: Any) -> None:
        """Deliver, and send something else."""
        await super().post(member, data)
        await self.write(member, '{"receipt": "not an object"}')


class EchoesToken(Healthy):
    """Sends its senders the token of their handshake, in every place where a stage's text may stand."""

    name = "echoes-token"

    async def send(self, send: Send) -> None:
        """Serve, and repeat the token."""
        token = token_of(send.sender)
        await super().send(replace(send, data=f"{token}{send.data}"))
        await self.tell(send.sender, {"receipt": {**self.receipt(send), "id": token}})
        await self.tell(send.sender, {"error": error_of(token, token)})
        await self.tell(send.sender, {"message": f"Forbidden {token}", "connectionId": "a=", "requestId": token})
        await self.write(send.sender, f"{token}, you came with {token}")


def token_of(session: Session) -> str:
    """Return the token that came with a handshake; another text if none did."""
    assert session.connection.request is not None
    return session.connection.request.headers.get("Authorization", "").removeprefix("Bearer ") or "no token"


class NoText(Healthy):
    """Sends every member bytes that are no UTF-8 with every message."""

    name = "no-text"

    async def post(self, member: Session, data: Any) -> None:
        """Deliver, and send bytes."""
        await super().post(member, data)
        with contextlib.suppress(ConnectionClosed):
            await member.connection.send(b"\xff\xfe")


class QueuedAndCounted(Healthy):
    """Says in each receipt that the message is only queued, and counts no member."""

    name = "queued-and-counted"

    def receipt(self, send: Send) -> dict[str, Any]:
        """Say both."""
        return {"id": send.message_id, "queued": True, "delivered": 0, "gone": 0, "failed": 0}


class UnprintableErrors(Healthy):
    """Delivers every message, and answers with an error of another long, unprintable code each time."""

    name = "unprintable-error"

    async def acknowledge(self, send: Send) -> None:
        """Answer with characters that neither UTF-8 nor XML nor a terminal takes."""
        code = f"\ud800\x00\x1b[2J\n{send.number}{'x' * 10_000}"
        await self.tell(send.sender, {"error": error_of(code, "the message could not be sent")})


class OldOnJoin(Healthy):
    """Delivers the first message of a room to clients that join it more than a second later."""

    name = "old-on-join"
    old = scaled(1.0)

    def __post_init__(self) -> None:
        """Prepare the memory."""
        self._first: dict[str, tuple[float, Any]] = {}

    async def deliver(self, send: Send) -> None:
        """Deliver and remember."""
        self._first.setdefault(send.sender.room, (time.monotonic(), send.data))
        await super().deliver(send)

    async def welcome(self, session: Session) -> None:
        """Deliver the old message."""
        at, data = self._first.get(session.room, (math.inf, ""))
        if time.monotonic() - at > self.old:
            await self.post(session, data)


class Redirect(Healthy):
    """Answers the handshake with a redirect to itself, which it would accept; browsers follow none."""

    name = "redirect"

    def admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """Redirect, once."""
        if "moved" in request.path:
            return None
        response = connection.respond(http.HTTPStatus.TEMPORARY_REDIRECT, "")
        response.headers["Location"] = f"{PATH}?moved=true"
        return response


class RedirectNowhere(Healthy):
    """Answers the handshake with a redirect to a text that is no URL."""

    name = "redirect-nowhere"

    def admit(self, connection: ServerConnection, request: Request) -> Response | None:  # noqa: ARG002
        """Redirect."""
        response = connection.respond(http.HTTPStatus.FOUND, "")
        response.headers["Location"] = "https://["
        return response


class SlowHandshake(Healthy):
    """Accepts each handshake late."""

    name = "slow-handshake"

    async def admit(self, connection: ServerConnection, request: Request) -> Response | None:  # type: ignore[override]
        """Accept after the delay."""
        await asyncio.sleep(self.delay)
        return super().admit(connection, request)


def _all(kind: type[Healthy]) -> Iterator[type[Healthy]]:
    yield kind
    for each in kind.__subclasses__():
        yield from _all(each)


MINIATURES: dict[str, type[Healthy]] = {kind.name: kind for kind in _all(Healthy)}
"""Every miniature stage by its name."""


@contextlib.contextmanager
def miniature(name: str, delay: float = DELAY) -> Iterator[str]:
    """Run a miniature stage in a thread, and give its WebSocket URL.

    Args:
        name: A key of ``MINIATURES``.
        delay: Seconds by which a slow stage is slow.
    """
    with served(MINIATURES[name](delay=delay)) as url:
        yield url


@contextlib.contextmanager
def served(stage: Healthy) -> Iterator[str]:
    """Run a stage in a thread, and give its WebSocket URL."""
    ports: queue.Queue[int | BaseException] = queue.Queue()
    stop = threading.Event()
    thread = threading.Thread(target=_run, args=(stage.listening(), ports, stop), name=stage.name)
    thread.start()
    try:
        port = ports.get()
        if isinstance(port, BaseException):
            raise port
        yield f"ws://127.0.0.1:{port}{PATH}"
    finally:
        stop.set()
        thread.join()


def _run(
    listening: AbstractAsyncContextManager[int], ports: queue.Queue[int | BaseException], stop: threading.Event
) -> None:
    async def listen() -> None:
        async with listening as port:
            ports.put(port)
            await asyncio.get_running_loop().run_in_executor(None, stop.wait)

    try:
        asyncio.run(listen())
    except OSError as error:  # no port: the caller waits for it, and raises this
        ports.put(error)


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(prog="miniatures", description="a stage that breaks one rule on purpose")
    parser.add_argument("name", choices=sorted(MINIATURES))
    parser.add_argument("--delay", type=float, default=DELAY, metavar="SECONDS", help="how slow a slow stage is")
    options = parser.parse_args(arguments)
    with miniature(options.name, options.delay) as url:
        print(url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
