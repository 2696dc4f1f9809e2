"""The dashboard shows metrics that there are. Its body is the table's, which `scripts.terraform check` compares."""

from __future__ import annotations

import importlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from scripts.asked_of_aws.dashboard_objects import COLUMNS, of_dashboard
from scripts.asked_of_aws.functions import OWN, functions
from scripts.asked_of_aws.runs import RUNS
from scripts.asked_of_aws.settings import Dashboard, History, Queue

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from scripts.asked_of_aws.settings import Run

MOST_METRICS = 50
"""On each of three dashboards that cost nothing: https://aws.amazon.com/cloudwatch/pricing/"""
OF_AWS: Mapping[str, tuple[set[str], set[tuple[str, ...]]]] = {
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-logging.html
    "AWS/ApiGateway": (
        {"ClientError", "ConnectCount", "ExecutionError", "IntegrationError", "IntegrationLatency", "MessageCount"},
        {("ApiId", "Stage")},
    ),
    # https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
    "AWS/Lambda": ({"ConcurrentExecutions", "Duration", "Errors", "Invocations", "Throttles"}, {("FunctionName",), ()}),
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CloudWatch-Logs-Monitoring-CloudWatch-Metrics.html
    "AWS/Logs": ({"IncomingBytes", "IncomingLogEvents"}, {("LogGroupName",)}),
    # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
    "AWS/SQS": ({"ApproximateAgeOfOldestMessage", "ApproximateNumberOfMessagesVisible"}, {("QueueName",)}),
}
"""Metrics that AWS writes, and the dimensions that they are asked for by."""
STATS = {"Maximum", "Sum", "p50", "p95", "p99"}
DASHBOARDS = {
    "smallest": replace(RUNS["everything_off"], dashboard=Dashboard()),
    # Everything at once, though a stage has one authorizer: all functions, all queues, the access log.
    "largest": replace(
        RUNS["everything_on"],
        queue=Queue(),
        history=History('["*"]'),
        tokens=RUNS["tokens_with_public_keys"].tokens,
    ),
    **{name: run for name, run in RUNS.items() if run.dashboard},
}


def body_of(run: Run) -> Any:
    """Return the body of a run's dashboard."""
    assert run.dashboard
    [board] = of_dashboard(run, run.dashboard, functions(run)).values()
    return board["dashboard_body"]


def metrics_of(body: Any) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Yield each metric of a dashboard, with its options and those of its widget."""
    for widget in body["widgets"]:
        for metric in widget["properties"].get("metrics", ()):
            names = tuple(each for each in metric if isinstance(each, str))
            if names:
                yield names, {**widget["properties"], **(metric[-1] if isinstance(metric[-1], dict) else {})}


@pytest.mark.parametrize("name", DASHBOARDS)
def test_each_widget_shows_metrics_that_are_written(name: str) -> None:
    logs = importlib.import_module("roomcast.logs")
    for (namespace, metric, *dimensions), options in metrics_of(body_of(DASHBOARDS[name])):
        if namespace == logs.NAMESPACE:
            assert metric in logs.METRICS
            assert dimensions == [logs.DIMENSION, DASHBOARDS[name].name]
            if options["stat"] == "Sum":
                assert logs.METRICS[metric].unit == "Count"
        else:
            written, asked_by = OF_AWS[namespace]
            assert metric in written
            assert tuple(dimensions[::2]) in asked_by
        assert options["stat"] in STATS


@pytest.mark.parametrize("name", DASHBOARDS)
def test_its_metrics_cost_nothing(name: str) -> None:
    assert len({names for names, _ in metrics_of(body_of(DASHBOARDS[name]))}) <= MOST_METRICS


def test_the_largest_one_has_all_functions() -> None:
    assert functions(DASHBOARDS["largest"]).keys() == {*OWN}


@pytest.mark.parametrize("name", DASHBOARDS)
def test_widgets_fill_rows(name: str) -> None:
    widgets = body_of(DASHBOARDS[name])["widgets"]
    places = {
        (x, y)
        for widget in widgets
        for x in range(widget["x"], widget["x"] + widget["width"])
        for y in range(widget["y"], widget["y"] + widget["height"])
    }
    assert len(places) == sum(widget["width"] * widget["height"] for widget in widgets)
    assert max(x for x, _ in places) < COLUMNS
    assert {y for _, y in places} == {*range(max(y for _, y in places) + 1)}


@pytest.mark.parametrize("name", DASHBOARDS)
def test_expressions_use_metrics_of_their_widget(name: str) -> None:
    for widget in body_of(DASHBOARDS[name])["widgets"]:
        options = [metric[-1] for metric in widget["properties"].get("metrics", ()) if isinstance(metric[-1], dict)]
        ids = {each["id"] for each in options if "id" in each}
        hidden = {each["id"] for each in options if each.get("visible") is False}
        used = " ".join(each["expression"] for each in options if "expression" in each)
        assert hidden == {each for each in ids if each in used}, json.dumps(options)
