"""Evaluates the alarms of a backend on the metrics that CloudWatch has, and sets their states."""

from __future__ import annotations

import asyncio
import operator
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from integration_tests.harness.alarms import metric_math
from integration_tests.harness.alarms.states import FURTHER_PERIODS, Rule, state
from scripts.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from types_boto3_cloudwatch.client import CloudWatchClient
    from types_boto3_cloudwatch.type_defs import MetricDataQueryTypeDef

    from integration_tests.harness.alarms.metric_math import Series

COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "GreaterThanThreshold": operator.gt,
    "GreaterThanOrEqualToThreshold": operator.ge,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}


@dataclass
class Evaluator:
    """Evaluates all alarms whose names begin with a prefix.

    Attributes:
        cloudwatch: boto3 client.
        prefix: Of the alarms' names.
        minute: Seconds that stand for one minute of the alarms' periods; less lets a test last seconds.
        states: State of each alarm, by the rest of its name.
        values: The last values that each alarm was evaluated on, for messages.
    """

    cloudwatch: CloudWatchClient
    prefix: str
    minute: int = 60
    states: dict[str, str] = field(default_factory=dict)
    values: dict[str, Sequence[float | None]] = field(default_factory=dict)

    def alarms(self) -> list[dict[str, Any]]:
        """Return the alarms as CloudWatch describes them."""
        pages = self.cloudwatch.get_paginator("describe_alarms").paginate(AlarmNamePrefix=self.prefix)
        return [dict(alarm) for page in pages for alarm in page["MetricAlarms"]]

    def evaluate(self, now: float) -> None:
        """Evaluate the alarms at a time (Unix, in seconds), and set the states that change."""
        for alarm in self.alarms():
            name = alarm["AlarmName"].removeprefix(self.prefix)
            values = self._values(alarm, now)
            breaches = COMPARISONS[alarm["ComparisonOperator"]]
            points = [None if value is None else breaches(value, alarm["Threshold"]) for value in values]
            needed = alarm.get("DatapointsToAlarm", alarm["EvaluationPeriods"])
            rule = Rule(needed, alarm["EvaluationPeriods"], alarm.get("TreatMissingData", "missing"))
            new = state(points, rule, alarm["StateValue"])
            self.values[name], self.states[name] = values, new
            if new != alarm["StateValue"]:
                self.cloudwatch.set_alarm_state(AlarmName=alarm["AlarmName"], StateValue=new, StateReason=str(values))

    def _values(self, alarm: Mapping[str, Any], now: float) -> list[float | None]:
        """Return the values of the evaluation range, oldest first."""
        stats = {query["Id"]: query["MetricStat"] for query in alarm["Metrics"] if "MetricStat" in query}
        [seconds] = {stat["Period"] for stat in stats.values()}
        period = seconds * self.minute // 60
        end = int(now // period) * period
        times = range(end - (alarm["EvaluationPeriods"] + FURTHER_PERIODS) * period, end, period)
        metrics = {name: self._series(stat, times) for name, stat in stats.items()}
        [returned] = [query for query in alarm["Metrics"] if query.get("ReturnData", True)]
        expression = returned.get("Expression")
        series = metric_math.evaluate(expression, metrics, times) if expression else metrics[returned["Id"]]
        return [series.get(each) for each in times]

    def _series(self, stat: Mapping[str, Any], times: range) -> Series:
        """Return the values of one metric, with exactly the namespace, name and dimensions of the alarm."""
        query = {"Id": "m", "MetricStat": {**stat, "Period": times.step}}
        [answer] = self.cloudwatch.get_metric_data(
            MetricDataQueries=[cast("MetricDataQueryTypeDef", query)],
            StartTime=datetime.fromtimestamp(times.start, UTC),
            EndTime=datetime.fromtimestamp(times.stop, UTC),
        )["MetricDataResults"]
        return {int(at.timestamp()): value for at, value in zip(answer["Timestamps"], answer["Values"], strict=True)}

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Evaluate the alarms once a period within the context."""

        async def watch() -> None:
            while True:
                now = time.time()
                await asyncio.to_thread(self.evaluate, now)
                await asyncio.sleep(max(0.0, (now // self.minute + 1) * self.minute - time.time()))

        watch_task = asyncio.create_task(watch())
        try:
            yield
        finally:
            watch_task.cancel()
            with suppress(asyncio.CancelledError):
                await watch_task

    async def expect(self, wanted: Mapping[str, str], within: float) -> None:
        """Wait until alarms have states.

        Args:
            wanted: States by the names of alarms, without the prefix.
            within: Deadline in seconds, scaled by ``TIMEOUT_FACTOR``.

        Raises:
            AssertionError: They do not have them; the message shows the last values.
        """

        async def states() -> dict[str, tuple[str, str]]:
            differing = {
                name: self.states.get(name, "unknown") for name, each in wanted.items() if self.states.get(name) != each
            }
            return {name: (each, str(self.values.get(name))) for name, each in differing.items()}

        none: dict[str, tuple[str, str]] = {}
        await eventually(states, none, within=within, what=f"alarms to be {wanted}")
