"""JSON with one meaning: parsers differ on a name that stands twice, and NaN and Infinity are no JSON (RFC 8259)."""

from __future__ import annotations

import json
import math
from typing import Any


def parse_object(data: bytes) -> dict[str, Any]:
    """Read a JSON object.

    Args:
        data: UTF-8 text.

    Raises:
        ValueError: The bytes are no UTF-8 or no JSON object, a name stands twice, or a number is not finite.
        RecursionError: The text is nested deeper than the parser goes.
    """
    value = _DECODER.decode(data.decode())
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - of the text, not of an argument
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name stands twice")
    return members


def _refuse_constant(_name: str) -> None:
    raise ValueError("not a finite number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("not a finite number")
    return number


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=_finite)
