"""One JSON line per invocation on standard output, metrics included.

Lines hold ids, counts and times, never message bodies, tokens or query strings. A line with metrics is in CloudWatch
embedded metric format, from which CloudWatch makes metrics without any call
(https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html).
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
METRIC_NAMESPACE = "Roomcast"
METRIC_UNITS = {
    "recipients": "Count",
    "delivered": "Count",
    "gone": "Count",
    "retried": "Count",
    "failed": "Count",
    "given_up": "Count",
    "auth_unavailable": "Count",
    "duration_ms": "Milliseconds",
    "cpu_ms": "Milliseconds",
}


def write(level: str, message: str, **fields: object) -> None:
    """Write one line.

    Args:
        level: One of ``LEVELS``; below ``ROOMCAST_LOG_LEVEL`` nothing is written.
        message: Name of the event, the same words every time.
        fields: JSON values that belong to it.
    """
    if LEVELS.index(level) >= LEVELS.index(os.environ.get("ROOMCAST_LOG_LEVEL", "INFO")):
        _print({"level": level, "message": message, "timestamp": _now_ms(), **fields})


def write_metrics(message: str, numbers: Mapping[str, float | str], level: str = "INFO", **fields: object) -> None:
    """Write one line with numbers that CloudWatch turns into metrics of the function.

    Args:
        message: Name of the event, the same words every time.
        numbers: Values by name; those in ``METRIC_UNITS`` become metrics, the others stay fields.
        level: One of ``LEVELS``; the line is written with every ``ROOMCAST_LOG_LEVEL``.
        fields: JSON values that belong to it.
    """
    timestamp = _now_ms()
    definition = {
        "Namespace": METRIC_NAMESPACE,
        "Dimensions": [["FunctionName"]],
        "Metrics": [{"Name": name, "Unit": unit} for name, unit in METRIC_UNITS.items() if name in numbers],
    }
    _print(
        {
            "_aws": {"Timestamp": timestamp, "CloudWatchMetrics": [definition]},
            "FunctionName": os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "local"),
            "level": level,
            "message": message,
            "timestamp": timestamp,
            **fields,
            **numbers,
        }
    )


def _now_ms() -> int:
    return int(time.time() * 1000)


def _print(line: Mapping[str, object]) -> None:
    # A working tree's functions have no version.
    release = {"version": version} if (version := os.environ.get("ROOMCAST_VERSION")) else {}
    sys.stdout.write(json.dumps({**line, **release}, separators=(",", ":")) + "\n")
    # Lambda freezes the process after the return: text left in the buffer would come with the next invocation.
    sys.stdout.flush()
