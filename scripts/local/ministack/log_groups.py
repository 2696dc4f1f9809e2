"""A function's log group: Lambda creates it only if the function's role permits it."""
# ruff: noqa: ANN401, SLF001 - MiniStack is untyped and has no other hook

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ministack.core import iam_evaluator
from ministack.services import cloudwatch_logs, iam, lambda_svc

from scripts.local.ministack.wrapping import replaces

if TYPE_CHECKING:
    from collections.abc import Callable


@replaces(lambda_svc, "_emit_lambda_logs")
def emit_logs(original: Callable[..., None], function: dict[str, Any], *arguments: Any, **keywords: Any) -> None:
    """Write an invocation's lines to its log group. If it is missing and the role may not create it, they are lost."""
    config = function.get("config") or function
    group = (config.get("LoggingConfig") or {}).get("LogGroup") or f"/aws/lambda/{config['FunctionName']}"
    if group in cloudwatch_logs._log_groups or may_create(config, group):
        original(function, *arguments, **keywords)


def may_create(config: dict[str, Any], group: str) -> bool:
    """Whether the policies of the function's role, and its boundary, allow ``logs:CreateLogGroup``.

    Args:
        config: The function's configuration.
        group: Name of the log group.
    """
    role_arn = config["Role"]
    account, role = role_arn.split(":")[4], role_arn.rpartition("/")[2]
    context = iam_evaluator.EvalContext(
        principal_arn=role_arn,
        principal_type="AssumedRole",
        principal_account=account,
        action="logs:CreateLogGroup",
        resource_arn=cloudwatch_logs._make_group_arn(group),
        region=config["FunctionArn"].split(":")[3],
    )
    policies = iam_evaluator._gather_role_policies(role, account)
    limits = iam_evaluator._permissions_boundary(iam._roles, role, account)
    return bool(iam_evaluator.evaluate(context, policies, *limits).decision == "Allow")
