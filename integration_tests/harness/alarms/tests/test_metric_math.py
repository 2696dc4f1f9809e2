"""Metric math, beside the examples of the CloudWatch guide."""

from __future__ import annotations

import re

import pytest

from integration_tests.harness.alarms.metric_math import evaluate

TIMES = range(5)


def series(*values: float | None) -> dict[int, float]:
    """Return a series with these values, from time 0 on; None for a missing one."""
    return {time: value for time, value in enumerate(values) if value is not None}


COMPARED = {"metric1": series(30, 20, 0, 0), "metric2": series(20, None, 20, None)}
CHOSEN = {
    "metric1": series(1, 1, 0, 0, None),
    "metric2": series(30, None, 0, 0, 30),
    "metric3": series(0, 0, 20, None, 20),
}


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        ("(metric1 < metric2)", series(0, 0, 1, 0)),
        ("(metric1 >= 30)", series(1, 0, 0, 0)),
        ("(metric1 > 15 AND metric2 > 15)", series(1, 0, 0, 0)),
        ("metric1 > 15 && metric2 > 15 || metric1 == 20", series(1, 1, 0, 0)),
        ("metric1 - metric2", series(10, 20, -20, 0)),
        ("-metric2", series(-20, None, -20, None)),
        ("100 * metric1 / metric2", series(150, None, 0, None)),
        ("metric2 ^ 2", series(400, None, 400)),
        ("SUM([metric1, metric2])", series(50, 20, 20, 0)),
        ("FILL(metric2, 7)", series(20, 7, 20, 7, 7)),
        ("SUM([FILL(metric1, 0), FILL(metric2, 0)])", series(50, 20, 20, 0, 0)),
    ],
)
def test_arithmetic_and_comparison(expression: str, wanted: dict[int, float]) -> None:
    assert evaluate(expression, COMPARED, TIMES) == wanted


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        ("IF(metric1, metric2, metric3)", series(30, 0, 20, None, None)),
        ("IF(metric1, 5, metric3)", series(5, 5, 20, None, None)),
        ("IF(metric1, metric2, 5)", series(30, 0, 5, 5, None)),
        ("IF(metric1, metric2)", series(30, 0, None, None, None)),
        ("IF(metric2 < 20, 10, metric2)", series(30, None, 10, 10, 30)),
    ],
)
def test_if(expression: str, wanted: dict[int, float]) -> None:
    assert evaluate(expression, CHOSEN, TIMES) == wanted


@pytest.mark.parametrize(
    "expression", ["1", "1 + 1", "metric4", "metric1 +", "AVG(metric1)", "metric1 < metric2 < 3", "metric1.real", "f()"]
)
def test_what_cloudwatch_or_this_does_not_take_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(expression))):
        evaluate(expression, COMPARED, TIMES)
