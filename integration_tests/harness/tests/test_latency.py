"""Delivery times: exact enough, merged over processes, and never blamed on the server by a busy client."""

from __future__ import annotations

import asyncio
import pickle
import random
import time

import pytest
from hdrh.histogram import HdrHistogram

from integration_tests.harness.latency import LONGEST, SIGNIFICANT_DIGITS, Durations, Latency
from scripts.waiting import eventually


def durations(*seconds: float) -> Durations:
    """Return a histogram of these times."""
    recorded = Durations()
    for each in seconds:
        recorded.record(each)
    return recorded


def test_percentiles_are_exact_to_three_digits() -> None:
    recorded = durations(*(number / 1000 for number in range(1, 1001))).percentiles()
    assert recorded.count == 1000
    assert (recorded.p50_ms, recorded.p95_ms, recorded.p99_ms, recorded.max_ms) == pytest.approx(
        (500, 950, 990, 1000), rel=1e-3
    )


def test_what_is_recorded_is_what_the_histogram_itself_would_record() -> None:
    dice = random.Random(1)  # noqa: S311 - the same times in every run
    microseconds = [*range(1, 5_000), *(int(10 ** dice.uniform(0, 9.55)) for _ in range(5_000))]
    durations, itself = Durations(), HdrHistogram(1, LONGEST, SIGNIFICANT_DIGITS)
    for each in microseconds:
        durations.record(each / 1_000_000)
        itself.record_value(each)
    percents = [0.01, 1, 10, 50, 90, 99, 99.9, 100]
    expected = itself.get_percentile_to_value_dict(percents)
    assert durations.at_percentiles(percents) == [expected[each] / 1_000 for each in percents]
    assert durations.encode() == itself.encode().decode("ascii")
    assert durations.count == len(microseconds)


def test_nothing_recorded_is_zero() -> None:
    empty = Durations()
    assert empty.percentiles().count == empty.percentiles().max_ms == 0
    assert empty.distribution() == []


def test_times_outside_the_range_count_as_its_ends() -> None:
    recorded = durations(-1.0, 1e9)
    assert recorded.count == 2
    assert recorded.at_percentiles((0, 100)) == pytest.approx([0.001, 3_600_000], rel=1e-3)


def test_the_distribution_goes_as_far_as_the_count_gives_it_meaning() -> None:
    percents = [percent for percent, _ in durations(*[0.001] * 1000).distribution()]
    assert percents[0] == 0
    assert percents[10] == 90
    assert percents[-2:] == [99.9, 100]


def test_a_histogram_survives_encoding_and_pickling() -> None:
    recorded = durations(0.001, 0.5, 7.0)
    assert Durations.decode(recorded.encode()).percentiles() == recorded.percentiles()
    assert pickle.loads(pickle.dumps(recorded)).percentiles() == recorded.percentiles()  # noqa: S301 - our own bytes


def test_intervals_hold_their_own_records() -> None:
    latency = Latency(interval=2.0)
    latency.record(0.010)
    latency.close_interval(at=4.5, cpu=0.2, lag=0.0)
    latency.record(0.020)
    latency.record(0.030)
    assert latency.total.count == 3
    latency.close_interval(at=6.5, cpu=0.3, lag=0.0)
    assert {number: interval.count for number, interval in latency.intervals.items()} == {2: 1, 3: 2}
    assert latency.total.count == 3


def test_deliveries_to_a_busy_client_are_told_apart() -> None:
    latency = Latency()
    for second, (deliveries, cpu, lag) in enumerate([(6, 0.5, 0.0), (3, 0.95, 0.0), (1, 0.5, 0.3)]):
        for _ in range(deliveries):
            latency.record(0.01)
        latency.close_interval(second + 0.5, cpu, lag)
    assert [interval.saturated for interval in latency.intervals.values()] == [False, True, True]
    assert latency.saturated_share == 0.4
    assert latency.saturated
    assert not Latency().saturated


def test_two_processes_merge_into_one_recording() -> None:
    one, other = Latency(), Latency()
    for latency, seconds, cpu in [(one, 0.01, 0.2), (other, 0.03, 0.95)]:
        latency.record(seconds)
        latency.close_interval(7.5, cpu, lag=0.0)
    other.record(0.05)
    one.merge(pickle.loads(pickle.dumps(other)))  # noqa: S301 - our own bytes
    assert one.total.count == 3
    assert one.intervals[7].count == 2
    assert one.intervals[7].cpu == 0.95
    with pytest.raises(ValueError, match="cannot be merged"):
        one.merge(Latency(interval=5.0))


async def test_sampling_closes_intervals_and_notices_a_blocked_event_loop() -> None:
    latency = Latency(interval=0.02)

    async def lagged() -> bool:
        return any(interval.lag > 0.1 for interval in latency.intervals.values())

    async def started() -> bool:
        return bool(latency.intervals)

    sampling = asyncio.create_task(latency.sample())
    latency.record(0.001)
    await eventually(started, expected=True, within=5, every=0.005)
    spent = block_the_event_loop(seconds=0.15)
    await eventually(lagged, expected=True, within=5, every=0.005)
    latency.record(0.002)
    sampling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sampling
    assert sum(interval.count for interval in latency.intervals.values()) == latency.total.count == 2
    assert max(latency.intervals.values(), key=lambda interval: interval.lag).saturated
    # How large a share that is depends on the other work of the machine.
    assert any(each.cpu * (latency.interval + each.lag) > 0.99 * spent for each in latency.intervals.values())


def block_the_event_loop(seconds: float) -> float:
    """Keep the event loop busy, as a client does that cannot keep up; give the CPU seconds that it took."""
    until, used = time.monotonic() + seconds, time.process_time()
    while time.monotonic() < until:
        pass
    return time.process_time() - used
