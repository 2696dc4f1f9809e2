"""Faults that tests plant in an applied stage by calls of AWS, and take away again."""
# ruff: noqa: ANN401 - botocore makes its clients at run time

from __future__ import annotations

import io
import json
import zipfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from scripts.local.aws import Aws

    Fault = Callable[["Stage"], AbstractContextManager[None]]

SOON = {"Delay": 1, "MaxAttempts": 60}
OF_AN_ALARM = (
    "ActionsEnabled", "AlarmActions", "AlarmDescription", "AlarmName", "ComparisonOperator", "DatapointsToAlarm",
    "EvaluationPeriods", "Metrics", "OKActions", "Threshold", "TreatMissingData",
)  # fmt: skip
"""What puts an alarm as it is."""
QUOTA_ROLE = "/cloudwatchRoleArn"


class Stage:
    """A stage, and clients that may do anything with it.

    Attributes:
        outputs: The stage's, of Terraform.
        topic: The topic of its alarms.
    """

    def __init__(self, aws: Aws, outputs: Mapping[str, Any], topic: str) -> None:
        self.outputs, self.topic = outputs, topic
        self._aws = aws
        self.name = outputs["function_arns"]["connect"].split(":")[6].removesuffix("-connect")
        self.at = {"ApiId": outputs["api_id"], "StageName": outputs["stage_name"]}

    def client(self, service: str) -> Any:
        """Return a client of a service."""
        return self._aws.session.client(service, endpoint_url=self._aws.endpoint_url)  # type: ignore[call-overload]

    def arn(self, function: str) -> str:
        """Return the ARN of a function, without its alias."""
        found: str = self.outputs["function_arns"][function]
        return found

    @property
    def served(self) -> Any:
        """The stage, as API Gateway has it."""
        return self.client("apigatewayv2").get_stage(**self.at)

    def route(self, key: str) -> Any:
        """Return a route."""
        found = self.client("apigatewayv2").get_routes(ApiId=self.outputs["api_id"])["Items"]
        return next(each for each in found if each["RouteKey"] == key)


def limits(key: str, **values: Any) -> Fault:
    """Other settings of a route."""

    @contextmanager
    def planted(stage: Stage) -> Iterator[None]:
        before = stage.served["RouteSettings"]
        client = stage.client("apigatewayv2")
        client.update_stage(**stage.at, RouteSettings={**before, key: {**before[key], **values}})
        yield
        client.update_stage(**stage.at, RouteSettings=before)

    return planted


def api(**values: Any) -> Fault:
    """Other settings of the API."""

    @contextmanager
    def planted(stage: Stage) -> Iterator[None]:
        client, at = stage.client("apigatewayv2"), {"ApiId": stage.outputs["api_id"]}
        before = client.get_api(**at)
        client.update_api(**at, **values)
        yield
        client.update_api(**at, **{name: before[name] for name in values})

    return planted


@contextmanager
def no_logging_role(stage: Stage) -> Iterator[None]:
    """The account has no role for the logs of API Gateway."""
    client = stage.client("apigateway")
    before = client.get_account()["cloudwatchRoleArn"]
    client.update_account(patchOperations=[{"op": "replace", "path": QUOTA_ROLE, "value": ""}])
    yield
    client.update_account(patchOperations=[{"op": "replace", "path": QUOTA_ROLE, "value": before}])


@contextmanager
def older_deployment(stage: Stage) -> Iterator[None]:
    """The stage serves another deployment than the newest."""
    client, at = stage.client("apigatewayv2"), {"ApiId": stage.outputs["api_id"]}
    served = client.get_deployment(**at, DeploymentId=stage.served["DeploymentId"])
    client.update_stage(**stage.at, AutoDeploy=False)
    made = client.create_deployment(**at)
    while made["CreatedDate"] <= served["CreatedDate"]:  # of the same second
        client.delete_deployment(**at, DeploymentId=made["DeploymentId"])
        made = client.create_deployment(**at)
    yield
    client.delete_deployment(**at, DeploymentId=made["DeploymentId"])
    client.update_stage(**stage.at, DeploymentId=served["DeploymentId"], AutoDeploy=True)


