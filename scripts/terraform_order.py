"""Find changes to the order in which Terraform makes and removes objects, which neither plan nor state shows.

These are faults:

- a ``create_before_destroy``, ``depends_on``, ``ignore_changes``, ``override_provider``, ``moved`` or ``removed`` that
  ``ORDER`` does not list, and one that it lists and that is gone;
- a reference that ``REFERENCES`` lists and that is gone: a name or null in its place gives the same plan, and Terraform
  no longer waits for the object.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from scripts.terraform_files import CONFIGURATION, of_kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from scripts.hcl import Block

_ROUTE = "aws_apigatewayv2_route.this"
_DOMAIN = "aws_apigatewayv2_api_mapping.this, aws_route53_record.this"
_REPLACING_A_ROUTE = "aws_apigatewayv2_integration.this[each.key].id, terraform_data.authorizer[each.key]"
ORDER = {
    *(
        f"modules/backend terraform_data.{name} ignore_changes = [input]"
        for name in (
            "in_use",
            "members_counted",
            "queue",
            "region",
            "settled",
            "settled_before",
            "value_in_use",
        )
    ),
    "modules/account-logging aws_api_gateway_account.this depends_on = [aws_iam_role_policy_attachment.this]",
    "modules/authorizer aws_apigatewayv2_authorizer.this depends_on = [aws_lambda_permission.alias]",
    "modules/authorizer output.authorizer_id depends_on = [aws_lambda_permission.alias, aws_lambda_permission.this]",
    "modules/backend aws_iam_role.schedule ignore_changes = [name, path]",
    'modules/backend aws_iam_role.schedule replace_triggered_by = [terraform_data.value_in_use["name"]]',
    "modules/backend aws_scheduler_schedule.sweeper depends_on = [aws_iam_role_policy.schedule]",
    "modules/backend terraform_data.in_use depends_on = [terraform_data.value_in_use]",
    "modules/backend aws_lambda_alias.readers depends_on = [module.handler]",
    (
        "modules/backend aws_lambda_alias.writers depends_on = [aws_lambda_alias.readers, module.fanout_queue, "
        "module.presence_queue]"
    ),
    "modules/backend output.alias_arns depends_on = [aws_lambda_permission.alias_principal]",
    "modules/backend terraform_data.settled depends_on = [aws_lambda_alias.readers, aws_lambda_alias.writers]",
    "modules/backend terraform_data.settled_before depends_on = [terraform_data.settled]",
    *(
        f"modules/connections-table output.{name} depends_on = [data.aws_dynamodb_table.existing]"
        for name in ("table_arn", "table_name")
    ),
    "modules/custom-domain aws_apigatewayv2_api_mapping.this replace_triggered_by = [terraform_data.stage]",
    f"modules/custom-domain output.websocket_url depends_on = [{_DOMAIN}]",
    "modules/handler aws_lambda_function.this depends_on = [aws_iam_role_policy.logs, aws_iam_role_policy.task]",
    "modules/handler aws_iam_role.this ignore_changes = [name, path]",
    "modules/handler aws_iam_role.this replace_triggered_by = [aws_cloudwatch_log_group.this.name]",
    "modules/handler aws_lambda_function.this replace_triggered_by = [aws_iam_role.this.unique_id]",
    "modules/handler aws_lambda_permission.principal replace_triggered_by = [aws_lambda_function.this.arn]",
    "modules/handler aws_lambda_permission.this replace_triggered_by = [aws_lambda_function.this.arn]",
    "modules/websocket-api aws_apigatewayv2_integration.redeployment depends_on = [aws_apigatewayv2_stage.this]",
    f"modules/websocket-api {_ROUTE} replace_triggered_by = [{_REPLACING_A_ROUTE}]",
    "modules/websocket-api aws_apigatewayv2_stage.this depends_on = [aws_apigatewayv2_route.this]",
    *(
        f"modules/websocket-api terraform_data.{name} ignore_changes = [input]"
        for name in ("access_log", "access_log_remembered")
    ),
    "modules/websocket-api terraform_data.access_log_remembered depends_on = [terraform_data.access_log]",
    *(
        f"modules/handler output.{name} depends_on = [aws_iam_role_policy.logs, aws_iam_role_policy.task, "
        "aws_lambda_permission.this]"
        for name in ("arn", "function_name", "invoke_arn")
    ),
    "modules/handler output.version depends_on = [aws_iam_role_policy.logs, aws_iam_role_policy.task]",
    'modules/backend moved to = module.handler["fanout_worker"]',
    'modules/backend moved to = terraform_data.in_use["name"]',
    "modules/backend moved to = module.zips.aws_s3_object.zip",
    "modules/backend moved to = module.zips.terraform_data.build",
    "modules/websocket-api removed from = aws_apigatewayv2_deployment.this",
    "modules/websocket-api removed destroy = false",
    "modules/zips aws_s3_object.zip override_provider tags = {}",
    "modules/zips output.hashes depends_on = [terraform_data.build]",
}
REFERENCES = {
    "modules/account-logging aws_iam_role_policy_attachment.this": {"aws_iam_role.this"},
    "modules/account-logging output.role_arn": {"aws_api_gateway_account.this"},
    "modules/authorizer aws_lambda_permission.this": {"aws_apigatewayv2_authorizer.this"},
    "modules/authorizer aws_apigatewayv2_authorizer.this": {"aws_lambda_permission.alias"},
    "modules/authorizer output.authorizer_id": {"aws_apigatewayv2_authorizer.this"},
    **{
        f"modules/backend aws_lambda_permission.{name}": {"aws_lambda_alias.readers", "aws_lambda_alias.writers"}
        for name in ("alias", "alias_principal")
    },
    "modules/backend aws_cloudwatch_dashboard.this": {"aws_cloudwatch_metric_alarm.this", "module.handler"},
    "modules/backend aws_cloudwatch_query_definition.this": {"module.handler", "module.websocket_api"},
    "modules/backend aws_iam_role.schedule": {"aws_lambda_alias.readers"},
    "modules/backend aws_iam_role_policies_exclusive.schedule": {
        "aws_iam_role.schedule",
        "aws_iam_role_policy.schedule",
    },
    "modules/backend aws_iam_role_policy.schedule": {"aws_iam_role.schedule", "aws_lambda_alias.readers"},
    "modules/backend aws_iam_role_policy_attachments_exclusive.schedule": {"aws_iam_role.schedule"},
    "modules/backend aws_scheduler_schedule.sweeper": {"aws_iam_role.schedule", "aws_lambda_alias.readers"},
    "modules/backend module.authorizer": {"aws_lambda_alias.readers", "module.handler", "module.websocket_api"},
    "modules/backend aws_ssm_parameter.stage": {"module.handler"},
    "modules/backend module.fanout_queue": {"aws_lambda_alias.readers", "terraform_data.queue"},
    "modules/backend module.handler": {
        "module.connections_table",
        "module.fanout_queue",
        "module.history_table",
        "module.presence_queue",
        "module.publish_queue",
        "module.websocket_api",
        "module.zips",
        "terraform_data.members_counted",
        "terraform_data.value_in_use",
    },
    "modules/backend module.presence_queue": {"aws_lambda_alias.readers"},
    "modules/backend module.publish_queue": {"aws_lambda_alias.writers"},
    "modules/backend module.websocket_api": {
        "aws_lambda_alias.readers",
        "aws_lambda_alias.writers",
        "aws_lambda_permission.additional_route",
        "aws_lambda_permission.alias",
        "module.authorizer",
    },
    "modules/connections-table output.table_arn": {"aws_dynamodb_table.this"},
    "modules/connections-table output.table_name": {"aws_dynamodb_table.this"},
    "modules/custom-domain aws_apigatewayv2_api_mapping.this": {"aws_apigatewayv2_domain_name.this"},
    "modules/custom-domain output.domain_name": {"aws_apigatewayv2_domain_name.this"},
    "modules/fanout-queue aws_lambda_event_source_mapping.this": {"aws_sqs_queue.messages"},
    "modules/fanout-queue aws_sqs_queue.messages": {"aws_sqs_queue.dead_letters"},
    "modules/handler aws_iam_role_policies_exclusive.this": {
        "aws_iam_role.this",
        "aws_iam_role_policy.logs",
        "aws_iam_role_policy.task",
    },
    "modules/handler aws_iam_role_policy.logs": {"aws_cloudwatch_log_group.this", "aws_iam_role.this"},
    "modules/handler aws_iam_role_policy.task": {"aws_iam_role.this"},
    "modules/handler aws_iam_role_policy_attachments_exclusive.this": {"aws_iam_role.this"},
    "modules/handler aws_lambda_function.this": {"aws_cloudwatch_log_group.this", "aws_iam_role.this"},
    "modules/handler output.log_group_name": {"aws_cloudwatch_log_group.this"},
    "modules/handler output.role_name": {"aws_iam_role.this"},
    "modules/history-table output.table_name": {"aws_dynamodb_table.this"},
    "modules/websocket-api aws_apigatewayv2_route.this": {"aws_apigatewayv2_integration.this"},
    "modules/websocket-api aws_apigatewayv2_stage.this": {"aws_cloudwatch_log_group.access"},
    "modules/websocket-api output.access_log_group_name": {"aws_cloudwatch_log_group.access"},
    "modules/websocket-api output.stage_name": {"aws_apigatewayv2_stage.this"},
    "modules/websocket-api output.websocket_url": {"aws_apigatewayv2_stage.this"},
    "modules/zips output.s3_keys": {"aws_s3_object.zip"},
}
"""Objects that a block refers to, itself or by local values, where another expression could have the same value."""

_LOCAL = re.compile(r"\blocal\.([a-z0-9_]+)")
_OBJECT = re.compile(r"(?<![.\w])(?:module|terraform_data|aws_[a-z0-9_]+)\.[a-z0-9_]+")
_COMMENT = re.compile(r"^\s*#.*$", re.MULTILINE)
_ORDERING = ("create_before_destroy", "depends_on", "ignore_changes", "prevent_destroy", "replace_triggered_by")
_MOVING = {"moved": ("to",), "removed": ("from", "destroy")}


def different_order(modules: Mapping[Path, list[Block]]) -> Iterator[str]:
    """Yield a sentence for each setting of the order that ``ORDER`` does not list, or lists although it is gone."""
    found = {
        f"{folder.relative_to(CONFIGURATION)} {_address(block)} {name} = {' '.join(attributes[name].text.split())}"
        for folder, blocks in modules.items()
        for block in blocks
        for attributes in (block.attributes, *(inner.attributes for inner in of_kind(block.blocks, "lifecycle")))
        for name in (*_ORDERING, *_MOVING.get(block.kind, ()))
        if name in attributes
    }
    found |= {
        f"{folder.relative_to(CONFIGURATION)} {_address(block)} override_provider {name} = {setting.text}"
        for folder, blocks in modules.items()
        for block in blocks
        for override in of_kind(block.blocks, "override_provider")
        for inner in override.blocks
        for name, setting in inner.attributes.items()
    }
    for line in sorted(found - ORDER):
        yield f"{CONFIGURATION}: {line}: scripts/terraform_order.py does not know of it"
    for line in sorted(ORDER - found):
        yield f"{CONFIGURATION}: {line} is gone"


def lost_references(modules: Mapping[Path, list[Block]]) -> Iterator[str]:
    """Yield a sentence for each block that has lost a reference of ``REFERENCES``."""
    found = {
        f"{folder.relative_to(CONFIGURATION)} {_address(block)}": _objects(block.text, _locals(blocks))
        for folder, blocks in modules.items()
        for block in blocks
    }
    for place, wanted in REFERENCES.items():
        if lost := wanted - found.get(place, set()):
            names = ", ".join(sorted(lost))
            yield f"{CONFIGURATION}: {place} refers no longer to {names}, and so no longer waits for it"


def _locals(blocks: list[Block]) -> dict[str, str]:
    return {name: value.text for block in of_kind(blocks, "locals") for name, value in block.attributes.items()}


def _objects(text: str, values: Mapping[str, str]) -> set[str]:
    """Return the addresses of the objects that a text refers to, itself or by local values (expression by name)."""
    texts = {"": _COMMENT.sub("", text)}
    waiting = [texts[""]]
    while waiting:
        for name in _LOCAL.findall(waiting.pop()):
            if name not in texts:
                texts[name] = _COMMENT.sub("", values.get(name, ""))
                waiting.append(texts[name])
    return {reference for each in texts.values() for reference in _OBJECT.findall(each)}


def _address(block: Block) -> str:
    return ".".join(block.labels if block.kind == "resource" else [block.kind, *block.labels])
