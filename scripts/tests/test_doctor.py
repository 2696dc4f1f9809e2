"""``roomcast doctor``: each fault is named by its check and by no other; a healthy stage has none."""

from __future__ import annotations

import datetime as dt
import email.utils
import json
import re
import threading
import time
from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import EndpointConnectionError
from roomcast_cli import dated, policies
from roomcast_cli.aws import Account, session_of
from roomcast_cli.doctor import examination, functions, rights
from roomcast_cli.doctor.answers import PACED, Answers, Pace
from roomcast_cli.doctor.checks import PASSED, SKIPPED, WARNING, Check
from roomcast_cli.doctor.unmade import NotMade

from scripts.asked_of_aws.functions import functions as asked_of_aws
from scripts.asked_of_aws.runs import RUNS
from scripts.repository import REPOSITORY as ROOT
from scripts.tests import stages
from scripts.tests.command_line import of_json, on_terminal, run
from scripts.tests.examined import (
    DIGEST,
    FUNCTION,
    HEALTHY,
    KEY,
    LIMITS,
    NAMES,
    NEW,
    QUEUE,
    TOPIC,
    World,
    refusal,
    statement,
)
from scripts.tests.fake_aws import ACCOUNT, REGION, FakeAws, Refusal, fake_aws

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Plant = Callable[[dict[str, Any]], object]

CONNECT, WORKER, SEND = "roomcast-connect", "roomcast-fanout_worker", "roomcast-sendmessage"
ROLE = f"roomcast-connect-{REGION}"
ELSEWHERE = {
    "us-east-1": f"arn:aws:kms:us-east-1:{ACCOUNT}:key/x",
    "444455556666": f"arn:aws:kms:{REGION}:444455556666:key/x",
}
VPC = {"VpcId": "vpc-1", "SubnetIds": ["subnet-1"]}
ENDPOINT = {"VpcEndpointId": "vpce-1", "VpcId": "vpc-1", "ServiceName": f"com.amazonaws.{REGION}.execute-api"}
OUT = {"DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": "nat-1", "State": "active"}
OUT_BY_IPV6 = {"DestinationIpv6CidrBlock": "::/0", "EgressOnlyInternetGatewayId": "eigw-1", "State": "active"}
PUBLIC = {"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": "igw-1", "State": "active"}
DEAD = "roomcast-fanout-dead-letters"
ANY_PRINCIPAL = {"Sid": "all", "Effect": "Allow", "Principal": "*", "Action": "lambda:InvokeFunction"}


def table_of(*routes: Any) -> dict[str, Any]:
    """Return a route table of the subnet."""
    return {"VpcId": "vpc-1", "Associations": [{"SubnetId": "subnet-1"}], "Routes": [*routes]}


def variables(found: dict[str, Any], name: str) -> dict[str, str]:
    """Return the environment of a function."""
    answer: dict[str, str] = found["functions"][name]["Environment"]["Variables"]
    return answer


def hours_ago(hours: float) -> dt.datetime:
    """Return a time before now."""
    return dt.datetime.now(dt.UTC) - dt.timedelta(hours=hours)


def policy_for(principal: Any, **more: Any) -> str:
    """Return the policy of a queue into which a principal may put messages."""
    return json.dumps({"Statement": [{"Effect": "Allow", "Principal": principal, "Action": "sqs:SendMessage", **more}]})


def settings(found: dict[str, Any], key: str, **values: Any) -> None:
    """Change the settings of a route."""
    found["stage"]["RouteSettings"][key] = {**LIMITS, **values}


def in_vpc(found: dict[str, Any], *, dual: bool = False, **values: Any) -> None:
    """Put all functions into a VPC, which has these values."""
    for function in found["functions"].values():
        function.update(VpcConfig={**VPC, "Ipv6AllowedForDualStack": dual})
    found.update(values)


