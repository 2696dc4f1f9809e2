"""DeleteRouteSettings, for which MiniStack deletes the whole stage."""
# ruff: noqa: ANN401, SLF001 - MiniStack is untyped and has no other hook

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from ministack.services import apigateway

from scripts.local.ministack.management import error
from scripts.local.ministack.wrapping import replaces

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from scripts.local.ministack.management import Response

ADDRESS = re.compile(r"/v2/apis/(?P<api>[^/]+)/stages/(?P<stage>[^/]+)/routesettings/(?P<route>.+)")


@replaces(apigateway, "handle_request")
async def handle_request(
    original: Callable[..., Awaitable[Response]], method: str, path: str, *request: Any
) -> Response:
    """Delete the settings of one route of a stage; pass other requests to MiniStack."""
    address = ADDRESS.fullmatch(path)
    if method != "DELETE" or address is None:
        return await original(method, path, *request)
    stage = apigateway._stages.get(address["api"], {}).get(unquote(address["stage"]), {})
    route = unquote(address["route"])
    if route not in stage.get("routeSettings", {}):
        return error(404, "NotFoundException", f"Unable to find route settings with the route key {route}")
    del stage["routeSettings"][route]
    return 204, {}, b""
