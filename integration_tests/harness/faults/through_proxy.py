"""Route the functions of a stage through a fault proxy for a while, by their configuration."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

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
    arns = function_arns(deployment)
    with ExitStack() as undo:
        undo.callback(wait_until_updated, aws, arns)
        for arn in arns:
            variables = aws.functions.get_function_configuration(FunctionName=arn)["Environment"]["Variables"]
            path = urlsplit(variables[MANAGEMENT_ENDPOINT]).path
            undo.callback(configure, aws, arn, variables)
            configure(aws, arn, {**variables, "AWS_ENDPOINT_URL": proxy_url, MANAGEMENT_ENDPOINT: f"{proxy_url}{path}"})
        wait_until_updated(aws, arns)
        yield


def function_arns(deployment: Deployment) -> list[str]:
    """Return the ARNs of all functions of a stage."""
    return [*deployment.outputs["function_arns"].values()]


def configure(aws: Aws, arn: str, variables: Mapping[str, str]) -> None:
    """Begin to change a function's environment variables."""
    aws.functions.update_function_configuration(FunctionName=arn, Environment={"Variables": variables})


def wait_until_updated(aws: Aws, arns: Iterable[str]) -> None:
    """Wait until the functions' changes are in force."""
    for arn in arns:
        aws.functions.get_waiter("function_updated_v2").wait(FunctionName=arn)
