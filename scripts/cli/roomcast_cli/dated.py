"""Prices and quotas, each with its source and the month in which that said so."""

from __future__ import annotations

import datetime as dt
import json
from importlib import resources
from typing import Any, NamedTuple

OLD_DAYS = 180
"""Days after which an entry is called old."""


class Entry(NamedTuple):
    """One price or quota.

    Attributes:
        value: A number; of Pusher's plans a list.
        unit: What the value counts.
        region: Where it holds.
        source: Where it was read.
        date: Month in which the source said so, as ``2026-11``.
    """

    value: Any
    unit: str
    region: str
    source: str
    date: str

    def is_old(self, today: dt.date) -> bool:
        """Whether the entry should be looked up again."""
        return (today - dt.date.fromisoformat(f"{self.date}-01")).days > OLD_DAYS


def entries(name: str) -> dict[str, Entry]:
    """Return the entries of ``prices`` or ``quotas``."""
    text = resources.files("roomcast_cli").joinpath(f"{name}.json").read_text("utf-8")
    return {key: Entry(**fields) for key, fields in json.loads(text).items()}


def values(of: dict[str, Entry]) -> dict[str, float]:
    """Return the numbers by name."""
    return {name: entry.value for name, entry in of.items() if not isinstance(entry.value, list)}


def old(of: dict[str, Entry], used: set[str], today: dt.date | None = None) -> str:
    """Return a sentence about entries that are old; an empty one for none."""
    now = today or dt.datetime.now(dt.UTC).date()
    stale = [f"{name} ({entry.date})" for name, entry in of.items() if name in used and entry.is_old(now)]
    return f"older than {OLD_DAYS} days, look them up again: {', '.join(stale)}" if stale else ""
