"""Judges a run by limits from a TOML file and by a previous run, and explains the judgement in sentences."""

from __future__ import annotations

import json
import math
import tomllib
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from integration_tests.report.metrics import METRICS, Metric, Number
from integration_tests.report.model import FORMAT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from integration_tests.report.model import Document


class LimitsError(ValueError):
    """An entry of the limits file is invalid; the message names it and the valid ones."""


class DocumentError(ValueError):
    """A file is not a report of a format this version reads."""


@dataclass(frozen=True)
class Limit:
    """The bounds of a metric.

    Attributes:
        at_most: Its highest good value.
        at_least: Its lowest good value.
        optional: Whether a run that does not measure it may pass all the same.

    Raises:
        ValueError: It limits nothing, or a value is of the wrong type.
    """

    at_most: Number | None = None
    at_least: Number | None = None
    optional: bool = False

    def __post_init__(self) -> None:
        """Refuse a limit that every run keeps, and values of another type."""
        bounds = [bound for bound in (self.at_most, self.at_least) if bound is not None]
        if not bounds or not all(map(is_number, bounds)) or not isinstance(self.optional, bool):
            raise ValueError("no limit")

    def holds(self, value: Number) -> bool:
        """Whether a value keeps to the limit."""
        return (self.at_most is None or value <= self.at_most) and (self.at_least is None or value >= self.at_least)

    def text(self, metric: Metric) -> str:
        """Write the limit for people."""
        bounds = [("at least", self.at_least), ("at most", self.at_most)]
        return " and ".join(f"{word} {metric.text(bound)}" for word, bound in bounds if bound is not None)


@dataclass(frozen=True)
class Tolerance:
    """How much worse than before a metric may become: the larger of the two allowances.

    Attributes:
        share: Allowance as a share of the previous value.
        least: Allowance in the metric's own unit, so that small numbers may differ by chance.

    Raises:
        ValueError: A value is no number from 0 on.
    """

    share: float = 0.0
    least: Number = 0

    def __post_init__(self) -> None:
        """Refuse values that cannot be compared."""
        if not all(is_number(each) and each >= 0 for each in (self.share, self.least)):
            raise ValueError("no tolerance")