@contextmanager
def another_route(stage: Stage) -> Iterator[None]:
    """A route that Terraform does not know."""
    client, at = stage.client("apigatewayv2"), {"ApiId": stage.outputs["api_id"]}
    made = client.create_route(**at, RouteKey="by-hand", Target=stage.route("whoami")["Target"])
    arn = f"{stage.arn('whoami')}"
    client.get_route(**at, RouteId=made["RouteId"])
    source = f"{stage.outputs['stage_execution_arn']}/by-hand"
    permission = {"FunctionName": arn, "Qualifier": "live", "StatementId": "by-hand"}
    functions = stage.client("lambda")
    functions.add_permission(
        **permission, Action="lambda:InvokeFunction", Principal="apigateway.amazonaws.com", SourceArn=source
    )
    yield
    functions.remove_permission(**permission)
    client.delete_route(**at, RouteId=made["RouteId"])


@contextmanager
def wrong_integration(stage: Stage) -> Iterator[None]:
    """A route invokes the function of another one, which lets it."""
    client, at = stage.client("apigatewayv2"), {"ApiId": stage.outputs["api_id"]}
    route = stage.route("whoami")
    permission = {"FunctionName": stage.arn("who"), "Qualifier": "live", "StatementId": "by-hand"}
    functions, source = stage.client("lambda"), f"{stage.outputs['stage_execution_arn']}/whoami"
    functions.add_permission(
        **permission, Action="lambda:InvokeFunction", Principal="apigateway.amazonaws.com", SourceArn=source
    )
    client.update_route(**at, RouteId=route["RouteId"], Target=stage.route("who")["Target"])
    yield
    client.update_route(**at, RouteId=route["RouteId"], Target=route["Target"])
    functions.remove_permission(**permission)


@contextmanager
def no_permission(stage: Stage) -> Iterator[None]:
    """API Gateway may not invoke the function of a route."""
    client = stage.client("lambda")
    at = {"FunctionName": stage.arn("whoami"), "Qualifier": "live"}
    [statement] = json.loads(client.get_policy(**at)["Policy"])["Statement"]
    client.remove_permission(**at, StatementId=statement["Sid"])
    yield
    client.add_permission(
        **at,
        StatementId=statement["Sid"],
        Action="lambda:InvokeFunction",
        Principal="apigateway.amazonaws.com",
        SourceArn=f"{stage.outputs['stage_execution_arn']}/whoami",
    )


@contextmanager
def permission_for_any_principal(stage: Stage) -> Iterator[None]:
    """Any account may invoke a function."""
    client, at = stage.client("lambda"), {"FunctionName": stage.arn("whoami"), "StatementId": "by-hand"}
    client.add_permission(**at, Action="lambda:InvokeFunction", Principal="*")
    yield
    client.remove_permission(**at)


@contextmanager
def other_endpoint(stage: Stage) -> Iterator[None]:
    """The stage's parameter tells the address of another stage."""
    client, name = stage.client("ssm"), stage.outputs["stage_parameter_name"]
    before = client.get_parameter(Name=name)["Parameter"]["Value"]
    fields = json.loads(before)
    fields["management_endpoint"] = fields["management_endpoint"].rpartition("/")[0] + "/other"
    client.put_parameter(Name=name, Value=json.dumps(fields), Overwrite=True)
    yield
    client.put_parameter(Name=name, Value=before, Overwrite=True)


def served(function: str, **values: Any) -> Fault:
    """A function's alias serves another configuration."""

    @contextmanager
    def planted(stage: Stage) -> Iterator[None]:
        client, at = stage.client("lambda"), {"FunctionName": stage.arn(function)}
        before = client.get_function_configuration(**at)
        version = client.get_alias(**at, Name="live")["FunctionVersion"]
        client.update_function_configuration(**at, **values)
        client.get_waiter("function_updated_v2").wait(**at, WaiterConfig=SOON)
        client.update_alias(**at, Name="live", FunctionVersion=client.publish_version(**at)["Version"])
        client.get_waiter("function_active_v2").wait(**at, Qualifier="live", WaiterConfig=SOON)
        yield
        client.update_alias(**at, Name="live", FunctionVersion=version)
        client.update_function_configuration(**at, **{name: _given(before[name]) for name in values})

    return planted


