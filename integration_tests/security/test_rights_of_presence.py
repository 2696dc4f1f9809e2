"""Each right for presence is needed, and no function has one where no room tells who comes and goes."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from typing import TYPE_CHECKING, Any

import pytest
from roomcast import items, marks
from roomcast.members import Connection
from roomcast.protocol import V1

from integration_tests.conftest import table_of
from integration_tests.harness.crowd import Crowd
from integration_tests.harness.table import HOUR_MS, unknown_connection_id
from integration_tests.queued_instances import PRESENCE_ROOM
from integration_tests.security.absent_members import task_of
from integration_tests.security.lab import Lab, event_of
from integration_tests.security.roles import Roles, needs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from integration_tests.targets.interface import Target
    from scripts.local.deployment import Deployment

    Feature = Callable[[Lab], Awaitable[bool]]

pytestmark = pytest.mark.emulator_only

MARK, READ, SERVE = "MarkPresence", "ReadPresence", "ServeQueueAndMarkPresence"
LOOK, POST, KEY = "LookAtMembershipAndPrune", "SendToMembers", "UseTableKey"
SEND, POST_TO_CLIENTS = "sqs:SendMessage", "execute-api:ManageConnections"
BY_LAMBDA = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}
"""Rights that Lambda uses in a function's name; no removal shows here."""
LATER = "a change of members is announced later"


def room_of() -> str:
    """Return the name of a room that was never used and tells who comes and goes."""
    return f"{PRESENCE_ROOM}{secrets.token_hex(6)}"


async def write(lab: Lab, *rooms: str, sees: bool = True) -> str:
    """Write the items of a client of ``roomcast.v1`` that does not exist; return its connection id."""
    connection_id, now = unknown_connection_id(), time.time()
    places = dict.fromkeys(rooms, 0)
    at = int(now * 1000) - HOUR_MS
    row = Connection(connection_id, at, places, 0, int(now) + 7_200, None, V1, "", rooms if sees else ())
    for item in items.rows(row):
        await asyncio.to_thread(lab.table.dynamodb.put_item, TableName=lab.table.name, Item=item)
    return connection_id


async def answers(lab: Lab, function: str, connection_id: str, **fields: Any) -> bool:  # noqa: ANN401 - JSON
    """Send a client's message; return whether it is served and no mark fails."""
    body = json.dumps({"action": function, **fields})
    event = event_of("MESSAGE", connection_id, int(time.time() * 1000), body=body)
    _, lines = await lab.invoke(function, event)
    # A ping that went well writes no line.
    is_served = '"outcome"' not in lines if function == "ping" else '"outcome":"served"' in lines
    return is_served and LATER not in lines


async def connect(lab: Lab) -> bool:
    """A handshake marks its room."""
    room, connection_id = room_of(), unknown_connection_id()
    query = {"queryStringParameters": {"room": room}, "multiValueQueryStringParameters": {"room": [room]}}
    answer, lines = await lab.invoke("connect", event_of("CONNECT", connection_id, int(time.time() * 1000), **query))
    await lab.table.remove_member(room, connection_id)
    return bool(answer["statusCode"] == 200 and LATER not in lines)


async def disconnect(lab: Lab) -> bool:
    """A client that is gone marks its rooms."""
    connection_id = await write(lab, room_of())
    _, lines = await lab.invoke("disconnect", event_of("DISCONNECT", connection_id, int(time.time() * 1000)))
    return LATER not in lines


async def join(lab: Lab) -> bool:
    """A client that joins a room marks it."""
    return await answers(lab, "join", await write(lab), room=room_of())


async def leave(lab: Lab) -> bool:
    """A client that leaves a room marks it."""
    room = room_of()
    return await answers(lab, "leave", await write(lab, room), room=room)


async def ping(lab: Lab) -> bool:
    """A client learns the version of a room's presence, and marks one that nothing has looked at."""
    room = room_of()
    return await answers(lab, "ping", await write(lab, room), rooms={room: {}})


async def who(lab: Lab) -> bool:
    """The same for who is there."""
    room = room_of()
    return await answers(lab, "who", await write(lab, room), room=room)


async def send(lab: Lab) -> bool:
    """A message that meets a member that is gone marks the room."""
    room = room_of()
    sender, dead = await write(lab, room), await write(lab, room)
    body = json.dumps({"action": "sendmessage", "room": room, "data": "x", "to": dead})
    _, lines = await lab.invoke("sendmessage", event_of("MESSAGE", sender, int(time.time() * 1000), body=body))
    return dead not in await lab.table.members(room) and LATER not in lines


