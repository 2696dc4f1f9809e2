"""Rooms that a connected client joins and leaves: each change is one transaction of its item and its memberships.

A change depends on the connection's item, so that one that arrives late brings no client back that has gone. When the
item is not as it was read, DynamoDB returns it with its refusal, and the change is tried with that.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from roomcast import aws_json, headcount, items

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from roomcast.members import Connection

    Write = Callable[[Sequence[Mapping[str, Any]], float], None]
    """Carries out all actions or none by a deadline, in seconds of ``time.monotonic``."""


COUNTED = "connected_at = :connected_at AND expires_at > :now AND counted_since = :since"
"""The condition on a membership that its room's number counts it. One that has expired may have been left out by a
count since. One without this mark joined through a function that counted nothing, or others."""


class GoneError(Exception):
    """The connection has no item, or a newer connection of that id has."""


class Changes(NamedTuple):
    """Changes the rooms of connections.

    Attributes:
        table_name: Name of the connections table.
        headcount: The numbers of members.
        write: Carries out a transaction.
        deadline: Latest end, in seconds of ``time.monotonic``.
    """

    table_name: str
    headcount: headcount.Headcount
    write: Write
    deadline: float

    def enter(
        self, known: Connection, places: Mapping[str, int], maximum: int, further: Sequence[Mapping[str, Any]] = ()
    ) -> Connection:
        """Make a connection a member of rooms, but for those that it is in; gives it with all its rooms.

        Args:
            known: The connection as it was read, with the attributes of the new memberships.
            places: The rooms, and the partition of each.
            maximum: How many rooms it may be in. It joins no more of them than that, the first ones first.
            further: Actions of the same transaction, which count the new memberships.

        Raises:
            GoneError: The client has disconnected.
            aws_json.ServiceError: The table could not be written by the deadline.
        """
        while new := _new(known, places, maximum):
            since = self.headcount.since if further else None
            puts = [
                {"Put": {"TableName": self.table_name, "Item": items.membership(known, room, shard, since)}}
                for room, shard in new.items()
            ]
            try:
                self.write([items.entering(self.table_name, known, new, maximum), *puts, *further], self.deadline)
            except aws_json.ServiceError as error:
                known = self._as_it_is(known, error)
            else:
                return known._replace(rooms={**known.rooms, **new}, version=known.version + 1)
        return known

    def leave(self, known: Connection, room: str) -> None:
        """Take a connection out of a room; one that is not in it stays as it is.

        Args:
            known: The connection as it was read.
            room: Name of the room.

        Raises:
            aws_json.ServiceError: The table could not be written by the deadline.
        """
        is_counted = bool(self.headcount.maximum)
        while room in known.rooms:
            try:
                self.write(self._departure(known, room, is_counted=is_counted), self.deadline)
            except aws_json.ServiceError as error:
                if not headcount.is_refused(error, 0):
                    if not is_counted or not headcount.is_refused(error):
                        raise
                    # No number counts this membership.
                    is_counted = False
                    continue
                try:
                    known = self._as_it_is(known, error)
                except GoneError:
                    return
            else:
                return

    def _departure(self, known: Connection, room: str, *, is_counted: bool) -> list[dict[str, Any]]:
        shard = known.rooms[room]
        deletion = items.deletion(
            self.table_name, items.membership_key(room, shard, known.connection_id), known.connected_at
        )
        actions = [items.leaving(self.table_name, known, room), deletion]
        if is_counted:
            self.must_count(deletion)
            actions.append(self.headcount.subtraction(room, shard, 1))
        return actions

    def must_count(self, deletion: dict[str, Any]) -> None:
        """Have a membership deleted only if its room's number counts it."""
        deletion["Delete"]["ConditionExpression"] = COUNTED
        since = {":since": {"S": self.headcount.since}}
        deletion["Delete"]["ExpressionAttributeValues"] |= items.numbers(now=int(time.time())) | since

    @staticmethod
    def _as_it_is(known: Connection, error: aws_json.ServiceError) -> Connection:
        """The connection after a refusal of its change; the error is raised if it was not refused for its item."""
        if not headcount.is_refused(error, 0):
            raise error
        now = items.connection(known.connection_id, aws_json.cancellation_items(error)[0])
        if now is None or now.connected_at != known.connected_at:
            raise GoneError
        return known._replace(rooms=now.rooms, version=now.version)


def _new(known: Connection, places: Mapping[str, int], maximum: int) -> dict[str, int]:
    """The rooms that a connection can join."""
    new = [place for place in places.items() if place[0] not in known.rooms]
    return dict(new[: max(0, maximum - len(known.rooms))])
