"""Membership: who is in which room.

Memberships are written before the handshake is answered and read with strong consistency, so that no connected client
is missed. All items carry ``connected_at``, and a deletion is conditional on it, because ids could be used again.
"""

from __future__ import annotations

import binascii
import os
from typing import TYPE_CHECKING, Any

from roomcast import (
    allowance,
    arrivals,
    aws_json,
    changes,
    early,
    headcount,
    items,
    marks,
    removal,
    roster,
    steps,
    users,
)
from roomcast.backoff import RANDOM
from roomcast.members import Connection, Members

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from roomcast.recipients import Pages, Recipient
    from roomcast.settings import Settings

PAGE_ITEMS = 1000
"""Members read at a time: few enough that memory does not grow with the room."""


class Rooms:
    """The connections table.

    Every method takes a ``deadline`` in seconds of ``time.monotonic`` and raises ``aws_json.ServiceError`` when the
    table cannot be reached by then.

    Args:
        settings: Table name, endpoint, Region, and how many shards of a room are written and read.

    Attributes:
        table_name: Its name.
        shards_per_room: New members are spread over so many shards.
        shards_read: Members are read from so many shards, at least as many as any function in use writes to.
        rows_end: Whether clients need a token. Then members without one, which connected before tokens were switched
            on, do not count, and the others lose their membership when their token expires.
        headcount: The limit of members, and their numbers.
        senders: The rooms of clients that have sent a message lately.
        marks: The rooms with presence, which each change of their members marks.
    """

    def __init__(self, settings: Settings) -> None:
        self._database = aws_json.Service(settings.dynamodb_endpoint, "dynamodb", "DynamoDB_20120810", settings.region)
        self._readers: list[aws_json.Service] = []
        self._is_lent = False
        self._protocols: dict[str, str] = {}
        self.senders = early.Senders()
        self.marks = marks.Marks(settings, self._database)
        self.table_name = settings.table_name
        self.shards_per_room = settings.shards_per_room
        self.shards_read = settings.shards_read
        self.rows_end = settings.authorization in {"JWT", "CUSTOM"}
        self._lists_users, self._may_deny = settings.lists_users, settings.may_deny
        self.headcount = headcount.Headcount(
            settings.table_name,
            settings.maximum_room_members,
            settings.shards_per_room,
            settings.members_counted_since + (" with tokens" if self.rows_end else ""),
            with_token=self.rows_end,
        )

    def join(self, arrived: Connection, room: str | None, deadline: float) -> None:
        """Write the items of a new connection, and make it a member of a room: all items or none.

        Args:
            arrived: The connection, in no room. Its items end with its token where clients need one.
            room: Name of the room; ``None`` for none.
            deadline: Latest end.

        When it is unknown whether the write happened, a tombstone replaces the connection, which deletes the items of
        the write or refuses them should they still arrive. Then the error is raised.

        Raises:
            arrivals.DeniedError: The client was kicked, and may not connect yet.
            headcount.RoomFullError: The room has as many members as it may have.
        """
        expires_at = items.end_of(arrived.connected_at, arrived.token_ends_at if self.rows_end else None)
        joined = arrived._replace(expires_at=expires_at, is_listed=bool(arrived.subject) and self._lists_users)
        arrival = arrivals.Arrivals(self.table_name, self.write, deadline, self._may_deny)
        own = self._shard_of(arrived.connection_id)
        if room is None:
            arrival.join(joined)
        elif self.headcount.maximum:
            since = self.headcount.since

            def arrive(shard: int, further: Sequence[Mapping[str, Any]]) -> None:
                arrival.join(joined._replace(rooms={room: shard}), further, since)

            self.headcount.enter(self._database, room, own, arrive, deadline)
        else:
            arrival.join(joined._replace(rooms={room: own}))

    def enter(self, known: Connection, rooms: Sequence[str], maximum: int, deadline: float) -> Connection:
        """Make a connected client a member of rooms; gives the connection with all its rooms.

        Args:
            known: The connection as it was read, with the attributes of the new memberships.
            rooms: Names of the rooms; only one where rooms may have so many members only.
            maximum: How many rooms a connection may be in. It joins no more of them than that, the first ones first.
            deadline: Latest end.

        Raises:
            changes.GoneError: The client has disconnected.
            headcount.RoomFullError: The room has as many members as it may have.
        """
        change = self._changes(deadline)
        own = self._shard_of(known.connection_id)
        # A client that asks again may have had no answer because the function ended before it marked the rooms. One
        # that is in a room by its handshake has not been told the room's version.
        self.marks.mark([room for room in rooms if room in known.rooms], deadline)
        entered = known
        if not self.headcount.maximum or known.rooms.keys() >= set(rooms):
            entered = change.enter(known, dict.fromkeys(rooms, own), maximum)
        else:
            [room] = rooms

            def add(shard: int, further: Sequence[Mapping[str, Any]]) -> None:
                nonlocal entered
                entered = change.enter(known, {room: shard}, maximum, further)

            self.headcount.enter(self._database, room, own, add, deadline)
        # Another invocation may have joined them meanwhile, and may end before it marks them.
        others = entered.rooms.keys() - known.rooms.keys() - self.marks.versions.keys()
        self.marks.mark([room for room in rooms if room in others], deadline)
        return entered

    def quit(self, known: Connection, room: str, deadline: float) -> None:
        """Take a connected client out of a room."""
        if room not in known.rooms:
            self.marks.mark([room], deadline)
        self._changes(deadline).leave(known, room)

    def leave(self, connection_id: str, connected_at: int, deadline: float) -> bool:
        """Delete a connection and all its memberships; false when there was nothing to delete.

        Args:
            connection_id: Id of the connection that is gone.
            connected_at: When it was made, epoch milliseconds; items of a newer connection of that id stay.
            deadline: Latest end.
        """
        connection = self.find(connection_id, deadline)
        self.forget()
        if connection is None or connection.connected_at > connected_at:
            return False
        self.remove([connection], deadline)
        return True

    def find(
        self, connection_id: str, deadline: float, beside: Iterable[steps.Begun[Any, Any]] = ()
    ) -> Connection | None:
        """The connection of that id, expired or not, or ``None``.

        Args:
            connection_id: Id of the connection.
            deadline: Latest end.
            beside: These go on meanwhile.
        """
        key = {"TableName": self.table_name, "Key": items.connection_key(connection_id), "ConsistentRead": True}
        answer = steps.drive(self._database.steps("GetItem", key, deadline), beside)
        return self._found(connection_id, answer.get("Item"))

    def take(self, connection_id: str, rate: allowance.Allowance, deadline: float) -> Connection | None:
        """As ``find``, and take one message from the connection's allowance.

        Args:
            connection_id: Id of the connection.
            rate: Its allowance.
            deadline: Latest end.

        Raises:
            allowance.SpentError: It has sent more than that.
        """
        key = items.connection_key(connection_id)
        try:
            item = allowance.take(self._database, self.table_name, key, rate, deadline)
        except allowance.SpentError as error:
            self._found(connection_id, error.item)
            raise
        return self._found(connection_id, item)

    def _found(self, connection_id: str, item: Mapping[str, Any] | None) -> Connection | None:
        found = items.connection(connection_id, item, with_token=self.rows_end)
        if found is not None:
            self._protocols[connection_id] = found.protocol
        return found

    def protocol_of(self, connection_id: str, deadline: float) -> str | None:
        """The wire protocol of a connection; ``None`` if it has no item.

        Args:
            connection_id: Id of the connection; if it was read since ``forget``, it is not read again.
            deadline: Latest end.
        """
        if connection_id not in self._protocols:
            self.find(connection_id, deadline)
        return self._protocols.get(connection_id)

    def forget(self) -> None:
        """Forget what an earlier invocation has found: an id could be used again, and versions of rooms rise."""
        self._protocols.clear()
        self.marks.versions.clear()

    def roster(self, room: str, deadline: float) -> roster.Roster:
        """The names of a room's members, read by ``deadline``."""
        wanted = "sort_key, connected_at, protocol, subject, expires_at"
        queries = [self._members_query(room, shard, wanted) for shard in range(self.shards_read)]
        return roster.Roster(self._database, queries, deadline)

    def begin(self, room: str, without: str, deadline: float) -> early.Reads:
        """Ask for the members of a room, of which one will come first if it is still there.

        Args:
            room: Name of the room.
            without: The id of that member.
            deadline: Latest end.
        """
        shards = RANDOM.sample(range(self.shards_read), min(self.shards_read, early.AT_ONCE))

        def read(shard: int) -> early.Read:
            return steps.Begun(self._read(self._members_query(room, shard), shard, without, deadline, is_early=True))

        return early.Reads(room, {shard: read(shard) for shard in shards})

    def members(
        self, room: str, deadline: float, first: Recipient | None = None, begun: early.Reads | None = None
    ) -> Members:
        """All members of a room, in no particular order.

        Args:
            room: Name of the room.
            deadline: Latest end.
            first: The member that comes first, found in the room before.
            begun: Reads of ``begin`` with that member.
        """
        shards = list(range(self.shards_read))
        # Members of no shard are always served last.
        RANDOM.shuffle(shards)
        without = "" if first is None else first.connection_id

        def pages(shard: int) -> Pages:
            known = None if begun is None else begun.of(room, shard)
            return self.pages(room, shard, deadline, without=without) if known is None else known

        return Members(pages, shards, first)

    def members_of_shard(self, room: str, shard: int, deadline: float, after: str = "") -> Members:
        """All members in one partition of a room, ordered by connection id.

        Args:
            room: Name of the room.
            shard: Number of the partition.
            deadline: Latest end.
            after: Connection ids up to this one are left out; empty for none.
        """
        return Members(lambda shard: self.pages(room, shard, deadline, after), [shard])

    def pages(self, room: str, shard: int, deadline: float, after: str = "", without: str = "") -> Pages:
        """Read one partition page by page.

        Args:
            room: Name of the room.
            shard: Number of the partition.
            deadline: Latest end.
            after: Connection ids up to this one are left out; empty for none.
            without: The id of a member that is left out; empty for none.
        """
        query = self._members_query(room, shard)
        if after:
            query["ExclusiveStartKey"] = items.membership_key(room, shard, after)
        return self._read(query, shard, without, deadline)

    def present(self, room: str, shard: int, names: Collection[str], deadline: float) -> Pages:
        """Read the part of a partition that holds some members, page by page, and perhaps others between them.

        Args:
            room: Name of the room.
            shard: Number of the partition.
            names: Connection ids of the members.
            deadline: Latest end.
        """
        query = self._members_query(room, shard)
        query["KeyConditionExpression"] += " AND sort_key BETWEEN :first AND :last"
        query["ExpressionAttributeValues"] |= {":first": {"S": min(names)}, ":last": {"S": max(names)}}
        return self._read(query, shard, "", deadline)

    def _members_query(self, room: str, shard: int, wanted: str = "sort_key, connected_at, protocol") -> dict[str, Any]:
        return items.query(self.table_name, items.room_key(room, shard), wanted, PAGE_ITEMS, with_token=self.rows_end)

    def _read(
        self, query: dict[str, Any], shard: int, without: str, deadline: float, *, is_early: bool = False
    ) -> Pages:
        database = self._borrow(is_early=is_early)
        try:
            while True:
                page = yield from database.steps("Query", query, deadline)
                yield [each for each in items.recipients(page["Items"], shard) if each.connection_id != without]
                # An empty page may still be followed by others.
                if "LastEvaluatedKey" not in page:
                    return
                query["ExclusiveStartKey"] = page["LastEvaluatedKey"]
        finally:
            self._readers.append(database)

    def _borrow(self, *, is_early: bool) -> aws_json.Service:
        """A connection for reading: first the one that other calls use, if they wait meanwhile."""
        for number, reader in enumerate(self._readers):
            if not (is_early and reader is self._database):
                return self._readers.pop(number)
        if self._is_lent or is_early:
            return self._database.another()
        self._is_lent = True
        return self._database

    def prune(self, room: str, gone: Sequence[Recipient], deadline: float) -> None:
        """Delete the items of connections that are certainly dead, also those of other rooms."""
        # A connection may be found twice: earlier releases could add a member to two partitions of a room.
        dead = {each.connection_id: each for each in gone}.values()
        self.remove([Connection(each.connection_id, each.connected_at, {room: each.shard}) for each in dead], deadline)

    def users(self, deadline: float) -> users.Users:
        """The connections of clients by their names, read and written by ``deadline``."""
        return users.Users(self._database, self.table_name, self.remove, deadline, with_token=self.rows_end)

    @property
    def database(self) -> aws_json.Service:
        """DynamoDB, for the one function that reads the table in a way of its own: others need not load that."""
        return self._database

    def remove(self, connections: Sequence[Connection], deadline: float) -> None:
        """Delete all items of connections, whose rooms need not be known."""
        removal.Removal(self._changes(deadline)).remove(connections)

    def _changes(self, deadline: float) -> changes.Changes:
        return changes.Changes(self.table_name, self.headcount, self.write, deadline)

    def query(self, parameters: Mapping[str, Any], deadline: float) -> dict[str, Any]:
        """Read one page of items."""
        return self._database.call("Query", parameters, deadline)

    def write(self, actions: Sequence[Mapping[str, Any]], deadline: float) -> None:
        """Carry out all actions or none, only once however often the request arrives within 10 min."""
        parameters = {"TransactItems": actions, "ClientRequestToken": os.urandom(16).hex()}
        self.marks.around(lambda: self._database.call("TransactWriteItems", parameters, deadline), actions, deadline)

    def _shard_of(self, connection_id: str) -> int:
        # Not hash(), which differs between processes.
        return binascii.crc32(connection_id.encode()) % self.shards_per_room
