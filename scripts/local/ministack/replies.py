"""Answers a message with a route response or API Gateway's error frame, else with nothing."""
# ruff: noqa: ANN401, SLF001 - MiniStack is untyped and has no other hook

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ministack.services import apigateway

from scripts.local.ministack.integrations import Failure
from scripts.local.ministack.sessions import current
from scripts.local.ministack.wrapping import replaces

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Route = dict[str, Any]

_running: set[asyncio.Task[None]] = set()


@replaces(apigateway, "_invoke_ws_lambda")
async def run_integration(original: Callable[..., Awaitable[Any]], *arguments: Any, **keywords: Any) -> Any:
    """Serve each message in a task, so that MiniStack reads the next one; ignore failures of ``$disconnect``."""
    event_type = arguments[6]
    if event_type == "CONNECT":
        return await original(*arguments, **keywords)
    if event_type == "DISCONNECT":
        with suppress(Failure):
            await original(*arguments, **keywords)
        return None
    task = asyncio.create_task(serve(original, *arguments, **keywords))
    _running.add(task)
    task.add_done_callback(_running.discard)
    return None


async def serve(original: Callable[..., Awaitable[Any]], *arguments: Any, **keywords: Any) -> None:
    """Serve one message and deliver its answer, if the client is to receive one."""
    api_id, route, request_id = arguments[0], arguments[3], arguments[7]
    session = current.get()
    try:
        answer = await original(*arguments, **keywords)
    except Failure as failure:
        frame = {"message": failure.message, "connectionId": session.connection_id, "requestId": request_id}
        session.deliver(json.dumps(frame))
        return
    body = answer.get("body")
    if body and has_route_response(api_id, route):
        session.deliver(body if isinstance(body, str) else json.dumps(body))


def has_route_response(api_id: str, route: Route) -> bool:
    """Whether the route answers: it needs the selection expression and a route response with that key."""
    responses = apigateway._route_responses.get(api_id, {}).get(route["routeId"], {}).values()
    return route.get("routeResponseSelectionExpression") == "$default" and any(
        response.get("routeResponseKey") == "$default" for response in responses
    )
