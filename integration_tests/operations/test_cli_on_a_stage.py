"""The command ``roomcast`` on an applied stage, by a role with exactly the rights that ``roomcast policy`` prints."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from typing import TYPE_CHECKING, Any

import pytest
from roomcast import items, logs
from roomcast.members import Connection

from integration_tests.harness.client import Client
from integration_tests.harness.operators import ANY_PRINCIPAL, variables
from scripts.tests.command_line import of_json, run
from scripts.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from integration_tests.targets.interface import Target

    Roles = Callable[[dict[str, Any]], dict[str, str]]

pytestmark = pytest.mark.emulator_only


@pytest.fixture
def deployer(target: Target) -> dict[str, str]:
    """Variables of a principal that may do anything, and the stage."""
    assert target.aws is not None
    return variables(target.aws, target.deployment.outputs)


@pytest.fixture
def role(target: Target) -> Iterator[Roles]:
    """Makes a role with a policy, and gives the variables of one who has assumed it."""
    aws = target.aws
    assert aws is not None
    iam: Any = aws.session.client("iam", endpoint_url=aws.endpoint_url)
    sts = aws.session.client("sts", endpoint_url=aws.endpoint_url)
    made = []

    def make(policy: dict[str, Any]) -> dict[str, str]:
        name = f"operator-{secrets.token_hex(4)}"
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=ANY_PRINCIPAL)["Role"]["Arn"]
        made.append(name)
        iam.put_role_policy(RoleName=name, PolicyName="operator", PolicyDocument=json.dumps(policy))
        found = sts.assume_role(RoleArn=arn, RoleSessionName="ann")["Credentials"]
        return variables(aws, target.deployment.outputs, found)

    yield make
    for name in made:
        iam.delete_role_policy(RoleName=name, PolicyName="operator")
        iam.delete_role(RoleName=name)


async def test_reader_reads_everything_and_changes_nothing(
    target: Target, deployer: dict[str, str], role: Roles
) -> None:
    policy = json.loads((await asyncio.to_thread(run, "policy", "read", **deployer))[1])
    reader = role(policy)
    room = f"cli-{secrets.token_hex(4)}"
    client = await Client.connect(target.deployment.websocket_url, room)
    try:
        await client.say("hello world")
        await client.expect("hello world")
        dead = await plant_dead(target, room)  # a message would prune it
        status, found = await asyncio.to_thread(of_json, "outputs", **reader)
        assert (status, found["outputs"]["api_id"]) == (0, target.deployment.outputs["api_id"])
        for name in found["outputs"].keys() - {"websocket_url"}:  # AWS's, and no emulator's
            assert found["outputs"][name] == target.deployment.outputs.get(name), name
        status, found = await asyncio.to_thread(of_json, "rooms", "--limit", "1000", **reader)
        assert (status, {each["room"]: each["members"] for each in found["rooms"]}[room]) == (0, 2)
        digest = logs.room_hash(target.deployment.outputs["connections_table_name"], room)
        assert await asyncio.to_thread(run, "hash", room, **reader) == (0, f"{digest}\n", "")
        await eventually(lambda: is_told(reader, room), True, within=30, what="the line of the message")
        status, found = await asyncio.to_thread(of_json, "leftovers", **reader)
        assert (status, found["gone"] >= 1, found["alive"] >= 1) == (1, True, True)
        assert (await asyncio.to_thread(run, "stats", **reader))[0] == 0
        assert (await asyncio.to_thread(run, "stages", **reader))[0] == 0
        status, found = await asyncio.to_thread(of_json, "capacity", "--connections", "100", **reader)
        assert (status, found["inputs"]["messages_per_second"] > 0) == (0, True)
        status, found = await asyncio.to_thread(of_json, "cost", "--connections", "100", **reader)
        assert (status, 1 <= found["inputs"]["room_size"] <= 100) == (0, True)
        assert (await asyncio.to_thread(run, "policy", "operate", **reader))[0] == 0

        status, _, told = await asyncio.to_thread(run, "leftovers", "--fix", "--yes", **reader)
        assert status == 4
        assert "dynamodb:DeleteItem" in told
        assert await rows_of(target, dead) == 1

        operator = role(json.loads((await asyncio.to_thread(run, "policy", "operate", **deployer))[1]))
        assert (await asyncio.to_thread(run, "leftovers", "--fix", "--yes", **operator))[0] == 0
        assert await rows_of(target, dead) == 0
        await client.say("still here")
        await client.expect("still here")
    finally:
        await client.close()


async def is_told(reader: dict[str, str], room: str) -> bool:
    """Whether the logs tell of a message to a room."""
    tail = ["tail", "--since", "10m", "--no-follow", "--room", room, "--json"]
    status, output, told = await asyncio.to_thread(run, *tail, **reader)
    assert (status, told) == (0, "")
    return "fan-out" in [json.loads(line)["message"] for line in output.splitlines()]


async def plant_dead(target: Target, room: str) -> str:
    """Plant the rows of a connection that has gone ten minutes ago; return its id."""
    assert target.aws is not None
    table = target.deployment.outputs["connections_table_name"]
    number = f"{secrets.token_urlsafe(11)[:15]}="
    connected_at = round(time.time() - 600) * 1000
    dead = Connection(number, connected_at, {room: 0}, expires_at=items.end_of(connected_at, None))
    for row in items.rows(dead):
        await asyncio.to_thread(target.aws.dynamodb.put_item, TableName=table, Item=row)
    return number


async def rows_of(target: Target, number: str) -> int:
    """Return how many items a connection has of its own."""
    assert target.aws is not None
    table = target.deployment.outputs["connections_table_name"]
    found = await asyncio.to_thread(
        target.aws.dynamodb.get_item, TableName=table, Key=items.connection_key(number), ConsistentRead=True
    )
    return int("Item" in found)


async def test_withheld_policy_withholds_commands(deployer: dict[str, str], role: Roles) -> None:
    """A role without a right is told which one it lacks."""
    policy = json.loads((await asyncio.to_thread(run, "policy", "read", **deployer))[1])
    kept = [each for each in policy["Statement"] if each["Sid"] != "ReadTable"]
    reader = role({**policy, "Statement": kept})

    status, output, told = await asyncio.to_thread(run, "rooms", **reader)
    assert (status, output) == (4, "")
    assert "dynamodb:Scan" in told
