"""The sending half of an HTTP/2 connection without I/O: header blocks, flow control, and the bytes still to be sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomcast import http2_frames as frames
from roomcast.hpack import Encoder
from roomcast.http_parser import ProtocolError

if TYPE_CHECKING:
    from roomcast.signing import SignedRequests

MAXIMUM_UNSENT_BYTES = 131_072
"""No request is added while so many bytes wait for the socket: a server that does not read must not fill memory."""

MAXIMUM_UNSENT_ACKNOWLEDGEMENTS = 4 * MAXIMUM_UNSENT_BYTES
"""More bytes than that wait only when the server asks for acknowledgements and does not read them."""

_pack_head = frames.HEAD.pack


class Sender:
    """Writes frames into one buffer, so that many requests are one write.

    Args:
        scheme: ``https`` or ``http``.
        greeting: Bytes that the connection begins with.

    Attributes:
        outgoing: Bytes to be sent; the owner deletes from the front those that the socket took.
        blocked: The stream whose body waits for the server to allow more; 0 if there is none.
    """

    def __init__(self, scheme: str, greeting: bytes) -> None:
        self.outgoing = bytearray(greeting)
        self.blocked = 0
        self._encoder = Encoder(scheme)
        self._unsent = memoryview(b"")
        self._stream_window = 0
        self._window = frames.WINDOW_BYTES
        self._initial_window = frames.WINDOW_BYTES
        self._frame_bytes = self._whole_bytes = frames.FRAME_BYTES

    @property
    def is_ready(self) -> bool:
        """Whether another request may follow."""
        return not self.blocked and len(self.outgoing) < MAXIMUM_UNSENT_BYTES

    def request(self, stream: int, requests: SignedRequests, segment: str, body: bytes) -> bool:
        """Send a request as far as flow control allows; gives whether that is all of it.

        Args:
            stream: Number of its stream.
            requests: Everything about it but the last segment of its path.
            segment: That one, unquoted.
            body: The body that ``requests`` was made for.
        """
        block = self._encoder.block(requests, segment)
        size = len(body)
        if size <= self._window and size <= self._whole_bytes and len(block) <= self._frame_bytes:
            self._window -= size
            outgoing = self.outgoing
            outgoing += _pack_head(len(block) << 8 | frames.HEADERS, frames.END_HEADERS, stream)
            outgoing += block
            outgoing += _pack_head(size << 8, frames.END_STREAM, stream)
            outgoing += body
            return True
        self.outgoing += frames.headers(stream, block, self._frame_bytes)
        self.blocked, self._unsent, self._stream_window = stream, memoryview(body), self._initial_window
        self.go_on()
        return not self.blocked

    def add(self, kind: int, stream: int, number: int) -> None:
        """Send a frame that holds one number."""
        self.outgoing += frames.frame(kind, 0, stream, frames.NUMBER.pack(number))

    def acknowledge(self, kind: int, payload: bytes = b"", flags: int = frames.ACK) -> None:
        """Send the acknowledgement of frames from the server.

        Raises:
            ProtocolError: The server asks for more of them than it reads.
        """
        if len(self.outgoing) >= MAXIMUM_UNSENT_ACKNOWLEDGEMENTS:
            raise ProtocolError("the server does not read the acknowledgements it asks for")
        self.outgoing += frames.frame(kind, flags, 0, payload)

    def give_up(self, stream: int) -> None:
        """Send no more of the body of a stream."""
        if stream == self.blocked:
            self.blocked = 0

    def open_window(self, stream: int, increment: int) -> None:
        """Send more bytes: of all bodies for stream 0, or else of that stream's.

        Raises:
            ProtocolError: Windows cannot be that large.
        """
        if not stream:
            self._window = frames.window(self._window + increment)
        elif stream == self.blocked:
            self._stream_window = frames.window(self._stream_window + increment)
        self.go_on()

    def set(self, name: int, value: int) -> None:
        """Follow a setting of the server, if it is about sending; after its acknowledgement comes ``go_on``.

        Raises:
            ProtocolError: It has an impossible value.
        """
        if name == frames.HEADER_TABLE_SIZE:
            self._encoder.resize(value)
        elif name == frames.INITIAL_WINDOW_SIZE:
            self._stream_window = frames.window(self._stream_window + value - self._initial_window)
            self._initial_window = frames.window(value)
            self._whole_bytes = min(self._initial_window, self._frame_bytes)
        elif name == frames.MAX_FRAME_SIZE:
            if not frames.FRAME_BYTES <= value <= frames.LAST_FRAME_BYTES:
                raise ProtocolError("the server sent an impossible setting")
            self._frame_bytes = value
            self._whole_bytes = min(self._initial_window, self._frame_bytes)

    def go_on(self) -> None:
        """Send as much of the blocked body as the windows allow."""
        while self.blocked:
            size = max(0, min(len(self._unsent), self._window, self._stream_window, self._frame_bytes))
            is_last = size == len(self._unsent)
            if not size and not is_last:
                return
            part, self._unsent = bytes(self._unsent[:size]), self._unsent[size:]
            self.outgoing += frames.frame(frames.DATA, frames.END_STREAM * is_last, self.blocked, part)
            self._stream_window -= size
            self._window -= size
            if is_last:
                self.blocked = 0
