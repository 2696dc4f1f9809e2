"""A table's own KMS key: callers that read or write items need ``kms:Decrypt`` on it, by way of DynamoDB."""
# ruff: noqa: ANN401, SLF001 - MiniStack is untyped and has no other hook

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ministack.core import iam_evaluator
from ministack.services import dynamodb

from scripts.local.ministack.wrapping import replaces

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

OF_ITEMS = {
    f"dynamodb:{name}"
    for name in (
        "BatchGetItem",
        "BatchWriteItem",
        "ConditionCheckItem",
        "DeleteItem",
        "GetItem",
        "PutItem",
        "Query",
        "Scan",
        "UpdateItem",
    )
}


@replaces(iam_evaluator, "enforce")
def enforce(
    original: Callable[..., Any],
    access_key: str,
    action: str,
    *service_and_region: str,
    resource_arn: str = "*",
    service_context: Mapping[str, Any] | None = None,
) -> Any:
    """Return None if the request is allowed, by the policies for the table and for its key."""
    place = {"resource_arn": resource_arn, "service_context": service_context}
    denied = original(access_key, action, *service_and_region, **place)
    table = resource_arn.partition(":table/")[2].partition("/")[0]
    key = key_of(table) if denied is None and action in OF_ITEMS else None
    if key is None:
        return denied
    region = service_and_region[1]
    context = {
        "kms:ViaService": f"dynamodb.{region}.amazonaws.com",
        "kms:EncryptionContext:aws:dynamodb:tableName": table,
    }
    return original(access_key, "kms:Decrypt", "kms", region, resource_arn=key, service_context=context)


def key_of(table: str) -> str | None:
    """Return the ARN of a table's own key; None for the account's managed key."""
    description = (dynamodb._tables.get(table) or {}).get("SSEDescription") or {}
    key: str | None = description.get("KMSMasterKeyArn")
    return key if key and ":alias/aws/" not in key else None
