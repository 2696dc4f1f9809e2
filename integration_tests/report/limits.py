"""A file of limits: the bounds of metrics, and how much worse than before they may become."""

from __future__ import annotations

import sys
import tomllib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from integration_tests.report.metrics import METRICS, Metric, Number

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class LimitsError(ValueError):
    """An entry of the limits file is invalid; the message names it and the valid ones."""


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
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


WITHOUT_WHICH_NOTHING_IS_SHOWN = {
    "invariants.acknowledged": Limit(at_least=1),
    "invariants.delivered": Limit(at_least=1),
    "subject.share": Limit(at_least=1, optional=True),
    "injected.struck": Limit(at_least=1, optional=True),
    "injected.unmatched": Limit(at_most=0, optional=True),
}
"""Limits that hold unless a file says otherwise: a run without any delivery, without what its scenario is about, or
without its faults keeps all the others."""


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
        except (ValueError, RecursionError) as error:  # TOMLDecodeError and UnicodeDecodeError are of the first
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
