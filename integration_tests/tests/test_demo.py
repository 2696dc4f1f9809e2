"""The demo, against miniature stages: it finds every fault and none in a healthy stage."""

from __future__ import annotations

import asyncio
import io
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from rich import console as rich

from integration_tests.demo import outcomes, room, scenes
from integration_tests.demo.console import Console
from integration_tests.harness.ledger import FINDINGS, Terms
from integration_tests.harness.table import ConnectionsTable
from integration_tests.load.tests.miniatures import MINIATURES, miniature
from integration_tests.targets.interface import TargetError

if TYPE_CHECKING:
    from integration_tests.targets.local import Local

ROOMS = {"lobby": 4, "kitchen": 3}
FINE = {"healthy", "reorder", "old-on-join", "late-duplicate"}
"""The demo promises no order, and its clients join before the first message and leave after the last one."""
WRONG = [name for name in MINIATURES if name not in FINE]


@dataclass
class FakeTable:
    """A table that holds all items at first and later none."""

    items: int = scenes.ITEMS_PER_CLIENT * sum(ROOMS.values())

    async def size(self) -> int:
        items, self.items = self.items, 0
        return items


async def violations_of(name: str) -> tuple[int | None, str]:
    """Return how many violations the demo finds in a stage, None if it could not run, and its output."""
    screen = io.StringIO()
    console = Console()
    console.terminal = rich.Console(file=screen, width=100)
    with miniature(name, delay=20.0) as url:
        target = SimpleNamespace(
            deployment=SimpleNamespace(websocket_url=url, outputs={}), aws=SimpleNamespace(dynamodb=None)
        )
        try:
            found = await scenes.perform(console, cast("Local", target))
        except TargetError:
            return None, screen.getvalue()
    return found, screen.getvalue()


@pytest.fixture
def small_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    """A demo with few clients and with as little patience as a busy machine allows."""
    terms = Terms(transit=1.0, late_after=5.0, patience=5.0)
    monkeypatch.setattr(scenes, "ROOMS", ROOMS)
    monkeypatch.setattr(scenes, "MESSAGES_PER_SPEAKER", 2)
    monkeypatch.setattr(room, "TERMS", terms)
    monkeypatch.setattr(scenes, "TERMS", terms)
    monkeypatch.setattr(ConnectionsTable, "of_stage", lambda *_: FakeTable())


@pytest.mark.usefixtures("small_demo")
async def test_demo_finds_no_violation_in_a_healthy_stage() -> None:
    found, shown = await violations_of("healthy")

    assert found == 0, shown
    assert shown.count("hello world") == 1
    assert "lobby    4 of 4 members" in shown


@pytest.mark.usefixtures("small_demo")
async def test_demo_finds_every_fault() -> None:
    found = dict(zip(WRONG, await asyncio.gather(*map(violations_of, WRONG)), strict=True))

    assert [name for name, (violations, _) in found.items() if violations == 0] == []


@pytest.mark.usefixtures("small_demo")
async def test_demo_does_not_take_an_empty_table_for_a_clean_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ConnectionsTable, "of_stage", lambda *_: FakeTable(items=0))

    found, shown = await violations_of("healthy")

    assert found == scenes.ITEMS_PER_CLIENT * sum(ROOMS.values())
    assert "items of connected clients were not in the table" in shown


def test_every_finding_of_the_ledger_counts() -> None:
    columns = {finding for findings in outcomes.COLUMNS.values() for finding in findings}

    # An unanswered message lacks a receipt. The order is checked only where a stage promises it.
    assert {*FINDINGS} - columns == {"unanswered", "reordered"}
