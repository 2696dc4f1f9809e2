"""Deployments, and changes that API Gateway refuses because of deployments or routes."""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import TYPE_CHECKING

import pytest

from scripts.local.ministack.tests.apis import (
    ALL_ROUTES,
    RECORD_EVENTS,
    STAGE,
    client,
    create_route,
    redeploy,
)
from scripts.waiting import scaled

if TYPE_CHECKING:
    from collections.abc import Callable

    from websockets.asyncio.client import ClientConnection

    from scripts.local.ministack.tests.apis import Api

WITH_PING = (*ALL_ROUTES, "ping")


def test_deployment_that_a_stage_serves_stays(on_corrected: Callable[..., Api], on_plain: Callable[..., Api]) -> None:
    api = on_corrected()
    gateway = client("apigatewayv2", api.endpoint)
    served = gateway.get_stage(ApiId=api.api_id, StageName=STAGE)["DeploymentId"]
    with pytest.raises(
        gateway.exceptions.BadRequestException, match="Active stages pointing to this deployment must be"
    ):
        gateway.delete_deployment(ApiId=api.api_id, DeploymentId=served)
    assert [one["DeploymentId"] for one in gateway.get_deployments(ApiId=api.api_id)["Items"]] == [served]

    api = on_plain()
    gateway = client("apigatewayv2", api.endpoint)
    served = gateway.get_stage(ApiId=api.api_id, StageName=STAGE)["DeploymentId"]
    gateway.delete_deployment(ApiId=api.api_id, DeploymentId=served)
    assert gateway.get_deployments(ApiId=api.api_id)["Items"] == []


def test_deployment_goes_when_the_stage_has_moved_or_gone(on_corrected: Callable[..., Api]) -> None:
    api = on_corrected()
    gateway = client("apigatewayv2", api.endpoint)
    first = gateway.get_stage(ApiId=api.api_id, StageName=STAGE)["DeploymentId"]
    second = redeploy(api)
    gateway.delete_deployment(ApiId=api.api_id, DeploymentId=first)
    with pytest.raises(gateway.exceptions.BadRequestException):
        gateway.delete_deployment(ApiId=api.api_id, DeploymentId=second)
    gateway.delete_stage(ApiId=api.api_id, StageName=STAGE)
    gateway.delete_deployment(ApiId=api.api_id, DeploymentId=second)
    assert gateway.get_deployments(ApiId=api.api_id)["Items"] == []


def test_what_a_domain_serves_stays(on_corrected: Callable[..., Api], on_plain: Callable[..., Api]) -> None:
    api = on_corrected()
    gateway = client("apigatewayv2", api.endpoint)
    gateway.create_stage(ApiId=api.api_id, StageName="other")
    mapping = map_to_a_domain(api)
    with pytest.raises(gateway.exceptions.BadRequestException, match=f"Deleting stage '{STAGE}' failed"):
        gateway.delete_stage(ApiId=api.api_id, StageName=STAGE)
    with pytest.raises(gateway.exceptions.BadRequestException, match="Please remove all base path mappings"):
        gateway.delete_api(ApiId=api.api_id)
    gateway.delete_stage(ApiId=api.api_id, StageName="other")
    assert [one["StageName"] for one in gateway.get_stages(ApiId=api.api_id)["Items"]] == [STAGE]
    gateway.delete_api_mapping(DomainName=mapping["DomainName"], ApiMappingId=mapping["ApiMappingId"])
    gateway.delete_stage(ApiId=api.api_id, StageName=STAGE)

    api = on_plain()
    map_to_a_domain(api)
    client("apigatewayv2", api.endpoint).delete_stage(ApiId=api.api_id, StageName=STAGE)


def map_to_a_domain(api: Api) -> dict[str, str]:
    """Let a new domain serve the stage; return the domain's name and the id of the mapping."""
    gateway, name = client("apigatewayv2", api.endpoint), f"{secrets.token_hex(4)}.example.com"
    gateway.create_domain_name(DomainName=name, DomainNameConfigurations=[{"EndpointType": "REGIONAL"}])
    mapping = gateway.create_api_mapping(ApiId=api.api_id, DomainName=name, Stage=STAGE)
    return {"DomainName": name, "ApiMappingId": mapping["ApiMappingId"]}


async def test_a_stage_serves_what_was_deployed(on_corrected: Callable[..., Api], on_plain: Callable[..., Api]) -> None:
    api = on_corrected(RECORD_EVENTS, routes=WITH_PING)
    gateway = client("apigatewayv2", api.endpoint)
    async with api.connect() as socket:
        gateway.delete_route(ApiId=api.api_id, RouteId=api.route_ids["ping"])
        assert await route_of(api, socket) == "ping"
        fresh = gateway.create_deployment(ApiId=api.api_id)["DeploymentId"]
        assert await route_of(api, socket) == "ping"
        gateway.update_stage(ApiId=api.api_id, StageName=STAGE, DeploymentId=fresh)
        assert await route_of(api, socket) == "$default"

    api = on_plain(RECORD_EVENTS, routes=WITH_PING)
    async with api.connect() as socket:
        client("apigatewayv2", api.endpoint).delete_route(ApiId=api.api_id, RouteId=api.route_ids["ping"])
        assert await route_of(api, socket) == "$default"


