"""Lines of logs are found as CloudWatch gives them, and told apart by their level."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from integration_tests.harness.cloudwatch import Logs, Metrics

SINCE = 1_731_333_546.789


def line(level: str, message: str) -> str:
    """A handler's line."""
    return json.dumps({"level": level, "message": message})


WARNING_ABOUT_AN_ERROR = line("WARNING", "Query failed: ERROR")
LINES = {
    "/aws/lambda/connect": [
        line("INFO", "connect"),
        line("ERROR", "the table failed"),
        "[ERROR] KeyError: 'x' Traceback (most recent call last): ...",
    ],
    "/aws/lambda/sendmessage": [
        WARNING_ABOUT_AN_ERROR,
        "2026-11-28 5cb8 Task timed out after 29.00 seconds",
        "RequestId: 5cb8 Error: Runtime exited with error: signal: killed",
        "a client said WARNING",
    ],
}


class LogClient:
    """Filters as an emulator does, which ignores the pattern; two pages for each group."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []

    def get_paginator(self, operation: str) -> LogClient:
        """Stands for its own paginators, too."""
        assert operation == "filter_log_events"
        return self

    def paginate(self, **request: Any) -> list[dict[str, Any]]:
        """Answer with all lines of the group."""
        self.requests.append(request)
        events = [{"message": each} for each in LINES[request["logGroupName"]]]
        return [{"events": events[:1]}, {"events": events[1:]}]


@pytest.fixture
def client() -> LogClient:
    return LogClient()


@pytest.fixture
def logs(client: LogClient) -> Logs:
    """Both groups."""
    return Logs(client, [*LINES])  # type: ignore[arg-type]


async def test_errors_are_those_of_handlers_and_of_invocations_that_failed(logs: Logs) -> None:
    errors = await logs.errors(SINCE)

    assert sorted(errors) == sorted([*LINES["/aws/lambda/connect"][1:], *LINES["/aws/lambda/sendmessage"][1:3]])


async def test_warnings_are_those_of_handlers(logs: Logs) -> None:
    assert await logs.warnings(SINCE) == [WARNING_ABOUT_AN_ERROR]


async def test_records_are_the_lines_with_exactly_that_message(logs: Logs) -> None:
    assert await logs.records(SINCE, "connect") == [{"level": "INFO", "message": "connect"}]
    assert await logs.records(SINCE, "the table") == []


async def test_each_group_is_asked_for_the_phrase_from_the_millisecond_on(logs: Logs, client: LogClient) -> None:
    await logs.lines(SINCE, "the table")

    assert client.requests == [
        {"logGroupName": group, "startTime": 1_731_333_546_789, "filterPattern": '"the table"'} for group in LINES
    ]


def test_without_a_group_nothing_would_be_found() -> None:
    with pytest.raises(ValueError, match="no log group"):
        Logs(LogClient(), [])  # type: ignore[arg-type]


async def test_total_of_a_metric_begins_with_the_minute_and_adds_all_points() -> None:
    asked: list[dict[str, Any]] = []

    def answer(**request: Any) -> dict[str, Any]:
        asked.append(request)
        return {"Datapoints": [{"Sum": 2.0}, {"Sum": 3.0}]}

    metrics = Metrics(SimpleNamespace(get_metric_statistics=answer))  # type: ignore[arg-type]

    assert await metrics.total("AWS/ApiGateway", "MessageCount", {"ApiId": "a1"}, SINCE) == 5.0
    (request,) = asked
    assert (request["Namespace"], request["MetricName"], request["Statistics"]) == (
        "AWS/ApiGateway",
        "MessageCount",
        ["Sum"],
    )
    assert request["Dimensions"] == [{"Name": "ApiId", "Value": "a1"}]
    assert request["StartTime"].timestamp() == 1_731_333_540
    assert request["Period"] == 60
    assert request["EndTime"] > request["StartTime"]