FAULTS: list[tuple[str, str, Plant]] = [
    ("credentials", "444455556666", lambda w: w["identity"].update(Account="444455556666")),
    *(("region", place, lambda w, arn=arn: (
        w["functions"][CONNECT].update(KMSKeyArn=arn), w["keys"].update({arn: "Enabled"}),
    )) for place, arn in ELSEWHERE.items()),
    ("logging-role", "cloudwatchRoleArn", lambda w: w["account"].pop("cloudwatchRoleArn")),
    ("requests-quota", "the stage", lambda w: w["account"]["throttleSettings"].update(rateLimit=1_500.0)),
    ("requests-quota", "route whoami", lambda w: settings(w, "whoami", ThrottlingRateLimit=12_000.0)),
    ("requests-quota", "function sendmessage", lambda w: variables(w, SEND).update(ROOMCAST_PACE="20000")),
    ("requests-quota", "account_requests_per_second is 2,500", lambda w: (
        w["account"]["throttleSettings"].update(rateLimit=2_000.0),
    )),
    ("requests-quota", "sweeper", lambda w: variables(w, "roomcast-sweeper").update(ROOMCAST_SWEEP_PACE="20000")),
    ("handshake-quota", "10,000 handshakes", lambda w: w.update(census=[600_000.0])),
    ("handshake-quota", "500", lambda w: w.update(census=[30_000.0], quota=None)),
    ("handshake-quota", "410 handshakes", lambda w: w.update(census=[24_600.0])),
    ("concurrency", "10 concurrent", lambda w: w["limits"].update(
        ConcurrentExecutions=10, UnreservedConcurrentExecutions=10
    )),
    ("concurrency", "account_concurrency is 1,000", lambda w: w["limits"].update(
        ConcurrentExecutions=500, UnreservedConcurrentExecutions=500
    )),
    ("concurrency", "25 of them", lambda w: w["limits"].update(UnreservedConcurrentExecutions=25)),
    ("concurrency", "concurrency 0", lambda w: w["reserved"].update({CONNECT: 0})),
    ("concurrency", "concurrency 5", lambda w: w["reserved"].update({WORKER: 5})),
    ("deployment", "no deployment", lambda w: w["stage"].pop("DeploymentId")),
    ("deployment", "newer", lambda w: w["stage"].update(DeploymentId="old")),
    ("deployment", "does not exist", lambda w: w["stage"].update(DeploymentId="gone")),
    ("deployment", "failed", lambda w: w["stage"].update(LastDeploymentStatusMessage="Deployment attempt failed: x")),
    ("routes", "action names", lambda w: w["api"].update(RouteSelectionExpression="$request.body.type")),
    ("routes", "whoami is missing", lambda w: w["routes"].pop("whoami")),
    ("integrations", "no integration", lambda w: w["integrations"].pop("whoami")),
    ("integrations", "type MOCK", lambda w: w["integrations"]["whoami"].update(IntegrationType="MOCK")),
    ("permission", "may not invoke", lambda w: w["policies"].pop(f"{FUNCTION}whoami:live")),
    ("permission", "any principal", lambda w: w["policies"][f"{FUNCTION}whoami:live"].append(ANY_PRINCIPAL)),
    ("permission", "any principal", lambda w: w["policies"].update({f"{FUNCTION}kick": [ANY_PRINCIPAL]})),
    ("permission", "any principal", lambda w: w["policies"].update(
        {f"{FUNCTION}kick": [{**ANY_PRINCIPAL, "Principal": {"Service": "apigateway.amazonaws.com"}}]}
    )),
    ("permission", "may not invoke", lambda w: w["policies"][f"{FUNCTION}whoami:live"][0].update(Effect="Deny")),
    ("permission", "may not invoke", lambda w: w["policies"].update(
        {f"{FUNCTION}whoami:live": [statement("default", "whoami")]}
    )),
    ("permission", "may not invoke", lambda w: w["policies"].update(
        {f"{FUNCTION}whoami:live": [statement("whoami", "default")]}
    )),
    ("permission", "any principal", lambda w: w["policies"][f"{FUNCTION}whoami:live"].append(
        {**ANY_PRINCIPAL, "Condition": {"StringLike": {"AWS:SourceArn": "*"}}}
    )),
    ("permission", "any principal", lambda w: w["policies"][f"{FUNCTION}whoami:live"].append({
        **ANY_PRINCIPAL,
        "Principal": {"Service": "apigateway.amazonaws.com"},
        "Condition": {"ArnLike": {"AWS:SourceArn": f"arn:aws:execute-api:{REGION}:*:*/*"}},
    })),
    ("throttle-zero", "route whoami has rate limit 0", lambda w: settings(w, "whoami", ThrottlingRateLimit=0.0)),
    ("throttle-zero", "burst limit 0", lambda w: settings(w, "whoami", ThrottlingBurstLimit=0)),
    ("throttle-zero", "burst limit -1", lambda w: w["stage"].update(
        DefaultRouteSettings={**LIMITS, "ThrottlingBurstLimit": -1}
    )),
    ("throttle-zero", "rate limit 0", lambda w: w["stage"]["RouteSettings"].update(whoami={"ThrottlingBurstLimit": 5})),
    ("stage-logs", "traces data", lambda w: settings(w, "whoami", DataTraceEnabled=True)),
    ("stage-logs", "ERROR", lambda w: settings(w, "whoami", LoggingLevel="ERROR")),
    ("stage-logs", "route whoami has the logging level OFF", lambda w: w["stage"].update(
        DefaultRouteSettings={**LIMITS, "LoggingLevel": "ERROR"},
        RouteSettings={"whoami": {"ThrottlingBurstLimit": 5, "ThrottlingRateLimit": 5.0}},
    )),
    ("stage-logs", "header", lambda w: w["stage"]["AccessLogSettings"].update(Format="$context.header.x")),
    ("stage-logs", "userAgent", lambda w: w["stage"]["AccessLogSettings"].update(Format="$context.identity.userAgent")),
    ("stage-logs", "access log", lambda w: w["stage"].pop("AccessLogSettings")),
    ("stage-logs", "querystring", lambda w: w["stage"]["AccessLogSettings"].update(Format="$context.querystring.t")),
    ("stage-logs", "authorizer", lambda w: w["stage"]["AccessLogSettings"].update(Format="$context.authorizer.rooms")),
    ("delivery", "403", lambda w: w.update(connection=refusal("GetConnection", "Forbidden", "Forbidden", 403))),
    ("delivery", "404", lambda w: w.update(connection=refusal("GetConnection", "NotFoundException", "Not Found", 404))),
    ("delivery", "cannot be reached", lambda w: w.update(
        connection=EndpointConnectionError(endpoint_url="https://768b2390.execute-api.eu-central-1.amazonaws.com")
    )),
    ("endpoint", "is off", lambda w: w["api"].update(DisableExecuteApiEndpoint=True)),
    ("private-dns", "vpce-1", lambda w: in_vpc(
        w, endpoints=[{**ENDPOINT, "PrivateDnsEnabled": True}], route_tables=[table_of(OUT)]
    )),
    ("vpc-route", "subnet-1", lambda w: in_vpc(w, route_tables=[table_of(PUBLIC)])),
    ("vpc-route", "subnet-1", lambda w: in_vpc(w, route_tables=[table_of({**OUT, "State": "blackhole"})])),
    ("vpc-route", "subnet-1", lambda w: in_vpc(w, route_tables=[table_of(OUT_BY_IPV6)])),
    ("state", "Failed", lambda w: w["functions"][CONNECT].update(State="Failed", StateReason="no code")),
    ("state", "Pending", lambda w: w["functions"][CONNECT].update(State="Pending")),
    ("state", "Inactive", lambda w: w["functions"][CONNECT].update(State="Inactive")),
    ("state", "last update", lambda w: w["functions"][CONNECT].update(LastUpdateStatus="Failed")),
    ("code", "other code", lambda w: w["functions"][CONNECT].update(CodeSha256="other")),
    ("environment", "ROOMCAST_TABLE_NAME", lambda w: variables(w, CONNECT).pop("ROOMCAST_TABLE_NAME")),
    ("environment", "ROOMCAST_SHARDS_READ", lambda w: variables(w, CONNECT).update(ROOMCAST_SHARDS_READ="4")),
    ("runtime", "python3.9", lambda w: w["functions"][CONNECT].update(Runtime="python3.9")),
    ("time-outs", "may run 28 s", lambda w: w["functions"][SEND].update(Timeout=28)),
    ("time-outs", "161 s", lambda w: w["queues"]["roomcast-fanout"].update(VisibilityTimeout="161")),
    ("recursion", "16 hand-overs", lambda w: w["functions"][WORKER].update(TracingConfig={"Mode": "Active"})),
    ("roles", "dynamodb:PutItem", lambda w: w["denied"].append((ROLE, "dynamodb:PutItem"))),
    ("role-drift", "by-hand", lambda w: w["roles"][ROLE]["inline"].append("by-hand")),
    ("role-drift", "Admin", lambda w: w["roles"][ROLE]["attached"].append({"PolicyName": "Admin"})),
    ("role-drift", "trusts", lambda w: w["roles"][ROLE]["role"].update(
        AssumeRolePolicyDocument={"Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}}]}
    )),
    ("role-drift", "younger", lambda w: w["roles"][ROLE]["role"].update(CreateDate=NEW.replace(day=28))),
    ("keys", "PendingDeletion", lambda w: w["keys"].update({KEY: "PendingDeletion"})),
    ("keys", "Disabled", lambda w: w["keys"].update({KEY: "Disabled"})),
    ("keys", "connect may not use the key", lambda w: w["denied"].append((ROLE, "kms:Decrypt"))),
    ("keys", "gone", lambda w: w["queues"]["roomcast-fanout"].update(KmsMasterKeyId="0f3c")),
    ("table", "CREATING", lambda w: w["table"].update(TableStatus="CREATING")),
    ("table", "keys", lambda w: w["table"].update(KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}])),
    ("table", "provisioned", lambda w: w["table"].update(BillingModeSummary={"BillingMode": "PROVISIONED"})),
    ("table", "at most 100 read", lambda w: w["table"].update(OnDemandThroughput={"MaxReadRequestUnits": 100})),
    ("table", "at most 100 write", lambda w: w["table"].update(OnDemandThroughput={"MaxWriteRequestUnits": 100})),
    ("ttl", "no time to live", lambda w: w.update(ttl={"TimeToLiveStatus": "DISABLED"})),
    ("ttl", "no time to live", lambda w: w["ttl"].update(TimeToLiveStatus="DISABLING")),
    ("ttl", "by expiry", lambda w: w["ttl"].update(AttributeName="expiry")),
    ("shards", "3 partitions", lambda w: w["rows"].append("room#lobby#2")),
    ("mapping", "Disabling", lambda w: w["mappings"][0].update(State="Disabling")),
    ("mapping", "Disabled", lambda w: w["mappings"][0].update(State="Disabled")),
    ("mapping", "ReportBatchItemFailures", lambda w: w["mappings"][0].update(FunctionResponseTypes=[])),
    ("mapping", "no function reads", lambda w: w["mappings"].clear()),
    ("mapping", "and not by", lambda w: w["mappings"][0].update(FunctionArn=f"{FUNCTION}fanout_worker")),
    ("mapping", "5 messages wait", lambda w: w["queues"].update(
        {"roomcast-fanout.fifo": {"QueueArn": f"{QUEUE}.fifo", "ApproximateNumberOfMessages": "5"}}
    )),
    ("queues", "4 tries", lambda w: w["queues"]["roomcast-fanout"].update(
        RedrivePolicy=json.dumps({"deadLetterTargetArn": f"{QUEUE}-dead-letters", "maxReceiveCount": 4})
    )),
    ("queues", "no dead letters", lambda w: w["queues"]["roomcast-fanout"].pop("RedrivePolicy")),
    ("queues", "no longer", lambda w: w["queues"][DEAD].update(MessageRetentionPeriod="86400")),
    ("queues", "dead-letters does not exist", lambda w: w["queues"].pop(DEAD)),
    *(("queues", "any principal", lambda w, name=name, principal=principal: w["queues"][name].update(
        Policy=policy_for(principal)
    )) for name in ("roomcast-fanout", DEAD) for principal in ("*", {"AWS": "*"}, {"AWS": ["*"]})),
    *(("queues", "3 tasks", lambda w, kind=kind: w["queues"][DEAD].update(
        {f"ApproximateNumberOfMessages{kind}": "3"}
    )) for kind in ("", "NotVisible", "Delayed")),
    ("log-groups", "is missing", lambda w: w["groups"].pop("/aws/lambda/roomcast-connect")),
    ("log-groups", "roomcast-connect is missing", lambda w: w["groups"].update(
        {"/aws/lambda/roomcast-connect-old": w["groups"].pop("/aws/lambda/roomcast-connect")}
    )),
    ("log-groups", "for ever", lambda w: w["groups"]["/aws/lambda/roomcast-connect"].pop("retentionInDays")),
    ("log-groups", "INFREQUENT_ACCESS", lambda w: w["groups"]["/aws/lambda/roomcast-connect"].update(
        logGroupClass="INFREQUENT_ACCESS"
    )),
    ("log-groups", "WARN", lambda w: w["functions"][CONNECT].update(
        LoggingConfig={"LogFormat": "JSON", "ApplicationLogLevel": "WARN"}
    )),
    ("alarms", "are off", lambda w: w["alarms"][0].update(ActionsEnabled=False)),
    ("alarms", "is missing", lambda w: w["alarms"].clear()),
    ("alarms", "no action", lambda w: w["alarms"][0].update(AlarmActions=[])),
    ("alarms", "not as it was applied", lambda w: w["alarms"][0].update(Threshold=90.0)),
    ("alarms", "not as it was applied", lambda w: w["alarms"][0].update(DatapointsToAlarm=5)),
    ("alarms", "not as it was applied", lambda w: w["alarms"][0].update(TreatMissingData="ignore")),
    ("alarms", "no data", lambda w: w["alarms"][0].update(
        StateValue="INSUFFICIENT_DATA", StateUpdatedTimestamp=hours_ago(25)
    )),
    ("topic", "alias/aws/sns", lambda w: w["topics"][TOPIC].update(KmsMasterKeyId="alias/aws/sns")),
    ("topic", "alias/aws/sns", lambda w: w["topics"][TOPIC].update(
        KmsMasterKeyId=f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/aws/sns"
    )),
    ("topic", "another Region", lambda w: w["alarms"][0].update(OKActions=[TOPIC.replace(REGION, "us-east-1")])),
    ("topic", "no confirmed", lambda w: w["topics"][TOPIC].update(SubscriptionsConfirmed="0")),
    ("topic", "does not exist", lambda w: w["topics"].clear()),
    ("topic", "another Region", lambda w: w["alarms"][0].update(AlarmActions=[TOPIC.replace(REGION, "us-east-1")])),
    ("sweeper", "is off", lambda w: w.update(schedule="DISABLED")),
    ("sweeper", "does not exist", lambda w: w.update(schedule=None)),
    ("sweeper", "30 min", lambda w: w.update(census=[])),
    ("sweeper", "runs for 1 h 1 min", lambda w: w.update(sweep={"begun": {"N": str(int(time.time()) - 3_690)}})),
]  # fmt: skip
"""Checks, what each says, and what plants its fault."""
FOLLOWING = {"30 min": {"handshake-quota"}}
"""Checks that cannot be made because of a fault, by what is said of it."""

