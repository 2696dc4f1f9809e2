"""Alarms on several metrics, and DescribeAlarms with all that PutMetricAlarm was given."""
# ruff: noqa: ANN401, SLF001 - MiniStack is untyped and has no other hook

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from ministack.services import cloudwatch

from scripts.local.ministack.wrapping import replaces

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from scripts.local.ministack.management import Response

OF_ONE_METRIC = ("Dimensions", "ExtendedStatistic", "MetricName", "Namespace", "Period", "Statistic", "Unit")
"""Attributes that an alarm on several metrics does not have."""
GIVEN = ("EvaluateLowSampleCountPercentile", "InsufficientDataActions", "Metrics", "ThresholdMetricId")
"""Attributes that MiniStack does not store, or not from every protocol."""
NUMBERS = ("Period",)
"""Attributes within ``Metrics`` that are numbers; requests of the query protocol are texts."""


@replaces(cloudwatch, "_put_metric_alarm")
def put_metric_alarm(
    original: Callable[..., Response], params: Any, data: Any, is_cbor: bool, is_json: bool = False
) -> Response:
    """Store an alarm with its metrics."""
    response = original(params, data, is_cbor, is_json)
    request = data if is_cbor or is_json else nested(params)
    if response[0] == 200:
        alarm = cloudwatch._alarms[request["AlarmName"]]
        alarm.update({name: request[name] for name in GIVEN if name in request})
        if "Metrics" in request:
            for name in OF_ONE_METRIC:
                alarm.pop(name, None)
    return response


@replaces(cloudwatch, "_describe_alarms")
def describe_alarms(
    original: Callable[..., Response], params: Any, data: Any, is_cbor: bool, is_json: bool = False
) -> Response:
    """Describe alarms in XML as completely as in the other protocols."""
    if is_cbor or is_json:
        return original(params, data, is_cbor, is_json)
    response = original({}, nested(params), False, True)
    if response[0] != 200:
        return original(params, data, is_cbor, is_json)
    result = f"<DescribeAlarmsResult>{xml(json.loads(response[2]))}</DescribeAlarmsResult>"
    answer: Response = cloudwatch._xml(200, "DescribeAlarmsResponse", result)
    return answer


def nested(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of the query protocol as the object that they are of."""
    root: dict[str, Any] = {}
    for path, values in params.items():
        *parents, name = path.replace(".member.", ".").split(".")
        node = root
        for parent in parents:
            node = node.setdefault(parent, {})
        node[name] = values[0] if isinstance(values, list) else values
    request: dict[str, Any] = _with_lists(root)
    return request


def _with_lists(node: Any, name: str = "") -> Any:
    if not isinstance(node, dict):
        return {"true": True, "false": False}.get(node, int(node) if name in NUMBERS else node)
    if node and all(key.isdecimal() for key in node):
        return [_with_lists(node[key]) for key in sorted(node, key=int)]
    return {key: _with_lists(value, key) for key, value in node.items()}


def xml(value: Any, name: str = "") -> str:
    """Return a value of an answer as XML; what an alarm does not have is left out."""
    if isinstance(value, dict):
        return "".join(
            f"<{key}>{xml(item, key)}</{key}>" for key, item in value.items() if item is not None and item != ""
        )
    if isinstance(value, list):
        return "".join(f"<member>{xml(item)}</member>" for item in value)
    if isinstance(value, bool):
        return str(value).lower()
    if re.search("Timestamp$", name):
        return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return escape(str(value))
