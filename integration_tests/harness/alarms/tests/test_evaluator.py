"""Alarms evaluated on metrics."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import pytest

from integration_tests.harness.alarms.evaluator import Evaluator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from types_boto3_cloudwatch.client import CloudWatchClient

NOW = 1_000_000 * 60
FAILED = {"Namespace": "Roomcast", "MetricName": "failed", "Dimensions": [{"Name": "Backend", "Value": "chat"}]}
POSTS = {**FAILED, "MetricName": "posts"}
SHARE: dict[str, Any] = {
    "AlarmName": "chat-share",
    "ComparisonOperator": "GreaterThanThreshold",
    "DatapointsToAlarm": 2,
    "EvaluationPeriods": 3,
    "Metrics": [
        {"Id": "failed", "MetricStat": {"Metric": FAILED, "Period": 60, "Stat": "Sum"}, "ReturnData": False},
        {"Id": "posts", "MetricStat": {"Metric": POSTS, "Period": 60, "Stat": "Sum"}, "ReturnData": False},
        {"Id": "share", "Expression": "100 * failed / posts", "ReturnData": True},
    ],
    "StateValue": "OK",
    "Threshold": 1.0,
    "TreatMissingData": "notBreaching",
}
LATE: dict[str, Any] = {
    **SHARE,
    "AlarmName": "chat-late",
    "Metrics": [{"Id": "late", "MetricStat": {"Metric": FAILED, "Period": 60, "Stat": "Maximum"}}],
    "Threshold": 5.0,
}


class FakeCloudWatch:
    """CloudWatch with two alarms, and values of two metrics by the number of minutes before now."""

    def __init__(self, failed: dict[int, float], posts: dict[int, float], minute: int) -> None:
        self.values = {"failed": failed, "posts": posts}
        self.minute = minute
        self.was_set: dict[str, str] = {}

    def get_paginator(self, operation: str) -> FakeCloudWatch:
        """Return what gives the pages."""
        assert operation == "describe_alarms"
        return self

    def paginate(self, **request: Any) -> Iterator[dict[str, Any]]:
        """Give each alarm in a page of its own."""
        assert request == {"AlarmNamePrefix": "chat-"}
        yield from ({"MetricAlarms": [alarm]} for alarm in (SHARE, LATE))

    def get_metric_data(self, **request: Any) -> dict[str, Any]:
        """Give the values of one metric within the times asked for."""
        [query] = request["MetricDataQueries"]
        assert query["MetricStat"]["Period"] == self.minute
        times = {
            datetime.fromtimestamp(NOW - minutes * self.minute, UTC): value
            for minutes, value in self.values[query["MetricStat"]["Metric"]["MetricName"]].items()
        }
        inside = {at: value for at, value in times.items() if request["StartTime"] <= at < request["EndTime"]}
        return {"MetricDataResults": [{"Timestamps": [*inside], "Values": [*inside.values()]}]}

    def set_alarm_state(self, **request: str) -> None:
        """Remember the state."""
        self.was_set[request["AlarmName"]] = request["StateValue"]


@pytest.mark.parametrize("minute", [60, 3])
@pytest.mark.parametrize(
    ("failed", "wanted"),
    [
        ({}, "OK"),
        ({1: 2, 2: 2}, "ALARM"),
        ({1: 2}, "OK"),
        ({1: 1, 2: 1}, "OK"),  # not above
        ({0: 2, 1: 2}, "OK"),  # one of them is of the minute that lasts
        ({4: 2, 5: 2}, "OK"),  # newer minutes have a share of 0
    ],
)
def test_states_follow_from_the_last_minutes(failed: dict[int, float], wanted: str, minute: int) -> None:
    cloudwatch = FakeCloudWatch(failed, dict.fromkeys(range(9), 100), minute)
    evaluator = Evaluator(cast("CloudWatchClient", cloudwatch), "chat-", minute)
    evaluator.evaluate(NOW + minute / 2)
    assert evaluator.states == {"share": wanted, "late": "OK"}
    assert cloudwatch.was_set == ({} if wanted == "OK" else {"chat-share": wanted})


def test_an_alarm_on_one_metric_needs_no_expression() -> None:
    cloudwatch = FakeCloudWatch({1: 6, 3: 6, 5: 1}, {}, 60)
    evaluator = Evaluator(cast("CloudWatchClient", cloudwatch), "chat-")
    evaluator.evaluate(NOW)
    assert evaluator.states["late"] == "ALARM"
    assert evaluator.values["late"] == [1, None, 6, None, 6]
