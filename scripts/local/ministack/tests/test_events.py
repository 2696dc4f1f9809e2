"""The events that functions receive."""

from __future__ import annotations

import re
import socket as sockets
import time
from typing import TYPE_CHECKING, Any

import pytest

from scripts.local.ministack.tests.apis import RECORD_EVENTS, client
from scripts.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from websockets.asyncio.client import ClientConnection

    from scripts.local.ministack.tests.apis import Api

    Event = dict[str, Any]

CONNECTION_ID = r"[A-Za-z0-9_-]{15}="
CONTEXT = {
    "routeKey", "eventType", "extendedRequestId", "requestTime", "messageDirection", "stage", "connectedAt",
    "requestTimeEpoch", "identity", "requestId", "domainName", "connectionId", "apiId",
}  # fmt: skip


async def leave(socket: ClientConnection) -> None:
    """Close with the default code."""
    await socket.close()


async def one_of_each(
    api: Api, depart: Callable[[ClientConnection], Awaitable[None]] = leave, **options: Any
) -> dict[str, Event]:
    """Connect, send a message, disconnect; return the three events by type."""
    async with api.connect(**options) as socket:
        await socket.send("hello")
        await eventually(api.number_recorded, 2, within=10)
        await depart(socket)
        await eventually(api.number_recorded, 3, within=10)
    return {event["requestContext"]["eventType"]: event for event in api.events()}


async def test_keys_of_each_event(on_corrected: Callable[..., Api], on_plain: Callable[..., Api]) -> None:
    events = await one_of_each(on_corrected(RECORD_EVENTS))
    common = {"requestContext", "isBase64Encoded"}
    headers = {"headers", "multiValueHeaders"}
    assert events["CONNECT"].keys() == common | headers
    assert events["MESSAGE"].keys() == common | {"body"}
    assert events["DISCONNECT"].keys() == common | headers
    assert events["CONNECT"]["requestContext"].keys() == CONTEXT
    assert events["MESSAGE"]["requestContext"].keys() == CONTEXT | {"messageId"}
    assert events["DISCONNECT"]["requestContext"].keys() == CONTEXT | {"disconnectStatusCode", "disconnectReason"}
    plain = await one_of_each(on_plain(RECORD_EVENTS))
    assert plain["CONNECT"]["body"] == ""
    assert plain["CONNECT"]["queryStringParameters"] is None
    assert "messageDirection" not in plain["MESSAGE"]["requestContext"]


async def test_every_event_tells_when_the_connection_was_made(
    on_corrected: Callable[..., Api], on_plain: Callable[..., Api]
) -> None:
    before = time.time() * 1000
    for deploy, differing in ((on_corrected, 1), (on_plain, 3)):
        contexts = [event["requestContext"] for event in (await one_of_each(deploy(RECORD_EVENTS))).values()]
        assert len({context["connectedAt"] for context in contexts}) == differing
        assert all(before - 1 <= context["connectedAt"] <= context["requestTimeEpoch"] for context in contexts)


async def test_connection_ids_have_the_form_of_awss(
    on_corrected: Callable[..., Api], on_plain: Callable[..., Api]
) -> None:
    for deploy, of_that_form in ((on_corrected, True), (on_plain, False)):
        events = await one_of_each(deploy(RECORD_EVENTS))
        (connection_id,) = {event["requestContext"]["connectionId"] for event in events.values()}
        assert bool(re.fullmatch(CONNECTION_ID, connection_id)) == of_that_form


async def test_connect_has_the_headers_as_the_client_wrote_them(
    on_corrected: Callable[..., Api], on_plain: Callable[..., Api]
) -> None:
    sent = [("X-Room", "kitchen"), ("x-TAG", "one"), ("x-TAG", "two")]
    event = (await one_of_each(on_corrected(RECORD_EVENTS), additional_headers=sent))["CONNECT"]
    assert event["multiValueHeaders"]["X-Room"] == ["kitchen"]
    assert event["multiValueHeaders"]["x-TAG"] == ["one", "two"]
    assert event["headers"]["x-TAG"] == "two"
    assert {"Host", "Sec-WebSocket-Key", "Sec-WebSocket-Version", "User-Agent"} <= event["headers"].keys()
    assert not {"connection", "upgrade"} & {name.lower() for name in event["headers"]}
    plain = (await one_of_each(on_plain(RECORD_EVENTS), additional_headers=sent))["CONNECT"]
    assert plain["multiValueHeaders"]["x-tag"] == ["two"]
    assert "upgrade" in plain["headers"]


