"""A stage in good health, as AWS describes it, in which tests of ``roomcast doctor`` plant faults.

Requests and answers are checked against botocore's descriptions of the services, so that both are AWS's.
"""

# ruff: noqa: ARG002, N803 - parameters of AWS's

from __future__ import annotations

import copy
import datetime as dt
import json
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from botocore.validate import validate_parameters
from roomcast_cli import aws, stages
from roomcast_cli.doctor.answers import Answers, action_of
from roomcast_cli.doctor.api import OF_HANDSHAKES, WORKERS

from scripts.tests.fake_aws import ACCOUNT, REGION, WHO
from scripts.tests.stages import ALARM, QUEUES, TABLE, parameter

if TYPE_CHECKING:
    from collections.abc import Mapping

API, STAGE = "768b2390", "live"
EXECUTION = f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{API}/{STAGE}"
FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:roomcast-"
INVOKE = f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions"
QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:roomcast-fanout"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:pages"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/0f3c8c1e-aaaa-4048-8e7f-37f7fb8b87c1"
NAMES = ("connect", "default", "disconnect", "fanout_worker", "kick", "publish", "sendmessage", "sweeper", "whoami")
DIGEST = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
OLD, NEW = dt.datetime(2026, 11, 1, tzinfo=dt.UTC), dt.datetime(2026, 11, 2, tzinfo=dt.UTC)
LIMITS = {
    "DataTraceEnabled": False,
    "LoggingLevel": "OFF",
    "ThrottlingBurstLimit": 1000,
    "ThrottlingRateLimit": 2000.0,
}


def route_of(name: str) -> str:
    """Return the key of a function's route."""
    return f"${name}" if name in OF_HANDSHAKES else name


ROUTES = {route_of(name): name for name in NAMES if name not in WORKERS}


def refusal(operation: str, code: str, message: str = "", status: int = 400) -> ClientError:
    """Return an error of AWS's."""
    fields: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(fields, operation)


