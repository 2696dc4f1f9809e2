"""The answer to a handshake: the function's status and subprotocol, and 403 unless the stage is deployed."""
# ruff: noqa: ANN401 - MiniStack is untyped and has no other hook

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ministack.services import apigateway

from scripts.local.ministack.integrations import Failure
from scripts.local.ministack.sessions import Session, current
from scripts.local.ministack.stages import stages
from scripts.local.ministack.wrapping import replaces

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from scripts.local.ministack.sessions import Message, Receive, Send


@replaces(apigateway, "_invoke_ws_lambda")
async def run_integration(original: Callable[..., Awaitable[Any]], *arguments: Any, **keywords: Any) -> Any:
    """Record the status and subprotocol from ``$connect``; MiniStack keeps only whether it refuses."""
    event_type = arguments[6]
    if event_type != "CONNECT":
        return await original(*arguments, **keywords)
    session = current.get()
    try:
        answer = await original(*arguments, **keywords)
    except Failure as failure:
        session.refusal = (failure.status, failure.message)
        return {"statusCode": failure.status}
    session.refusal = (int(answer["statusCode"]), "")
    headers = {name.lower(): value for name, value in (answer.get("headers") or {}).items()}
    session.subprotocol = headers.get("sec-websocket-protocol")
    return answer


@replaces(apigateway, "handle_websocket")
async def handle_websocket(
    original: Callable[..., Awaitable[None]],
    scope: dict[str, Any],
    receive: Receive,
    send: Send,
    api_id: str,
    *,
    path_override: str,
) -> None:
    """Run the connection; answer its handshake with the recorded status and subprotocol."""
    session = current.get()

    async def send_answer(message: Message) -> None:
        if message["type"] == "websocket.accept" and session.subprotocol is not None:
            # Set as a header, Hypercorn accepts a subprotocol that the client did not offer, as API Gateway does.
            header = (b"Sec-WebSocket-Protocol", session.subprotocol.encode())
            message = {**message, "headers": [*message.get("headers", []), header]}
        if message["type"] == "websocket.close" and not session.is_open:
            await refuse(session, send)
        else:
            await send(message)

    if is_deployed(api_id, path_override.split("/")[1]):
        await original(scope, receive, send_answer, api_id, path_override=path_override)
    else:
        await receive()  # ASGI: an application takes `websocket.connect` before it answers
        await refuse(session, send)


def is_deployed(api_id: str, stage: str) -> bool:
    """Whether the API has a stage of that name with a deployment behind it."""
    settings = stages(api_id).get(stage, {})
    return bool(settings.get("deploymentId") or settings.get("autoDeploy"))


async def refuse(session: Session, send: Send) -> None:
    """Answer the handshake with the session's refusal."""
    status, text = session.refusal
    body = json.dumps({"message": text, "connectionId": session.connection_id}).encode() if text else b""
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body})
