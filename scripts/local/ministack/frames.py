"""Limits on clients (frames of 32 KB, messages of 128 KB, text only), and the client's close code."""
# ruff: noqa: ANN401 - MiniStack is untyped and has no other hook
# mypy: disable-error-code="misc"

from __future__ import annotations

from typing import Any

import hypercorn.protocol.h11
from hypercorn.protocol.events import StreamClosed
from hypercorn.protocol.ws_stream import WSStream
from wsproto.connection import ConnectionState
from wsproto.events import BytesMessage, CloseConnection, Message, Ping, TextMessage

FRAME_BYTES = 32 * 1024
MESSAGE_BYTES = 128 * 1024
UNSUPPORTED_DATA = 1003
NO_CLOSE_FRAME = 1006
MESSAGE_TOO_BIG = 1009


def install() -> None:
    """Make Hypercorn use this stream for WebSocket connections."""
    hypercorn.protocol.h11.WSStream = Stream


class Stream(WSStream):
    """Hypercorn's WebSocket stream with API Gateway's limits."""

    closed: bool

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.frame_bytes = 0
        self.message_bytes = 0
        self.close: tuple[int, str] | None = None

    async def _accept(self, message: Any) -> None:
        """Accept without compression, which API Gateway does not negotiate; so a frame's size is its payload's."""
        self.handshake.extensions = None
        await super()._accept(message)

    async def handle(self, event: Any) -> None:
        """Pass the connection's close code and reason to the application."""
        if isinstance(event, StreamClosed) and not self.closed and self.app_put is not None:
            self.closed = True
            code, reason = self.close or (NO_CLOSE_FRAME, "")
            await self.app_put({"type": "websocket.disconnect", "code": code, "reason": reason})
        else:
            await super().handle(event)

    async def _handle_events(self) -> None:
        for event in self.connection.events():
            if isinstance(event, Message):
                await self._handle_data(event)
            elif isinstance(event, Ping):
                await self._send_wsproto_event(event.response())
            elif isinstance(event, CloseConnection):
                self.close = self.close or (int(event.code), event.reason or "")  # the server's own close comes first
                if self.connection.state == ConnectionState.REMOTE_CLOSING:
                    await self._send_wsproto_event(event.response())
                await self.send(StreamClosed(stream_id=self.stream_id))

    async def _handle_data(self, event: TextMessage | BytesMessage) -> None:
        """Pass on a complete message; close the connection at the first byte over a limit."""
        if self.close:  # data on its way from the client after the close
            return
        if code := self._refusal(event):
            self.close = (code, "")
            await self._send_wsproto_event(CloseConnection(code=code))
            return
        self.buffer.extend(event)
        if event.frame_finished:
            self.frame_bytes = 0
        if event.message_finished:
            self.message_bytes = 0
            await self.app_put(self.buffer.to_message())
            self.buffer.clear()

    def _refusal(self, event: TextMessage | BytesMessage) -> int | None:
        """Count the bytes of a part of a frame; return a close code if it violates a limit."""
        if isinstance(event, BytesMessage):
            return UNSUPPORTED_DATA
        size = len(event.data.encode())
        self.frame_bytes += size
        self.message_bytes += size
        return MESSAGE_TOO_BIG if self.frame_bytes > FRAME_BYTES or self.message_bytes > MESSAGE_BYTES else None
