"""``roomcast cost`` and ``roomcast capacity`` of a stage, as it was used in the last 24 hours."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from roomcast import logs
from roomcast_cli import last_day

from scripts.tests import stages
from scripts.tests.command_line import of_json, on_terminal, run
from scripts.tests.fake_aws import Refusal, fake_aws

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from scripts.tests.fake_aws import FakeAws

POINTS: Mapping[str, list[float]] = {
    "connections": [1_000.0, 2_000.0],
    "most_connections": [1_100.0, 9_000.0],
    "fanouts": [400_000.0, 464_000.0],
    "most_fanouts": [60.0, 1_200.0],
    "delivered": [39_000_000.0, 46_400_000.0],
    "failed": [500_000.0],
    "slow": [300_000.0],
    "gone": [150_000.0, 50_000.0],
    "most_delivered": [90.0, 400.0],
}
QUEUE = f"{stages.QUEUES}-fanout"
LIMITS = {"ROOMCAST_CLIENT_LIMITS": json.dumps({"heartbeat": 480, "spread": 120, "heal": 2})}
FUNCTIONS: Mapping[str, Any] = {
    "connect": {"MemorySize": 256, "Environment": {"Variables": LIMITS}},
    "sendmessage": {"MemorySize": 2048, "Environment": {"Variables": {"ROOMCAST_PACE": "300"}}},
    "fanout_worker": {"MemorySize": 1536, "Environment": {"Variables": {}}},
}
READ = {
    "cloudwatch:GetMetricData",
    "lambda:GET /2015-03-31/functions/roomcast-connect/configuration?Qualifier=live",
    "lambda:GET /2015-03-31/functions/roomcast-sendmessage/configuration?Qualifier=live",
    "ssm:GetParametersByPath",
}
QUOTAS = {"apigateway:GET /account", "lambda:GET /2016-08-19/account-settings", "servicequotas:GetServiceQuota"}


@pytest.fixture
def aws() -> Iterator[FakeAws]:
    """An account with a stage that was in use."""
    with fake_aws() as found:
        stages.serve(found)
        found.answers["cloudwatch:GetMetricData"] = lambda fields: points(fields, POINTS)
        for name, configuration in FUNCTIONS.items():
            path = f"/2015-03-31/functions/roomcast-{name}/configuration?Qualifier=live"
            found.answers[f"lambda:GET {path}"] = partial(_copy, configuration)
        found.answers["apigateway:GET /account"] = lambda _: {"throttleSettings": {"rateLimit": 2500, "burstLimit": 10}}
        limits = {"AccountLimit": {"ConcurrentExecutions": 50}}
        found.answers["lambda:GET /2016-08-19/account-settings"] = lambda _: {**limits}
        found.answers["servicequotas:GetServiceQuota"] = lambda _: {"Quota": {"Value": 300.0}}
        yield found


def _copy(answer: Mapping[str, Any], _: dict[str, Any]) -> dict[str, Any]:
    return {**answer}


def points(fields: Mapping[str, Any], found: Mapping[str, list[float]]) -> dict[str, Any]:
    """Answer GetMetricData in two pages, as CloudWatch may."""
    page = 1 if fields.get("NextToken") else 0
    results = [{"Id": each["Id"], "Values": found[each["Id"]][page : page + 1]} for each in fields["MetricDataQueries"]]
    return {"MetricDataResults": results, **({} if page else {"NextToken": "more"})}


def test_capacity_is_of_the_busiest_minute_and_the_largest_room(aws: FakeAws) -> None:
    status, found = of_json("capacity", **aws.variables)

    inputs = found["inputs"]
    assert (found["stage"], status, found["fits"]) == ("roomcast/live", 1, False)
    assert (inputs["connections"], inputs["room_size"], inputs["messages_per_second"]) == (9_000, 400, 20)
    assert (inputs["heartbeat"], inputs["spread"], inputs["pace"]) == (480, 120, 300)
    assert not any(inputs[name] for name in ("queued", "fifo", "history", "authorizer", "sweeper"))
    assert inputs["shards"] == 1
    limits = {quota["quota"]: quota["limit"] for quota in found["quotas"]}
    assert (limits["requests_per_second"], limits["concurrent_executions"]) == (2500, 50)
    assert limits["handshakes_per_second"] == 300
    assert aws.actions == READ | QUOTAS


def test_cost_is_of_the_mean(aws: FakeAws) -> None:
    status, found = of_json("cost", **aws.variables)

    inputs = found["inputs"]
    assert (found["stage"], status) == ("roomcast/live", 0)
    assert (inputs["connections"], inputs["room_size"], inputs["messages_per_second"]) == (1_500, 100, 10)
    assert (inputs["heartbeat"], inputs["memory"], inputs["bytes"]) == (480, 2048, 500)
    assert aws.actions == READ


def test_metrics_are_the_stages_of_the_last_day(aws: FakeAws) -> None:
    run("capacity", **aws.variables)

    asked = next(fields for action, fields in aws.asked if action == "cloudwatch:GetMetricData")
    assert asked["EndTime"] - asked["StartTime"] == 86_400
    queries = {each["Id"]: each["MetricStat"] for each in asked["MetricDataQueries"]}
    assert {stat["Metric"]["MetricName"] for stat in queries.values()} <= logs.METRICS.keys() | {"connections"}
    # A post that is repeated counts in `posts` and makes no room larger.
    assert {stat["Stat"] for stat in queries.values() if stat["Metric"]["MetricName"] == "posts"} == {"SampleCount"}
    dimensions = [{"Name": "Backend", "Value": "roomcast"}]
    assert all(stat["Metric"]["Dimensions"] == dimensions for stat in queries.values())
    assert (queries["most_fanouts"]["Period"], queries["most_fanouts"]["Stat"]) == (60, "SampleCount")
    assert {name: number.statistic for name, number in last_day.NUMBERS.items() if name.startswith("most_c")} == {
        "most_connections": "Maximum"
    }


def test_workers_post_to_one_shard_of_a_room(aws: FakeAws) -> None:
    stages.serve(
        aws,
        functions=dict.fromkeys([*stages.HANDLERS, "authorizer", "fanout_worker", "sweeper"], "digest"),
        fanout_queue_url=f"{QUEUE}.fifo",
        history_table_arn="arn:aws:dynamodb:eu-central-1:111122223333:table/roomcast-history",
        shards_per_room=4,
    )
    _, found = of_json("capacity", **aws.variables)

    inputs = found["inputs"]
    assert (inputs["room_size"], inputs["messages_per_second"], inputs["shards"]) == (1_600, 5, 4)
    assert all(inputs[name] for name in ("queued", "fifo", "history", "authorizer", "sweeper"))
    assert of_json("cost", **aws.variables)[1]["inputs"]["memory"] == 1536


def test_command_line_overrides_the_stage(aws: FakeAws, tmp_path: Any) -> None:
    file = tmp_path / "quotas.json"
    file.write_text(json.dumps({"requests_per_second": 7}))
    _, found = of_json(
        "capacity", "--connections", "77", "--heartbeat", "60", "--history", "--quotas", str(file), **aws.variables
    )

    inputs = found["inputs"]
    assert (inputs["connections"], inputs["heartbeat"], inputs["history"]) == (77, 60, True)
    assert (inputs["room_size"], inputs["messages_per_second"]) == (77, 20)  # a room has no more members than there are
    assert {quota["quota"]: quota["limit"] for quota in found["quotas"]}["requests_per_second"] == 7


def test_stage_that_is_named_tells_its_settings_and_quotas(aws: FakeAws) -> None:
    given = ["--connections", "100", "--room-size", "10", "--messages-per-second", "1"]
    _, found = of_json("capacity", *given, "--stage", "roomcast/live", **aws.variables)

    assert (found["stage"], found["inputs"]["connections"], found["inputs"]["spread"]) == ("roomcast/live", 100, 120)
    assert aws.actions == (READ | QUOTAS) - {"cloudwatch:GetMetricData"}


@pytest.mark.parametrize("command", ["cost", "capacity"])
def test_aws_is_not_asked_about_numbers_that_are_given(aws: FakeAws, command: str) -> None:
    given = ["--connections", "100", "--room-size", "10", "--messages-per-second", "1"]

    assert "stage" not in of_json(command, *given, **aws.variables, ROOMCAST_STAGE="roomcast/live")[1]
    assert aws.asked == []


def test_what_the_metrics_say_in_place_of_is_told(aws: FakeAws) -> None:
    _, _, notes = run("cost", "--room-size", "10", **aws.variables)

    assert "taken from the stage's last 24 hours: --connections, --messages-per-second\n" in notes


def test_stage_without_a_census_names_the_variable(aws: FakeAws) -> None:
    aws.answers["cloudwatch:GetMetricData"] = lambda fields: points(
        fields, {**POINTS, "connections": [], "most_connections": []}
    )
    for command in ("cost", "capacity"):
        status, output, notes = run(command, **aws.variables)
        assert (status, output) == (3, "")
        assert "set sweeper.enabled, which counts them, or give --connections" in notes
    assert run("cost", "--connections", "5000", **aws.variables)[0] == 0


def test_stage_that_nobody_used(aws: FakeAws) -> None:
    idle = {**{name: [] for name in POINTS}, "connections": [0.0], "most_connections": [0.0]}
    aws.answers["cloudwatch:GetMetricData"] = lambda fields: points(fields, idle)
    status, found = of_json("capacity", **aws.variables)

    inputs = found["inputs"]
    assert (status, inputs["connections"], inputs["room_size"], inputs["messages_per_second"]) == (0, 1, 1, 0)


UNKNOWN: Mapping[str, list[float]] = {name: [] for name in POINTS}
COUNTED: Mapping[str, list[float]] = {**UNKNOWN, "connections": [900.0], "most_connections": [1_000.0]}


@pytest.mark.parametrize("command", ["cost", "capacity"])
@pytest.mark.parametrize(
    ("found", "given", "lacking"),
    [
        (UNKNOWN, ["--connections", "1000"], "--messages-per-second"),
        (UNKNOWN, ["--connections", "1000", "--room-size", "10"], "--messages-per-second"),
        (UNKNOWN, ["--connections", "1000", "--messages-per-second", "1"], "--room-size"),
        (COUNTED, ["--messages-per-second", "1"], "--room-size"),
        (COUNTED, [], None),
        (COUNTED, ["--room-size", "10"], None),
    ],
)
def test_stage_without_metrics_is_not_taken_for_one_without_messages(
    aws: FakeAws, command: str, found: Mapping[str, list[float]], given: list[str], lacking: str | None
) -> None:
    aws.answers["cloudwatch:GetMetricData"] = lambda fields: points(fields, found)
    status, output, told = run(command, *given, "--stage", "roomcast", **aws.variables)

    assert (status, output == "") == ((3, True) if lacking else (0, False))
    if lacking:
        assert f"CloudWatch has no messages of roomcast/live in the last 24 hours: give {lacking}\n" in told


def test_quota_that_has_its_default_is_of_the_file(aws: FakeAws) -> None:
    def refuse(_: Any) -> Any:
        raise Refusal("NoSuchResourceException")

    aws.answers["servicequotas:GetServiceQuota"] = refuse
    _, found = of_json("capacity", **aws.variables)

    assert {quota["quota"]: quota["limit"] for quota in found["quotas"]}["handshakes_per_second"] == 500


@pytest.mark.parametrize("action", sorted(READ | QUOTAS))
def test_right_that_is_missing_is_named(aws: FakeAws, action: str) -> None:
    aws.withheld = {action}
    status, output, notes = run("capacity", **aws.variables)

    assert (status, output) == (4, "")
    assert "may not" in notes


def test_on_a_terminal(aws: FakeAws) -> None:
    status, shown = on_terminal("capacity", **aws.variables, NO_COLOR="1")

    assert status == 1
    assert "requests a second" in shown
