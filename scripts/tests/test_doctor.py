"""``roomcast doctor``: each fault is named by its check and by no other; a healthy stage has none."""

from __future__ import annotations

import datetime as dt
import email.utils
import json
import re
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from roomcast_cli import policies
from roomcast_cli.doctor import examination, functions, rights
from roomcast_cli.doctor.answers import Pace
from roomcast_cli.doctor.checks import PASSED, SKIPPED, WARNING, Check
from roomcast_cli.doctor.unmade import NotMade

from scripts.repository import REPOSITORY as ROOT
from scripts.tests import stages
from scripts.tests.command_line import of_json, on_terminal, run
from scripts.tests.examined import FUNCTION, HEALTHY, KEY, LIMITS, NEW, QUEUE, TOPIC, World, refusal
from scripts.tests.fake_aws import ACCOUNT, REGION, FakeAws, Refusal, fake_aws

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Plant = Callable[[dict[str, Any]], object]

CONNECT, WORKER, SEND = "roomcast-connect", "roomcast-fanout_worker", "roomcast-sendmessage"
ROLE = f"roomcast-connect-{REGION}"
ELSEWHERE = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/x"
VPC = {"VpcId": "vpc-1", "SubnetIds": ["subnet-1"]}
ENDPOINT = {"VpcEndpointId": "vpce-1", "VpcId": "vpc-1", "ServiceName": f"com.amazonaws.{REGION}.execute-api"}
OUT = {"DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": "nat-1", "State": "active"}
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


def settings(found: dict[str, Any], key: str, **values: Any) -> None:
    """Change the settings of a route."""
    found["stage"]["RouteSettings"][key] = {**LIMITS, **values}


def in_vpc(found: dict[str, Any], **values: Any) -> None:
    """Put all functions into a VPC, which has these values."""
    for function in found["functions"].values():
        function.update(VpcConfig=VPC)
    found.update(values)