def is_number(value: object) -> bool:
    """Whether a value is a finite number; TOML's booleans are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


WITHOUT_WHICH_NOTHING_IS_SHOWN = {
    "invariants.acknowledged": Limit(at_least=1),
    "invariants.delivered": Limit(at_least=1),
}
"""Limits that hold unless a file says otherwise: a run without any delivery keeps all the others."""


@dataclass(frozen=True)
class Limits:
    """A limits file: metric path -> limit, and metric path -> tolerance."""

    limits: Mapping[str, Limit] = field(default_factory=dict)
    regressions: Mapping[str, Tolerance] = field(default_factory=dict)

    @staticmethod
    def load(path: Path) -> Limits:
        """Read a limits file; the limits of ``WITHOUT_WHICH_NOTHING_IS_SHOWN`` that it lacks are added.

        Raises:
            LimitsError: It is not TOML, or an entry is unknown or not of the form that limits.toml shows.
        """
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:  # TOMLDecodeError and UnicodeDecodeError
            raise LimitsError(f"{path.name} is not TOML: {error}") from None
        if unknown := content.keys() - {"limits", "regressions"}:
            raise LimitsError(f"{path.name}: unknown table {', '.join(unknown)}; allowed are limits and regressions")
        limits = {**WITHOUT_WHICH_NOTHING_IS_SHOWN, **_entries(content, "limits", Limit)}
        return Limits(limits, _entries(content, "regressions", Tolerance))


FORMS: Mapping[type[Any], str] = {
    Limit: "at_most, at_least (numbers, at least one of them), optional (true or false)",
    Tolerance: "share, least (numbers from 0 on)",
}
"""The form of an entry of each kind, for messages."""

PARTS = {
    "run": ("name", "target", "id", "started_at"),
    "parameters": (),
    "versions": (),
    "invariants": ("acknowledged", "attempted", "delivered", "expected"),
    "departures": ("items_left",),
    "latency": ("saturated",),
}
"""The parts of every report since the first that a comparison and the summary read; metrics may be missing."""


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
        document = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
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
    return document


def judge(document: Document, limits: Limits, previous: Document | None = None) -> Document:
    """Return the document with its judgement: ``comparison``, ``checks`` and ``passed``.

    Raises:
        DocumentError: One of the documents is of another format.
    """
    for each in (document, previous or document):
        if each.get("format") != FORMAT:
            raise DocumentError(f"expected a report of format {FORMAT}, not {each.get('format')!r}")
    judged = {**document, "comparison": compare(document, previous, limits.regressions) if previous else None}
    checks = [_check(judged, METRICS[path], limit) for path, limit in limits.limits.items()]
    return {**judged, "checks": checks, "passed": all(check["outcome"] != "failed" for check in checks)}


def compare(document: Document, previous: Document, tolerances: Mapping[str, Tolerance]) -> Document:
    """Return the ``comparison`` of a document with a previous one."""
    incomparable = [
        f"{what} {key} was {before!r} and is {now!r}"
        for what, part in (("run", "run"), ("parameter", "parameters"))
        for key, before, now in differences(previous[part], document[part])
        if what == "parameter" or key in {"name", "target"}
    ]
    changes = [] if incomparable else _changes(document, previous, tolerances)
    return {
        "previous": previous["run"],
        "not_comparable": incomparable,
        "versions": [
            {"name": name, "before": before, "now": now}
            for name, before, now in differences(previous["versions"], document["versions"])
        ],
        "changes": changes,
        "regressions": None if incomparable else sum(change["outcome"] == "worse" for change in changes),
    }


def _changes(document: Document, previous: Document, tolerances: Mapping[str, Tolerance]) -> list[Document]:
    busy = document["latency"]["saturated"] or previous["latency"]["saturated"]
    changes = []
    for path, tolerance in tolerances.items():
        metric = METRICS[path]
        before, now = metric.read(previous), metric.read(document)
        whole = not is_partial(metric, previous) and not is_partial(metric, document)
        if before is not None and now is not None and whole:
            changes.append(_change(metric, before, now, tolerance, undecided=busy and metric.of_the_clock))
    return changes


def _change(metric: Metric, before: Number, now: Number, tolerance: Tolerance, *, undecided: bool) -> Document:
    worse_by = now - before if metric.lower_is_better else before - now
    allowed = max(abs(before) * tolerance.share, tolerance.least)
    outcome = "worse" if worse_by > allowed else "better" if -worse_by > allowed else "same"
    how = "rose" if now > before else "fell" if now < before else "stayed"
    course = (
        f"{how} from {metric.text(before)} to {metric.text(now)}" if now != before else f"is {metric.text(now)} again"
    )
    share = f" ({100 * (now - before) / before:+.0f} %)" if before and now != before else ""
    sentence = f"{metric.label[0].upper()}{metric.label[1:]} {course}{share}"
    if undecided and outcome != "same":
        outcome, sentence = (
            "undecided",
            f"{sentence}, but a client was saturated, so this says nothing about the server",
        )
    elif outcome == "worse":
        sentence += f", which is {metric.text(worse_by - allowed)} more than allowed"
    return {
        "metric": metric.path,
        "label": metric.label,
        "before": before,
        "now": now,
        "outcome": outcome,
        "sentence": f"{sentence}.",
    }


def is_partial(metric: Metric, document: Document) -> bool:
    """Whether only some of the merged reports measured a metric, so that its value keeps no limit."""
    return metric.path in (document.get("merged") or {"partial": ()})["partial"]


def _check(document: Document, metric: Metric, limit: Limit) -> Document:
    value = metric.read(document)
    partial = is_partial(metric, document)
    label = f"{metric.label[0].upper()}{metric.label[1:]}"
    if value is None or (partial and limit.holds(value)):
        outcome = "unmeasured" if limit.optional else "failed"
        by = " by every machine" if partial else ""
        sentence = f"{label}: not measured{by}; should be {limit.text(metric)}."
    elif limit.holds(value):
        outcome, sentence = "passed", f"{label}: {metric.text(value)}, {limit.text(metric)} as it should be."
    elif metric.of_the_clock and document["latency"]["saturated"]:
        outcome = "undecided"
        sentence = (
            f"{label}: {metric.text(value)} instead of {limit.text(metric)}, but the client was saturated, "
            "so this says nothing about the server."
        )
    else:
        outcome, sentence = "failed", f"{label}: {metric.text(value)} instead of {limit.text(metric)}."
    return {
        "metric": metric.path,
        "label": metric.label,
        "limit": asdict(limit),
        "value": value,
        "outcome": outcome,
        "sentence": sentence,
    }


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Return key, earlier and later value of each entry that differs between two mappings."""
    return [(key, before.get(key), now.get(key)) for key in sorted({*before, *now}) if before.get(key) != now.get(key)]


def _entries(content: Mapping[str, Any], table: str, kind: type[Any]) -> dict[str, Any]:
    entries = {}
    lines = content.get(table, {})
    if not isinstance(lines, dict):
        raise LimitsError(f"{table} must be a table of metrics, not {lines!r}")
    for path, wanted in lines.items():
        if path not in METRICS:
            raise LimitsError(f"{table}: unknown metric {path!r}; allowed are {', '.join(METRICS)}")
        try:
            entries[path] = kind(**wanted)
        except (TypeError, ValueError):
            raise LimitsError(f"{table}: {path!r} must be a table of {FORMS[kind]}, not {wanted!r}") from None
    return entries
