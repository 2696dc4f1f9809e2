"""A call that goes on while another one waits."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from roomcast.steps import Begun, Wait, drive

if TYPE_CHECKING:
    from roomcast.steps import Steps


def call(order: list[str], name: str = "first", waits: int = 2, seconds: float = 0.0) -> Steps[str]:
    """A call that notes what it does."""
    try:
        for number in range(waits):
            order.append(f"{name} {number}")
            yield Wait(None, time.monotonic() + seconds)
        return name
    finally:
        order.append(f"{name} ends")


def test_both_requests_are_sent_before_either_answer_is_waited_for() -> None:
    order: list[str] = []
    with Begun(call(order)) as first:
        assert drive(call(order, "second", 1, 0.05), [first]) == "second"
        assert drive(first.rest()) == "first"
    assert order == ["first 0", "second 0", "first 1", "first ends", "second ends"]


def test_a_call_that_is_not_over_when_the_other_one_is_goes_on_later() -> None:
    order: list[str] = []
    with Begun(call(order, seconds=0.05)) as first:
        assert drive(call(order, "second", 1), [first]) == "second"
        assert order == ["first 0", "second 0", "second ends"]
        assert drive(first.rest()) == "first"
    assert order[3:] == ["first 1", "first ends"]


def test_a_second_that_fails_ends_the_first() -> None:
    order: list[str] = []
    first = Begun(call(order))
    with pytest.raises(KeyError), first:
        raise KeyError
    assert order == ["first 0", "first ends"]
    assert first.wait is None


def test_a_first_that_fails_fails_where_it_is_needed() -> None:
    def fail() -> Steps[str]:
        yield Wait(None, 0.0)
        raise KeyError

    first = Begun(fail())
    assert drive(call([], "second", 1, 0.05), [first]) == "second"
    with pytest.raises(KeyError):
        drive(first.rest())


def test_a_first_that_need_not_wait() -> None:
    first = Begun(call([], waits=0))
    assert first.wait is None
    assert drive(first.rest()) == "first"
