"""The alarms of the module ``backend``."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

from scripts.asked_of_aws.queue_objects import queues_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from scripts.asked_of_aws.functions import Function
    from scripts.asked_of_aws.settings import Alarms, Run, Settings, Table

    Metrics = Mapping[str, tuple[str, str]]

MOST_METRICS = 10
"""In one alarm."""


class Alarm(NamedTuple):
    """One alarm.

    Attributes:
        threshold: With which a value is compared.
        metrics: Metrics by their ids in the expression.
        expression: What is compared; empty for the only metric.
        points: Bad values that are an alarm, and values looked at.
        meaning: What it says.
        command: What to run first.
        missing: What a minute without data counts as.
        is_ticket: Whether it can wait.
        comparison: How a bad value compares with the threshold.
        period: Seconds of a datapoint.
    """

    threshold: float
    metrics: Mapping[str, Settings]
    expression: str
    points: tuple[int, int]
    meaning: str
    command: str
    missing: str = "notBreaching"
    is_ticket: bool = False
    comparison: str = "GreaterThanThreshold"
    period: int = 60


def of_alarms(run: Run, alarms: Alarms, functions: Mapping[str, Function]) -> Table:
    """Return the alarms of a run.

    Args:
        run: The run.
        alarms: Its settings of alarms.
        functions: Its functions.
    """
    table: Table = {}
    for name, alarm in (*_of_stage(run), *_of_functions(run, functions), *_of_queues(run), *_of_sweeper(run)):
        kind = next((each for each in PARTED if name.startswith(f"{each}-")), name)
        threshold = alarms.thresholds.get(kind, alarm.threshold)
        if threshold is None:
            continue
        runbook = f" Runbook: {alarms.runbooks}/{kind}.md" if alarms.runbooks else ""
        topic = alarms.tickets if alarm.is_ticket else alarms.pages
        table[f'module.backend.aws_cloudwatch_metric_alarm.this["{name}"]'] = {
            "alarm_actions": [topic],
            "alarm_description": f"{alarm.meaning} First: {alarm.command}{runbook}",
            "alarm_name": f"{run.name}-{name}",
            "comparison_operator": alarm.comparison,
            "datapoints_to_alarm": alarm.points[0],
            "evaluation_periods": alarm.points[1],
            "metric_query": [*_queries(name, alarm)],
            "ok_actions": [topic],
            "tags": run.tags,
            "threshold": threshold,
            "treat_missing_data": alarm.missing,
        }
    return table


PARTED = ("dead-letters", "function-errors", "function-throttles", "queue-age")
"""Alarms of which there are several, with one threshold and one runbook."""


def digest_of(alarm: Settings) -> str:
    """Return the digest by which the stage's parameter tells an alarm of a table."""
    queries = {each["id"]: each for each in alarm["metric_query"]}
    text = "|".join(
        [
            alarm["comparison_operator"],
            f"{alarm['threshold']:.3f}",
            f"{alarm['datapoints_to_alarm']}/{alarm['evaluation_periods']}",
            alarm["treat_missing_data"],
            queries.get("result", {}).get("expression", ""),
            *(
                " ".join([name, *(str(metric[key]) for key in ("namespace", "metric_name", "stat", "period"))])
                for name, each in sorted(queries.items())
                for metric in each.get("metric", ())
            ),
        ]
    )
    return hashlib.sha256(text.encode()).hexdigest()[:6]


def _queries(name: str, alarm: Alarm) -> Iterator[Settings]:
    for metric_id, metric in alarm.metrics.items():
        yield {"id": metric_id, "return_data": not alarm.expression, "metric": [{"period": alarm.period, **metric}]}
    if alarm.expression:
        yield {"id": "result", "return_data": True, "expression": alarm.expression, "label": name}


def _metric(namespace: str, name: str, stat: str, **dimensions: str) -> Settings:
    return {"namespace": namespace, "metric_name": name, "stat": stat, "dimensions": dimensions}


