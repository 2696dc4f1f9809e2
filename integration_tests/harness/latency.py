"""Delivery times in HDR histograms, overall and per interval, with the client's own CPU share beside them.

A delivery is timed from the moment its message was *meant* to be sent (open model), so a sender that falls behind its
schedule because the server is slow shows that wait as latency. A client too busy to read its sockets adds a delay of
its own. Each interval therefore carries the client's CPU share and how late its event loop woke up, and says whether
the client was saturated.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hdrh.histogram import HdrHistogram

if TYPE_CHECKING:
    from collections.abc import Sequence

MICROSECONDS = 1_000_000
LONGEST = 3_600 * MICROSECONDS  # longer times are recorded as one hour
SIGNIFICANT_DIGITS = 3
KEPT_BITS = 11  # of a value, as many as the histogram tells apart for so many digits

# A client's event loop runs on one core. Past these limits its measurements include its own delay.
SATURATED_CPU = 0.9
SATURATED_LAG = 0.1
# From this share of deliveries on, the 99th percentile may be made of nothing but the client's own delay.
SATURATED_SHARE = 0.01


@dataclass(frozen=True)
class Percentiles:
    """A histogram in five numbers; times in milliseconds, 0 in an empty histogram."""

    count: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float


class Durations:
    """A histogram of times from 1 microsecond to 1 hour, exact to three digits; constant size, can be pickled."""

    def __init__(self) -> None:
        self._whole = HdrHistogram(1, LONGEST, SIGNIFICANT_DIGITS)
        # Counts by the digits that the histogram keeps. They go into it when it is read, because that takes longer.
        self._recorded: defaultdict[int, int] = defaultdict(int)

    def record(self, seconds: float) -> None:
        """Add one time, in seconds; a time outside the histogram's range counts as the nearest end of the range."""
        value = min(LONGEST, max(1, round(seconds * MICROSECONDS)))
        dropped = max(0, value.bit_length() - KEPT_BITS)
        self._recorded[value >> dropped << dropped] += 1

    @property
    def _histogram(self) -> HdrHistogram:
        for value, count in self._recorded.items():
            self._whole.record_value(value, count)
        self._recorded.clear()
        return self._whole

    def add(self, other: Durations) -> None:
        """Add the contents of another histogram."""
        self._histogram.add(other._histogram)

    def encode(self) -> str:
        """Return the histogram in HdrHistogram's own compressed format, base64, which all of its tools read."""
        encoded: bytes = self._histogram.encode()
        return encoded.decode("ascii")

    @classmethod
    def decode(cls, encoded: str) -> Durations:
        """Rebuild a histogram from the result of :meth:`encode`."""
        durations = cls()
        durations._histogram.decode_and_add(encoded)
        return durations

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Durations.decode, (self.encode(),)

    @property
    def count(self) -> int:
        """How many times were recorded."""
        return int(self._histogram.get_total_count())

    def at_percentiles(self, percents: Sequence[float]) -> list[float]:
        """Return for each of these percentages (0 to 100) the time in milliseconds that so many do not exceed."""
        if not self.count:
            return [0.0] * len(percents)
        microseconds = self._histogram.get_percentile_to_value_dict(percents)  # one pass, because a pass is slow
        return [microseconds[percent] / 1_000 for percent in percents]

    def percentiles(self) -> Percentiles:
        """Return count, p50, p95, p99 and the maximum."""
        return Percentiles(self.count, *self.at_percentiles((50, 95, 99, 100)))

    def distribution(self) -> list[tuple[float, float]]:
        """Return (percentile, milliseconds) points, ten for each further nine, as many as the count supports."""
        if not self.count:
            return []
        steps = math.floor(10 * math.log10(self.count))
        percents = [*(round(100 * (1 - 10 ** (-step / 10)), 6) for step in range(steps + 1)), 100.0]
        return list(zip(percents, self.at_percentiles(percents), strict=True))