HARMLESS: dict[str, Plant] = {
    "clients return in time": lambda w: w.update(census=[24_000.0]),
    "fewer clients than before": lambda w: w.update(census=[400.0, 600_000.0]),
    "as many executions as are wanted": lambda w: w["limits"].update(UnreservedConcurrentExecutions=30),
    "reserved by the worker": lambda w: (
        w["reserved"].update({WORKER: 10}), w["limits"].update(UnreservedConcurrentExecutions=20),
    ),
    "a principal of the organisation": lambda w: w["policies"].update(
        {f"{FUNCTION}kick": [{**ANY_PRINCIPAL, "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}}]}
    ),
    "an endpoint without private DNS": lambda w: in_vpc(
        w, endpoints=[{**ENDPOINT, "PrivateDnsEnabled": False}], route_tables=[table_of(OUT)]
    ),
    "an endpoint of another service": lambda w: in_vpc(
        w,
        endpoints=[{**ENDPOINT, "ServiceName": f"com.amazonaws.{REGION}.sqs", "PrivateDnsEnabled": True}],
        route_tables=[table_of(OUT)],
    ),
    "the VPC's main route table": lambda w: in_vpc(
        w, route_tables=[{**table_of(OUT), "Associations": [{"Main": True}]}]
    ),
    "out by IPv6": lambda w: in_vpc(w, dual=True, route_tables=[table_of(OUT_BY_IPV6)]),
    "a message hidden for six times the time-out": lambda w: w["queues"]["roomcast-fanout"].update(
        VisibilityTimeout="162"
    ),
    "a worker that is not traced": lambda w: w["functions"][WORKER].pop("TracingConfig"),
    "another queue of the account": lambda w: w["mappings"].append(
        {"EventSourceArn": f"{QUEUE}-other", "FunctionArn": f"{FUNCTION}other:live", "State": "Disabled"}
    ),
    "a queue for the organisation": lambda w: w["queues"]["roomcast-fanout"].update(
        Policy=policy_for("*", Condition={"StringEquals": {"aws:PrincipalOrgID": "o-1"}})
    ),
    "a cheap access log": lambda w: w["groups"]["/aws/apigateway/roomcast/live"].update(
        logGroupClass="INFREQUENT_ACCESS"
    ),
    "a level that text logs do not have": lambda w: w["functions"][CONNECT].update(
        LoggingConfig={"LogFormat": "Text", "ApplicationLogLevel": "WARN"}
    ),
    "an alarm that is new": lambda w: w["alarms"][0].update(
        StateValue="INSUFFICIENT_DATA", StateUpdatedTimestamp=hours_ago(23)
    ),
    "actions that are on by default": lambda w: w["alarms"][0].pop("ActionsEnabled"),
    "a sweep of an hour": lambda w: w.update(sweep={"begun": {"N": str(int(time.time()) - 3_500)}}),
}  # fmt: skip
"""What is close to a fault, and is none."""


def examined(world: World, *only: str) -> list[tuple[str, str, str]]:
    """Return check, status and sentence of all that has not passed."""
    results = examination.examine(world, examination.chosen(only), 60)
    return [(each.id, each.status, each.finding or "") for each in results if each.status != PASSED]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    """A healthy stage, seen from a folder without a checkout."""
    monkeypatch.chdir(tmp_path)
    world = World()
    world.found["identity"]["ResponseMetadata"]["HTTPHeaders"]["date"] = email.utils.formatdate()
    return world


def test_healthy_stage_has_no_finding(world: World) -> None:
    assert examined(world) == []


def test_each_call_is_made_once(world: World) -> None:
    examined(world)
    alone = [
        call for call in world.calls if call[1] in {"get_stage", "get_account", "get_routes", "get_caller_identity"}
    ]
    assert sorted(alone) == sorted({*alone})


@pytest.mark.parametrize(("check", "says", "plant"), FAULTS, ids=[f"{check}: {says}" for check, says, _ in FAULTS])
def test_fault_is_named_by_its_check_alone(world: World, check: str, says: str, plant: Plant) -> None:
    plant(world.found)
    found = examined(world)
    assert {name for name, _, _ in found} == {check} | FOLLOWING.get(says, set())
    assert any(says in sentence for _, _, sentence in found)


@pytest.mark.parametrize("name", HARMLESS)
def test_what_is_no_fault_is_not_named(world: World, name: str) -> None:
    HARMLESS[name](world.found)
    assert examined(world) == []


def test_every_check_has_a_fault() -> None:
    elsewhere = {"clock", "domain", "sources"}
    assert {check.id for check in examination.CHECKS} == {name for name, _, _ in FAULTS} | elsewhere


def test_checks_have_different_names() -> None:
    names = [check.id for check in examination.CHECKS]
    assert len(names) == len({*names})


def test_clock_that_is_wrong_is_told() -> None:
    for seconds, way in ((-70, "fast"), (80, "slow")):
        world = World()
        world.found["identity"]["ResponseMetadata"]["HTTPHeaders"]["date"] = email.utils.formatdate(
            time.time() + seconds
        )
        assert [(name, way in told) for name, _, told in examined(world, "clock")] == [("clock", True)]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({}, ""),
        ({"domains": {}}, "no custom domain"),
        ({"api_mappings": [{"ApiId": "other", "Stage": "live"}]}, "leads to other/live"),
        ({"api_mappings": [{"ApiId": "768b2390", "Stage": "other"}]}, "leads to 768b2390/other"),
        ({"api_mappings": []}, "leads nowhere"),
        (
            {
                "domains": {
                    "chat.example.com": {
                        "DomainNameConfigurations": [{"DomainNameStatus": "PENDING_CERTIFICATE_REIMPORT"}]
                    }
                }
            },
            "PENDING_CERTIFICATE_REIMPORT",
        ),
        ({"api": {**HEALTHY["api"], "DisableExecuteApiEndpoint": True}}, ""),
        ({"certificate": {"Status": "EXPIRED"}}, "not valid"),
        ({"certificate": {"Status": "ISSUED", "NotAfter": dt.datetime(2020, 1, 1, tzinfo=dt.UTC)}}, "not valid"),
    ],
)
def test_custom_domain(world: World, change: dict[str, Any], says: str) -> None:
    for name in world.found["functions"]:
        variables(world.found, name)["ROOMCAST_MANAGEMENT_ENDPOINT"] = "https://chat.example.com"
    mapping = [{"ApiId": "768b2390", "Stage": "live"}]
    domain = {"DomainNameConfigurations": [{"CertificateArn": "arn:aws:acm:eu-central-1:1:certificate/x"}]}
    world.found |= {"domains": {"chat.example.com": domain}, "api_mappings": mapping, **change}
    found = examined(world)
    assert {name for name, _, _ in found} == ({"domain"} if says else set())
    assert all(says in told for _, _, told in found)


def test_sources_that_are_younger_than_their_zip_are_told(world: World) -> None:
    functions.MANIFEST.parent.mkdir(parents=True)
    functions.SOURCES.mkdir()
    (functions.SOURCES / "connect.py").write_text("new", encoding="utf-8")
    manifest = {"handlers": {"connect": {"sources": {"connect.py": "0" * 64}}}}
    functions.MANIFEST.write_text(json.dumps(manifest), encoding="utf-8")
    assert [(name, "connect.py changed" in told) for name, _, told in examined(world)] == [("sources", True)]


def test_route_without_limits_of_its_own_has_the_stages(world: World) -> None:
    world.found["stage"]["RouteSettings"]["whoami"] = {"DetailedMetricsEnabled": True}
    assert examined(world, "throttle-zero") == []


def test_function_that_only_one_account_may_invoke_is_no_finding(world: World) -> None:
    for condition in (
        {"AWS:SourceAccount": ACCOUNT},
        {"AWS:SourceArn": "arn:aws:s3:::*", "aws:SourceAccount": ACCOUNT},
    ):
        statement = {**ANY_PRINCIPAL, "Condition": {"StringLike": condition}}
        world.found["policies"][f"{FUNCTION}whoami:live"].append(statement)
    assert examined(world, "permission") == []


def test_zips_that_are_older_than_their_sources_are_told_once(world: World) -> None:
    functions.MANIFEST.parent.mkdir(parents=True)
    functions.SOURCES.mkdir()
    stale = {"sources": {"shared.py": "0" * 64}}
    functions.MANIFEST.write_text(json.dumps({"handlers": {"connect": stale, "default": stale}}), encoding="utf-8")
    [(name, _, told)] = examined(world)
    assert (name, "those of connect, default: shared.py changed since" in told) == ("sources", True)


def test_alarm_that_waits_for_its_first_dead_letter_is_no_finding() -> None:
    world = World(alarms=["posts-failed"])
    world.found["alarms"][0].update(StateValue="INSUFFICIENT_DATA", TreatMissingData="ignore")
    assert examined(world, "alarms") == []


def test_cycle_of_a_sweeper_that_counts_alone_is_no_finding(world: World) -> None:
    variables(world.found, "roomcast-sweeper")["ROOMCAST_SWEEP_PACE"] = "0"
    world.found["sweep"] = {"begun": {"N": str(int(time.time()) - 7_200)}}
    assert examined(world, "sweeper") == []


@pytest.mark.parametrize("kind", ["AWS_IAM", "CUSTOM", "JWT"])
def test_connect_without_tokens_is_told_where_tokens_are_wanted(kind: str) -> None:
    [(check, status, told)] = examined(World(authorization_type=kind), "routes")
    assert (check, status) == ("routes", "error")
    assert f"applied with {kind}" in told


def test_role_for_logs_is_missed_where_there_are_logs_alone(world: World) -> None:
    world.found["account"].pop("cloudwatchRoleArn")
    world.found["stage"].pop("AccessLogSettings")
    assert examined(world, "logging-role") == []
    settings(world.found, "whoami", LoggingLevel="ERROR")
    assert [name for name, _, _ in examined(world, "logging-role")] == ["logging-role"]


@pytest.mark.parametrize("name", ["fanout_worker", "presence"])
def test_each_worker_that_hands_over_to_itself_may_do_so(name: str) -> None:
    world = World(functions=dict.fromkeys([*NAMES, "presence"], DIGEST))
    world.found["functions"]["roomcast-presence"] = {**world.found["functions"][WORKER]}
    world.found["functions"][f"roomcast-{name}"].update(TracingConfig={"Mode": "Active"})
    assert [f"roomcast-{name}" in told for _, _, told in examined(world, "recursion")] == [True]


def test_digest_that_is_not_known_is_not_compared() -> None:
    assert examined(World(functions={**dict.fromkeys(NAMES, DIGEST), "connect": None}), "code") == []


@pytest.mark.parametrize(("days", "is_told"), [(181, False), (179, True), (-1, True)])
def test_end_of_a_runtime_is_told_half_a_year_before(
    world: World, monkeypatch: pytest.MonkeyPatch, days: int, *, is_told: bool
) -> None:
    end = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=days)
    entry = dated.Entry(end.isoformat(), "day", "all", "https://example.com", "2026-11")
    monkeypatch.setattr(dated, "entries", lambda _: {"python3.13": entry})
    assert bool(examined(world, "runtime")) is is_told


