"""The history table, in steps (``steps``), so that the tests can carry out one step at a time in any order."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from roomcast import aws_json
from roomcast import history_items as items

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from roomcast.settings import Settings
    from roomcast.steps import Steps

    Item = Mapping[str, Any]

ATTEMPT_SECONDS = 0.5
"""How long an answer may take before the call is tried again: members wait for the message meanwhile."""

REFUSED = "ConditionalCheckFailedException"


class Table:
    """The history table.

    Every method takes a ``deadline`` in seconds of ``time.monotonic`` and raises ``aws_json.ServiceError`` when the
    table cannot be reached by then.

    Args:
        settings: Table name, endpoint, Region, and how long messages are kept.
        clock: Seconds since 1970.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        self._database = aws_json.Service(
            settings.dynamodb_endpoint, "dynamodb", "DynamoDB_20120810", settings.region, ATTEMPT_SECONDS
        )
        self._name = settings.history_table_name
        self._keeps_seconds = settings.history_retention_minutes * 60 + items.MARGIN_SECONDS
        self._clock = clock

    def now(self) -> int:
        """Milliseconds since 1970."""
        return int(self._clock() * 1000)

    def end_of(self, at: int) -> int:
        """When a message of this time may be deleted, in seconds since 1970."""
        return at // 1000 + self._keeps_seconds

    def get(self, key: items.Key, deadline: float) -> Steps[Item | None]:
        """Read an item."""
        request = {"TableName": self._name, "Key": key, "ConsistentRead": True}
        answer = yield from self._database.steps("GetItem", request, deadline)
        return answer.get("Item")

    def put(self, item: Item, deadline: float, or_expired_at: int | None = None) -> Steps[Item | None]:
        """Write an item where there is none; gives the one that is there, or ``None`` if it was written.

        Args:
            item: The item.
            deadline: Latest end.
            or_expired_at: The time, in seconds since 1970, if an item that has expired counts as none.
        """
        request: dict[str, Any] = {
            "TableName": self._name,
            "Item": item,
            "ConditionExpression": items.NEW,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        if or_expired_at is not None:
            request["ConditionExpression"] += " OR expires_at < :now"
            request["ExpressionAttributeValues"] = items.values(now=or_expired_at)
        try:
            yield from self._database.steps("PutItem", request, deadline)
        except aws_json.ServiceError as error:
            if error.code != REFUSED:
                raise
            found: Item = error.details.get("Item") or {}
            return found
        return None

    def update(self, key: items.Key, change: Mapping[str, Any], deadline: float) -> Steps[tuple[Item | None, bool]]:
        """Change an item; gives it as it is afterwards, if there is one, and whether it was changed.

        Args:
            key: Key of the item.
            change: The expressions of the request.
            deadline: Latest end.
        """
        request = {
            "TableName": self._name,
            "Key": key,
            **change,
            "ReturnValues": "ALL_NEW",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        try:
            answer = yield from self._database.steps("UpdateItem", request, deadline)
        except aws_json.ServiceError as error:
            if error.code != REFUSED:
                raise
            return error.details.get("Item"), False
        return answer["Attributes"], True

    def get_all(self, keys: Sequence[items.Key], deadline: float, *, strongly: bool) -> Steps[list[Item]]:
        """Read up to a hundred items; those that do not exist are left out.

        Args:
            keys: Their keys.
            deadline: Latest end.
            strongly: Whether each write that has ended is seen; else the read costs half.
        """
        return (yield from aws_json.get_all(self._database, self._name, keys, deadline, strongly=strongly))

    def page(self, query: Mapping[str, Any], deadline: float) -> Steps[Mapping[str, Any]]:
        """Read one page of messages.

        Args:
            query: As of ``slots``.
            deadline: Latest end.
        """
        answer: Mapping[str, Any] = yield from self._database.steps("Query", query, deadline)
        return answer

    def slots(self, log: tuple[str, str], low: int, high: int, limit: int, *, is_forward: bool) -> dict[str, Any]:
        """The query for slots of a log, in the order of their numbers or backwards.

        Args:
            log: Room and epoch.
            low: The first number.
            high: The last one.
            limit: Items of a page at most.
            is_forward: Whether the page begins with the first number.
        """
        keys = {"log": items.log_key(*log), "low": items.sort_key(low), "high": items.sort_key(high)}
        return {
            "TableName": self._name,
            "ConsistentRead": True,
            "KeyConditionExpression": "partition_key = :log AND sort_key BETWEEN :low AND :high",
            "ExpressionAttributeValues": items.values(**keys),
            "Limit": limit,
            "ScanIndexForward": is_forward,
        }
