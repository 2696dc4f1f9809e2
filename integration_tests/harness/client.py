"""A WebSocket client that keeps every message until the test has looked at it."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from websockets.exceptions import ConnectionClosed

from integration_tests.harness import credentials
from integration_tests.harness.handshakes import CLOSE_SECONDS, Handshake, options, reset
from scripts.stage_url import in_room
from scripts.waiting import scaled, waiting_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractContextManager

    from websockets.asyncio.client import ClientConnection
    from websockets.datastructures import HeadersLike
    from websockets.typing import Data

DELIVERY = 20.0
"""Seconds a message may take by default; generous, because tests look for losses, not for slowness."""
HANDSHAKE = 60.0
"""Seconds a handshake may take by default; ``$connect`` runs before the server answers."""


@dataclass(frozen=True, slots=True)
class Message:
    """One received message.

    Attributes:
        text: The payload. API Gateway and emulators differ in frame type, so binary frames are decoded too; bytes that
            are no UTF-8 become escapes, which no sent message contains.
        received_at: When it arrived, in seconds of ``time.monotonic()``.
    """

    text: str
    received_at: float


@dataclass(eq=False, slots=True)
class Client:
    """One connected client; made by :meth:`Client.connect`.

    Attributes:
        connection: The underlying connection of the ``websockets`` package.
        room: The room named in the handshake; None if the client named none.
        connected_at: End of the handshake, in seconds of ``time.monotonic()``.
        unread: Messages that the test has not taken yet, oldest first.
        on_message: Called with every message instead of keeping it in ``unread``.
        ended_at: When the connection was gone, in seconds of ``time.monotonic()``; infinite while it is open.
        left: Whether the test closed the connection or waited for its end; any other end is a fault.
    """

    connection: ClientConnection
    room: str | None
    connected_at: float
    unread: deque[Message] = field(default_factory=deque)
    on_message: Callable[[Message], None] | None = None
    ended_at: float = math.inf
    left: bool = False
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _reader: asyncio.Task[None] | None = None

    @classmethod
    async def connect(
        cls,
        url: str,
        room: str | None = None,
        *,
        subprotocols: Sequence[str] | None = None,
        headers: HeadersLike | None = None,
        on_message: Callable[[Message], None] | None = None,
        within: float = HANDSHAKE,
    ) -> Client:
        """Open a connection.

        Args:
            url: The stage's WebSocket URL, without a query if there is a room.
            room: Value of the ``room`` query parameter; None adds none.
            subprotocols: Offered ``Sec-WebSocket-Protocol`` values.
            headers: Further headers of the handshake; as pairs, a name may come several times.
            on_message: Called with every message, which is then not kept in :attr:`unread`.
            within: Seconds for the handshake; scaled by ``TIMEOUT_FACTOR``.

        Raises:
            ValueError: The URL has a query already, so the room cannot be added.
            websockets.exceptions.InvalidStatus: The handshake was refused.
            OSError: The server cannot be reached, or the handshake took longer than allowed.
        """
        address = in_room(url, room)
        with waiting_for(lambda: f"a handshake with {urlsplit(url).hostname}", scaled(within)):
            given = credentials.options(address, headers, subprotocols)
            connection = await Handshake(address, **given, **options(url, within))
        client = cls(connection, room, time.monotonic(), on_message=on_message)
        client._reader = asyncio.create_task(client._read())
        return client

    async def _read(self) -> None:
        take = self.on_message or self.unread.append
        try:
            async for data in self.connection:
                text = data if isinstance(data, str) else data.decode(errors="backslashreplace")
                take(Message(text, time.monotonic()))
                self._news.set()
        except ConnectionClosed:
            pass  # the close code stays readable on the connection
        finally:
            self.ended_at = time.monotonic()
            self._news.set()

    @property
    def is_open(self) -> bool:
        """Whether neither side has closed the connection."""
        return self._reader is not None and not self._reader.done()

    async def send_raw(self, data: Data | Iterable[Data]) -> None:
        """Send one message unchanged: text, bytes, or an iterable of fragments."""
        await self.connection.send(data)

    async def send(self, action: str, **members: Any) -> None:  # noqa: ANN401 - any JSON value
        """Send ``{"action": action, ...members}``."""
        await self.connection.send(json.dumps({"action": action, **members}))

    async def say(self, data: Any, **members: Any) -> None:  # noqa: ANN401 - any JSON value
        """Send ``data`` to the client's room."""
        await self.send("sendmessage", data=data, **members)

    async def receive(self, within: float = DELIVERY) -> Message:
        """Take the oldest unread message, waiting for one if there is none.

        Raises:
            AssertionError: No message came in time, or the connection closed before.
        """
        try:
            async with asyncio.timeout(scaled(within)):
                with self._waiting("a message", within):
                    await self._until_unread()
        except TimeoutError:
            raise AssertionError(f"{self} received nothing within {scaled(within):g} s") from None
        return self.unread.popleft()

    async def _until_unread(self) -> None:
        while not self.unread:
            if not self.is_open:
                self.check_reader()
                raise AssertionError(f"{self} was closed while it waited for a message")
            self._news.clear()
            await self._news.wait()

    async def expect(self, text: str, within: float = DELIVERY) -> Message:
        """Take the next message, which must be exactly ``text``.

        Raises:
            AssertionError: Another message came, or none in time.
        """
        message = await self.receive(within)
        assert message.text == text, f"{self} expected {text!r}, received {message.text!r}"
        return message

    async def receive_json(self, within: float = DELIVERY) -> Any:  # noqa: ANN401 - any JSON value
        """Take the next message, which must be JSON, and return its value."""
        return json.loads((await self.receive(within)).text)

    async def whoami(self) -> str:
        """Ask the stage for this client's connection id, while no other message is on its way."""
        await self.send("whoami")
        answer = await self.receive_json()
        connection_id: str = answer["whoami"]["connectionId"]
        return connection_id

    async def settle(self) -> None:
        """Wait for a pong; every message posted to this client before is in :attr:`unread` afterwards."""
        pong = await self.connection.ping()
        with self._waiting("a pong", DELIVERY):
            await asyncio.wait_for(pong, scaled(DELIVERY))

    def check_reader(self) -> None:
        """Make sure that every message that arrived could be read.

        Raises:
            AssertionError: Reading ended with an error, so later messages were not looked at.
        """
        if self._reader is not None and self._reader.done() and (error := self._reader.exception()):
            raise AssertionError(f"{self} could not read what it received") from error

    async def close(self, code: int = 1000) -> None:
        """Close with a closing handshake."""
        self.left = True
        await self.connection.close(code)
        await self._finish()

    async def abort(self) -> None:
        """Cut the connection as a crash does, by a TCP reset without a WebSocket close frame."""
        self.left = True
        reset(self.connection.transport)
        await self._finish()

    async def closed_by_server(self, within: float = DELIVERY) -> int | None:
        """Wait until the server has closed the connection and return its close code."""
        self.left = True
        with self._waiting("the server's close", within):
            await asyncio.wait_for(self.connection.wait_closed(), scaled(within))
        await self._finish()
        return self.connection.close_code

    def _waiting(self, what: str, within: float) -> AbstractContextManager[None]:
        return waiting_for(lambda: f"{what} ({self})", scaled(within))

    async def _finish(self) -> None:
        if self._reader is not None:
            await asyncio.wait({self._reader}, timeout=scaled(CLOSE_SECONDS))

    def __str__(self) -> str:
        """Name the client by room and by its local port, which server logs show."""
        address = self.connection.local_address
        return f"client :{address[1] if address else '?'} in room {self.room!r}"
