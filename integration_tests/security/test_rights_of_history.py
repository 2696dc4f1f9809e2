"""Each right to the history table is needed, and no function has one where no room keeps messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from integration_tests.conftest import table_of
from integration_tests.harness import v1
from integration_tests.harness.crowd import Crowd
from integration_tests.security.lab import Lab
from integration_tests.security.roles import Roles, needs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from integration_tests.targets.interface import Target
    from scripts.local.deployment import Deployment

    Feature = Callable[[Lab], Awaitable[bool]]

pytestmark = pytest.mark.emulator_only

SENDER, READER, PING = "NumberAndKeepMessages", "ReadAndSealHistory", "ReadHeads"


async def send(lab: Lab) -> bool:
    """A message is kept under its id."""
    client = await lab.crowd.join(subprotocols=[v1.NAME])
    room = lab.room()
    await client.send("join", room=room)
    await client.receive_json()
    await client.send("sendmessage", room=room, data="hello", id=v1.new_id())
    first = await client.receive_json()
    if first["type"] == "error":
        return False
    return bool((await client.receive_json())["seq"] == 1)


async def join(lab: Lab) -> bool:
    """A client is told a position in a room that nobody has used."""
    client = await lab.crowd.join(subprotocols=[v1.NAME])
    return "epoch" in await v1.ask(client, "join", room=lab.room())


async def seal(lab: Lab) -> bool:
    """A client passes a number that no message has."""
    client = await lab.crowd.join(subprotocols=[v1.NAME])
    room = lab.room()
    joined = await v1.ask(client, "join", room=room)
    lab.aws.dynamodb.update_item(
        TableName=lab.deployment.outputs["history_table_name"],
        Key={"partition_key": {"S": f"head#{room}"}, "sort_key": {"S": "head"}},
        UpdateExpression="SET seq = :one, #at = #at - :second",
        ExpressionAttributeNames={"#at": "at"},
        ExpressionAttributeValues={":one": {"N": "1"}, ":second": {"N": "2000"}},
    )
    answer = await v1.ask(client, "join", room=room, since={"epoch": joined["epoch"], "seq": 0})
    if answer["type"] == "error":
        return False
    return bool(answer["messages"] == [{"seq": 1, "void": True}] and (await client.receive_json())["seq"] == 1)


async def ping(lab: Lab) -> bool:
    """A client is told how far a room is."""
    client = await lab.crowd.join(subprotocols=[v1.NAME])
    room = lab.room()
    await client.send("join", room=room)
    await client.receive_json()
    answer = await v1.ask(client, "ping", rooms={room: {}})
    return bool(answer["type"] == "pong" and "epoch" in answer["rooms"][room])


NEEDED: dict[tuple[str, str, str], Feature] = {
    ("sendmessage", SENDER, "dynamodb:GetItem"): send,
    ("sendmessage", SENDER, "dynamodb:PutItem"): send,
    ("sendmessage", SENDER, "dynamodb:UpdateItem"): send,
    ("join", READER, "dynamodb:BatchGetItem"): join,
    ("join", READER, "dynamodb:UpdateItem"): join,
    ("join", READER, "dynamodb:Query"): seal,
    ("join", READER, "dynamodb:PutItem"): seal,
    ("ping", PING, "dynamodb:BatchGetItem"): ping,
}
"""The feature that needs a right, by function, statement and action."""


@pytest.fixture
async def lab(target: Target, with_history: Deployment) -> AsyncIterator[Lab]:
    """An instance whose rooms keep messages."""
    assert target.aws is not None
    lab = Lab(target.aws, with_history, table_of(target, with_history), Crowd(with_history.websocket_url))
    yield lab
    await lab.crowd.finish()


@pytest.mark.parametrize(("function", "sid", "action"), NEEDED)
async def test_each_right_is_needed(lab: Lab, function: str, sid: str, action: str) -> None:
    feature, roles = NEEDED[function, sid, action], Roles(lab.aws, lab.deployment.outputs["function_arns"])
    await needs(lambda: feature(lab), roles.without(function, action, sid), f"{function}'s {action}")


async def test_each_right_is_in_the_table(lab: Lab) -> None:
    roles = Roles(lab.aws, lab.deployment.outputs["function_arns"])
    table = lab.deployment.outputs["history_table_arn"]
    granted = {
        (function, statement["Sid"], action)
        for function in roles.arns
        for statement in roles.statements(function)
        if statement["Resource"] == table
        for action in statement["Action"]
    }
    assert granted == NEEDED.keys()


async def test_no_function_has_a_right_where_no_room_keeps_messages(target: Target) -> None:
    assert target.aws is not None
    roles = Roles(target.aws, target.deployment.outputs["function_arns"])
    sids = {statement["Sid"] for function in roles.arns for statement in roles.statements(function)}
    assert not sids & {SENDER, READER, PING, "UseHistoryKey"}
