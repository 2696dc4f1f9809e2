"""Features about members that are gone or cannot be reached."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from typing import TYPE_CHECKING, Any

from roomcast import delivery, items, tasks

from integration_tests.harness.table import HOUR_MS, unknown_connection_id
from integration_tests.security.lab import Lab, event_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

ALMOST_OLD_MS = 33_000
"""Age of a connection that is not deleted yet after a 410 and soon will be, so that no task stays in the queue."""


async def leave(lab: Lab) -> bool:
    """The items of a client that is gone are deleted."""
    room, connection_id = lab.room(), unknown_connection_id()
    await lab.table.add_member(room, connection_id, age_ms=HOUR_MS)
    await lab.invoke("disconnect", _goodbye(connection_id))
    return await _is_gone(lab, room, connection_id)


def _goodbye(connection_id: str) -> dict[str, Any]:
    return event_of("DISCONNECT", connection_id, int(time.time() * 1000))


async def _is_gone(lab: Lab, room: str, connection_id: str) -> bool:
    """Whether an item is gone; it is removed if not."""
    is_left = connection_id in await lab.table.members(room)
    await lab.table.remove_member(room, connection_id)
    return not is_left


async def send_to_a_dead_one(lab: Lab) -> bool:
    """The items of a member that is gone are deleted after a message to it."""
    room, sender, dead = lab.room(), unknown_connection_id(), unknown_connection_id()
    for each in (sender, dead):
        await lab.table.add_member(room, each, age_ms=HOUR_MS)
    body = json.dumps({"action": "sendmessage", "data": "x", "to": dead})
    await lab.invoke("sendmessage", event_of("MESSAGE", sender, int(time.time() * 1000), body=body))
    await lab.table.remove_member(room, sender)
    return await _is_gone(lab, room, dead)


async def prune(lab: Lab) -> bool:
    """A worker that posts a message to a room deletes the items of a member that is gone."""
    room, dead = lab.room(), unknown_connection_id()
    await lab.table.add_member(room, dead, age_ms=HOUR_MS)
    await lab.invoke("fanout_worker", task_of(room))
    return await _is_gone(lab, room, dead)


async def subtract(lab: Lab) -> bool:
    """A client that is gone is subtracted from the number of its room's members."""
    return await _number_falls(lab, lambda _, gone: lab.invoke("disconnect", _goodbye(gone)))


async def subtract_the_dead(lab: Lab) -> bool:
    """Members that a worker deletes are subtracted from the number of their room's members."""
    return await _number_falls(lab, lambda room, _: lab.invoke("fanout_worker", task_of(room)))


async def _number_falls(lab: Lab, act: Callable[[str, str], Awaitable[object]]) -> bool:
    room, connection_id, dynamodb = lab.room(), unknown_connection_id(), lab.table.dynamodb
    since = await _counted_since(lab)
    await lab.table.add_member(room, connection_id, age_ms=HOUR_MS, counted_since=since)
    key: Any = items.headcount_key(room, 0)
    expires_at = {"N": str(int(time.time()) + 600)}
    number = {"members": {"N": "5"}, "changes": {"N": "0"}, "expires_at": expires_at, "counted_since": {"S": since}}
    await asyncio.to_thread(dynamodb.put_item, TableName=lab.table.name, Item={**key, **number})
    await act(room, connection_id)
    await lab.table.remove_member(room, connection_id)
    answer = await asyncio.to_thread(dynamodb.get_item, TableName=lab.table.name, Key=key, ConsistentRead=True)
    await asyncio.to_thread(dynamodb.delete_item, TableName=lab.table.name, Key=key)
    return answer["Item"]["members"]["N"] == "4"


async def _counted_since(lab: Lab) -> str:
    """Return the text under which the instance's functions count members."""
    function = lab.deployment.outputs["function_arns"]["disconnect"]
    found = await asyncio.to_thread(lab.aws.functions.get_function_configuration, FunctionName=function)
    return found["Environment"]["Variables"]["ROOMCAST_MEMBERS_COUNTED_SINCE"]


async def put_a_straggler_aside(lab: Lab) -> bool:
    """A worker hands over the messages of a member that cannot be reached now, and the room goes on."""
    room, members = lab.room(), [unknown_connection_id(), unknown_connection_id()]
    for each, age_ms in zip(members, (HOUR_MS, ALMOST_OLD_MS), strict=True):
        await lab.table.add_member(room, each, age_ms=age_ms)
    answer, lines = await lab.invoke("fanout_worker", task_of(room))
    for each in members:
        await lab.table.remove_member(room, each)
    return answer.get("batchItemFailures") == [] and "cannot be" not in lines


async def postpone(lab: Lab) -> bool:
    """A worker sets the delay after which the stragglers of a shard are tried again."""
    wake_up = tasks.WakeUp(lab.room(), 0, stamp=time.time_ns(), delay=1)
    answer, lines = await lab.invoke("fanout_worker", _event(wake_up))
    assert len(answer["batchItemFailures"]) == 1
    # The queue knows no such receipt, which is the answer to one who may ask.
    return "ReceiptHandleIsInvalid" in lines


def task_of(room: str) -> dict[str, Any]:
    """Return the event of a worker that received a message to a room."""
    return _event(tasks.Task(delivery.RoomMessage(room, "nobody", "x", "request"), 0))


def _event(task: tasks.Task | tasks.WakeUp) -> dict[str, Any]:
    """Return the event of a worker that received one message of a FIFO queue."""
    attributes = {
        "ApproximateReceiveCount": "1",
        "MessageGroupId": task.group,
        "SequenceNumber": str(time.time_ns()),
    }
    message_id = secrets.token_hex(6)
    record = {"messageId": message_id, "receiptHandle": "none", "body": task.to_json(), "attributes": attributes}
    return {"Records": [record]}
