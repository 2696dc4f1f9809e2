"""What Terraform asks of AWS, every object and every setting, compared with a table written by hand.

``terraform/tests/whole/`` applies the root to a mocked provider with everything on, with everything off and with a
queue alone; ``python -m scripts.terraform check`` hands what it got to :func:`differences`. A right that is too wide, a
setting that does not arrive, two settings that were swapped, an object more or less: each is a difference.

The table says nothing twice on purpose: values stand here as AWS is to get them, and no line of it is made from the
configuration. The digests of the zips alone are computed, from the zips.

This file needs the standard library only.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    Settings = dict[str, Any]
    Table = dict[str, Settings]

ZIPS = Path(__file__).resolve().parent.parent / "build" / "handlers"

MOCKED_TEXT = re.compile("[a-z0-9]{8}")
"""What Terraform's mocked provider writes into a text that the provider would compute."""
DECIDED_BY_AWS = {"arn", "execution_arn", "id", "invoke_arn", "invoke_url", "output", "url"}
"""Attributes that nobody can ask for, looked at only where the table names them."""
DOCUMENTS = {"assume_role_policy", "format", "policy", "redrive_allow_policy", "redrive_policy"}
"""Attributes that hold JSON, which is compared as such: its spaces and the order of its keys mean nothing."""

OUTPUTS = "outputs of the root"
TIME = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z")

EXECUTION = "arn:aws-cn:execute-api:cn-north-1:111122223333:a1b2c3d4e5"
TABLE_ARN = "arn:aws-cn:dynamodb:cn-north-1:111122223333:table/mocked"
QUEUE_ARN = "arn:aws-cn:sqs:cn-north-1:111122223333:messages"
DEAD_LETTERS_ARN = "arn:aws-cn:sqs:cn-north-1:111122223333:dead-letters"
QUEUE_URL = "https://sqs.cn-north-1.amazonaws.com.cn/111122223333/messages"
LOG_KEY = "arn:aws-cn:kms:cn-north-1:111122223333:key/logs"
TABLE_KEY = "arn:aws-cn:kms:cn-north-1:111122223333:key/table"
BOUNDARY = "arn:aws-cn:iam::111122223333:policy/boundary"


@dataclass(frozen=True)
class Function:
    """One function of the table, with all that belongs to it.

    Attributes:
        module: Address of its instance of ``modules/handler`` inside the backend.
        description: As the console shows it.
        memory_size: MB.
        timeout: Seconds.
        environment: All of its variables.
        rights: Statements of its policy.
        route: Key of the route that may invoke it, None for the worker, which nothing but its queue invokes.
    """

    module: str
    description: str
    memory_size: int
    timeout: int
    environment: Mapping[str, str]
    rights: list[Settings]
    route: str | None


