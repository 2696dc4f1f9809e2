"""Metrics of functions' lines, and those that Lambda, API Gateway and SQS write."""

from __future__ import annotations

import asyncio
import secrets
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from websockets.exceptions import InvalidStatus

from scripts.local.ministack.tests.apis import RECORD_EVENTS, STAGE, client
from scripts.local.ministack.tests.test_management import connected
from scripts.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from scripts.local.ministack.tests.apis import Api

LINE = {
    "_aws": {
        "Timestamp": 0,
        "CloudWatchMetrics": [
            {
                "Namespace": "Probe",
                "Dimensions": [["Place"]],
                "Metrics": [{"Name": "one", "Unit": "Milliseconds"}, {"Name": "several"}],
            }
        ],
    },
    "Place": "here",
    "one": 5,
    "several": [1, 2, 3],
    "other": 7,
}
PRINT_METRICS = f"""
import json, time
LINE = {LINE!r}
def handler(event, context):
    LINE["_aws"]["Timestamp"] = int(time.time() * 1000)
    print(json.dumps({{**LINE, "Place": context.function_name}}))
    print("{{ no line of metrics: _aws")
    return {{"statusCode": 200}}
"""
OBEY = """
def handler(event, context):
    context_ = event["requestContext"]
    if context_["eventType"] == "CONNECT" and "status" in (event.get("queryStringParameters") or {}):
        return {"statusCode": int(event["queryStringParameters"]["status"])}
    if event.get("body") == "raise":
        raise ValueError
    return {"statusCode": 200, "body": "answer"}
"""


STATISTICS = ("Maximum", "SampleCount", "Sum")


def statistics(endpoint: str, namespace: str, name: str, dimensions: Mapping[str, str]) -> dict[str, Any]:
    """Return the statistics and the unit of a metric until now; empty without a point."""
    points = client("cloudwatch", endpoint).get_metric_statistics(
        Namespace=namespace,
        MetricName=name,
        Dimensions=[{"Name": dimension, "Value": value} for dimension, value in dimensions.items()],
        StartTime=datetime.fromtimestamp(time.time() - 3600, UTC),
        EndTime=datetime.fromtimestamp(time.time() + 60, UTC),
        Period=86_400,
        Statistics=STATISTICS,
    )["Datapoints"]
    return {} if not points else {key: points[0][key] for key in (*STATISTICS, "Unit")}


def of_stage(api: Api, name: str) -> float:
    """Return the sum of one of API Gateway's metrics, the same by API and by stage."""
    by_stage = statistics(api.endpoint, "AWS/ApiGateway", name, {"ApiId": api.api_id, "Stage": STAGE})
    assert by_stage == statistics(api.endpoint, "AWS/ApiGateway", name, {"ApiId": api.api_id})
    return float(by_stage.get("Sum", 0))


def of_function(api: Api, name: str) -> float:
    """Return the sum of one of Lambda's metrics."""
    return float(statistics(api.endpoint, "AWS/Lambda", name, {"FunctionName": api.function}).get("Sum", 0))


async def test_a_line_becomes_its_metrics(on_corrected: Callable[..., Api], on_plain: Callable[..., Api]) -> None:
    api = on_corrected(PRINT_METRICS)
    async with api.connect() as socket:
        await socket.send("hello")

        async def times() -> float:
            return float(statistics(api.endpoint, "Probe", "one", {"Place": api.function}).get("SampleCount", 0))

        await eventually(times, 2.0, within=20)  # $connect, and the message
    await eventually(times, 3.0, within=20)
    one = statistics(api.endpoint, "Probe", "one", {"Place": api.function})
    assert one == {"Maximum": 5, "Sum": 15, "SampleCount": 3, "Unit": "Milliseconds"}
    several = statistics(api.endpoint, "Probe", "several", {"Place": api.function})
    assert several == {"Maximum": 3, "Sum": 18, "SampleCount": 9, "Unit": "None"}
    for name, dimensions in (
        ("other", {"Place": api.function}),
        ("one", {"Place": "here"}),
        ("one", {"Place": api.function, "More": "x"}),
    ):
        assert statistics(api.endpoint, "Probe", name, dimensions) == {}

    api = on_plain(PRINT_METRICS)
    client("lambda", api.endpoint).invoke(FunctionName=api.function, Payload=b'{"requestContext": {}}')
    assert statistics(api.endpoint, "Probe", "one", {"Place": api.function}) == {}


async def test_lines_without_a_log_group_make_no_metrics(on_corrected: Callable[..., Api]) -> None:
    api = on_corrected(PRINT_METRICS, allowed=None)
    async with api.connect():
        pass
    await eventually(lambda: asyncio.to_thread(of_function, api, "Invocations"), 2.0, within=20)
    assert statistics(api.endpoint, "Probe", "one", {"Place": api.function}) == {}


