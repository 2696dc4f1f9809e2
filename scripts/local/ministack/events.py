"""The event that a function receives, with the fields that API Gateway sends."""
# ruff: noqa: ANN401 - MiniStack is untyped and has no other hook

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ministack.services import apigateway

from scripts.local.ministack.sessions import Session, current
from scripts.local.ministack.stages import stages
from scripts.local.ministack.wrapping import replaces

if TYPE_CHECKING:
    from collections.abc import Callable

    Event = dict[str, Any]

CLOSE_REASONS = {1000: "Connection Closed Normally", 1005: "Client-side close frame status not set"}
"""API Gateway's reasons for a client that gives none, by close code."""


@replaces(apigateway, "_ws_request_context")
def request_context(original: Callable[..., Event], *arguments: Any) -> Event:
    """Return MiniStack's ``requestContext`` with the connection's time and one request id."""
    context = original(*arguments)
    session = current.get()
    context["connectedAt"] = session.connected_at
    context["messageDirection"] = "IN"
    context["extendedRequestId"] = context["requestId"]
    context["requestTime"] = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(context["requestTimeEpoch"] / 1000))
    if not context["identity"]["userAgent"]:
        del context["identity"]["userAgent"]
    return context


def shaped(event: Event, session: Session) -> Event:
    """Return the event of a route integration with exactly the keys that AWS sends for its type.

    Args:
        event: MiniStack's event.
        session: The connection.
    """
    context = event["requestContext"]
    present = {key: value for key, value in event.items() if value is not None}
    if context["eventType"] != "MESSAGE":
        del present["body"]
    if context["eventType"] == "DISCONNECT":
        code, reason = session.close
        context["disconnectStatusCode"] = int(code)
        context["disconnectReason"] = reason or CLOSE_REASONS.get(code, "")
        headers = {"Host": context["domainName"], "x-api-key": "", "X-Forwarded-For": "", "x-restapi": ""}
        present["headers"] = headers
        present["multiValueHeaders"] = {name: [value] for name, value in headers.items()}
    if variables := stages(context["apiId"]).get(context["stage"], {}).get("stageVariables"):
        present["stageVariables"] = variables
    return present
