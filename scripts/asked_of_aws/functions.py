"""The functions: the settings and permissions of each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from scripts.asked_of_aws.policies import (
    PRESENCE_ARN,
    PUBLISH_QUEUE_ARN,
    QUEUE_ARN,
    TABLE_ARN,
    allow,
    allow_all,
    history_rights,
    mark_presence,
    post,
    table_rights,
    use_key_of,
    use_key_of_queue,
)
from scripts.asked_of_aws.settings import EXECUTION

if TYPE_CHECKING:
    import re
    from collections.abc import Mapping

    from scripts.asked_of_aws.settings import Queue, Run, Settings, Sweeper, Tokens

OWN = (
    "authorizer",
    "connect",
    "default",
    "disconnect",
    "fanout_worker",
    "join",
    "kick",
    "leave",
    "ping",
    "presence",
    "publish",
    "sendmessage",
    "sweeper",
    "who",
    "whoami",
)
"""Functions that the table names."""

MARKING = {
    "connect",
    "disconnect",
    "fanout_worker",
    "join",
    "kick",
    "leave",
    "ping",
    "publish",
    "sendmessage",
    "sweeper",
    "who",
}
"""Functions that change the members of rooms, or tell clients of them."""


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
        principals: Who else may invoke it: ARNs, and services.
        storage: MB for temporary files; None for those of all functions.
        layers: ARNs; empty for those of all functions.
        provisioned: Environments that are kept ready for its alias.
        snapshots: Whether its versions begin from snapshots.
    """

    description: str
    memory_size: int
    timeout: int
    environment: Mapping[str, str | re.Pattern[str]]
    rights: list[Settings]
    route: str | None
    limits: tuple[int, float] | None = None
    reserved: int | None = None
    principals: tuple[str, ...] = ()
    storage: int | None = None
    layers: tuple[str, ...] = ()
    provisioned: int | None = None
    snapshots: bool = False


def functions(run: Run) -> dict[str, Function]:
    """Return the functions behind the backend's own routes, and the worker of a queue."""
    hand_over = [allow("HandOverToWorkers", "sqs:SendMessage", QUEUE_ARN), use_key_of_queue()] if run.queue else []
    answer = post("AnswerCaller", run.stage)
    kept = run.history_environment
    marks = mark_presence() if run.presence else []

    def of_presence(actions: str | list[str]) -> list[Settings]:
        return [*([allow("ReadPresence", actions, TABLE_ARN)] if run.presence else []), *marks]

    def of_history(sid: str, actions: str | list[str]) -> list[Settings]:
        return history_rights(sid, actions, f"{run.name}-history") if kept else []

    own = {
        "connect": Function(
            "Writes the membership of a client that joins a room.",
            256,
            10,
            {**run.environment, **run.users_environment},
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
                *([allow("CheckDenials", "dynamodb:ConditionCheckItem", TABLE_ARN)] if run.backends.kick else []),
                *marks,
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
                *marks,
                *answer,
            ],
            "$disconnect",
        ),
        "default": Function(
            "Answers a message that no other route takes with a documented error.",
            256,
            10,
            run.environment,
            [*table_rights("ReadProtocol", "dynamodb:GetItem", run.table), *answer],
            "$default",
        ),
        "join": Function(
            "Makes a client of roomcast.v1 a member of rooms.",
            256,
            10,
            {**run.environment, **kept},
            [
                *table_rights(
                    "AddMemberships",
                    ["dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem", "dynamodb:UpdateItem"],
                    run.table,
                ),
                *marks,
                *of_history(
                    "ReadAndSealHistory",
                    ["dynamodb:BatchGetItem", "dynamodb:Query", "dynamodb:PutItem", "dynamodb:UpdateItem"],
                ),
                *answer,
            ],
            "join",
        ),
        "leave": Function(
            "Takes a client of roomcast.v1 out of a room.",
            256,
            10,
            run.environment,
            [
                *table_rights(
                    "DeleteMembership", ["dynamodb:GetItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"], run.table
                ),
                *marks,
                *answer,
            ],
            "leave",
        ),
        "ping": Function(
            "Tells a client that its connection lives, and which of its rooms it is in.",
            256,
            10,
            {**run.environment, **kept},
            [
                *table_rights("ReadMembership", "dynamodb:GetItem", run.table),
                *of_presence(["dynamodb:BatchGetItem", "dynamodb:UpdateItem"]),
                *of_history("ReadHeads", "dynamodb:BatchGetItem"),
                *answer,
            ],
            "ping",
        ),
        "who": Function(
            "Tells a client of roomcast.v1 who is in a room.",
            256,
            10,
            run.environment,
            [
                *table_rights(
                    "ReadMembership", ["dynamodb:GetItem", "dynamodb:Query", "dynamodb:UpdateItem"], run.table
                ),
                *of_presence("dynamodb:BatchGetItem"),
                *answer,
            ],
            "who",
        ),
        "sendmessage": Function(
            "Sends a message to every member of the sender's room, or to one.",
            run.sendmessage_memory,
            27,
            {**run.environment, **run.queue_environment, **kept},
            [
                *table_rights(
                    "ReadAndPruneMembership",
                    ["dynamodb:GetItem", "dynamodb:Query", "dynamodb:UpdateItem", "dynamodb:DeleteItem"],
                    run.table,
                ),
                *marks,
                *of_history("NumberAndKeepMessages", ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"]),
                *hand_over,
                *post("SendToMembers", run.stage),
            ],
            "sendmessage",
        ),
        "whoami": Function(
            "Tells a client its connection id and room.",
            256,
            10,
            {**run.environment, **kept},
            [*table_rights("ReadMembership", "dynamodb:GetItem", run.table), *answer],
            "whoami",
        ),
    }
    if run.queue:
        own["fanout_worker"] = _worker(run, run.queue)
    if run.backends.publish or run.backends.queue:
        own["publish"] = _publish(run, hand_over)
    if run.backends.kick:
        own["kick"] = _kick(run)
    if run.tokens:
        own["authorizer"] = _authorizer(run, run.tokens)
    if run.presence:
        own["presence"] = _presence(run)
    if run.sweeper:
        own["sweeper"] = _sweeper(run, run.sweeper)
    marking = MARKING | {"presence"}
    return {
        name: replace(
            each,
            environment={**each.environment, **(run.presence_environment if name in marking else {})},
            **run.functions.get(name, {}),
        )
        for name, each in own.items()
    }


