"""The client, as applications see it."""

from __future__ import annotations

import asyncio
import random as random_module
import secrets
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from roomcast_client.addresses import Addresses, Url
from roomcast_client.errors import Closed, NotAllowed, RoomcastError
from roomcast_client.options import Options, Random, Token
from roomcast_client.session import Session
from roomcast_client.sockets import encode
from roomcast_client.timers import CLOCK, Clock
from roomcast_client.values import Event, Json, Last, Members, Message, Receipt, Since, State

if TYPE_CHECKING:
    from ssl import SSLContext

Rooms: TypeAlias = "Iterable[str] | Mapping[str, Since | Last | None]"
RANDOM: Random = random_module.SystemRandom()


def connect(  # noqa: PLR0913 - each is an option of applications
    url: Url,
    *,
    rooms: Rooms = (),
    token: Token | None = None,
    order: bool = True,
    hosts: Sequence[str] = (),
    lifetime: tuple[float, float] = (5400.0, 6600.0),
    timeout: float | None = None,
    headers: Mapping[str, str] | None = None,
    ssl: SSLContext | None = None,
    clock: Clock = CLOCK,
    random: Random = RANDOM,
) -> Client:
    """Return a client, which connects once it is entered with ``async with``.

    Args:
        url: Address of the stage; several, tried in turn; or a function that is called for every connection with the
            names of its rooms.
        rooms: Rooms to join; as a mapping, each with a position, or with a wish for its last messages.
        token: Called for every connection; it returns the token for the header ``Authorization``, or None for none, and
            raises ``Unauthorized`` if nobody is signed in. A call that fails or takes 10 s is repeated later.
        order: Whether messages of a room are handed over in the order of their numbers, and sent one by one. Else they
            are handed over as they come, each once all the same.
        hosts: Further hosts to which the stage may move this client; ``.example.com`` allows all below that domain.
        lifetime: Bounds in seconds between which a connection is replaced by the next; API Gateway ends it after 2 h.
        timeout: Seconds within which ``async with`` must have an open client; None waits for ever.
        headers: Further headers of the handshake.
        ssl: TLS settings; None takes the system's.
        clock: Source of time.
        random: Source of random waits.

    Raises:
        ValueError: The address is no WebSocket URL, or a room, a position or a number of last messages cannot be.
    """
    session = Session(Addresses(url, hosts), Options(token, order, lifetime, headers, ssl, clock, random))
    wishes = rooms if isinstance(rooms, Mapping) else dict.fromkeys(rooms)
    for name, wish in wishes.items():
        since, last = (wish if isinstance(wish, Since) else None), (wish.count if isinstance(wish, Last) else 0)
        session.memberships.room(name, since, last)
    return Client(session, timeout)