FAULTS: list[tuple[str, str, Plant]] = [
    ("credentials", "444455556666", lambda w: w["identity"].update(Account="444455556666")),
    ("region", "us-east-1", lambda w: (
        w["functions"][CONNECT].update(KMSKeyArn=ELSEWHERE), w["keys"].update({ELSEWHERE: "Enabled"}),
    )),
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
    ("throttle-zero", "route whoami has rate limit 0", lambda w: settings(w, "whoami", ThrottlingRateLimit=0.0)),
    ("throttle-zero", "burst limit 0", lambda w: settings(w, "whoami", ThrottlingBurstLimit=0)),
    ("throttle-zero", "burst limit -1", lambda w: w["stage"].update(
        DefaultRouteSettings={**LIMITS, "ThrottlingBurstLimit": -1}
    )),
    ("throttle-zero", "rate limit 0", lambda w: w["stage"]["RouteSettings"].update(whoami={"ThrottlingBurstLimit": 5})),
    ("stage-logs", "traces data", lambda w: settings(w, "whoami", DataTraceEnabled=True)),
    ("stage-logs", "ERROR", lambda w: settings(w, "whoami", LoggingLevel="ERROR")),
    ("stage-logs", "access log", lambda w: w["stage"].pop("AccessLogSettings")),
    ("stage-logs", "querystring", lambda w: w["stage"]["AccessLogSettings"].update(Format="$context.querystring.t")),
    ("stage-logs", "authorizer", lambda w: w["stage"]["AccessLogSettings"].update(Format="$context.authorizer.rooms")),
    ("delivery", "403", lambda w: w.update(connection=refusal("GetConnection", "Forbidden", "Forbidden", 403))),
    ("delivery", "404", lambda w: w.update(connection=refusal("GetConnection", "NotFoundException", "Not Found", 404))),
    ("endpoint", "is off", lambda w: w["api"].update(DisableExecuteApiEndpoint=True)),
    ("private-dns", "vpce-1", lambda w: in_vpc(
        w, endpoints=[{**ENDPOINT, "PrivateDnsEnabled": True}], route_tables=[table_of(OUT)]
    )),
    ("vpc-route", "subnet-1", lambda w: in_vpc(w, route_tables=[table_of(PUBLIC)])),
    ("state", "Failed", lambda w: w["functions"][CONNECT].update(State="Failed", StateReason="no code")),
    ("state", "Pending", lambda w: w["functions"][CONNECT].update(State="Pending")),
    ("state", "Inactive", lambda w: w["functions"][CONNECT].update(State="Inactive")),
    ("state", "last update", lambda w: w["functions"][CONNECT].update(LastUpdateStatus="Failed")),
    ("code", "other code", lambda w: w["functions"][CONNECT].update(CodeSha256="other")),
    ("environment", "ROOMCAST_TABLE_NAME", lambda w: variables(w, CONNECT).pop("ROOMCAST_TABLE_NAME")),
    ("environment", "ROOMCAST_SHARDS_READ", lambda w: variables(w, CONNECT).update(ROOMCAST_SHARDS_READ="4")),
    ("runtime", "python3.9", lambda w: w["functions"][CONNECT].update(Runtime="python3.9")),
    ("time-outs", "29 s", lambda w: w["functions"][SEND].update(Timeout=29)),
    ("time-outs", "90 s", lambda w: w["queues"]["roomcast-fanout"].update(VisibilityTimeout="90")),
    ("recursion", "16 hand-overs", lambda w: w["functions"][WORKER].update(TracingConfig={"Mode": "Active"})),
    ("roles", "dynamodb:PutItem", lambda w: w["denied"].append((ROLE, "dynamodb:PutItem"))),
    ("role-drift", "by-hand", lambda w: w["roles"][ROLE]["inline"].append("by-hand")),
    ("role-drift", "Admin", lambda w: w["roles"][ROLE]["attached"].append({"PolicyName": "Admin"})),
    ("role-drift", "trusts", lambda w: w["roles"][ROLE]["role"].update(
        AssumeRolePolicyDocument={"Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}}]}
    )),
    ("role-drift", "younger", lambda w: w["roles"][ROLE]["role"].update(CreateDate=NEW.replace(day=28))),
    ("keys", "PendingDeletion", lambda w: w["keys"].update({KEY: "PendingDeletion"})),
    ("keys", "gone", lambda w: w["queues"]["roomcast-fanout"].update(KmsMasterKeyId="0f3c")),
    ("table", "CREATING", lambda w: w["table"].update(TableStatus="CREATING")),
    ("table", "keys", lambda w: w["table"].update(KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}])),
    ("table", "provisioned", lambda w: w["table"].update(BillingModeSummary={"BillingMode": "PROVISIONED"})),
    ("table", "at most 100 write", lambda w: w["table"].update(OnDemandThroughput={"MaxWriteRequestUnits": 100})),
    ("ttl", "no time to live", lambda w: w.update(ttl={"TimeToLiveStatus": "DISABLED"})),
    ("ttl", "by expiry", lambda w: w["ttl"].update(AttributeName="expiry")),
    ("shards", "4 partitions", lambda w: w["rows"].append("room#lobby#3")),
    ("mapping", "Disabled", lambda w: w["mappings"][0].update(State="Disabled")),
    ("mapping", "ReportBatchItemFailures", lambda w: w["mappings"][0].update(FunctionResponseTypes=[])),
    ("mapping", "no function reads", lambda w: w["mappings"].clear()),
    ("mapping", "and not by", lambda w: w["mappings"][0].update(FunctionArn=f"{FUNCTION}fanout_worker")),
    ("mapping", "5 messages wait", lambda w: w["queues"].update(
        {"roomcast-fanout.fifo": {"QueueArn": f"{QUEUE}.fifo", "ApproximateNumberOfMessages": "5"}}
    )),
    ("queues", "3 tries", lambda w: w["queues"]["roomcast-fanout"].update(
        RedrivePolicy=json.dumps({"deadLetterTargetArn": f"{QUEUE}-dead-letters", "maxReceiveCount": 3})
    )),
    ("queues", "no dead letters", lambda w: w["queues"]["roomcast-fanout"].pop("RedrivePolicy")),
    ("queues", "no longer", lambda w: w["queues"][DEAD].update(MessageRetentionPeriod="86400")),
    ("queues", "dead-letters does not exist", lambda w: w["queues"].pop(DEAD)),
    ("queues", "any principal", lambda w: w["queues"]["roomcast-fanout"].update(
        Policy=json.dumps({"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage"}]})
    )),
    ("queues", "3 tasks", lambda w: w["queues"][DEAD].update(ApproximateNumberOfMessages="3")),
    ("log-groups", "is missing", lambda w: w["groups"].pop("/aws/lambda/roomcast-connect")),
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
    ("alarms", "no data", lambda w: w["alarms"][0].update(StateValue="INSUFFICIENT_DATA")),
    ("topic", "alias/aws/sns", lambda w: w["topics"][TOPIC].update(KmsMasterKeyId="alias/aws/sns")),
    ("topic", "no confirmed", lambda w: w["topics"][TOPIC].update(SubscriptionsConfirmed="0")),
    ("topic", "does not exist", lambda w: w["topics"].clear()),
    ("topic", "another Region", lambda w: w["alarms"][0].update(AlarmActions=[TOPIC.replace(REGION, "us-east-1")])),
    ("sweeper", "is off", lambda w: w.update(schedule="DISABLED")),
    ("sweeper", "does not exist", lambda w: w.update(schedule=None)),
    ("sweeper", "30 min", lambda w: w.update(census=[])),
    ("sweeper", "runs for 2 h", lambda w: w.update(sweep={"begun": {"N": str(int(time.time()) - 7_200)}})),
]  # fmt: skip
"""Checks, what each says, and what plants its fault."""


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
    assert {name for name, _, _ in found} == {check}
    assert any(says in sentence for _, _, sentence in found)


def test_every_check_has_a_fault() -> None:
    elsewhere = {"clock", "domain", "sources"}
    assert {check.id for check in examination.CHECKS} == {name for name, _, _ in FAULTS} | elsewhere


def test_checks_have_different_names() -> None:
    names = [check.id for check in examination.CHECKS]
    assert len(names) == len({*names})


def test_clock_that_is_wrong_is_told(world: World) -> None:
    world.found["identity"]["ResponseMetadata"]["HTTPHeaders"]["date"] = email.utils.formatdate(time.time() - 90)
    assert [(name, "fast" in told) for name, _, told in examined(world)] == [("clock", True)]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({}, ""),
        ({"domains": {}}, "no custom domain"),
        ({"api_mappings": [{"ApiId": "other", "Stage": "live"}]}, "leads to other/live"),
        ({"api_mappings": []}, "leads nowhere"),
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


def test_connect_without_tokens_is_told_where_tokens_are_wanted() -> None:
    assert examined(World(authorization_type="JWT"), "routes") == [
        ("routes", "error", examined(World(authorization_type="JWT"), "routes")[0][2])
    ]


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


def test_policy_has_the_rights_of_all_checks() -> None:
    statements = policies.of(World().stage, "read")["Statement"]
    allowed = {action for each in statements for action in each["Action"]}
    assert allowed >= {*rights_of_all_checks()}
    # What only stages with a custom domain or in a VPC need.
    assert allowed >= {"acm:DescribeCertificate", "ec2:DescribeVpcEndpoints", "ec2:DescribeRouteTables"}


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
