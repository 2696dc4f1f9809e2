"""Our own limits: each fault breaks exactly its limit, and chance breaks none."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from integration_tests.harness.ledger import FINDINGS, Tally
from integration_tests.report.comparison import compare
from integration_tests.report.judgement import judge
from integration_tests.report.limits import Limits
from integration_tests.report.metrics import METRICS
from integration_tests.report.tests.examples import example

if TYPE_CHECKING:
    from integration_tests.report.documents import Document

OURS = Limits.load(Path(__file__).parents[1] / "limits.toml")

LEAST_FAULTS = {
    **{f"invariants.{finding}": 1 for finding in FINDINGS},
    "invariants.broken": 1,
    "invariants.acknowledged": 0,
    "invariants.delivered": 0,
    "connects.success_ratio": 0.999,
    "connects.late": 1,
    "recovery.wrong": 1,
    "subject.share": 0.999,
    "departures.items_lacking": 1,
    "departures.items_left": 1,
    "functions.errors": 1,
    "injected.struck": 0,
    "injected.unmatched": 1,
}
"""The smallest value of each metric that is a fault; regressions have a test of their own."""
MAY_BE_UNMEASURED = {
    "invariants.reordered": "no order is promised by default",
    "invariants.receipts_wrong": "receipts of a queue have no counts",
    "recovery.wrong": "clients of text mode recover nothing",
    "subject.share": "some scenarios take place in any case",
    "departures.items_lacking": "a stage known by its URL hides its table",
    "departures.items_left": "the same",
    "functions.errors": "and its logs",
    "injected.struck": "most runs have no faults injected",
    "injected.unmatched": "the same",
    "comparison.regressions": "there is no earlier run at first",
}
NO_FAULTS = {
    *("attempted", "acknowledged", "abandoned", "recovered", "expected", "delivered", "receipts_counted"),
}
"""Counts of a run that say nothing bad about it, however high."""


def good() -> Document:
    """A run that keeps every limit."""
    document = example()
    document["connects"]["success_ratio"] = 1.0
    document["departures"]["items_left"] = 0
    return document


def changed(document: Document, path: str, value: Any) -> Document:
    """The document with another value of a metric."""
    *parts, name = path.split(".")
    place = document
    for part in parts:
        place = place[part]
    place[name] = value
    return document


def outcomes(document: Document, outcome: str) -> set[str]:
    """The metrics whose checks have an outcome."""
    return {check["metric"] for check in judge(document, OURS)["checks"] if check["outcome"] == outcome}


def test_a_good_run_keeps_them_all() -> None:
    assert judge(good(), OURS)["passed"]
    assert outcomes(good(), "passed") == OURS.limits.keys() - {"comparison.regressions"}


@pytest.mark.parametrize("path", LEAST_FAULTS)
def test_the_least_fault_breaks_its_limit_and_no_other(path: str) -> None:
    document = changed(good(), path, LEAST_FAULTS[path])

    assert outcomes(document, "failed") == {path}
    assert not judge(document, OURS)["passed"]


@pytest.mark.parametrize("path", sorted({*LEAST_FAULTS, "comparison.regressions"}))
def test_what_was_not_measured_has_not_passed(path: str) -> None:
    document = good() if path == "comparison.regressions" else changed(good(), path, None)

    assert path not in outcomes(document, "passed")
    assert outcomes(document, "failed") == {path} - MAY_BE_UNMEASURED.keys()
    assert judge(document, OURS)["passed"] == (path in MAY_BE_UNMEASURED)


def test_every_fault_has_a_limit() -> None:
    """A new count is a finding, or one that says nothing bad."""
    assert {*FINDINGS} | NO_FAULTS == {each.name for each in fields(Tally)}
    assert OURS.limits.keys() == LEAST_FAULTS.keys() | {"comparison.regressions"}


@pytest.mark.parametrize("path", OURS.regressions)
def test_what_doubles_is_a_regression_and_a_tenth_more_is_chance(path: str) -> None:
    """Also between tiny values: twice a millisecond is a millisecond more."""
    usual, better_is_lower = 10_000.0, METRICS[path].lower_is_better
    before = changed(example(), path, usual)
    for factor, outcome in ((2.0, "worse"), (1.1, "same"), (0.9, "same"), (0.4, "better")):
        now = changed(example(), path, usual * factor if better_is_lower else usual / factor)
        [change] = compare(now, before, {path: OURS.regressions[path]})["changes"]
        assert (factor, change["outcome"]) == (factor, outcome)
    if METRICS[path].unit in {"ms", "count"}:
        [change] = compare(changed(example(), path, 2), changed(example(), path, 1), {path: OURS.regressions[path]})[
            "changes"
        ]
        assert change["outcome"] == "same"


HIGHER_IS_BETTER = {
    *("invariants.acknowledged", "invariants.delivered", "connects.success_ratio", "connects.per_second"),
    *("recovery.returns", "subject.share", "injected.struck"),
}
TIMES = {
    *("connects.per_second", *(f"connects.time.{each}_ms" for each in ("p50", "p95", "p99", "max"))),
    *(f"recovery.time.{each}_ms" for each in ("p50", "p95", "p99", "max")),
    *(f"latency.{each}_ms" for each in ("p50", "p95", "p99", "max")),
}
"""A saturated client makes these longer by itself."""


@pytest.mark.parametrize("path", METRICS)
def test_each_metric_knows_its_good_direction_and_whether_a_busy_client_matters(path: str) -> None:
    metric = METRICS[path]

    assert metric.lower_is_better == (path not in HIGHER_IS_BETTER)
    assert metric.of_the_clock == (path in TIMES)
