"""WebSocket handshakes as a browser makes them, with little memory for each connection."""

from __future__ import annotations

import ssl
from asyncio.sslproto import SSLProtocol
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.client import connect

TLS_READ_BUFFER = 16 * 1024
"""Bytes read at a time, and kept, for each ``wss`` connection: one TLS record. asyncio's own choice is 256 KiB."""

ASYNCIO_READ_BUFFER = SSLProtocol.max_size
"""asyncio's own choice, which measurements of memory compare with."""

SSLProtocol.max_size = TLS_READ_BUFFER


def address_options(url: str) -> dict[str, Any]:
    """Return options that avoid proxies to this machine and resolve ``.localhost`` to loopback (RFC 6761)."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    options: dict[str, Any] = {"ssl": _tls()} if parts.scheme == "wss" else {}
    if host.endswith(".localhost"):
        return {**options, "proxy": None, "host": "127.0.0.1"}
    if host in {"localhost", "127.0.0.1", "::1"}:
        return {**options, "proxy": None}
    return options


class Handshake(connect):
    """A handshake that follows no redirect, like those of browsers (https://websockets.spec.whatwg.org)."""

    def process_redirect(self, exc: Exception) -> Exception:
        """Return the redirect as a refusal."""
        return exc


@lru_cache(maxsize=1)  # a context of its own would cost each connection 15 KB and the reading of all certificates
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()
