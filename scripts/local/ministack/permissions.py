"""Evaluates a function's resource policy for an invocation by an API's route."""

from __future__ import annotations

import re
from typing import Any

PRINCIPAL = "apigateway.amazonaws.com"
ACTIONS = {"lambda:InvokeFunction", "lambda:*", "*"}


def permits(policy: dict[str, Any], function_arn: str, source_arn: str) -> bool:
    """Whether a statement allows API Gateway to invoke the function for the route.

    Args:
        policy: Resource policy of the function.
        function_arn: ARN as the integration names it, with its qualifier if it has one.
        source_arn: ``arn:aws:execute-api:{region}:{account}:{api}/{stage}/{route key}``.
    """
    return any(matches(statement, function_arn, source_arn) for statement in policy.get("Statement", []))


def matches(statement: dict[str, Any], function_arn: str, source_arn: str) -> bool:
    """Whether a statement applies, including all of its conditions."""
    principal = statement["Principal"]
    service = principal.get("Service") if isinstance(principal, dict) else principal
    return (
        statement["Effect"] == "Allow"
        and service in {PRINCIPAL, "*"}
        and statement["Action"] in ACTIONS
        and statement["Resource"] == function_arn
        and all(
            holds(key, pattern, source_arn)
            for keys in statement.get("Condition", {}).values()
            for key, pattern in keys.items()
        )
    )


def holds(key: str, pattern: str, source_arn: str) -> bool:
    """Whether a condition holds; a key for which API Gateway sends no value does not."""
    values = {"aws:sourcearn": source_arn, "aws:sourceaccount": source_arn.split(":")[4]}
    expression = "".join({"*": ".*", "?": "."}.get(character, re.escape(character)) for character in pattern)
    return re.fullmatch(expression, values.get(key.lower(), "")) is not None
