"""Metrics that Lambda, API Gateway and SQS write."""
# ruff: noqa: ANN401, SLF001 - MiniStack is untyped and has no other hook

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ministack.services import apigateway, cloudwatch, lambda_svc, sqs

from scripts.local.ministack.integrations import Failure
from scripts.local.ministack.metric_lines import Metric, record
from scripts.local.ministack.sessions import Session, current
from scripts.local.ministack.wrapping import replaces

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from scripts.local.ministack.management import Response

POISONED = 3
"""Receives after which SQS leaves a message out of the age.
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html"""


@replaces(lambda_svc, "_emit_lambda_metrics")
def emit_metrics(original: Callable[..., None], *arguments: Any, **keywords: Any) -> None:
    """Do nothing: MiniStack emits metrics for some callers alone, and those of a throttled one twice."""
    del original, arguments, keywords


@replaces(lambda_svc, "_execute_function_dispatch")
def execute(
    original: Callable[..., dict[str, Any]], function: Any, config: Mapping[str, Any], *arguments: Any
) -> dict[str, Any]:
    """Run an invocation of any caller, and record the function's metrics."""
    started = time.time()
    result: dict[str, Any] = original(function, config, *arguments)
    of_function = {"FunctionName": config["FunctionName"]}
    for name, value in (("Invocations", 1), ("Errors", 1 if result.get("error") else 0), ("Throttles", 0)):
        record(Metric("AWS/Lambda", name, "Count", of_function), value)
    milliseconds = round((time.time() - started) * 1000)
    record(Metric("AWS/Lambda", "Duration", "Milliseconds", of_function), milliseconds)
    return result


@replaces(lambda_svc, "_acquire_execution_slot")
def acquire(original: Callable[..., tuple[Any, Any]], function: Any, config: Mapping[str, Any]) -> tuple[Any, Any]:
    """Let an invocation begin, or record that it was throttled, which is neither an invocation nor an error."""
    slot, limit = original(function, config)
    if slot is None:
        record(Metric("AWS/Lambda", "Throttles", "Count", {"FunctionName": config["FunctionName"]}), 1)
    return slot, limit


def count(api_id: str, stage: str, name: str, value: float = 1, unit: str = "Count") -> None:
    """Record a value of an API, and of its stage."""
    for dimensions in ({"ApiId": api_id}, {"ApiId": api_id, "Stage": stage}):
        record(Metric("AWS/ApiGateway", name, unit, dimensions), value)


@replaces(apigateway, "_invoke_ws_lambda")
async def run_integration(original: Callable[..., Awaitable[Any]], *arguments: Any, **keywords: Any) -> Any:
    """Run the integration, and record the request: as refused before it, as failed to invoke, or as answered."""
    api_id, stage, event_type = arguments[0], arguments[4], arguments[6]
    if event_type == "MESSAGE":
        count(api_id, stage, "MessageCount")
    started = time.time()
    try:
        answer = await original(*arguments, **keywords)
    except Failure as failure:
        if failure.status < 500:
            count(api_id, stage, "ClientError")
        else:
            count(api_id, stage, "IntegrationError" if failure.is_of_function else "ExecutionError")
            _count_integration(arguments, started)
        raise
    if int(answer["statusCode"]) >= 400:
        count(api_id, stage, "IntegrationError")
    _count_integration(arguments, started)
    return answer


def _count_integration(arguments: tuple[Any, ...], started: float) -> None:
    api_id, stage, event_type = arguments[0], arguments[4], arguments[6]
    if event_type == "CONNECT":
        count(api_id, stage, "ConnectCount")
    count(api_id, stage, "IntegrationLatency", round((time.time() - started) * 1000), "Milliseconds")


@replaces(apigateway, "_refuse_ws_handshake")
async def refuse_handshake(
    original: Callable[..., Awaitable[None]], scope: Any, send: Any, status: int, *arguments: Any
) -> None:
    """Refuse a handshake for its authorizer, and record it; an authorizer that fails is in none of these metrics."""
    session = current.get()
    if 400 <= status < 500:
        count(session.api_id, session.stage, "ClientError")
    await original(scope, send, status, *arguments)


@replaces(apigateway, "handle_connections_api")
async def handle_connections_api(
    original: Callable[..., Awaitable[Response]], method: str, api_id: str, stage: str, *request: Any
) -> Response:
    """Serve a callback, and record the message that it was."""
    response = await original(method, api_id, stage, *request)
    if method == "POST" and response[0] == 200:
        count(api_id, stage, "MessageCount")
    return response


@replaces(Session, "deliver")
def deliver(original: Callable[..., None], session: Session, text: str) -> None:
    """Deliver an answer to a message, and record it as a message."""
    count(session.api_id, session.stage, "MessageCount")
    original(session, text)


@replaces(cloudwatch, "handle_request")
async def handle_request(original: Callable[..., Awaitable[Response]], *arguments: Any) -> Response:
    """Record the state of the account's queues, then serve the request. SQS does so each minute, without a request."""
    for queue in sqs._queues.values():
        sample(queue)
    return await original(*arguments)


def sample(queue: Mapping[str, Any]) -> None:
    """Record the state of a queue."""
    now = time.time()
    messages = list(queue["messages"])
    hidden = [message for message in messages if message["visible_at"] > now]
    received = [message for message in hidden if message["receive_count"] > 0]
    ages = [now - message["sent_at"] for message in messages if message["receive_count"] < POISONED]
    of_queue = {"QueueName": queue["attributes"]["QueueArn"].rpartition(":")[2]}
    for name, unit, value in (
        ("ApproximateNumberOfMessagesVisible", "Count", len(messages) - len(hidden)),
        ("ApproximateNumberOfMessagesNotVisible", "Count", len(received)),
        ("ApproximateNumberOfMessagesDelayed", "Count", len(hidden) - len(received)),
        ("ApproximateAgeOfOldestMessage", "Seconds", int(max(ages, default=0))),
    ):
        record(Metric("AWS/SQS", name, unit, of_queue), value)
