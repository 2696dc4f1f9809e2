"""DeleteDeployment, which AWS refuses while a stage serves the deployment."""
# ruff: noqa: ANN401, SLF001 - MiniStack is untyped and has no other place to take hold of

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ministack.services import apigateway

from scripts.local.ministack.management import error
from scripts.local.ministack.wrapping import wrap

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from scripts.local.ministack.management import Response

ADDRESS = re.compile(r"/v2/apis/(?P<api>[^/]+)/deployments/(?P<deployment>[^/]+)")


def install() -> None:
    """Look at the stages before a deployment goes."""
    wrap(apigateway, "handle_request", handle_request)


async def handle_request(
    original: Callable[..., Awaitable[Response]], method: str, path: str, *request: Any
) -> Response:
    """Refuse to delete a deployment that a stage serves; leave everything else to MiniStack."""
    address = ADDRESS.fullmatch(path)
    if method == "DELETE" and address is not None:
        stages = apigateway._stages.get(address["api"], {}).values()
        if any(stage.get("deploymentId") == address["deployment"] for stage in stages):
            message = "Active stages pointing to this deployment must be moved or deleted"
            return error(400, "BadRequestException", message)
    return await original(method, path, *request)
