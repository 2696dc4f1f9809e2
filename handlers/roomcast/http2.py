"""HTTP/2 without I/O (RFC 9113): the client's side of one connection that carries many small posts at once.

Requests gather in one outgoing buffer, so that many are one write; one read may bring many answers. As with HTTP/1.1,
leniency ends where one answer could be taken for another: such a connection is given up.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from roomcast import http2_frames as frames
from roomcast.hpack import STATUS_200, read_answer
from roomcast.http2_sender import Sender
from roomcast.http_parser import BROKEN, MAXIMUM_HEAD_BYTES, NOT_PROCESSED, ProtocolError

if TYPE_CHECKING:
    from roomcast.signing import SignedRequests

T = TypeVar("T")

MAXIMUM_STREAMS = 100
"""Requests under way on a connection; RFC 9113 advises servers to allow at least as many."""

MAXIMUM_BODY_BYTES = 32_768
"""An answer with a longer body is cancelled, and its status counts: API Gateway's bodies are some hundred bytes."""

MAXIMUM_FRAMES_WITHOUT_ANSWER = 10_000
"""A server that sends so many frames without an answer keeps the process busy for nothing. A post that is answered
takes some five; a connection that is unused for minutes may find some tens of PING frames."""

_EMPTY_DATA = frames.DATA  # as length and type
_END = frames.END_STREAM | frames.END_HEADERS
_TOO_LONG = (frames.FRAME_BYTES + 1) << 8
# No table, so that answers are read without state.
_GREETING = frames.PREFACE + frames.settings(
    {frames.HEADER_TABLE_SIZE: 0, frames.ENABLE_PUSH: 0, frames.MAX_HEADER_LIST_SIZE: MAXIMUM_HEAD_BYTES}
)
_unpack_head = frames.HEAD.unpack_from


class _Stream(Generic[T]):
    """A request that is more than sent and unanswered: partly sent, or partly answered.

    Attributes:
        tag: As the owner gave it.
        status: Of its answer; 0 before.
        retry_after: Of its answer.
        received: Bytes of its answer's body.
    """

    __slots__ = ("received", "retry_after", "status", "tag")

    def __init__(self, tag: T, status: int = 0) -> None:
        self.tag = tag
        self.status = status
        self.retry_after = 0.0
        self.received = 0