class Client:
    """A connection to rooms of a stage that outlives its sockets.

    ``async with`` connects it and closes it; ``async for`` iterates over the messages of all rooms, until the client is
    closed. Several loops get each message each. Made by ``connect``.
    """

    def __init__(self, session: Session, timeout: float | None) -> None:
        self._session, self._timeout = session, timeout
        self._group = asyncio.TaskGroup()

    async def __aenter__(self) -> Client:
        """Connect, and wait until each room is joined or refused.

        Raises:
            Refused: The first handshake was answered 401 or 403, or the token cannot be sent.
            Unauthorized: The token function says so; a kind of ``Refused``.
            Kicked: The stage removed the client.
            TimeoutError: It took longer than ``timeout``.
        """
        await self._group.__aenter__()
        try:
            self._session.start(self._group)
            if self._timeout is None:
                await self._session.settled.wait()
            else:
                async with self._session.timers.within(self._timeout):
                    await self._session.settled.wait()
            self._session.raise_if_not_open()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the client and wait until its sockets are closed."""
        self._session.finish(Closed())
        # The group is given no error: it would wrap the application's, and cancel the closing of sockets.
        await self._group.__aexit__(None, None, None)

    def __aiter__(self) -> AsyncIterator[Message]:
        """Iterate over the messages of all rooms; see ``messages``."""
        return self.messages()

    @property
    def state(self) -> State:
        """The state: Connecting, Open, Rolling or Waiting, or finally Refused, Kicked or Closed."""
        return self._session.state

    @property
    def positions(self) -> Mapping[str, Since | None]:
        """The position in each room, to be stored and given to a later client; None in one without history."""
        return {name: room.position for name, room in self._session.memberships.rooms.items()}

    @property
    def present(self) -> Mapping[str, frozenset[str] | None]:
        """The identities in each room that tells who comes and goes; None where not all of them are known."""
        return self._session.attendances.present

    async def send(self, room: str, data: Json, *, id: str | None = None, to: str | None = None) -> Receipt:  # noqa: A002 - the protocol's name
        """Send a message and wait for the proof that it is stored, across as many sockets as that takes.

        Cancelling takes back what was not sent yet; what is on the wire may be stored all the same.

        Args:
            room: A room of this client.
            data: Any JSON value.
            id: Of 16 to 64 printable characters, which no other message of this sender in the room has; a message that
                is sent again under it is stored once. Default: a random one.
            to: One member alone: what ``sender`` of its messages shows.

        Raises:
            TooLarge: The whole frame is larger than the stage accepts.
            QueueFull: 100 messages or 1 MB are on their way without proof.
            OutcomeUnknown: No proof came within 8 minutes.
            NotAllowed: No such right, or this client is not in the room.
            Closed: The client was closed; ``Kicked`` and ``Refused`` in the same way.
            RoomcastError: The stage answered with another error; its ``code`` says which.
            TypeError: The data is no JSON value; ``ValueError`` for numbers and texts that JSON cannot hold.
        """
        number = secrets.token_hex(16) if id is None else id
        if not (16 <= len(number) <= 64 and number.isprintable()) or number in self._session.outbox.pending:
            raise RoomcastError(
                "an id has 16 to 64 printable characters, and is used once", code="invalid_id", room=room
            )
        direct = {} if to is None else {"to": to}
        frame = {"action": "sendmessage", "id": number, "room": room, **direct, "data": data}
        receipt: Receipt = await self._ask(room, number, frame, is_message=True)
        return receipt

    async def _ask(self, room: str, number: str, frame: dict[str, Any], *, is_message: bool) -> Any:  # noqa: ANN401 - a receipt or members
        self._session.raise_if_ended()
        joined = self._session.memberships.rooms.get(room)
        if joined is None:
            raise NotAllowed("this client is not in that room; join it", code="not_joined", room=room, id=number)
        if joined.refused:
            raise joined.refused.with_traceback(None)
        item = self._session.outbox.add(room, number, encode(frame), is_message=is_message)
        try:
            return await item.answer
        finally:
            self._session.outbox.withdraw(item)

    async def join(self, room: str, *, since: Since | None = None, last: int | None = None) -> Since | None:
        """Join a room and return the position in it; None in a room without history. Each join needs its own leave.

        Args:
            room: Name of the room.
            since: Position of an earlier client: what came after it is handed over.
            last: How many of the last messages are handed over, at most 100.

        Raises:
            NotAllowed: The token has no such right in that room.
            Closed: The client was closed; ``Kicked`` and ``Refused`` in the same way.
            RoomcastError: The stage answered with another error, such as ``too_many_rooms``.
            ValueError: There can be no such room, position or number of last messages.
        """
        self._session.raise_if_ended()
        return await self._session.memberships.join(room, since, last or 0)

    async def leave(self, room: str) -> None:
        """Take back one join; the last one leaves the room, after which nothing of it is handed over.

        Raises:
            Closed: The client was closed; ``Kicked`` and ``Refused`` in the same way.
        """
        self._session.raise_if_ended()
        await self._session.memberships.leave(room)

    async def who(self, room: str) -> Members:
        """Return who is in a room.

        Raises:
            NotAllowed: The token has no such right in that room, or this client is not in it.
            OutcomeUnknown: No answer came within 8 minutes.
            Closed: The client was closed; ``Kicked`` and ``Refused`` in the same way.
            RoomcastError: The stage answered with another error.
        """
        number = secrets.token_hex(16)
        members: Members = await self._ask(
            room, number, {"action": "who", "id": number, "room": room}, is_message=False
        )
        return members

    def messages(self, room: str | None = None) -> AsyncIterator[Message]:
        """Iterate over messages, of one room or of all, from now on, and over those that no loop has taken so far.

        Up to 1,000 messages wait for a loop; then a room with history stands still, and goes on by its log. The
        iterator ends when the client is closed, and raises ``Kicked`` or ``Refused`` if the stage ended it.
        """
        return self._session.messages.stream(room)

    def events(self) -> AsyncIterator[Event]:
        """Iterate over changes of state, recoveries, removals, presence, and errors that no call awaits."""
        return self._session.events.stream()

    def check(self) -> None:
        """Prove the socket, for example after the machine has slept: a dead one is replaced after 10 s."""
        self._session.check()

    def retry(self) -> None:
        """Make the next attempt now instead of waiting for it."""
        self._session.retry()

    async def close(self) -> None:
        """Close the client for good; what waits for proof fails with ``Closed``."""
        self._session.finish(Closed())
