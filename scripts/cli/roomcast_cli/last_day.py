"""How a stage was used in the last 24 hours, and the quotas of its account."""

from __future__ import annotations

import json
import math
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from roomcast import logs

from roomcast_cli import model, stages
from roomcast_cli.output import NOT_FOUND, CommandError, note

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from roomcast_cli.aws import Account
    from roomcast_cli.stages import Choice, Stage

DAY, HOUR, MINUTE = 86_400, 3_600, 60
NEEDED = ("connections", "room_size", "messages_per_second")
"""What only the metrics of a stage know."""

HANDSHAKES = {"ServiceCode": "apigateway", "QuotaCode": "L-9ED1E49A"}
"""The quota of new connections a second of all WebSocket APIs."""


class Number(NamedTuple):
    """A number that the metrics of a day have.

    Attributes:
        metric: Name of the metric.
        statistic: Of the metric.
        period: Seconds that each point stands for.
    """

    metric: str
    statistic: str
    period: int = HOUR


NUMBERS: Mapping[str, Number] = {
    "connections": Number("connections", "Average"),
    "most_connections": Number("connections", "Maximum"),
    "fanouts": Number("posts", "SampleCount"),
    "most_fanouts": Number("posts", "SampleCount", MINUTE),
    # Not `posts`, which counts those that were repeated.
    **{name: Number(name, "Sum") for name in ("delivered", "failed", "slow", "gone")},
    "most_delivered": Number("delivered", "Maximum"),
}


def usage(given: Mapping[str, Any], choice: Choice, *, is_peak: bool) -> tuple[model.Usage, Stage | None, Account]:
    """Return how a stage is used: as the command line says, and for the rest as a stage was used in the last 24 hours.

    Args:
        given: Attributes of ``Usage`` as the command line says them, None where it does not.
        choice: Which stage. None is asked where the command line says all that only a stage knows, and names none.
        is_peak: Whether to return the busiest minute and the largest room, in place of the mean.

    Returns:
        The usage; the stage, if one was asked; access to its account.

    Raises:
        UsageError: A number is out of its range.
        CommandError: There is no such stage, or its metrics do not say what the command line leaves out.
    """
    told = {name: value for name, value in given.items() if value is not None}
    missing = [name for name in NEEDED if name not in told]
    if not missing and not choice.stage and not choice.outputs:
        return model.Usage(**told), None, choice.account
    if missing:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in missing)
        note(f"roomcast: not given, so taken from the stage's last 24 hours: {options}")
    stage, account = stages.find(choice)
    found = {**_settings(stage, account), **_measured(stage, account, missing, is_peak=is_peak), **told}
    if found["room_size"] > found["connections"] and "room_size" not in told:
        found["room_size"] = found["connections"]  # the census and the fan-out are of different minutes
    return model.Usage(**found), stage, account


