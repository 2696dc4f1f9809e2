"""Long waits print lines, short ones do not, and an invalid factor ends with a sentence."""

from __future__ import annotations

import asyncio
import itertools
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from scripts import waiting
from scripts.waiting import LongWaits, eventually, factor_of


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The lines about long waits, with the first after 0.05 s and another every 0.05 s."""
    lines: list[str] = []
    waits = LongWaits()
    waits.show = lines.append
    monkeypatch.setattr(waiting, "TOLD_AFTER", 0.05)
    monkeypatch.setattr(waiting, "TOLD_EVERY", 0.05)
    monkeypatch.setattr(waiting, "waiting_for", waits.of)
    return lines


async def test_long_wait_is_told_of_with_what_was_observed_last(told: list[str]) -> None:
    observations = itertools.count()

    async def observe() -> str:
        return "done" if len(told) >= 3 else str(next(observations))

    await eventually(observe, "done", within=60, every=0.01, what="the third line")

    assert told[0].startswith("waiting for the third line (expected 'done', observed ")
    assert len({*told}) == len(told), told


async def test_short_waits_are_not_told_of_and_a_long_one_after_them_is(told: list[str]) -> None:
    async def observe() -> bool:
        return True

    for _ in range(20):
        await eventually(observe, True, within=60)
        await asyncio.sleep(0.005)
    assert told == []
    with waiting.waiting_for(lambda: "the end", 60):
        await asyncio.sleep(0.2)
    assert told[0].startswith("waiting for the end: ")


async def test_many_waits_are_one_line(told: list[str]) -> None:
    async def wait() -> None:
        with waiting.waiting_for(lambda: "a message", 60):
            await asyncio.sleep(0.2)

    await asyncio.gather(*(wait() for _ in range(5)))

    assert 0 < len(told) < 5
    assert told[0].endswith(", and 4 more waits")


async def test_slow_machine_has_more_time(told: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "TIMEOUT_FACTOR", 10_000)

    async def observe() -> bool:
        return bool(told)

    await eventually(observe, True, within=0.01, every=0.02)

    assert told[0].endswith(" s of at most 100 s")


async def test_fast_machine_has_less_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "TIMEOUT_FACTOR", 0.001)

    async def observe() -> bool:
        return False

    with pytest.raises(AssertionError, match=r"after 0\.6 s: expected True"):
        await asyncio.wait_for(eventually(observe, True, within=600), 60)


@pytest.mark.parametrize("text", ["", "many", "0", "-1", "nan", "inf"])
def test_factor_that_is_none_ends_in_a_sentence(text: str) -> None:
    with pytest.raises(SystemExit, match="TIMEOUT_FACTOR must be a number above 0"):
        factor_of(text)


def test_other_threads_are_waited_for_until_they_end(told: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting.long_waits, "show", told.append)
    with ThreadPoolExecutor() as pool:
        assert waiting.result_of(pool.submit(sleep_and_return, "done"), "a thread") == "done"
        with pytest.raises(TimeoutError, match="its own"):
            waiting.result_of(pool.submit(raise_time_out), "a thread")

    assert told[0] == "waiting for a thread: 0 s"


def raise_time_out() -> None:
    """Fail with the error that also ends a wait."""
    raise TimeoutError("its own")


def sleep_and_return(result: str) -> str:
    """Return the result after some time."""
    time.sleep(0.2)
    return result
