"""A message leaves one structured log line, metrics and access logs, and never its text."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from integration_tests.harness.answers import object_of, receipt
from integration_tests.harness.cloudwatch import CLOCKS_DIFFER_BY, Logs, Metrics
from integration_tests.harness.crowd import expect_everywhere
from integration_tests.targets.interface import Capability
from scripts.waiting import eventually, scaled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from integration_tests.harness.client import Client
    from integration_tests.harness.crowd import Crowd
    from integration_tests.targets.interface import Target

MEMBERS = 13
"""An unusual number, which tells this fan-out from others on a stage in use."""
COUNTS = ("recipients", "delivered", "gone", "failed")
LINES_WITHIN = 120.0
"""Seconds in which CloudWatch is to show a line."""
METRICS_WITHIN = 600.0
"""Seconds in which CloudWatch is to show a metric."""


@pytest.fixture
def logs(target: Target) -> Logs:
    """The log groups of the stage's functions."""
    assert target.aws is not None
    return Logs(target.aws.logs, [*target.deployment.outputs["log_group_names"].values()])


async def talk(crowd: Crowd, room: str) -> tuple[Sequence[Client], str, float]:
    """Send one message to a room; return its members, the text, and a time before the first step."""
    began_at = time.time() - CLOCKS_DIFFER_BY
    text = f"private-{secrets.token_hex(16)}"
    members = await crowd.join_many(room, MEMBERS)
    await members[0].say(text, id="1")
    await expect_everywhere(members[1:], text)
    heard = [(await members[0].receive()).text for _ in range(2)]
    heard.remove(text)  # a queue answers before it delivers
    assert json.loads(heard[0]) in (receipt("1", delivered=MEMBERS), {"receipt": {"id": "1", "queued": True}})
    return members, text, began_at


@pytest.mark.needs_table
@pytest.mark.requires(Capability.LOGS)
async def test_fan_out_is_one_structured_line_that_does_not_say_what_was_said(
    crowd: Crowd, room: str, logs: Logs
) -> None:
    _, text, began_at = await talk(crowd, room)

    async def fan_outs() -> list[tuple[int, int, int]]:
        """Sum delivered, gone and failed per request; queued delivery logs one line per shard."""
        requests: dict[str, Counter[str]] = {}
        for record in await logs.records(began_at, "fan-out"):
            counts = {name: record.get(name, 0) for name in COUNTS}
            requests.setdefault(record["request_id"], Counter()).update(counts)
        return [
            (total["delivered"], total["gone"], total["failed"])
            for total in requests.values()
            if total["recipients"] == MEMBERS
        ]

    await eventually(
        fan_outs, [(MEMBERS, 0, 0)], within=LINES_WITHIN, every=0.5, what="CloudWatch to show the fan-out's line"
    )
    assert await logs.lines(began_at, text) == []


@pytest.mark.needs_table
@pytest.mark.requires(Capability.LOGS)
async def test_a_messages_lines_have_the_same_names_in_all_logs(
    crowd: Crowd, room: str, logs: Logs, target: Target
) -> None:
    """The sender's function's and, with queued delivery, the workers'; the room is named by its digest."""
    members, _, began_at = await talk(crowd, room)
    sender = await members[0].whoami()
    table_name = target.deployment.outputs["connections_table_name"]
    digest = hashlib.sha256(f"{table_name}\0{room}".encode()).hexdigest()[:12]

    async def fan_outs() -> list[tuple[str, int]]:
        """Outcome of each of the sender's messages, and its posts; workers of several shards share them."""
        found: dict[str, tuple[str, int]] = {}
        for record in await logs.records(began_at, "fan-out"):
            if (record.get("connection_id"), record.get("room")) == (sender, digest):
                assert {"lambda_request_id", "fanout_ms", "lag_ms", "Backend"} <= record.keys()
                _, posts = found.get(record["request_id"], ("", 0))
                found[record["request_id"]] = (record["outcome"], posts + record["posts"])
        return [*found.values()]

    await eventually(
        fan_outs, [("served", MEMBERS)], within=LINES_WITHIN, every=0.5, what="CloudWatch to show the message's lines"
    )
    lines = await logs.records(began_at, "fan-out")
    [request_id] = {line["request_id"] for line in lines if line.get("connection_id") == sender}
    found = {object_of(line).get("message") for line in await logs.lines(began_at, request_id)}
    is_queued = "fanout_worker" in target.deployment.outputs["log_group_names"]
    assert found == ({"queued", "fan-out"} if is_queued else {"fan-out"})


@pytest.mark.needs_table
@pytest.mark.requires(Capability.METRICS)
@pytest.mark.timeout(scaled(METRICS_WITHIN) + 120)
async def test_deliveries_and_connections_are_counted_by_cloudwatch(crowd: Crowd, room: str, target: Target) -> None:
    assert target.aws is not None
    metrics, outputs = Metrics(target.aws.cloudwatch), target.deployment.outputs
    arn = outputs.get("fanout_worker_function_arn") or outputs["sendmessage_function_arn"]
    name = arn.rpartition(":")[2].removesuffix("-fanout_worker").removesuffix("-sendmessage")
    backend = {"Backend": name}
    stage = {"ApiId": outputs["api_id"], "Stage": outputs["stage_name"]}
    _, _, began_at = await talk(crowd, room)

    async def counted() -> list[bool]:
        return [
            await metrics.total("Roomcast", "delivered", backend, began_at) >= MEMBERS,
            await metrics.total("AWS/ApiGateway", "ConnectCount", stage, began_at) >= MEMBERS,
            await metrics.total("AWS/ApiGateway", "MessageCount", stage, began_at) > MEMBERS,
        ]

    counters = "CloudWatch to count deliveries, connections and messages"
    await eventually(counted, [True, True, True], within=METRICS_WITHIN, every=1, what=counters)


@pytest.mark.live_only
@pytest.mark.requires(Capability.ACCESS_LOG)
async def test_handshake_is_in_the_access_log(crowd: Crowd, room: str, target: Target) -> None:
    if not (group := target.deployment.outputs.get("access_log_group_name")):
        pytest.skip("the stage was applied without access logs (access_log_enabled)")
    assert target.aws is not None
    members, text, began_at = await talk(crowd, room)
    connection_id = await members[0].whoami()
    logs = Logs(target.aws.logs, [group])

    async def handshakes() -> list[str]:
        records = map(object_of, await logs.lines(began_at, connection_id))
        return [record["status"] for record in records if record["route"] == "$connect"]

    await eventually(handshakes, ["200"], within=LINES_WITHIN, every=2, what="the access log to show the handshake")
    assert await logs.lines(began_at, text) == []
