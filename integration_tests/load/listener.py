"""A WebSocket client for load runs: the least memory and CPU for each connection, and for each message it hears.

The ``websockets`` package makes the handshake, TLS and proxies included. After it this protocol takes the connection
over: it reads and writes RFC 6455's frames itself, without a task, a queue or a parser for each connection.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from websockets.exceptions import ConnectionClosedError
from websockets.frames import CloseCode, Frame, Opcode

from integration_tests.harness import credentials
from integration_tests.harness.handshakes import CLOSE_SECONDS, Handshake, options, reset
from integration_tests.load.frames import MAXIMUM_MESSAGE_BYTES, ProtocolViolationError, long_length
from integration_tests.load.opening import Opening
from scripts.stage_url import in_room
from scripts.waiting import scaled, waiting_for

if TYPE_CHECKING:
    from collections.abc import Callable

_WHOLE_TEXT = 0x80 | Opcode.TEXT


class Listener(asyncio.Protocol):
    """One connected client; made by :meth:`connect`.

    Args:
        on_message: Called with the text of every message and its time of arrival, in seconds of ``time.monotonic()``.
            Binary messages are decoded, too; bytes that are no UTF-8 become escapes.

    Attributes:
        connected_at: End of the handshake, in seconds of ``time.monotonic()``.
        ended_at: When the connection was gone, in seconds of ``time.monotonic()``; infinite while it is open.
        close_code: Code of the server's close frame, 1006 if it sent none, or the one that the client closed with.
    """

    __slots__ = (
        "_fragments",
        "_gone",
        "_is_closing",
        "_on_message",
        "_rest",
        "_transport",
        "_writable",
        "close_code",
        "connected_at",
        "ended_at",
    )

    def __init__(self, on_message: Callable[[str, float], None]) -> None:
        self._on_message = on_message
        self._transport: asyncio.Transport | None = None
        self._rest = b""
        self._fragments: tuple[int, bytes] | None = None
        self._gone: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._is_closing = False
        self.connected_at = math.inf
        self.ended_at = math.inf
        self.close_code = CloseCode.ABNORMAL_CLOSURE.value

    @classmethod
    async def connect(
        cls, url: str, room: str | None, on_message: Callable[[str, float], None], within: float
    ) -> Listener:
        """Open a connection.

        Args:
            url: The stage's WebSocket URL, without a query if there is a room.
            room: Value of the ``room`` query parameter; None adds none.
            on_message: As for the class.
            within: Seconds for the handshake; scaled by ``TIMEOUT_FACTOR``.

        Raises:
            ValueError: The URL has a query already, so the room cannot be added.
            websockets.exceptions.InvalidHandshake: The handshake was refused.
            websockets.exceptions.ConnectionClosedError: The connection ended with the handshake.
            OSError: The server cannot be reached, or the handshake took longer than allowed.
        """
        address = in_room(url, room)
        with waiting_for(lambda: f"a handshake with {urlsplit(url).hostname}", scaled(within)):
            given = credentials.options(address)
            opening = await Handshake(address, create_connection=Opening, **given, **options(url, within))
        assert isinstance(opening, Opening)
        listener = cls(on_message)
        listener._take_over(opening)
        return listener

    def _take_over(self, opening: Opening) -> None:
        if opening.transport.is_closing():
            raise ConnectionClosedError(None, None)
        self._transport = opening.transport
        self.connected_at = time.monotonic()
        self._transport.set_protocol(self)
        opening.protocol.receive_eof()  # ends its parser, which would stay until the garbage collector found it
        if opening.behind:
            self.data_received(opening.behind)

    @property
    def is_open(self) -> bool:
        """Whether neither side has closed the connection."""
        return self.ended_at == math.inf

    # Reading.

    def data_received(self, data: bytes) -> None:
        """Take whole frames out of the bytes."""
        at = time.monotonic()
        if self._rest:
            data = self._rest + data
        start, size = 0, len(data)
        try:
            while size - start >= 2:
                length, body = data[start + 1], start + 2
                if length > 125:
                    length, body = long_length(data, start)
                end = body + length
                if end > size:
                    break
                if data[start] == _WHOLE_TEXT and self._fragments is None:
                    self._on_message(data[body:end].decode(), at)
                else:
                    self._frame(data[start], data[body:end], at)
                    if self._transport is None or self._transport.is_closing():
                        return
                start = end
        except UnicodeDecodeError:
            self._fail(CloseCode.INVALID_DATA)
        except ProtocolViolationError as violation:
            self._fail(violation.code)
        else:
            self._rest = data[start:]

    def _frame(self, first: int, payload: bytes, at: float) -> None:
        """Take a frame that is not a whole text: a fragment, binary data or a control frame."""
        is_final, opcode = first & 0x80, first & 0x7F
        if opcode in {Opcode.PING, Opcode.PONG, Opcode.CLOSE} and (not is_final or len(payload) > 125):
            raise ProtocolViolationError(CloseCode.PROTOCOL_ERROR)
        if opcode == Opcode.PING:
            self._write(Opcode.PONG, payload)
        elif opcode == Opcode.CLOSE:
            self._closed(payload)
        elif opcode != Opcode.PONG:
            self._fragment(is_final, opcode, payload, at)

    def _fragment(self, is_final: int, opcode: int, payload: bytes, at: float) -> None:
        if (opcode == Opcode.CONT) == (self._fragments is None) or opcode > Opcode.BINARY:
            raise ProtocolViolationError(CloseCode.PROTOCOL_ERROR)
        opcode, before = self._fragments or (opcode, b"")
        data = before + payload
        if len(data) > MAXIMUM_MESSAGE_BYTES:
            raise ProtocolViolationError(CloseCode.MESSAGE_TOO_BIG)
        self._fragments = None if is_final else (opcode, data)
        if is_final:
            self._on_message(data.decode(errors="strict" if opcode == Opcode.TEXT else "backslashreplace"), at)

    def _closed(self, payload: bytes) -> None:
        """Answer the server's close frame, or take its answer to ours; then the connection ends."""
        assert self._transport is not None
        if not self._is_closing:
            self.close_code = int.from_bytes(payload[:2], "big") or CloseCode.NO_STATUS_RCVD.value
            self._write(Opcode.CLOSE, payload[:2])
            self._is_closing = True
        self._transport.close()

    def _fail(self, code: CloseCode) -> None:
        """End the connection because the server broke the protocol."""
        assert self._transport is not None
        self._rest = b""
        self.close_code = code.value
        self._write(Opcode.CLOSE, code.to_bytes(2, "big"))
        self._is_closing = True
        self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - any end is one
        """Note the end."""
        self.ended_at = time.monotonic()
        for waiting in (self._gone, self._writable):
            if waiting is not None and not waiting.done():
                waiting.set_result(None)

    # Writing.

    async def say(self, data: str, *, id: str) -> None:  # noqa: A002 - the member's name on the wire
        """Send ``data`` to the client's room and ask for a receipt; returns when the system has taken the message.

        Raises:
            websockets.exceptions.ConnectionClosedError: The connection has ended.
        """
        self._check_open()
        self._write(Opcode.TEXT, json.dumps({"action": "sendmessage", "data": data, "id": id}).encode())
        if self._writable is not None:
            await asyncio.shield(self._writable)
            self._check_open()

    def _check_open(self) -> None:
        if self._is_closing or not self.is_open:
            raise ConnectionClosedError(None, None)

    def _write(self, opcode: Opcode, payload: bytes) -> None:
        assert self._transport is not None
        if not self._is_closing:
            self._transport.write(Frame(opcode, payload).serialize(mask=True))

    def pause_writing(self) -> None:
        """Let senders wait, because the server does not read."""
        self._writable = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        """Let senders go on."""
        assert self._writable is not None
        self._writable.set_result(None)
        self._writable = None

    async def close(self) -> None:
        """Close with a closing handshake."""
        self._write(Opcode.CLOSE, CloseCode.NORMAL_CLOSURE.to_bytes(2, "big"))
        self._is_closing = True
        self.close_code = CloseCode.NORMAL_CLOSURE.value
        await self._wait_until_gone()

    async def abort(self) -> None:
        """Cut the connection as a crash does, by a TCP reset without a WebSocket close frame."""
        assert self._transport is not None
        reset(self._transport)
        await self._wait_until_gone()

    async def _wait_until_gone(self) -> None:
        assert self._transport is not None
        if not self.is_open:
            return
        self._gone = self._gone or asyncio.get_running_loop().create_future()
        await asyncio.wait({self._gone}, timeout=scaled(CLOSE_SECONDS))
        self._transport.abort()
