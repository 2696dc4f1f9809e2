"""The messages that a stage's rooms have kept, deleted as DynamoDB deletes expired items."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LONG_AGO_MS = 5 * 3_600_000
"""Milliseconds by which the creation of a room's log moves to the past: the age of a young log alone proves that its
empty numbers were never stored."""


class KeptMessages:
    """The history table of a stage that this run may change.

    Args:
        dynamodb: boto3's client.
        table: Name of the table.
    """

    def __init__(self, dynamodb: Any, table: str) -> None:  # noqa: ANN401 - boto3 has no types for it
        self._dynamodb = dynamodb
        self._table = table

    def expire(self, rooms: Iterable[str]) -> None:
        """Delete all messages that rooms have kept so far, as if the logs had been created long ago.

        Args:
            rooms: Names of the rooms; each has kept a message.
        """
        for room in rooms:
            head = self._age_head(room)
            for key in [*self._keys(f"log#{room}#{head['epoch']['S']}", int(head["seq"]["N"]))]:
                self._dynamodb.delete_item(TableName=self._table, Key=key)

    def _age_head(self, room: str) -> dict[str, Any]:
        """Let a room's log seem older; return its head."""
        attributes: dict[str, Any] = self._dynamodb.update_item(
            TableName=self._table,
            Key={"partition_key": {"S": f"head#{room}"}, "sort_key": {"S": "head"}},
            UpdateExpression="SET created_at = created_at - :ms",
            ConditionExpression="attribute_exists(partition_key)",
            ExpressionAttributeValues={":ms": {"N": str(LONG_AGO_MS)}},
            ReturnValues="ALL_NEW",
        )["Attributes"]
        return attributes

    def _keys(self, log: str, last: int) -> Iterator[dict[str, Any]]:
        """Yield the keys of the messages of a log up to a number."""
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="partition_key = :log AND sort_key <= :last",
            ExpressionAttributeValues={":log": {"S": log}, ":last": {"S": f"{last:016}"}},
            ProjectionExpression="partition_key, sort_key",
            ConsistentRead=True,
        )
        for page in pages:
            yield from page["Items"]