async def test_connect_has_the_headers_api_gateway_adds(
    on_corrected: Callable[..., Api], on_plain: Callable[..., Api]
) -> None:
    api = on_corrected(RECORD_EVENTS)
    headers = (await one_of_each(api))["CONNECT"]["headers"]
    assert headers["X-Forwarded-For"] == "127.0.0.1"
    assert headers["X-Forwarded-Port"] == api.endpoint.rpartition(":")[2]
    assert headers["X-Forwarded-Proto"] == "http"
    assert headers["X-Amzn-Trace-Id"].startswith("Root=1-")
    assert "x-forwarded-for" not in (await one_of_each(on_plain(RECORD_EVENTS)))["CONNECT"]["headers"]


async def test_stage_variables_are_in_every_event(
    on_corrected: Callable[..., Api], on_plain: Callable[..., Api]
) -> None:
    variables = {"StageVariables": {"colour": "blue"}}
    for event in (await one_of_each(on_corrected(RECORD_EVENTS, stage=variables))).values():
        assert event["stageVariables"] == {"colour": "blue"}
    for event in (await one_of_each(on_plain(RECORD_EVENTS, stage=variables))).values():
        assert "stageVariables" not in event


async def with_code_and_reason(socket: ClientConnection) -> None:
    """Close with a code and a reason."""
    await socket.close(4001, "bye")


async def without_code(socket: ClientConnection) -> None:
    """Send a close frame without a status."""
    socket.transport.write(bytes([0x88, 0x80, 0, 0, 0, 0]))


async def by_abort(socket: ClientConnection) -> None:
    """Reset the TCP connection."""
    linger = (1).to_bytes(4, "little") + (0).to_bytes(4, "little")
    socket.transport.get_extra_info("socket").setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, linger)
    socket.transport.abort()


DEPARTURES: dict[str, tuple[Any, int, str]] = {
    "close": (leave, 1000, "Connection Closed Normally"),
    "close with code and reason": (with_code_and_reason, 4001, "bye"),
    "close without code": (without_code, 1005, "Client-side close frame status not set"),
    "abort": (by_abort, 1006, ""),
}


@pytest.mark.parametrize(("depart", "code", "reason"), DEPARTURES.values(), ids=DEPARTURES.keys())
async def test_disconnect_tells_how_the_client_left(
    on_corrected: Callable[..., Api], depart: Callable[[ClientConnection], Awaitable[None]], code: int, reason: str
) -> None:
    context = (await one_of_each(on_corrected(RECORD_EVENTS), depart))["DISCONNECT"]["requestContext"]
    assert (context["disconnectStatusCode"], context["disconnectReason"]) == (code, reason)


async def test_plain_ministack_does_not_know_how_the_client_left(on_plain: Callable[..., Api]) -> None:
    context = (await one_of_each(on_plain(RECORD_EVENTS), with_code_and_reason))["DISCONNECT"]["requestContext"]
    assert (context["disconnectStatusCode"], context["disconnectReason"]) == (1006, "")


async def test_disconnect_after_a_delete(on_corrected: Callable[..., Api]) -> None:
    api = on_corrected(RECORD_EVENTS)

    async def by_delete(socket: ClientConnection) -> None:
        connection_id = api.events()[0]["requestContext"]["connectionId"]
        api.management().delete_connection(ConnectionId=connection_id)
        await socket.wait_closed()
        assert socket.close_code == 1000

    context = (await one_of_each(api, by_delete))["DISCONNECT"]["requestContext"]
    assert context["disconnectStatusCode"] == 1000
    assert client("sts", api.endpoint).get_caller_identity()["Account"]
