"""A stage as its parameter describes it, and the account that has it, for tests of commands."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from scripts.tests.fake_aws import ACCOUNT, REGION, FakeAws

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HANDLERS = ("connect", "default", "disconnect", "kick", "publish", "sendmessage", "whoami")
TABLE = "roomcast-connections"
ALARM = {
    "ComparisonOperator": "GreaterThanThreshold",
    "DatapointsToAlarm": 3,
    "EvaluationPeriods": 5,
    "Threshold": 1.0,
    "TreatMissingData": "notBreaching",
    "Metrics": [
        *(
            {
                "Id": name,
                "MetricStat": {"Metric": {"Namespace": "Roomcast", "MetricName": metric}, "Period": 60, "Stat": "Sum"},
            }
            for name, metric in (("failed", "failed"), ("all", "posts"))
        ),
        {"Id": "result", "Expression": "100 * failed / IF(all < 50, 50, all)"},
    ],
}
"""The alarm of failed posts, as CloudWatch describes it."""
QUEUES = f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/roomcast"


def parameter(**values: Any) -> dict[str, Any]:
    """Return what the parameter of a stage holds, which has all functions and no queue unless told otherwise."""
    queues = {f"{name}_queue_url": None for name in ("fanout", "presence", "publish")}
    dead = {f"{name}_dead_letter_queue_url": None for name in ("fanout", "presence", "publish")}
    return {
        "v": 1,
        "additional_routes": [],
        "account_concurrency": 1_000,
        "account_requests_per_second": 2_500,
        "alarms": {"posts-failed": "d6ab87"},
        "name": "roomcast",
        "release": "0.2.0",
        "access_log_group_name": "/aws/apigateway/roomcast/live",
        "authorization_type": "NONE",
        "connections_table_arn": f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{TABLE}",
        "functions": dict.fromkeys(HANDLERS, "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="),
        "history_table_arn": None,
        "kick_enabled": True,
        "management_endpoint": f"https://768b2390.execute-api.{REGION}.amazonaws.com/live",
        "publish_enabled": True,
        "shards_per_room": 1,
        "shards_read": 1,
        "stage_execution_arn": f"arn:aws:execute-api:{REGION}:{ACCOUNT}:768b2390/live",
        "websocket_url": f"wss://768b2390.execute-api.{REGION}.amazonaws.com/live",
        **queues,
        **dead,
        **values,
    }


def serve(aws: FakeAws, *paths: str, **values: Any) -> None:
    """Let an account have stages."""
    found = [
        {"Name": f"/roomcast/{path}", "Value": json.dumps(parameter(name=path.partition("/")[0], **values))}
        for path in paths or ["roomcast/live"]
    ]
    aws.answers["ssm:GetParametersByPath"] = lambda _: {"Parameters": found}


def connection(
    number: str, rooms: Sequence[str], connected_at: int, expires_at: int, **more: Any
) -> list[Mapping[str, Any]]:
    """Return the rows of a connection: its own, and one for each room."""
    shared = {"connected_at": {"N": str(connected_at)}, "expires_at": {"N": str(expires_at)}, **more}
    own = {
        "partition_key": {"S": f"connection#{number}"},
        "sort_key": {"S": "connection"},
        "rooms": {"M": {room: {"N": "0"} for room in rooms}},
        **shared,
    }
    memberships = [{"partition_key": {"S": f"room#{room}#0"}, "sort_key": {"S": number}, **shared} for room in rooms]
    return [own, *memberships]
