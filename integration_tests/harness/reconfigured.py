"""Change the configuration of functions for a while."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from types_boto3_lambda.client import LambdaClient

    Variables = Mapping[str, str]


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
        yield


def wait_until_updated(functions: LambdaClient, names: Iterable[str]) -> None:
    """Wait until the functions' changes are in force."""
    for name in names:
        functions.get_waiter("function_updated_v2").wait(FunctionName=name)


def _configure(functions: LambdaClient, name: str, variables: Variables, timeout: int) -> None:
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": variables}, Timeout=timeout)
