"""One feature for each right: a coroutine that tells whether the feature works at this moment.

Each one ends with an event that comes whether the feature works or not (an answer, an error, the end of an invocation
and a pong), so that none waits for something that does not come.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from roomcast import delivery, items, recipients, tasks
from websockets.exceptions import InvalidStatus

from integration_tests.guarantees.test_cleanup import unknown_connection_id
from integration_tests.harness.table import ROOM_PREFIX, connection_key, membership_key

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from integration_tests.harness.crowd import Crowd
    from integration_tests.harness.table import ConnectionsTable
    from scripts.local.aws import Aws
    from scripts.local.deployment import Deployment

HOUR_MS = 3_600_000
ALMOST_OLD_MS = 33_000
"""Age of a connection that is not deleted yet after a 410 and soon will be, so that no task stays in the queue."""


@dataclass
class Lab:
    """An instance of the root, with the clients of one test.

    Attributes:
        aws: Access to the emulated account.
        deployment: The instance.
        table: Its connections table.
        crowd: Its clients.
    """

    aws: Aws
    deployment: Deployment
    table: ConnectionsTable
    crowd: Crowd

    def room(self) -> str:
        """Return the name of a room that was never used."""
        return f"{ROOM_PREFIX}rights-{secrets.token_hex(6)}"

    async def invoke(self, function: str, event: dict[str, Any]) -> tuple[Any, str]:
        """Invoke a function; return its answer and the lines it wrote."""
        answer = await asyncio.to_thread(
            self.aws.functions.invoke,
            FunctionName=self.deployment.outputs["function_arns"][function],
            LogType="Tail",
            Payload=json.dumps(event).encode(),
        )
        lines = base64.b64decode(answer.get("LogResult", "")).decode()
        return json.loads(answer["Payload"].read()), lines


def event_of(kind: str, connection_id: str, connected_at: int, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Return an event as API Gateway sends it."""
    route = {"CONNECT": "$connect", "DISCONNECT": "$disconnect", "MESSAGE": "sendmessage"}[kind]
    context = {"eventType": kind, "routeKey": route, "connectionId": connection_id, "connectedAt": connected_at}
    return {"requestContext": {**context, "requestId": secrets.token_hex(6)}, **fields}


async def told(lab: Lab, function: str, **message: Any) -> list[str]:  # noqa: ANN401 - any JSON value
    """Let a function serve a message of a new client; return all texts that the client has received."""
    room = lab.room()
    client = await lab.crowd.join(room)
    (connection_id,) = await lab.table.members(room)
    if message.get("to") == "itself":
        message["to"] = connection_id
    event = event_of("MESSAGE", connection_id, int(time.time() * 1000), body=json.dumps(message))
    await lab.invoke(function, event)
    await client.settle()
    texts = [each.text for each in client.unread]
    client.unread.clear()
    return texts


async def said(lab: Lab, action: str) -> str:
    """Return the first text that a new client receives after it has sent an action."""
    client = await lab.crowd.join(lab.room())
    await client.send(action)
    return (await client.receive()).text


async def join(lab: Lab) -> bool:
    """A client may enter a room."""
    try:
        await lab.crowd.join(lab.room())
    except InvalidStatus:
        return False
    return True


