"""Functions that the table does not name: those of a route that a test or a team added."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from scripts.asked_of_aws.functions import OWN, Function
from scripts.asked_of_aws.policies import QUEUE_ARN, TABLE_ARN, use_key_of
from scripts.asked_of_aws.settings import EXECUTION

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from scripts.asked_of_aws.settings import Settings

TABLE_NAMES = ("members", "roomcast-connections")

STAGE = "module.backend.module.websocket_api.aws_apigatewayv2_stage.this"

_MADE = re.compile(r'(module\.backend\.module\.handler\["([^"]+)"\])\.aws_lambda_function\.this')
_GRANTABLE = re.compile(
    "|".join([re.escape(TABLE_ARN), re.escape(QUEUE_ARN)]) + rf"|{re.escape(EXECUTION)}/[^/*]+/POST/@connections/\*"
)
"""Resources to which a function that the table does not name may have permissions."""


def added(made: Mapping[str, Settings]) -> dict[str, Function]:
    """Return the functions that the table does not name, by handler, with the settings of their rows and policies.

    Args:
        made: All objects of a run by address. The environment is left out, because a row does not set it.
    """
    stage = made.get(STAGE, {})
    limits = {
        each["route_key"]: (each["throttling_burst_limit"], each["throttling_rate_limit"])
        for each in stage.get("route_settings", [])
    }
    found = {}
    for match in filter(None, map(_MADE.fullmatch, made)):
        module, name = match.groups()
        function = made[match[0]]
        if name not in OWN:
            found[name] = Function(
                function["description"],
                function["memory_size"],
                function["timeout"],
                {},
                json.loads(made[f"{module}.aws_iam_role_policy.task"]["policy"])["Statement"],
                name if f'{module}.aws_lambda_permission.this["{name}"]' in made else None,
                limits.get(name),
            )
    return found


def too_wide(functions_added: Mapping[str, Function]) -> Iterator[str]:
    """Yield a sentence for each permission of such a function beyond the table, the queue and the stage's clients."""
    for name, function in functions_added.items():
        for statement in function.rights:
            if statement in [use_key_of(table) for table in TABLE_NAMES]:
                continue
            actions, resources = (_listed(statement.get(part, "*")) for part in ("Action", "Resource"))
            for resource in resources:
                if not _GRANTABLE.fullmatch(resource):
                    yield f"{name} has rights to {resource}, which is not table, key, queue or clients of the stage"
            if any("*" in action for action in actions):
                yield f"{name} has a right by pattern: {', '.join(actions)}"


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
