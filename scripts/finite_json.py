"""Reads JSON that people hand over: every number is one to calculate with, and every text one to write."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn


def loads(text: str | bytes) -> Any:  # noqa: ANN401 - any JSON value
    """Read JSON; Python's own reader also takes NaN, infinity, numbers beyond every float, and halves of characters.

    Raises:
        ValueError: The text is no JSON, or holds one of these, or is nested too deeply.
    """
    try:
        value = json.loads(text, parse_constant=_refuse, parse_float=_finite, parse_int=_whole)
        json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return value


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _finite(text: str) -> float:
    if math.isinf(value := float(text)):
        raise ValueError("a number is too large")
    return value


def _whole(text: str) -> int:
    _finite(text)
    return int(text)