@pytest.mark.parametrize(
    "name",
    ["ROOMCAST_MANAGEMENT_ENDPOINT", "ROOMCAST_SHARDS_PER_ROOM", "ROOMCAST_SHARDS_READ", "ROOMCAST_TABLE_NAME"],
)
def test_variable_without_which_no_function_works(world: World, name: str) -> None:
    variables(world.found, CONNECT).pop(name)
    assert [(check, name in told) for check, _, told in examined(world, "environment")] == [("environment", True)]


WITH_OWN_VALUES = {"ROOMCAST_LOG_LEVEL", "ROOMCAST_DNS_SUFFIX", "ROOMCAST_HTTP2", "ROOMCAST_PACE"} | {
    f"ROOMCAST_{name}"
    for name in (
        "HISTORY_RETENTION_MINUTES",
        "MAXIMUM_MESSAGE_BYTES",
        "MAXIMUM_ROOM_MEMBERS",
        "MAXIMUM_ROOMS",
        "MESSAGES_PER_SECOND",
        "PRESENCE_MAX_MEMBERS",
        "PRESENCE_WINDOW_SECONDS",
    )
}
"""Variables by which functions work together although their values differ."""


def test_variables_that_functions_share_are_compared() -> None:
    shared: Counter[str] = Counter()
    for of_run in RUNS.values():
        environments = [each.environment for name, each in asked_of_aws(of_run).items() if name != "authorizer"]
        shared.update({name for name, count in Counter(chain(*environments)).items() if count > 1})
    assert {*shared} - WITH_OWN_VALUES == {*functions.SHARED}


