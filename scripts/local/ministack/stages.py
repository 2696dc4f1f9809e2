"""Finds a WebSocket API in MiniStack's state without knowing its account and Region."""
# ruff: noqa: SLF001 - MiniStack is untyped and has no other hook

from __future__ import annotations

from typing import Any

from ministack.core.arn import execute_api_route_arn
from ministack.services import apigateway


def stages(api_id: str) -> dict[str, dict[str, Any]]:
    """Return the stages of a WebSocket API by name; none without such an API."""
    owner = apigateway._api_owner(api_id)
    if owner is None or owner[0] != "WEBSOCKET":
        return {}
    found: dict[str, dict[str, Any]] = apigateway._stages.get_scoped(*owner[1:], api_id, {})
    return found


def route_arn(api_id: str, stage: str, route_key: str) -> str | None:
    """Return the source ARN for invocations by a route; None without such an API."""
    owner = apigateway._api_owner(api_id)
    if owner is None:
        return None
    _, account, region = owner
    return str(execute_api_route_arn(region, account, api_id, stage, route_key))
