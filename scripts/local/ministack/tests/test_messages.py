"""The route that serves a message, and the client's answer."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from websockets.exceptions import ConnectionClosed

from scripts.local.ministack.tests.apis import ANSWER_OK, RECORD_EVENTS, STAGE, client, redeploy
from scripts.waiting import eventually, scaled

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from websockets.asyncio.client import ClientConnection

    from scripts.local.ministack.tests.apis import Api

ANSWER_WITH_BODY = """
def handler(event, context):
    return {"statusCode": 200, "body": "you said " + event["body"] if "body" in event else ""}
"""
FAIL_ON_REQUEST = """
import time

def handler(event, context):
    behaviour = event.get("body")
    if behaviour == "raise":
        raise RuntimeError("secret")
    if behaviour == "take too long":
        time.sleep(30)
    if behaviour == "answer nothing":
        return None
    return {"statusCode": 200, "body": "served"}
"""


async def received(socket: ClientConnection) -> str:
    """Return the next message."""
    return str(await asyncio.wait_for(socket.recv(), scaled(10)))


async def error_frame(socket: ClientConnection) -> str:
    """Check the form of API Gateway's error frame and return its text."""
    frame: dict[str, Any] = json.loads(await received(socket))
    assert frame.keys() == {"message", "connectionId", "requestId"}
    return str(frame["message"])


async def test_a_body_is_delivered_only_with_a_route_response(
    on_corrected: Callable[..., Api], on_plain: Callable[..., Api]
) -> None:
    async with on_corrected(ANSWER_WITH_BODY, two_way=True).connect() as socket:
        await socket.send("hello")
        assert await received(socket) == "you said hello"
    one_way = on_corrected(ANSWER_WITH_BODY, routes=["chat"])
    async with one_way.connect() as socket:
        await socket.send('{"action": "chat"}')
        await socket.send("unroutable")
        assert await error_frame(socket) == "Forbidden"
        await socket.send('{"action": "chat"}')
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(socket.recv(), 0.5)
    async with on_plain(ANSWER_WITH_BODY).connect() as socket:
        await socket.send("hello")
        assert await received(socket) == "you said hello"


async def test_a_failing_function_is_answered_for(on_corrected: Callable[..., Api]) -> None:
    async with on_corrected(FAIL_ON_REQUEST, two_way=True, timeout=2).connect() as socket:
        for behaviour in ("raise", "take too long", "answer nothing"):
            await socket.send(behaviour)
            assert await error_frame(socket) == "Internal server error"
        await socket.send("well")
        assert await received(socket) == "served"


async def test_plain_ministack_shows_the_exception(on_plain: Callable[..., Api]) -> None:
    async with on_plain(FAIL_ON_REQUEST).connect() as socket:
        await socket.send("raise")
        assert await received(socket) == "secret"


async def test_the_integrations_timeout_is_answered_for(
    on_corrected: Callable[..., Api], on_plain: Callable[..., Api]
) -> None:
    slow = "def handler(event, context):\n    import time; time.sleep(0.5); return {'statusCode': 200, 'body': 'late'}"
    options = {"routes": ["$default"], "integration": {"TimeoutInMillis": 100}}
    async with on_corrected(slow, **options).connect() as socket:
        await socket.send("hello")
        assert await error_frame(socket) == "Endpoint request timed out"
    async with on_plain(slow, **options).connect() as socket:
        await socket.send("hello")
        assert await received(socket) == "late"


async def test_an_unroutable_message_is_forbidden(on_corrected: Callable[..., Api]) -> None:
    async with on_corrected(ANSWER_OK, routes=["chat"]).connect() as socket:
        for message in ("not JSON", "{}", '{"action": "other"}', '{"action": "$connect"}'):
            await socket.send(message)
            assert await error_frame(socket) == "Forbidden"


UNREADABLE = {
    "nested-lists": '{"action":"chat","data":' + "[" * 12_000 + "]" * 12_000 + "}",
    "nested-objects": '{"action":' + '{"a":' * 5_000 + "1" + "}" * 5_000 + "}",
    "never-closed": "[" * 30_000,
    "digits": '{"action":"chat","data":' + "9" * 20_000 + "}",
    "action-of-digits": '{"action":' + "9" * 20_000 + "}",
    "half-a-pair": r'{"action":"\ud800"}',
    "nul": "\0",
    "nul-in-a-string": '{"action":"a\0b"}',
    "no-number": '{"action":NaN}',
    "infinite": '{"action":1e999}',
    "empty": "",
}


@pytest.mark.parametrize("message", UNREADABLE.values(), ids=UNREADABLE)
async def test_what_cannot_be_read_goes_to_default(on_corrected: Callable[..., Api], message: str) -> None:
    async with on_corrected(ANSWER_WITH_BODY, two_way=True, routes=["$default"]).connect() as socket:
        await socket.send(message)
        assert await received(socket) == f"you said {message}"
        await socket.send("hello")
        assert await received(socket) == "you said hello"


