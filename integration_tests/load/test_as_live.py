"""Load runs, benchmark and sweeper, which are made for stages in use, against the target under test."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from integration_tests.harness.cloudwatch import Logs, Metrics
from integration_tests.harness.faults.rules import FaultPlan
from integration_tests.harness.table import HOUR_MS, ROOM_PREFIX, unknown_connection_id
from integration_tests.load.__main__ import main
from integration_tests.load.function_logs import logs_of
from integration_tests.load.plan import Plan
from integration_tests.load.progress import Lines
from integration_tests.load.run import run
from integration_tests.targets.catalogue import create_target
from integration_tests.targets.interface import TargetError
from scripts.local.aws import emulator_environment

if TYPE_CHECKING:
    from integration_tests.harness.table import ConnectionsTable
    from integration_tests.targets.interface import Target
    from scripts.local.deployment import Deployment

pytestmark = pytest.mark.emulator_only
PLAN = Plan(
    scenario="steady",
    connections=20,
    rooms=2,
    messages=20,
    rate=5,
    size=100,
    connect_rate=100,
    lifetime=60,
    processes=1,
    late_after=60,  # times of an emulator on a busy machine say nothing
)


@pytest.fixture
def stage(target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The options that name the target as a live stage, with its outputs and credentials."""
    return outputs_of(target.deployment, target, tmp_path, monkeypatch)


