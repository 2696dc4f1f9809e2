"""Changed tags: GetApi and GetStage return them as GetTags does."""
# ruff: noqa: ANN401, SLF001 - MiniStack is untyped and has no other hook

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ministack.services import apigateway

from scripts.local.ministack.wrapping import replaces

if TYPE_CHECKING:
    from collections.abc import Callable

    from scripts.local.ministack.management import Response


@replaces(apigateway, "_tag_resource")
@replaces(apigateway, "_untag_resource")
def change_tags(original: Callable[..., Response], resource_arn: str, change: Any) -> Response:
    """Change tags where MiniStack does, and in the API or stage."""
    response = original(resource_arn, change)
    if response[0] < 300:
        canonical_arn, _ = apigateway._validate_tag_resource_arn(resource_arn)
        path = canonical_arn.rpartition(":")[2].split("/")  # /apis/{id}, with /stages/{name} for a stage
        is_stage = path[-2] == "stages"
        owner = apigateway._stages[path[2]][path[4]] if is_stage else apigateway._apis.get(path[2])
        if owner is not None:
            owner["tags"] = dict(apigateway._tag_store(canonical_arn).get(canonical_arn, {}))
    return response
