"""Deletion of connections: each with all of its items in one transaction.

The rooms of a connection change together with the ``version`` in its item, and a handshake writes none. The deletion
depends on the version and the number of rooms that are known. When they are others by now, DynamoDB returns the item
with its refusal, and its rooms are deleted instead. So a reader of one room needs no further read to delete a member
that is in this room alone
(https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Delete.html).
"""

from __future__ import annotations

import collections
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from roomcast import aws_json, headcount, items

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from roomcast.changes import Changes
    from roomcast.members import Connection

MAXIMUM_ACTIONS = 100
"""Of one transaction (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html). Items are
counted, not connections, because each room of a connection has one."""


class Removal(NamedTuple):
    """Deletes connections.

    Attributes:
        changes: The table, and how to write it.
    """

    changes: Changes

    def remove(self, connections: Sequence[Connection]) -> None:
        """Delete all items of connections, but not those that a newer connection of the same id has written.

        Args:
            connections: The connections, with their rooms as far as they are known.

        Raises:
            aws_json.ServiceError: The table could not be written by the deadline.
        """
        remaining, deadline = connections, self.changes.deadline
        if self.changes.headcount.maximum:
            # Deleting comes before counting, so only half the time is for members that a number counts.
            until = time.monotonic() + (deadline - time.monotonic()) / 2
            remaining = self._remove(connections, until, is_counted=True)
        self._remove(remaining, deadline, is_counted=False)

    def _remove(self, connections: Sequence[Connection], deadline: float, *, is_counted: bool) -> Sequence[Connection]:
        """Delete connections; gives those that a number may not count."""
        waiting = collections.deque(connections)
        uncounted: list[Connection] = []
        while waiting:
            batch = _batch(waiting, is_counted=is_counted)
            try:
                self.changes.write(self._actions(batch, is_counted=is_counted), deadline)
            except aws_json.ServiceError as error:
                again, refused = _sorted(batch, error)
                if again == batch and not is_counted:
                    raise
                if again == batch:
                    again, refused = [], batch
                waiting.extendleft(reversed(again))
                uncounted += refused if is_counted else ()
        return uncounted

    def _actions(self, batch: Sequence[Connection], *, is_counted: bool) -> list[dict[str, Any]]:
        actions = [action for each in batch for action in self._deletions(each, is_counted=is_counted)]
        if is_counted:
            numbers = collections.Counter(place for each in batch for place in each.rooms.items())
            subtraction = self.changes.headcount.subtraction
            actions += [subtraction(room, shard, number) for (room, shard), number in numbers.items()]
        return actions

    def _deletions(self, connection: Connection, *, is_counted: bool) -> list[dict[str, Any]]:
        """The actions that delete a connection: first its own item, then memberships, then the item that lists it."""
        table_name, connection_id = self.changes.table_name, connection.connection_id
        further = [
            items.deletion(table_name, items.membership_key(room, shard, connection_id), connection.connected_at)
            for room, shard in connection.rooms.items()
        ]
        for action in further if is_counted else ():
            self.changes.must_count(action)
        if connection.is_listed:
            key = items.user_key(connection.subject, connection_id)
            further.append(items.deletion(table_name, key, connection.connected_at))
        return [items.removal(table_name, connection), *further]


def _batch(waiting: collections.deque[Connection], *, is_counted: bool) -> list[Connection]:
    """Take connections for one transaction; those with a number need one more action for each partition of a room."""
    batch: list[Connection] = []
    places: set[tuple[str, int]] = set()
    actions = 0
    while waiting:
        new = set(waiting[0].rooms.items()) - places if is_counted else set()
        actions += waiting[0].items + len(new)
        if batch and actions > MAXIMUM_ACTIONS:
            break
        batch.append(waiting.popleft())
        places |= new
    return batch


def _sorted(batch: Sequence[Connection], error: aws_json.ServiceError) -> tuple[list[Connection], list[Connection]]:
    """Those to be deleted with the next try, and those with an item that is another one's, or that no number counts."""
    again: list[Connection] = []
    refused: list[Connection] = []
    reasons, found = aws_json.cancellation_reasons(error), aws_json.cancellation_items(error)
    position = 0
    for each in batch:
        end = position + each.items
        if headcount.CONDITION_FAILED not in reasons[position:end]:
            again.append(each)
        elif reasons[position] != headcount.CONDITION_FAILED:
            refused.append(each)
        elif (changed := _changed(each, found[position])) is not None:
            again.append(changed)
        position = end
    return again, refused


def _changed(connection: Connection, item: Mapping[str, Any]) -> Connection | None:
    """The connection with other rooms; ``None`` if the item is that of a newer one, or a tombstone."""
    now = items.connection(connection.connection_id, item)
    if now is None or now.connected_at != connection.connected_at:
        return None
    is_other = (now.rooms, now.version) != (connection.rooms, connection.version)
    return now if is_other or now.is_listed > connection.is_listed else None