def _as_sent(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return an answer without what botocore makes of it."""
    found = {name: each for name, each in answer.items() if name != "ResponseMetadata"}
    if isinstance(found.get("Role"), dict):
        trust = json.dumps(found["Role"]["AssumeRolePolicyDocument"])
        found["Role"] = {**found["Role"], "AssumeRolePolicyDocument": trust}
    return found


class World(Answers):
    """An account with a healthy stage.

    Attributes:
        found: What the account has; tests change it.
        calls: Services and operations that were called.
        withheld: Actions that the caller has no right to.
    """

    def __init__(self, **values: Any) -> None:
        digests = dict.fromkeys(NAMES, DIGEST)
        queue, dead = f"{QUEUES}-fanout", f"{QUEUES}-fanout-dead-letters"
        found = {"functions": digests, "fanout_queue_url": queue, "fanout_dead_letter_queue_url": dead, **values}
        stage = stages.of_parameter(f"/roomcast/roomcast/{STAGE}", json.dumps(parameter(**found)))
        super().__init__(stage, aws.Account(REGION))
        self.found: dict[str, Any] = copy.deepcopy({**HEALTHY})
        self.calls: list[tuple[str, str]] = []
        self.withheld: set[str] = set()

    def call(self, service: str, operation: str, key: str, params: Mapping[str, Any]) -> Any:
        """Answer as AWS would."""
        self.calls.append((service, operation))
        model = aws.session_of(None).get_service_model(service)
        described = model.operation_model("".join(part.capitalize() for part in operation.split("_")))
        validate_parameters(params, described.input_shape)
        action = action_of(service, operation)
        if service == "apigatewaymanagementapi":
            action = "execute-api:ManageConnections"
        if action in self.withheld:
            message = f"User: {WHO} is not authorized to perform: {action} on resource: arn:aws:x:::it"
            raise refusal(operation, "AccessDeniedException", message, 403)
        answer = getattr(self, f"_{operation}")(**params)
        if answer is None:
            raise refusal(operation, "ResourceNotFoundException", status=404)
        validate_parameters(_as_sent(answer), described.output_shape)
        return answer[key] if key else answer

    def _get_caller_identity(self) -> Any:
        return copy.deepcopy(self.found["identity"])

    def _get_account(self) -> Any:
        return self.found["account"]

    def _get_account_settings(self) -> Any:
        return {"AccountLimit": self.found["limits"]}

    def _get_service_quota(self, **_: str) -> Any:
        return self.found["quota"] and {"Quota": {"Value": self.found["quota"]}}

    def _get_api(self, **_: str) -> Any:
        return self.found["api"]

    def _get_stage(self, **_: str) -> Any:
        return self.found["stage"]

    def _get_deployments(self, **_: str) -> Any:
        return {"Items": [{"DeploymentId": name, "CreatedDate": at} for name, at in self.found["deployments"].items()]}

    def _get_routes(self, **_: str) -> Any:
        return {"Items": [*self.found["routes"].values()]}

    def _get_integrations(self, **_: str) -> Any:
        return {"Items": [*self.found["integrations"].values()]}

    def _get_function_configuration(self, FunctionName: str, Qualifier: str) -> Any:
        return self.found["functions"].get(FunctionName)

    def _get_function_concurrency(self, FunctionName: str) -> Any:
        number = self.found["reserved"].get(FunctionName)
        return {} if number is None else {"ReservedConcurrentExecutions": number}

    def _get_function_recursion_config(self, FunctionName: str) -> Any:
        return {"RecursiveLoop": self.found["recursion"]}

    def _get_policy(self, FunctionName: str, Qualifier: str = "") -> Any:
        statements = self.found["policies"].get(f"{FunctionName}:{Qualifier}".removesuffix(":"))
        return statements and {"Policy": json.dumps({"Statement": statements})}

    def _list_event_source_mappings(self) -> Any:
        return {"EventSourceMappings": self.found["mappings"]}

    def _get_connection(self, ConnectionId: str) -> Any:
        raise self.found["connection"]

    def _get_domain_name(self, DomainName: str) -> Any:
        return self.found["domains"].get(DomainName)

    def _get_api_mappings(self, DomainName: str) -> Any:
        return {"Items": self.found["api_mappings"]}

    def _describe_certificate(self, CertificateArn: str) -> Any:
        return {"Certificate": self.found["certificate"]}

    def _describe_vpc_endpoints(self, Filters: Any) -> Any:
        return {"VpcEndpoints": self.found["endpoints"]}

    def _describe_route_tables(self, Filters: Any) -> Any:
        return {"RouteTables": self.found["route_tables"]}

    def _describe_table(self, TableName: str) -> Any:
        return self.found["table"] and {"Table": self.found["table"]}

    def _describe_time_to_live(self, TableName: str) -> Any:
        return {"TimeToLiveDescription": self.found["ttl"]}

    def _scan(self, FilterExpression: str, **_: Any) -> Any:
        found = [*self.found["rows"], *([] if "expires_at > :now" in FilterExpression else self.found["expired"])]
        keys = [{"partition_key": {"S": key}, "sort_key": {"S": "x"}} for key in found]
        return {"Items": keys, "Count": len(keys)}

    def _get_item(self, TableName: str, Key: Any) -> Any:
        return {"Item": self.found["sweep"]} if self.found["sweep"] else {}

    def _get_queue_attributes(self, QueueUrl: str, AttributeNames: Any) -> Any:
        found = self.found["queues"].get(QueueUrl.rpartition("/")[2])
        return found and {"Attributes": found}

    def _list_queues(self, QueueNamePrefix: str) -> Any:
        return {"QueueUrls": [f"{QUEUES.rpartition('/')[0]}/{name}" for name in self.found["queues"]]}

    def _simulate_principal_policy(
        self, PolicySourceArn: str, ActionNames: Any, ResourceArns: Any, ContextEntries: Any = ()
    ) -> Any:
        name = PolicySourceArn.rpartition("/")[2]
        denied = {action for role, action in self.found["denied"] if role == name}
        return {
            "EvaluationResults": [
                {
                    "EvalActionName": action,
                    "EvalResourceName": arn,
                    "EvalDecision": "implicitDeny" if action in denied else "allowed",
                }
                for action in ActionNames
                for arn in ResourceArns
            ]
        }

    def _get_role(self, RoleName: str) -> Any:
        return {"Role": self.found["roles"][RoleName]["role"]}

    def _list_role_policies(self, RoleName: str) -> Any:
        return {"PolicyNames": self.found["roles"][RoleName]["inline"]}

    def _list_attached_role_policies(self, RoleName: str) -> Any:
        return {"AttachedPolicies": self.found["roles"][RoleName]["attached"]}

    def _describe_key(self, KeyId: str) -> Any:
        state = self.found["keys"].get(KeyId)
        return state and {"KeyMetadata": {"KeyId": KeyId, "KeyState": state}}

    def _describe_log_groups(self, logGroupNamePrefix: str) -> Any:
        names = [name for name in self.found["groups"] if name.startswith(logGroupNamePrefix)]
        return {"logGroups": [{"logGroupName": name, **self.found["groups"][name]} for name in names]}

    def _describe_alarms(self, AlarmNamePrefix: str, AlarmTypes: Any) -> Any:
        return {"MetricAlarms": [*self.found["alarms"], *OF_ANOTHER_STAGE]}

    def _get_topic_attributes(self, TopicArn: str) -> Any:
        found = self.found["topics"].get(TopicArn)
        return found and {"Attributes": found}

    def _get_schedule(self, Name: str) -> Any:
        return self.found["schedule"] and {"State": self.found["schedule"]}

    def _get_metric_data(self, MetricDataQueries: Any, ScanBy: str, **_: Any) -> Any:
        [query] = MetricDataQueries
        of_stage = {"Namespace": "Roomcast", "Dimensions": [{"Name": "Backend", "Value": "roomcast"}]}
        assert query["MetricStat"]["Metric"] == {**of_stage, "MetricName": "connections"}
        youngest_first = self.found["census"]
        values = youngest_first if ScanBy == "TimestampDescending" else youngest_first[::-1]
        return {"MetricDataResults": [{"Id": query["Id"], "Values": values}]}


OF_ANOTHER_STAGE = [{"AlarmName": "roomcast-test-posts-failed", "ActionsEnabled": False, "AlarmActions": []}]
"""Alarms of a backend whose name begins with the stage's."""


def _function(name: str) -> dict[str, Any]:
    environment = {
        "ROOMCAST_AUTHORIZATION": "NONE",
        "ROOMCAST_BACKEND": "roomcast",
        "ROOMCAST_CLIENT_LIMITS": '{"spread": 60}',
        "ROOMCAST_MANAGEMENT_ENDPOINT": f"https://{API}.execute-api.{REGION}.amazonaws.com/live",
        "ROOMCAST_PACE": "0",
        "ROOMCAST_SHARDS_PER_ROOM": "2",
        "ROOMCAST_SHARDS_READ": "2",
        "ROOMCAST_TABLE_NAME": TABLE,
        **({"ROOMCAST_SWEEP_PACE": "100"} if name == "sweeper" else {}),
    }
    return {
        "FunctionName": f"roomcast-{name}",
        "FunctionArn": f"{FUNCTION}{name}:1",
        "CodeSha256": DIGEST,
        "Environment": {"Variables": environment},
        "LastModified": "2026-11-20T03:33:20.000+0000",
        "LastUpdateStatus": "Successful",
        "LoggingConfig": {"LogFormat": "Text"},
        "Role": f"arn:aws:iam::{ACCOUNT}:role/roomcast-{name}-{REGION}",
        "Runtime": "python3.13",
        "State": "Active",
        "Timeout": 27,
        "TracingConfig": {"Mode": "PassThrough"},
        "VpcConfig": {"VpcId": "", "SubnetIds": []},
    }


def _role() -> dict[str, Any]:
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}
    described = {
        "Path": "/",
        "RoleName": "role",
        "RoleId": "AROAEXAMPLEEXAMPLE00",
        "Arn": f"arn:aws:iam::{ACCOUNT}:role/x",
    }
    role = {**described, "CreateDate": OLD, "AssumeRolePolicyDocument": {"Statement": [trust]}}
    return {"role": role, "inline": ["logs", "task"], "attached": []}


