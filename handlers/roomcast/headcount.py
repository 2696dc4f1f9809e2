"""Number of members in each partition of a room, for rooms that may have so many only.

The number is an item that each join and each deletion of members changes in its own transaction. Members whose items
expire are not subtracted, not even when they leave, nor those that joined or were deleted without this limit. So the
number may be too large: when an item says that its partition is full, and when it is missing, old, or from before the
limit was set, the members are counted and the number is corrected.

Each partition takes its share of the limit. A client joins another partition when its own is full.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from roomcast import aws_json, items

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from roomcast.aws_json import Service

    Join = Callable[[int, Sequence[Mapping[str, Any]]], None]
    """Takes the number of a partition, and further actions of the transaction."""

LIFETIME_SECONDS = 2 * 60 * 60
"""As long as a connection lasts: after so long without a join, none of those counted is left."""

COUNTED_PER_PAGE = 10_000
"""More than fit into the megabyte that DynamoDB reads at a time."""

CONDITION_FAILED = "ConditionalCheckFailed"


class RoomFullError(Exception):
    """The room has as many members as it may have."""


class Headcount(NamedTuple):
    """The numbers of members, and the limit.

    Attributes:
        table_name: Name of the connections table.
        maximum: Members that a room may have; 0 for no limit, and no numbers.
        shards: Partitions that new members of a room are spread over.
        since: Text that is another one each time that a limit is set where there was none, and where other members
            count. Members join uncounted while there is no limit, so numbers under another text do not count.
        with_token: Whether members count only with a token that has not expired.
    """

    table_name: str
    maximum: int
    shards: int
    since: str = ""
    with_token: bool = False

    def enter(self, database: Service, room: str, own: int, join: Join, deadline: float) -> None:
        """Add a member to its own partition, or to the next one that has room.

        Args:
            database: DynamoDB.
            room: Name of the room.
            own: Number of the member's own partition.
            join: Carries out the transaction that adds it.
            deadline: Latest end, in seconds of ``time.monotonic``.

        Raises:
            RoomFullError: No partition has room.
            aws_json.ServiceError: The table could not be written by the deadline.
        """
        for offset in range(self.shards):
            shard = (own + offset) % self.shards
            if self._enter(database, room, shard, join, deadline):
                return
        raise RoomFullError

    def _enter(self, database: Service, room: str, shard: int, join: Join, deadline: float) -> bool:
        maximum = share(self.maximum, self.shards, shard)
        key = items.headcount_key(room, shard)
        update, is_corrected = entering(key, maximum, self.since), False
        while maximum:
            try:
                join(shard, [self._action("Update", update)])
            except aws_json.ServiceError as error:
                if not is_undone(error) or time.monotonic() >= deadline:
                    raise
                if aws_json.cancellation_reasons(error)[2] != CONDITION_FAILED:
                    continue  # Another transaction was in the way.
                update, is_corrected = entering(key, maximum, self.since), not is_corrected
                if is_corrected:
                    # In this order: a change after the first read is seen by the condition.
                    seen = self._seen(database, key, deadline)
                    members = self._count(database, items.room_key(room, shard), deadline)
                    if members >= maximum:
                        return False
                    update = corrected(key, members + 1, seen, self.since)
            else:
                return True
        return False

    def _seen(self, database: Service, key: Mapping[str, Any], deadline: float) -> Mapping[str, Any]:
        request = {"TableName": self.table_name, "Key": key, "ConsistentRead": True}
        item: Mapping[str, Any] = database.call("GetItem", request, deadline).get("Item") or {}
        return item

    def _count(self, database: Service, partition_key: str, deadline: float) -> int:
        """The number of members whose items have not expired."""
        query = items.query(self.table_name, partition_key, "", COUNTED_PER_PAGE, with_token=self.with_token)
        return sum(int(page["Count"]) for page in aws_json.pages(database, query, deadline))

    def subtraction(self, room: str, shard: int, number: int) -> dict[str, Any]:
        """The action that subtracts members from the number of their partition."""
        return self._action("Update", leaving(items.headcount_key(room, shard), number, self.since))

    def _action(self, kind: str, request: Mapping[str, Any]) -> dict[str, Any]:
        return {kind: {"TableName": self.table_name, **request}}


def is_refused(error: aws_json.ServiceError, *positions: int) -> bool:
    """Whether a transaction was cancelled because a condition does not hold: of any action, or of those given."""
    reasons = aws_json.cancellation_reasons(error)
    return CONDITION_FAILED in ([reasons[each] for each in positions if each < len(reasons)] if positions else reasons)


def is_undone(error: aws_json.ServiceError) -> bool:
    """Whether a join certainly wrote nothing, and only its number or another transaction was in the way."""
    reasons = aws_json.cancellation_reasons(error)
    return not error.in_doubt and len(reasons) >= 3 and CONDITION_FAILED not in reasons[:2]


def share(maximum: int, shards: int, shard: int) -> int:
    """Members that one partition may have, of those that the room may have."""
    return maximum // shards + (shard < maximum % shards)


def entering(key: Mapping[str, Any], maximum: int, since: str) -> dict[str, Any]:
    """The update that counts one more member, refused at the maximum, or if the number does not count any more."""
    now = int(time.time())
    return {
        "Key": key,
        "UpdateExpression": "SET members = members + :one, changes = changes + :one, expires_at = :end",
        "ConditionExpression": "members < :maximum AND expires_at > :now AND counted_since = :since",
        "ExpressionAttributeValues": {
            **items.numbers(one=1, maximum=maximum, now=now, end=now + LIFETIME_SECONDS),
            ":since": {"S": since},
        },
    }


def corrected(key: Mapping[str, Any], members: int, seen: Mapping[str, Any], since: str) -> dict[str, Any]:
    """The update that sets the number, refused if it has been changed meanwhile.

    Args:
        key: Key of the item.
        members: The number.
        seen: The item as it was before members were counted; empty if there was none.
        since: See ``Headcount``.
    """
    changes = int(seen["changes"]["N"]) if seen else 0
    end = int(time.time()) + LIFETIME_SECONDS
    values = items.numbers(members=members, changes=changes + 1, end=end, **({"seen": changes} if seen else {}))
    return {
        "Key": key,
        "UpdateExpression": "SET members = :members, changes = :changes, expires_at = :end, counted_since = :since",
        "ConditionExpression": "changes = :seen" if seen else "attribute_not_exists(partition_key)",
        "ExpressionAttributeValues": {**values, ":since": {"S": since}},
    }


def leaving(key: Mapping[str, Any], number: int, since: str) -> dict[str, Any]:
    """The update that subtracts members, refused if there is no number that counts."""
    return {
        "Key": key,
        "UpdateExpression": "SET members = members - :number, changes = changes + :one",
        "ConditionExpression": "counted_since = :since",
        "ExpressionAttributeValues": {**items.numbers(number=number, one=1), ":since": {"S": since}},
    }