@dataclass
class Interval:
    """The deliveries of one interval of time and the client's state in it.

    Attributes:
        encoded: Their times, as :meth:`Durations.encode` gives them (some hundred bytes instead of 190 KB).
        count: How many deliveries.
        cpu: CPU seconds the busiest client process used per second of wall time; 1 is one core.
        lag: Seconds its event loop woke up too late at the interval's end.
    """

    encoded: str
    count: int
    cpu: float
    lag: float

    @property
    def saturated(self) -> bool:
        """Whether the client was so busy that its measurements say little about the server."""
        return self.cpu >= SATURATED_CPU or self.lag >= SATURATED_LAG

    def merge(self, other: Interval) -> None:
        """Add the measurements of another process in the same interval."""
        durations = Durations.decode(self.encoded)
        durations.add(Durations.decode(other.encoded))
        self.encoded, self.count = durations.encode(), durations.count
        self.cpu, self.lag = max(self.cpu, other.cpu), max(self.lag, other.lag)


class Latency:
    """Delivery times overall and per interval.

    Intervals are numbered by the monotonic clock, which all processes of one machine share, so the recordings of
    several processes can be merged.

    Args:
        interval: Length of an interval, in seconds. Choose it so that a run has some hundred of them.

    Attributes:
        intervals: The closed intervals by number (monotonic time divided by ``interval``).
    """

    def __init__(self, interval: float = 1.0) -> None:
        self.interval = interval
        self.intervals: dict[int, Interval] = {}
        self._closed = Durations()
        self._open = Durations()

    def record(self, seconds: float) -> None:
        """Record one delivery that arrived ``seconds`` after its message was meant to be sent."""
        self._open.record(seconds)

    @property
    def total(self) -> Durations:
        """All delivery times so far, those of the running interval included."""
        durations = Durations()
        durations.add(self._closed)
        durations.add(self._open)
        return durations

    def close_interval(self, at: float, cpu: float, lag: float) -> None:
        """End the running interval at monotonic time ``at``; ``cpu`` and ``lag`` as in :class:`Interval`."""
        self._closed.add(self._open)
        self._put(int(at // self.interval), Interval(self._open.encode(), self._open.count, cpu, lag))
        self._open = Durations()

    async def sample(self) -> None:
        """Close an interval every ``interval`` seconds, with this process's CPU share, until cancelled."""
        woke_at, used = time.monotonic(), time.process_time()
        due = woke_at + self.interval
        try:
            while True:
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                woke_at, used = self._close_now(woke_at, used, due)
                due = max(due, woke_at) + self.interval
        finally:
            self._close_now(woke_at, used, time.monotonic())

    def _close_now(self, woke_at: float, used: float, due: float) -> tuple[float, float]:
        now, used_now = time.monotonic(), time.process_time()
        # An interval cut short by the cancellation is too short for a CPU share.
        elapsed = max(now - woke_at, self.interval / 10)
        self.close_interval(now, (used_now - used) / elapsed, max(0.0, now - due))
        return now, used_now

    def merge(self, other: Latency) -> None:
        """Add the records of another process of the same machine.

        Raises:
            ValueError: The two have intervals of different lengths.
        """
        if other.interval != self.interval:
            raise ValueError(f"intervals of {other.interval} s cannot be merged into intervals of {self.interval} s")
        self._closed.add(other.total)
        for number, interval in other.intervals.items():
            self._put(number, interval)

    def _put(self, number: int, interval: Interval) -> None:
        if number in self.intervals:
            self.intervals[number].merge(interval)
        else:
            self.intervals[number] = interval

    @property
    def saturated_share(self) -> float:
        """Share of the deliveries (0 to 1) that arrived while the client was saturated."""
        saturated = sum(interval.count for interval in self.intervals.values() if interval.saturated)
        counted = sum(interval.count for interval in self.intervals.values())
        return saturated / counted if counted else 0.0

    @property
    def saturated(self) -> bool:
        """Whether so many deliveries arrived while the client was saturated that p99 may be its own delay."""
        return self.saturated_share >= SATURATED_SHARE
