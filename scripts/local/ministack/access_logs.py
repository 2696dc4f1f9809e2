"""Access logs: a line for each handshake, message and end of a connection, as the stage's format has it."""
# ruff: noqa: ANN401, SLF001 - MiniStack is untyped and has no other hook

from __future__ import annotations

import re
import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from ministack.services import apigateway, cloudwatch_logs, lambda_svc

from scripts.local.ministack.integrations import Failure
from scripts.local.ministack.sessions import current
from scripts.local.ministack.stages import stages
from scripts.local.ministack.wrapping import replaces

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

VARIABLE = re.compile(r"\$context\.([A-Za-z_]+(?:\.[A-Za-z_]+)*)")
NOTHING = "-"
"""What stands for a variable without a value."""
ERRORS = {401: "UNAUTHORIZED", 403: "ACCESS_DENIED", 429: "THROTTLED", 504: "INTEGRATION_TIMEOUT"}
"""Types of API Gateway's own answers by their status; any other one means that the integration failed."""

invocation: ContextVar[dict[str, str]] = ContextVar("invocation")
"""Lambda's id of the request, once the function has run."""


@replaces(lambda_svc, "_emit_lambda_logs")
def emit_logs(original: Callable[..., None], function: Any, request_id: str, *arguments: Any, **keywords: Any) -> None:
    """Write an invocation's lines, and note its id."""
    original(function, request_id, *arguments, **keywords)
    if (noted := invocation.get(None)) is not None:
        noted["integration.requestId"] = request_id


@replaces(apigateway, "_invoke_ws_lambda")
async def run_integration(original: Callable[..., Awaitable[Any]], *arguments: Any, **keywords: Any) -> Any:
    """Run the integration, and write a line about the request, however it ended."""
    api_id, _, _, route, stage, connection_id, event_type, request_id, _, source_ip, *_ = arguments
    of_function: dict[str, str] = {}
    token, began_at = invocation.set(of_function), time.time()
    about = {
        "connectionId": connection_id,
        "eventType": event_type,
        "identity.sourceIp": source_ip,
        "requestId": request_id,
        "requestTimeEpoch": str(int(began_at * 1_000)),
        "routeKey": route.get("routeKey", NOTHING),
        **{f"authorizer.{name}": str(value) for name, value in (keywords.get("authorizer") or {}).items()},
    }
    try:
        answer = await original(*arguments, **keywords)
    except Failure as failure:
        write(api_id, stage, {**about, **of_function, **refusal(failure.status)})
        raise
    finally:
        invocation.reset(token)
    about["status"] = about["integration.integrationStatus"] = str(answer["statusCode"])
    about["integration.status"] = "200"
    about["integration.latency"] = str(round((time.time() - began_at) * 1_000))
    write(api_id, stage, {**about, **of_function})
    return answer


@replaces(apigateway, "_refuse_ws_handshake")
async def refuse_handshake(
    original: Callable[..., Awaitable[None]], scope: Any, send: Any, status: int, message: str, *ids: str
) -> None:
    """Refuse a handshake for its authorizer, and write a line about it."""
    session, (connection_id, request_id) = current.get(), ids
    about = {
        "connectionId": connection_id,
        "eventType": "CONNECT",
        "identity.sourceIp": (scope.get("client") or ("127.0.0.1",))[0],
        "requestId": request_id,
        "requestTimeEpoch": str(int(time.time() * 1_000)),
        "routeKey": "$connect",
        "authorizer.status": str(status),
        **refusal(status),
    }
    write(session.api_id, session.stage, about)
    await original(scope, send, status, message, *ids)


def refusal(status: int) -> dict[str, str]:
    """Return the variables of API Gateway's own answer."""
    return {"status": str(status), "error.responseType": ERRORS.get(status, "INTEGRATION_FAILURE")}


def write(api_id: str, stage: str, about: Mapping[str, str]) -> None:
    """Write a line, if the stage has an access log, into its group, which is made if it does not exist.

    Args:
        api_id: The API.
        stage: Its stage.
        about: Variables of the request, without ``$context``.
    """
    settings = stages(api_id).get(stage, {}).get("accessLogSettings") or {}
    name = settings.get("destinationArn", "").partition(":log-group:")[2].removesuffix(":*")
    if not name:
        return
    cloudwatch_logs._create_log_group({"logGroupName": name})  # which may exist
    group = cloudwatch_logs._log_groups[name]
    line = VARIABLE.sub(lambda match: about.get(match[1], NOTHING), settings["format"])
    cloudwatch_logs._create_log_stream({"logGroupName": name, "logStreamName": stage})  # which may exist
    now = int(time.time() * 1_000)
    event = {"timestamp": now, "message": line, "ingestionTime": now}
    cloudwatch_logs._append_log_events(group["streams"][stage], [event])
