"""Frames of RFC 6455 as a server sends them."""

from __future__ import annotations

from websockets.frames import CloseCode

MAXIMUM_MESSAGE_BYTES = 1 << 20
"""A longer message ends the connection, as in the ``websockets`` package; API Gateway's longest has 128 KB."""


class ProtocolViolationError(Exception):
    """The server broke RFC 6455.

    Args:
        code: The close code that says how.
    """

    def __init__(self, code: CloseCode) -> None:
        super().__init__(code.name)
        self.code = code


def long_length(data: bytes, start: int) -> tuple[int, int]:
    """Length of a frame's payload, and where it begins, for lengths of more than seven bits.

    Raises:
        ProtocolViolationError: The frame is masked, as a server's never is, or too long.
    """
    code = data[start + 1]
    if code > 127:
        raise ProtocolViolationError(CloseCode.PROTOCOL_ERROR)
    body = start + (4 if code == 126 else 10)
    if len(data) < body:
        return MAXIMUM_MESSAGE_BYTES, body  # more is needed in any case
    length = int.from_bytes(data[start + 2 : body], "big")
    if length > MAXIMUM_MESSAGE_BYTES:
        raise ProtocolViolationError(CloseCode.MESSAGE_TOO_BIG)
    return length, body
