"""The account's quotas for requests and for new connections, which all its WebSocket APIs share."""
# ruff: noqa: ANN401, SLF001 - MiniStack is untyped and has no other hook

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ministack.services import apigateway, apigateway_v1

from scripts.local.ministack import settings
from scripts.local.ministack.buckets import Account, bucket
from scripts.local.ministack.handshake import refuse
from scripts.local.ministack.integrations import Failure
from scripts.local.ministack.management import error
from scripts.local.ministack.metrics import count
from scripts.local.ministack.sessions import current
from scripts.local.ministack.wrapping import replaces

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from scripts.local.ministack.management import Response
    from scripts.local.ministack.sessions import Receive, Send

TOO_MANY = "Too Many Requests"

account = Account(bucket(settings.REQUESTS), bucket(settings.HANDSHAKES))


def install() -> None:
    """Let GetAccount tell the quota for requests."""
    if account.requests is not None:
        told = {"burstLimit": int(account.requests.burst), "rateLimit": account.requests.rate}
        apigateway_v1._ACCOUNT_DEFAULTS["throttleSettings"] = told


@replaces(apigateway, "handle_websocket")
async def handle_websocket(
    original: Callable[..., Awaitable[None]],
    scope: dict[str, Any],
    receive: Receive,
    send: Send,
    api_id: str,
    **keywords: Any,
) -> None:
    """Answer a handshake that the account has no quota for with 429, before its authorizer is asked."""
    if account.admits_handshake():
        await original(scope, receive, send, api_id, **keywords)
        return
    session = current.get()
    session.refusal = (429, TOO_MANY)
    count(session.api_id, session.stage, "ClientError")
    await receive()  # ASGI: an application takes `websocket.connect` before it answers
    await refuse(session, send)


@replaces(apigateway, "_invoke_ws_lambda")
async def run_integration(original: Callable[..., Awaitable[Any]], *arguments: Any, **keywords: Any) -> Any:
    """Run the integration of a message that the account has quota for.

    ``$connect`` was admitted with its handshake. ``$disconnect`` takes its share, and runs without one, because its
    client is gone.

    Raises:
        Failure: Too many requests.
    """
    event_type = arguments[6]
    if event_type != "CONNECT" and not account.admits_request() and event_type == "MESSAGE":
        raise Failure(TOO_MANY, 429)
    return await original(*arguments, **keywords)


@replaces(apigateway, "handle_connections_api")
async def handle_connections_api(original: Callable[..., Awaitable[Response]], *request: Any) -> Response:
    """Serve a call of ``@connections`` that the account has quota for."""
    if not account.admits_request():
        return error(429, "LimitExceededException", "Too many requests")
    return await original(*request)