def statement(name: str, key: str) -> dict[str, Any]:
    """Return the statement that lets API Gateway invoke an alias for a route."""
    return {
        "Sid": f"{name}-1",
        "Effect": "Allow",
        "Principal": {"Service": "apigateway.amazonaws.com"},
        "Action": "lambda:InvokeFunction",
        "Resource": f"{FUNCTION}{name}:live",
        "Condition": {"ArnLike": {"AWS:SourceArn": f"{EXECUTION}/{key}"}},
    }


HEALTHY: Mapping[str, Any] = {
    "identity": {
        "Account": ACCOUNT,
        "Arn": WHO,
        "UserId": "ann",
        "ResponseMetadata": {"HTTPHeaders": {"date": ""}},
    },
    "account": {"cloudwatchRoleArn": f"arn:aws:iam::{ACCOUNT}:role/logs", "throttleSettings": {"rateLimit": 10_000.0}},
    "limits": {"ConcurrentExecutions": 1_000, "UnreservedConcurrentExecutions": 1_000},
    "quota": 500.0,
    "census": [400.0],
    "api": {"ProtocolType": "WEBSOCKET", "Name": "roomcast", "RouteSelectionExpression": "$request.body.action"},
    "stage": {
        "StageName": STAGE,
        "AutoDeploy": True,
        "DeploymentId": "new",
        "DefaultRouteSettings": LIMITS,
        "RouteSettings": dict.fromkeys(ROUTES, LIMITS),
        "AccessLogSettings": {
            "DestinationArn": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/apigateway/roomcast/live",
            "Format": '{"request_id": "$context.requestId", "principal": "$context.authorizer.principalId"}',
        },
    },
    "deployments": {"old": OLD, "new": NEW},
    "routes": {
        key: {"RouteKey": key, "Target": f"integrations/{name}", "AuthorizationType": "NONE"}
        for key, name in ROUTES.items()
    },
    "integrations": {
        name: {
            "IntegrationId": name,
            "IntegrationType": "AWS_PROXY",
            "IntegrationUri": f"{INVOKE}/{FUNCTION}{name}:live/invocations",
        }
        for name in ROUTES.values()
    },
    "functions": {f"roomcast-{name}": _function(name) for name in NAMES},
    "policies": {f"{FUNCTION}{name}:live": [statement(name, key)] for key, name in ROUTES.items()},
    "reserved": {},
    "recursion": "Terminate",
    "mappings": [
        {
            "UUID": "0a257475-4dbd-4230-934f-01bf5b8d1f10",
            "EventSourceArn": QUEUE,
            "FunctionArn": f"{FUNCTION}fanout_worker:live",
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "ScalingConfig": {"MaximumConcurrency": 10},
            "State": "Enabled",
        }
    ],
    "connection": refusal("GetConnection", "GoneException", status=410),
    "domains": {},
    "api_mappings": [],
    "certificate": {"Status": "ISSUED"},
    "endpoints": [],
    "route_tables": [],
    "table": {
        "TableName": TABLE,
        "TableStatus": "ACTIVE",
        "KeySchema": [
            {"AttributeName": "partition_key", "KeyType": "HASH"},
            {"AttributeName": "sort_key", "KeyType": "RANGE"},
        ],
        "BillingModeSummary": {"BillingMode": "PAY_PER_REQUEST"},
        "SSEDescription": {"KMSMasterKeyArn": KEY},
    },
    "ttl": {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires_at"},
    "rows": ["room#lobby#0", "room#lobby#1"],
    "expired": ["room#lobby#2"],
    "sweep": None,
    "queues": {
        "roomcast-fanout": {
            "QueueArn": QUEUE,
            "VisibilityTimeout": "180",
            "MessageRetentionPeriod": "86400",
            "RedrivePolicy": json.dumps({"deadLetterTargetArn": f"{QUEUE}-dead-letters", "maxReceiveCount": 5}),
        },
        "roomcast-fanout-dead-letters": {"QueueArn": f"{QUEUE}-dead-letters", "MessageRetentionPeriod": "1209600"},
    },
    "denied": [],
    "roles": {f"roomcast-{name}-{REGION}": _role() for name in NAMES},
    "keys": {KEY: "Enabled"},
    "groups": {
        **{f"/aws/lambda/roomcast-{name}": {"retentionInDays": 30, "logGroupClass": "STANDARD"} for name in NAMES},
        "/aws/apigateway/roomcast/live": {"retentionInDays": 30, "logGroupClass": "STANDARD"},
    },
    "alarms": [
        {
            **ALARM,
            "AlarmName": "roomcast-posts-failed",
            "ActionsEnabled": True,
            "AlarmActions": [TOPIC],
            "OKActions": [TOPIC],
            "StateValue": "OK",
            "StateUpdatedTimestamp": OLD,
        }
    ],
    "topics": {TOPIC: {"SubscriptionsConfirmed": "1", "KmsMasterKeyId": KEY}},
    "schedule": "ENABLED",
}
"""What a healthy account answers."""