def _presence(run: Run) -> Function:
    members = ["dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"]
    return Function(
        "Tells the members of a room who has come and gone.",
        512,
        20,
        run.environment,
        [
            *table_rights("LookAtMembershipAndPrune", members, run.table),
            allow(
                "ServeQueueAndMarkPresence",
                ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:SendMessage"],
                PRESENCE_ARN,
            ),
            use_key_of_queue("UsePresenceKey", PRESENCE_ARN),
            *post("SendToMembers", run.stage),
        ],
        None,
    )


def _authorizer(run: Run, tokens: Tokens) -> Function:
    return Function(
        "Checks the token of a client that connects.",
        tokens.memory_size,
        8,
        {
            "ROOMCAST_BACKEND": run.name,
            "ROOMCAST_DNS_SUFFIX": "amazonaws.com.cn",
            "ROOMCAST_LOG_LEVEL": run.log_level,
            "ROOMCAST_VERSION": "",
            **tokens.environment,
        },
        tokens.rights,
        None,
        reserved=tokens.reserved,
    )


def _publish(run: Run, hand_over: list[Settings]) -> Function:
    history = [
        "dynamodb:BatchGetItem",
        "dynamodb:GetItem",
        "dynamodb:Query",
        "dynamodb:PutItem",
        "dynamodb:UpdateItem",
    ]
    receive = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
    key = use_key_of_queue("UsePublishQueueKey", PUBLISH_QUEUE_ARN, "kms:Decrypt")
    return Function(
        "Publishes messages of backends.",
        run.sendmessage_memory,
        30,
        {**run.environment, **run.queue_environment, **run.history_environment},
        [
            *table_rights(
                "ReadAndPruneMembership", ["dynamodb:Query", "dynamodb:UpdateItem", "dynamodb:DeleteItem"], run.table
            ),
            *(mark_presence() if run.presence else []),
            *(history_rights("NumberKeepAndReadMessages", history, f"{run.name}-history") if run.history else []),
            *hand_over,
            *([allow("ServePublishQueue", receive, PUBLISH_QUEUE_ARN), key] if run.backends.queue else []),
            *post("SendToMembers", run.stage),
        ],
        None,
        principals=run.backends.publishers if run.backends.publish else (),
    )


def _sweeper(run: Run, sweeper: Sweeper) -> Function:
    keep = {
        **allow("KeepLeaseAndState", "dynamodb:PutItem", TABLE_ARN),
        "Condition": {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["sweeper"]}},
    }
    delete = ["dynamodb:BatchGetItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"]
    connections = f"{EXECUTION}/{run.stage}/GET/@connections/*"
    sweep = [
        allow("DeleteConnections", delete, TABLE_ARN),
        *(mark_presence() if run.presence else []),
        allow("AskForConnections", "execute-api:ManageConnections", connections),
    ]
    return Function(
        "Counts the connections, and deletes items of those that do not exist.",
        256,
        110,
        {**run.environment, "ROOMCAST_SWEEP_PACE": sweeper.pace},
        [
            allow("CountConnections", "dynamodb:Scan", TABLE_ARN),
            keep,
            *(sweep if sweeper.pace != "0" else []),
            use_key_of(run.table),
        ],
        None,
    )


def _kick(run: Run) -> Function:
    connections = [f"{EXECUTION}/{run.stage}/{method}/@connections/*" for method in ("POST", "DELETE")]
    return Function(
        "Throws out a client, for backends.",
        256,
        60,
        run.environment,
        [
            *table_rights(
                "DenyAndDeleteConnections",
                ["dynamodb:GetItem", "dynamodb:Query", "dynamodb:UpdateItem", "dynamodb:DeleteItem"],
                run.table,
            ),
            *(mark_presence() if run.presence else []),
            allow_all("TellAndClose", "execute-api:ManageConnections", connections),
        ],
        None,
        principals=run.backends.kickers,
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
            *(mark_presence() if run.presence else []),
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
            use_key_of_queue(),
            *post("SendToMembers", run.stage),
        ],
        None,
    )
