"""Two calls side by side."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from roomcast.steps import Wait, beside

if TYPE_CHECKING:
    from roomcast.steps import Steps


def call(order: list[str], waits: int = 2) -> Steps[str]:
    """A call that notes what it does."""
    try:
        for number in range(waits):
            order.append(f"waits {number}")
            yield Wait(None, time.monotonic())
        return "first"
    finally:
        order.append("ends")


def test_the_request_of_the_first_is_sent_before_the_second_and_its_answer_is_read_after_it() -> None:
    order: list[str] = []

    def other() -> str:
        order.append("second")
        return "other"

    assert beside(call(order), other) == ("first", "other")
    assert order == ["waits 0", "second", "waits 1", "ends"]


def test_a_second_that_fails_ends_the_first() -> None:
    order: list[str] = []

    def fail() -> str:
        raise KeyError

    with pytest.raises(KeyError):
        beside(call(order), fail)
    assert order == ["waits 0", "ends"]


def test_a_first_that_need_not_wait() -> None:
    assert beside(call([], 0), lambda: "other") == ("first", "other")
