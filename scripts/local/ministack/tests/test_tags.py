"""Tags of APIs and stages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.local.aws import REGION
from scripts.local.ministack.tests.apis import STAGE, client

if TYPE_CHECKING:
    from collections.abc import Callable

    from scripts.local.ministack.tests.apis import Api


def tags(api: Api) -> tuple[dict[str, str], dict[str, str]]:
    """Return the tags from GetApi and GetStage."""
    gateway = client("apigatewayv2", api.endpoint)
    found, stage = gateway.get_api(ApiId=api.api_id), gateway.get_stage(ApiId=api.api_id, StageName=STAGE)
    return found.get("Tags", {}), stage.get("Tags", {})


def test_changed_tags_are_told_everywhere(on_corrected: Callable[..., Api], on_plain: Callable[..., Api]) -> None:
    for make, told in ((on_corrected, {"team": "chat", "note": "a<b&c"}), (on_plain, {})):
        api = make()
        gateway = client("apigatewayv2", api.endpoint)
        arns = [f"arn:aws:apigateway:{REGION}::/apis/{api.api_id}{path}" for path in ("", f"/stages/{STAGE}")]
        for arn in arns:
            gateway.tag_resource(ResourceArn=arn, Tags={"team": "chat", "note": "a<b&c", "old": "x"})
            gateway.untag_resource(ResourceArn=arn, TagKeys=["old"])
        assert tags(api) == (told, told)
