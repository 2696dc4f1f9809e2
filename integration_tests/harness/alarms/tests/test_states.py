"""States of alarms, beside the tables of the CloudWatch guide."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from integration_tests.harness.alarms.states import ALARM, INSUFFICIENT_DATA, OK, Rule, state

if TYPE_CHECKING:
    from integration_tests.harness.alarms.states import State

BEFORE = cast("State", "as before")
POINTS = {"0": False, "X": True, "-": None}
TREATMENTS = ("missing", "ignore", "breaching", "notBreaching")

TABLES = {
    3: {
        "0 - X - X": (OK, OK, OK, OK),
        "- - - - 0": (OK, OK, OK, OK),
        "0 - - - -": (OK, OK, OK, OK),
        "- - - - -": (INSUFFICIENT_DATA, BEFORE, ALARM, OK),
        "0 X X - X": (ALARM, ALARM, ALARM, ALARM),
        "- - X - -": (ALARM, BEFORE, ALARM, OK),
        "- - - - X": (INSUFFICIENT_DATA, BEFORE, ALARM, OK),
        "X - - - -": (ALARM, BEFORE, ALARM, OK),
    },
    2: {
        "0 - X - X": (ALARM, ALARM, ALARM, ALARM),
        "0 0 X 0 X": (ALARM, ALARM, ALARM, ALARM),
        "0 - X - -": (OK, OK, ALARM, OK),
        "- - - - 0": (OK, OK, ALARM, OK),
        "- - - X -": (ALARM, BEFORE, ALARM, OK),
        "- - - - X": (INSUFFICIENT_DATA, BEFORE, ALARM, OK),
    },
}
"""Rows of both tables, and of their earlier versions (awsdocs/amazon-cloudwatch-user-guide), by the datapoints to
alarm. The evaluation periods are 3, and the states those of each treatment of missing data."""


@pytest.mark.parametrize(
    ("needed", "points", "treatment", "wanted"),
    [
        (needed, points, treatment, wanted)
        for needed, table in TABLES.items()
        for points, states in table.items()
        for treatment, wanted in zip(TREATMENTS, states, strict=True)
    ],
)
def test_the_guides_tables(needed: int, points: str, treatment: str, wanted: State) -> None:
    rule = Rule(needed, 3, treatment)
    assert state([POINTS[point] for point in points.split()], rule, BEFORE) == wanted


def test_one_of_one() -> None:
    rule = Rule(1, 1, "notBreaching")
    assert state([None, True, False], rule, ALARM) == OK
    assert state([None, None, True], rule, OK) == ALARM
    assert state([None, None, None], rule, ALARM) == OK