class Session(Generic[T]):
    """State of one connection.

    Its owner sends the bytes in ``outgoing`` and deletes from its front those that the socket took. Received bytes give
    events: the tag of a request, the status of its answer (or ``NOT_PROCESSED`` or ``BROKEN``), and the seconds that
    the server asks to wait. A ``ProtocolError`` ends the connection.

    Args:
        scheme: ``https`` or ``http``.
        maximum_streams: How many requests the server takes at a time, as far as is known before its SETTINGS.

    Attributes:
        maximum_streams: The same, but at most ``MAXIMUM_STREAMS``.
        outgoing: Bytes to be sent.
        is_ending: Whether the connection takes no further request, and is to be closed after the last answer.
    """

    def __init__(self, scheme: str, maximum_streams: int = MAXIMUM_STREAMS) -> None:
        self.maximum_streams = maximum_streams
        self._sender = Sender(scheme, _GREETING)
        self.outgoing = self._sender.outgoing
        self.is_ending = False
        self._next_stream = 1
        # Nearly all streams are sent at once and answered with 200 and no body: of those, only the tag is kept.
        self._sent: dict[int, T] = {}
        self._succeeded: dict[int, T] = {}
        self._streams: dict[int, _Stream[T]] = {}
        self._received = 0
        self._frames = 0
        self._rest = b""
        self._block: bytearray | None = None
        self._block_of = (0, 0)
        # The first frame must be SETTINGS.
        self._greeted = False
        self._is_quick = False
        self._events: list[tuple[T, int, float]] = []

    @property
    def under_way(self) -> int:
        """How many requests have no answer yet."""
        return len(self._sent) + len(self._succeeded) + len(self._streams)

    def waiting(self) -> list[tuple[int, T]]:
        """The streams and tags of the requests that have no answer yet."""
        quick = (*self._sent.items(), *self._succeeded.items())
        return [*quick, *((stream, each.tag) for stream, each in self._streams.items())]

    @property
    def is_full(self) -> bool:
        """Whether no further request can be sent now, although streams may be left."""
        return self.is_ending or not self._sender.is_ready

    @property
    def room(self) -> int:
        """How many further requests can be sent now."""
        if self.is_full:
            return 0
        return max(0, self.maximum_streams - self.under_way)

    def request(self, tag: T, requests: SignedRequests, segment: str, body: bytes) -> int:
        """Send a request, while there is ``room``; bytes that flow control holds back follow when the server allows it.

        Args:
            tag: Names the request in the event of its answer.
            requests: Everything about it but the last segment of its path.
            segment: That one, unquoted.
            body: The body that ``requests`` was made for.

        Returns:
            The stream, for ``cancel``.
        """
        stream = self._next_stream
        self._next_stream = stream + 2
        if stream == frames.LAST_STREAM:
            self.is_ending = True
        if self._sender.request(stream, requests, segment, body):
            self._sent[stream] = tag
        else:
            self._streams[stream] = _Stream(tag)
        return stream

    def cancel(self, stream: int) -> None:
        """Give up a request that waits for its answer; an answer that still comes is ignored."""
        self._find(stream)
        self._drop(stream)
        self._sender.add(frames.RST_STREAM, stream, frames.CANCEL)

    def receive(self, data: bytes) -> list[tuple[T, int, float]]:  # noqa: C901 - a call per frame would cost more
        """Take received bytes; gives the events, in their order.

        Raises:
            ProtocolError: The server violates HTTP/2 or asks too much.
        """
        if self._rest:
            data = self._rest + data
        sent, succeeded, events, is_quick = self._sent, self._succeeded, self._events, self._is_quick
        at, end = 0, len(data)
        while end - at >= frames.HEAD_BYTES:
            kind, flags, stream = _unpack_head(data, at)
            begin = at + frames.HEAD_BYTES
            at = begin + (kind >> 8)
            if kind >= _TOO_LONG:
                raise ProtocolError("the server sent a frame that is too long")
            if at > end:
                at = begin - frames.HEAD_BYTES
                break
            # Nearly all frames: a status of 200, and the end of its body, which is empty.
            if is_quick:
                if kind & 0xFF == frames.HEADERS and stream in sent and data[begin : begin + 1] == STATUS_200:
                    if flags == _END:
                        events.append((sent.pop(stream), 200, 0.0))
                        continue
                    if flags == frames.END_HEADERS:
                        succeeded[stream] = sent.pop(stream)
                        continue
                elif kind == _EMPTY_DATA and flags == frames.END_STREAM and stream in succeeded:
                    events.append((succeeded.pop(stream), 200, 0.0))
                    continue
            self._take(kind & 0xFF, flags, stream & frames.LAST_STREAM, data[begin:at])
            is_quick = self._is_quick
        self._rest = data[at:]
        if events:
            self._frames = 0
            self._events = []
        return events

    def end(self) -> list[tuple[T, int, float]]:
        """Give the events of the requests that are left when the connection has ended."""
        for stream, _ in self.waiting():
            self._lost(stream, BROKEN)
        self.is_ending = True
        events, self._events = self._events, []
        return events

    # Streams.

    def _check_begun(self, stream: int) -> None:
        if not stream & 1 or stream >= self._next_stream:
            raise ProtocolError("the server sent an answer without a request")

    def _find(self, stream: int) -> _Stream[T] | None:
        """The state of a stream that was begun; ``None`` if it is over."""
        self._check_begun(stream)
        if stream in self._sent:
            self._streams[stream] = _Stream(self._sent.pop(stream))
        elif stream in self._succeeded:
            self._streams[stream] = _Stream(self._succeeded.pop(stream), 200)
        return self._streams.get(stream)

    def _drop(self, stream: int) -> None:
        self._streams.pop(stream, None)
        self._sender.give_up(stream)

    def _lost(self, stream: int, status: int) -> None:
        """End a stream that the server cut off: a status that has come counts, as the server had taken the request."""
        found = self._find(stream)
        if found is not None:
            self._drop(stream)
            self._events.append((found.tag, found.status or status, found.retry_after))

    def _answered(self, stream: int, *, is_whole: bool = True) -> None:
        if not is_whole or stream == self._sender.blocked:
            # The server does not need the rest of the request, or we that of the answer.
            self._sender.add(frames.RST_STREAM, stream, frames.CANCEL)
        self._lost(stream, BROKEN)

    def _malformed(self, stream: int) -> None:
        self._sender.add(frames.RST_STREAM, stream, frames.PROTOCOL_ERROR)
        self._lost(stream, BROKEN)

    # Frames.

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        self._frames += 1
        if self._frames > MAXIMUM_FRAMES_WITHOUT_ANSWER:
            raise ProtocolError("the server sends frames but no answer")
        if not self._greeted and (kind != frames.SETTINGS or flags & frames.ACK):
            raise ProtocolError("the server does not begin with SETTINGS")
        if (self._block is not None) != (kind == frames.CONTINUATION):
            raise ProtocolError("the server sent part of a header block")
        handler = self._HANDLERS.get(kind)
        if handler is not None:
            handler(self, flags, stream, payload)

    def _data(self, flags: int, stream: int, payload: bytes) -> None:
        found = self._find(stream)
        self._received += len(payload)
        if self._received > frames.WINDOW_BYTES // 2:
            self._sender.acknowledge(frames.WINDOW_UPDATE, frames.NUMBER.pack(self._received), flags=0)
            self._received = 0
        frames.unpadded(flags, payload)
        if found is None:
            return
        found.received += len(payload)
        if not found.status:
            self._malformed(stream)
        elif flags & frames.END_STREAM:
            self._answered(stream)
        elif found.received > MAXIMUM_BODY_BYTES:
            self._answered(stream, is_whole=False)

    def _headers(self, flags: int, stream: int, payload: bytes) -> None:
        block = frames.fragment(flags, payload)
        self._check_begun(stream)
        if flags & frames.END_HEADERS:
            self._header_block(flags, stream, block)
        else:
            self._block, self._block_of = bytearray(block), (flags, stream)
            self._is_quick = False

    def _continuation(self, flags: int, stream: int, payload: bytes) -> None:
        assert self._block is not None
        begun, block_stream = self._block_of
        if stream != block_stream:
            raise ProtocolError("the server sent part of a header block")
        self._block += payload
        if len(self._block) > MAXIMUM_HEAD_BYTES:
            raise ProtocolError("the answer's head is too large")
        if flags & frames.END_HEADERS:
            block, self._block = bytes(self._block), None
            self._is_quick = True
            self._header_block(begun, stream, block)

    def _header_block(self, flags: int, stream: int, block: bytes) -> None:
        found = self._find(stream)
        if found is None:
            return
        is_end = bool(flags & frames.END_STREAM)
        if found.status:
            # Trailers, which end the answer.
            self._answered(stream, is_whole=is_end)
            return
        status, retry_after = read_answer(block)
        if status >= 200:
            found.status, found.retry_after = status, retry_after
            if is_end:
                self._answered(stream)
        elif not status or status == 101 or is_end:
            # HTTP/2 has no 101, and an informational answer is not the last one.
            self._malformed(stream)

    def _priority(self, _flags: int, stream: int, payload: bytes) -> None:
        frames.check(size=len(payload) == 5, stream=stream > 0)

    def _reset(self, _flags: int, stream: int, payload: bytes) -> None:
        frames.check(size=len(payload) == 4)
        self._lost(stream, NOT_PROCESSED if frames.NUMBER.unpack(payload)[0] == frames.REFUSED_STREAM else BROKEN)

    def _push_promise(self, _flags: int, _stream: int, _payload: bytes) -> None:
        raise ProtocolError("the server pushes, which it was told not to")

    def _ping(self, flags: int, stream: int, payload: bytes) -> None:
        frames.check(size=len(payload) == 8, stream=not stream)
        if not flags & frames.ACK:
            self._sender.acknowledge(frames.PING, payload)

    def _goaway(self, _flags: int, stream: int, payload: bytes) -> None:
        frames.check(size=len(payload) >= 8, stream=not stream)
        last = frames.NUMBER.unpack_from(payload)[0] & frames.LAST_STREAM
        self.is_ending = True
        for each, _ in sorted(self.waiting(), key=itemgetter(0)):
            if each > last:
                self._lost(each, NOT_PROCESSED)

    def _window_update(self, _flags: int, stream: int, payload: bytes) -> None:
        frames.check(size=len(payload) == 4)
        increment = frames.NUMBER.unpack(payload)[0] & frames.LAST_WINDOW
        if not increment:
            raise ProtocolError("the server sent a window update of 0")
        if stream:
            self._check_begun(stream)
        self._sender.open_window(stream, increment)

    def _settings(self, flags: int, stream: int, payload: bytes) -> None:
        frames.check(size=not len(payload) % 6 and not (flags & frames.ACK and payload), stream=not stream)
        if flags & frames.ACK:
            return
        if not self._greeted:
            self._greeted = self._is_quick = True
            # Unless the server says so, it is not what an earlier connection took.
            self.maximum_streams = MAXIMUM_STREAMS
        for name, value in frames.SETTING.iter_unpack(payload):
            self._set(name, value)
        self._sender.acknowledge(frames.SETTINGS)
        # Not before: the server counts with its new windows only from the acknowledgement on (RFC 9113, section 6.5.3).
        self._sender.go_on()

    def _set(self, name: int, value: int) -> None:
        if name == frames.MAX_CONCURRENT_STREAMS:
            self.maximum_streams = min(value, MAXIMUM_STREAMS)
        elif name == frames.ENABLE_PUSH and value:
            raise ProtocolError("the server sent an impossible setting")
        else:
            self._sender.set(name, value)

    _HANDLERS: ClassVar = {
        frames.DATA: _data,
        frames.HEADERS: _headers,
        frames.PRIORITY: _priority,
        frames.RST_STREAM: _reset,
        frames.SETTINGS: _settings,
        frames.PUSH_PROMISE: _push_promise,
        frames.PING: _ping,
        frames.GOAWAY: _goaway,
        frames.WINDOW_UPDATE: _window_update,
        frames.CONTINUATION: _continuation,
    }
