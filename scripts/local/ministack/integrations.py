"""Runs a route's integration as Invoke does: concurrently, and with API Gateway's errors."""
# ruff: noqa: ANN401, SLF001 - MiniStack is untyped and has no other hook

from __future__ import annotations

import asyncio
import logging
import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ministack.core import lambda_runtime
from ministack.services import apigateway, lambda_svc

from scripts.local.ministack import events, permissions, settings
from scripts.local.ministack.sessions import current
from scripts.local.ministack.stages import route_arn
from scripts.local.ministack.wrapping import replaces

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

logger = logging.getLogger(__name__)

INTEGRATION_TIMEOUT = 29_000
"""Milliseconds, unless the integration's own time-out is shorter (MiniStack's default is 30,000)."""

_slots: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(settings.CONCURRENCY))


class Failure(Exception):  # noqa: N818 - an answer for the client, not an error of this program
    """API Gateway answers instead of the integration.

    Args:
        message: Text for the client.
        status: HTTP status for a handshake.
        is_of_function: Whether the function was invoked and failed; else API Gateway could not invoke it in time.
    """

    def __init__(
        self, message: str = "Internal server error", status: int = 502, *, is_of_function: bool = False
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.is_of_function = is_of_function


def install() -> None:
    """Run functions of WebSocket routes the way Invoke does."""
    lambda_runtime.get_or_create_worker = Function


@replaces(apigateway, "_invoke_ws_lambda")
async def run_integration(
    original: Callable[..., Awaitable[Any]],
    api_id: str,
    account_id: str,
    region: str,
    route: dict[str, Any],
    *arguments: Any,
    **keywords: Any,
) -> dict[str, Any]:
    """Run one integration within its time-out and return the proxy response.

    Raises:
        Failure: No integration, no permission, an exception, a malformed response, or the integration's time-out.
    """
    integration = apigateway._integrations.get(api_id, {}).get(route.get("target", "").rpartition("/")[2], {})
    slot = _slots[integration.get("integrationUri", "")]
    await slot.acquire()
    run = asyncio.ensure_future(original(api_id, account_id, region, route, *arguments, **keywords))
    run.add_done_callback(lambda _: slot.release())  # a function outlives its integration's time-out
    milliseconds = min(integration.get("timeoutInMillis", INTEGRATION_TIMEOUT), INTEGRATION_TIMEOUT)
    try:
        answer = await asyncio.wait_for(asyncio.shield(run), milliseconds / 1000)
    except TimeoutError:
        # asyncio logs an exception that nothing retrieves.
        run.add_done_callback(lambda late: late.cancelled() or late.exception())
        raise Failure("Endpoint request timed out", 504) from None
    if not isinstance(answer, dict) or not is_status(answer.get("statusCode")):
        raise Failure(is_of_function=True)
    return answer


def is_status(value: object) -> bool:
    """Whether a proxy response may have this ``statusCode``."""
    return isinstance(value, int | str) and re.fullmatch("[2-5][0-9]{2}", str(value)) is not None


@dataclass
class Function:
    """Replaces MiniStack's worker of a function, which runs one invocation at a time."""

    name: str
    config: dict[str, Any]
    code_zip: bytes
    qualifier: str

    def invoke(self, event: dict[str, Any], request_id: str) -> dict[str, Any]:
        """Invoke the function in its own process, within its reserved concurrency, with output in its log group.

        Raises:
            Failure: The API has no permission, the function did not answer, or one of them has just been deleted.
        """
        del request_id  # Lambda's request id is not API Gateway's
        context = event["requestContext"]
        stored = lambda_svc._functions.get(self.name)
        source_arn = route_arn(context["apiId"], context["stage"], context["routeKey"])
        if stored is None or source_arn is None:
            raise Failure(status=500)
        record = {**stored, "config": self.config, "code_zip": self.code_zip}
        qualifier = None if self.qualifier == "$LATEST" else self.qualifier
        function_arn = lambda_svc._policy_resource_arn(self.name, qualifier)
        if not permissions.permits(record["policy"], function_arn, source_arn):
            logger.warning("%s has no permission to invoke %s", source_arn, function_arn)
            raise Failure(status=500)
        result = lambda_svc._execute_function(record, events.shaped(event, current.get()))
        if result.get("error"):
            logger.warning("%s failed on route %s: %s", self.name, context["routeKey"], result["body"])
            raise Failure(is_of_function=not result.get("throttle"))
        return {"status": "ok", "result": result["body"]}
