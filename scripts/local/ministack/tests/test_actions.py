"""The IAM actions for SQS's batch calls, and the resource of a path of parameters."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from scripts.local.aws import REGION
from scripts.local.ministack.tests.apis import client, create_role

if TYPE_CHECKING:
    from collections.abc import Callable

CALLS: dict[str, Callable[..., Any]] = {
    "sqs:SendMessage": lambda sqs, url: sqs.send_message_batch(
        QueueUrl=url, Entries=[{"Id": "1", "MessageBody": "hello"}]
    ),
    "sqs:ChangeMessageVisibility": lambda sqs, url: sqs.change_message_visibility_batch(
        QueueUrl=url, Entries=[{"Id": "1", "ReceiptHandle": "unknown", "VisibilityTimeout": 0}]
    ),
    "sqs:DeleteMessage": lambda sqs, url: sqs.delete_message_batch(
        QueueUrl=url, Entries=[{"Id": "1", "ReceiptHandle": "unknown"}]
    ),
}


def is_allowed(endpoint: str, allowed: str, call: Callable[..., Any]) -> bool:
    """Whether a policy that allows one action on a new queue permits a call."""
    name = f"probe-{secrets.token_hex(4)}"
    url = client("sqs", endpoint).create_queue(QueueName=name)["QueueUrl"]
    role = create_role(endpoint, name)
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": allowed, "Resource": "*"}]}
    client("iam", endpoint).put_role_policy(RoleName=name, PolicyName="probe", PolicyDocument=json.dumps(policy))
    try:
        call(caller_of(endpoint, role, "sqs"), url)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 403:
            return False
        raise
    return True


def caller_of(endpoint: str, role: str, service: str) -> Any:
    """Return a client of a service for a role."""
    session = client("sts", endpoint).assume_role(RoleArn=role, RoleSessionName="probe")["Credentials"]
    return boto3.Session(
        aws_access_key_id=session["AccessKeyId"],
        aws_secret_access_key=session["SecretAccessKey"],
        aws_session_token=session["SessionToken"],
        region_name=REGION,
    ).client(service, endpoint_url=endpoint)  # type: ignore[call-overload] # any service


@pytest.mark.parametrize("action", CALLS)
def test_a_batch_needs_the_action_of_the_single_form(corrected: str, plain: str, action: str) -> None:
    assert is_allowed(corrected, action, CALLS[action])
    assert not is_allowed(plain, action, CALLS[action])


def test_parameters_of_a_path_are_those_of_its_resource(corrected: str, plain: str) -> None:
    """A policy for one path allows to list it, and no other one."""
    name = f"probe-{secrets.token_hex(4)}"
    for endpoint, expected in ((corrected, [True, False]), (plain, [False, False])):
        role = create_role(endpoint, name)
        statement = {
            "Effect": "Allow",
            "Action": "ssm:GetParametersByPath",
            "Resource": f"arn:aws:ssm:{REGION}:{role.split(':')[4]}:parameter/{name}",
        }
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        client("iam", endpoint).put_role_policy(RoleName=name, PolicyName="probe", PolicyDocument=document)
        ssm = caller_of(endpoint, role, "ssm")
        assert [lists(ssm, path) for path in (f"/{name}", "/other")] == expected


def lists(ssm: Any, path: str) -> bool:
    """Whether the caller may list the parameters of a path."""
    try:
        ssm.get_parameters_by_path(Path=path)
    except ClientError as error:
        if error.response["Error"]["Code"] == "AccessDeniedException":
            return False
        raise
    return True


def test_a_batch_needs_no_less(corrected: str) -> None:
    assert not is_allowed(corrected, "sqs:ReceiveMessage", CALLS["sqs:SendMessage"])


def test_a_reader_of_settings_needs_no_right_to_change_them(corrected: str, plain: str) -> None:
    """Nor rights on more than it reads: on one function, and on one role."""
    name = f"probe-{secrets.token_hex(4)}"
    for endpoint, expected in ((corrected, [True, True]), (plain, [False, False])):
        role = create_role(endpoint, name)
        account = role.split(":")[4]
        function = f"arn:aws:lambda:{REGION}:{account}:function:{name}"
        statements = [
            {"Effect": "Allow", "Action": "lambda:GetFunctionConcurrency", "Resource": function},
            {"Effect": "Allow", "Action": "iam:SimulatePrincipalPolicy", "Resource": role},
        ]
        document = json.dumps({"Version": "2012-10-17", "Statement": statements})
        client("iam", endpoint).put_role_policy(RoleName=name, PolicyName="probe", PolicyDocument=document)
        functions, iam = caller_of(endpoint, role, "lambda"), caller_of(endpoint, role, "iam")
        assert [
            is_permitted(lambda: functions.get_function_concurrency(FunctionName=name)),  # noqa: B023 - called at once
            is_permitted(lambda: iam.simulate_principal_policy(PolicySourceArn=role, ActionNames=["sqs:x"])),  # noqa: B023
        ] == expected


def is_permitted(call: Callable[[], object]) -> bool:
    """Whether a call is allowed, whatever else becomes of it."""
    try:
        call()
    except ClientError as error:
        return "AccessDenied" not in error.response["Error"]["Code"]
    return True
