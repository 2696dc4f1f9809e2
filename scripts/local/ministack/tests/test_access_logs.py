"""Access logs of a stage."""

from __future__ import annotations

import json
import secrets
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from websockets.exceptions import InvalidStatus

from scripts.local.ministack.tests.apis import STAGE, Api, client
from scripts.local.ministack.tests.test_authorizers import RAISE, create_authorizer
from scripts.local.ministack.tests.test_handshake import handshake
from scripts.local.ministack.tests.test_messages import received
from scripts.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

OBEY = """
def handler(event, context):
    print("REQUEST", event["requestContext"]["requestId"], context.aws_request_id)
    if event.get("body") == "raise":
        raise RuntimeError("secret")
    status = int((event.get("queryStringParameters") or {}).get("status", 200))
    return {"statusCode": status, "body": "answer"}
"""
FORMAT = {
    "request_id": "$context.requestId",
    "lambda_request_id": "$context.integration.requestId",
    "connection_id": "$context.connectionId",
    "event": "$context.eventType",
    "route": "$context.routeKey",
    "source_ip": "$context.identity.sourceIp",
    "status": "$context.status",
    "error": "$context.error.responseType",
    "ms": "$context.integration.latency",
    "unknown": "$context.unknown.variable",
}


def with_log(make: Callable[..., Api], stage: dict[str, Any] | None = None) -> tuple[Api, str]:
    """Deploy an API with an access log; return it and the log's group."""
    api = make(OBEY, two_way=True)
    group = f"access-{secrets.token_hex(4)}"
    client("logs", api.endpoint).create_log_group(logGroupName=group)
    arn = client("logs", api.endpoint).describe_log_groups(logGroupNamePrefix=group)["logGroups"][0]["arn"]
    settings = {"DestinationArn": arn.removesuffix(":*"), "Format": json.dumps(FORMAT)}
    client("apigatewayv2", api.endpoint).update_stage(
        ApiId=api.api_id, StageName=STAGE, AccessLogSettings=settings, **(stage or {})
    )
    return api, group


def lines_of(api: Api, group: str) -> list[dict[str, str]]:
    """The lines of the access log, oldest first."""
    events = client("logs", api.endpoint).filter_log_events(logGroupName=group)["events"]
    return [json.loads(event["message"]) for event in events]


async def test_each_request_has_a_line(on_corrected: Callable[..., Api], on_plain: Callable[..., Api]) -> None:
    api, group = with_log(on_corrected)
    async with api.connect() as socket:
        await socket.send("hello")
        assert await received(socket) == "answer"
        await socket.send("raise")
        assert "Internal server error" in await received(socket)
    with pytest.raises(InvalidStatus):
        await api.connect("?status=418")

    async def number() -> int:
        return len(lines_of(api, group))

    await eventually(number, 5, within=20)
    lines = lines_of(api, group)
    assert Counter((line["event"], line["route"], line["status"], line["error"]) for line in lines) == {
        ("CONNECT", "$connect", "200", "-"): 1,
        ("MESSAGE", "$default", "200", "-"): 1,
        ("MESSAGE", "$default", "502", "INTEGRATION_FAILURE"): 1,
        ("DISCONNECT", "$disconnect", "200", "-"): 1,
        ("CONNECT", "$connect", "418", "-"): 1,
    }
    assert len({line["connection_id"] for line in lines}) == 2
    assert {(line["source_ip"], line["unknown"]) for line in lines} == {("127.0.0.1", "-")}
    assert all(line["ms"].isdigit() for line in lines if line["error"] == "-")
    printed = client("logs", api.endpoint).filter_log_events(logGroupName=f"/aws/lambda/{api.function}")["events"]
    ids = {tuple(event["message"].split()[1:]) for event in printed if event["message"].startswith("REQUEST")}
    assert {(line["request_id"], line["lambda_request_id"]) for line in lines} == ids

    plain, group = with_log(on_plain)
    async with plain.connect() as socket:
        await socket.send("hello")
        await received(socket)
    assert lines_of(plain, group) == []


async def test_what_is_throttled_has_a_line(on_corrected: Callable[..., Api]) -> None:
    nothing = {"ThrottlingRateLimit": 0, "ThrottlingBurstLimit": 0}
    api, group = with_log(on_corrected, {"DefaultRouteSettings": nothing})
    with pytest.raises(InvalidStatus):
        await api.connect()
    [line] = lines_of(api, group)
    assert (line["status"], line["error"], line["lambda_request_id"]) == ("429", "THROTTLED", "-")


async def test_a_handshake_without_a_right_has_a_line(on_corrected: Callable[..., Api]) -> None:
    api, group = with_log(on_corrected)
    create_authorizer(api, RAISE)
    assert (await handshake(api, query="?text=Unauthorized")).status_code == 401
    [line] = lines_of(api, group)
    assert (line["status"], line["error"], line["event"]) == ("401", "UNAUTHORIZED", "CONNECT")


async def test_a_group_that_is_gone_is_made_again(on_corrected: Callable[..., Api]) -> None:
    api, group = with_log(on_corrected)
    logs = client("logs", api.endpoint)
    logs.put_retention_policy(logGroupName=group, retentionInDays=7)
    logs.delete_log_group(logGroupName=group)
    async with api.connect() as socket:
        await socket.send("hello")
        assert await received(socket) == "answer"
    [made] = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    assert "retentionInDays" not in made
    assert lines_of(api, group)
