"""Invoking a stage's functions for backends: ``publish`` and ``kick``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from roomcast_cli.output import NOT_FOUND, NOT_REACHABLE, WRONG_USAGE, CommandError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from roomcast_cli.aws import Account
    from roomcast_cli.stages import Stage

LONGEST = 65.0
"""Seconds; the kick waits up to 60 for connections that are being made."""


def invoke(stage: Stage, account: Account, name: str, doing: str, variable: str, request: Mapping[str, Any]) -> Any:  # noqa: ANN401, PLR0913, PLR0917 - JSON; all parts of a call
    """Invoke the alias of a function; gives its answer.

    Args:
        stage: The stage.
        account: Access to AWS.
        name: Name of the function.
        doing: What the stage cannot do without it.
        variable: The variable that turns it on.
        request: The input.

    Raises:
        CommandError: The stage has no such function, it failed, or it refuses the request.
    """
    if not stage.outputs.get(f"{name}_function_arn"):
        raise CommandError(f"{stage.label} cannot {doing}: {variable} is false", NOT_FOUND)
    answer = account.client("lambda", seconds=LONGEST).invoke(
        FunctionName=stage.outputs["alias_arns"][name], Payload=json.dumps(request).encode()
    )
    payload = json.loads(answer["Payload"].read())
    if "FunctionError" in answer:
        reason = payload.get("errorMessage") if isinstance(payload, dict) else payload
        raise CommandError(f"the function {name} failed: {reason}; the same again may work", NOT_REACHABLE)
    if "error" in payload:
        raise refused(payload["error"])
    return payload


def refused(error: Mapping[str, str]) -> CommandError:
    """Return the error for a request that a function does not serve."""
    status = NOT_REACHABLE if error["code"] == "unavailable" else WRONG_USAGE
    return CommandError(f"{error['code']}: {error['message']}", status)
