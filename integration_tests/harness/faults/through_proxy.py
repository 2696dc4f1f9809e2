"""Route the functions of a stage through a fault proxy for a while, by their configuration."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from integration_tests.harness.reconfigured import reconfigured

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from scripts.local.aws import Aws
    from scripts.local.deployment import Deployment

MANAGEMENT_ENDPOINT = "ROOMCAST_MANAGEMENT_ENDPOINT"


@contextmanager
def routed_through_proxy(aws: Aws, deployment: Deployment, proxy_url: str) -> Iterator[None]:
    """Have every function of a stage reach ``@connections``, DynamoDB and SQS through a proxy.

    Args:
        aws: Access to the account of the functions.
        deployment: The stage.
        proxy_url: Base URL of the proxy.
    """

    def endpoints(variables: Mapping[str, str]) -> dict[str, str]:
        path = urlsplit(variables[MANAGEMENT_ENDPOINT]).path
        return {"AWS_ENDPOINT_URL": proxy_url, MANAGEMENT_ENDPOINT: f"{proxy_url}{path}"}

    with reconfigured(aws.functions, deployment.outputs["function_arns"].values(), endpoints):
        yield
