"""Rooms with presence, in random orders of all steps (``presence_orders``). ``PRESENCE_ORDERS`` says in how many."""

from __future__ import annotations

import os

import pytest
from roomcast import marks, presence, rooms
from tests import presence_orders

ORDERS = int(os.environ.get("PRESENCE_ORDERS", "240"))


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Members are read one by one, so that others come and go between them."""
    monkeypatch.setattr(rooms, "PAGE_ITEMS", 1)


@pytest.mark.parametrize("faults", [False, True], ids=["quiet", "faults"])
def test_each_client_knows_who_is_there(monkeypatch: pytest.MonkeyPatch, *, faults: bool) -> None:
    for start in range(0, ORDERS // 2, 20):
        for seed in range(start, start + 20):
            world = presence_orders.World(seed, faults=faults)
            monkeypatch.setattr(marks, "time", world.clock)
            monkeypatch.setattr(presence, "time", world.clock)
            assert world.run() == [], f"order {seed}"
