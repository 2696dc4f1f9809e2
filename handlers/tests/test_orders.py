"""Rooms that keep messages, in random orders of all steps (``orders``). ``HISTORY_ORDERS`` says in how many."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING

import pytest
from roomcast import aws_json, rooms
from tests.orders import violations

if TYPE_CHECKING:
    from collections.abc import Mapping

ORDERS = int(os.environ.get("HISTORY_ORDERS", "10000"))
"""In all; `make test-long` asks for ten times as many."""

KINDS: Mapping[str, tuple[float, Mapping[str, bool]]] = {
    "quiet": (0.2, {}),
    "faults": (0.25, {"faults": True}),
    "ids": (0.25, {"faults": True, "ids": True}),
    "pauses": (0.15, {"faults": True, "pauses": True}),
    "changes": (0.15, {"faults": True, "ids": True, "pauses": True, "changing": True}),
}
"""The share of each kind of order, and what befalls it."""

CHUNK = 50
"""Orders between two looks at what did not hold."""


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Members are read one by one, so that others come and go between them."""
    monkeypatch.setattr(rooms, "PAGE_ITEMS", 1)


@pytest.fixture(autouse=True)
def one_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """Execution environments share what the tables here replace: to make it costs as much as ten calls."""
    monkeypatch.setattr(aws_json, "Service", functools.cache(aws_json.Service))


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_missed_and_nothing_comes_twice(kind: str) -> None:
    share, options = KINDS[kind]
    for start in range(0, round(ORDERS * share), CHUNK):
        found = violations(range(start, start + CHUNK), **options)
        assert not found, f"orders {start} to {start + CHUNK}: {dict(found)}"
