"""DeleteDeployment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from integration_tests.targets.ministack.tests.apis import STAGE, client

if TYPE_CHECKING:
    from collections.abc import Callable

    from integration_tests.targets.ministack.tests.apis import Api


def test_deployment_that_a_stage_serves_stays(on_corrected: Callable[..., Api], on_plain: Callable[..., Api]) -> None:
    left = []
    for make in (on_corrected, on_plain):
        api = make()
        gateway = client("apigatewayv2", api.endpoint)
        served = gateway.get_stage(ApiId=api.api_id, StageName=STAGE)["DeploymentId"]
        try:
            gateway.delete_deployment(ApiId=api.api_id, DeploymentId=served)
        except gateway.exceptions.BadRequestException as error:
            assert "Active stages pointing to this deployment must be moved or deleted" in str(error)
        deployments = gateway.get_deployments(ApiId=api.api_id)["Items"]
        left.append(served in {deployment["DeploymentId"] for deployment in deployments})
    assert left == [True, False]


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
