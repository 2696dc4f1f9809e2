"""Values that an update removes by an empty one: variables of a stage, filters and scaling of an event source mapping.

UpdateStage changes the variables that it names and leaves the others alone.
"""
# ruff: noqa: SLF001 - MiniStack is untyped and has no other hook

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ministack.services import apigateway, lambda_svc

from scripts.local.ministack.wrapping import replaces

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from scripts.local.ministack.management import Response

REMOVED_WITH_THEIR_PARTS = ("FilterCriteria", "ScalingConfig")
"""Settings of an event source mapping that are gone when an update gives none of their parts."""


@replaces(apigateway, "_update_stage")
def update_stage(original: Callable[..., Response], api_id: str, stage: str, request: Mapping[str, Any]) -> Response:
    """Update a stage; a variable with an empty value is removed."""
    if "stageVariables" in request:
        before = apigateway._stages.get(api_id, {}).get(stage, {}).get("stageVariables") or {}
        merged = {**before, **(request["stageVariables"] or {})}
        request = {**request, "stageVariables": {name: value for name, value in merged.items() if value != ""}}
    return original(api_id, stage, request)


@replaces(lambda_svc, "_update_esm")
def update_mapping(original: Callable[..., Response], identifier: str, request: Mapping[str, Any]) -> Response:
    """Update an event source mapping; a setting without parts is removed."""
    response = original(identifier, request)
    mapping = lambda_svc._esms.get(identifier)
    if response[0] >= 300 or mapping is None:
        return response
    for name in REMOVED_WITH_THEIR_PARTS:
        if not any((mapping.get(name) or {}).values()):
            mapping.pop(name, None)
    answer: Response = lambda_svc.json_response(lambda_svc._esm_response(mapping))
    return answer
