"""DeleteDeployment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scripts.local.ministack.tests.apis import STAGE, client

if TYPE_CHECKING:
    from collections.abc import Callable

    from scripts.local.ministack.tests.apis import Api


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
    second = gateway.create_deployment(ApiId=api.api_id)["DeploymentId"]
    gateway.update_stage(ApiId=api.api_id, StageName=STAGE, DeploymentId=second)
    gateway.delete_deployment(ApiId=api.api_id, DeploymentId=first)
    with pytest.raises(gateway.exceptions.BadRequestException):
        gateway.delete_deployment(ApiId=api.api_id, DeploymentId=second)
    gateway.delete_stage(ApiId=api.api_id, StageName=STAGE)
    gateway.delete_deployment(ApiId=api.api_id, DeploymentId=second)
    assert gateway.get_deployments(ApiId=api.api_id)["Items"] == []