@dataclass(frozen=True)
class Everywhere:
    """What all objects of one run share.

    Attributes:
        name: Begins every name.
        stage: The stage's name.
        architecture: The functions' instruction set.
        tags: On everything that can have tags.
        retention: Days that log groups keep lines.
        boundary: Boundary of every role.
        log_key: Key of every log group.
        bucket: Where functions get their zips from, None for the zips themselves.
        zips: Folder of the zips, as Terraform was told it.
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


def allow(sid: str, actions: str | list[str], resource: str) -> Settings:
    """Return one statement of a policy."""
    return {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resource}


def table_rights(sid: str, actions: str | list[str], key: str | None) -> list[Settings]:
    """Return the statements for the table and, where it has one, its key."""
    use_key = [allow("UseTableKey", ["kms:Decrypt", "kms:DescribeKey"], key)] if key else []
    return [allow(sid, actions, TABLE_ARN), *use_key]


def post(sid: str, stage: str) -> list[Settings]:
    """Return the statement for sending to the clients of one stage."""
    return [allow(sid, "execute-api:ManageConnections", f"{EXECUTION}/{stage}/POST/@connections/*")]


def remembered(queued: str, shards_per_room: str, shards_read: str) -> Table:
    """Return what the configuration remembers for its next apply; numbers as seven binary digits."""
    keys = [f'queued["{queued}"]', "first_apply"]
    for name, number in (("shards_per_room", shards_per_room), ("shards_read", shards_read)):
        keys += [f'{name}["{bit}={digit}"]' for bit, digit in enumerate(reversed(number))]
    objects: Table = {f"module.backend.terraform_data.{key}": {"input": TIME} for key in keys}
    shards = {"per_room": int(shards_per_room, 2), "read": int(shards_read, 2)}
    return {**objects, "module.backend.terraform_data.shards": {"input": shards}}


def functions(stage: str, shared: Mapping[str, str], queue: Mapping[str, str], key: str | None) -> dict[str, Function]:
    """Return the functions behind the backend's own routes.

    Args:
        stage: The stage's name.
        shared: Environment of all functions.
        queue: What ``sendmessage`` knows of the queue, empty without one.
        key: Key of the table.
    """
    hand_over = [allow("HandOverToWorkers", "sqs:SendMessage", QUEUE_ARN)] if queue else []
    answer = post("AnswerCaller", stage)
    return {
        "connect": Function(
            'module.handler["connect"]',
            "Writes the membership of a client that joins a room.",
            256,
            10,
            shared,
            [*table_rights("WriteMembership", ["dynamodb:PutItem", "dynamodb:DeleteItem"], key), *answer],
            "$connect",
        ),
        "disconnect": Function(
            'module.handler["disconnect"]',
            "Deletes the membership of a client that is gone.",
            256,
            10,
            shared,
            [*table_rights("DeleteMembership", ["dynamodb:GetItem", "dynamodb:DeleteItem"], key), *answer],
            "$disconnect",
        ),
        "default": Function(
            'module.handler["default"]',
            "Answers a message that no other route takes with a documented error.",
            256,
            10,
            shared,
            answer,
            "$default",
        ),
        "sendmessage": Function(
            'module.handler["sendmessage"]',
            "Sends a message to every member of the sender's room, or to one.",
            1769,
            29,
            {**shared, **queue},
            [
                *table_rights(
                    "ReadAndPruneMembership", ["dynamodb:GetItem", "dynamodb:Query", "dynamodb:DeleteItem"], key
                ),
                *hand_over,
                *post("SendToMembers", stage),
            ],
            "sendmessage",
        ),
        "whoami": Function(
            'module.handler["whoami"]',
            "Tells a client its connection id and room.",
            256,
            10,
            shared,
            [*table_rights("ReadMembership", "dynamodb:GetItem", key), *answer],
            "whoami",
        ),
    }


def worker(stage: str, environment: Mapping[str, str], key: str | None, memory_size: int, timeout: int) -> Function:
    """Return the function that serves the queue."""
    return Function(
        "module.fanout_worker[0]",
        "Sends queued messages to the members of their rooms.",
        memory_size,
        timeout,
        environment,
        [
            *table_rights(
                "ReadAndPruneMembershipAndKeepBacklog",
                ["dynamodb:Query", "dynamodb:PutItem", "dynamodb:DeleteItem"],
                key,
            ),
            allow(
                "ServeQueueAndHandOverTheRest",
                ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:SendMessage"],
                QUEUE_ARN,
            ),
            *post("SendToMembers", stage),
        ],
        None,
    )


def objects_of_function(handler: str, function: Function, everywhere: Everywhere) -> Table:
    """Return all that one instance of ``modules/handler`` asks for, and its zip where that goes through a bucket."""
    name = f"{everywhere.name}-{handler}"
    zipped = (ZIPS / f"{handler}.zip").read_bytes()
    key = f"{everywhere.name}/{handler}-{hashlib.sha256(zipped).hexdigest()}.zip"
    path = f"{everywhere.zips}/{handler}.zip"
    code = {"s3_bucket": everywhere.bucket, "s3_key": key} if everywhere.bucket else {"filename": path}
    module = f"module.backend.{function.module}"
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
        objects[f'module.backend.aws_s3_object.zip["{handler}"]'] = {
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


def objects_of_api(
    everywhere: Everywhere,
    routes: Mapping[str, tuple[str, int, int, float]],
    *,
    limits: tuple[int, float],
    logs: bool,
    authorization: str = "NONE",
) -> Table:
    """Return all that ``modules/websocket-api`` asks for.

    Args:
        everywhere: What all objects share.
        routes: By key the function's mocked name, the time-out in ms, and the limits of burst and rate.
        limits: Limits of burst and rate of the stage.
        logs: Whether there is an access log.
        authorization: How the handshake is authorized.
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
            "deployment_id": "deployment",
            "tags": everywhere.tags,
            "default_route_settings": [{"throttling_burst_limit": limits[0], "throttling_rate_limit": limits[1]}],
            "route_settings": [
                {"route_key": key, "throttling_burst_limit": burst, "throttling_rate_limit": rate}
                for key, (_, _, burst, rate) in routes.items()
            ],
        },
    }
    triggers = {"route_selection_expression": "$request.body.action"}
    for key, (function, timeout, _, _) in routes.items():
        suffix = key.replace("$", "").replace("/", "-")
        uri = (
            "arn:aws-cn:apigateway:cn-north-1:lambda:path/2015-03-31/functions/"
            f"arn:aws-cn:lambda:cn-north-1:111122223333:function:{function}/invocations"
        )
        objects[f'{module}.aws_apigatewayv2_integration.this["{key}"]'] = {
            "api_id": "a1b2c3d4e5",
            "integration_method": "POST",
            "integration_type": "AWS_PROXY",
            "integration_uri": uri,
            "timeout_milliseconds": timeout,
        }
        objects[f'{module}.aws_apigatewayv2_route.this["{key}"]'] = {
            "api_id": "a1b2c3d4e5",
            "route_key": key,
            "target": f"integrations/integration-{suffix}",
            "authorization_type": authorization if key == "$connect" else "NONE",
        }
        triggers[f"route {key}"] = json.dumps(
            {
                "authorization_type": authorization if key == "$connect" else "NONE",
                "authorizer_id": "none",
                "id": f"route-{suffix}",
                "integration_uri": uri,
                "target": f"integrations/integration-{suffix}",
                "timeout_milliseconds": timeout,
            },
            separators=(",", ":"),
        )
    objects[f"{module}.aws_apigatewayv2_deployment.this"] = {"api_id": "a1b2c3d4e5", "triggers": triggers}
    if logs:
        objects[f"{module}.aws_cloudwatch_log_group.access[0]"] = {
            "name": f"/aws/apigateway/{everywhere.name}/{everywhere.stage}",
            "kms_key_id": everywhere.log_key,
            "retention_in_days": everywhere.retention,
            "tags": everywhere.tags,
        }
    return objects