def _of_stage(run: Run) -> Iterator[tuple[str, Alarm]]:
    def own(name: str, stat: str = "Sum") -> Settings:
        return _metric("Roomcast", name, stat, Backend=run.name)

    def of_api(name: str) -> Settings:
        return _metric("AWS/ApiGateway", name, "Sum", ApiId="a1b2c3d4e5", Stage=run.stage)

    yield (
        "execution-errors",
        Alarm(
            0,
            {"errors": of_api("ExecutionError")},
            "",
            (3, 5),
            "API Gateway cannot invoke a function: its permission is missing, it is throttled, or it takes too long.",
            "roomcast doctor",
        ),
    )
    yield (
        "handshakes-refused",
        Alarm(
            50,
            {"refused": of_api("ClientError"), "accepted": of_api("ConnectCount")},
            "100 * refused / IF(refused + FILL(accepted, 0) < 100, 100, refused + FILL(accepted, 0))",
            (4, 6),
            "API Gateway refuses most handshakes: the tokens' keys are new, a limit is too low, or it is an attack.",
            "roomcast query handshakes" if run.access_log else "roomcast stats",
            is_ticket=True,
        ),
    )
    yield (
        "joins-failing",
        Alarm(
            5,
            {"failed": own("join_failed"), "all": of_api("ConnectCount")},
            "100 * failed / IF(all < 10, 10, all)",
            (3, 5),
            "Handshakes are answered with 500, because the function cannot write the table.",
            "roomcast query errors",
        ),
    )
    yield (
        "posts-failed",
        Alarm(
            1,
            {"failed": own("failed"), "all": own("posts")},
            "100 * failed / IF(all < 50, 50, all)",
            (3, 5),
            "Members have missed messages.",
            "roomcast query failed",
        ),
    )
    yield (
        "posts-refused",
        Alarm(
            0,
            {"refused": own("refused")},
            "",
            (1, 1),
            "API Gateway refuses messages to members: the management endpoint is wrong, or a right is missing.",
            "roomcast doctor --only delivery",
        ),
    )
    yield (
        "posts-throttled",
        Alarm(
            5,
            {"throttled": own("throttled"), "all": own("posts")},
            "100 * throttled / IF(all < 100, 100, all)",
            (3, 5),
            "The account's request quota of API Gateway is short, so that messages are sent twice and arrive late.",
            "roomcast stats" if run.sweeper is None else "roomcast capacity",
            is_ticket=True,
        ),
    )
    yield (
        "delivery-late",
        Alarm(
            15_000 if run.queue else 3000,
            {"late": own("lag_ms", "p99"), "messages": own("lag_ms", "SampleCount")},
            "IF(messages >= 20, late)",
            (3, 5),
            "Messages reach the last member of their room late.",
            "roomcast query slowest",
        ),
    )
    yield (
        "unavailable",
        Alarm(
            0,
            {"unavailable": own("unavailable")},
            "",
            (3, 5),
            "The table or a queue is throttled, refuses requests, or is down.",
            "roomcast query errors",
        ),
    )
    if run.tokens:
        yield (
            "authorizer-unavailable",
            Alarm(
                0,
                {"unavailable": own("auth_unavailable")},
                "",
                (3, 5),
                "The authorizer has no signing keys, and new clients are answered with 500.",
                "roomcast query errors",
            ),
        )


def _of_functions(run: Run, functions: Iterable[str]) -> Iterator[tuple[str, Alarm]]:
    for name, metric, left_out, meaning, command in (
        (
            "function-errors",
            "Errors",
            {"authorizer"},
            "Functions crash, run out of time or cannot be loaded.",
            "roomcast query errors",
        ),
        (
            "function-throttles",
            "Throttles",
            set[str](),
            "The account's concurrency is used up, or a function's reserved concurrency.",
            "roomcast doctor --only concurrency",
        ),
    ):
        named = sorted({*functions} - left_out)
        for first in range(0, len(named), MOST_METRICS):
            metrics = {
                f"m{index}": _metric("AWS/Lambda", metric, "Sum", FunctionName=f"{run.name}-{function}")
                for index, function in enumerate(named[first : first + MOST_METRICS])
            }
            filled = ", ".join(f"FILL({metric_id}, 0)" for metric_id in metrics)
            yield f"{name}-{first // MOST_METRICS + 1}", Alarm(0, metrics, f"SUM([{filled}])", (3, 6), meaning, command)


def _of_queues(run: Run) -> Iterator[tuple[str, Alarm]]:
    for name, queue in queues_of(run).items():
        letters = _metric("AWS/SQS", "ApproximateNumberOfMessagesVisible", "Maximum", QueueName=queue.dead_letters)
        age = _metric("AWS/SQS", "ApproximateAgeOfOldestMessage", "Maximum", QueueName=queue.messages)
        meaning = f"Tasks of the queue {name} were given up."
        yield (
            f"dead-letters-{name}",
            Alarm(0, {"letters": letters}, "", (1, 1), meaning, "roomcast dead-letters", missing="ignore"),
        )
        meaning = f"Tasks of the queue {name} wait: its workers fail, or are too few."
        yield f"queue-age-{name}", Alarm(60, {"age": age}, "", (3, 5), meaning, "roomcast stats")


def _of_sweeper(run: Run) -> Iterator[tuple[str, Alarm]]:
    if run.sweeper is None:
        return
    censuses = _metric("Roomcast", "connections", "SampleCount", Backend=run.name)
    meaning = "The sweeper does not run, or no metrics arrive: then the other alarms are silent, too."
    yield (
        "census-missing",
        Alarm(
            1,
            {"censuses": censuses},
            "",
            (2, 2),
            meaning,
            "roomcast doctor --only sweeper",
            missing="breaching",
            is_ticket=True,
            comparison="LessThanThreshold",
            period=900,
        ),
    )
    if run.sweeper.pace == "0":
        return
    share = _metric("Roomcast", "stale_share", "Maximum", Backend=run.name)
    meaning = "Many items are of connections that are gone: $disconnect does not run, or fails."
    yield (
        "stale-share",
        Alarm(20, {"share": share}, "", (1, 1), meaning, "roomcast query errors", is_ticket=True, period=3600),
    )
