"""The IAM policies for the commands: ``read`` for those that change nothing, ``operate`` for all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from roomcast_cli import log_groups, stages

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roomcast_cli.stages import Stage

    Statement = dict[str, Any]

KINDS = ("read", "operate")


def of(stage: Stage, kind: str) -> Statement:
    """Return a policy.

    Args:
        stage: The stage.
        kind: One of ``KINDS``.
    """
    statements = [*_reading(stage), *_examining(stage), *(_operating(stage) if kind == "operate" else ())]
    return {"Version": "2012-10-17", "Statement": statements}


def _allow(sid: str, actions: Sequence[str], resources: str | Sequence[str], **more: Any) -> Statement:  # noqa: ANN401 - any JSON
    return {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources, **more}


def _arn(stage: Stage, service: str, resource: str) -> str:
    partition = str(stage.outputs["connections_table_arn"]).split(":")[1]
    return f"arn:{partition}:{service}:{stage.region}:{stage.account}:{resource}"


def _queues(stage: Stage, name: str) -> list[str]:
    urls = [stage.outputs.get(f"{kind}_{name}_url") for kind in stages.QUEUES]
    return [_arn(stage, "sqs", url.rpartition("/")[2]) for url in urls if url]


def suffix_of(stage: Stage) -> str:
    """Return the end of the host names of the partition's services."""
    return str(stage.outputs["websocket_url"]).split("/")[2].partition(f".{stage.region}.")[2] or "amazonaws.com"


def _reading(stage: Stage) -> list[Statement]:
    parameters = [_arn(stage, "ssm", f"parameter/roomcast{end}") for end in ("", "/*")]
    # A group itself, and with its streams: actions differ in which of the two they ask for.
    arns = [_arn(stage, "logs", f"log-group:{name}") for name in log_groups.of(stage).values()]
    groups = [f"{arn}{end}" for arn in arns for end in ("", ":*")]
    queues = [*_queues(stage, "queue"), *_queues(stage, "dead_letter_queue")]
    hosts = [f"{service}.{stage.region}.{suffix_of(stage)}" for service in ("dynamodb", "sqs")]
    return [
        _allow("FindStages", ["ssm:GetParametersByPath"], parameters),
        _allow("ReadTable", ["dynamodb:DescribeTable", "dynamodb:Scan"], stage.outputs["connections_table_arn"]),
        _allow("ReadLogs", ["logs:FilterLogEvents", "logs:StartQuery"], sorted(groups)),
        _allow("ReadQueries", ["logs:GetQueryResults"], "*"),
        _allow("ReadMetrics", ["cloudwatch:GetMetricData"], "*"),
        _allow(
            "SeeConnections",
            ["execute-api:ManageConnections"],
            f"{stage.outputs['stage_execution_arn']}/GET/@connections/*",
        ),
        *([_allow("ReadQueues", ["sqs:GetQueueAttributes", "sqs:ReceiveMessage"], queues)] if queues else []),
        # Whichever keys table and queues have, and through these services alone.
        _allow("UseKeys", ["kms:Decrypt"], "*", Condition={"StringEquals": {"kms:ViaService": hosts}}),
    ]


def _examining(stage: Stage) -> list[Statement]:
    """Return the statements of ``roomcast doctor`` alone, which reads settings and no data."""
    partition = str(stage.outputs["connections_table_arn"]).split(":")[1]
    gateway = f"arn:{partition}:apigateway:{stage.region}::"
    api = f"/apis/{stage.outputs['api_id']}"
    reading = ["GetFunctionConcurrency", "GetFunctionConfiguration", "GetFunctionRecursionConfig"]
    role = f"arn:{partition}:iam::{stage.account}:role/*{stage.name}-*"
    paths = ("/account", api, f"{api}/*", "/domainnames/*")
    return [
        _allow("SeeApi", ["apigateway:GET"], [gateway + path for path in paths]),
        _allow(
            "SeeFunctions", [f"lambda:{name}" for name in reading], _arn(stage, "lambda", f"function:{stage.name}-*")
        ),
        # Of any function, because routes may invoke others.
        _allow("SeeInvokers", ["lambda:GetPolicy"], _arn(stage, "lambda", "function:*")),
        _allow(
            "SeeRoles",
            ["iam:GetRole", "iam:ListAttachedRolePolicies", "iam:ListRolePolicies", "iam:SimulatePrincipalPolicy"],
            role,
        ),
        _allow("SeeTable", ["dynamodb:DescribeTimeToLive", "dynamodb:GetItem"], stage.outputs["connections_table_arn"]),
        _allow("SeeSchedule", ["scheduler:GetSchedule"], _arn(stage, "scheduler", f"schedule/default/{stage.name}-*")),
        # None of these can be limited to a stage, or it is not known to which key, topic or certificate.
        _allow(
            "SeeAccount",
            [
                "acm:DescribeCertificate",
                "cloudwatch:DescribeAlarms",
                "ec2:DescribeRouteTables",
                "ec2:DescribeVpcEndpoints",
                "kms:DescribeKey",
                "lambda:GetAccountSettings",
                "lambda:ListEventSourceMappings",
                "logs:DescribeLogGroups",
                "servicequotas:GetServiceQuota",
                "sns:GetTopicAttributes",
                "sqs:ListQueues",
            ],
            "*",
        ),
    ]


def _operating(stage: Stage) -> list[Statement]:
    names = [name for name in ("publish", "kick") if stage.outputs.get(f"{name}_function_arn")]
    functions = [stage.outputs["alias_arns"][name] for name in names]
    dead, queues = _queues(stage, "dead_letter_queue"), _queues(stage, "queue")
    # Rooms with presence are marked: members are told of those whose rows were deleted.
    deleting = ["dynamodb:DeleteItem", *(["dynamodb:UpdateItem"] if stage.outputs.get("presence_queue_url") else [])]
    through_sqs = {"StringEquals": {"kms:ViaService": f"sqs.{stage.region}.{suffix_of(stage)}"}}
    return [
        _allow("DeleteLeftovers", deleting, stage.outputs["connections_table_arn"]),
        *([_allow("InvokeFunctions", ["lambda:InvokeFunction"], functions)] if functions else []),
        *([_allow("MoveDeadLetters", ["sqs:StartMessageMoveTask", "sqs:DeleteMessage"], dead)] if dead else []),
        *([_allow("TakeDeadLetters", ["sqs:SendMessage"], queues)] if dead else []),
        # Whoever sends to a queue with a key encrypts for it.
        *([_allow("UseKeysOfQueues", ["kms:GenerateDataKey"], "*", Condition=through_sqs)] if dead else []),
    ]