async def test_an_api_counts_its_requests(on_corrected: Callable[..., Api], on_plain: Callable[..., Api]) -> None:
    api = on_corrected(OBEY, two_way=True)
    async with api.connect() as socket:
        await socket.send("hello")
        assert await socket.recv() == "answer"
        with pytest.raises(InvalidStatus):
            await api.connect("?status=418")
        assert (of_stage(api, "ConnectCount"), of_stage(api, "MessageCount")) == (2, 2)
        assert (of_stage(api, "IntegrationError"), of_stage(api, "ExecutionError")) == (1, 0)

        await socket.send("raise")
        assert "Internal server error" in str(await socket.recv())
        assert (of_stage(api, "IntegrationError"), of_stage(api, "ExecutionError")) == (2, 0)
        assert of_function(api, "Errors") == 1

        client("lambda", api.endpoint).put_function_concurrency(
            FunctionName=api.function, ReservedConcurrentExecutions=0
        )
        before = of_function(api, "Invocations")
        await socket.send("hello")
        assert "Internal server error" in str(await socket.recv())
        assert of_stage(api, "ExecutionError") == 1
        assert (of_function(api, "Throttles"), of_function(api, "Invocations")) == (1, before)
        assert of_function(api, "Errors") == 1
        client("lambda", api.endpoint).delete_function_concurrency(FunctionName=api.function)

        client("lambda", api.endpoint).remove_permission(FunctionName=api.function, StatementId="gateway")
        await socket.send("hello")
        assert "Internal server error" in str(await socket.recv())
        assert (of_stage(api, "ExecutionError"), of_stage(api, "ClientError")) == (2, 0)
        latency = statistics(api.endpoint, "AWS/ApiGateway", "IntegrationLatency", {"ApiId": api.api_id})
        assert latency["SampleCount"] == 6
        assert latency["Unit"] == "Milliseconds"

    api = on_plain(OBEY)
    async with api.connect():
        assert of_stage(api, "ConnectCount") == of_function(api, "Invocations") == 0


async def test_a_callback_is_a_message(on_corrected: Callable[..., Api]) -> None:
    api = on_corrected(RECORD_EVENTS)
    async with connected(api) as (socket, connection_id):
        api.management().post_to_connection(ConnectionId=connection_id, Data=b"hello")
        assert await socket.recv() == "hello"
    assert of_stage(api, "MessageCount") == 1


async def test_a_refused_handshake_is_the_clients_error(on_corrected: Callable[..., Api]) -> None:
    throttled = {"DefaultRouteSettings": {"ThrottlingBurstLimit": 0, "ThrottlingRateLimit": 0}}
    api = on_corrected(OBEY, stage=throttled)
    with pytest.raises(InvalidStatus):
        await api.connect()
    assert (of_stage(api, "ClientError"), of_stage(api, "ConnectCount")) == (1, 0)


def test_a_queue_tells_what_waits_in_it(corrected: str, plain: str) -> None:
    name = f"probe-{secrets.token_hex(4)}"
    queues = client("sqs", corrected)
    url = queues.create_queue(QueueName=name)["QueueUrl"]

    def most(metric: str, endpoint: str = corrected) -> float:
        return float(statistics(endpoint, "AWS/SQS", metric, {"QueueName": name}).get("Maximum", -1))

    assert most("ApproximateNumberOfMessagesVisible") == most("ApproximateAgeOfOldestMessage") == 0
    for _ in range(2):
        queues.send_message(QueueUrl=url, MessageBody="hello")
    assert most("ApproximateNumberOfMessagesVisible") == 2
    assert most("ApproximateNumberOfMessagesNotVisible") == 0
    queues.receive_message(QueueUrl=url)
    assert most("ApproximateNumberOfMessagesNotVisible") == 1
    queues.send_message(QueueUrl=url, MessageBody="hello", DelaySeconds=60)
    assert most("ApproximateNumberOfMessagesDelayed") == 1

    client("sqs", plain).create_queue(QueueName=name)
    assert most("ApproximateNumberOfMessagesVisible", plain) == -1


async def test_a_message_that_was_received_three_times_has_no_age(corrected: str) -> None:
    name = f"probe-{secrets.token_hex(4)}"
    queues = client("sqs", corrected)
    url = queues.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "0"})["QueueUrl"]

    async def age() -> float:
        points = statistics(corrected, "AWS/SQS", "ApproximateAgeOfOldestMessage", {"QueueName": name})
        return float(points["Maximum"])

    queues.send_message(QueueUrl=url, MessageBody="hello")
    for _ in range(3):
        assert queues.receive_message(QueueUrl=url)["Messages"]
    sent_at = time.time()
    await eventually(lambda: asyncio.to_thread(lambda: time.time() > sent_at + 2), True, within=20)
    assert await age() == 0
    queues.send_message(QueueUrl=url, MessageBody="hello")
    await eventually(age, 1.0, within=20)
