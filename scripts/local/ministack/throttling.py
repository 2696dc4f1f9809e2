"""Stage and route throttling: one token bucket per route of a stage."""
# ruff: noqa: ANN401 - MiniStack is untyped and has no other hook

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ministack.services import apigateway

from scripts.local.ministack.buckets import Bucket
from scripts.local.ministack.integrations import Failure
from scripts.local.ministack.stages import stages
from scripts.local.ministack.wrapping import replaces

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


_buckets: dict[tuple[str, str, str], Bucket] = {}


@replaces(apigateway, "_invoke_ws_lambda")
async def run_integration(original: Callable[..., Awaitable[Any]], *arguments: Any, **keywords: Any) -> Any:
    """Run the integration if its route has a token. ``$disconnect`` needs none, because its client is gone.

    Raises:
        Failure: Too many requests.
    """
    api_id, route, stage, event_type = arguments[0], arguments[3], arguments[4], arguments[6]
    if event_type != "DISCONNECT" and not admits(api_id, stage, route["routeKey"]):
        raise Failure("Too Many Requests", 429)
    return await original(*arguments, **keywords)


def admits(api_id: str, stage: str, route_key: str) -> bool:
    """Take a token from the route's bucket; a changed setting starts a new bucket.

    A route's settings inherit nothing from the stage's default. A missing limit is no limit, but Terraform writes an
    unset one as 0, which blocks all requests.
    """
    stage_settings = stages(api_id).get(stage)
    if stage_settings is None:
        return True  # just deleted; integrations.py answers
    settings = stage_settings["routeSettings"].get(route_key, stage_settings["defaultRouteSettings"])
    rate, burst = settings.get("throttlingRateLimit"), settings.get("throttlingBurstLimit")
    if rate is None or burst is None:
        return True
    key = (api_id, stage, route_key)
    bucket = _buckets.get(key)
    if bucket is None or (bucket.rate, bucket.burst) != (rate, burst):
        bucket = _buckets[key] = Bucket(rate, burst)
    return bucket.take()
