"""Broken stages: each does one thing wrong from the first moment."""

from __future__ import annotations

import asyncio
import itertools
import json
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from websockets.asyncio.server import ServerConnection, serve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from websockets.http11 import Request, Response


def receipt(message: dict[str, Any], **outcome: Any) -> str:
    """Return the receipt for a message."""
    return json.dumps({"receipt": {"id": message["id"], **(outcome or {"delivered": 1, "gone": 0, "failed": 0})}})


ANSWERS: dict[str, Callable[[dict[str, Any]], list[str]]] = {
    "healthy": lambda message: [message["data"], receipt(message)],
    "queued": lambda message: [receipt(message, queued=True), message["data"]],
    "mute": lambda _: [],
    "no receipt": lambda message: [message["data"]],
    "nothing but a receipt": lambda message: [receipt(message)],
    "echo": lambda message: [json.dumps(message)],
    "error": lambda _: ['{"error":{"code":"unavailable","message":"try again","requestId":"r"}}'],
    "gateway error": lambda _: ['{"message":"Internal server error","connectionId":"c","requestId":"r"}'],
    "cut": lambda message: [message["data"][:-5], receipt(message)],
    "duplicate": lambda message: [message["data"], message["data"]],
    "two receipts": lambda message: [receipt(message), receipt(message)],
    "another's receipt": lambda message: [message["data"], receipt({"id": "another"})],
}
"""Answers to a message with an id, by the fault. Messages without an id get no answer."""


@asynccontextmanager
async def stage(kind: str) -> AsyncIterator[str]:
    """Run a stage of one kind: of ``ANSWERS``, or ``hang``, ``http``, ``refuse``, ``close`` or ``goes away``.

    Yields:
        Its URL.
    """
    if kind in {"hang", "http"}:
        server: Any = await asyncio.start_server(silence if kind == "hang" else plain_http, "127.0.0.1", 0)
    else:
        process_request = refuse if kind == "refuse" else FirstOnly() if kind == "goes away" else None
        server = await serve(handler_of(kind), "127.0.0.1", 0, process_request=process_request)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield f"ws://127.0.0.1:{port}/live"


def handler_of(kind: str) -> Callable[[ServerConnection], Any]:
    """Return the handler of a connection."""

    async def handle(connection: ServerConnection) -> None:
        async for data in connection:
            if kind == "close":
                await connection.close(1011)
                return
            message = json.loads(data)
            for answer in ANSWERS.get(kind, ANSWERS["healthy"])(message) if "id" in message else []:
                await connection.send(answer)

    return handle


def refuse(connection: ServerConnection, request: Request) -> Response:
    """Answer a handshake as API Gateway answers one to a stage that does not exist."""
    del request
    return connection.respond(HTTPStatus.FORBIDDEN, '{"message":"Forbidden"}')


class FirstOnly:
    """Answers the first handshake, and then as API Gateway answers while it cannot."""

    def __init__(self) -> None:
        self.handshakes = itertools.count()

    def __call__(self, connection: ServerConnection, request: Request) -> Response | None:
        """Refuse a handshake, or return None."""
        del request
        return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "") if next(self.handshakes) else None


async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read and say nothing, until the other side has gone."""
    while await reader.read(4096):
        pass
    writer.close()


async def plain_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer as a web server that knows nothing of WebSocket."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")
    await writer.drain()
    writer.close()