def _given(setting: Any) -> Any:
    """Return a setting without the VPC that Lambda adds to its subnets."""
    return {name: value for name, value in setting.items() if name != "VpcId"} if isinstance(setting, dict) else setting


def in_network(*, is_open: bool, private_dns: bool) -> Fault:
    """A function posts from a VPC.

    Args:
        is_open: Whether a NAT gateway leads out of it.
        private_dns: Whether an endpoint for execute-api takes the names of all APIs.
    """

    @contextmanager
    def planted(stage: Stage) -> Iterator[None]:
        client = stage.client("ec2")
        vpc = client.create_vpc(CidrBlock="10.6.0.0/16")["Vpc"]["VpcId"]
        subnet = client.create_subnet(VpcId=vpc, CidrBlock="10.6.0.0/24")["Subnet"]["SubnetId"]
        group = client.create_security_group(VpcId=vpc, GroupName="functions", Description="Functions")["GroupId"]
        table = client.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
        client.associate_route_table(RouteTableId=table, SubnetId=subnet)
        if is_open:
            gateway = client.create_nat_gateway(SubnetId=subnet)["NatGateway"]["NatGatewayId"]
            client.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=gateway)
        service = f"com.amazonaws.{client.meta.region_name}.execute-api"
        client.create_vpc_endpoint(
            VpcId=vpc, ServiceName=service, VpcEndpointType="Interface", PrivateDnsEnabled=private_dns
        )
        with served("sendmessage", VpcConfig={"SubnetIds": [subnet], "SecurityGroupIds": [group]})(stage):
            yield

    return planted


@contextmanager
def without_variable(stage: Stage) -> Iterator[None]:
    """A function lacks the name of the table."""
    environment = stage.client("lambda").get_function_configuration(FunctionName=stage.arn("who"))["Environment"]
    left = {name: value for name, value in environment["Variables"].items() if name != "ROOMCAST_TABLE_NAME"}
    with served("who", Environment={"Variables": left})(stage):
        yield


@contextmanager
def other_code(stage: Stage) -> Iterator[None]:
    """A function runs code that was not applied."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("leave.py", "def handler(*_): ...\n")
    client, at = stage.client("lambda"), {"FunctionName": stage.arn("leave")}  # for its next version has it, too
    version = client.get_alias(**at, Name="live")["FunctionVersion"]
    made = client.update_function_code(**at, ZipFile=archive.getvalue(), Publish=True)["Version"]
    client.update_alias(**at, Name="live", FunctionVersion=made)
    client.get_waiter("function_active_v2").wait(**at, Qualifier="live", WaiterConfig=SOON)
    yield
    client.update_alias(**at, Name="live", FunctionVersion=version)


@contextmanager
def no_concurrency(stage: Stage) -> Iterator[None]:
    """A function must not run."""
    client = stage.client("lambda")
    client.put_function_concurrency(FunctionName=stage.arn("who"), ReservedConcurrentExecutions=0)
    yield
    client.delete_function_concurrency(FunctionName=stage.arn("who"))


def role_of(stage: Stage, function: str) -> str:
    """Return the name of a function's role."""
    found = stage.client("lambda").get_function_configuration(FunctionName=stage.arn(function))["Role"]
    return str(found).rpartition("/")[2]


@contextmanager
def less_rights(stage: Stage) -> Iterator[None]:
    """A function may not read the table."""
    client, at = stage.client("iam"), {"RoleName": role_of(stage, "whoami"), "PolicyName": "task"}
    before = client.get_role_policy(**at)["PolicyDocument"]
    left = [each for each in before["Statement"] if "dynamodb" not in json.dumps(each.get("Action"))]
    client.put_role_policy(**at, PolicyDocument=json.dumps({**before, "Statement": left}))
    yield
    client.put_role_policy(**at, PolicyDocument=json.dumps(before))


