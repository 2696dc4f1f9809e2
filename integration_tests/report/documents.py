"""Reports of runs as JSON files: reading them, and the differences between two of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from scripts import finite_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

FORMAT = 1
Document = dict[str, Any]


class DocumentError(ValueError):
    """A file is not a report of a format this version reads."""


PARTS = {
    "run": ("name", "target", "id", "started_at", "duration_seconds"),
    "parameters": (),
    "versions": (),
    "invariants": ("acknowledged", "attempted", "delivered", "expected", "rooms", "senders", "examples"),
    "departures": ("items_left", "kinds"),
    "latency": ("count", "saturated", "distribution"),
    "connects": ("refused", "time"),
}
"""The parts of every report since the first that comparisons, summary and pages read; metrics may be missing."""
LISTS = ("faults", "timeline")
"""Such parts that are lists."""
DAMAGED = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""Errors that a part of the wrong form causes."""


def load_document(path: Path, parts: Mapping[str, Sequence[str]] = PARTS) -> Document:
    """Read the JSON report of a run, judged or not.

    Args:
        path: The file.
        parts: The parts and keys that it must have.

    Raises:
        OSError: The file cannot be read.
        DocumentError: It holds something else, or a report of another format.
    """
    try:
        document = finite_json.loads(path.read_bytes())
    except ValueError as error:
        raise DocumentError(f"{path} is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise DocumentError(f"{path} is not a report of a run")
    if document.get("format") != FORMAT:
        found = document.get("format")
        raise DocumentError(f"{path} is not a report that can be read: expected format {FORMAT}, not {found!r}")
    for part, keys in parts.items():
        value = document.get(part)
        if not isinstance(value, dict) or not value.keys() >= {*keys}:
            raise DocumentError(f"{path} is not a whole report: {part!r} is missing or lacks something")
    for part in LISTS:
        if not isinstance(document.get(part), list):
            raise DocumentError(f"{path} is not a whole report: {part!r} is missing")
    if not all(re.fullmatch(r"[\w.-]+", str(document["run"][key])) for key in ("name", "target")):
        raise DocumentError(f"{path} is not a report of a run: files cannot be named after it")
    return document


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Return key, earlier and later value of each entry that differs between two mappings."""
    return [(key, before.get(key), now.get(key)) for key in sorted({*before, *now}) if before.get(key) != now.get(key)]
