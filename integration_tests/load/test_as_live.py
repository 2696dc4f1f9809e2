"""What is for stages in use, pointed at the target as if it were one: load runs, the benchmark and the sweeper."""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import TYPE_CHECKING

import pytest

from integration_tests.harness.table import ROOM_PREFIX
from integration_tests.load.__main__ import main
from integration_tests.load.plan import Plan
from integration_tests.load.progress import Lines
from integration_tests.load.run import run
from integration_tests.targets.aws import emulator_environment

if TYPE_CHECKING:
    from pathlib import Path

    from integration_tests.harness.table import ConnectionsTable
    from integration_tests.targets.interface import Target

pytestmark = pytest.mark.emulator_only
HOUR_MS = 3_600_000


@pytest.fixture
def stage(target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The options that name the target as a live stage, with its outputs and credentials."""
    assert target.aws is not None
    assert target.aws.endpoint_url is not None
    for name, value in emulator_environment(target.aws.endpoint_url).items():
        monkeypatch.setenv(name, value)
    outputs = tmp_path / "outputs.json"
    outputs.write_text(json.dumps({name: {"value": value} for name, value in target.deployment.outputs.items()}))
    return ["--outputs", str(outputs)]


@pytest.fixture
def live(stage: list[str], target: Target) -> list[str]:
    """The same for what opens connections: an emulator's URL is not the one that Terraform prints."""
    return ["--target", "live", "--websocket-url", target.deployment.websocket_url, *stage]


@pytest.mark.parametrize(
    "scenario",
    ["steady", *(pytest.param(name, marks=pytest.mark.long) for name in ("join-storm", "reconnect-storm", "soak"))],
)
def test_load_run_finds_nothing_lost_and_nothing_left(scenario: str, live: list[str], tmp_path: Path) -> None:
    size = ["--connections", "40", "--rooms", "4", "--processes", "2", "--messages", "40", "--lifetime", "5"]

    status = main(["run", *live, *size, "--scenario", scenario, "--report-dir", str(tmp_path)])

    report = json.loads((tmp_path / f"load-{scenario}-live.json").read_text())
    assert status == 0, report["checks"]
    assert report["invariants"]["acknowledged"] > 0
    assert [kind["items_left"] for kind in report["departures"]["kinds"] if kind["kind"] != "during the run"] == [
        0,
        0,
        0,
    ]
    assert all(kind["gone"]["max_ms"] > 0 for kind in report["departures"]["kinds"])


def test_benchmark_names_the_function_that_delivers_but_neither_account_nor_api(
    live: list[str], target: Target, tmp_path: Path
) -> None:
    file = tmp_path / "fan-out.json"

    status = main(["bench", *live, "--sizes", "5", "20", "--messages", "2", "--output", str(file)])

    document = json.loads(file.read_text())
    assert status == 0, document
    assert [room["members"] for room in document["rooms"]] == [5, 20]
    assert document["stage"]["memory_mb"] > 0
    assert document["stage"]["queued_delivery"] is False
    assert target.deployment.outputs["api_id"] not in file.read_text()


def test_sweeper_removes_old_items_of_test_rooms_and_nothing_else(
    stage: list[str], table: ConnectionsTable, capsys: pytest.CaptureFixture[str]
) -> None:
    test_room, users_room = (f"{prefix}{secrets.token_hex(6)}" for prefix in (ROOM_PREFIX, "lobby-"))
    old, young, user = (f"{secrets.token_urlsafe(11)}=" for _ in range(3))
    asyncio.run(table.add_member(test_room, old, age_ms=25 * HOUR_MS))
    asyncio.run(table.add_member(test_room, young, age_ms=23 * HOUR_MS))
    asyncio.run(table.add_member(users_room, user, age_ms=25 * HOUR_MS))

    assert main(["sweep", *stage, "--dry-run"]) == 0
    assert f"2 items of {test_room}" in capsys.readouterr().out
    assert asyncio.run(table.members(test_room)) == {old, young}

    assert main(["sweep", *stage]) == 0
    assert asyncio.run(table.members(test_room)) == {young}
    assert asyncio.run(table.members(users_room)) == {user}
    assert asyncio.run(table.connections([old, young, user])) == {young, user}

    asyncio.run(table.remove_member(test_room, young))
    asyncio.run(table.remove_member(users_room, user))


@pytest.mark.long
def test_nobody_notices_that_the_stage_is_deployed_anew(target: Target) -> None:
    plan = Plan(
        scenario="redeploy",
        connections=20,
        rooms=2,
        messages=20,
        rate=5,
        size=100,
        connect_rate=100,
        lifetime=60,
        processes=1,
    )

    result = asyncio.run(run(plan, target, Lines(plan)))

    assert result.verdict.total.clean, result.verdict.examples
    assert result.verdict.total.acknowledged >= plan.messages
    assert [event.label for event in result.events] == ["redeployment begins", "redeployment is over"]
    assert [departure.items_left for departure in result.departures] == [0, 0, 0]
