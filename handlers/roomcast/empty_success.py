"""Recognises the usual answer of ``@connections`` at a fraction of the parser's cost."""

from __future__ import annotations

import re
from operator import itemgetter
from typing import TYPE_CHECKING

from roomcast.http_parser import Response

if TYPE_CHECKING:
    from collections.abc import Callable

EMPTY_SUCCESS = Response(200, {"content-length": "0"}, b"")
"""Stands for the answers that are recognised, without their further headers."""

SHAPES = 16
"""Answers of so many lengths are remembered: those of one server differ in the values of few headers."""

# Of the headers that begin with a C or a T, only those that change nothing.
_OTHER_LINES = (
    rb"(?:[^:\scCtT][^:\s]*+:[^\r]*+\r\n|[Cc]ontent-[Tt]ype:[^\r]*+\r\n|[Cc]onnection: [Kk]eep-[Aa]live\r\n)*+"
)
_is_empty_success = re.compile(
    rb"HTTP/1\.1 200 [^\r]*+\r\n" + _OTHER_LINES + rb"[Cc]ontent-[Ll]ength: 0\r\n" + _OTHER_LINES + rb"\r\n"
).fullmatch
_free_values = re.compile(rb"\r\n[^:\scCtT][^:\s]*+:([^\r]*+)").finditer


class EmptySuccesses:
    """Recognises a whole ``200`` with an empty body on a connection that stays open.

    A pattern decides on the first answer of each length. The next ones are compared with it, but for the values that
    the pattern leaves free, such as that of ``Date``: these must only not contain a line's end.
    """

    def __init__(self) -> None:
        self._shapes: dict[int, tuple[Callable[[bytes], object], object, int]] = {}

    def match(self, data: bytes) -> bool:
        """Whether these are such an answer, given all bytes since the request was sent; the parser decides if not."""
        shape = self._shapes.get(len(data))
        if shape is None:
            return self._learn(data)
        parts_of, parts, returns = shape
        return (parts_of(data) == parts and data.count(b"\r") == returns) or _is_empty_success(data) is not None

    def _learn(self, data: bytes) -> bool:
        if not _is_empty_success(data):
            return False
        values = [value.span(1) for value in _free_values(data)]
        starts, ends = [0, *(end for _, end in values)], [*(start for start, _ in values), None]
        parts_of = itemgetter(*map(slice, starts, ends))
        if len(self._shapes) < SHAPES:
            self._shapes[len(data)] = (parts_of, parts_of(data), data.count(b"\r"))
        return True