async def test_automatic_deployments_follow_creations_and_updates(
    on_corrected: Callable[..., Api], on_plain: Callable[..., Api]
) -> None:
    api = on_corrected(RECORD_EVENTS)
    gateway = client("apigatewayv2", api.endpoint)
    gateway.create_stage(ApiId=api.api_id, StageName="auto", AutoDeploy=True)
    (integration,) = gateway.get_integrations(ApiId=api.api_id)["Items"]
    async with api.connect(stage="auto") as socket:
        assert await route_of(api, socket) == "$default"
        deployed = [deployment_of_auto_stage(api)]
        ping = create_route(gateway, api.api_id, integration["IntegrationId"], "ping", two_way=False)
        assert await route_of(api, socket) == "ping"
        deployed.append(deployment_of_auto_stage(api))
        gateway.delete_route(ApiId=api.api_id, RouteId=ping)
        assert await route_of(api, socket) == "ping"
        gateway.update_stage(ApiId=api.api_id, StageName="auto", Description="a setting of the stage")
        assert await route_of(api, socket) == "ping"
        gateway.update_integration(ApiId=api.api_id, IntegrationId=integration["IntegrationId"], Description="changed")
        assert await route_of(api, socket) == "$default"
        deployed.append(deployment_of_auto_stage(api))
    assert len(set(deployed)) == 3
    assert set(deployed) <= {one["DeploymentId"] for one in gateway.get_deployments(ApiId=api.api_id)["Items"]}

    api = on_plain()
    client("apigatewayv2", api.endpoint).create_stage(ApiId=api.api_id, StageName="auto", AutoDeploy=True)
    assert deployment_of_auto_stage(api) is None


def test_integration_that_a_route_names_stays(on_corrected: Callable[..., Api], on_plain: Callable[..., Api]) -> None:
    api = on_corrected(routes=["ping"])
    gateway = client("apigatewayv2", api.endpoint)
    (integration,) = gateway.get_integrations(ApiId=api.api_id)["Items"]
    with pytest.raises(gateway.exceptions.ConflictException, match="is referenced by the following Routes"):
        gateway.delete_integration(ApiId=api.api_id, IntegrationId=integration["IntegrationId"])
    gateway.delete_route(ApiId=api.api_id, RouteId=api.route_ids["ping"])
    gateway.delete_integration(ApiId=api.api_id, IntegrationId=integration["IntegrationId"])
    assert gateway.get_integrations(ApiId=api.api_id)["Items"] == []

    api = on_plain()
    gateway = client("apigatewayv2", api.endpoint)
    (integration,) = gateway.get_integrations(ApiId=api.api_id)["Items"]
    gateway.delete_integration(ApiId=api.api_id, IntegrationId=integration["IntegrationId"])


def test_a_route_key_is_taken_once(on_corrected: Callable[..., Api], on_plain: Callable[..., Api]) -> None:
    api = on_corrected(routes=["ping", "pong"])
    gateway = client("apigatewayv2", api.endpoint)
    with pytest.raises(gateway.exceptions.ConflictException, match="Route with key ping already exists for this API"):
        gateway.create_route(ApiId=api.api_id, RouteKey="ping")
    with pytest.raises(gateway.exceptions.ConflictException, match="Route with key ping already exists for this API"):
        gateway.update_route(ApiId=api.api_id, RouteId=api.route_ids["pong"], RouteKey="ping")
    gateway.update_route(ApiId=api.api_id, RouteId=api.route_ids["ping"], RouteKey="ping")

    api = on_plain(routes=["ping"])
    client("apigatewayv2", api.endpoint).create_route(ApiId=api.api_id, RouteKey="ping")


async def route_of(api: Api, socket: ClientConnection) -> str:
    """Send a message for the route ``ping`` and return the key of the route that serves it."""
    known = {event["requestContext"]["requestId"] for event in api.events("MESSAGE")}

    async def new() -> list[str]:
        contexts = [event["requestContext"] for event in api.events("MESSAGE")]
        return [context["routeKey"] for context in contexts if context["requestId"] not in known]

    await socket.send('{"action": "ping"}')
    deadline = time.monotonic() + scaled(10)
    while not (found := await new()):
        assert time.monotonic() < deadline, "no route served the message"
        await asyncio.sleep(0.02)
    (key,) = found
    return key


def deployment_of_auto_stage(api: Api) -> str | None:
    """Return the id of the deployment that the stage ``auto`` serves."""
    stage: dict[str, str] = client("apigatewayv2", api.endpoint).get_stage(ApiId=api.api_id, StageName="auto")
    return stage.get("DeploymentId")
