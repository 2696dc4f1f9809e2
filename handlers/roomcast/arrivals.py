"""The items of a new connection, written before its handshake is answered.

A write that was given up may still be on its way to the table. A tombstone takes the place of its connection: it counts
as no connection, and refuses that write should it arrive after all, even after ``$disconnect``.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from roomcast import aws_json, headcount, items

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from roomcast.changes import Write
    from roomcast.members import Connection

COMPENSATION_SECONDS = 2.0
"""Time left to undo a join that failed: enough for a connection that fails and another one. Of a short time, half."""

TOMBSTONE_SECONDS = 15 * 60
"""Lifetime of a tombstone: AWS refuses requests with an older signature
(https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html), so nothing can arrive later."""

NEW_OR_OLDER = "attribute_not_exists(partition_key) OR connected_at < :connected_at"

NOT_DENIED = "attribute_not_exists(partition_key) OR expires_at <= :now"
"""The condition on the item that keeps a client from connecting. Time to live deletes it within days."""


class DeniedError(Exception):
    """The client was kicked, and may not connect yet."""


class Arrivals(NamedTuple):
    """Writes new connections.

    Attributes:
        table_name: Name of the connections table.
        write: Carries out a transaction.
        deadline: Latest end, in seconds of ``time.monotonic``.
        may_deny: Whether clients that were kicked are refused.
    """

    table_name: str
    write: Write
    deadline: float
    may_deny: bool = False

    def join(
        self, joined: Connection, further: Sequence[Mapping[str, Any]] = (), counted_since: str | None = None
    ) -> None:
        """Write the items of a connection, or a tombstone if it is unknown whether they were written.

        Args:
            joined: The connection with its rooms.
            further: Actions of the same transaction.
            counted_since: Text of ``Headcount`` under which these count it; ``None`` for none.

        Raises:
            DeniedError: The client was kicked. It is checked in the transaction, so that a kick that began before has
                its item seen here, and one that begins later sees this connection.
            aws_json.ServiceError: The connection has no items.
        """
        connection_item, *memberships = items.rows(joined, counted_since)
        # Items that an earlier request of this very join has written are no obstacle; a tombstone is.
        condition = f"{NEW_OR_OLDER} OR (connected_at = :connected_at AND attribute_exists(rooms))"
        puts = [
            items.put(self.table_name, connection_item, condition, joined.connected_at),
            *({"Put": {"TableName": self.table_name, "Item": item}} for item in memberships),
            *further,
            *({"Put": {"TableName": self.table_name, "Item": items.user(each)}} for each in [joined] if each.is_listed),
            *self._checks(joined),
        ]
        compensation = min(COMPENSATION_SECONDS, (self.deadline - time.monotonic()) / 2)
        try:
            self.write(puts, self.deadline - compensation)
        except aws_json.ServiceError as error:
            if not headcount.is_undone(error):
                self._bury(joined)
            if self._checks(joined) and aws_json.cancellation_reasons(error)[-1:] == [headcount.CONDITION_FAILED]:
                raise DeniedError from error
            raise

    def _checks(self, joined: Connection) -> list[dict[str, Any]]:
        if not self.may_deny or not joined.subject:
            return []
        check = {
            "TableName": self.table_name,
            "Key": items.denial_key(joined.subject),
            "ConditionExpression": NOT_DENIED,
            "ExpressionAttributeValues": items.numbers(now=int(time.time())),
        }
        return [{"ConditionCheck": check}]

    def _bury(self, joined: Connection) -> None:
        """Put a tombstone in place of a connection, and delete its other items, unless a newer one has that id."""
        connection_id, connected_at = joined.connection_id, joined.connected_at
        tombstone = {
            **items.connection_key(connection_id),
            "connected_at": {"N": str(connected_at)},
            "expires_at": {"N": str(min(int(time.time()) + TOMBSTONE_SECONDS, joined.expires_at))},
        }
        condition = f"{NEW_OR_OLDER} OR connected_at = :connected_at"
        actions = [items.put(self.table_name, tombstone, condition, connected_at)]
        for room, shard in joined.rooms.items():
            key = items.membership_key(room, shard, connection_id)
            actions.append(items.deletion(self.table_name, key, connected_at))
        if joined.is_listed:
            key = items.user_key(joined.subject, connection_id)
            actions.append(items.deletion(self.table_name, key, connected_at))
        try:
            self.write(actions, self.deadline)
        except aws_json.ServiceError as error:
            if not headcount.is_refused(error):
                raise
