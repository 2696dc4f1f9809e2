"""Deployments: each is a snapshot of its API, and a connection is served by its stage's deployment.

A stage with automatic deployments gets a new one after each creation and update. AWS does not document deletions, so
the harsher behaviour is emulated: a deleted object is served until the next creation or update.
"""
# ruff: noqa: ANN401, SLF001 - MiniStack is untyped and has no other hook

from __future__ import annotations

import json
import re
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from ministack.core.responses import AccountRegionScopedDict
from ministack.services import apigateway, apigateway_v1

from scripts.local.ministack.management import error
from scripts.local.ministack.sessions import current
from scripts.local.ministack.stages import stages
from scripts.local.ministack.wrapping import replaces

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from scripts.local.ministack.management import Response

    Snapshot = dict[str, Any]

ADDRESS = re.compile(r"/v2/apis/(?P<api>[^/]+)(?:/(?P<kind>[^/]+)(?:/(?P<id>[^/]+)(?P<below>/.+)?)?)?/?")
STORES = ("_apis", "_routes", "_integrations", "_authorizers", "_route_responses", "_integration_responses")
"""MiniStack's stores for an API's objects, which a deployment copies."""
DESCRIPTION = "Automatic deployment triggered by changes to the Api configuration"

_snapshots: dict[str, Snapshot] = {}
"""By deployment id."""


def install() -> None:
    """Show connections their stage's snapshot, and the control plane the present objects."""
    for name in STORES:
        getattr(apigateway, name).__class__ = store_of(name)


def store_of(name: str) -> type[AccountRegionScopedDict]:
    """Return a store's class that reads from the stage's snapshot while a connection is served."""

    class Store(AccountRegionScopedDict):  # type: ignore[misc] # MiniStack is untyped
        __slots__ = ()  # like MiniStack's class, so that its objects can change their class

        def get(self, key: str, default: Any = None) -> Any:
            snapshot = snapshot_of_connection(key)
            return super().get(key, default) if snapshot is None else snapshot[name]

    return Store


def snapshot_of_connection(api_id: str) -> Snapshot | None:
    """Return the API's snapshot for the connection being served; None outside of connections.

    Also None for a deployment that CreateDeployment did not make, such as AWS CloudFormation's.
    """
    session = current.get(None)
    if session is None or session.api_id != api_id:
        return None
    return _snapshots.get(stages(api_id).get(session.stage, {}).get("deploymentId", ""))


@replaces(apigateway, "_create_deployment")
def create_deployment(original: Callable[..., Response], api_id: str, request: Any) -> Response:
    """Create a deployment with a copy of the present API."""
    response = original(api_id, request)
    if response[0] < 300:
        stores = {name: getattr(apigateway, name) for name in STORES}
        deployment = json.loads(response[2])["deploymentId"]
        _snapshots[deployment] = {name: deepcopy(store.get(api_id, {})) for name, store in stores.items()}
    return response


@replaces(apigateway, "handle_request")
async def handle_request(
    original: Callable[..., Awaitable[Response]], method: str, path: str, *request: Any
) -> Response:
    """Refuse changes that would break a stage or a route; deploy creations and updates automatically."""
    address = ADDRESS.fullmatch(path)
    if address is None:
        return await original(method, path, *request)
    if message := why_refused(method, address, request[1]):
        is_of_parts = address["kind"] in {"authorizers", "integrations", "routes"}
        name, status = ("ConflictException", 409) if is_of_parts else ("BadRequestException", 400)
        return error(status, name, message)
    response = await original(method, path, *request)
    if response[0] < 300 and method in {"POST", "PATCH"}:
        deploy_automatically(address["api"], address["kind"], json.loads(response[2]))
    return response


def why_refused(method: str, address: re.Match[str], body: bytes) -> str | None:
    """Return API Gateway's reason to refuse a change because of another object, or None."""
    if address["below"]:
        return None
    api_id, kind, identifier = address["api"], address["kind"], address["id"]
    if method == "DELETE":
        return why_kept(api_id, kind, identifier)
    if method in {"POST", "PATCH"} and kind == "routes":
        wanted = json.loads(body or b"{}").get("routeKey")
        routes = apigateway._routes.get(api_id, {})
        taken = wanted in {route["routeKey"] for key, route in routes.items() if key != identifier}
        return f"Route with key {wanted} already exists for this API" if taken else None
    return None


def why_kept(api_id: str, kind: str | None, identifier: str | None) -> str | None:
    """Return API Gateway's reason not to delete an object, or None.

    Args:
        api_id: Id of the API.
        kind: Kind of the object, as in the path; None for the API.
        identifier: Id of the object, or the stage's name; None for the API.
    """
    routes = apigateway._routes.get(api_id, {})
    if kind in {None, "stages"} and is_mapped(api_id, identifier):
        what = f"API '{api_id}'" if kind is None else f"stage '{identifier}'"
        return f"Deleting {what} failed. Please remove all base path mappings related to it in your domains."
    if kind == "deployments":
        served = {stage.get("deploymentId") for stage in apigateway._stages.get(api_id, {}).values()}
        return "Active stages pointing to this deployment must be moved or deleted" if identifier in served else None
    if kind == "integrations":
        users = [key for key, route in routes.items() if route.get("target") == f"integrations/{identifier}"]
        note = f"Cannot delete Integration because it is referenced by the following Routes with Ids: {users}"
        return note if users else None
    if kind == "authorizers":
        users = [route["routeKey"] for route in routes.values() if route.get("authorizerId") == identifier]
        return f"Cannot delete authorizer '{identifier}', is referenced in route: {users[0]}" if users else None
    return None


def is_mapped(api_id: str, stage: str | None) -> bool:
    """Whether a domain serves the API, by any of its stages if none is given."""
    mappings = [mapping for domain in apigateway_v1._base_path_mappings.values() for mapping in domain.values()]
    return any(each["restApiId"] == api_id and stage in {None, each["stage"]} for each in mappings)


def deploy_automatically(api_id: str, kind: str | None, changed: dict[str, Any]) -> None:
    """Create a deployment for stages with automatic deployments, after a change of their API.

    A new stage gets one, too. Settings of stages, and deployments, are not part of a deployment.

    Args:
        api_id: Id of the API.
        kind: Kind of the changed object, as in the path; None for the API.
        changed: The answer to the change.
    """
    if kind == "deployments":
        return
    for name, stage in apigateway._stages.get(api_id, {}).items():
        is_new = kind == "stages" and changed.get("stageName") == name and "deploymentId" not in stage
        if stage.get("autoDeploy") and (kind != "stages" or is_new):
            answer = apigateway._create_deployment(api_id, {"description": DESCRIPTION})
            stage["deploymentId"] = json.loads(answer[2])["deploymentId"]
