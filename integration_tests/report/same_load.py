"""Whether reports are of one load on one stage, so that they can be merged."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Any

from integration_tests.report.documents import DocumentError, differences

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from integration_tests.report.documents import Document

ADDED = ("connections", "rooms", "messages", "rate", "connect_rate", "processes")
"""Parameters that are summed; all others must be equal."""


def refuse_unrelated(documents: Sequence[Document]) -> None:
    """Refuse reports that are not of one load on one stage.

    Raises:
        DocumentError: The message names the difference.
    """
    first, *others = map(identity, documents)
    for other in others:
        for what, values in first.items():
            for key, mine, theirs in differences(values, other[what]):
                raise DocumentError(f"these reports are not of one load: {what} {key} is {mine!r} and {theirs!r}")
    if any(document.get("merged") for document in documents):
        raise DocumentError("one of these reports is merged already: give the machines' own reports, all at once")
    runs = Counter(document["run"]["id"] for document in documents)
    if twice := [run for run, count in runs.items() if count > 1]:
        raise DocumentError(f"the run {twice[0]} is in two of these reports")
    if any(document.get("faults") for document in documents):
        raise DocumentError("runs with injected faults cannot be merged: each had an emulator of its own")
    if common_seconds(documents) <= 0:
        raise DocumentError("these runs did not load the stage at the same time: one began after another had ended")


def identity(document: Document) -> dict[str, Mapping[str, Any]]:
    """Return the values that must be equal in all reports, by their kind."""
    run = document["run"]
    return {
        "stage": {key: run[key] for key in ("target", "host", "path")},
        "run": {"name": run["name"]},
        "version": {key: value for key, value in document["versions"].items() if key != "system"},
        "term": document["terms"],
        "parameter": {key: value for key, value in document["parameters"].items() if key not in ADDED},
    }


def windows(documents: Sequence[Document]) -> list[tuple[float, float]]:
    """Return when each run began and ended, in seconds of the wall clock."""
    runs = [document["run"] for document in documents]
    return [(started_at(run), started_at(run) + run["duration_seconds"]) for run in runs]


def started_at(run: Document) -> float:
    """Return when a run began, in seconds of the wall clock."""
    return datetime.fromisoformat(run["started_at"]).timestamp()


def common_seconds(documents: Sequence[Document]) -> float:
    """Return for how long all machines ran together; at most 0 if they never did."""
    begins, ends = zip(*windows(documents), strict=True)
    return float(min(ends) - max(begins))
