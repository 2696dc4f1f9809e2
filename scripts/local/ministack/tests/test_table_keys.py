"""The right to use a table's own key."""

from __future__ import annotations

import json
import secrets
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from scripts.local.aws import REGION
from scripts.local.ministack.tests.apis import client, create_role

ITEM = {"key": {"S": "one"}}
VIA_DYNAMODB = {"StringEquals": {"kms:ViaService": f"dynamodb.{REGION}.amazonaws.com"}}


def caller_of_table(endpoint: str, *statements: dict[str, Any], key: str | None) -> tuple[Any, str]:
    """Return a DynamoDB client that may use items and has the rights of the statements, and the name of a new table."""
    name = f"probe-{secrets.token_hex(4)}"
    encryption = {"SSESpecification": {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key}} if key else {}
    client("dynamodb", endpoint).create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": "key", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "key", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
        **encryption,
    )
    role = create_role(endpoint, name)
    items = {"Effect": "Allow", "Action": "dynamodb:*Item", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [items, *statements]})
    client("iam", endpoint).put_role_policy(RoleName=name, PolicyName="probe", PolicyDocument=policy)
    session = client("sts", endpoint).assume_role(RoleArn=role, RoleSessionName="probe")["Credentials"]
    caller = boto3.client(
        "dynamodb",
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id=session["AccessKeyId"],
        aws_secret_access_key=session["SecretAccessKey"],
        aws_session_token=session["SessionToken"],
    )
    return caller, name


def decrypt(**more: Any) -> dict[str, Any]:
    """Return a statement that allows ``kms:Decrypt``."""
    return {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*", **more}


def test_a_table_on_its_own_key_needs_the_right_to_decrypt(corrected: str, plain: str) -> None:
    key = client("kms", corrected).create_key()["KeyMetadata"]["Arn"]
    caller, table = caller_of_table(corrected, key=key)
    with pytest.raises(ClientError, match=r"denied|not authorized"):
        caller.put_item(TableName=table, Item=ITEM)
    with pytest.raises(ClientError, match=r"denied|not authorized"):
        caller.get_item(TableName=table, Key=ITEM)
    with pytest.raises(ClientError, match=r"denied|not authorized"):
        caller.transact_write_items(TransactItems=[{"Put": {"TableName": table, "Item": ITEM}}])

    caller, table = caller_of_table(plain, key=client("kms", plain).create_key()["KeyMetadata"]["Arn"])
    caller.put_item(TableName=table, Item=ITEM)


def test_the_right_may_be_limited_to_dynamodb_and_to_the_table(corrected: str) -> None:
    key = client("kms", corrected).create_key()["KeyMetadata"]["Arn"]
    caller, table = caller_of_table(corrected, decrypt(Condition=VIA_DYNAMODB), key=key)
    caller.put_item(TableName=table, Item=ITEM)
    elsewhere = {"StringEquals": {"kms:EncryptionContext:aws:dynamodb:tableName": "another"}}
    for statement in (decrypt(Condition=elsewhere), decrypt(Resource=f"{key}-other")):
        caller, table = caller_of_table(corrected, statement, key=key)
        with pytest.raises(ClientError, match=r"denied|not authorized"):
            caller.put_item(TableName=table, Item=ITEM)


def test_the_accounts_managed_key_needs_no_right(corrected: str) -> None:
    caller, table = caller_of_table(corrected, key=None)
    caller.put_item(TableName=table, Item=ITEM)
