"""Frames of HTTP/2 (RFC 9113, sections 4 and 6): their numbers, how they are written, and when one is invalid."""

from __future__ import annotations

import struct
from typing import Final

from roomcast.http_parser import ProtocolError

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD_BYTES: Final = 9
FRAME_BYTES: Final = 16_384
"""Longest payload, in either direction, unless a side allows more; this one does not."""

LAST_FRAME_BYTES: Final = 0xFF_FFFF
"""The most that a side can allow."""

WINDOW_BYTES: Final = 65_535
"""Bytes of bodies that a connection, and each of its streams, takes at first."""

LAST_WINDOW: Final = 0x7FFF_FFFF
LAST_STREAM: Final = 0x7FFF_FFFF

DATA: Final = 0x0
HEADERS: Final = 0x1
PRIORITY: Final = 0x2
RST_STREAM: Final = 0x3
SETTINGS: Final = 0x4
PUSH_PROMISE: Final = 0x5
PING: Final = 0x6
GOAWAY: Final = 0x7
WINDOW_UPDATE: Final = 0x8
CONTINUATION: Final = 0x9

END_STREAM: Final = 0x1
ACK: Final = 0x1
END_HEADERS: Final = 0x4
PADDED: Final = 0x8
PRIORITISED: Final = 0x20

HEADER_TABLE_SIZE: Final = 0x1
ENABLE_PUSH: Final = 0x2
MAX_CONCURRENT_STREAMS: Final = 0x3
INITIAL_WINDOW_SIZE: Final = 0x4
MAX_FRAME_SIZE: Final = 0x5
MAX_HEADER_LIST_SIZE: Final = 0x6

PROTOCOL_ERROR: Final = 0x1
REFUSED_STREAM: Final = 0x7
CANCEL: Final = 0x8

HEAD: Final = struct.Struct(">IBI")
"""A frame's head: length of the payload and, in the lowest byte, type; flags; stream."""

SETTING: Final = struct.Struct(">HI")
NUMBER: Final = struct.Struct(">I")


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Write a frame."""
    return HEAD.pack(len(payload) << 8 | kind, flags, stream) + payload


def headers(stream: int, block: bytes, most: int) -> bytes:
    """Write a header block, in frames of at most so many bytes."""
    written = b""
    kind = HEADERS
    while len(block) > most:
        written += frame(kind, 0, stream, block[:most])
        block = block[most:]
        kind = CONTINUATION
    return written + frame(kind, END_HEADERS, stream, block)


def settings(values: dict[int, int]) -> bytes:
    """Write a SETTINGS frame."""
    return frame(SETTINGS, 0, 0, b"".join(SETTING.pack(name, value) for name, value in values.items()))


def check(*, size: bool, stream: bool = True) -> None:
    """Refuse a frame of a wrong size, or on a stream where it makes no sense."""
    if not size:
        raise ProtocolError("the server sent a frame of a wrong size")
    if not stream:
        raise ProtocolError("the server sent a frame on the wrong stream")


def unpadded(flags: int, payload: bytes) -> bytes:
    """Take the padding off the payload of a DATA or HEADERS frame."""
    if not flags & PADDED:
        return payload
    check(size=bool(payload) and payload[0] < len(payload))
    return payload[1 : len(payload) - payload[0]]


def fragment(flags: int, payload: bytes) -> bytes:
    """Take everything but a part of the header block off the payload of a HEADERS frame."""
    block = unpadded(flags, payload)
    if not flags & PRIORITISED:
        return block
    check(size=len(block) >= 5)
    return block[5:]


def window(size: int) -> int:
    """Give the new size of a window."""
    if size > LAST_WINDOW:
        raise ProtocolError("the server allows more than flow control can count")
    return size
