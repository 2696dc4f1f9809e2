"""``roomcast query`` and ``roomcast follow`` on an applied stage: each saved query finds lines of the run."""

from __future__ import annotations

import asyncio
import re
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from roomcast_cli import queries

from integration_tests.harness.crowd import expect_everywhere
from integration_tests.harness.reconfigured import reconfigured
from integration_tests.operations.test_cli_on_a_stage import variables
from scripts.local.ministack import insights
from scripts.tests.command_line import of_json
from scripts.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from integration_tests.harness.client import Client
    from integration_tests.harness.crowd import Crowd
    from integration_tests.targets.interface import Target

pytestmark = pytest.mark.emulator_only

MEMBERS = 3
OF_INSIGHTS = {"@timestamp", "@message", "@log"}
"""Fields of every line."""
ONLY_ON_AWS = {
    "event",  # of the access log
    "@initDuration",  # MiniStack does not report cold starts
}


@pytest.fixture
def operator(target: Target) -> dict[str, str]:
    """Variables that lead a command to the stage under test."""
    assert target.aws is not None
    credentials = target.aws.session.get_credentials()
    assert credentials is not None
    return variables(target, credentials.access_key, str(credentials.secret_key))


async def asked(operator: dict[str, str], *arguments: str) -> tuple[int, dict[str, Any]]:
    """Run a command with ``--json``, about ten minutes."""
    return await asyncio.to_thread(of_json, *arguments, "--since", "10m", **operator)


async def talk(crowd: Crowd, room: str) -> Client:
    """Send a message to a room; return the sender."""
    members = await crowd.join_many(room, MEMBERS)
    await members[0].say("hello")
    await expect_everywhere(members, "hello")
    return members[0]


async def test_each_query_finds_lines_of_the_run(
    target: Target, operator: dict[str, str], crowd: Crowd, room: str
) -> None:
    began_at = time.time()
    sender = await talk(crowd, room)

    async def both() -> list[tuple[str, str]]:
        _, found = await asked(operator, "query", "room", "--room", room)
        return [(row["sum(posts)"], row["sum(failed)"]) for row in found["rows"] if "sum(failed)" in row]

    with unable_to_post(target):
        await sender.say("to nobody")
        what = "the lines of both messages"
        await eventually(both, [(str(2 * MEMBERS), str(MEMBERS))], within=30, every=0.5, what=what)
    lines = await asyncio.to_thread(written, target, began_at)
    [line] = [each for each in lines if each.get("message") == "fan-out" and "failed" not in each]

    _, slowest = await asked(operator, "query", "slowest")
    assert line["request_id"] in [row["request_id"] for row in slowest["rows"]]
    lags = [float(row["lag_ms"]) for row in slowest["rows"]]
    assert lags == sorted(lags, reverse=True)

    status, errors = await asked(operator, "query", "errors")
    assert status == 1
    assert "sendmessage" in {row["log"] for row in errors["rows"] if int(row["n"]) >= 1 and row["last"]}

    _, sizes = await asked(operator, "query", "bytes")
    assert {"connect", "sendmessage"} <= {row["log"] for row in sizes["rows"] if int(row["lines"]) > 0}

    _, memory = await asked(operator, "query", "memory")
    assert {"connect", "sendmessage"} <= {row["log"] for row in memory["rows"] if {"mb", "ms"} <= row.keys()}

    _, connection = await asked(operator, "query", "connection", "--id", str(line["connection_id"]))
    assert {"connect", "sendmessage"} <= {row["log"] for row in connection["rows"]}

    named = {name for query in queries.ABOUT for name in insights.parse(queries.text(query)).named}
    assert named - {name for each in lines for name in each} == OF_INSIGHTS | ONLY_ON_AWS


async def test_a_message_is_followed_through_the_logs(
    target: Target, operator: dict[str, str], crowd: Crowd, room: str
) -> None:
    began_at = time.time()
    await talk(crowd, room)
    request_ids: list[str] = []

    async def is_told() -> bool:
        lines = await asyncio.to_thread(written, target, began_at)
        request_ids[:] = [str(line["request_id"]) for line in lines if line.get("message") == "fan-out"]
        return bool(request_ids)

    await eventually(is_told, True, within=30, every=0.5, what="the line of the message")
    status, found = await asked(operator, "follow", request_ids[0])

    assert status == 0
    assert {event["log"] for event in found["events"]} == {"sendmessage"}
    told = [event.get("message") or event["text"] for event in found["events"]]
    assert "fan-out" in told
    assert {each.split()[0] for each in told if "RequestId" in each} == {"START", "END", "REPORT"}
    status, nothing = await asked(operator, "follow", "00000000-0000-0000-0000-000000000000")
    assert (status, nothing["events"]) == (1, [])


@contextmanager
def unable_to_post(target: Target) -> Iterator[None]:
    """Let the posts of messages go to an API that there is not, which nothing but lines of logs tells."""
    assert target.aws is not None
    arn = target.deployment.outputs["sendmessage_function_arn"]

    def elsewhere(found: Mapping[str, str]) -> dict[str, str]:
        endpoint = found["ROOMCAST_MANAGEMENT_ENDPOINT"]
        return {"ROOMCAST_MANAGEMENT_ENDPOINT": re.sub(r"execute-api/\w+", "execute-api/00000000", endpoint)}

    with reconfigured(target.aws.functions, [arn], elsewhere):
        yield


def written(target: Target, since: float) -> list[dict[str, Any]]:
    """Return the fields of all lines of the stage since then."""
    assert target.aws is not None
    pages = target.aws.logs.get_paginator("filter_log_events")
    return [
        insights.fields_of(event["message"])
        for group in target.deployment.outputs["log_group_names"].values()
        for page in pages.paginate(logGroupName=group, startTime=int(since * 1_000))
        for event in page["events"]
    ]
