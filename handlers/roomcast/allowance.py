"""How many messages a connection may send: a bucket of tokens, kept as one moment in the connection's item.

``sends_from`` is when the bucket is full again, in milliseconds. A message moves it on by the time that one token takes
to come back, and is refused while it is further ahead than the bucket has tokens. The update that does so returns the
item, so it replaces the read of the sender. Only a message that comes before the bucket is full again costs a second
update, because one expression cannot tell the two cases apart
(https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from roomcast import aws_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from roomcast.aws_json import Service

BUCKET_SECONDS = 2.0
"""The bucket holds the messages of so many seconds: people send some at once, and pause after them."""


class SpentError(Exception):
    """The connection has sent more messages than it may.

    Args:
        item: Its item.
    """

    def __init__(self, item: Mapping[str, Any]) -> None:
        super().__init__("the connection has sent more messages than it may")
        self.item = item


class Allowance(NamedTuple):
    """A rate, as steps in time.

    Attributes:
        interval: Milliseconds in which one token comes back.
        tolerance: How far ahead ``sends_from`` may be, in milliseconds.
    """

    interval: int
    tolerance: int


def of_rate(messages_per_second: float) -> Allowance:
    """The allowance of a rate above 0. The bucket holds at least one message."""
    capacity = max(1.0, messages_per_second * BUCKET_SECONDS)
    interval = max(1, round(1_000 / messages_per_second))
    return Allowance(interval, round((capacity - 1) * interval))


def take(
    database: Service, table_name: str, key: Mapping[str, Any], rate: Allowance, deadline: float
) -> Mapping[str, Any] | None:
    """Take a token; gives the connection's item, or ``None`` if there is none.

    Args:
        database: DynamoDB.
        table_name: Name of the connections table.
        key: Key of the item.
        rate: The rate.
        deadline: Latest end, in seconds of ``time.monotonic``.

    Raises:
        SpentError: The bucket is empty.
        aws_json.ServiceError: The table did not answer by the deadline.
    """
    now = int(time.time() * 1_000)
    latest = now + rate.tolerance
    at_rest = {
        "UpdateExpression": "SET sends_from = :next",
        "ConditionExpression": "attribute_exists(rooms) AND (attribute_not_exists(sends_from) OR sends_from <= :now)",
        "ExpressionAttributeValues": {":next": _number(now + rate.interval), ":now": _number(now)},
    }
    in_flow = {
        "UpdateExpression": "SET sends_from = sends_from + :interval",
        "ConditionExpression": "attribute_exists(rooms) AND sends_from <= :latest",
        "ExpressionAttributeValues": {":interval": _number(rate.interval), ":latest": _number(latest)},
    }
    item: Mapping[str, Any] | None = None
    for update in (at_rest, in_flow):
        item, is_updated = _updated(database, {"TableName": table_name, "Key": key, **update}, deadline)
        if is_updated or not item or "rooms" not in item:
            return item
        if int(item.get("sends_from", _number(0))["N"]) > latest:
            break
    raise SpentError(item or {})


def _updated(database: Service, update: Mapping[str, Any], deadline: float) -> tuple[Mapping[str, Any] | None, bool]:
    """The item after an update, or the one that the update was refused for; and whether it was updated."""
    wanted = {"ReturnValues": "ALL_NEW", "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    try:
        return database.call("UpdateItem", {**update, **wanted}, deadline)["Attributes"], True
    except aws_json.ServiceError as error:
        if error.code != "ConditionalCheckFailedException":
            raise
        return error.details.get("Item"), False


def _number(value: int) -> dict[str, str]:
    return {"N": str(value)}
