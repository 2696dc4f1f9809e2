"""``roomcast query`` and ``roomcast follow`` on an applied stage: each saved query finds lines of the run."""

from __future__ import annotations

import asyncio
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from roomcast import logs
from roomcast_cli import queries

from integration_tests.harness.crowd import Crowd, expect_everywhere
from integration_tests.harness.operators import variables
from integration_tests.harness.reconfigured import reconfigured
from scripts.local.ministack import insights
from scripts.tests.command_line import of_json
from scripts.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from integration_tests.harness.client import Client
    from integration_tests.targets.interface import Target
    from scripts.local.aws import Aws
    from scripts.local.deployment import Deployment

pytestmark = pytest.mark.emulator_only

MEMBERS = 3
OF_INSIGHTS = {"@timestamp", "@message", "@log"}
"""Fields of every line."""


@pytest.fixture(scope="module")
def stage(target: Target) -> Iterator[Deployment]:
    """A stage with an access log."""
    with target.deploy("logged", access_log_enabled=True) as instance:
        yield instance.deployment()


@pytest.fixture
def operator(target: Target, stage: Deployment) -> dict[str, str]:
    """Variables that lead a command to that stage."""
    assert target.aws is not None
    return variables(target.aws, stage.outputs)


@pytest.fixture
async def members(stage: Deployment, room: str) -> AsyncIterator[list[Client]]:
    """Members of a room, of whom one has sent a message."""
    crowd = Crowd(stage.websocket_url)
    found = await crowd.join_many(room, MEMBERS)
    await found[0].say("hello")
    await expect_everywhere(found, "hello")
    yield found
    await crowd.finish()


async def asked(operator: dict[str, str], *arguments: str) -> tuple[int, dict[str, Any]]:
    """Run a command with ``--json``, about ten minutes."""
    return await asyncio.to_thread(of_json, *arguments, "--since", "10m", **operator)


async def test_each_query_finds_lines_of_the_run(
    target: Target, stage: Deployment, operator: dict[str, str], members: list[Client], room: str
) -> None:
    assert target.aws is not None

    async def both() -> list[tuple[str, str]]:
        _, found = await asked(operator, "query", "room", "--room", room)
        return [(row["sum(posts)"], row["sum(failed)"]) for row in found["rows"] if "sum(failed)" in row]

    with unable_to_post(target.aws, stage):
        await members[0].say("to nobody")
        what = "the lines of both messages"
        await eventually(both, [(str(2 * MEMBERS), str(MEMBERS))], within=30, every=0.5, what=what)
    lines = await asyncio.to_thread(written, target.aws, stage)
    digest = logs.room_hash(stage.outputs["connections_table_name"], room)
    [line] = [each for each in lines if each.get("room") == digest and each.get("posts") and "failed" not in each]

    _, slowest = await asked(operator, "query", "slowest")
    assert line["request_id"] in [row["request_id"] for row in slowest["rows"]]
    lags = [float(row["lag_ms"]) for row in slowest["rows"]]
    assert lags == sorted(lags, reverse=True)

    _, failed = await asked(operator, "query", "failed")
    assert (str(MEMBERS), str(MEMBERS)) in [(row["failed"], row["refused"]) for row in failed["rows"]]

    status, errors = await asked(operator, "query", "errors")
    assert status == 1
    assert "sendmessage" in {row["log"] for row in errors["rows"] if int(row["n"]) >= 1 and row["last"]}

    _, sizes = await asked(operator, "query", "bytes")
    assert {"connect", "sendmessage"} <= {row["log"] for row in sizes["rows"] if int(row["lines"]) > 0}

    _, memory = await asked(operator, "query", "memory")
    assert {"connect", "sendmessage"} <= {row["log"] for row in memory["rows"] if {"mb", "ms"} <= row.keys()}

    _, connection = await asked(operator, "query", "connection", "--id", str(line["connection_id"]))
    assert {"access", "connect", "sendmessage"} <= {row["log"] for row in connection["rows"]}

    _, handshakes = await asked(operator, "query", "handshakes")
    assert int({row["status"]: row["n"] for row in handshakes["rows"]}["200"]) >= MEMBERS

    named = {name for query in queries.ABOUT for name in insights.parse(queries.text(query)).named}
    assert named - {name for each in lines for name in each} == OF_INSIGHTS


@pytest.mark.usefixtures("members")
async def test_a_message_is_followed_through_the_logs(
    target: Target, stage: Deployment, operator: dict[str, str], room: str
) -> None:
    aws = target.aws
    assert aws is not None
    digest = logs.room_hash(stage.outputs["connections_table_name"], room)
    request_ids: list[str] = []

    async def is_told() -> bool:
        lines = await asyncio.to_thread(written, aws, stage)
        fan_outs = [line for line in lines if (line.get("message"), line.get("room")) == ("fan-out", digest)]
        request_ids[:] = [str(line["request_id"]) for line in fan_outs]
        return bool(request_ids)

    await eventually(is_told, True, within=30, every=0.5, what="the line of the message")
    status, found = await asked(operator, "follow", request_ids[0])

    assert status == 0
    assert {event["log"] for event in found["events"]} == {"access", "sendmessage"}
    told = [event.get("message") or event.get("text", "") for event in found["events"]]
    assert "fan-out" in told
    assert {each.split()[0] for each in told if "RequestId" in each} == {"START", "END", "REPORT"}
    status, nothing = await asked(operator, "follow", "00000000-0000-0000-0000-000000000000")
    assert (status, nothing["events"]) == (1, [])


@contextmanager
def unable_to_post(aws: Aws, stage: Deployment) -> Iterator[None]:
    """Let the posts of messages go to an API that there is not, which nothing but lines of logs tells."""

    def elsewhere(found: Mapping[str, str]) -> dict[str, str]:
        endpoint = found["ROOMCAST_MANAGEMENT_ENDPOINT"]
        return {"ROOMCAST_MANAGEMENT_ENDPOINT": re.sub(r"execute-api/\w+", "execute-api/00000000", endpoint)}

    with reconfigured(aws.functions, [stage.outputs["sendmessage_function_arn"]], elsewhere):
        yield


def written(aws: Aws, stage: Deployment) -> list[dict[str, Any]]:
    """Return the fields of all lines of the stage."""
    pages = aws.logs.get_paginator("filter_log_events")
    return [
        insights.fields_of(event["message"])
        for group in (*stage.outputs["log_group_names"].values(), stage.outputs["access_log_group_name"])
        for page in pages.paginate(logGroupName=group)
        for event in page["events"]
    ]
