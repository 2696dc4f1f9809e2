"""Where the next handshake goes: the application's address, or one that the stage asked to move to."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlsplit

from websockets.exceptions import InvalidURI
from websockets.uri import parse_uri

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

Url: TypeAlias = "str | Sequence[str] | Callable[[Sequence[str]], str | Awaitable[str]]"
MOVES, WITHIN = 3, 600.0
"""Moves in so many seconds; a further one is ignored, because two stages might send a client to and fro for ever."""
ATTEMPTS = 2
"""Failures at an address to which the client was moved; then it returns to the application's."""


class Addresses:
    """Addresses of a stage.

    Raises:
        ValueError: An address is no WebSocket URL.
    """

    def __init__(self, url: Url, hosts: Sequence[str]) -> None:
        self._url: Sequence[str] | Callable[[Sequence[str]], str | Awaitable[str]]
        self._url = [url] if isinstance(url, str) else url
        self._hosts = hosts
        self._moved, self._failures, self._used = "", 0, ""
        self._moves: list[float] = []
        self._tried = 0
        if not callable(self._url) and not (self._url and all(map(_is_websocket, self._url))):
            raise ValueError("a stage's address begins with ws:// or wss://")

    async def next(self, rooms: Sequence[str]) -> str:
        """Return the address of the next handshake.

        Raises:
            ValueError: The application's function returned no WebSocket URL.
        """
        if self._moved:
            self._used = self._moved
        elif callable(self._url):
            found = self._url(rooms)
            self._used = await found if inspect.isawaitable(found) else found
            if not _is_websocket(self._used):
                raise ValueError("a stage's address begins with ws:// or wss://")
        else:
            self._used = self._url[self._tried % len(self._url)]
        return self._used

    def failed(self) -> None:
        """Count a failure: after two, the client returns from an address to which it was moved."""
        self._failures += 1
        if self._moved and self._failures >= ATTEMPTS:
            self._moved, self._failures = "", 0
        elif not self._moved:
            self._tried += 1

    def worked(self) -> None:
        """Forget failures."""
        self._failures = 0

    def may_move(self, url: str) -> bool:
        """Whether the stage may send this client to an address: to the same host, or to one that is allowed."""
        if not _is_websocket(url):
            return False
        old, new = urlsplit(self._used), urlsplit(url)
        host = new.hostname or ""
        named = [name.lower() for name in self._hosts]
        allowed = (
            host == old.hostname or host in named or any(name[:1] == "." and host.endswith(name) for name in named)
        )
        return allowed and new.scheme in {old.scheme, "wss"}

    def move(self, url: str, now: float) -> bool:
        """Use an address from now on, unless the client was moved too often; ``now`` is in seconds."""
        self._moves = [at for at in self._moves if now - at < WITHIN]
        if len(self._moves) >= MOVES:
            return False
        self._moves.append(now)
        self._moved, self._failures = url, 0
        return True


def _is_websocket(url: object) -> bool:
    if not isinstance(url, str) or not url.startswith(("ws://", "wss://")):
        return False
    try:
        # The codec refuses hosts that no name server can be asked for.
        return bool(parse_uri(url).host.encode("idna"))
    except (InvalidURI, ValueError):
        return False