def _settings(stage: Stage, account: Account) -> dict[str, Any]:
    """Return what the stage's functions are told."""
    is_queued = bool(stage.outputs.get("fanout_queue_url"))
    client = account.client("lambda")

    def function(name: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = client.get_function_configuration(
            FunctionName=str(stage.outputs["function_arns"][name]).split(":")[6], Qualifier="live"
        )
        return found

    fanout = function("fanout_worker" if is_queued else "sendmessage")
    limits = json.loads(_variables(function("connect")).get("ROOMCAST_CLIENT_LIMITS") or "{}")
    return {
        "authorizer": "authorizer" in stage.outputs["function_arns"],
        "fifo": str(stage.outputs.get("fanout_queue_url")).endswith(".fifo"),
        "history": bool(stage.outputs.get("history_table_arn")),
        "memory": fanout["MemorySize"],
        "pace": float(_variables(fanout).get("ROOMCAST_PACE") or 0),
        "queued": is_queued,
        "shards": stage.outputs["shards_per_room"],
        "sweeper": "sweeper" in stage.outputs["function_arns"],
        **{name: float(limits[name]) for name in ("heartbeat", "spread") if name in limits},
    }


def _variables(function: Mapping[str, Any]) -> Mapping[str, str]:
    found: Mapping[str, str] = function.get("Environment", {}).get("Variables", {})
    return found


def _measured(stage: Stage, account: Account, missing: Sequence[str], *, is_peak: bool) -> dict[str, float]:
    if not missing:
        return {}
    points = _points(stage, account)
    # A worker posts to one shard of a room.
    shards = stage.outputs["shards_per_room"] if stage.outputs.get("fanout_queue_url") else 1
    connections = points["most_connections" if is_peak else "connections"]
    if not connections and "connections" in missing:
        raise CommandError(
            f"CloudWatch has no connections of {stage.label} in the last 24 hours: set sweeper.enabled, which counts "
            "them, or give --connections",
            NOT_FOUND,
        )
    _check_messages(points, stage, missing, is_peak=is_peak)
    fanouts, most = sum(points["fanouts"]), max(points["most_fanouts"], default=0.0)
    members = sum(sum(points[name]) for name in ("delivered", "failed", "slow", "gone"))
    room = max(points["most_delivered"], default=0.0) if is_peak else members / max(fanouts, 1.0)
    measured = {
        "connections": max(connections) if is_peak and connections else sum(connections) / max(len(connections), 1),
        "room_size": room * shards,
        "messages_per_second": (most / MINUTE if is_peak else fanouts / DAY) / shards,
    }
    return {name: max(measured[name], 0.0 if name == "messages_per_second" else 1.0) for name in missing}


def _check_messages(
    points: Mapping[str, Sequence[float]], stage: Stage, missing: Sequence[str], *, is_peak: bool
) -> None:
    """Refuse metrics from which messages and rooms cannot be known.

    A stage in which no message was sent has no point of its fan-outs, nor has one whose metrics do not arrive. A count
    of its connections shows that they arrive, and so that no message was sent; it does not show the size of a room.
    """
    is_counted = bool(points["connections"])
    rooms = points["most_delivered" if is_peak else "fanouts"]
    if "messages_per_second" in missing and not points["fanouts"] and not is_counted:
        lacking = "messages_per_second"
    elif "room_size" in missing and not rooms and not (is_counted and "messages_per_second" in missing):
        lacking = "room_size"
    else:
        return
    raise CommandError(
        f"CloudWatch has no messages of {stage.label} in the last 24 hours: give --{lacking.replace('_', '-')}",
        NOT_FOUND,
    )


def _points(stage: Stage, account: Account) -> dict[str, list[float]]:
    """Return the points of all numbers; no point of what was not written."""
    now = math.ceil(time.time() / MINUTE) * MINUTE  # with the minute that has begun
    dimensions = [{"Name": logs.DIMENSION, "Value": stage.name}]
    queries = [
        {
            "Id": name,
            "MetricStat": {
                "Metric": {"Namespace": logs.NAMESPACE, "MetricName": number.metric, "Dimensions": dimensions},
                "Period": number.period,
                "Stat": number.statistic,
            },
        }
        for name, number in NUMBERS.items()
    ]
    pages = (
        account.client("cloudwatch")
        .get_paginator("get_metric_data")
        .paginate(MetricDataQueries=queries, StartTime=now - DAY, EndTime=now)
    )
    found: dict[str, list[float]] = {name: [] for name in NUMBERS}
    for result in (each for page in pages for each in page["MetricDataResults"]):
        found[result["Id"]] += result["Values"]
    return found


def quotas(account: Account) -> dict[str, float]:
    """Return those quotas of an account that AWS tells, by their names in ``quotas.json``."""
    # Not from Service Quotas, which may say 10,000 where 2,500 hold: https://repost.aws/questions/QU47u_cBTCQcy2qTmoR6q91w
    throttle = account.client("apigateway").get_account().get("throttleSettings", {})
    concurrent = account.client("lambda").get_account_settings()["AccountLimit"]["ConcurrentExecutions"]
    client = account.client("service-quotas")
    try:
        handshakes = client.get_service_quota(**HANDSHAKES)["Quota"]["Value"]
    except client.exceptions.NoSuchResourceException:  # of an account that has AWS's default
        handshakes = None
    told = {
        "requests_per_second": throttle.get("rateLimit"),
        "concurrent_executions": concurrent,
        "handshakes_per_second": handshakes,
    }
    return {name: float(value) for name, value in told.items() if value}
