"""The ``@connections`` API: refused requests, and the form of its answers."""
# ruff: noqa: ANN401, SLF001 - MiniStack is untyped and has no other hook

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ministack.services import apigateway

from scripts.local.ministack.sessions import sessions
from scripts.local.ministack.stages import stages
from scripts.local.ministack.wrapping import replaces

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Response = tuple[int, dict[str, str], bytes]

PAYLOAD_BYTES = 128 * 1024
UNSENT_BYTES = 1024 * 1024
"""Bytes buffered for a slow reader before further posts are refused. AWS documents no size."""
CONNECTION_ID = re.compile(r"[A-Za-z0-9_-]{15}=")


@replaces(apigateway, "handle_connections_api")
async def handle_connections_api(
    original: Callable[..., Awaitable[Response]], method: str, api_id: str, *request: Any
) -> Response:
    """Refuse a request as API Gateway does, or pass it to MiniStack and correct the answer."""
    stage, connection_id, body, _ = request
    if refusal := refused_address(api_id, stage, connection_id) or (
        method == "POST" and refused_post(connection_id, body)
    ):
        return refusal
    if method == "POST" and connection_id in sessions:
        sessions[connection_id].unsent += len(apigateway._post_to_connection_text(body).encode())
    status, headers, content = await original(method, api_id, *request)
    if status == 200 and method == "GET":
        content = description(json.loads(content))
    return status, headers, content


def refused_address(api_id: str, stage: str, connection_id: str) -> Response | None:
    """Return the refusal of a wrong URL, or None."""
    if stage not in stages(api_id):
        return error(403, "ForbiddenException", "Forbidden")
    if not CONNECTION_ID.fullmatch(connection_id):
        return error(400, "BadRequestException", f"Invalid connectionId: {connection_id}")
    if connection_id in sessions and sessions[connection_id].record.get("stage") != stage:
        return error(410, "GoneException", "GoneException")
    return None


def refused_post(connection_id: str, body: bytes) -> Response | None:
    """Return the refusal of a post that is too large or exceeds this client's buffer, or None."""
    if len(body) > PAYLOAD_BYTES:
        return error(413, "PayloadTooLargeException", "Message too long")
    if connection_id in sessions and sessions[connection_id].unsent + len(body) > UNSENT_BYTES:
        return error(429, "LimitExceededException", "Too many requests")
    return None


@replaces(apigateway, "handle_execute")
async def handle_execute(
    original: Callable[..., Awaitable[Response]], api_id: str, *arguments: Any, **keywords: Any
) -> Response:
    """Refuse plain HTTP requests to a WebSocket API, such as a post without the stage in its URL."""
    if apigateway._api_protocol(api_id) == "WEBSOCKET":
        return error(403, "ForbiddenException", "Forbidden")
    return await original(api_id, *arguments, **keywords)


def error(status: int, name: str, message: str) -> Response:
    """Return an error in the form that SDKs parse."""
    headers = {"Content-Type": "application/json", "x-amzn-ErrorType": name}
    return status, headers, json.dumps({"message": message}).encode()


def description(connection: dict[str, Any]) -> bytes:
    """Return GetConnection's answer with the key names and time format of the API's model."""
    answer = {
        "connectedAt": datetime.fromtimestamp(connection["ConnectedAt"], UTC).isoformat(),
        "identity": connection["Identity"],
        "lastActiveAt": datetime.fromtimestamp(connection["LastActiveAt"], UTC).isoformat(),
    }
    return json.dumps(answer).encode()