def objects_of_queue(
    everywhere: Everywhere, *, fifo: bool, visibility: int, batch_size: int, concurrency: int
) -> Table:
    """Return all that ``modules/fanout-queue`` asks for."""
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
            "function_name": "arn:aws-cn:lambda:cn-north-1:111122223333:function:mocked-fanout_worker",
            "function_response_types": ["ReportBatchItemFailures"],
            "scaling_config": [{"maximum_concurrency": concurrency}],
            "tags": everywhere.tags,
        },
    }


def objects_of_backend(all_functions: Mapping[str, Function]) -> Table:
    """Return what ``modules/backend`` holds beside its modules."""
    return {
        "module.backend.data.aws_partition.current": {
            "dns_suffix": "amazonaws.com.cn",
            "partition": "aws-cn",
        },
        "module.backend.data.aws_region.current": {"id": "cn-north-1"},
        "module.backend.terraform_data.build": {
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
        f"{handler}_function_arn": f"arn:aws-cn:lambda:cn-north-1:111122223333:function:mocked-{handler}"
        for handler in all_functions
    }
    values |= {
        "access_log_group_name": access_log,
        "api_id": "a1b2c3d4e5",
        "connections_table_arn": TABLE_ARN,
        "connections_table_name": shared["ROOMCAST_TABLE_NAME"],
        "fanout_dead_letter_queue_url": QUEUE_URL.replace("messages", "dead-letters") if queued else None,
        "fanout_queue_url": QUEUE_URL if queued else None,
        "log_group_names": {handler: f"/aws/lambda/{everywhere.name}-{handler}" for handler in all_functions},
        "management_endpoint": shared["ROOMCAST_MANAGEMENT_ENDPOINT"],
        "shards_per_room": int(shared["ROOMCAST_SHARDS_PER_ROOM"]),
        "stage_execution_arn": f"{EXECUTION}/{everywhere.stage}",
        "stage_name": everywhere.stage,
        "websocket_url": "wss://a1b2c3d4e5.execute-api.cn-north-1.amazonaws.com.cn/mocked",
    }
    return {OUTPUTS: values}


def everything_on() -> Table:
    """Return the table of the run ``everything_on``."""
    everywhere = Everywhere(
        "chat", "v2", "x86_64", {"team": "talkers"}, 7, BOUNDARY, LOG_KEY, "zips", "../build/handlers"
    )
    shared = {
        "ROOMCAST_DNS_SUFFIX": "amazonaws.com.cn",
        "ROOMCAST_LOG_LEVEL": "DEBUG",
        "ROOMCAST_MANAGEMENT_ENDPOINT": "https://ws.example.com/a1b2c3d4e5/v2",
        "ROOMCAST_PACE": "2500.5",
        "ROOMCAST_SHARDS_PER_ROOM": "4",
        "ROOMCAST_SHARDS_READ": "6",
        "ROOMCAST_TABLE_NAME": "members",
    }
    queue = {"ROOMCAST_QUEUE_FIFO": "true", "ROOMCAST_QUEUE_URL": QUEUE_URL}
    all_functions = {
        **functions("v2", shared, queue, TABLE_KEY),
        "fanout_worker": worker("v2", {**shared, **queue}, TABLE_KEY, 512, 40),
    }
    table = {
        **objects_of_backend(all_functions),
        **remembered("true", "0000100", "0000110"),
        "module.backend.terraform_data.queue[0]": {"input": {"fifo": True}},
        **members("members", {"team": "talkers"}, protected=True, restorable=False, key=TABLE_KEY),
        **objects_of_api(
            everywhere,
            {
                "$connect": ("mocked-connect", 29000, 21, 22.5),
                "$default": ("mocked-default", 29000, 21, 22.5),
                "$disconnect": ("mocked-disconnect", 29000, 21, 22.5),
                "plain": ("plain", 29000, 21, 22.5),
                "search/room": ("search:live", 13000, 11, 12.5),
                "sendmessage": ("mocked-sendmessage", 29000, 21, 22.5),
                "whoami": ("mocked-whoami", 29000, 21, 22.5),
            },
            limits=(21, 22.5),
            logs=True,
            authorization="AWS_IAM",
        ),
        **outputs(all_functions, everywhere, shared, access_log="/aws/apigateway/chat/v2"),
        **objects_of_queue(everywhere, fifo=True, visibility=240, batch_size=3, concurrency=5),
        'module.backend.aws_lambda_permission.additional_route["plain"]': permission(
            "plain", f"{EXECUTION}/v2/plain", "chat-plain-"
        ),
        'module.backend.aws_lambda_permission.additional_route["search/room"]': {
            **permission("search", f"{EXECUTION}/v2/search/room", "chat-search-room-"),
            "qualifier": "live",
        },
    }
    for handler, function in all_functions.items():
        table |= objects_of_function(handler, function, everywhere)
    return table


SHARED_BY_DEFAULT = {
    "ROOMCAST_DNS_SUFFIX": "amazonaws.com.cn",
    "ROOMCAST_LOG_LEVEL": "INFO",
    "ROOMCAST_MANAGEMENT_ENDPOINT": "https://a1b2c3d4e5.execute-api.cn-north-1.amazonaws.com.cn/live",
    "ROOMCAST_PACE": "0",
    "ROOMCAST_SHARDS_PER_ROOM": "1",
    "ROOMCAST_SHARDS_READ": "1",
    "ROOMCAST_TABLE_NAME": "roomcast-connections",
}
BY_DEFAULT = Everywhere(
    "roomcast", "live", "arm64", {}, 30, None, None, None, "modules/backend/../../../build/handlers"
)


def everything_off() -> Table:
    """Return the table of the run ``everything_off``: nothing is set."""
    return {
        **_with_defaults(functions("live", SHARED_BY_DEFAULT, {}, None)),
        **remembered("false", "0000001", "0000001"),
    }


def standard_queue(batch_size: int = 10, concurrency: int = 10, memory_size: int = 1769, timeout: int = 30) -> Table:
    """Return the table of the run ``standard_queue``: nothing is set but that messages are queued.

    Args:
        batch_size: Messages that a worker takes at a time.
        concurrency: Workers that run at a time.
        memory_size: A worker's memory in MB.
        timeout: A worker's time in seconds.
    """
    queue = {"ROOMCAST_QUEUE_FIFO": "false", "ROOMCAST_QUEUE_URL": QUEUE_URL}
    all_functions = {
        **functions("live", SHARED_BY_DEFAULT, queue, None),
        "fanout_worker": worker("live", {**SHARED_BY_DEFAULT, **queue}, None, memory_size, timeout),
    }
    return {
        **_with_defaults(all_functions),
        **remembered("true", "0000001", "0000001"),
        "module.backend.terraform_data.queue[0]": {"input": {"fifo": False}},
        **objects_of_queue(
            BY_DEFAULT, fifo=False, visibility=6 * timeout, batch_size=batch_size, concurrency=concurrency
        ),
    }


def standard_queue_of_choice() -> Table:
    """Return the table of the run ``standard_queue_of_choice``: a standard queue without a default number."""
    return standard_queue(batch_size=7, concurrency=6, memory_size=1024, timeout=45)


def keys_without_queue() -> Table:
    """Return the table of the run ``keys_without_queue``: keys and a boundary are set and nothing else."""
    return {
        **_with_defaults(
            functions("live", SHARED_BY_DEFAULT, {}, TABLE_KEY),
            replace(BY_DEFAULT, log_key=LOG_KEY, boundary=BOUNDARY),
            table_key=TABLE_KEY,
        ),
        **remembered("false", "0000001", "0000001"),
    }


def _with_defaults(
    all_functions: Mapping[str, Function], everywhere: Everywhere = BY_DEFAULT, table_key: str | None = None
) -> Table:
    table = {
        **objects_of_backend(all_functions),
        **outputs(all_functions, everywhere, SHARED_BY_DEFAULT, access_log=None),
        **members("roomcast-connections", {}, protected=False, restorable=True, key=table_key),
        **objects_of_api(
            everywhere,
            {
                key: (f"mocked-{key.removeprefix('$')}", 29000, 1000, 2000)
                for key in ("$connect", "$default", "$disconnect", "sendmessage", "whoami")
            },
            limits=(1000, 2000),
            logs=False,
        ),
    }
    for handler, function in all_functions.items():
        table |= objects_of_function(handler, function, everywhere)
    return table


TABLES = {
    "everything_on": everything_on,
    "everything_off": everything_off,
    "keys_without_queue": keys_without_queue,
    "standard_queue": standard_queue,
    "standard_queue_of_choice": standard_queue_of_choice,
}


def differences(run: str, state: Mapping[str, Any]) -> list[str]:
    """Compare what a run made with its table.

    Args:
        run: Name of the run.
        state: What it left, as ``values`` of what ``terraform show -json`` writes.

    Returns:
        A sentence for each difference.
    """
    if run not in TABLES:
        return [f"{run}: scripts/asked_of_aws.py has no table of this name"]
    made = {resource["address"]: resource["values"] for resource in _resources(state["root_module"])}
    made[OUTPUTS] = {name: output.get("value") for name, output in state["outputs"].items()}
    table = TABLES[run]()
    found = [f"{run}: {address} is in no table" for address in sorted(made.keys() - table.keys())]
    found += [f"{run}: {address} is missing" for address in sorted(table.keys() - made.keys())]
    for address in sorted(made.keys() & table.keys()):
        found += [f"{run}: {line}" for line in _compare(address, made[address], table[address])]
    return found


def _resources(module: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from module.get("resources", [])
    for child in module.get("child_modules", []):
        yield from _resources(child)


def _compare(place: str, made: Any, wanted: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON
    """Yield a sentence for each attribute that differs, nested blocks included."""
    if isinstance(wanted, dict) and isinstance(made, str) and place.rpartition(".")[2] in DOCUMENTS:
        made = json.loads(made)
        if made != wanted:
            yield f"{place} is {json.dumps(made)}, and not {json.dumps(wanted)}"
    elif isinstance(wanted, dict) and isinstance(made, dict):
        yield from _compare_attributes(place, made, wanted)
    elif isinstance(wanted, list) and isinstance(made, list) and len(made) == len(wanted):
        for index, (one, other) in enumerate(zip(_ordered(made), _ordered(wanted), strict=True)):
            yield from _compare(f"{place}[{index}]", one, other)
    elif isinstance(wanted, re.Pattern):
        if not wanted.fullmatch(str(made)):
            yield f"{place} is {json.dumps(made)}, and not like {wanted.pattern}"
    elif made != wanted and not (_is_unset(made) and not wanted):
        yield f"{place} is {json.dumps(made)}, and not {json.dumps(wanted)}"


def _compare_attributes(place: str, made: Settings, wanted: Settings) -> Iterator[str]:
    closed = place == OUTPUTS or place.endswith((".tags", ".variables", ".triggers", ".input"))
    for name in sorted(made.keys() | wanted.keys()):
        if name in wanted:
            yield from _compare(f"{place}.{name}", made.get(name), wanted[name])
        elif closed or not (name in DECIDED_BY_AWS or _is_unset(made[name])):
            yield f"{place}.{name} is {json.dumps(made[name])}, and should not be set"


def _ordered(items: Iterable[Any]) -> list[Any]:
    """Return items in an order that does not depend on how the provider keeps a set."""
    return sorted(
        items, key=lambda item: str(item.get("route_key", item.get("name", ""))) if isinstance(item, dict) else ""
    )


def _is_unset(value: Any) -> bool:  # noqa: ANN401 - any JSON
    """Tell whether nobody asked for this value: it is empty, or the mocked provider made it up."""
    if isinstance(value, dict):
        return all(_is_unset(item) for item in value.values())
    if isinstance(value, list):
        return all(_is_unset(item) for item in value)
    return not value or (isinstance(value, str) and MOCKED_TEXT.fullmatch(value) is not None)
