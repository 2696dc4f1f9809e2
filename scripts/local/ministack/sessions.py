"""State of a WebSocket connection for the corrections, from the handshake to the end of its ``$disconnect``."""
# ruff: noqa: SLF001 - MiniStack is untyped and has no other hook

from __future__ import annotations

import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ministack.services import apigateway

from scripts.local.ministack.wrapping import replaces

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Message = dict[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]

CLOSED_BY_SERVER = (1000, "Connection Closed Normally")


@dataclass
class Session:
    """State of one connection.

    Attributes:
        scope: ASGI scope of the handshake.
        api_id: The API's id.
        stage: Name of the stage.
        connection_id: Empty until it is chosen.
        connected_at: Epoch milliseconds.
        is_open: The handshake was accepted and the connection has not ended.
        is_closed: The connection has ended.
        authorizer_error: Text of the error that the authorizer raised; empty without one.
        refusal: HTTP status and message for a refused handshake.
        subprotocol: Subprotocol from the ``$connect`` function, for the client.
        close: Close code and reason, for the client (if the server closes) and for ``$disconnect``.
        unsent: Bytes that were accepted for the client and not yet sent.
    """

    scope: dict[str, Any]
    api_id: str
    stage: str
    connection_id: str = ""
    connected_at: int = field(default_factory=lambda: int(time.time() * 1000))
    is_open: bool = False
    is_closed: bool = False
    authorizer_error: str = ""
    refusal: tuple[int, str] = (403, "Forbidden")
    subprotocol: str | None = None
    close: tuple[int, str] = CLOSED_BY_SERVER
    unsent: int = 0

    @property
    def record(self) -> dict[str, Any]:
        """MiniStack's record of the connection; empty before and after its life."""
        record: dict[str, Any] = apigateway._ws_connections.get(self.connection_id, {})
        return record

    def deliver(self, text: str) -> None:
        """Queue a text message for the client, or drop it if the connection has ended."""
        if record := self.record:
            self.unsent += len(text.encode())
            record["outbox"].put_nowait(text)

    def end(self, code: int, reason: str) -> None:
        """Close the connection from the server's side."""
        if record := self.record:
            self.close = (code, reason)
            record["close_event"].set()
            record["outbox"].put_nowait(None)  # wakes MiniStack's writer


current: ContextVar[Session] = ContextVar("session")
sessions: dict[str, Session] = {}


@replaces(apigateway, "handle_websocket")
async def handle_websocket(
    original: Callable[..., Awaitable[None]],
    scope: dict[str, Any],
    receive: Receive,
    send: Send,
    api_id: str,
    *,
    path_override: str,
) -> None:
    """Run MiniStack's connection with a session around it."""
    session = Session(scope, api_id, path_override.split("/")[1])
    token = current.set(session)

    async def tracked_receive() -> Message:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            session.is_closed = True
            session.close = (message["code"], message.get("reason") or "")
            if record := session.record:
                # Wakes MiniStack's writer, which otherwise notices the end of the connection only every half second.
                record["outbox"].put_nowait(None)
        return message

    async def tracked_send(message: Message) -> None:
        if message["type"] == "websocket.accept":
            session.is_open = True
            sessions[session.connection_id] = session
        elif message["type"] == "websocket.close" and session.is_open:
            session.is_closed = True
            message = {**message, "code": session.close[0], "reason": session.close[1]}
        await send(message)
        if message["type"] == "websocket.send":
            session.unsent -= len(message["text"].encode())

    try:
        await original(scope, tracked_receive, tracked_send, api_id, path_override=path_override)
    finally:
        sessions.pop(session.connection_id, None)
        current.reset(token)
