"""Simulated rights."""

from __future__ import annotations

import json
import secrets
from typing import Any

from scripts.local.ministack.tests.apis import client, create_role

FIRST, SECOND = "arn:aws:sqs:us-east-1:111122223333:first", "arn:aws:sqs:us-east-1:111122223333:second"


def simulated(url: str) -> set[tuple[str, str, str]]:
    """Simulate two actions on two queues, of which a role may send to the second; returns the results."""
    iam, name = client("iam", url), f"simulated-{secrets.token_hex(4)}"
    arn = create_role(url, name, None)
    statement = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": SECOND}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_role_policy(RoleName=name, PolicyName="task", PolicyDocument=document)
    found: Any = iam.simulate_principal_policy(
        PolicySourceArn=arn, ActionNames=["sqs:SendMessage", "sqs:DeleteMessage"], ResourceArns=[FIRST, SECOND]
    )
    return {
        (each["EvalActionName"], each["EvalResourceName"], each["EvalDecision"]) for each in found["EvaluationResults"]
    }


def test_each_action_is_simulated_on_each_resource(corrected: str) -> None:
    assert simulated(corrected) == {
        ("sqs:SendMessage", FIRST, "implicitDeny"),
        ("sqs:SendMessage", SECOND, "allowed"),
        ("sqs:DeleteMessage", FIRST, "implicitDeny"),
        ("sqs:DeleteMessage", SECOND, "implicitDeny"),
    }


def test_the_plain_one_simulates_the_first_resource_alone(plain: str) -> None:
    assert {resource for _, resource, _ in simulated(plain)} == {FIRST}
