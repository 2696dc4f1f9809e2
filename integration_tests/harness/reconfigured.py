"""Change the configuration of functions for a while."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from types_boto3_lambda.client import LambdaClient

    Variables = Mapping[str, str]

ALIAS = "live"
"""What API Gateway and the queues invoke."""


@contextmanager
def reconfigured(
    functions: LambdaClient,
    names: Iterable[str],
    further: Callable[[Variables], Variables],
    timeout: int | None = None,
) -> Iterator[None]:
    """Give functions further environment variables, in force within the context, and take them away afterwards.

    Args:
        functions: boto3 client of Lambda.
        names: Names or ARNs of the functions.
        further: Returns the variables to add or to change, given those that a function has.
        timeout: Their timeout meanwhile, in seconds; None leaves it.
    """
    before = {name: functions.get_function_configuration(FunctionName=name) for name in names}
    with ExitStack() as undo:
        undo.callback(wait_until_updated, functions, before)
        for name, settings in before.items():
            variables = settings["Environment"]["Variables"]
            undo.callback(_configure, functions, name, variables, settings["Timeout"])
            _configure(functions, name, {**variables, **further(variables)}, timeout or settings["Timeout"])
        wait_until_updated(functions, before)
        for name in before:
            undo.callback(serve_again, functions, name, serve_latest(functions, name))
        yield


def serve_latest(functions: LambdaClient, name: str) -> str:
    """Publish a version of a function, and let its alias serve it; return the version that it served before."""
    before = functions.get_alias(FunctionName=name, Name=ALIAS)["FunctionVersion"]
    version = functions.publish_version(FunctionName=name)["Version"]
    functions.update_alias(FunctionName=name, Name=ALIAS, FunctionVersion=version)
    return before


def serve_again(functions: LambdaClient, name: str, version: str) -> None:
    """Let a function's alias serve an earlier version, and delete the one that it served."""
    served = functions.get_alias(FunctionName=name, Name=ALIAS)["FunctionVersion"]
    functions.update_alias(FunctionName=name, Name=ALIAS, FunctionVersion=version)
    if served != version:
        functions.delete_function(FunctionName=name, Qualifier=served)


def wait_until_updated(functions: LambdaClient, names: Iterable[str]) -> None:
    """Wait until the functions' changes are in force."""
    for name in names:
        functions.get_waiter("function_updated_v2").wait(FunctionName=name)


def _configure(functions: LambdaClient, name: str, variables: Variables, timeout: int) -> None:
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": variables}, Timeout=timeout)
