"""DeleteRouteSettings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scripts.local.ministack.tests.apis import STAGE, client

if TYPE_CHECKING:
    from collections.abc import Callable

    from scripts.local.ministack.tests.apis import Api

LIMITS = {"ThrottlingBurstLimit": 1, "ThrottlingRateLimit": 1.0}


def stages(api: Api) -> dict[str, list[str]]:
    """Return the routes with settings of their own, by stage."""
    items = client("apigatewayv2", api.endpoint).get_stages(ApiId=api.api_id)["Items"]
    return {stage["StageName"]: sorted(stage.get("RouteSettings", {})) for stage in items}


def test_only_the_routes_settings_go(on_corrected: Callable[..., Api], on_plain: Callable[..., Api]) -> None:
    left = []
    for make in (on_corrected, on_plain):
        api = make(stage={"RouteSettings": {"$connect": LIMITS, "hello": LIMITS}})
        assert stages(api) == {STAGE: ["$connect", "hello"]}
        gateway = client("apigatewayv2", api.endpoint)
        gateway.delete_route_settings(ApiId=api.api_id, StageName=STAGE, RouteKey="$connect")
        left.append(stages(api))
    assert left == [{STAGE: ["hello"]}, {}]


def test_settings_that_do_not_exist_are_not_found(on_corrected: Callable[..., Api]) -> None:
    api = on_corrected()
    gateway = client("apigatewayv2", api.endpoint)
    with pytest.raises(gateway.exceptions.NotFoundException):
        gateway.delete_route_settings(ApiId=api.api_id, StageName=STAGE, RouteKey="hello")
    assert stages(api) == {STAGE: []}
