"""The objects of the module ``handler``: a function with its role, log group and zip."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

from scripts.asked_of_aws.invocation import permission, permission_of_principal
from scripts.asked_of_aws.policies import allow, document
from scripts.asked_of_aws.settings import EXECUTION
from scripts.repository import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from scripts.asked_of_aws.functions import Function
    from scripts.asked_of_aws.settings import Run, Settings, Table

    Functions = Mapping[str, Function]

ZIPS = REPOSITORY / "build" / "handlers"


def zip_of(handler: str, architecture: str) -> Path:
    """Return the path of a handler's zip; one with native libraries has a zip for each architecture."""
    native = ZIPS / f"{handler}-{architecture}.zip"
    return native if native.exists() else ZIPS / f"{handler}.zip"


NETWORK = [
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
]


def _rights_of_lambda(run: Run) -> list[Settings]:
    """Return the statements for what Lambda does in a function's name, besides writing its logs."""
    own_code = {"Condition": {"Null": {"lambda:SourceFunctionArn": "false"}}}
    network = [
        allow("ConnectToVpc", NETWORK, "*"),
        {**allow("NoNetworkInterfaceForCode", NETWORK, "*"), "Effect": "Deny", **own_code},
    ]
    traces = [allow("WriteTraces", ["xray:PutTelemetryRecords", "xray:PutTraceSegments"], "*")]
    return [*(network if run.defaults.vpc else []), *(traces if run.defaults.tracing == "Active" else [])]


def _network(run: Run) -> list[Settings]:
    if run.defaults.vpc is None:
        return []
    subnets, groups, ipv6 = run.defaults.vpc
    return [{"ipv6_allowed_for_dual_stack": ipv6, "security_group_ids": groups, "subnet_ids": subnets}]


def of_function(handler: str, function: Function, run: Run) -> Table:
    """Return all objects of one instance of ``modules/handler``, and its zip if that goes through a bucket."""
    name = f"{run.name}-{handler}"
    zipped = zip_of(handler, run.architecture).read_bytes()
    key = f"{run.name}/{handler}-{hashlib.sha256(zipped).hexdigest()}.zip"
    path = f"{run.zips}/{zip_of(handler, run.architecture).name}"
    code = {"s3_bucket": run.bucket, "s3_key": key} if run.bucket else {"filename": path}
    module = f'module.backend.module.handler["{handler}"]'
    objects: Table = {
        f"{module}.data.aws_lambda_function.latest_version": {"function_name": name, "qualifier": f"7{len(handler)}"},
        f"{module}.data.aws_region.current": {"id": "cn-north-1"},
        f"{module}.aws_cloudwatch_log_group.this": {
            "name": f"/aws/lambda/{name}",
            "kms_key_id": run.log_key,
            "retention_in_days": run.retention,
            "tags": run.tags,
        },
        f"{module}.aws_iam_role.this": {
            "name": f"{name}-cn-north-1",
            "description": f"What the Lambda function {name} may do.",
            "path": run.defaults.role_path,
            "permissions_boundary": run.boundary,
            "tags": run.tags,
            "assume_role_policy": document(
                {"Action": "sts:AssumeRole", "Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}}
            ),
        },
        f"{module}.aws_iam_role_policy.logs": {
            "name": "logs",
            "role": f"role-id-{handler}",
            "policy": document(
                allow(
                    "WriteOwnLogs",
                    ["logs:CreateLogStream", "logs:PutLogEvents"],
                    f"arn:aws-cn:logs:cn-north-1:111122223333:log-group:mocked-{handler}:*",
                ),
                *_rights_of_lambda(run),
            ),
        },
        f"{module}.aws_iam_role_policies_exclusive.this": {
            "policy_names": ["logs", "task"],
            "role_name": f"{name}-cn-north-1",
        },
        f"{module}.aws_iam_role_policy_attachments_exclusive.this": {
            "policy_arns": [],
            "role_name": f"{name}-cn-north-1",
        },
        f"{module}.aws_iam_role_policy.task": {
            "name": "task",
            "role": f"role-id-{handler}",
            "policy": document(*function.rights),
        },
        f"{module}.aws_lambda_function.this": {
            **code,
            "architectures": [run.architecture],
            "code_signing_config_arn": run.defaults.signing,
            "description": function.description,
            "environment": [{"variables": dict(function.environment)}],
            "ephemeral_storage": [{"size": function.storage or run.defaults.storage}],
            "function_name": name,
            "handler": f"{handler}.handler",
            "kms_key_arn": run.environment_key,
            "layers": list(function.layers or run.defaults.layers),
            "logging_config": [
                {
                    "application_log_level": "TRACE" if run.defaults.log_format == "JSON" else None,
                    "log_format": run.defaults.log_format,
                    "log_group": f"/aws/lambda/{name}",
                }
            ],
            "memory_size": function.memory_size,
            "publish": True,
            "reserved_concurrent_executions": function.reserved,
            "role": f"arn:aws-cn:iam::111122223333:role/mocked-{handler}",
            "runtime": "python3.13",
            "snap_start": [{"apply_on": "PublishedVersions"}] if function.snapshots else [],
            "source_code_hash": base64.b64encode(hashlib.sha256(zipped).digest()).decode(),
            "tags": run.tags,
            "timeout": function.timeout,
            "tracing_config": [{"mode": run.defaults.tracing}],
            "vpc_config": _network(run),
        },
    }
    if function.route is not None:
        objects[f'{module}.aws_lambda_permission.this["{handler}"]'] = permission(
            name, f"{EXECUTION}/{run.stage}/{function.route}", f"{handler}-"
        )
    for principal in function.principals:
        # By the text that the caller gave.
        given = principal.split(":")[4] if principal.endswith(":root") else principal
        objects[f'{module}.aws_lambda_permission.principal["{given}"]'] = permission_of_principal(name, principal)
    if run.bucket:
        objects[f'module.backend.module.zips.aws_s3_object.zip["{handler}"]'] = {
            "bucket": run.bucket,
            "content_type": "application/zip",
            "key": key,
            "source": path,
            "override_provider": [{"default_tags": [{}]}],
        }
    return objects