async def undo_a_join(lab: Lab) -> bool:
    """A join that a tombstone refuses deletes the membership that it may have written."""
    room, connection_id, connected_at = lab.room(), unknown_connection_id(), int(time.time() * 1000)
    shared = {"connected_at": {"N": str(connected_at)}, "expires_at": {"N": str(connected_at // 1000 + 600)}}
    shards = range(lab.table.shards_per_room)
    keys = [connection_key(connection_id), *(membership_key(room, connection_id, shard) for shard in shards)]
    for key in keys:
        await asyncio.to_thread(lab.table.dynamodb.put_item, TableName=lab.table.name, Item={**key, **shared})
    before = await lab.table.members_by_shard(room)
    answer, _ = await lab.invoke(
        "connect", event_of("CONNECT", connection_id, connected_at, queryStringParameters={"room": room})
    )
    assert answer["statusCode"] == 500
    after = await lab.table.members_by_shard(room)
    for key in keys:
        await asyncio.to_thread(lab.table.dynamodb.delete_item, TableName=lab.table.name, Key=key)
    return sum(map(len, after)) < sum(map(len, before))


async def answer_of_connect(lab: Lab) -> bool:
    """A message that names the route of handshakes is answered."""
    return await _is_refused(lab, "connect")


async def answer_of_disconnect(lab: Lab) -> bool:
    """A message that names the route of goodbyes is answered."""
    return await _is_refused(lab, "disconnect")


async def answer_of_default(lab: Lab) -> bool:
    """A message that no route takes is answered."""
    return await _is_refused(lab, "default")


async def _is_refused(lab: Lab, function: str) -> bool:
    return any("unknown_action" in text for text in await told(lab, function, action="nonsense"))


async def whoami(lab: Lab) -> bool:
    """A client learns its id."""
    return any("connectionId" in text for text in await told(lab, "whoami", action="whoami"))


async def serve_default(lab: Lab) -> bool:
    """API Gateway hands a message without a route to the function."""
    return "unknown_action" in await said(lab, "nonsense")


async def serve_disconnect(lab: Lab) -> bool:
    """API Gateway hands a message that names the route of goodbyes to its function."""
    return "unknown_action" in await said(lab, "$disconnect")


async def serve_whoami(lab: Lab) -> bool:
    """API Gateway hands a message to its route's function."""
    return '"whoami"' in await said(lab, "whoami")


async def serve_sendmessage(lab: Lab) -> bool:
    """API Gateway hands a message to the function that sends it, which answers a message without data with an error."""
    return "missing_data" in await said(lab, "sendmessage")


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


async def send_to_room(lab: Lab) -> bool:
    """A message reaches the sender's room, and the sender gets a receipt."""
    client, text = await lab.crowd.join(lab.room()), secrets.token_hex(6)
    await client.say(text, id="1")
    first = (await client.receive()).text
    if "error" in first:
        return False
    # The receipt and, from the function or a worker, the sender's own copy.
    return {"receipt" in each or each for each in (first, (await client.receive()).text)} == {True, text}


async def send_to_one(lab: Lab) -> bool:
    """A message reaches the member that it names."""
    text = secrets.token_hex(6)
    return text in await told(lab, "sendmessage", action="sendmessage", data=text, to="itself")


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
    await lab.invoke("fanout_worker", _task(room))
    return await _is_gone(lab, room, dead)


async def subtract(lab: Lab) -> bool:
    """A client that is gone is subtracted from the number of its room's members."""
    return await _number_falls(lab, lambda _, gone: lab.invoke("disconnect", _goodbye(gone)))


async def subtract_the_dead(lab: Lab) -> bool:
    """Members that a worker deletes are subtracted from the number of their room's members."""
    return await _number_falls(lab, lambda room, _: lab.invoke("fanout_worker", _task(room)))


async def _number_falls(lab: Lab, act: Callable[[str, str], Awaitable[object]]) -> bool:
    room, connection_id, dynamodb = lab.room(), unknown_connection_id(), lab.table.dynamodb
    await lab.table.add_member(room, connection_id, age_ms=HOUR_MS)
    key: Any = items.headcount_key(room, 0)
    number = {"members": {"N": "5"}, "changes": {"N": "0"}, "expires_at": {"N": str(int(time.time()) + 600)}}
    await asyncio.to_thread(dynamodb.put_item, TableName=lab.table.name, Item={**key, **number})
    await act(room, connection_id)
    await lab.table.remove_member(room, connection_id)
    answer = await asyncio.to_thread(dynamodb.get_item, TableName=lab.table.name, Key=key, ConsistentRead=True)
    await asyncio.to_thread(dynamodb.delete_item, TableName=lab.table.name, Key=key)
    return answer["Item"]["members"]["N"] == "4"


async def put_a_straggler_aside(lab: Lab) -> bool:
    """A worker hands over the messages of a member that cannot be reached now, and the room goes on."""
    room, members = lab.room(), [unknown_connection_id(), unknown_connection_id()]
    for each, age_ms in zip(members, (HOUR_MS, ALMOST_OLD_MS), strict=True):
        await lab.table.add_member(room, each, age_ms=age_ms)
    answer, lines = await lab.invoke("fanout_worker", _task(room))
    for each in members:
        await lab.table.remove_member(room, each)
    return answer.get("batchItemFailures") == [] and "cannot be" not in lines


async def postpone(lab: Lab) -> bool:
    """A worker sets the delay after which a straggler's message is tried again."""
    room, connected_at = lab.room(), int(time.time() * 1000)
    straggler = recipients.Recipient(unknown_connection_id(), connected_at, 0)
    answer, lines = await lab.invoke("fanout_worker", _task(room, [straggler]))
    assert len(answer["batchItemFailures"]) == 1
    return "a delay cannot be set" not in lines


SECRET = secrets.token_hex(32)
ISSUER, AUDIENCE = "https://issuer.example", "chat"


async def check_a_token(lab: Lab) -> bool:
    """The authorizer accepts a token that was signed with the shared secret."""
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "iat": now, "exp": now + 300, "rooms": ["lobby"]}
    parts = [_encoded(json.dumps(each).encode()) for each in ({"alg": "HS256", "typ": "JWT"}, claims)]
    signature = hmac.digest(SECRET.encode(), ".".join(parts).encode(), hashlib.sha256)
    headers = {"Authorization": [f"Bearer {'.'.join([*parts, _encoded(signature)])}"]}
    event = {"type": "REQUEST", "methodArn": "arn:aws:execute-api:x:1:a/live/$connect", "multiValueHeaders": headers}
    answer, _ = await lab.invoke("authorizer", event)
    return "policyDocument" in answer


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _task(room: str, named: Sequence[recipients.Recipient] = ()) -> dict[str, Any]:
    """Return the event of a worker that received one message of a FIFO queue."""
    task = tasks.Task(delivery.RoomMessage(room, "nobody", "x", "request"), 0, recipients=named)
    attributes = {
        "ApproximateReceiveCount": "1",
        "MessageGroupId": task.group,
        "SequenceNumber": str(time.time_ns()),
    }
    message_id = secrets.token_hex(6)
    record = {"messageId": message_id, "receiptHandle": "none", "body": task.to_json(), "attributes": attributes}
    return {"Records": [record]}
