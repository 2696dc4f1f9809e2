"""One feature for each right: a coroutine that tells whether the feature works at this moment.

Each one ends with an event that comes whether the feature works or not (an answer, an error, the end of an invocation
and a pong), so that none waits for something that does not come.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from typing import TYPE_CHECKING, Any

from websockets.exceptions import InvalidStatus

from integration_tests.harness.table import connection_key, membership_key, unknown_connection_id
from integration_tests.security.lab import Lab, event_of
from integration_tests.security.minting import token
from scripts.local.minting import SharedSecret

if TYPE_CHECKING:
    from collections.abc import Sequence


async def told(
    lab: Lab,
    function: str,
    subprotocols: Sequence[str] = (),
    **message: Any,  # noqa: ANN401 - any JSON value
) -> list[str]:
    """Let a function serve a message of a new client; return all texts that the client has received."""
    room = lab.room()
    client = await lab.crowd.join(room, subprotocols=subprotocols)
    (connection_id,) = await lab.table.members(room)
    if message.get("to") == "itself":
        message["to"] = connection_id
    if message.get("room") == "itself":
        message["room"] = room
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


async def answer_of_default_in_v1(lab: Lab) -> bool:
    """A message that no route takes is answered in the caller's protocol."""
    return await _answers(lab, "default", "error")


async def join_a_room(lab: Lab) -> bool:
    """A client of roomcast.v1 may enter a room after its handshake."""
    return await _answers(lab, "join", "joined", room=lab.room())


async def leave_a_room(lab: Lab) -> bool:
    """A client of roomcast.v1 may leave a room."""
    return await _answers(lab, "leave", "left", room="itself")


async def ping(lab: Lab) -> bool:
    """A client of roomcast.v1 learns which rooms it is in."""
    return await _answers(lab, "ping", "pong", rooms={})


async def who(lab: Lab) -> bool:
    """A client of roomcast.v1 learns who is in a room."""
    return await _answers(lab, "who", "members", room=lab.room())


async def _answers(lab: Lab, function: str, kind: str, **message: Any) -> bool:  # noqa: ANN401 - any JSON value
    texts = await told(
        lab, function, ("roomcast.v1",), action="nonsense" if function == "default" else function, **message
    )
    return any(f'"type":"{kind}"' in text for text in texts)


async def whoami(lab: Lab) -> bool:
    """A client learns its id."""
    return any("connectionId" in text for text in await told(lab, "whoami", action="whoami"))


async def serve_default(lab: Lab) -> bool:
    """API Gateway hands a message without a route to the function."""
    return "unknown_action" in await said(lab, "nonsense")


async def serve_join(lab: Lab) -> bool:
    """API Gateway hands a message to its route's function."""
    return "room_required" in await said(lab, "join")


async def serve_leave(lab: Lab) -> bool:
    """API Gateway hands a message to its route's function."""
    return "room_required" in await said(lab, "leave")


async def serve_who(lab: Lab) -> bool:
    """API Gateway hands a message to its route's function."""
    return "room_required" in await said(lab, "who")


async def serve_ping(lab: Lab) -> bool:
    """API Gateway hands a message to its route's function."""
    return '"pong"' in await said(lab, "ping")


async def serve_disconnect(lab: Lab) -> bool:
    """API Gateway hands a message that names the route of goodbyes to its function."""
    return "unknown_action" in await said(lab, "$disconnect")


async def serve_whoami(lab: Lab) -> bool:
    """API Gateway hands a message to its route's function."""
    return '"whoami"' in await said(lab, "whoami")


async def serve_sendmessage(lab: Lab) -> bool:
    """API Gateway hands a message to the function that sends it, which answers a message without data with an error."""
    return "missing_data" in await said(lab, "sendmessage")


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


SECRET = secrets.token_hex(32)
"""With it the tokens are signed that the authorizer should accept."""


async def check_a_token(lab: Lab) -> bool:
    """The authorizer accepts a token that was signed with the shared secret."""
    headers = {"Authorization": [f"Bearer {token(SharedSecret(SECRET.encode()))}"]}
    event = {"type": "REQUEST", "methodArn": "arn:aws:execute-api:x:1:a/live/$connect", "multiValueHeaders": headers}
    answer, _ = await lab.invoke("authorizer", event)
    return "policyDocument" in answer