@contextmanager
def more_rights(stage: Stage) -> Iterator[None]:
    """A function may do anything."""
    client, at = stage.client("iam"), {"RoleName": role_of(stage, "whoami"), "PolicyName": "by-hand"}
    anything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    client.put_role_policy(**at, PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [anything]}))
    yield
    client.delete_role_policy(**at)


@contextmanager
def provisioned_table(stage: Stage) -> Iterator[None]:
    """The table has provisioned capacity."""
    client, at = stage.client("dynamodb"), {"TableName": stage.outputs["connections_table_name"]}
    units = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}
    client.update_table(**at, BillingMode="PROVISIONED", ProvisionedThroughput=units)
    yield
    client.update_table(**at, BillingMode="PAY_PER_REQUEST")


@contextmanager
def no_time_to_live(stage: Stage) -> Iterator[None]:
    """Nothing expires."""
    client, at = stage.client("dynamodb"), {"TableName": stage.outputs["connections_table_name"]}
    for enabled in (False, True):
        client.update_time_to_live(**at, TimeToLiveSpecification={"Enabled": enabled, "AttributeName": "expires_at"})
        if not enabled:
            yield


@contextmanager
def row_in_another_shard(stage: Stage) -> Iterator[None]:
    """A member is where no function looks."""
    client, at = stage.client("dynamodb"), {"TableName": stage.outputs["connections_table_name"]}
    key = {"partition_key": {"S": "room#lobby#5"}, "sort_key": {"S": "by-hand="}}
    client.put_item(**at, Item={**key, "connected_at": {"N": "1"}, "expires_at": {"N": "9999999999"}})
    yield
    client.delete_item(**at, Key=key)


@contextmanager
def disabled_mapping(stage: Stage) -> Iterator[None]:
    """No function reads the queue."""
    client = stage.client("lambda")
    [found] = client.list_event_source_mappings(FunctionName=f"{stage.arn('fanout_worker')}:live")[
        "EventSourceMappings"
    ]
    client.update_event_source_mapping(UUID=found["UUID"], Enabled=False)
    yield
    client.update_event_source_mapping(UUID=found["UUID"], Enabled=True)


def queue(kind: str, **values: Any) -> Fault:
    """Other attributes of a queue."""

    @contextmanager
    def planted(stage: Stage) -> Iterator[None]:
        client, url = stage.client("sqs"), stage.outputs[f"fanout_{kind}_url"]
        before = client.get_queue_attributes(QueueUrl=url, AttributeNames=[*values])["Attributes"]
        changed = {name: value(before[name]) if callable(value) else value for name, value in values.items()}
        client.set_queue_attributes(QueueUrl=url, Attributes=changed)
        yield
        client.set_queue_attributes(QueueUrl=url, Attributes=before)

    return planted


def few_tries(redrive: str) -> str:
    """Return a redrive policy with fewer tries."""
    return json.dumps({**json.loads(redrive), "maxReceiveCount": 2})


def open_policy(policy: str) -> str:
    """Return a policy of a queue that lets any principal send."""
    found = json.loads(policy)
    arn = found["Statement"][0]["Resource"]
    open_to_all = {"Sid": "ByHand", "Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": arn}
    return json.dumps({**found, "Statement": [*found["Statement"], open_to_all]})


@contextmanager
def dead_letter(stage: Stage) -> Iterator[None]:
    """A task was given up."""
    client, at = stage.client("sqs"), {"QueueUrl": stage.outputs["fanout_dead_letter_queue_url"]}
    client.send_message(**at, MessageBody="[]")
    yield
    [found] = client.receive_message(**at)["Messages"]
    client.delete_message(**at, ReceiptHandle=found["ReceiptHandle"])