def test_route_that_nobody_declared_is_told() -> None:
    for declared, count in (([], 1), (["extra"], 0)):
        world = World(additional_routes=declared)
        world.found["routes"]["extra"] = {"RouteKey": "extra", "Target": "integrations/whoami"}
        assert len(examined(world, "routes")) == count


def test_what_an_older_parameter_does_not_tell_is_skipped() -> None:
    found = examined(World(additional_routes=None, alarms=None), "routes", "alarms")
    assert [(name, status) for name, status, _ in found] == [("routes", SKIPPED), ("alarms", SKIPPED)]


def test_route_to_another_function_is_told(world: World) -> None:
    uri = world.found["integrations"]["whoami"]["IntegrationUri"]
    world.found["integrations"]["whoami"]["IntegrationUri"] = uri.replace(":live", "")
    assert "and not" in examined(world, "integrations")[0][2]
    world = World()
    world.found["integrations"]["whoami"]["IntegrationUri"] = uri.replace("whoami", "default")
    assert "and not" in examined(world, "integrations")[0][2]
    world.found["integrations"]["whoami"]["IntegrationUri"] = uri.replace(f"function:{'roomcast'}", "function:other")
    assert examined(World(), "integrations") == []


def test_function_in_another_region_is_told(world: World) -> None:
    integration = world.found["integrations"]["whoami"]
    integration["IntegrationUri"] = integration["IntegrationUri"].replace(f"lambda:{REGION}", "lambda:us-east-1")
    assert "another Region" in examined(world, "integrations")[0][2]


