"""Selects the route for an event: ``$default`` serves only messages, and a message without a route is refused.

A message is also refused if its stage or API has been deleted since the connection was made.
"""
# ruff: noqa: ANN401 - MiniStack is untyped and has no other hook

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ministack.services import apigateway

from scripts.local.ministack.integrations import Failure
from scripts.local.ministack.sessions import current
from scripts.local.ministack.stages import stages
from scripts.local.ministack.wrapping import replaces

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Route = dict[str, Any]

UNROUTABLE: Route = {}


@replaces(apigateway, "_evaluate_route_selection")
def select_route(original: Callable[[str, str], str], expression: str, body: str) -> str:
    """Return the route key that a message names; ``$default`` for a body that is not JSON.

    In a plain MiniStack, nesting beyond Python's recursion limit, and a number beyond its digit limit, end the
    connection.
    """
    try:
        return original(expression, body)
    except (RecursionError, ValueError):
        return "$default"


@replaces(apigateway, "_match_ws_route")
def match_route(original: Callable[[str, str], Route | None], api_id: str, route_key: str) -> Route | None:
    """Return the route of the key; for a message else ``$default``, else ``UNROUTABLE``."""
    route = original(api_id, route_key)
    session = current.get()
    if session.is_open and not session.is_closed:
        return UNROUTABLE if route is None else route
    return route if route is not None and route["routeKey"] == route_key else None


@replaces(apigateway, "_invoke_ws_lambda")
async def run_integration(original: Callable[..., Awaitable[Any]], *arguments: Any, **keywords: Any) -> Any:
    """Run the integration, or refuse the message.

    Raises:
        Failure: The message matches no route and there is no ``$default``, or the connection's stage was deleted.
    """
    api_id, route, stage = arguments[0], arguments[3], arguments[4]
    if route is UNROUTABLE or stage not in stages(api_id):
        raise Failure("Forbidden", 403)
    return await original(*arguments, **keywords)
