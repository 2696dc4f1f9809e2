"""The timeline of a run: percentiles of its deliveries by interval."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from integration_tests.harness.latency import Durations

if TYPE_CHECKING:
    from collections.abc import Sequence

    from integration_tests.harness.latency import Interval, Latency
    from integration_tests.report.documents import Document

TIMELINE_POINTS = 240
"""More could not be told apart on a screen."""


def timeline(latency: Latency, began_at: float) -> list[Document]:
    """Return ``timeline`` of the document: at most ``TIMELINE_POINTS`` intervals, counted from the run's start."""
    numbers = sorted(latency.intervals)
    if not numbers:
        return []
    width = -(-(numbers[-1] - numbers[0] + 1) // TIMELINE_POINTS)
    groups: dict[int, list[Interval]] = {}
    for number in numbers:
        groups.setdefault((number - numbers[0]) // width, []).append(latency.intervals[number])
    seconds = latency.interval * width
    start = numbers[0] * latency.interval - began_at
    return [_point(start + group * seconds, seconds, members) for group, members in groups.items()]


def _point(second: float, seconds: float, intervals: Sequence[Interval]) -> Document:
    durations = Durations.decode(intervals[0].encoded)
    for interval in intervals[1:]:
        durations.add(Durations.decode(interval.encoded))
    return {
        "second": round(max(0.0, second), 3),
        "seconds": seconds,
        **asdict(durations.percentiles()),
        "cpu": round(max(interval.cpu for interval in intervals), 4),
        "lag_ms": round(1_000 * max(interval.lag for interval in intervals), 3),
        "saturated": any(interval.saturated for interval in intervals),
    }