async def test_plain_ministack_ends_the_connection(on_plain: Callable[..., Api]) -> None:
    async with on_plain(ANSWER_WITH_BODY, routes=["$default"]).connect() as socket:
        await socket.send(UNREADABLE["nested-lists"])
        with pytest.raises(ConnectionClosed):
            await received(socket)


async def test_plain_ministack_ignores_an_unroutable_message(on_plain: Callable[..., Api]) -> None:
    async with on_plain(ANSWER_WITH_BODY, routes=["chat"]).connect() as socket:
        await socket.send("not JSON")
        await socket.send('{"action": "chat"}')
        assert (await received(socket)).startswith("you said")


def text_of(log: Path) -> str:
    """Return the content of a log."""
    return log.read_text(encoding="utf-8")


def delete_stage(api: Api) -> None:
    """Delete the stage."""
    client("apigatewayv2", api.endpoint).delete_stage(ApiId=api.api_id, StageName=STAGE)


def delete_api(api: Api) -> None:
    """Delete the whole API."""
    client("apigatewayv2", api.endpoint).delete_api(ApiId=api.api_id)


@pytest.mark.parametrize("delete", [delete_stage, delete_api])
async def test_clients_of_a_deleted_stage_are_answered(
    on_corrected: Callable[..., Api], delete: Callable[[Api], None], log_of_corrected: Path
) -> None:
    api = on_corrected(RECORD_EVENTS)
    written = text_of(log_of_corrected)
    async with api.connect() as socket, api.connect() as other:
        delete(api)
        for _ in range(2):
            await socket.send("hello")
            assert await error_frame(socket) == "Forbidden"
        await other.close()
    async with on_corrected(ANSWER_OK).connect():  # ends after the others
        pass
    assert event_types(api) == ["CONNECT", "CONNECT"]
    assert "Traceback" not in text_of(log_of_corrected).removeprefix(written)


async def test_stage_of_another_name_does_not_serve_the_old_ones_clients(on_corrected: Callable[..., Api]) -> None:
    api = on_corrected(ANSWER_WITH_BODY, two_way=True)
    gateway = client("apigatewayv2", api.endpoint)
    deployment_id = gateway.get_stage(ApiId=api.api_id, StageName=STAGE)["DeploymentId"]
    async with api.connect() as before:
        gateway.create_stage(ApiId=api.api_id, StageName="v2", DeploymentId=deployment_id)
        delete_stage(api)
        async with api.connect(stage="v2") as after:
            await before.send("hello")
            await after.send("hello")
            assert await error_frame(before) == "Forbidden"
            assert await received(after) == "you said hello"


async def test_route_deleted_meanwhile_is_answered_for(on_corrected: Callable[..., Api]) -> None:
    api = on_corrected(ANSWER_WITH_BODY, two_way=True, routes=["chat", "$default"])
    gateway = client("apigatewayv2", api.endpoint)
    async with api.connect() as socket:
        gateway.delete_route(ApiId=api.api_id, RouteId=api.route_ids["chat"])
        redeploy(api)
        await socket.send('{"action":"chat"}')
        assert await received(socket) == 'you said {"action":"chat"}'
        gateway.delete_route(ApiId=api.api_id, RouteId=api.route_ids["$default"])
        redeploy(api)
        await socket.send('{"action":"chat"}')
        assert await error_frame(socket) == "Forbidden"


async def test_function_deleted_meanwhile_is_answered_for(on_corrected: Callable[..., Api]) -> None:
    api = on_corrected(ANSWER_WITH_BODY, two_way=True)
    async with api.connect() as socket:
        client("lambda", api.endpoint).delete_function(FunctionName=api.function)
        await socket.send("hello")
        assert await error_frame(socket) == "Internal server error"


async def test_plain_ministack_serves_a_deleted_stage(on_plain: Callable[..., Api]) -> None:
    api = on_plain(ANSWER_WITH_BODY)
    async with api.connect() as socket:
        delete_stage(api)
        await socket.send("hello")
        assert await received(socket) == "you said hello"


async def test_default_serves_neither_connect_nor_disconnect(on_corrected: Callable[..., Api]) -> None:
    api = on_corrected(RECORD_EVENTS, routes=["$default"])
    for number in (1, 2):
        async with api.connect() as socket:
            await socket.send("hello")
            await eventually(api.number_recorded, number, within=10)
    assert event_types(api) == ["MESSAGE", "MESSAGE"]


async def test_plain_ministack_falls_back_to_default(on_plain: Callable[..., Api]) -> None:
    api = on_plain(RECORD_EVENTS, routes=["$default"])
    async with api.connect():
        pass
    await eventually(api.number_recorded, 2, within=10)
    assert event_types(api) == ["CONNECT", "DISCONNECT"]


def event_types(api: Api) -> list[str]:
    """Return the types of the events recorded so far, sorted."""
    return sorted(event["requestContext"]["eventType"] for event in api.events())
