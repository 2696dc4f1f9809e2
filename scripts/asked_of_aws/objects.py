"""The objects of each Terraform module."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.asked_of_aws.comparison import OUTPUTS
from scripts.asked_of_aws.functions import EXECUTION, OWN, QUEUE_ARN, TABLE_ARN, allow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scripts.asked_of_aws.functions import Function

    Settings = dict[str, Any]
    Table = dict[str, Settings]

REPOSITORY = Path(__file__).resolve().parents[2]
ZIPS = REPOSITORY / "build" / "handlers"
TIME = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z")

DEAD_LETTERS_ARN = "arn:aws-cn:sqs:cn-north-1:111122223333:dead-letters"
FUNCTION = "arn:aws-cn:lambda:cn-north-1:111122223333:function"
UNLOGGED = {"data_trace_enabled": False, "logging_level": "OFF"}
QUEUE_URL = "https://sqs.cn-north-1.amazonaws.com.cn/111122223333/messages"


@dataclass(frozen=True)
class Everywhere:
    """Settings that all objects of one run share.

    Attributes:
        name: Prefix of every name.
        stage: The stage's name.
        architecture: The functions' instruction set.
        tags: Tags of all objects that support tags.
        retention: Days that log groups keep lines.
        boundary: Boundary of every role.
        log_key: Key of every log group.
        bucket: Bucket of the zips; None if functions get them directly.
        zips: Folder of the zips, as in ``handlers_directory``.
    """

    name: str
    stage: str
    architecture: str
    tags: Mapping[str, str]
    retention: int
    boundary: str | None
    log_key: str | None
    bucket: str | None
    zips: str


def remembered(queued: str, shards_per_room: str, shards_read: str) -> Table:
    """Return the objects that keep values for the next apply; numbers as seven binary digits."""
    keys = [f'queued["{queued}"]', "first_apply"]
    for name, number in (("shards_per_room", shards_per_room), ("shards_read", shards_read)):
        keys += [f'{name}["{bit}={digit}"]' for bit, digit in enumerate(reversed(number))]
    objects: Table = {f"module.backend.terraform_data.{key}": {"input": TIME} for key in keys}
    shards = {"per_room": int(shards_per_room, 2), "read": int(shards_read, 2)}
    return {**objects, "module.backend.terraform_data.shards": {"input": shards}}


def in_use(name: str, stage: str, table: str, key: str | None) -> Table:
    """Return the objects that notice the change of a value that clients depend on."""
    values = {"name": name, "stage_name": stage, "table_kms_key_arn": key, "table_name": table}
    module = "module.backend.terraform_data"
    return {
        **{
            f'{module}.value_in_use["{variable}"]': {"input": TIME, "triggers_replace": [value]}
            for variable, value in values.items()
        },
        f"{module}.in_use": {"input": TIME},
        f"{module}.refusals": {},
    }


def objects_of_function(handler: str, function: Function, everywhere: Everywhere) -> Table:
    """Return all objects of one instance of ``modules/handler``, and its zip if that goes through a bucket."""
    name = f"{everywhere.name}-{handler}"
    zipped = (ZIPS / f"{handler}.zip").read_bytes()
    key = f"{everywhere.name}/{handler}-{hashlib.sha256(zipped).hexdigest()}.zip"
    path = f"{everywhere.zips}/{handler}.zip"
    code = {"s3_bucket": everywhere.bucket, "s3_key": key} if everywhere.bucket else {"filename": path}
    module = f'module.backend.module.handler["{handler}"]'
    objects: Table = {
        f"{module}.data.aws_region.current": {"id": "cn-north-1"},
        f"{module}.aws_cloudwatch_log_group.this": {
            "name": f"/aws/lambda/{name}",
            "kms_key_id": everywhere.log_key,
            "retention_in_days": everywhere.retention,
            "tags": everywhere.tags,
        },
        f"{module}.aws_iam_role.this": {
            "name": f"{name}-cn-north-1",
            "description": f"What the Lambda function {name} may do.",
            "permissions_boundary": everywhere.boundary,
            "tags": everywhere.tags,
            "assume_role_policy": {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Action": "sts:AssumeRole",
                        "Effect": "Allow",
                        "Principal": {"Service": "lambda.amazonaws.com"},
                    }
                ],
            },
        },
        f"{module}.aws_iam_role_policy.logs": {
            "name": "logs",
            "role": f"role-id-{handler}",
            "policy": {
                "Version": "2012-10-17",
                "Statement": [
                    allow(
                        "WriteOwnLogs",
                        ["logs:CreateLogStream", "logs:PutLogEvents"],
                        f"arn:aws-cn:logs:cn-north-1:111122223333:log-group:mocked-{handler}:*",
                    )
                ],
            },
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
            "policy": {"Version": "2012-10-17", "Statement": function.rights},
        },
        f"{module}.aws_lambda_function.this": {
            **code,
            "architectures": [everywhere.architecture],
            "description": function.description,
            "environment": [{"variables": dict(function.environment)}],
            "function_name": name,
            "handler": f"{handler}.handler",
            "logging_config": [{"log_format": "Text", "log_group": f"/aws/lambda/{name}"}],
            "memory_size": function.memory_size,
            "role": f"arn:aws-cn:iam::111122223333:role/mocked-{handler}",
            "runtime": "python3.13",
            "source_code_hash": base64.b64encode(hashlib.sha256(zipped).digest()).decode(),
            "tags": everywhere.tags,
            "timeout": function.timeout,
        },
    }
    if function.route is not None:
        objects[f'{module}.aws_lambda_permission.this["{handler}"]'] = permission(
            name, f"{EXECUTION}/{everywhere.stage}/{function.route}", f"{handler}-"
        )
    if everywhere.bucket:
        objects[f'module.backend.module.zips.aws_s3_object.zip["{handler}"]'] = {
            "bucket": everywhere.bucket,
            "content_type": "application/zip",
            "key": key,
            "source": path,
            "override_provider": [{"default_tags": [{}]}],
        }
    return objects


def permission(function_name: str, source_arn: str, prefix: str) -> Settings:
    """Return the permission of API Gateway to invoke a function for one route."""
    return {
        "action": "lambda:InvokeFunction",
        "function_name": function_name,
        "principal": "apigateway.amazonaws.com",
        "source_arn": source_arn,
        "statement_id_prefix": prefix,
    }


def invoke_arn(function: str) -> str:
    """Return the ARN by which API Gateway invokes a function of this mocked name."""
    return f"arn:aws-cn:apigateway:cn-north-1:lambda:path/2015-03-31/functions/{FUNCTION}:{function}/invocations"


def objects_of_api(
    everywhere: Everywhere,
    routes: Mapping[str, tuple[str, int, int, float]],
    *,
    limits: tuple[int, float],
    logs: bool,
    authorization: str = "NONE",
) -> Table:
    """Return all objects of ``modules/websocket-api``.

    Args:
        everywhere: The shared settings.
        routes: By key the function's mocked name, the time-out in ms, and the limits of burst and rate.
        limits: The stage's limits of burst and rate.
        logs: Whether there is an access log.
        authorization: Authorization of the handshake.
    """
    module = "module.backend.module.websocket_api"
    objects: Table = {
        f"{module}.aws_apigatewayv2_api.this": {
            "name": everywhere.name,
            "description": f"Roomcast backend {everywhere.name}.",
            "protocol_type": "WEBSOCKET",
            "route_selection_expression": "$request.body.action",
            "tags": everywhere.tags,
        },
        f"{module}.aws_apigatewayv2_stage.this": {
            "access_log_settings": [
                {
                    "destination_arn": "arn:aws-cn:logs:cn-north-1:111122223333:log-group:access",
                    "format": {
                        "requestId": "$context.requestId",
                        "requestTimeEpoch": "$context.requestTimeEpoch",
                        "eventType": "$context.eventType",
                        "routeKey": "$context.routeKey",
                        "connectionId": "$context.connectionId",
                        "sourceIp": "$context.identity.sourceIp",
                        "status": "$context.status",
                        "error": "$context.error.responseType",
                        "integrationStatus": "$context.integration.integrationStatus",
                        "functionStatus": "$context.integration.status",
                        "integrationMillis": "$context.integration.latency",
                    },
                }
            ]
            if logs
            else [],
            "api_id": "a1b2c3d4e5",
            "name": everywhere.stage,
            "auto_deploy": True,
            "tags": everywhere.tags,
            "default_route_settings": [
                {**UNLOGGED, "throttling_burst_limit": limits[0], "throttling_rate_limit": limits[1]}
            ],
            "route_settings": [
                {**UNLOGGED, "route_key": key, "throttling_burst_limit": burst, "throttling_rate_limit": rate}
                for key, (_, _, burst, rate) in routes.items()
            ],
        },
        f"{module}.aws_apigatewayv2_integration.redeployment": {
            "api_id": "a1b2c3d4e5",
            "description": re.compile(r"Serves no route\. Its updates deploy the API: [0-9a-f]{64}"),
            "integration_method": "POST",
            "integration_type": "AWS_PROXY",
            "integration_uri": invoke_arn("mocked-connect"),
        },
    }
    for key, (function, timeout, _, _) in routes.items():
        suffix = key.replace("$", "").replace("/", "-")
        objects[f'{module}.aws_apigatewayv2_integration.this["{key}"]'] = {
            "api_id": "a1b2c3d4e5",
            "integration_method": "POST",
            "integration_type": "AWS_PROXY",
            "integration_uri": invoke_arn(function),
            "timeout_milliseconds": timeout,
        }
        objects[f'{module}.aws_apigatewayv2_route.this["{key}"]'] = {
            "api_id": "a1b2c3d4e5",
            "route_key": key,
            "target": f"integrations/integration-{suffix}",
            "authorization_type": authorization if key == "$connect" else "NONE",
        }
    if logs:
        objects[f"{module}.aws_cloudwatch_log_group.access[0]"] = {
            "name": f"/aws/apigateway/{everywhere.name}/{everywhere.stage}",
            "kms_key_id": everywhere.log_key,
            "retention_in_days": everywhere.retention,
            "tags": everywhere.tags,
        }
    return objects


def routes_of(all_functions: Mapping[str, Function], burst: int, rate: float) -> dict[str, tuple[str, int, int, float]]:
    """Return the functions' routes, for :func:`objects_of_api`.

    Args:
        all_functions: The functions by handler.
        burst: The stage's limit of requests at once.
        rate: The stage's limit of requests per second.
    """
    return {
        function.route: (f"mocked-{handler}", 29000, *(function.limits or (burst, rate)))
        for handler, function in all_functions.items()
        if function.route is not None
    }


def objects_of_queue(
    everywhere: Everywhere, *, fifo: bool, visibility: int, batch_size: int, concurrency: int
) -> Table:
    """Return all objects of ``modules/fanout-queue``."""
    module = "module.backend.module.fanout_queue[0]"
    suffix = ".fifo" if fifo else ""
    both: Settings = {"max_message_size": 262144, "sqs_managed_sse_enabled": True, "tags": everywhere.tags}
    if fifo:
        both |= {
            "deduplication_scope": "messageGroup",
            "fifo_queue": True,
            "fifo_throughput_limit": "perMessageGroupId",
        }
    return {
        f"{module}.aws_sqs_queue.messages": {
            **both,
            "name": f"{everywhere.name}-fanout{suffix}",
            "message_retention_seconds": 86400,
            "visibility_timeout_seconds": visibility,
            "redrive_policy": {"deadLetterTargetArn": DEAD_LETTERS_ARN, "maxReceiveCount": 5},
        },
        f"{module}.aws_sqs_queue.dead_letters": {
            **both,
            "name": f"{everywhere.name}-fanout-dead-letters{suffix}",
            "message_retention_seconds": 1209600,
        },
        f"{module}.aws_sqs_queue_redrive_allow_policy.dead_letters": {
            "queue_url": "https://sqs.cn-north-1.amazonaws.com.cn/111122223333/dead-letters-id",
            "redrive_allow_policy": {"redrivePermission": "byQueue", "sourceQueueArns": [QUEUE_ARN]},
        },
        f"{module}.aws_lambda_event_source_mapping.this": {
            "batch_size": batch_size,
            "event_source_arn": QUEUE_ARN,
            "function_name": f"{FUNCTION}:mocked-fanout_worker",
            "function_response_types": ["ReportBatchItemFailures"],
            "scaling_config": [{"maximum_concurrency": concurrency}],
        },
        **{
            f'{module}.aws_sqs_queue_policy.tls_only["{queue.replace("-", "_")}"]': {
                "queue_url": f"https://sqs.cn-north-1.amazonaws.com.cn/111122223333/{queue}-id",
                "policy": {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Sid": "RefuseWithoutTls",
                            "Action": "sqs:*",
                            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                            "Effect": "Deny",
                            "Principal": "*",
                            "Resource": arn,
                        }
                    ],
                },
            }
            for queue, arn in (("messages", QUEUE_ARN), ("dead-letters", DEAD_LETTERS_ARN))
        },
    }


def objects_of_backend(all_functions: Mapping[str, Function]) -> Table:
    """Return the objects of ``modules/backend`` itself."""
    return {
        "module.backend.data.aws_partition.current": {
            "dns_suffix": "amazonaws.com.cn",
            "partition": "aws-cn",
        },
        "module.backend.module.zips.terraform_data.build": {
            "input": {
                handler: hashlib.sha256((ZIPS / f"{handler}.zip").read_bytes()).hexdigest() for handler in all_functions
            }
        },
    }


def members(name: str, tags: Mapping[str, str], *, protected: bool, restorable: bool, key: str | None) -> Table:
    """Return the table of members."""
    return {
        "module.backend.module.connections_table.aws_dynamodb_table.this": {
            "name": name,
            "billing_mode": "PAY_PER_REQUEST",
            "deletion_protection_enabled": protected,
            "hash_key": "partition_key",
            "range_key": "sort_key",
            "attribute": [{"name": "partition_key", "type": "S"}, {"name": "sort_key", "type": "S"}],
            "point_in_time_recovery": [{"enabled": restorable}],
            "server_side_encryption": [{"enabled": True, "kms_key_arn": key}],
            "ttl": [{"attribute_name": "expires_at", "enabled": True}],
            "tags": tags,
        }
    }


def outputs(
    all_functions: Mapping[str, Function],
    everywhere: Everywhere,
    shared: Mapping[str, str],
    *,
    access_log: str | None,
) -> Table:
    """Return the root's outputs, as one more object of the table."""
    queued = "fanout_worker" in all_functions
    values: Settings = {
        f"{handler}_function_arn": f"{FUNCTION}:mocked-{handler}" for handler in OWN if handler in all_functions
    }
    values |= {
        "access_log_group_name": access_log,
        "api_id": "a1b2c3d4e5",
        "connections_table_arn": TABLE_ARN,
        "connections_table_name": shared["ROOMCAST_TABLE_NAME"],
        "fanout_dead_letter_queue_url": QUEUE_URL.replace("messages", "dead-letters") if queued else None,
        "fanout_queue_url": QUEUE_URL if queued else None,
        "function_arns": {handler: f"{FUNCTION}:mocked-{handler}" for handler in all_functions},
        "log_group_names": {handler: f"/aws/lambda/{everywhere.name}-{handler}" for handler in all_functions},
        "management_endpoint": shared["ROOMCAST_MANAGEMENT_ENDPOINT"],
        "shards_per_room": int(shared["ROOMCAST_SHARDS_PER_ROOM"]),
        "stage_execution_arn": f"{EXECUTION}/{everywhere.stage}",
        "stage_name": everywhere.stage,
        "websocket_url": "wss://a1b2c3d4e5.execute-api.cn-north-1.amazonaws.com.cn/mocked",
    }
    return {OUTPUTS: values}