def rights_of_all_checks() -> list[str]:
    """Return the rights that a run needs."""
    from roomcast_cli.doctor.answers import action_of  # noqa: PLC0415

    world = World()
    examined(world)
    return sorted(
        {action_of(*call) for call in world.calls if call[0] != "apigatewaymanagementapi"} - {"sts:GetCallerIdentity"}
    )


@pytest.mark.parametrize("right", [*rights_of_all_checks(), "execute-api:ManageConnections"])
def test_check_without_a_right_is_skipped_and_names_it(world: World, right: str) -> None:
    world.withheld = {right}
    found = examined(world)
    assert found
    assert {status for _, status, _ in found} == {SKIPPED}
    assert all(f"needs {right}" in told for _, _, told in found)


def test_check_that_does_not_end_is_skipped() -> None:
    never = threading.Event()

    def waits(_: Any) -> Iterator[Any]:
        never.wait()
        yield from ()

    checks = [Check("slow", "you", waits), *examination.chosen(["ttl"])]
    assert [(each.id, each.status) for each in examination.examine(World(), checks, 0.5)] == [
        ("slow", SKIPPED),
        ("ttl", PASSED),
    ]
    never.set()


def test_calls_to_the_control_plane_are_paced() -> None:
    session = session_of(None)
    services = [session.get_service_model(name) for name in ("apigateway", "apigatewayv2")]
    assert [each.service_id.hyphenize() for each in services] == [*PACED]
    pace, begun = Pace(100), time.monotonic()
    threads = [threading.Thread(target=pace.wait) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - begun >= 0.19


def test_rights_agree_with_the_policies_of_the_backend() -> None:
    """What a policy grants on the table and on connections in any case is what its function needs."""
    for name, needs in rights.NEEDS.items():
        text = (ROOT / f"terraform/modules/backend/policies/{name}.json.tftpl").read_text("utf-8")
        always = re.sub(r"%\{ if.*?%\{ endif[^}]*\}", "", text, flags=re.DOTALL)
        always = re.sub(r"^\s*\$\{\w+\},?$", "", always, flags=re.MULTILINE)
        statements = json.loads(re.sub(r",(\s*[\]}])", r"\1", always))["Statement"]
        granted = {
            action.removeprefix("dynamodb:")
            for each in statements
            if each["Resource"] == "${table_arn}"
            for action in ([each["Action"]] if isinstance(each["Action"], str) else each["Action"])
        }
        assert granted == {*needs.table}, name
        # What depends on a feature is the same where the feature is on.
        on = {
            resource: set(re.findall(r'"\w+:(\w+)"', actions))
            for actions, resource in re.findall(r'"Action": (\[[^]]*\]|"[^"]*"),\s*"Resource": "\$\{(\w+)\}"', text)
        }
        sweeping = rights.SWEEPING if name == "sweeper" else rights.Needs("")._replace(connections=())
        assert on.get("history_table_arn", set()) == {*needs.history}, name
        methods = re.findall(r"stage_execution_arn\}/([A-Z]+)/", text)
        assert methods == [*needs.connections, *sweeping.connections], name
        queues = {kind: on.get(f"{kind}_arn", set()) for kind in ("queue", "presence_queue", "publish_queue")}
        names = {"queue": "fanout", "presence_queue": "presence", "publish_queue": "publish"}
        reads = [names[kind] for kind, actions in queues.items() if "ReceiveMessage" in actions]
        assert reads == ([needs.reads] if needs.reads else []), name
        writes = {names[kind] for kind, actions in queues.items() if "SendMessage" in actions}
        writes |= {"presence"} if "${mark_presence}" in text else set()
        assert writes == {*needs.writes, *sweeping.writes}, name


def test_policy_has_the_rights_of_all_checks() -> None:
    statements = policies.of(World().stage, "read")["Statement"]
    allowed = {action for each in statements for action in each["Action"]}
    assert allowed >= {*rights_of_all_checks()}
    # What only stages with a custom domain or in a VPC need.
    assert allowed >= {"acm:DescribeCertificate", "ec2:DescribeVpcEndpoints", "ec2:DescribeRouteTables"}


def test_answer_that_no_check_expects_is_no_pass(world: World) -> None:
    def breaks(_: Any) -> Iterator[Any]:
        yield from ()
        raise KeyError("Table")

    result = examination.made(Check("x", "you", breaks), world)[0]
    assert (result.status, result.finding) == (SKIPPED, "unexpected: KeyError: 'Table'")


def test_all_pages_of_a_list_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    class Client:
        def can_paginate(self, _operation: str) -> bool:
            return True

        def get_paginator(self, _operation: str) -> Any:
            return self

        def paginate(self, **_params: Any) -> Any:
            return [{"Items": [1, 2]}, {}, {"Items": [3]}]

    answers = Answers(World().stage, Account(REGION))
    monkeypatch.setattr(answers, "_client", lambda _: Client())
    assert answers.pages("apigatewayv2", "get_routes", "Items", ApiId="x") == [1, 2, 3]


def test_simulation_that_tells_each_resource_apart(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def simulates(PolicySourceArn: str, ActionNames: Any, ResourceArns: Any) -> Any:  # noqa: ARG001, N803 - AWS's names
        each = [{"EvalResourceName": arn, "EvalResourceDecision": "implicitDeny"} for arn in ResourceArns]
        return {
            "EvaluationResults": [
                {"EvalActionName": name, "EvalDecision": "allowed", "ResourceSpecificResults": each}
                for name in ActionNames
            ]
        }

    monkeypatch.setattr(world, "_simulate_principal_policy", simulates)
    assert {name for name, _, _ in examined(world, "roles")} == {"roles"}


def test_reason_is_told_where_no_right_is_missing(world: World) -> None:
    def breaks(_: Any) -> Iterator[Any]:
        yield from ()
        raise NotMade("a reason")

    result = examination.made(Check("x", "you", breaks), world)[0]
    assert (result.status, result.finding, result.remedy) == (SKIPPED, "a reason", None)


def test_warnings_are_told_as_such(world: World) -> None:
    world.found["queues"][DEAD]["ApproximateNumberOfMessages"] = "3"
    assert [status for _, status, _ in examined(world)] == [WARNING]


@pytest.fixture
def aws() -> Iterator[FakeAws]:
    """An account that answers the checks of the table alone."""
    with fake_aws() as aws:
        stages.serve(aws)
        table = {name: each for name, each in HEALTHY["table"].items() if name != "SSEDescription"}
        aws.answers["dynamodb:DescribeTable"] = lambda _: {"Table": table}
        aws.answers["dynamodb:DescribeTimeToLive"] = lambda _: {"TimeToLiveDescription": HEALTHY["ttl"]}
        yield aws


ONLY = ("doctor", "--only", "table", "--only", "ttl", "--only", "clock")


def test_healthy_stage_in_a_pipe(aws: FakeAws) -> None:
    status, output, told = run(*ONLY, **aws.variables)
    assert (status, output) == (0, "")
    assert re.fullmatch(r"roomcast/live  eu-central-1  111122223333  3 checks in \d+ s\n3 passed\n", told)


def test_error_in_a_pipe_and_as_json(aws: FakeAws) -> None:
    aws.answers["dynamodb:DescribeTimeToLive"] = lambda _: {"TimeToLiveDescription": {"TimeToLiveStatus": "DISABLED"}}
    status, output, told = run(*ONLY, **aws.variables)
    header, row = output.splitlines()
    assert (status, header) == (1, "status\tcheck\tfinding\tremedy")
    assert row.startswith("error\tttl\tthe table roomcast-connections has no time to live: ")
    assert row.endswith("\t-> apply Terraform")
    assert told.endswith("1 error, 2 passed\n")

    status, document = of_json(*ONLY, **aws.variables)
    assert (status, document["v"], document["stage"]) == (1, 1, "roomcast/live")
    assert [(each["id"], each["group"], each["status"]) for each in document["checks"]] == [
        ("clock", "you", "passed"),
        ("table", "data", "passed"),
        ("ttl", "data", "error"),
    ]
    assert set(document["checks"][0]) == {"id", "group", "status", "finding", "remedy", "resource"}


@pytest.mark.parametrize("throttle", [{}, {"throttleSettings": {}}, {"throttleSettings": {"burstLimit": 5}}])
def test_quota_that_the_account_does_not_tell_is_not_passed(world: World, throttle: dict[str, Any]) -> None:
    world.found["account"].pop("throttleSettings")
    world.found["account"].update(throttle)

    [(name, status, told)] = examined(world, "account")
    assert (name, status) == ("requests-quota", SKIPPED)
    assert told == "API Gateway does not say how many requests a second the account has"


def test_clients_that_were_not_counted_are_not_taken_for_few(world: World) -> None:
    world.found["census"] = []
    [(name, status, told)] = examined(world, "account")
    assert (name, status) == ("handshake-quota", SKIPPED)
    assert told.startswith("no census of roomcast/live for 30 min")


def test_stage_that_does_not_count_its_clients_is_told_so(aws: FakeAws) -> None:
    status, output, told = run("doctor", "--only", "handshake-quota", **aws.variables)

    assert status == 0
    assert "skipped\thandshake-quota\troomcast/live has no sweeper, which counts connections: " in output
    assert told.endswith("1 skipped, 0 passed\n")


def test_skipped_check_has_a_status_of_its_own(aws: FakeAws) -> None:
    aws.withheld = {"dynamodb:DescribeTimeToLive"}
    status, output, told = run(*ONLY, **aws.variables)
    assert status == 4
    assert "skipped\tttl\tneeds dynamodb:DescribeTimeToLive" in output
    assert told.endswith("1 skipped, 2 passed\n")


def test_strict_counts_warnings(aws: FakeAws) -> None:
    table = {**HEALTHY["table"], "BillingModeSummary": {"BillingMode": "PROVISIONED"}}
    aws.answers["dynamodb:DescribeTable"] = lambda _: {"Table": table}
    assert run(*ONLY, **aws.variables)[0] == 0
    assert run(*ONLY, "--strict", **aws.variables)[0] == 1


def test_unknown_check_is_wrong_usage(aws: FakeAws) -> None:
    status, output, told = run("doctor", "--only", "weather", **aws.variables)
    assert (status, output) == (2, "")
    assert "there is no check and no group weather; the groups are you, account, api, delivery" in told


def test_on_a_terminal_findings_come_first_errors_before_warnings(aws: FakeAws) -> None:
    table = {**HEALTHY["table"], "BillingModeSummary": {"BillingMode": "PROVISIONED"}}
    aws.answers["dynamodb:DescribeTable"] = lambda _: {"Table": table}
    aws.answers["dynamodb:DescribeTimeToLive"] = lambda _: {"TimeToLiveDescription": {"TimeToLiveStatus": "DISABLED"}}
    status, shown = on_terminal(*ONLY, **aws.variables, NO_COLOR="1")
    lines = shown.splitlines()
    assert status == 1
    assert lines[0].startswith("roomcast/live  eu-central-1")
    assert [line.split()[0] for line in lines[1:-1] if line[:1].strip()] == ["status", "error", "warning"]
    assert lines[-1] == "1 error, 1 warning, 1 passed"


def test_signatures_that_are_refused_because_of_the_clock(aws: FakeAws) -> None:
    """The sentence about the clock, and not that about unknown credentials."""

    def refuses(_: Any) -> Any:
        raise Refusal("InvalidSignatureException", "Signature expired")

    aws.answers["ssm:GetParametersByPath"] = refuses
    aws.late_seconds = 600
    status, output, told = run(*ONLY, **aws.variables)
    assert (status, output) == (1, "")
    assert "the clock of this machine is" in told
