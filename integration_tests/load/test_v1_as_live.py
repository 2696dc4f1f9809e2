"""Load runs of ``roomcast.v1``, which are made for stages in use, against instances whose rooms keep their messages."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from integration_tests.harness.cloudwatch import Logs
from integration_tests.load.__main__ import main
from integration_tests.load.plan import Plan
from integration_tests.load.progress import Lines
from integration_tests.load.run import run
from integration_tests.load.test_as_live import outputs_of

if TYPE_CHECKING:
    from pathlib import Path

    from integration_tests.targets.interface import Target
    from scripts.local.deployment import Deployment

pytestmark = pytest.mark.emulator_only
SIZE = ["--connections", "12", "--rooms", "3", "--rate", "10", "--processes", "2"]
SIZE += ["--late-after", "60"]  # times of an emulator on a busy machine say nothing
SCENARIOS = {
    "resume-storm": ["--messages", "60", "--outage", "1"],
    "rollover": ["--messages", "60", "--lifetime", "6"],
    "retry-storm": ["--messages", "40"],
}


def report_of(
    scenario: str, stage: Deployment, target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """Carry out a scenario on an instance; the run must keep every limit."""
    outputs = outputs_of(stage, target, tmp_path, monkeypatch)
    live = ["--target", "live", "--websocket-url", stage.websocket_url, *outputs]
    began = time.time()
    status = main(["run", *live, *SIZE, *SCENARIOS[scenario], "--scenario", scenario, "--report-dir", str(tmp_path)])
    assert status < 2, "the run came to no verdict; it has told why"
    report: dict[str, Any] = json.loads((tmp_path / f"load-{scenario}-live.json").read_text())
    failed = {check["metric"] for check in report["checks"] if check["outcome"] == "failed"}
    assert failed <= {"invariants.duplicated"}, (report["checks"], report["invariants"]["examples"])
    assert report["invariants"]["duplicated"] <= posted_again(stage, target, began), report["invariants"]["examples"]
    assert report["departures"]["items_left"] == report["departures"]["items_lacking"] == 0
    assert report["functions"]["errors"] == 0, report["functions"]["examples"]
    return report


def posted_again(stage: Deployment, target: Target, since: float) -> int:
    """Count posts that functions sent again because no answer had come: a busy emulator gives some too late.

    Each of these may have been delivered, so that its message may come twice over one socket.
    """
    assert target.aws is not None
    logs = Logs(target.aws.logs, [*stage.outputs["log_group_names"].values()])
    records = asyncio.run(logs.records(since, "fan-out"))
    assert records, "no function has told of a fan-out"
    return sum(max(0, each["posts"] - each["recipients"]) for each in records if each.get("transport_error"))


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_nothing_is_missed_and_nothing_comes_twice(
    scenario: str, with_history: Deployment, target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = report_of(scenario, with_history, target, tmp_path, monkeypatch)

    recovery = report["recovery"]
    assert report["invariants"]["reordered"] == 0
    assert report["subject"]["share"] == 1
    if scenario == "resume-storm":
        assert (recovery["returns"], recovery["complete"], recovery["time"]["count"]) == (9, 9, 9)
    elif scenario == "rollover":
        assert recovery["rollovers"] >= 24
        assert recovery["returns"] == 0
    else:
        assert recovery["retries"] == recovery["retries_answered"] == 80


@pytest.mark.parametrize("scenario", ["resume-storm", "retry-storm"])
def test_neither_does_it_with_queued_delivery(
    scenario: str, with_queue: Deployment, target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = report_of(scenario, with_queue, target, tmp_path, monkeypatch)

    assert report["subject"]["share"] == 1
    assert report["invariants"]["receipts_counted"] == 0


@pytest.mark.long
def test_expired_messages_are_not_recovered_and_every_client_is_told(target: Target) -> None:
    plan = Plan(
        scenario="resume-storm",
        protocol="v1",
        expired=True,
        connections=12,
        rooms=3,
        messages=120,
        rate=10,
        size=100,
        connect_rate=100,
        lifetime=60,
        processes=1,
        late_after=60,
        outage=1,
    )

    result = asyncio.run(run(plan, target, Lines(plan)))

    assert result.verdict.total.clean, result.verdict.examples
    assert result.recovery is not None
    assert result.recovery.answers == {"too_old": 9}
    assert result.subject is not None
    assert (result.recovery.wrong, result.subject.share) == (0, 1)
