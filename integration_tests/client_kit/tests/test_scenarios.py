"""The Python client does what every scenario of the kit says; a client that does not is noticed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from integration_tests.client_kit.__main__ import main
from integration_tests.client_kit.players import play_through_driver, play_virtually
from integration_tests.client_kit.scenario import Scenario, read_scenarios
from integration_tests.client_kit.tests.minimal import MinimalDriver
from scripts.waiting import scaled

if TYPE_CHECKING:
    from pathlib import Path

SCENARIOS = read_scenarios()
NAMES = [scenario.name for scenario in SCENARIOS]
BY_NAME = dict(zip(NAMES, SCENARIOS, strict=True))
DRIVER = f"{sys.executable} -m integration_tests.client_kit.driver"
SCALE = 0.2
"""Real seconds of a protocol second: a frame has 100 ms more than the machine takes when it is quiet."""


@pytest.mark.parametrize("scenario", SCENARIOS, ids=NAMES)
def test_python_client(scenario: Scenario) -> None:
    assert play_virtually(scenario, seed=1) == []


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2, 11))
def test_python_client_with_other_random_waits(seed: int) -> None:
    found = {scenario.name: play_virtually(scenario, seed) for scenario in SCENARIOS}

    assert {name: wrong for name, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize("name", ["join-and-receive", "send", "token-throws"])
async def test_python_client_through_its_driver(name: str) -> None:
    assert await play_through_driver(BY_NAME[name], DRIVER, seed=1, scale=scaled(SCALE)) == []


async def test_driver_that_does_not_start_is_told_of() -> None:
    client = f"{sys.executable} -c pass"

    [wrong] = await play_through_driver(BY_NAME["send"], client, seed=1, scale=SCALE)

    assert wrong == "the driver did not get ready"


def test_minimal_client_passes_the_simple_scenarios_alone() -> None:
    passed = {scenario.name for scenario in SCENARIOS if not play_virtually(scenario, 1, MinimalDriver)}

    assert passed >= {"twice", "void"}
    assert len(passed) < len(SCENARIOS) / 3


def test_command_lists_plays_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list", "--only", "weather"]) == 0
    assert main(["--only", "join-and-receive"]) == 0
    assert main(["--only", "no such scenario"]) == 1
    assert "1 of 1 as they must be" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        ([{"await": {"on": "state", "state": "kicked"}, "within": 5}], "still no event"),
        ([{"sleep": 5}, {"frames": {"action": "join"}, "least": 2, "most": 2}], "1 such frames"),
        ([{"sleep": 1}, {"say": "lobby", "how": "lost"}], "missing"),
    ],
)
def test_client_that_does_something_else_is_noticed(steps: list[dict[str, object]], told: str) -> None:
    [wrong, *_] = play_virtually(Scenario("wrong", "", [{"connect": {}}, *steps]), seed=1)

    assert told in wrong


@pytest.mark.parametrize("text", ["[a]\nsays = ''\nsteps = [{ hop = 1 }]", "[a]\nsays = ''\nsteps = []\nmore = 1"])
def test_scenario_that_cannot_be_played_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "one.toml").write_text(text)

    with pytest.raises((ValueError, TypeError)):
        read_scenarios(tmp_path)
