"""The functions: the settings and permissions of each."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scripts.asked_of_aws.settings import EXECUTION

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from scripts.asked_of_aws.settings import Queue, Run, Settings, Tokens

TABLE_ARN = "arn:aws-cn:dynamodb:cn-north-1:111122223333:table/mocked"
QUEUE_ARN = "arn:aws-cn:sqs:cn-north-1:111122223333:messages"
TABLE_KEY = "arn:aws-cn:kms:cn-north-1:111122223333:key/table"
TABLE_NAMES = ("members", "roomcast-connections")

OWN = ("authorizer", "connect", "default", "disconnect", "fanout_worker", "sendmessage", "whoami")
"""Functions that the table names."""
STAGE = "module.backend.module.websocket_api.aws_apigatewayv2_stage.this"

_MADE = re.compile(r'(module\.backend\.module\.handler\["([^"]+)"\])\.aws_lambda_function\.this')
_GRANTABLE = re.compile(
    "|".join([re.escape(TABLE_ARN), re.escape(QUEUE_ARN)]) + rf"|{re.escape(EXECUTION)}/[^/*]+/POST/@connections/\*"
)
"""Resources to which a function that the table does not name may have permissions."""


@dataclass(frozen=True)
class Function:
    """One function of the table.

    Attributes:
        description: The description in the console.
        memory_size: MB.
        timeout: Seconds.
        environment: All of its variables.
        rights: Statements of its policy.
        route: Key of the route that may invoke it; None for the worker, which only its queue invokes.
        limits: Limits of burst and rate of its route; None for the stage's.
        reserved: Invocations at a time that are reserved for it.
    """

    description: str
    memory_size: int
    timeout: int
    environment: Mapping[str, str]
    rights: list[Settings]
    route: str | None
    limits: tuple[int, float] | None = None
    reserved: int | None = None


def allow(sid: str, actions: str | list[str], resource: str) -> Settings:
    """Return one statement of a policy."""
    return {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resource}


def table_rights(sid: str, actions: str | list[str], table: str) -> list[Settings]:
    """Return the statements for the table and for its key, if any."""
    return [allow(sid, actions, TABLE_ARN), use_key_of(table)]


def use_key_of(table: str) -> Settings:
    """Return the statement for using any key, which DynamoDB alone may do, and for this table alone."""
    return {
        **allow("UseTableKey", ["kms:Decrypt", "kms:DescribeKey"], "*"),
        "Condition": {
            "StringEquals": {"kms:ViaService": "dynamodb.cn-north-1.amazonaws.com.cn"},
            "StringEqualsIfExists": {"kms:EncryptionContext:aws:dynamodb:tableName": table},
        },
    }


def post(sid: str, stage: str) -> list[Settings]:
    """Return the statement for sending to the clients of one stage."""
    return [allow(sid, "execute-api:ManageConnections", f"{EXECUTION}/{stage}/POST/@connections/*")]


def functions(run: Run) -> dict[str, Function]:
    """Return the functions behind the backend's own routes, and the worker of a queue."""
    hand_over = [allow("HandOverToWorkers", "sqs:SendMessage", QUEUE_ARN)] if run.queue else []
    answer = post("AnswerCaller", run.stage)
    own = {
        "connect": Function(
            "Writes the membership of a client that joins a room.",
            256,
            10,
            run.environment,
            [
                *table_rights(
                    "WriteMembership",
                    [
                        "dynamodb:GetItem",
                        "dynamodb:Query",
                        "dynamodb:PutItem",
                        "dynamodb:UpdateItem",
                        "dynamodb:DeleteItem",
                    ],
                    run.table,
                ),
                *answer,
            ],
            "$connect",
        ),
        "disconnect": Function(
            "Deletes the membership of a client that is gone.",
            256,
            10,
            run.environment,
            [
                *table_rights(
                    "DeleteMembership", ["dynamodb:GetItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"], run.table
                ),
                *answer,
            ],
            "$disconnect",
        ),
        "default": Function(
            "Answers a message that no other route takes with a documented error.",
            256,
            10,
            run.environment,
            answer,
            "$default",
        ),
        "sendmessage": Function(
            "Sends a message to every member of the sender's room, or to one.",
            run.sendmessage_memory,
            27,
            {**run.environment, **run.queue_environment},
            [
                *table_rights(
                    "ReadAndPruneMembership",
                    ["dynamodb:GetItem", "dynamodb:Query", "dynamodb:UpdateItem", "dynamodb:DeleteItem"],
                    run.table,
                ),
                *hand_over,
                *post("SendToMembers", run.stage),
            ],
            "sendmessage",
        ),
        "whoami": Function(
            "Tells a client its connection id and room.",
            256,
            10,
            run.environment,
            [*table_rights("ReadMembership", "dynamodb:GetItem", run.table), *answer],
            "whoami",
        ),
    }
    if run.queue:
        own["fanout_worker"] = _worker(run, run.queue)
    if run.tokens:
        own["authorizer"] = _authorizer(run, run.tokens)
    return own


def _authorizer(run: Run, tokens: Tokens) -> Function:
    return Function(
        "Checks the token of a client that connects.",
        tokens.memory_size,
        8,
        {
            "ROOMCAST_DNS_SUFFIX": "amazonaws.com.cn",
            "ROOMCAST_LOG_LEVEL": run.log_level,
            **tokens.environment,
        },
        tokens.rights,
        None,
        reserved=tokens.reserved,
    )


def _worker(run: Run, queue: Queue) -> Function:
    return Function(
        "Sends queued messages to the members of their rooms.",
        queue.memory_size,
        queue.timeout,
        {**run.environment, **run.queue_environment},
        [
            *table_rights(
                "ReadAndPruneMembershipAndKeepBacklog",
                [
                    "dynamodb:Query",
                    *(["dynamodb:PutItem"] if queue.fifo else []),
                    "dynamodb:UpdateItem",
                    "dynamodb:DeleteItem",
                ],
                run.table,
            ),
            allow(
                "ServeQueueAndHandOverTheRest",
                [
                    "sqs:ReceiveMessage",
                    "sqs:DeleteMessage",
                    "sqs:GetQueueAttributes",
                    "sqs:SendMessage",
                    "sqs:ChangeMessageVisibility",
                ],
                QUEUE_ARN,
            ),
            *post("SendToMembers", run.stage),
        ],
        None,
    )


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
