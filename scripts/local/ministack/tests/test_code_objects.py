"""Code in S3: a function without readable code is neither created nor changed."""

from __future__ import annotations

import secrets
from typing import Any

import pytest
from botocore.exceptions import ClientError

from scripts.local.ministack.tests.apis import ANSWER_OK, client, create_role, zipped


def create(endpoint: str, name: str, **code: str) -> None:
    """Create a function with code in S3."""
    client("lambda", endpoint).create_function(
        FunctionName=name,
        Runtime="python3.13",
        Role=create_role(endpoint, name, None),
        Handler="probe.handler",
        Code=code,
    )


def bucket_with_code(endpoint: str) -> str:
    """Return the name of a new bucket that holds code."""
    bucket = f"code-{secrets.token_hex(4)}"
    client("s3", endpoint).create_bucket(Bucket=bucket)
    client("s3", endpoint).put_object(Bucket=bucket, Key="code.zip", Body=zipped(ANSWER_OK))
    return bucket


@pytest.mark.parametrize(
    ("place", "reason"), [({"S3Key": "other.zip"}, "NoSuchKey"), ({"S3Bucket": "other"}, "NoSuchBucket")]
)
def test_unreadable_code_is_refused(corrected: str, plain: str, place: dict[str, str], reason: str) -> None:
    name = f"probe-{secrets.token_hex(4)}"
    with pytest.raises(ClientError) as refused:
        create(corrected, name, **{"S3Bucket": bucket_with_code(corrected), "S3Key": "code.zip", **place})
    assert refused.value.response["Error"]["Code"] == "InvalidParameterValueException"
    assert f"Error occurred while GetObject. S3 Error Code: {reason}." in str(refused.value)
    assert name not in names_of_functions(corrected)

    create(plain, name, **{"S3Bucket": bucket_with_code(plain), "S3Key": "code.zip", **place})
    assert name in names_of_functions(plain)


def test_unreadable_code_changes_no_function(corrected: str) -> None:
    name, bucket = f"probe-{secrets.token_hex(4)}", bucket_with_code(corrected)
    create(corrected, name, S3Bucket=bucket, S3Key="code.zip")
    functions = client("lambda", corrected)
    before = functions.get_function_configuration(FunctionName=name)

    with pytest.raises(ClientError, match="S3 Error Code: NoSuchKey"):
        functions.update_function_code(FunctionName=name, S3Bucket=bucket, S3Key="other.zip")

    after: dict[str, Any] = functions.get_function_configuration(FunctionName=name)
    assert (after["CodeSha256"], after["RevisionId"]) == (before["CodeSha256"], before["RevisionId"])


def names_of_functions(endpoint: str) -> set[str]:
    """Return the names of all functions."""
    pages = client("lambda", endpoint).get_paginator("list_functions").paginate()
    return {function["FunctionName"] for page in pages for function in page["Functions"]}
