"""The objects of each Terraform module."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.asked_of_aws.comparison import OUTPUTS
from scripts.asked_of_aws.functions import OWN, QUEUE_ARN, TABLE_ARN, allow
from scripts.asked_of_aws.settings import EXECUTION, QUEUE_URL, Route

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scripts.asked_of_aws.functions import Function
    from scripts.asked_of_aws.settings import Authorizer, Queue, Run, Settings, Table

    Functions = Mapping[str, Function]

REPOSITORY = Path(__file__).resolve().parents[2]
ZIPS = REPOSITORY / "build" / "handlers"
TIME = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z")

DEAD_LETTERS_ARN = "arn:aws-cn:sqs:cn-north-1:111122223333:dead-letters"
FUNCTION = "arn:aws-cn:lambda:cn-north-1:111122223333:function"
AUTHORIZER_LOGGED = {
    "authorizerRequestId": "$context.authorizer.requestId",
    "authorizerStatus": "$context.authorizer.status",
    "principalId": "$context.authorizer.principalId",
}
WITH_AN_OUTPUT = {*OWN} - {"authorizer"}
UNLOGGED = {"data_trace_enabled": False, "logging_level": "OFF"}


def of_backend(run: Run, functions: Functions) -> Table:
    """Return the objects of ``modules/backend`` itself and the record of the zips."""
    module = "module.backend.terraform_data"
    # Values of the last apply, so that the next plan notices a change.
    remembered = {
        "name": run.name,
        "queued_delivery": run.queue is not None,
        "shards_per_room": run.shards_per_room,
        "shards_read": run.shards_read,
        "stage_name": run.stage,
        "table_kms_key_arn": run.table_key,
        "table_name": run.table,
    }
    settled = ("queued_delivery", "shards_per_room", "shards_read")
    return {
        "module.backend.data.aws_partition.current": {"dns_suffix": "amazonaws.com.cn", "partition": "aws-cn"},
        "module.backend.module.zips.terraform_data.build": {
            "input": {
                handler: hashlib.sha256(zip_of(handler, run.architecture).read_bytes()).hexdigest()
                for handler in functions
            }
        },
        **{
            f'{module}.{kind}["{variable}"]': {"input": TIME, "triggers_replace": [remembered[variable]]}
            for kind, variables in (("value_in_use", remembered), ("settled", settled))
            for variable in variables
        },
        **{f'{module}.in_use["{variable}"]': {"input": TIME} for variable in remembered},
        **{f'{module}.settled_before["{variable}"]': {"input": TIME} for variable in settled},
        f"{module}.refusals": {},
        **({f"{module}.queue[0]": {"input": {"fifo": run.queue.fifo}}} if run.queue else {}),
    }


def zip_of(handler: str, architecture: str) -> Path:
    """Return the path of a handler's zip; one with native libraries has a zip for each architecture."""
    native = ZIPS / f"{handler}-{architecture}.zip"
    return native if native.exists() else ZIPS / f"{handler}.zip"


def document(*statements: Settings) -> Settings:
    """Return a policy of some statements."""
    return {"Version": "2012-10-17", "Statement": [*statements]}


