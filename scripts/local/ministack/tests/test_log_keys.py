"""Keys of log groups."""

from __future__ import annotations

import secrets
from typing import Any

import pytest
from botocore.exceptions import ClientError

from scripts.local.ministack.tests.apis import client

KEYS = [f"arn:aws:kms:us-east-1:111122223333:key/{number}" for number in "ab"]


def key_of(logs: Any, group: str) -> str | None:
    """Return the key of a log group, as DescribeLogGroups tells it."""
    found = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    assert len(found) == 1
    key: str | None = found[0].get("kmsKeyId")
    return key


def test_the_key_of_a_log_group_changes(corrected: str, plain: str) -> None:
    group = f"probe-{secrets.token_hex(4)}"
    logs = client("logs", corrected)
    logs.create_log_group(logGroupName=group)
    for key in KEYS:
        logs.associate_kms_key(logGroupName=group, kmsKeyId=key)
        assert key_of(logs, group) == key
    logs.disassociate_kms_key(logGroupName=group)
    assert key_of(logs, group) is None
    with pytest.raises(logs.exceptions.ResourceNotFoundException, match="does not exist"):
        logs.associate_kms_key(logGroupName=f"{group}-other", kmsKeyId=KEYS[0])

    logs = client("logs", plain)
    logs.create_log_group(logGroupName=group)
    with pytest.raises(ClientError, match="Unknown action"):
        logs.associate_kms_key(logGroupName=group, kmsKeyId=KEYS[0])
