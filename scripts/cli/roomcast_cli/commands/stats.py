"""``roomcast stats``: how a stage is doing, on one screen."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer
from roomcast import logs

from roomcast_cli import alarms, moments, stages
from roomcast_cli.commands import options  # noqa: TC001 - typer reads the annotations
from roomcast_cli.output import DONE, document, table

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from roomcast_cli.stages import Stage

MINUTE = 60
CENSUS = 300
"""Seconds between two counts of the connections."""
MOST_QUERIES = 500
"""Of one request for metrics."""
Since = Annotated[int, typer.Option(parser=moments.duration, metavar="TIME", help="Time that is summed up: 10m, 1h.")]


class Number(NamedTuple):
    """A number that CloudWatch has.

    Attributes:
        namespace: Of its metric.
        metric: The metric.
        statistic: Of the metric.
        of: Which stage's: names of dimensions, and the values' names in :func:`dimensions`.
        merge: Makes one number of several points, for a time may be cut into two; the youngest is the first.
        join: Makes one number of those of several queues.
        period: Seconds that each point stands for; 0 for all the time that is asked about.
    """

    namespace: str
    metric: str
    statistic: str
    of: Sequence[str] = ("Backend",)
    merge: Callable[[Sequence[float]], float] = sum
    join: Callable[[Sequence[float]], float] = sum
    period: int = 0


OWN, GATEWAY, QUEUE = logs.NAMESPACE, "AWS/ApiGateway", "AWS/SQS"
NUMBERS: Mapping[str, Number] = {
    "connections": Number(OWN, "connections", "Average", merge=lambda points: points[0], period=CENSUS),
    "messages": Number(OWN, "posts", "SampleCount"),
    "delivered": Number(OWN, "delivered", "Sum"),
    "failed": Number(OWN, "failed", "Sum"),
    "slow": Number(OWN, "slow", "Sum"),
    "throttled": Number(OWN, "throttled", "Sum"),
    "lag_p50": Number(OWN, "lag_ms", "p50", merge=max),
    "lag_p95": Number(OWN, "lag_ms", "p95", merge=max),
    "lag_p99": Number(OWN, "lag_ms", "p99", merge=max),
    "handshakes_refused": Number(GATEWAY, "ClientError", "Sum", ("ApiId", "Stage")),
    "queue_age": Number(QUEUE, "ApproximateAgeOfOldestMessage", "Maximum", ("QueueName",), max, max),
    "dead_letters": Number(QUEUE, "ApproximateNumberOfMessagesVisible", "Maximum", ("DeadLetters",), max),
}
"""All numbers, in the order of JSON."""

LINES: Mapping[str, Sequence[str]] = {
    "connections now": ["connections"],
    "messages in / delivered": ["messages", "delivered"],
    "failed / slow / throttled": ["failed", "slow", "throttled"],
    "lag p50 / p95 / p99 (ms)": ["lag_p50", "lag_p95", "lag_p99"],
    "handshakes refused": ["handshakes_refused"],
    "queue age (s) / dead letters": ["queue_age", "dead_letters"],
}

WORDS = {"INSUFFICIENT_DATA": "without data"}
"""States of alarms, for people."""

Found = dict[str, float | None]


def stats(  # noqa: PLR0913 - of the command line
    *,
    since: Since = "1h",  # type: ignore[assignment] # typer parses it
    stage: options.Stage = None,
    outputs_file: options.Outputs = None,
    region: options.Region = None,
    profile: options.Profile = None,
    as_json: options.Json = False,
    no_color: options.NoColor = False,
    _debug: options.Debug = False,
) -> int:
    """Print how a stage is doing, now and in the time before.

    What CloudWatch does not have is `-`, never 0.

    Exit status: 0 done, 3 no such stage.
    """
    found, account = stages.find(stages.Choice(stage, outputs_file, region, profile))
    client = account.client("cloudwatch")
    span = max(MINUTE, since // MINUTE * MINUTE)
    now = int(time.time()) // MINUTE * MINUTE
    last, before = (_read(client, found, now - ago, span) for ago in (0, span))
    states = _states(client, found, stages.settings_of(found, account).get("alarms"))
    if as_json:
        told = None if states is None else [{"name": name, "state": state} for name, state in states.items()]
        document({**found.document(), "seconds": span, "last": last, "before": before, "alarms": told})
    else:
        label = moments.shown(span)
        rows = [[name, _cell(last, parts), _cell(before, parts)] for name, parts in LINES.items()]
        rows.append(["alarms", _alarms(states), ""])
        table([found.label, f"last {label}", f"the {label} before"], rows, right=(1, 2), colour=not no_color)
    return DONE


def _states(client: Any, stage: Stage, applied: Collection[str] | None) -> Mapping[str, str] | None:  # noqa: ANN401 - a client of botocore
    """Return the states of the alarms by name; None where the stage has none, or does not tell which it has."""
    if not applied:
        return None
    pages = client.get_paginator("describe_alarms").paginate(
        AlarmNamePrefix=alarms.full_name(stage, ""), AlarmTypes=["MetricAlarm"]
    )
    found = alarms.of(stage, applied, (each for page in pages for each in page["MetricAlarms"]))
    states = {each["AlarmName"]: str(each["StateValue"]) for each in found}
    return {each: states.get(alarms.full_name(stage, each), "missing") for each in sorted(applied)}


def _alarms(states: Mapping[str, str] | None) -> str:
    """Return the line about alarms: those that ring first."""
    if states is None:
        return "-"
    rings = [name for name, state in states.items() if state == "ALARM"]
    others = Counter(state for state in states.values() if state != "ALARM")
    if others[alarms.OK] == len(states):
        return f"all OK ({len(states)})"
    counts = ", ".join(f"{number} {WORDS.get(state, state)}" for state, number in sorted(others.items()))
    return "; ".join(filter(None, [f"ALARM: {', '.join(rings)}" if rings else "", counts]))


def connections_of(client: Any, names: Sequence[str]) -> Mapping[str, float]:  # noqa: ANN401 - a client of botocore
    """Return the connections of backends, as their youngest census counted them.

    Args:
        client: Of CloudWatch.
        names: Names of the backends. Those without a census in the last quarter of an hour are left out.
    """
    number, now = NUMBERS["connections"], int(time.time()) // MINUTE * MINUTE + MINUTE
    queries = [
        {
            "Id": f"m{index}",
            "MetricStat": {
                "Metric": {
                    "Namespace": number.namespace,
                    "MetricName": number.metric,
                    "Dimensions": [{"Name": logs.DIMENSION, "Value": name}],
                },
                "Period": number.period,
                "Stat": number.statistic,
            },
        }
        for index, name in enumerate(names[:MOST_QUERIES])
    ]
    answer = client.get_metric_data(MetricDataQueries=queries, StartTime=now - 3 * CENSUS, EndTime=now)
    points = {each["Id"]: each["Values"] for each in answer["MetricDataResults"]}
    return {name: found[0] for index, name in enumerate(names) if (found := points.get(f"m{index}"))}


def dimensions(stage: Stage) -> dict[str, dict[str, str]]:
    """Return the values of all dimensions by the queue they are of; "" for what is of the whole stage."""

    def of_queues(kind: str) -> dict[str, str]:
        urls = {name: stage.outputs.get(f"{name}_{kind}_url") for name in stages.QUEUES}
        return {name: url.rpartition("/")[2] for name, url in urls.items() if url}

    return {
        logs.DIMENSION: {"": stage.name},
        "ApiId": {"": stage.outputs["api_id"]},
        "Stage": {"": stage.stage},
        "QueueName": of_queues("queue"),
        "DeadLetters": of_queues("dead_letter_queue"),
    }


def _read(client: Any, stage: Stage, end: int, span: int) -> Found:  # noqa: ANN401 - a client of botocore
    known = dimensions(stage)
    asked = {name: [*known[number.of[0]]] for name, number in NUMBERS.items()}  # by the queues of each
    queries = [
        {
            "Id": f"{name}_{queue}".rstrip("_"),
            "MetricStat": {
                "Metric": {
                    "Namespace": NUMBERS[name].namespace,
                    "MetricName": NUMBERS[name].metric,
                    "Dimensions": [
                        {"Name": _dimension(each), "Value": known[each][queue]} for each in NUMBERS[name].of
                    ],
                },
                "Period": NUMBERS[name].period or span,
                "Stat": NUMBERS[name].statistic,
            },
        }
        for name, queues in asked.items()
        for queue in queues
    ]
    answer = client.get_metric_data(MetricDataQueries=queries, StartTime=end - span, EndTime=end)
    points = {each["Id"]: each["Values"] for each in answer["MetricDataResults"]}
    found: Found = {}
    for name, number in NUMBERS.items():
        values = [points.get(f"{name}_{queue}".rstrip("_")) for queue in asked[name]]
        merged = [number.merge(each) for each in values if each]
        found[name] = number.join(merged) if merged else None
    return found


def _dimension(name: str) -> str:
    return "QueueName" if name == "DeadLetters" else name


def _cell(found: Found, names: Sequence[str]) -> str:
    return " / ".join("-" if (number := found[name]) is None else f"{number:,.0f}" for name in names)