async def prune(lab: Lab) -> bool:
    """A worker that meets a member that is gone marks the room."""
    room = room_of()
    await write(lab, room)
    _, lines = await lab.invoke("fanout_worker", task_of(room))
    return LATER not in lines


async def look(lab: Lab) -> bool:
    """The members of a room are told who has come, and one that is gone is deleted and marks the room again."""
    room = room_of()
    dead = await write(lab, room)
    record = {"messageId": "m", "body": marks.Task(room, 1).to_json()}
    answer, lines = await lab.invoke("presence", {"Records": [record]})
    is_left = dead in await lab.table.members(room)
    await lab.table.remove_member(room, dead)
    return answer.get("batchItemFailures") == [] and not is_left and LATER not in lines


NEEDED: dict[tuple[str, str, str], Feature] = {
    ("connect", MARK, SEND): connect,
    ("disconnect", MARK, SEND): disconnect,
    ("join", MARK, SEND): join,
    ("leave", MARK, SEND): leave,
    ("ping", READ, "dynamodb:BatchGetItem"): ping,
    ("ping", READ, "dynamodb:UpdateItem"): ping,
    ("ping", MARK, SEND): ping,
    ("who", READ, "dynamodb:BatchGetItem"): who,
    ("who", MARK, SEND): who,
    ("sendmessage", MARK, SEND): send,
    ("fanout_worker", MARK, SEND): prune,
    ("presence", LOOK, "dynamodb:GetItem"): look,
    ("presence", LOOK, "dynamodb:Query"): look,
    ("presence", LOOK, "dynamodb:PutItem"): look,
    ("presence", LOOK, "dynamodb:UpdateItem"): look,
    ("presence", LOOK, "dynamodb:DeleteItem"): look,
    ("presence", KEY, "kms:Decrypt"): look,
    ("presence", SERVE, SEND): look,
    ("presence", POST, POST_TO_CLIENTS): look,
}
"""The feature that needs a right, by function, statement and action."""


@pytest.fixture(scope="module")
def keyed(target: Target, with_queue: Deployment) -> Iterator[Deployment]:
    """An instance with such rooms, and a key of the table's own."""
    assert target.aws is not None
    kms = target.aws.session.client("kms", endpoint_url=target.aws.endpoint_url)
    table, key = with_queue.outputs["connections_table_name"], kms.create_key()["KeyMetadata"]["Arn"]
    target.aws.dynamodb.update_table(
        TableName=table, SSESpecification={"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key}
    )
    yield with_queue
    target.aws.dynamodb.update_table(TableName=table, SSESpecification={"Enabled": False})


@pytest.fixture
def lab(target: Target, keyed: Deployment) -> Lab:
    """That instance."""
    assert target.aws is not None
    return Lab(target.aws, keyed, table_of(target, keyed), Crowd(keyed.websocket_url))


@pytest.mark.parametrize(("function", "sid", "action"), NEEDED)
async def test_each_right_is_needed(lab: Lab, function: str, sid: str, action: str) -> None:
    feature, roles = NEEDED[function, sid, action], Roles(lab.aws, lab.deployment.outputs["function_arns"])
    await needs(lambda: feature(lab), roles.without(function, action, sid), f"{function}'s {action}")


async def test_each_right_is_in_the_table(lab: Lab) -> None:
    roles = Roles(lab.aws, lab.deployment.outputs["function_arns"])
    granted = {
        (function, statement["Sid"], action)
        for function in roles.arns
        for statement in roles.statements(function)
        if statement["Sid"] in {MARK, READ} or function == "presence"
        for action in statement["Action"]
        if not action.startswith("kms:") and action not in BY_LAMBDA
    }
    assert granted == {right for right in NEEDED if right[2] != "kms:Decrypt"}


async def test_no_function_has_a_right_where_no_room_tells_who_comes_and_goes(target: Target) -> None:
    assert target.aws is not None
    roles = Roles(target.aws, target.deployment.outputs["function_arns"])
    sids = {statement["Sid"] for function in roles.arns for statement in roles.statements(function)}
    assert not sids & {MARK, READ, "UsePresenceKey"}
    assert "presence" not in roles.arns
