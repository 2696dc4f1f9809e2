"""Each right of the functions that backends invoke is needed, and no function has one where there are none."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest
from websockets.exceptions import InvalidStatus

from integration_tests.harness.table import unknown_connection_id
from integration_tests.security.roles import Roles, needs
from integration_tests.security.test_backends import Backend, backend, new_room

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from integration_tests.targets.interface import Target

    Feature = Callable[[Backend], Awaitable[bool]]

__all__ = ["backend"]
"""A fixture from another file."""

pytestmark = pytest.mark.emulator_only

KICK, CLOSE = "DenyAndDeleteConnections", "TellAndClose"
MEMBERS, MESSAGES, SEND = "ReadAndPruneMembership", "NumberKeepAndReadMessages", "SendToMembers"


async def connect(backend: Backend) -> bool:
    """A client may connect, which was not kicked."""
    try:
        client = await backend.connect("carol", new_room())
    except InvalidStatus:
        return False
    await client.close()
    return True


async def kick(backend: Backend) -> bool:
    """A client is thrown out."""
    subject = f"mallory-{secrets.token_hex(3)}"
    client = await backend.connect(subject, new_room())
    try:
        answer = await backend.invoke("kick", {"user": subject})
    except AssertionError:
        await client.close()
        return False
    await client.close()
    return bool(answer["stages"][0]["closed"] == 1)


async def kick_a_connection(backend: Backend) -> bool:
    """A connection is closed whose id alone is known."""
    room = new_room()
    client = await backend.connect("carol", room)
    [connection_id] = await backend.table.members(room)
    try:
        await backend.invoke("kick", {"connection": connection_id})
    except AssertionError:
        return False
    finally:
        await client.close()
    return not await backend.table.members(room)


async def publish(backend: Backend) -> bool:
    """A member of a room receives what is published."""
    room = new_room()
    client = await backend.connect("carol", room)
    [result] = await backend.publish({"room": room, "data": "x"})
    await client.close()
    return result.get("delivered") == 1


async def prune(backend: Backend) -> bool:
    """A member that is gone is deleted."""
    room, gone = new_room(), unknown_connection_id()
    await backend.leave_behind(room, gone)
    await backend.publish({"room": room, "data": "x"})
    left = await backend.table.members(room)
    await backend.forget(room, gone)
    return not left


async def keep(backend: Backend) -> bool:
    """A message is kept under its id, and found there when it is published again."""
    message = {"room": new_room("logged"), "data": "x", "id": secrets.token_hex(8)}
    first, second = await backend.publish(message, message)
    return "seq" in first and bool(second.get("duplicate") or second.get("sending"))


async def position(backend: Backend) -> bool:
    """A backend learns how far a room is."""
    room = new_room("logged")
    await backend.publish({"room": room, "data": "x"})
    [result] = await backend.publish({"position": room})
    return result.get("seq") == 1


NEEDED: dict[tuple[str, str, str], Feature] = {
    ("connect", "CheckDenials", "dynamodb:ConditionCheckItem"): connect,
    ("kick", KICK, "dynamodb:GetItem"): kick_a_connection,
    ("kick", KICK, "dynamodb:Query"): kick,
    ("kick", KICK, "dynamodb:UpdateItem"): kick,
    ("kick", KICK, "dynamodb:DeleteItem"): kick,
    ("kick", CLOSE, "execute-api:ManageConnections"): kick,
    ("publish", MEMBERS, "dynamodb:Query"): publish,
    ("publish", MEMBERS, "dynamodb:DeleteItem"): prune,
    ("publish", SEND, "execute-api:ManageConnections"): publish,
    ("publish", MESSAGES, "dynamodb:GetItem"): keep,
    ("publish", MESSAGES, "dynamodb:PutItem"): keep,
    ("publish", MESSAGES, "dynamodb:UpdateItem"): keep,
    ("publish", MESSAGES, "dynamodb:BatchGetItem"): position,
    ("publish", MESSAGES, "dynamodb:Query"): position,
}
"""The feature that needs a right, by function, statement and action."""

NOT_SHOWN = {
    ("publish", MEMBERS, "dynamodb:UpdateItem"): "It subtracts members that are deleted, where rooms have a limit.",
    ("publish", "ServePublishQueue", "sqs:ReceiveMessage"): "Lambda polls; the emulator does so without the role.",
    ("publish", "ServePublishQueue", "sqs:DeleteMessage"): "Lambda deletes; the emulator does so without the role.",
    ("publish", "ServePublishQueue", "sqs:GetQueueAttributes"): "Lambda polls; the emulator does so without the role.",
}
"""Rights whose removal does not show here, each with the reason."""

SHOWN_OF_OTHERS = {
    ("kick", "kms:Decrypt"): "The statements for keys of table and presence queue are those of $disconnect.",
    ("kick", "sqs:SendMessage"): "The statement that marks rooms with presence is that of $disconnect.",
    ("publish", "kms:Decrypt"): "The statements for keys of table and queues are those of sendmessage.",
    ("publish", "sqs:SendMessage"): "The statements for the queues of fan-out and presence are those of sendmessage.",
}
"""Rights by function and action, of statements that another function has as well, where their removal shows."""


def roles_of(backend: Backend) -> Roles:
    """Return the roles of the instance's functions."""
    assert backend.target.aws is not None
    return Roles(backend.target.aws, backend.guarded.deployment.outputs["function_arns"])


@pytest.mark.parametrize(("function", "sid", "action"), NEEDED)
async def test_each_right_is_needed(backend: Backend, function: str, sid: str, action: str) -> None:
    feature, roles = NEEDED[function, sid, action], roles_of(backend)
    await needs(lambda: feature(backend), roles.without(function, action, sid), f"{function}'s {action}")


async def test_each_right_is_in_the_table(backend: Backend) -> None:
    roles = roles_of(backend)
    granted = {
        (function, statement["Sid"], action)
        for function in ("connect", "kick", "publish")
        for statement in roles.statements(function)
        if (function != "connect" or statement["Sid"] == "CheckDenials") and not statement["Sid"].startswith("Use")
        for action in statement["Action"]
    }
    assert granted == NEEDED.keys() | NOT_SHOWN.keys()


async def test_no_function_has_a_right_where_backends_invoke_nothing(target: Target) -> None:
    assert target.aws is not None
    roles = Roles(target.aws, target.deployment.outputs["function_arns"])
    assert not {"kick", "publish"} & set(roles.arns)
    assert "CheckDenials" not in {statement["Sid"] for statement in roles.statements("connect")}
