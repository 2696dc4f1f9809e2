"""Times and durations, as people write and read them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import typer

UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_DURATION = re.compile(r"([0-9]{1,9})([smhd])")


def duration(text: str) -> int:
    """Read a duration like 90s, 10m, 1h or 2d, in seconds.

    Raises:
        typer.BadParameter: It is none.
    """
    found = _DURATION.fullmatch(text)
    if found is None or not int(found[1]):
        raise typer.BadParameter(f"{text!r} is no duration like 90s, 10m, 1h or 2d")
    return int(found[1]) * UNITS[found[2]]


def shown(seconds: float) -> str:
    """Return a duration for people, in its two largest units."""
    left = round(seconds)
    if left < 60:
        return f"{left} s"
    days, hours, minutes = left // 86_400, left // 3_600 % 24, left // 60 % 60
    parts = [(days, "d"), (hours, "h"), (minutes, "min")]
    first = next(index for index, (number, _) in enumerate(parts) if number)
    return " ".join(f"{number} {unit}" for number, unit in parts[first : first + 2] if number)


def rfc3339(milliseconds: float) -> str:
    """Return a time since 1970 as text, UTC, to the second."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def clock(milliseconds: float, *, exact: bool = False) -> str:
    """Return the time of day, UTC."""
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    end = f".{moment.microsecond // 1000:03d}Z" if exact else "Z"
    return moment.strftime("%H:%M:%S") + end