def of_function(handler: str, function: Function, run: Run) -> Table:
    """Return all objects of one instance of ``modules/handler``, and its zip if that goes through a bucket."""
    name = f"{run.name}-{handler}"
    zipped = zip_of(handler, run.architecture).read_bytes()
    key = f"{run.name}/{handler}-{hashlib.sha256(zipped).hexdigest()}.zip"
    path = f"{run.zips}/{zip_of(handler, run.architecture).name}"
    code = {"s3_bucket": run.bucket, "s3_key": key} if run.bucket else {"filename": path}
    module = f'module.backend.module.handler["{handler}"]'
    objects: Table = {
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
                )
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
            "description": function.description,
            "environment": [{"variables": dict(function.environment)}],
            "function_name": name,
            "handler": f"{handler}.handler",
            "kms_key_arn": run.environment_key,
            "logging_config": [{"log_format": "Text", "log_group": f"/aws/lambda/{name}"}],
            "memory_size": function.memory_size,
            "reserved_concurrent_executions": function.reserved,
            "role": f"arn:aws-cn:iam::111122223333:role/mocked-{handler}",
            "runtime": "python3.13",
            "source_code_hash": base64.b64encode(hashlib.sha256(zipped).digest()).decode(),
            "tags": run.tags,
            "timeout": function.timeout,
        },
    }
    if function.route is not None:
        objects[f'{module}.aws_lambda_permission.this["{handler}"]'] = permission(
            name, f"{EXECUTION}/{run.stage}/{function.route}", f"{handler}-"
        )
    if run.bucket:
        objects[f'module.backend.module.zips.aws_s3_object.zip["{handler}"]'] = {
            "bucket": run.bucket,
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


def of_api(run: Run, functions: Functions) -> Table:
    """Return all objects of ``modules/websocket-api``."""
    routes = {
        function.route: Route(f"mocked-{handler}", *(function.limits or run.limits))
        for handler, function in functions.items()
        if function.route is not None
    }
    routes |= run.routes
    module = "module.backend.module.websocket_api"
    objects: Table = {
        f"{module}.aws_apigatewayv2_api.this": {
            "name": run.name,
            "description": f"Roomcast backend {run.name}.",
            "protocol_type": "WEBSOCKET",
            "route_selection_expression": "$request.body.action",
            "tags": run.tags,
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
                        **(AUTHORIZER_LOGGED if run.authorizer else {}),
                    },
                }
            ]
            if run.access_log
            else [],
            "api_id": "a1b2c3d4e5",
            "name": run.stage,
            "auto_deploy": True,
            "tags": run.tags,
            "default_route_settings": [
                {**UNLOGGED, "throttling_burst_limit": run.limits[0], "throttling_rate_limit": run.limits[1]}
            ],
            "route_settings": [
                {
                    **UNLOGGED,
                    "route_key": key,
                    "throttling_burst_limit": route.burst,
                    "throttling_rate_limit": route.rate,
                }
                for key, route in routes.items()
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
    for key, route in routes.items():
        suffix = key.replace("$", "").replace("/", "-")
        objects[f'{module}.aws_apigatewayv2_integration.this["{key}"]'] = {
            "api_id": "a1b2c3d4e5",
            "integration_method": "POST",
            "integration_type": "AWS_PROXY",
            "integration_uri": invoke_arn(route.function),
            "timeout_milliseconds": route.timeout,
        }
        objects[f'{module}.aws_apigatewayv2_route.this["{key}"]'] = {
            "api_id": "a1b2c3d4e5",
            "route_key": key,
            "target": f"integrations/integration-{suffix}",
            "authorization_type": run.authorization if key == "$connect" else "NONE",
            "authorizer_id": "authorizer-id" if run.authorizer and key == "$connect" else None,
        }
        objects[f'{module}.terraform_data.authorizer["{key}"]'] = {
            "triggers_replace": "authorizer-id" if run.authorizer and key == "$connect" else None
        }
    if run.access_log:
        objects[f"{module}.aws_cloudwatch_log_group.access[0]"] = {
            "name": run.access_log_name,
            "kms_key_id": run.log_key,
            "retention_in_days": run.retention,
            "tags": run.tags,
        }
    return objects


def of_additional_routes(run: Run) -> Table:
    """Return the permissions for routes with functions of the caller's own."""
    table: Table = {}
    for key, route in run.routes.items():
        name, _, qualifier = route.function.partition(":")
        prefix = f"{run.name}-{key.replace('/', '-')}-"
        table[f'module.backend.aws_lambda_permission.additional_route["{key}"]'] = {
            **permission(name, f"{EXECUTION}/{run.stage}/{key}", prefix),
            **({"qualifier": qualifier} if qualifier else {}),
        }
    return table


def of_authorizer(run: Run, authorizer: Authorizer) -> Table:
    """Return all objects of ``modules/authorizer``."""
    module = "module.backend.module.authorizer[0]"
    uri = f"arn:aws-cn:apigateway:cn-north-1:lambda:path/2015-03-31/functions/{authorizer.function_arn}/invocations"
    objects: Table = {
        f"{module}.aws_apigatewayv2_authorizer.this": {
            "api_id": "a1b2c3d4e5",
            "authorizer_type": "REQUEST",
            "authorizer_uri": uri,
            "identity_sources": [*authorizer.sources],
            "name": run.name,
        }
    }
    if authorizer.name is not None:
        objects[f"{module}.aws_lambda_permission.this[0]"] = {
            **permission(authorizer.name, f"{EXECUTION}/authorizers/authorizer-id", f"{run.name}-authorizer-"),
            **({"qualifier": authorizer.qualifier} if authorizer.qualifier else {}),
        }
    return objects


def of_queue(run: Run, queue: Queue) -> Table:
    """Return all objects of ``modules/fanout-queue``."""
    module = "module.backend.module.fanout_queue[0]"
    suffix = ".fifo" if queue.fifo else ""
    both: Settings = {"max_message_size": 262144, "sqs_managed_sse_enabled": True, "tags": run.tags}
    if queue.fifo:
        both |= {
            "deduplication_scope": "messageGroup",
            "fifo_queue": True,
            "fifo_throughput_limit": "perMessageGroupId",
        }
    return {
        f"{module}.aws_sqs_queue.messages": {
            **both,
            "name": f"{run.name}-fanout{suffix}",
            "message_retention_seconds": 86400,
            "visibility_timeout_seconds": 6 * queue.timeout,
            "redrive_policy": {"deadLetterTargetArn": DEAD_LETTERS_ARN, "maxReceiveCount": 5},
        },
        f"{module}.aws_sqs_queue.dead_letters": {
            **both,
            "name": f"{run.name}-fanout-dead-letters{suffix}",
            "message_retention_seconds": 1209600,
        },
        f"{module}.aws_sqs_queue_redrive_allow_policy.dead_letters": {
            "queue_url": "https://sqs.cn-north-1.amazonaws.com.cn/111122223333/dead-letters-id",
            "redrive_allow_policy": {"redrivePermission": "byQueue", "sourceQueueArns": [QUEUE_ARN]},
        },
        f"{module}.aws_lambda_event_source_mapping.this": {
            "batch_size": queue.batch_size,
            "event_source_arn": QUEUE_ARN,
            "function_name": f"{FUNCTION}:mocked-fanout_worker",
            "function_response_types": ["ReportBatchItemFailures"],
            "scaling_config": [{"maximum_concurrency": queue.concurrency}],
        },
        **{
            f'{module}.aws_sqs_queue_policy.tls_only["{name.replace("-", "_")}"]': {
                "queue_url": f"https://sqs.cn-north-1.amazonaws.com.cn/111122223333/{name}-id",
                "policy": document(
                    {
                        "Sid": "RefuseWithoutTls",
                        "Action": "sqs:*",
                        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                        "Effect": "Deny",
                        "Principal": "*",
                        "Resource": arn,
                    }
                ),
            }
            for name, arn in (("messages", QUEUE_ARN), ("dead-letters", DEAD_LETTERS_ARN))
        },
    }


def members(run: Run) -> Table:
    """Return the table of members."""
    return {
        "module.backend.module.connections_table.aws_dynamodb_table.this": {
            "name": run.table,
            "billing_mode": "PAY_PER_REQUEST",
            "deletion_protection_enabled": run.protected,
            "hash_key": "partition_key",
            "range_key": "sort_key",
            "attribute": [{"name": "partition_key", "type": "S"}, {"name": "sort_key", "type": "S"}],
            "point_in_time_recovery": [{"enabled": run.restorable}],
            "server_side_encryption": [{"enabled": True, "kms_key_arn": run.table_key}],
            "ttl": [{"attribute_name": "expires_at", "enabled": True}],
            "tags": run.tags,
        }
    }


def outputs(run: Run, functions: Functions) -> Table:
    """Return the root's outputs, as one more object of the table."""
    return {
        OUTPUTS: {
            **{
                f"{handler}_function_arn": f"{FUNCTION}:mocked-{handler}"
                for handler in WITH_AN_OUTPUT
                if handler in functions
            },
            "access_log_group_name": run.access_log_name,
            "api_id": "a1b2c3d4e5",
            "authorizer_source_arn": f"{EXECUTION}/authorizers/authorizer-id" if run.authorizer else None,
            "connections_table_arn": TABLE_ARN,
            "connections_table_name": run.table,
            "fanout_dead_letter_queue_url": QUEUE_URL.replace("messages", "dead-letters") if run.queue else None,
            "fanout_queue_url": QUEUE_URL if run.queue else None,
            "function_arns": {handler: f"{FUNCTION}:mocked-{handler}" for handler in functions},
            "log_group_names": {handler: f"/aws/lambda/{run.name}-{handler}" for handler in functions},
            "management_endpoint": run.endpoint,
            "shards_per_room": run.shards_per_room,
            "stage_execution_arn": f"{EXECUTION}/{run.stage}",
            "stage_name": run.stage,
            "websocket_url": "wss://a1b2c3d4e5.execute-api.cn-north-1.amazonaws.com.cn/mocked",
        }
    }
