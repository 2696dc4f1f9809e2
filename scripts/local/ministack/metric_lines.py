"""Metrics of functions' lines in CloudWatch embedded metric format."""
# ruff: noqa: ANN401, SLF001 - MiniStack is untyped and has no other hook

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from ministack.services import cloudwatch, lambda_svc

from scripts.local.ministack.wrapping import replaces

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MOST_VALUES = 100
"""Values that a metric of a line may have; those behind are lost.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html"""

_lock = threading.Lock()


class Metric(NamedTuple):
    """A metric: a reader must name its namespace, its name, and all of its dimensions."""

    namespace: str
    name: str
    unit: str
    dimensions: Mapping[str, str]


def record(metric: Metric, value: float, at: float | None = None) -> None:
    """Record a value, in the account and Region of the request.

    Equal values of one second are one point that counts them, because a load run has hundreds of thousands.

    Args:
        metric: The metric.
        value: The value.
        at: Unix time in seconds; None for now.
    """
    second = float(int(time.time() if at is None else at))
    with _lock:
        points = cloudwatch._metric_bucket((metric.namespace, metric.name, cloudwatch._dims_key(metric.dimensions)))
        for point in points[-2:]:
            if (point["Timestamp"], point["Value"]) == (second, value):
                point["Count"] += 1.0
                return
        point = {"Timestamp": second, "Value": float(value), "Count": 1.0, "Unit": metric.unit}
        points.append({**point, "Dimensions": dict(metric.dimensions)})


@replaces(lambda_svc, "_emit_lambda_logs")
def emit_logs(
    original: Callable[..., None], function: Any, request_id: str, text: str, *arguments: Any, **keywords: Any
) -> None:
    """Write an invocation's lines to its log group, and make metrics of those that have some."""
    original(function, request_id, text, *arguments, **keywords)
    for line in text.splitlines() if text else []:
        if line.startswith("{") and '"_aws"' in line:
            extract(line)


def extract(line: str) -> None:
    """Record the metrics of a line. A line or a definition of another form has none, and CloudWatch says so nowhere."""
    try:
        fields = json.loads(line)
        at = fields["_aws"]["Timestamp"] / 1000
        for definition in fields["_aws"]["CloudWatchMetrics"]:
            for names in definition["Dimensions"]:
                dimensions = {name: str(fields[name]) for name in names}
                for named in definition["Metrics"]:
                    metric = Metric(definition["Namespace"], named["Name"], named.get("Unit", "None"), dimensions)
                    values = fields[metric.name]
                    for value in (values if isinstance(values, list) else [values])[:MOST_VALUES]:
                        record(metric, float(value), at)
    except (KeyError, TypeError, ValueError):
        return