def outputs_of(deployment: Deployment, target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the options that name an instance on the target by its outputs, and use the target's credentials."""
    assert target.aws is not None
    assert target.aws.endpoint_url is not None
    for name, value in emulator_environment(target.aws.endpoint_url).items():
        monkeypatch.setenv(name, value)
    outputs = tmp_path / "outputs.json"
    outputs.write_text(json.dumps({name: {"value": value} for name, value in deployment.outputs.items()}))
    return ["--outputs", str(outputs)]


@pytest.fixture
def live(stage: list[str], target: Target) -> list[str]:
    """The same for commands that open connections: an emulator's URL is not the one that Terraform prints."""
    return ["--target", "live", "--websocket-url", target.deployment.websocket_url, *stage]


@pytest.mark.parametrize(
    "scenario",
    ["steady", *(pytest.param(name, marks=pytest.mark.long) for name in ("join-storm", "reconnect-storm", "soak"))],
)
def test_load_run_finds_nothing_lost_and_nothing_left(scenario: str, live: list[str], tmp_path: Path) -> None:
    messages = "40" if scenario == "steady" else "150"  # a storm on a busy machine is to end before they do
    size = ["--connections", "40", "--rooms", "4", "--processes", "2", "--messages", messages, "--lifetime", "5"]
    size += ["--late-after", "60"]  # times of an emulator on a busy machine say nothing

    status = main(["run", *live, *size, "--scenario", scenario, "--report-dir", str(tmp_path)])

    report = json.loads((tmp_path / f"load-{scenario}-live.json").read_text())
    assert status == 0, report["checks"]
    assert report["invariants"]["acknowledged"] > 0
    assert [kind["items_left"] for kind in report["departures"]["kinds"] if kind["kind"] != "during the run"] == [
        0,
        0,
        0,
    ]
    assert report["departures"]["items_lacking"] == 0
    assert report["functions"]["errors"] == 0, report["functions"]["examples"]
    assert all(kind["gone"]["max_ms"] > 0 for kind in report["departures"]["kinds"])


def test_table_and_logs_of_another_stage_are_not_taken_for_clean_ones(
    live: list[str], target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("integration_tests.load.function_logs.LOGGED_WITHIN", 1.0)
    monkeypatch.setattr("integration_tests.load.departures.THERE_WITHIN", 1.0)
    assert target.aws is not None
    name, group = f"another-{secrets.token_hex(4)}", f"/aws/lambda/another-{secrets.token_hex(4)}"
    keys: list[Any] = ["partition_key", "sort_key"]
    target.aws.dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
        KeySchema=[{"AttributeName": keys[0], "KeyType": "HASH"}, {"AttributeName": keys[1], "KeyType": "RANGE"}],
    )
    target.aws.logs.create_log_group(logGroupName=group)
    outputs = tmp_path / "another.json"
    values = {**target.deployment.outputs, "connections_table_name": name, "log_group_names": {"connect": group}}
    outputs.write_text(json.dumps({key: {"value": value} for key, value in values.items()}))
    another = [*live[:-1], str(outputs)]

    size = ["--connections", "6", "--messages", "6", "--late-after", "60", "--report-dir", str(tmp_path)]
    status = main(["run", *another, *size])

    report = json.loads((tmp_path / "load-steady-live.json").read_text())
    assert status == 1
    assert [check["metric"] for check in report["checks"] if check["outcome"] == "failed"] == [
        "departures.items_lacking"
    ]
    assert report["departures"]["items_lacking"] == 12
    assert report["departures"]["items_left"] is report["functions"] is None
    with pytest.raises(TargetError, match=r"does not write to the table another-.*: the outputs are those of another"):
        create_target("live", target.deployment.websocket_url, outputs).check()
    target.aws.dynamodb.delete_table(TableName=name)
    target.aws.logs.delete_log_group(logGroupName=group)


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
    old, young, user = (unknown_connection_id() for _ in range(3))
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


def test_what_cloudwatch_was_given_is_found_there(target: Target) -> None:
    """Only AWS fills these metrics and access logs by itself, so here the test does."""
    assert target.aws is not None
    began_at, group = time.time(), f"/aws/apigateway/{secrets.token_hex(4)}"
    stage = {"ApiId": secrets.token_hex(5), "Stage": "live"}
    dimensions: list[Any] = [{"Name": name, "Value": value} for name, value in stage.items()]
    for value in (2, 3):
        data: Any = {"MetricName": "ConnectCount", "Dimensions": dimensions, "Value": value, "Unit": "Count"}
        target.aws.cloudwatch.put_metric_data(Namespace="AWS/ApiGateway", MetricData=[data])
    target.aws.logs.create_log_group(logGroupName=group)
    target.aws.logs.create_log_stream(logGroupName=group, logStreamName="1")
    lines = ['{"message":"of another","connectionId":"b="}', '{"message":"handshake","connectionId":"a="}', "START a="]
    errors = [
        '{"level":"ERROR","message":"lost"}',
        "[ERROR] KeyError: 'room'",
        "5cb8 Task timed out after 29.00 seconds",
        "RequestId: 5cb8 Error: Runtime exited with error: signal: killed",
    ]
    warnings = ['{"level":"WARNING","message":"stay","error":"[SSL: TLSV1_ALERT_INTERNAL_ERROR]"}']
    fine = ['{"level":"INFO","message":"fan-out","transport_error":"[SSL: TLSV1_ALERT_INTERNAL_ERROR] no WARNING"}']
    all_lines = [*lines, *errors, *warnings, *fine]
    target.aws.logs.put_log_events(
        logGroupName=group,
        logStreamName="1",
        logEvents=[{"timestamp": int(began_at * 1000), "message": line} for line in all_lines],
    )
    logs, metrics = Logs(target.aws.logs, [group]), Metrics(target.aws.cloudwatch)

    assert asyncio.run(metrics.total("AWS/ApiGateway", "ConnectCount", stage, began_at)) == 5
    assert asyncio.run(metrics.total("AWS/ApiGateway", "ConnectCount", {**stage, "Stage": "test"}, began_at)) == 0
    assert asyncio.run(logs.lines(began_at - 1, "a=")) == lines[1:]
    assert asyncio.run(logs.records(began_at - 1, "handshake")) == [{"message": "handshake", "connectionId": "a="}]
    assert asyncio.run(logs.lines(began_at + 60, "a=")) == []
    assert asyncio.run(logs.errors(began_at - 1)) == errors
    assert asyncio.run(logs.warnings(began_at - 1)) == warnings
    target.aws.logs.delete_log_group(logGroupName=group)


def test_run_whose_logs_may_not_be_read_is_reported_all_the_same(
    target: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    assert target.aws is not None
    stage = replace(target.deployment, outputs={"log_group_names": {"connect": "/aws/lambda/of-somebody-else"}})

    assert asyncio.run(logs_of(target, stage, datetime.now(UTC), Lines(PLAN))) is None
    assert "the functions' logs cannot be read: An error occurred" in capsys.readouterr().out


@pytest.mark.long
def test_nobody_notices_faults_between_the_functions_and_aws(target: Target) -> None:
    faults = FaultPlan.loads((Path(__file__).parents[1] / "harness" / "faults" / "mild.json").read_bytes())
    plan = replace(PLAN, connections=40, rooms=4, messages=100, rate=10, faults=faults)

    result = asyncio.run(run(plan, target, Lines(plan)))

    assert result.verdict.total.clean, result.verdict.examples
    assert all(count.matched for count in result.faults)
    assert sum(count.struck for count in result.faults) > 50
    assert [departure.items_left for departure in result.departures] == [0, 0, 0]


@pytest.mark.long
def test_nobody_notices_that_the_stage_is_deployed_anew(target: Target) -> None:
    plan = replace(PLAN, scenario="redeploy")

    result = asyncio.run(run(plan, target, Lines(plan)))

    assert result.verdict.total.clean, result.verdict.examples
    assert result.verdict.total.acknowledged >= plan.messages
    assert [event.label for event in result.events] == ["redeployment begins", "redeployment is over"]
    assert [departure.items_left for departure in result.departures] == [0, 0, 0]
