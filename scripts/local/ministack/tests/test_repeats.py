"""Calls that a client repeats."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from scripts.local.aws import ACCESS_KEY, REGION

if TYPE_CHECKING:
    from collections.abc import Iterator


def calls(endpoint: str, service: str, identifiers: Iterator[str]) -> Any:
    """Return a client whose calls have the given ids."""
    made = boto3.client(
        service,  # type: ignore[call-overload] # any service
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=ACCESS_KEY,
        config=Config(retries={"mode": "standard", "total_max_attempts": 1}),
    )

    def identify(request: Any, **_: Any) -> None:
        request.headers["amz-sdk-invocation-id"] = next(identifiers)

    made.meta.events.register("before-send", identify)
    return made


def test_a_repeated_creation_is_answered_as_before(corrected: str, plain: str) -> None:
    for endpoint, is_corrected in ((corrected, True), (plain, False)):
        name, first, other = (secrets.token_hex(8) for _ in range(3))
        logs = calls(endpoint, "logs", iter([first, first, other]))
        logs.create_log_group(logGroupName=name)
        if is_corrected:
            logs.create_log_group(logGroupName=name)
        with pytest.raises(ClientError, match="already exists"):
            logs.create_log_group(logGroupName=name)


def test_a_refused_call_and_a_question_are_executed_once_more(corrected: str) -> None:
    name, call = secrets.token_hex(8), secrets.token_hex(8)
    dynamodb = calls(corrected, "dynamodb", iter([call, call]))
    iam = calls(corrected, "iam", iter([call]))
    with pytest.raises(ClientError, match="ResourceNotFound"):
        dynamodb.describe_table(TableName=name)
    with pytest.raises(ClientError, match="ResourceNotFound"):
        dynamodb.describe_table(TableName=name)
    with pytest.raises(ClientError, match="NoSuchEntity"):
        iam.get_role(RoleName=name)
