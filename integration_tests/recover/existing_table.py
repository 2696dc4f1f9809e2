"""A table that no backend has made, as teams bring one of their own."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def make_table(dynamodb: Any) -> Mapping[str, Any]:  # noqa: ANN401 - a client of boto3
    """Make a table of the form that ``existing_table`` demands; return its description as DynamoDB gives it."""
    table: Mapping[str, Any] = dynamodb.create_table(
        TableName=f"theirs-{secrets.token_hex(4)}",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("partition_key", "sort_key")],
        KeySchema=[
            {"AttributeName": "partition_key", "KeyType": "HASH"},
            {"AttributeName": "sort_key", "KeyType": "RANGE"},
        ],
    )["TableDescription"]
    dynamodb.update_time_to_live(
        TableName=table["TableName"], TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires_at"}
    )
    return table
