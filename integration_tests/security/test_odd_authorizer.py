"""Answers to handshakes whose authorizer sleeps or answers in another form, as the first check on AWS prints them."""

from __future__ import annotations

import asyncio
import io
import json
import secrets
import zipfile
from typing import TYPE_CHECKING

import pytest

from scripts import authorizer_answers
from scripts.repository import REPOSITORY

if TYPE_CHECKING:
    from integration_tests.targets.interface import Target

pytestmark = pytest.mark.emulator_only

SOURCE = REPOSITORY / "scripts" / "odd_authorizer.py"
TIMEOUT = 2
"""Seconds that the function has."""
CASES = {
    **{does: asks for does, asks in authorizer_answers.CASES.items() if not asks.startswith("sleep")},
    "sleeps for a moment": "sleep-0.1",
    "sleeps for too long": f"sleep-{TIMEOUT + 2}",
}
EXPECTED = {
    "answers at once": "101",
    "raises an error with the text Unauthorized": "401",
    "raises another error": "500",
    "denies": "403",
    "answers without a policy": "500",
    "answers with a policy without statements": "403",
    "answers with a text as the policy": "500",
    "answers with a list in the context": "500",
    "sleeps for a moment": "101",
    "sleeps for too long": "500",
}
"""On the emulator; those of AWS are not documented for WebSocket APIs."""


def function(target: Target) -> str:
    """Create the function; return its ARN."""
    assert target.aws is not None
    name = f"odd-{secrets.token_hex(3)}"
    statement = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    iam = target.aws.session.client("iam", endpoint_url=target.aws.endpoint_url)
    trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.write(SOURCE, SOURCE.name)
    return target.aws.functions.create_function(
        FunctionName=name,
        Runtime="python3.13",
        Role=iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]["Arn"],
        Handler=f"{SOURCE.stem}.handler",
        Code={"ZipFile": code.getvalue()},
        Timeout=TIMEOUT,
    )["FunctionArn"]


async def test_each_answer_is_printed(target: Target, capsys: pytest.CaptureFixture[str]) -> None:
    arn = await asyncio.to_thread(function, target)
    variables = {"authorization_type": "CUSTOM", "authorizer_function_arn": arn}
    deployment = await asyncio.to_thread(target.deploy_to_stay, f"odd-{secrets.token_hex(3)}", **variables)

    assert await asyncio.to_thread(authorizer_answers.main, [deployment.websocket_url], CASES) == 0
    printed = dict(
        line.removeprefix("an authorizer that ").split(": ") for line in capsys.readouterr().out.splitlines()
    )
    assert printed == EXPECTED


def test_a_stage_without_that_function_is_told(target: Target, capsys: pytest.CaptureFixture[str]) -> None:
    url = target.deployment.websocket_url
    assert authorizer_answers.main([f"{url}-absent"]) == 1
    assert "scripts/odd_authorizer.py" in capsys.readouterr().err
    assert authorizer_answers.main([]) == 2
