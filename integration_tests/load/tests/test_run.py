"""Whole load runs against a stage in miniature: its mistakes must be in the report."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from integration_tests.harness.ledger import Tally
from integration_tests.load import __main__
from integration_tests.load.__main__ import main
from integration_tests.load.run import run as run_plan
from integration_tests.load.tests.stages import running_stage
from integration_tests.load.tests.test_listener import raw_server
from integration_tests.load.tests.test_workers import PLAN
from integration_tests.report.__main__ import main as merge_reports
from scripts.local.deployment import Deployment
from scripts.process_table import command_lines
from scripts.repository import REPOSITORY
from scripts.waiting import eventually, scaled

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from integration_tests.load.plan import Plan
    from integration_tests.load.progress import Display
    from integration_tests.targets.interface import Target

CONNECTIONS, ROOMS, MESSAGES = 60, 3, 90
MEMBERS = CONNECTIONS // ROOMS
SMALL = ("--connections", "10", "--messages", "1000", "--processes", "2")
SIZE = {"connections": CONNECTIONS, "rooms": ROOMS, "messages": MESSAGES, "rate": 100, "processes": 2}


def run(url: str, directory: Path, *flags: str, **options: str | float | Path) -> tuple[int, dict[str, Any]]:
    """Run with some options against a live stage at a URL; return the exit status and the JSON report."""
    given = {**SIZE, "scenario": "steady", "report-dir": directory, **options}
    pairs = [part for name, value in given.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    status = main(["run", "--target", "live", "--websocket-url", url, *pairs, *flags])
    return status, json.loads((directory / f"load-{given['scenario']}-live.json").read_text())


@pytest.mark.parametrize(
    ("total", "is_failed"),
    [
        (Tally(attempted=1, acknowledged=1, delivered=1), False),
        (Tally(attempted=1, acknowledged=1, delivered=1, lost=1), True),
        (Tally(attempted=1, acknowledged=1), True),
        (Tally(), True),
        (None, True),
    ],
)
def test_of_a_run_that_shows_nothing_is_kept_what_helps_to_find_out_why(
    monkeypatch: pytest.MonkeyPatch, total: Tally | None, *, is_failed: bool
) -> None:
    left: list[bool] = []

    class FakeTarget:
        failed = False

        def __enter__(self) -> FakeTarget:
            return self

        def __exit__(self, *_: object) -> None:
            left.append(self.failed)

    async def fake_run(*_: object) -> Any:
        if total is None:
            raise OSError("broken")
        return SimpleNamespace(verdict=SimpleNamespace(total=total), document=dict)

    monkeypatch.setattr(__main__, "run", fake_run)
    monkeypatch.setattr(__main__, "display_of", lambda _: contextlib.nullcontext())
    with contextlib.suppress(OSError):
        __main__.measure(cast("Plan", None), cast("Target", FakeTarget()), "")
    assert left == [is_failed]


@pytest.mark.parametrize(("seconds", "interval"), [(1, 1.0), (300, 1.0), (600, 2.0), (36_000, 120.0)])
def test_timeline_has_intervals_of_a_second_at_least_and_some_hundred_at_most(
    monkeypatch: pytest.MonkeyPatch, seconds: int, interval: float
) -> None:
    """Shorter ones would hold too few deliveries for a percentile, and more could not be told apart in the report."""
    asked: list[float] = []

    class StopError(Exception):
        pass

    def started_workers(_plan: Plan, _url: str, interval: float, _say: object) -> None:
        asked.append(interval)
        raise StopError

    monkeypatch.setattr("integration_tests.load.run.started_workers", started_workers)
    plan = replace(PLAN, messages=10 * seconds, rate=10)
    target = SimpleNamespace(name="live", aws=None, deployment=Deployment("wss://stage.example/live", None, {}))
    with pytest.raises(StopError):
        asyncio.run(run_plan(plan, cast("Target", target), cast("Display", SimpleNamespace(say=lambda _: None))))
    assert asked == [interval]


def test_on_a_correct_stage_every_message_comes_to_every_member_once(stage_url: str, tmp_path: Path) -> None:
    status, report = run(stage_url, tmp_path)

    invariants = report["invariants"]
    assert status == 0
    assert invariants["attempted"] == invariants["acknowledged"] == MESSAGES
    assert invariants["expected"] == invariants["delivered"] == MESSAGES * MEMBERS
    assert not any(invariants[finding] for finding in ("lost", "missing", "duplicated", "unexpected", "broken"))
    assert invariants["members"] == report["connects"]["succeeded"] == CONNECTIONS
    assert len(invariants["rooms"]) == ROOMS
    assert report["latency"]["count"] == MESSAGES * MEMBERS
    assert {kind["kind"]: kind["connections"] for kind in report["departures"]["kinds"]} == {
        "closed": 20,
        "aborted": 20,
        "all at once": 20,
    }


@pytest.mark.parametrize(("fault", "finding"), [("lose", "lost"), ("repeat", "duplicated"), ("leak", "unexpected")])
def test_what_a_stage_does_wrong_is_counted_and_named_and_decides_the_exit_status(
    fault: str, finding: str, tmp_path: Path
) -> None:
    with running_stage(f"--{fault}", "100") as url:
        status, report = run(url, tmp_path, patience=5)

    findings = {name: report["invariants"][name] for name in ("lost", "duplicated", "unexpected")}
    assert status == 1
    assert findings == {"lost": 0, "duplicated": 0, "unexpected": 0, finding: MESSAGES * MEMBERS // 100}
    assert all(example.startswith(f"{finding}: ") for example in report["invariants"]["examples"])
    failed = [check["metric"] for check in report["checks"] if check["outcome"] == "failed"]
    assert failed == [f"invariants.{finding}"]


def test_join_storm_owes_latecomers_only_what_was_sent_after_they_came(stage_url: str, tmp_path: Path) -> None:
    status, report = run(stage_url, tmp_path, scenario="join-storm", connect_rate=100, rate=30)

    invariants = report["invariants"]
    assert status == 0
    assert invariants["acknowledged"] == MESSAGES
    assert report["subject"]["done"] == report["subject"]["due"] == CONNECTIONS - ROOMS
    assert ROOMS <= invariants["expected"] < MESSAGES * MEMBERS
    assert [event["label"] for event in report["events"]] == ["the join storm begins", "all clients are in"]


def test_storm_that_outlasts_the_messages_says_so(stage_url: str, tmp_path: Path) -> None:
    status, report = run(stage_url, tmp_path, scenario="join-storm", connect_rate=20, messages=10)

    assert status == 1
    assert [check["metric"] for check in report["checks"] if check["outcome"] == "failed"] == ["subject.share"]
    assert report["subject"]["done"] < report["subject"]["due"] == CONNECTIONS - ROOMS
    assert report["events"][-1]["label"].startswith("all clients are in; the messages ended before")


def test_soak_in_which_no_client_left_is_red_and_ends_with_its_messages(stage_url: str, tmp_path: Path) -> None:
    status, report = run(stage_url, tmp_path, scenario="soak", lifetime=1_000_000_000)

    assert status == 1
    assert [check["metric"] for check in report["checks"] if check["outcome"] == "failed"] == ["subject.share"]
    assert report["subject"] == {
        "what": "clients that left while others sent, and came back",
        "due": 1,
        "done": 0,
        "share": 0,
    }


def test_reconnect_storm_brings_everybody_back(stage_url: str, tmp_path: Path) -> None:
    status, report = run(stage_url, tmp_path, scenario="reconnect-storm", rate=15)

    assert status == 0
    assert report["subject"]["done"] == report["subject"]["due"] == CONNECTIONS
    assert report["invariants"]["attempted"] == MESSAGES
    assert report["connects"]["succeeded"] == 2 * CONNECTIONS
    assert [(kind["kind"], kind["connections"]) for kind in report["departures"]["kinds"]] == [
        ("during the run", CONNECTIONS),
        ("closed", CONNECTIONS // 3),
        ("aborted", CONNECTIONS // 3),
        ("all at once", CONNECTIONS // 3),
    ]


def test_soak_replaces_clients_and_loses_nothing(stage_url: str, tmp_path: Path) -> None:
    status, report = run(stage_url, tmp_path, scenario="soak", lifetime=0.5)

    replaced = report["connects"]["succeeded"] - CONNECTIONS
    assert status == 0
    assert replaced > 0
    assert report["invariants"]["members"] == CONNECTIONS + replaced
    assert report["subject"]["done"] == report["subject"]["due"] == replaced
    assert report["invariants"]["broken"] == 0


def test_queued_messages_are_waited_for(tmp_path: Path) -> None:
    with running_stage("--queue", "3") as url:
        status, report = run(url, tmp_path)

    assert status == 0
    assert report["invariants"]["expected"] == report["invariants"]["delivered"] == MESSAGES * MEMBERS
    assert report["invariants"]["receipts_wrong"] is None
    assert any("only that the messages were queued" in sentence for sentence in report["not_shown"])


def test_connections_that_the_stage_drops_are_broken(tmp_path: Path) -> None:
    with running_stage("--drop", "50") as url:
        status, report = run(url, tmp_path, patience=5)

    assert status == 1
    assert report["invariants"]["broken"] > 0
    assert report["invariants"]["lost"] == 0
    assert any("ended by the other side, close code" in event["label"] for event in report["events"])


def test_refused_handshakes_are_counted_by_status(tmp_path: Path) -> None:
    with running_stage("--refuse", "4") as url:
        status, report = run(url, tmp_path)

    assert status == 1
    assert report["connects"]["refused"] == {"429": CONNECTIONS // 4}
    assert report["invariants"]["lost"] == 0


async def test_refusals_whose_bodies_come_later_are_counted_by_status(tmp_path: Path) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 23\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.01)  # a pause, so that the body is a piece of its own; nothing depends on its length
        writer.write(b'{"message":"Forbidden"}')
        writer.close()

    async with raw_server(refuse) as url:
        status, report = await asyncio.to_thread(run, url, tmp_path)

    assert status == 1
    assert report["connects"]["refused"] == {"403": CONNECTIONS}
    assert report["invariants"]["unsent"] == MESSAGES
    failed = {check["metric"] for check in report["checks"] if check["outcome"] == "failed"}
    assert {"connects.success_ratio", "invariants.unsent"} < failed


def test_next_run_is_compared_with_the_one_before(stage_url: str, tmp_path: Path) -> None:
    _, first = run(stage_url, tmp_path / "first")

    _, second = run(stage_url, tmp_path / "second", previous=tmp_path / "first" / "load-steady-live.json")

    assert second["comparison"]["previous"]["id"] == first["run"]["id"] != second["run"]["id"]
    assert second["comparison"]["not_comparable"] == []


@pytest.mark.parametrize(("fault", "status"), [([], 0), (["--leak", "100"], 1)])
def test_runs_on_two_machines_at_the_same_time_merge_into_one_report(
    fault: list[str], status: int, tmp_path: Path
) -> None:
    with running_stage(*fault) as url, ThreadPoolExecutor() as machines:
        directories = [tmp_path / name for name in ("one", "two")]
        _, reports = zip(*machines.map(lambda directory: run(url, directory), directories), strict=True)
    files = [str(directory / "load-steady-live.json") for directory in directories]

    assert merge_reports(["merge", *files, "--output", str(tmp_path)]) == status

    merged = json.loads((tmp_path / "load-steady-merged-live.json").read_text())
    for name in ("attempted", "delivered", "unexpected", "members"):
        assert merged["invariants"][name] == sum(report["invariants"][name] for report in reports)
    # On a busy machine, a client may find itself too slow to measure; the other one's times stand alone then.
    latencies = [report["latency"] for report in reports]
    trusted = [latency for latency in latencies if not latency["saturated"]] or latencies
    assert merged["latency"]["count"] == sum(latency["count"] for latency in trusted)
    assert {latency["count"] for latency in latencies} == {MESSAGES * MEMBERS}
    assert merged["parameters"]["connections"] == 2 * CONNECTIONS


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", ["10 clients in 3 rooms", "connected 10/10"])
async def test_interrupted_run_leaves_no_process_and_says_so(
    number: signal.Signals, moment: str, stage_url: str, tmp_path: Path
) -> None:
    with started_run(stage_url, tmp_path) as process:
        assert process.stdout is not None
        assert any(moment in line for line in process.stdout)  # while client processes start, and while they send
        os.killpg(process.pid, number)  # as a terminal does, and timeout(1)
        _, errors = process.communicate(timeout=scaled(20))
        await ends(process.pid)

    assert process.returncode == 130
    assert errors == "interrupted; everything is closed and removed\n"


async def test_run_in_the_background_of_a_shell_heeds_sigterm(stage_url: str, tmp_path: Path) -> None:
    with started_run(stage_url, tmp_path, "sh", "-c", 'trap "" INT; exec "$@"', "sh") as process:
        assert process.stdout is not None
        assert any("connected 10/10" in line for line in process.stdout)
        process.send_signal(signal.SIGINT)  # which it ignores
        process.terminate()
        _, errors = process.communicate(timeout=scaled(20))
        await ends(process.pid)

    assert process.returncode == 130
    assert errors == "interrupted; everything is closed and removed\n"


async def test_processes_of_a_killed_run_end_with_it(stage_url: str, tmp_path: Path) -> None:
    with started_run(stage_url, tmp_path) as process:
        assert process.stdout is not None
        assert any("connected 10/10" in line for line in process.stdout)
        assert len(members_of(process.pid)) > 2
        process.kill()
        process.communicate(timeout=scaled(20))
        await ends(process.pid)


@contextlib.contextmanager
def started_run(url: str, directory: Path, *prefix: str) -> Iterator[subprocess.Popen[str]]:
    """Start a run of two client processes in a process group of its own."""
    command = [*prefix, sys.executable, "-m", "integration_tests.load", "run", "--target", "live", "--websocket-url"]
    with subprocess.Popen(
        [*command, url, *SMALL, "--report-dir", str(directory)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        yield process


async def ends(group: int) -> None:
    """Wait until no process of a process group runs."""

    async def running() -> int:
        return len(members_of(group))

    await eventually(running, 0, within=20)


def members_of(group: int) -> list[int]:
    """Return the processes of a process group that run."""
    members = []
    for pid in command_lines():
        with contextlib.suppress(ProcessLookupError):  # it has ended since
            members += [pid] if os.getpgid(pid) == group else []
    return members


def test_nobody_to_talk_to_is_no_run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with running_stage() as url:
        pass  # it is gone now

    status = main(
        ["run", "--target", "live", "--websocket-url", url, "--connections", "5", "--report-dir", str(tmp_path)]
    )

    assert status == 2
    assert "ECONNREFUSED" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("option", ["--rate", "--connections", "--messages", "--duration", "--lifetime"])
@pytest.mark.parametrize("value", ["0", "-1", "nan", "many"])
def test_numbers_are_checked_before_anything_starts(
    option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["run", option, value])

    assert f"argument {option}: " in capsys.readouterr().err


@pytest.mark.parametrize("size", [["--connections", "501"], ["--connections", "100", "--messages", "3000"]])
def test_live_stage_is_spared_what_nobody_accepted(
    size: list[str], stage_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main(["run", "--target", "live", "--websocket-url", stage_url, *size])

    printed = capsys.readouterr()
    assert status == 2
    assert "estimated cost" in printed.out
    assert "--i-accept-the-cost" in printed.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--connections", "3", "--rooms", "4"], "3 clients are too few"),
        (["--connections", "3", "--rooms", "3"], "nothing shows that a message reaches anyone but its sender"),
        (["--connections", "1"], "1 clients are too few"),
        (["--late-after", "9", "--patience", "8"], "raise --patience or lower --late-after"),
        (["--connections", "1000000"], "raise the limit"),
        (["--scenario", "redeploy"], "A live stage is never changed"),
        (["--limits", "missing.toml"], "missing.toml"),
        (["--target", "local"], "--websocket-url"),
        (["--websocket-url", "wss://a..b.com/live"], "names no host"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    arguments: list[str], sentence: str, stage_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main(["run", "--target", "live", "--websocket-url", stage_url, "--i-accept-the-cost", *arguments])

    assert status == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "content", "sentence"),
    [
        (["--target", "localstack"], '{"rules": []}', "so not on localstack"),
        (["--scenario", "redeploy"], '{"rules": []}', "choose another scenario"),
        ([], "{", "expected a JSON object"),
        ([], '{"rules": []}', "faults.json has no rule, so no fault would be injected"),
        ([], '{"rules": [{"name": "r", "fault": {"kind": "explode"}}]}', "kind must be one of"),
    ],
)
def test_faults_that_cannot_be_injected_are_refused_before_anything_starts(
    options: list[str], content: str, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "faults.json"
    file.write_text(content)

    assert main(["run", "--target", "local", *options, "--faults", str(file)]) == 2
    assert sentence in capsys.readouterr().err
