"""When a value of another service is read, kept, and used on."""

from __future__ import annotations

import json

import pytest
from roomcast import kept
from roomcast.kept import Kept, ReadError, UnavailableError


class Clock:
    """Time of the two clocks that a moment is measured by; one of them may stand still."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monotonic_now = 100.0
        self.wall_now = 1_700_000_000.0
        monkeypatch.setattr("time.monotonic", lambda: self.monotonic_now)
        monkeypatch.setattr("time.time", lambda: self.wall_now)

    def advance(self, seconds: float) -> None:
        self.monotonic_now += seconds
        self.wall_now += seconds


class Source:
    """Gives its value, or fails."""

    def __init__(self) -> None:
        self.value: list[str] | None = ["first"]
        self.reads = 0

    def __call__(self, _deadline: float) -> list[str]:
        self.reads += 1
        if self.value is None:
            raise ReadError("no answer")
        return self.value


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that the test moves."""
    return Clock(monkeypatch)


@pytest.fixture
def source() -> Source:
    """A source that works."""
    return Source()


def test_a_value_is_kept_for_ten_minutes(clock: Clock, source: Source) -> None:
    value = Kept(source, 3600)

    assert [value.get(0) for _ in range(3)] == [["first"]] * 3
    source.value = ["second"]
    clock.advance(599)
    assert value.get(0) == ["first"]
    clock.advance(1)
    assert value.get(0) == ["second"]
    assert source.reads == 2


def test_a_value_is_old_when_one_of_the_clocks_says_so(clock: Clock, source: Source) -> None:
    """While Lambda freezes a process, one of them may stand still."""
    value = Kept(source, 3600)
    value.get(0)
    clock.wall_now += 601
    value.get(0)
    clock.monotonic_now += 601
    value.get(0)

    assert source.reads == 3


@pytest.mark.parametrize(("stale_seconds", "usable_seconds"), [(3600, 3600), (0, 600), (86_400, 86_400)])
def test_a_value_is_used_on_while_the_source_fails(
    clock: Clock, source: Source, stale_seconds: float, usable_seconds: float
) -> None:
    value = Kept(source, stale_seconds)
    value.get(0)
    source.value = None

    clock.advance(usable_seconds - 1)
    assert value.get(0) == ["first"]
    clock.advance(1)
    with pytest.raises(UnavailableError, match="no answer"):
        value.get(0)


def test_a_source_that_fails_is_asked_once_a_minute(clock: Clock, source: Source) -> None:
    value = Kept(source, 3600)
    value.get(0)
    source.value = None
    clock.advance(600)

    for _ in range(120):
        value.get(0)
        clock.advance(1)
    assert source.reads == 1 + 2


def test_before_the_first_success_it_is_asked_every_five_seconds(clock: Clock, source: Source) -> None:
    value = Kept(source, 3600)
    source.value = None

    for _ in range(20):
        with pytest.raises(UnavailableError):
            value.get(0)
        clock.advance(1)
    assert source.reads == 4
    source.value = ["at last"]
    assert value.get(0) == ["at last"]


def test_a_refresh_is_possible_once_a_minute(clock: Clock, source: Source) -> None:
    value = Kept(source, 3600)
    value.get(0)

    for second in range(1, 181):
        clock.advance(1)
        assert value.refresh(0) == (second % 60 == 0)
    assert source.reads == 1 + 3


@pytest.mark.parametrize("stale_seconds", [0, 3600])
def test_a_refresh_that_fails_leaves_a_value_that_is_not_due(
    clock: Clock, source: Source, stale_seconds: float
) -> None:
    """A token with an unknown key asks for a refresh: it must not take the keys of all others away."""
    value = Kept(source, stale_seconds)
    value.get(0)
    source.value = None
    clock.advance(kept.RETRY_SECONDS)

    assert not value.refresh(0)
    assert value.get(0) == ["first"]
    assert source.reads == 2


def test_a_value_that_is_empty_replaces_the_last_one_and_counts_as_none(clock: Clock, source: Source) -> None:
    value = Kept(source, 3600)
    value.get(0)
    source.value = []
    clock.advance(600)

    with pytest.raises(UnavailableError, match="no usable key"):
        value.get(0)
    source.value = ["second"]
    clock.advance(kept.RETRY_WITHOUT_SECONDS)
    assert value.get(0) == ["second"]


@pytest.mark.parametrize("fault", [TypeError("planted"), KeyError("planted"), RecursionError(), MemoryError()])
def test_an_unexpected_fault_is_a_failed_attempt_and_an_error(
    clock: Clock, source: Source, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    value = Kept(source, 3600)
    value.get(0)
    clock.advance(600)

    def fail(_deadline: float) -> list[str]:
        raise fault

    monkeypatch.setattr(value, "_read", fail)
    assert [value.get(0) for _ in range(3)] == [["first"]] * 3
    (line,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert (line["level"], line["error"]) == ("ERROR", f"unexpected {type(fault).__name__}")
    clock.advance(3000)
    with pytest.raises(UnavailableError, match=r"^unexpected [A-Za-z]+$"):
        value.get(0)


def test_a_value_that_is_not_needed_is_asked_for_once_a_minute(clock: Clock, source: Source) -> None:
    value = Kept(source, 3600, is_needed=False)
    source.value = None

    for _ in range(120):
        with pytest.raises(UnavailableError):
            value.get(0)
        clock.advance(1)
    assert source.reads == 2


def test_a_failure_is_logged(clock: Clock, source: Source, capsys: pytest.CaptureFixture[str]) -> None:
    value = Kept(source, 3600)
    value.get(0)
    source.value = None
    clock.advance(600)
    value.get(0)

    line = json.loads(capsys.readouterr().out)
    assert (line["level"], line["message"], line["error"], line["in_use"]) == (
        "WARNING",
        "keys_not_read",
        "no answer",
        True,
    )