@contextmanager
def log_without_retention(stage: Stage) -> Iterator[None]:
    """A log is kept for ever."""
    client, at = stage.client("logs"), {"logGroupName": stage.outputs["log_group_names"]["who"]}
    client.delete_retention_policy(**at)
    yield
    client.put_retention_policy(**at, retentionInDays=30)


@contextmanager
def silent_alarm(stage: Stage) -> Iterator[None]:
    """An alarm reaches no operator."""
    client, names = stage.client("cloudwatch"), [f"{stage.name}-posts-failed"]
    client.disable_alarm_actions(AlarmNames=names)
    yield
    client.enable_alarm_actions(AlarmNames=names)


@contextmanager
def deaf_alarm(stage: Stage) -> Iterator[None]:
    """An alarm rings once all is lost."""
    client = stage.client("cloudwatch")
    [found] = client.describe_alarms(AlarmNames=[f"{stage.name}-posts-failed"])["MetricAlarms"]
    alarm = {name: found[name] for name in OF_AN_ALARM}
    client.put_metric_alarm(**{**alarm, "Threshold": 99.0})
    yield
    client.put_metric_alarm(**alarm)


@contextmanager
def unsuitable_key(stage: Stage) -> Iterator[None]:
    """CloudWatch cannot write to the topic."""
    client, at = stage.client("sns"), {"TopicArn": stage.topic, "AttributeName": "KmsMasterKeyId"}
    client.set_topic_attributes(**at, AttributeValue="alias/aws/sns")
    yield
    client.set_topic_attributes(**at, AttributeValue="")


FAULTS: list[tuple[str, str, Fault]] = [
    ("logging-role", "cloudwatchRoleArn", no_logging_role),
    ("requests-quota", "route whoami", limits("whoami", ThrottlingRateLimit=20_000.0)),
    ("concurrency", "reserved concurrency 0", no_concurrency),
    ("deployment", "is newer", older_deployment),
    ("routes", "not declared", another_route),
    ("routes", "selects routes", api(RouteSelectionExpression="$request.body.type")),
    ("integrations", "and not", wrong_integration),
    ("permission", "may not invoke", no_permission),
    ("permission", "lets any principal", permission_for_any_principal),
    ("throttle-zero", "route whoami has rate limit 0", limits("whoami", ThrottlingRateLimit=0.0)),
    ("throttle-zero", "route whoami has burst limit 0", limits("whoami", ThrottlingBurstLimit=0)),
    ("stage-logs", "traces data", limits("whoami", DataTraceEnabled=True)),
    ("delivery", "answers 403", other_endpoint),
    ("endpoint", "is off", api(DisableExecuteApiEndpoint=True)),
    ("private-dns", "has private DNS", in_network(is_open=True, private_dns=True)),
    ("vpc-route", "no route to a NAT gateway", in_network(is_open=False, private_dns=False)),
    ("code", "other code", other_code),
    ("environment", "ROOMCAST_TABLE_NAME", without_variable),
    ("time-outs", "29 s", served("sendmessage", Timeout=29)),
    ("time-outs", "hides a message", queue("queue", VisibilityTimeout="30")),
    ("recursion", "16 hand-overs", served("fanout_worker", TracingConfig={"Mode": "Active"})),
    ("roles", "dynamodb:GetItem", less_rights),
    ("role-drift", "by-hand", more_rights),
    ("table", "provisioned", provisioned_table),
    ("ttl", "no time to live", no_time_to_live),
    ("shards", "6 partitions", row_in_another_shard),
    ("mapping", "Disabl", disabled_mapping),
    ("queues", "2 tries", queue("queue", RedrivePolicy=few_tries)),
    ("queues", "lets any principal", queue("queue", Policy=open_policy)),
    ("queues", "given up 1 task:", dead_letter),
    ("log-groups", "for ever", log_without_retention),
    ("alarms", "are off", silent_alarm),
    ("alarms", "not as it was applied", deaf_alarm),
    ("topic", "alias/aws/sns", unsuitable_key),
]
"""Checks, what each says of its fault, and the fault."""
