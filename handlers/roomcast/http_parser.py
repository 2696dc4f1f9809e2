"""HTTP/1.1 answers, read as they arrive: any split of the bytes gives the same result (RFC 9112).

The parser is strict where leniency could confuse one answer with the next: such a connection is given up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

MAXIMUM_HEAD_BYTES = 65_536
MAXIMUM_BODY_BYTES = 32 * 1024 * 1024
"""DynamoDB's largest answer is 16 MB (BatchGetItem); everything else read here is much smaller."""

MAXIMUM_ANSWER_BYTES = 2 * MAXIMUM_BODY_BYTES
"""Everything counts: informational answers, trailers and extensions of chunks have no end of their own."""

NOT_PROCESSED = 0
"""Stands for a status: the server says that it did not process the request. Posting again makes no second copy."""

BROKEN = -1
"""Stands for a status: the request has no valid answer and will get none."""

_HEAD_END = b"\r\n\r\n"
_LINE_END = b"\r\n"


class ProtocolError(Exception):
    """The peer violates HTTP/1.1; further bytes on that connection cannot be trusted."""


class Response(NamedTuple):
    """One complete answer.

    Attributes:
        status: HTTP status, 200 to 599; informational answers are skipped.
        headers: By lower-case name; values of a repeated header are joined with a comma.
        body: Decoded from the transfer coding.
        keep_alive: Whether another request may follow on the connection.
        resent: Whether the request may have reached the server twice.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    keep_alive: bool = True
    resent: bool = False


class ResponseParser:
    """Takes the bytes of one answer in any pieces.

    Args:
        maximum_bytes: Size limit of the whole answer, as it comes over the wire.
    """

    def __init__(self, maximum_bytes: int = MAXIMUM_ANSWER_BYTES) -> None:
        self._left = maximum_bytes
        self._data = bytearray()
        self._searched = 0
        self._head: tuple[int, dict[str, str], bool] | None = None
        self._body: _Body | None = None

    def feed(self, data: bytes) -> Response | None:
        """Take received bytes; give the answer once it is complete.

        Raises:
            ProtocolError: The bytes are no answer, or one that is too large.
        """
        self._left -= len(data)
        if self._left < 0:
            raise ProtocolError("the answer is too large")
        self._data += data
        while self._body is None:
            if not self._read_head():
                return None
        body = self._body.read(self._data)
        return None if body is None else self._response(body, more=bool(self._data))

    def end(self) -> Response:
        """Give the answer that ends with the connection.

        Raises:
            ProtocolError: The answer should have gone on.
        """
        if not isinstance(self._body, _UntilClose):
            raise ProtocolError("the answer is cut off")
        return self._response(bytes(self._data), more=False)

    def _response(self, body: bytes, *, more: bool) -> Response:
        assert self._head is not None
        status, headers, keep_alive = self._head
        return Response(status, headers, body, keep_alive and not more)

    def _read_head(self) -> bool:
        """Read one head if it is all there; an informational one is dropped."""
        # Three bytes back: the end of the head may arrive in two pieces.
        end = self._data.find(_HEAD_END, max(0, self._searched - 3))
        self._searched = len(self._data)
        if (end if end >= 0 else self._searched) > MAXIMUM_HEAD_BYTES:
            raise ProtocolError("the answer's head is too large")
        if end < 0:
            return False
        head = bytes(self._data[:end])
        del self._data[: end + 4]
        self._searched = 0
        version, status, headers = _parse_head(head)
        if status >= 200:
            keep_alive = _keeps_alive(version, headers)
            self._body = _body_of(status, headers)
            # 204 and 304 have no body (RFC 9110): should one follow, it would be taken for the next answer.
            if isinstance(self._body, _UntilClose) or (status in {204, 304} and _announces_body(headers)):
                keep_alive = False
            self._head = (status, headers, keep_alive)
        elif status == 101:
            raise ProtocolError("the server switches to another protocol")
        return True


def _parse_head(head: bytes) -> tuple[bytes, int, dict[str, str]]:
    """Split a head into version, status and headers."""
    start_line, *lines = head.split(_LINE_END)
    version, _, rest = start_line.partition(b" ")
    status = rest[:3]
    if version not in {b"HTTP/1.1", b"HTTP/1.0"} or not status.isdigit() or rest[3:4] not in {b" ", b""}:
        raise ProtocolError("the answer does not begin with a status line")
    headers: dict[str, str] = {}
    for line in lines:
        raw_name, colon, raw_value = line.partition(b":")
        if not colon or not raw_name or raw_name.strip() != raw_name:
            raise ProtocolError("the answer has a malformed header line")
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1").strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    if not b"100" <= status <= b"599":
        raise ProtocolError("the answer has an impossible status")
    return version, int(status), headers


def _keeps_alive(version: bytes, headers: Mapping[str, str]) -> bool:
    options = {option.strip().lower() for option in headers.get("connection", "").split(",")}
    if version == b"HTTP/1.0":
        return "keep-alive" in options
    # Both framings at once: the answer can be read, but a proxy on the way may be confused (RFC 9112, section 6.1).
    return "close" not in options and not ("transfer-encoding" in headers and "content-length" in headers)


def _announces_body(headers: Mapping[str, str]) -> bool:
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


def _body_of(status: int, headers: Mapping[str, str]) -> _Body:
    """Choose how the body ends (RFC 9112, section 6.3)."""
    if status in {204, 304}:
        return _Counted(0)
    if "transfer-encoding" in headers:
        if headers["transfer-encoding"].lower() != "chunked":
            raise ProtocolError("the answer has an unknown transfer coding")
        return _Chunked()
    if "content-length" not in headers:
        return _UntilClose()
    lengths = {length.strip() for length in headers["content-length"].split(",")}
    length = lengths.pop()
    # A repeated length is valid if all its values agree. Python takes digits of other scripts, too: HTTP does not.
    if lengths or not (length.isascii() and length.isdigit() and len(length) < 20):
        raise ProtocolError("the answer has no valid length")
    return _Counted(int(length))


class _Body:
    """How a body ends; ``read`` takes its bytes off the front of the data and gives the body once it is complete."""

    def read(self, data: bytearray) -> bytes | None:
        raise NotImplementedError


class _Counted(_Body):
    def __init__(self, length: int) -> None:
        _check_size(length)
        self._length = length

    def read(self, data: bytearray) -> bytes | None:
        if len(data) < self._length:
            return None
        body = bytes(data[: self._length])
        del data[: self._length]
        return body


class _UntilClose(_Body):
    def read(self, data: bytearray) -> bytes | None:
        _check_size(len(data))
        return None


class _Chunked(_Body):
    def __init__(self) -> None:
        self._body = bytearray()
        self._chunk: int | None = None
        self._in_trailer = False

    def read(self, data: bytearray) -> bytes | None:
        while not self._in_trailer:
            if not self._read_chunk(data):
                return None
        while (line := _take_line(data)) is not None:
            if not line:
                return bytes(self._body)
        return None

    def _read_chunk(self, data: bytearray) -> bool:
        """Take one step, if the bytes for it are there: a size line, or a chunk."""
        if self._chunk is None:
            line = _take_line(data)
            if line is None:
                return False
            # After the semicolon come extensions, which recipients ignore.
            digits = line.partition(b";")[0].strip()
            if not 0 < len(digits) <= 8 or digits.strip(b"0123456789abcdefABCDEF"):
                raise ProtocolError("the answer has a malformed chunk")
            self._chunk = int(digits, 16)
            self._in_trailer = self._chunk == 0
            _check_size(len(self._body) + self._chunk)
            return True
        if len(data) < self._chunk + 2:
            return False
        if data[self._chunk : self._chunk + 2] != _LINE_END:
            raise ProtocolError("the answer has a malformed chunk")
        self._body += data[: self._chunk]
        del data[: self._chunk + 2]
        self._chunk = None
        return True


def _take_line(data: bytearray) -> bytes | None:
    end = data.find(_LINE_END)
    if (end if end >= 0 else len(data)) > MAXIMUM_HEAD_BYTES:
        raise ProtocolError("the answer has a line that is too long")
    if end < 0:
        return None
    line = bytes(data[:end])
    del data[: end + 2]
    return line


def _check_size(size: int) -> None:
    if size > MAXIMUM_BODY_BYTES:
        raise ProtocolError("the answer's body is too large")
