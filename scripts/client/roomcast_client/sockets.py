"""One WebSocket: its handshake, its frames in both directions, and whether it still lives."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from ssl import SSLContext

    from roomcast_client.rooms import Ask
    from roomcast_client.timers import Timers

FRAGMENT = 32_000
"""Bytes of a frame, below API Gateway's 32 KB; longer messages go in fragments."""
BUFFER = 65_536
"""Bytes that wait in this process; above, nothing more is written."""
PONG = 10.0
"""Seconds until a frame must come after a ``ping``."""
SILENCE = 30.0
"""Seconds without a frame after a message was sent; then a ``ping`` asks whether the socket lives."""
QUIET = 1.0
"""Seconds; a socket that had a frame since is not asked."""
CLOSING = 2.0
"""Seconds for the closing handshake, which a dead peer never answers."""
TOO_LARGE = 1009
"""Close code after a frame that is too large (RFC 6455)."""
SUBPROTOCOLS = [Subprotocol("roomcast.v1")]
LOGGER = logging.getLogger(__name__)
LOGGER.setLevel(logging.INFO)
"""With DEBUG, websockets logs the headers of handshakes, tokens included."""


class Handshake(connect):
    """A handshake that follows no redirect, as in browsers: the token is for this address alone."""

    def process_redirect(self, exc: Exception) -> Exception:
        """Return the redirect as a refusal."""
        return exc


async def dial(
    url: str, token: str | None, headers: Mapping[str, str] | None, ssl: SSLContext | None
) -> ClientConnection:
    """Open a WebSocket of ``roomcast.v1``.

    Raises:
        websockets.exceptions.InvalidHandshake: The server answered, but not with such a socket.
        OSError: There is no server.
    """
    authorization = {} if token is None else {"Authorization": f"Bearer {token}"}
    tls: dict[str, Any] = {} if ssl is None or not url.startswith("wss:") else {"ssl": ssl}
    return await Handshake(
        url,
        subprotocols=SUBPROTOCOLS,
        additional_headers={**(headers or {}), **authorization},
        compression=None,
        open_timeout=None,
        ping_interval=30,
        ping_timeout=20,
        close_timeout=CLOSING,
        write_limit=BUFFER,
        logger=LOGGER,
        **tls,
    )


class Socket:
    """An open socket.

    Args:
        connection: Of the package websockets.
        timers: Deadlines.
        dead: Called when no frame came after a ``ping``.
        positions: Returns the rooms and positions for a ``ping``.

    Attributes:
        joined: Rooms that have been joined on it.
        asks: Unanswered joins and leaves by room.
        is_expired: Whether the stage said that its token has expired.
        code: Code with which it was closed.
    """

    def __init__(
        self,
        connection: ClientConnection,
        timers: Timers,
        dead: Callable[[Socket], None],
        positions: Callable[[Socket], dict[str, Any]],
    ) -> None:
        self.joined: set[str] = set()
        self.asks: dict[str, Ask] = {}
        self.is_expired = self.knows_limits = False
        self.expires_at: float | None = None
        self._opened_at = self._last_at = timers.now()
        self._connection, self._timers, self._dead, self._positions = connection, timers, dead, positions
        self._outgoing: asyncio.Queue[str] = asyncio.Queue()
        self._pinging = False

    @property
    def code(self) -> int | None:
        """The code with which it was closed."""
        return self._connection.close_code

    async def read(self, take: Callable[[Socket, str | bytes], None]) -> None:
        """Hand over frames until the socket is closed."""
        try:
            async for text in self._connection:
                self._last_at, self._pinging = self._timers.now(), False
                self._timers.cancel(self, "pong")
                self._timers.cancel(self, "silence")
                take(self, text)
        except ConnectionClosed:
            return

    async def write(self) -> None:
        """Write what is sent, until the socket is closed."""
        try:
            while True:
                data = (await self._outgoing.get()).encode()
                fragments = [data[at : at + FRAGMENT] for at in range(0, len(data), FRAGMENT)]
                await self._connection.send(fragments if len(fragments) > 1 else data, text=True)
        except ConnectionClosed:
            return

    def send(self, text: str) -> None:
        """Send a message; silence after it is a reason to ask whether the socket lives."""
        self._outgoing.put_nowait(text)
        if self._timers.left(self, "silence") is None:
            self._timers.set(self, "silence", SILENCE, self.ping)

    def say(self, action: str, **fields: object) -> None:
        """Send any other frame."""
        self._outgoing.put_nowait(encode({"action": action, **fields}))

    def ping(self) -> None:
        """Ask whether the socket lives, and for the heads of its rooms, unless that was asked just now."""
        if not self._pinging:
            self._pinging = True
            self.say("ping", rooms=self._positions(self))
            self._timers.set(self, "pong", PONG, lambda: self._dead(self))

    def check(self) -> None:
        """Ask whether the socket lives, if nothing came for a second."""
        if self._timers.now() - self._last_at > QUIET:
            self.ping()

    def beat(self, heartbeat: float, random: Callable[[], float]) -> None:
        """Ask after every heartbeat in seconds, give or take a tenth, at most 20 s.

        Where no room has a position, a frame that comes meanwhile is as good as an answer.
        """
        spread = min(20.0, heartbeat / 10)

        def beat_after(quiet: float) -> None:
            wait = heartbeat + spread * (2 * random() - 1) - quiet
            self._timers.set(self, "heartbeat", wait, fire)

        def fire() -> None:
            quiet = self._timers.now() - self._last_at
            if any(self._positions(self).values()) or quiet >= heartbeat - spread:
                self.ping()
                quiet = 0.0
            beat_after(quiet)

        beat_after(0.0)

    async def close(self) -> None:
        """Close with code 1000."""
        self._timers.drop(self)
        try:
            await self._connection.close()
        finally:
            self._connection.transport.abort()

    def abort(self) -> None:
        """Cut the connection without waiting for its peer."""
        self._timers.drop(self)
        self._connection.transport.abort()

    def lived(self) -> float:
        """Return the seconds since the handshake."""
        return self._timers.now() - self._opened_at

    def asked(self, id: str | None, room: str | None) -> list[str]:  # noqa: A002 - the protocol's name
        """Return the rooms of which an answer speaks: one, or all that were asked with this id."""
        return [name for name, ask in self.asks.items() if ask.id == id and room in (None, name)]


class Sockets:
    """The sockets of a client.

    Attributes:
        main: The one in use.
        next: The one that will replace it, while it joins the rooms.
        old: The one that was replaced, while it carries messages.
    """

    def __init__(self) -> None:
        self.main: Socket | None = None
        self.next: Socket | None = None
        self.old: Socket | None = None

    @property
    def home(self) -> Socket | None:
        """The newest, on which rooms are joined."""
        return self.next or self.main

    def __iter__(self) -> Iterator[Socket]:
        """Iterate over those that are there."""
        return iter([socket for socket in (self.main, self.next, self.old) if socket])


def encode(frame: dict[str, Any]) -> str:
    """Return a frame as text.

    Raises:
        TypeError: It holds something that JSON has not.
        ValueError: Likewise.
    """
    return json.dumps(frame, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
