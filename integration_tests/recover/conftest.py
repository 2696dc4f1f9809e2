"""Instances of the root with every option on, applied by a deployer; a test takes and gives its rights."""

from __future__ import annotations

import io
import json
import secrets
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from integration_tests.recover.withholding import withholding
from scripts.local.aws import Aws
from scripts.local.deployment import AppliedRoot, access_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from integration_tests.recover.withholding import Withholding
    from integration_tests.targets.interface import Target

    Root = Callable[..., AppliedRoot]

HANDLER = 'def handler(event, context):\n    return {"statusCode": 200}\n'
AUTHORIZER = """
def handler(event, context):
    statement = {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": event["methodArn"]}
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    context = {"rooms": '["*"]', "exp": "4102444800"}
    return {"principalId": "somebody", "policyDocument": policy, "context": context}
"""
"""Lets every client into every room, until 2100."""


@pytest.fixture
def rights(target: Target) -> Iterator[Withholding]:
    """Terraform's rights; all of them, until the test takes some."""
    assert target.aws is not None
    assert target.aws.endpoint_url is not None
    with withholding(target.aws.endpoint_url) as rights:
        yield rights
        for line in rights.irregular:  # shown if the test fails
            print(line)


@pytest.fixture
def root(target: Target, rights: Withholding, tmp_path: Path) -> Root:
    """Makes instances of the root, not applied yet; their Terraform goes through :func:`rights`."""
    assert target.aws is not None
    access = replace(access_of(target.aws), aws=Aws.of_emulator(rights.url))

    def make(**variables: Any) -> AppliedRoot:  # noqa: ANN401 - any Terraform value
        name = f"half-{secrets.token_hex(3)}"
        return AppliedRoot(access, tmp_path / name, {"name": name, **variables})

    return make


@pytest.fixture
def given(target: Target) -> dict[str, str]:
    """Objects of the account that belong to no instance: two keys, boundaries and topics, and functions of a team."""
    assert target.aws is not None
    functions, session, endpoint = target.aws.functions, target.aws.session, target.aws.endpoint_url
    name = f"theirs-{secrets.token_hex(3)}"
    iam = session.client("iam", endpoint_url=endpoint)
    kms = session.client("kms", endpoint_url=endpoint)
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=_document(trust))["Role"]["Arn"]
    allowed = _document({"Effect": "Allow", "Action": "*", "Resource": "*"})
    boundaries = [
        iam.create_policy(PolicyName=f"{name}-{number}", PolicyDocument=allowed)["Policy"]["Arn"] for number in range(2)
    ]
    keys = [kms.create_key()["KeyMetadata"]["Arn"] for _ in range(2)]
    sns = session.client("sns", endpoint_url=endpoint)
    topics = [sns.create_topic(Name=f"{name}-{number}")["TopicArn"] for number in range(2)]

    def function(suffix: str, source: str) -> str:
        code = io.BytesIO()
        with zipfile.ZipFile(code, "w") as archive:
            archive.writestr("theirs.py", source)
        return functions.create_function(
            FunctionName=f"{name}{suffix}",
            Runtime="python3.13",
            Role=role,
            Handler="theirs.handler",
            Code={"ZipFile": code.getvalue()},
        )["FunctionArn"]

    arn = function("", HANDLER)
    return {
        "authorizer": function("-authorizer", AUTHORIZER),
        "boundary": boundaries[0],
        "function": name,
        "invoke_arn": f"arn:aws:apigateway:{arn.split(':')[3]}:lambda:path/2015-03-31/functions/{arn}/invocations",
        "key": keys[0],
        "other_authorizer": function("-other-authorizer", AUTHORIZER),
        "other_boundary": boundaries[1],
        "other_key": keys[1],
        "other_topic": topics[1],
        "topic": topics[0],
    }


@pytest.fixture
def everything(given: dict[str, str]) -> dict[str, Any]:
    """Variables that make Terraform create every kind of object of the root."""
    return {
        "access_log_enabled": True,
        "alarms": {"page_topic_arn": given["topic"]},
        "dashboard_enabled": True,
        "additional_routes": {
            "theirs": {"function_name": given["function"], "invoke_arn": given["invoke_arn"]},
        },
        "authorization_type": "CUSTOM",
        "authorizer_function_arn": given["authorizer"],
        "functions": {"whoami": {"provisioned_concurrency": 1}},
        "history_rooms": ["*"],
        "log_kms_key_arn": given["key"],
        "permissions_boundary_arn": given["boundary"],
        "presence_rooms": ["*"],
        "queued_delivery": {"enabled": True},
        "sweeper": {"enabled": True},
        "table_kms_key_arn": given["key"],
        "tags": {"team": "chat"},
    }


def _document(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
