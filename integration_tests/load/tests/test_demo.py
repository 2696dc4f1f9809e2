"""The demo, against miniature stages: it reports every mistake of theirs, and fails."""

from __future__ import annotations

import asyncio
import io
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from rich.console import Console
from websockets.exceptions import WebSocketException

from integration_tests import demo
from integration_tests.harness.table import ConnectionsTable
from integration_tests.load.tests.miniatures import miniature

if TYPE_CHECKING:
    from integration_tests.targets.local import Local

ROOMS = {"lobby": 4, "kitchen": 3}
WRONG = [
    *("mute", "error", "internal-server-error", "half", "half-of-the-members", "one-room", "cut", "append", "encode"),
    *("slow", "slow-answers", "duplicate", "leak", "no-receipt", "wrong-receipt", "second-receipt"),
    *("unknown-receipt", "receipt-to-another", "error-besides", "echo", "not-the-sender", "drop-seventh", "forget"),
    *("close-at-once", "close-after-some", "hang-after-handshake", "refuse", "refuse-some", "garbage"),
]


@dataclass
class FakeTable:
    """A table that has the items that it should have, and later none."""

    items: int = demo.ITEMS_PER_CLIENT * sum(ROOMS.values())

    async def size(self) -> int:
        items, self.items = self.items, 0
        return items


async def faults_of(name: str) -> tuple[int | None, str]:
    """Return how many faults the demo finds in a stage, None if it could not be shown, and its output."""
    screen = io.StringIO()
    stage = demo.Stage()
    stage.console = Console(file=screen, width=100)
    with miniature(name, delay=20.0) as url:
        target = SimpleNamespace(
            deployment=SimpleNamespace(websocket_url=url, outputs={}), aws=SimpleNamespace(dynamodb=None)
        )
        try:
            faults = await demo.perform(stage, cast("Local", target))
        except WebSocketException:
            return None, screen.getvalue()
    return faults, screen.getvalue()


@pytest.fixture
def small_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    """As few clients as show everything, and as little patience as a busy machine needs."""
    monkeypatch.setattr(demo, "ROOMS", ROOMS)
    monkeypatch.setattr(demo, "MESSAGES_PER_SPEAKER", 2)
    monkeypatch.setattr(demo, "PATIENCE_SECONDS", 5)
    monkeypatch.setattr(ConnectionsTable, "of_stage", lambda *_: FakeTable())


@pytest.mark.usefixtures("small_demo")
async def test_demo_finds_every_fault_and_none_where_there_is_none() -> None:
    outcomes = dict(zip(["healthy", *WRONG], await asyncio.gather(*map(faults_of, ["healthy", *WRONG])), strict=True))

    faults, shown = outcomes.pop("healthy")
    assert faults == 0, shown
    assert [name for name, (faults, _) in outcomes.items() if faults == 0] == []


@pytest.mark.usefixtures("small_demo")
async def test_demo_does_not_take_an_empty_table_for_a_clean_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ConnectionsTable, "of_stage", lambda *_: FakeTable(items=0))

    faults, shown = await faults_of("healthy")

    assert faults == demo.ITEMS_PER_CLIENT * sum(ROOMS.values())
    assert "items of connected clients were not in the table" in shown
