"""WebSocket handshakes as a browser makes them, with little memory for each connection."""

from __future__ import annotations

import logging
import socket
import ssl
import struct
from asyncio.sslproto import SSLProtocol
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from websockets.asyncio.client import connect

from scripts.waiting import scaled

if TYPE_CHECKING:
    import asyncio

TLS_READ_BUFFER = 16 * 1024
"""Bytes read at a time, and kept, for each ``wss`` connection: one TLS record. asyncio's own choice is 256 KiB."""

CLOSE_SECONDS = 10.0
"""Seconds that a server has to answer a closing handshake; then the connection is dropped."""

ASYNCIO_READ_BUFFER = SSLProtocol.max_size
"""asyncio's own choice, which measurements of memory compare with."""

SSLProtocol.max_size = TLS_READ_BUFFER

LOGGER = logging.getLogger(__name__)
LOGGER.setLevel(logging.INFO)
"""With DEBUG, `websockets` would log every header of a handshake, a token's included."""


def options(url: str, within: float) -> dict[str, Any]:
    """Return the options of every handshake.

    Args:
        url: The stage's WebSocket URL.
        within: Seconds for the handshake; scaled by ``TIMEOUT_FACTOR``.
    """
    return {
        "compression": None,  # API Gateway negotiates none; it would only cost memory
        "ping_interval": None,
        "open_timeout": scaled(within),
        "close_timeout": scaled(CLOSE_SECONDS),
        "user_agent_header": "roomcast-integration-tests",
        "logger": LOGGER,
        **_address_options(url),
    }


def _address_options(url: str) -> dict[str, Any]:
    """Return options that avoid proxies to this machine and resolve ``.localhost`` to loopback (RFC 6761)."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    tls: dict[str, Any] = {"ssl": _tls()} if parts.scheme == "wss" else {}
    if host.endswith(".localhost"):
        return {**tls, "proxy": None, "host": "127.0.0.1"}
    if host in {"localhost", "127.0.0.1", "::1"}:
        return {**tls, "proxy": None}
    return tls


class Handshake(connect):
    """A handshake that follows no redirect, like those of browsers (https://websockets.spec.whatwg.org)."""

    def process_redirect(self, exc: Exception) -> Exception:
        """Return the redirect as a refusal."""
        return exc


@lru_cache(maxsize=1)  # a context of its own would cost each connection 15 KB and the reading of all certificates
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def reset(transport: asyncio.Transport) -> None:
    """Cut a connection as a crash does, by a TCP reset without a WebSocket close frame."""
    if not transport.is_closing():
        raw: socket.socket = transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
