"""``roomcast doctor`` on an applied stage: silent on a healthy one, and each fault is named by its check alone."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any

import pytest

from integration_tests.harness.operators import ANY_PRINCIPAL, variables
from integration_tests.operations.planted import FAULTS, QUOTA_ROLE, Stage
from scripts.tests.command_line import of_json, run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from integration_tests.operations.planted import Fault
    from integration_tests.targets.interface import Target

pytestmark = [pytest.mark.emulator_only, pytest.mark.timeout(1200)]

PATIENT = ("doctor", "--within", "300")
"""On a busy machine the emulator answers late."""


@pytest.fixture(scope="module")
def stage(target: Target) -> Iterator[Stage]:
    """A stage with a queue, an access log and alarms, in an account with all that these need."""
    assert target.aws is not None
    aws, name = target.aws, f"doctor-{secrets.token_hex(3)}"
    sns = aws.session.client("sns", endpoint_url=aws.endpoint_url)
    topic = sns.create_topic(Name=name)["TopicArn"]
    queue_url = aws.sqs.create_queue(QueueName=f"{name}-told")["QueueUrl"]
    queue = aws.sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)
    gateway: Any = aws.session.client("apigateway", endpoint_url=aws.endpoint_url)
    role = f"arn:aws:iam::{topic.split(':')[4]}:role/logs-of-api-gateway"
    gateway.update_account(patchOperations=[{"op": "replace", "path": QUOTA_ROLE, "value": role}])
    options: Any = {"alarms": {"page_topic_arn": topic}, "queued_delivery": {"enabled": True}}
    with target.deploy(name, access_log_enabled=True, **options) as instance:
        yield Stage(aws, instance.deployment().outputs, topic)


@pytest.fixture(scope="module")
def deployer(target: Target, stage: Stage) -> dict[str, str]:
    """Variables of a principal that may do anything."""
    assert target.aws is not None
    return variables(target.aws, stage.outputs)


def findings(environment: dict[str, str]) -> tuple[int, dict[str, list[str]]]:
    """Run the command; returns its status, and by check all that has not passed.

    The stage has no sweeper, so a check that needs one is skipped, and names the stage.
    """
    status, document = of_json(*PATIENT, **environment)
    found: dict[str, list[str]] = {}
    for each in document["checks"]:
        if each["status"] != "passed" and not (each["status"] == "skipped" and each["resource"]):
            found.setdefault(each["id"], []).append(f"{each['status']}: {each['finding']}")
    return status, found


def test_healthy_stage_has_no_finding(deployer: dict[str, str]) -> None:
    assert findings(deployer) == (0, {})


@pytest.mark.parametrize(("check", "says", "fault"), FAULTS, ids=[f"{check}: {says}" for check, says, _ in FAULTS])
def test_fault_is_named_by_its_check_alone(
    stage: Stage, deployer: dict[str, str], check: str, says: str, fault: Fault
) -> None:
    with fault(stage):
        _, found = findings(deployer)
    assert found.keys() == {check}, found
    assert any(says in each for each in found[check]), found


def test_stage_is_healthy_again(deployer: dict[str, str]) -> None:
    """So that each fault was the only one."""
    assert findings(deployer) == (0, {})


def test_reader_needs_its_rights_and_no_other(target: Target, stage: Stage, deployer: dict[str, str]) -> None:
    """With the policy of the command all checks pass; without a right of it the checks that need it are skipped."""
    policy = json.loads(run("policy", "read", **deployer)[1])
    iam, sts = stage.client("iam"), stage.client("sts")
    name = f"reader-{secrets.token_hex(4)}"
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=ANY_PRINCIPAL)["Role"]["Arn"]
    at = {"RoleName": name, "PolicyName": "reader"}
    try:
        iam.put_role_policy(**at, PolicyDocument=json.dumps(policy))
        assert target.aws is not None
        assumed = sts.assume_role(RoleArn=arn, RoleSessionName="ann")["Credentials"]
        reader = variables(target.aws, stage.outputs, assumed)
        assert findings(reader) == (0, {})
        for right in WITHHELD:
            iam.put_role_policy(**at, PolicyDocument=json.dumps(without(policy, right)))
            status, found = findings(reader)
            assert status == 4, (right, found)
            assert all(f"skipped: needs {right}" in each for told in found.values() for each in told), (right, found)
    finally:
        iam.delete_role_policy(**at)
        iam.delete_role(RoleName=name)


WITHHELD = (
    "apigateway:GET",
    "cloudwatch:DescribeAlarms",
    "dynamodb:DescribeTable",
    "dynamodb:DescribeTimeToLive",
    "dynamodb:Scan",
    "execute-api:ManageConnections",
    "iam:SimulatePrincipalPolicy",
    "lambda:GetFunctionConfiguration",
    "lambda:GetPolicy",
    "logs:DescribeLogGroups",
    "sns:GetTopicAttributes",
    "sqs:GetQueueAttributes",
)
"""Rights of the policy, one of each service and more where checks differ."""


def without(policy: dict[str, Any], right: str) -> dict[str, Any]:
    """Return a policy that lacks a right."""
    statements = [
        {**each, "Action": [action for action in each["Action"] if action != right]} for each in policy["Statement"]
    ]
    return {**policy, "Statement": [each for each in statements if each["Action"]]}
