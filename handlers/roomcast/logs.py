"""One JSON line per invocation on standard output, metrics included; one more for each thing that went wrong.

Lines hold ids, counts, times and digests of rooms, never message bodies, tokens, query strings or names. A line with
metrics is in CloudWatch embedded metric format, from which CloudWatch makes metrics without any call
(https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html).
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
DEFAULT_LEVEL = "INFO"

NAMESPACE = "Roomcast"

DIMENSION = "Backend"
"""The one dimension. By function, each metric would be billed once for each of those that write it, and no alarm could
name the whole."""

DEFAULT_BACKEND = "roomcast"
"""The backend's name where the environment has none: Terraform's default of ``name``."""

SERVED = "served"
"""The outcome of what went well."""

HASH_DIGITS = 12
"""Of a room's digest in lines: among a million rooms, two share one with a probability of 1 in 500."""


class Metric(NamedTuple):
    """A metric.

    Attributes:
        unit: Its unit, as CloudWatch names it.
        by: The functions that write it; none for all of them.
        is_trouble: Whether it counts trouble. Then it is written only above 0, because CloudWatch bills a metric for
            the hours in which it is sent.
    """

    unit: str
    by: tuple[str, ...] = ()
    is_trouble: bool = True


SENDERS = ("sendmessage", "fanout_worker", "publish", "presence")
"""The functions that post to rooms."""

METRICS: Mapping[str, Metric] = {
    "posts": Metric("Count", SENDERS, is_trouble=False),
    "delivered": Metric("Count", SENDERS, is_trouble=False),
    "fanout_ms": Metric("Milliseconds", SENDERS, is_trouble=False),
    "lag_ms": Metric("Milliseconds", ("sendmessage", "fanout_worker", "publish"), is_trouble=False),
    "failed": Metric("Count", SENDERS),
    "slow": Metric("Count", SENDERS),
    "gone": Metric("Count", SENDERS),
    "throttled": Metric("Count", SENDERS),
    "refused": Metric("Count", (*SENDERS, "sweeper")),
    "unavailable": Metric("Count"),
    "join_failed": Metric("Count", ("connect",)),
    "auth_unavailable": Metric("Count", ("authorizer",)),
    "connections": Metric("Count", ("sweeper",), is_trouble=False),
    "swept": Metric("Count", ("sweeper",)),
    "stale_share": Metric("Percent", ("sweeper",), is_trouble=False),
}
"""All metrics by their names, each a number of a line. The table in ``handlers/README.md`` says what they count."""

NO_METRICS: Mapping[str, float] = MappingProxyType({})


class _Noted(NamedTuple):
    """What the line that ends an invocation will say."""

    message: str = ""
    metrics: Mapping[str, float] = NO_METRICS
    fields: Mapping[str, object] = MappingProxyType({})


_ids: dict[str, object] = {}
_noted = [_Noted()]


def begin(lambda_request_id: str, **ids: object) -> None:
    """Begin an invocation, or a part of one: each line from now on has these fields.

    Args:
        lambda_request_id: Id of the invocation, by which Lambda's own lines name it.
        ids: What else tells where its lines belong; empty ones are left out.
    """
    _ids.clear()
    _ids.update({name: value for name, value in {"lambda_request_id": lambda_request_id, **ids}.items() if value})
    _noted[0] = _Noted()


def note(message: str = "", metrics: Mapping[str, float] = NO_METRICS, /, **fields: object) -> None:
    """Keep something for the line that ends the invocation.

    Args:
        message: Name of the event, in place of the one that ``end`` is given; empty for that one.
        metrics: As of ``write``.
        fields: The same.
    """
    noted = _noted[0]
    _noted[0] = _Noted(message or noted.message, {**noted.metrics, **metrics}, {**noted.fields, **fields})


def end(level: str, message: str, metrics: Mapping[str, float] = NO_METRICS, /, **fields: object) -> None:
    """Write the line of the invocation, with all that was noted for it; arguments as of ``write``."""
    noted, _noted[0] = _noted[0], _Noted()
    write(level, noted.message or message, {**noted.metrics, **metrics}, **{**noted.fields, **fields})


def write(level: str, message: str, metrics: Mapping[str, float] = NO_METRICS, /, **fields: object) -> None:
    """Write one line.

    Args:
        level: One of ``LEVELS``; below ``ROOMCAST_LOG_LEVEL``, or ``INFO`` if that is none of them, nothing is written
            but lines with metrics.
        message: Name of the event, the same words every time.
        metrics: Numbers by names of ``METRICS``; those that count trouble and are 0 are left out.
        fields: JSON values that belong to it.
    """
    counted = {name: value for name, value in metrics.items() if value > 0 or not METRICS[name].is_trouble}
    if not counted and LEVELS.index(level) < _lowest():
        return
    timestamp = int(time.time() * 1000)
    line = {"level": level, "message": message, "timestamp": timestamp, **_ids, **fields, **counted}
    _print({**_definition(counted, timestamp), **line} if counted else line)


def room_hash(table_name: str, room: str) -> str:
    """The digest that stands for a room in lines: it ties them together, and hides no name that can be guessed.

    Args:
        table_name: Name of the connections table, without which equal rooms of two backends would have one digest.
        room: Name of the room.
    """
    return hashlib.sha256(f"{table_name}\0{room}".encode()).hexdigest()[:HASH_DIGITS]


def _lowest() -> int:
    """The place of the lowest level that is written; no value of the variable makes an invocation fail."""
    chosen = os.environ.get("ROOMCAST_LOG_LEVEL", "")
    return LEVELS.index(chosen if chosen in LEVELS else DEFAULT_LEVEL)


def _definition(metrics: Mapping[str, float], timestamp: int) -> dict[str, object]:
    """The fields that make metrics of a line's numbers."""
    definition = {
        "Namespace": NAMESPACE,
        "Dimensions": [[DIMENSION]],
        "Metrics": [{"Name": name, "Unit": METRICS[name].unit} for name in metrics],
    }
    return {
        "_aws": {"Timestamp": timestamp, "CloudWatchMetrics": [definition]},
        DIMENSION: os.environ.get("ROOMCAST_BACKEND") or DEFAULT_BACKEND,
    }


def _print(line: Mapping[str, object]) -> None:
    # A working tree's functions have no version.
    release = {"version": version} if (version := os.environ.get("ROOMCAST_VERSION")) else {}
    sys.stdout.write(json.dumps({**line, **release}, separators=(",", ":")) + "\n")
    # Lambda freezes the process after the return: text left in the buffer would come with the next invocation.
    sys.stdout.flush()
