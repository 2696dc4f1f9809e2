"""Saved queries of CloudWatch Logs Insights."""
# ruff: noqa: ANN401 - MiniStack is untyped and has no other hook

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from ministack.core.responses import AccountRegionScopedDict, error_response_json, json_response, new_uuid
from ministack.services import cloudwatch_logs

from scripts.local.ministack.wrapping import replaces

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from scripts.local.ministack.management import Response

    Request = Mapping[str, Any]

MOST_DESCRIBED = 1000
"""In one answer: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DescribeQueryDefinitions.html"""

_definitions = AccountRegionScopedDict()
"""What PutQueryDefinition was given, by id."""


def put(request: Request) -> Response:
    """Save a query, or replace the one with the given id."""
    query_id = request.get("queryDefinitionId") or str(new_uuid())
    if "queryDefinitionId" in request and query_id not in _definitions:
        return _missing(query_id)
    kept = {name: request[name] for name in ("logGroupNames", "name", "queryString") if name in request}
    _definitions[query_id] = {**kept, "lastModified": round(time.time() * 1000), "queryDefinitionId": query_id}
    return _answer({"queryDefinitionId": query_id})


def describe(request: Request) -> Response:
    """Describe the queries with names that begin so, in pages."""
    prefix, most = request.get("queryDefinitionNamePrefix", ""), request.get("maxResults", MOST_DESCRIBED)
    found = sorted((each for each in _definitions.values() if each["name"].startswith(prefix)), key=_key)
    rest = [each for each in found if _key(each) > tuple(json.loads(request.get("nextToken", "[]")))]
    more = {"nextToken": json.dumps(_key(rest[most - 1]))} if len(rest) > most else {}
    return _answer({"queryDefinitions": rest[:most], **more})


def delete(request: Request) -> Response:
    """Delete a query."""
    if _definitions.pop(request["queryDefinitionId"], None) is None:
        return _missing(request["queryDefinitionId"])
    return _answer({"success": True})


ACTIONS: Mapping[str, Callable[[Request], Response]] = {
    "Logs_20140328.DeleteQueryDefinition": delete,
    "Logs_20140328.DescribeQueryDefinitions": describe,
    "Logs_20140328.PutQueryDefinition": put,
}


@replaces(cloudwatch_logs, "handle_request")
async def handle_request(
    original: Callable[..., Awaitable[Response]],
    method: str,
    path: str,
    headers: Mapping[str, str],
    *body_and_query: Any,
) -> Response:
    """Serve requests about saved queries."""
    act = ACTIONS.get(headers.get("x-amz-target", ""))
    if act is None:
        return await original(method, path, headers, *body_and_query)
    return act(json.loads(body_and_query[0]))


def _key(definition: Request) -> tuple[str, str]:
    return definition["name"], definition["queryDefinitionId"]


def _answer(content: Request) -> Response:
    return json_response(content)  # type: ignore[no-any-return] # untyped


def _missing(query_id: str) -> Response:
    message = f"The specified query definition does not exist: {query_id}"
    return error_response_json("ResourceNotFoundException", message, 400)  # type: ignore[no-any-return] # untyped
