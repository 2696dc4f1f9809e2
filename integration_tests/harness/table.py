"""Read and write the connections table. Only this file and ``handlers/roomcast/rooms.py`` know its keys."""

from __future__ import annotations

import asyncio
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from scripts.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from types_boto3_dynamodb.client import DynamoDBClient
    from types_boto3_dynamodb.type_defs import QueryOutputTypeDef

ROOM_PREFIX = "roomcast-test-"
"""Prefix of the harness's rooms; on a stage in use, only items of such rooms may be removed."""

HOUR_MS = 3_600_000
"""Age of a member in tests: old enough that a missing connection is gone for good."""


def unknown_connection_id() -> str:
    """Return an id of API Gateway's form that no connection has."""
    return secrets.token_urlsafe(11) + "="


@dataclass(frozen=True)
class ConnectionsTable:
    """The connections table; tests write to it where they need a state that no client can bring about.

    Attributes:
        dynamodb: boto3 client.
        name: Name of the table.
        shards_per_room: As the stage under test was applied with.
    """

    OUTPUTS: ClassVar = ("connections_table_name", "shards_per_room")
    """Terraform's outputs that name a stage's table."""

    dynamodb: DynamoDBClient
    name: str
    shards_per_room: int
    _seen: set[str] = field(default_factory=set, init=False, repr=False)
    """Rooms in which this object has found a member."""

    @classmethod
    def of_stage(cls, dynamodb: DynamoDBClient, outputs: Mapping[str, Any]) -> ConnectionsTable:
        """Return the table of a stage, found by Terraform's outputs."""
        name, shards = (outputs[each] for each in cls.OUTPUTS)
        return cls(dynamodb, name, shards)

    async def members(self, room: str) -> set[str]:
        """Return the connection ids of a room's members, read consistently, all pages."""
        return set[str]().union(*await self.members_by_shard(room))

    async def members_by_shard(self, room: str) -> list[set[str]]:
        """Return the connection ids of a room's members, one set for each shard."""
        return await asyncio.to_thread(
            lambda: [self._members_of_shard(room, shard) for shard in range(self.shards_per_room)]
        )

    async def connections(self, connection_ids: Collection[str]) -> set[str]:
        """Return the given ids that have a connection item."""
        return await asyncio.to_thread(self._connections, sorted(connection_ids))

    async def size(self) -> int:
        """Return the number of items, without the tombstones that failed joins leave for 15 minutes."""
        return await asyncio.to_thread(self._count)

    async def expect_nothing_left(self, room: str, connection_ids: Collection[str], within: float) -> None:
        """Wait until neither memberships of a room nor items of its former connections exist.

        Args:
            room: The room that all members have left.
            connection_ids: Ids of those members.
            within: Seconds; ``$disconnect`` runs once per closed connection, so let it grow with their number.

        Raises:
            AssertionError: An item is left, or this table has never shown a member of the room.
        """
        assert connection_ids, "no ids to look for, so nothing is proved"
        assert room in self._seen, f"no member was ever seen in room {room!r} of table {self.name}"
        nothing: set[str] = set()
        await eventually(lambda: self.members(room), nothing, within=within, what="the room's items to go")
        await eventually(
            lambda: self.connections(connection_ids), nothing, within=within, what="the connections' items to go"
        )

    async def add_member(
        self, room: str, connection_id: str, age_ms: int, *further: str, counted_since: str | None = None
    ) -> None:
        """Write the items of a connection that does not exist, as if its ``$disconnect`` had been lost.

        Args:
            room: Room it is a member of, in shard 0.
            connection_id: An id that no connection has.
            age_ms: How long ago it connected, milliseconds.
            further: Rooms that it joined afterwards.
            counted_since: The text under which its rooms' numbers count it; None for no number.
        """
        counted = {} if counted_since is None else {"counted_since": {"S": counted_since}}
        now = time.time()
        # In the future, however old the connection is: an emulator may delete expired items at any moment.
        ends_at = {"N": str(int(now) + 3 * 3600)}
        shared: dict[str, Any] = {
            "connected_at": {"N": str(int(now * 1000) - age_ms)},
            "expires_at": ends_at,
            "token_ends_at": ends_at,  # for stages that want tokens
            "protocol": {"S": "text"},
        }
        rooms = [room, *further]
        connection = {**connection_key(connection_id), **shared, "rooms": {"M": {each: {"N": "0"} for each in rooms}}}
        if further:
            connection["version"] = {"N": str(len(further))}
        for item in (connection, *({**membership_key(each, connection_id), **shared, **counted} for each in rooms)):
            await asyncio.to_thread(self.dynamodb.put_item, TableName=self.name, Item=item)

    async def remove_member(self, room: str, connection_id: str) -> None:
        """Delete both items of a connection in shard 0, as time to live does."""
        for key in (connection_key(connection_id), membership_key(room, connection_id)):
            await asyncio.to_thread(self.dynamodb.delete_item, TableName=self.name, Key=key)

    async def age_member(self, room: str, connection_id: str, age_ms: int) -> None:
        """Set the connection time in both items of a connection in shard 0 to ``age_ms`` milliseconds ago."""
        connected_at = {"N": str(int(time.time() * 1000) - age_ms)}
        for key in (connection_key(connection_id), membership_key(room, connection_id)):
            await self._update(key, "connected_at", connected_at)

    async def reconnect_elsewhere(self, connection_id: str) -> None:
        """Turn a connection item into that of a newer connection with the same id, made a moment ago."""
        await self._update(connection_key(connection_id), "connected_at", {"N": str(int(time.time() * 1000))})

    async def expire_member(self, room: str, connection_id: str) -> None:
        """Set a membership's expiry to an hour ago, as if time to live had not deleted it yet."""
        await self._update(membership_key(room, connection_id), "expires_at", {"N": str(int(time.time()) - 3600)})

    async def pad_member(self, room: str, connection_id: str, characters: int) -> None:
        """Make a membership item heavy, so that few fit in one page of 1 MB."""
        await self._update(membership_key(room, connection_id), "padding", {"S": "x" * characters})

    async def page_count(self, room: str) -> int:
        """Return the number of pages in DynamoDB's answer to a query for shard 0 of a room."""
        return await asyncio.to_thread(lambda: sum(1 for _ in self._pages_of_room(room, shard=0)))

    def items_of_tests(self, connected_before: int) -> Iterator[dict[str, Any]]:
        """Yield all items of connections to the harness's own rooms, reading the whole table.

        Args:
            connected_before: Skip younger items; epoch milliseconds.
        """
        pages = self.dynamodb.get_paginator("scan").paginate(
            TableName=self.name,
            ProjectionExpression="partition_key, sort_key, connected_at, rooms",
            FilterExpression="connected_at < :before",
            ExpressionAttributeValues={":before": {"N": str(connected_before)}},
        )
        for page in pages:
            yield from (item for item in page["Items"] if any(map(is_of_tests, rooms_of(item))))

    def delete(self, item: Mapping[str, Any]) -> None:
        """Delete an item that was read before, unless a newer connection has replaced it."""
        with suppress(self.dynamodb.exceptions.ConditionalCheckFailedException):
            self.dynamodb.delete_item(
                TableName=self.name,
                Key={name: item[name] for name in ("partition_key", "sort_key")},
                ConditionExpression="connected_at = :read",
                ExpressionAttributeValues={":read": item["connected_at"]},
            )

    async def _update(self, key: dict[str, Any], attribute: str, value: dict[str, Any]) -> None:
        await asyncio.to_thread(
            self.dynamodb.update_item,
            TableName=self.name,
            Key=key,
            UpdateExpression="SET #attribute = :value",
            ExpressionAttributeNames={"#attribute": attribute},
            ExpressionAttributeValues={":value": value},
        )

    def _members_of_shard(self, room: str, shard: int) -> set[str]:
        members = {item["sort_key"]["S"] for page in self._pages_of_room(room, shard) for item in page["Items"]}
        if members:
            self._seen.add(room)
        return members

    def _pages_of_room(self, room: str, shard: int) -> Iterator[QueryOutputTypeDef]:
        return iter(
            self.dynamodb.get_paginator("query").paginate(
                TableName=self.name,
                ConsistentRead=True,
                KeyConditionExpression="partition_key = :room",
                ExpressionAttributeValues={":room": {"S": f"room#{room}#{shard}"}},
            )
        )

    def _count(self) -> int:
        scan = self.dynamodb.get_paginator("scan")
        pages = scan.paginate(
            TableName=self.name,
            ConsistentRead=True,
            Select="COUNT",
            FilterExpression="attribute_exists(rooms) OR begins_with(partition_key, :room)",
            ExpressionAttributeValues={":room": {"S": "room#"}},
        )
        return sum(page["Count"] for page in pages)

    def _connections(self, connection_ids: list[str]) -> set[str]:
        found: set[str] = set()
        for start in range(0, len(connection_ids), 100):  # BatchGetItem takes 100 keys
            keys = [connection_key(each) for each in connection_ids[start : start + 100]]
            pending: Mapping[str, Any] = {self.name: {"Keys": keys, "ConsistentRead": True}}
            while pending:
                answer = self.dynamodb.batch_get_item(RequestItems=pending)
                items = answer["Responses"][self.name]
                found |= {item["partition_key"]["S"].removeprefix("connection#") for item in items}
                pending = answer["UnprocessedKeys"]
        return found


def rooms_of(item: Mapping[str, Any]) -> list[str]:
    """Return the rooms that an item of either kind is about."""
    if "rooms" in item:
        return [*item["rooms"]["M"]]
    room, _, _ = item["partition_key"]["S"].removeprefix("room#").rpartition("#")
    return [room]


def is_of_tests(room: str) -> bool:
    """Whether only the harness uses a room."""
    return room.startswith(ROOM_PREFIX)


def connection_key(connection_id: str) -> dict[str, Any]:
    """Return the key of the item with a connection's rooms."""
    return {"partition_key": {"S": f"connection#{connection_id}"}, "sort_key": {"S": "connection"}}


def membership_key(room: str, connection_id: str, shard: int = 0) -> dict[str, Any]:
    """Return the key of the item that makes a connection a member of a room."""
    return {"partition_key": {"S": f"room#{room}#{shard}"}, "sort_key": {"S": connection_id}}
