"""Rows of the connections table, as a scan reads them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from roomcast import items

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

CONNECTION, ROOM = items.key_of("connection", ""), items.key_of("room", "")
"""Beginnings of the partition keys of connections and of memberships."""

ATTRIBUTES = (
    "partition_key", "sort_key", "connected_at", "expires_at", "rooms", "version", "listed", "subject", "protocol",
)  # fmt: skip


class Place(NamedTuple):
    """A partition of a room."""

    room: str
    shard: int


def place_of(row: Mapping[str, Any]) -> Place:
    """Return the partition of a membership. Names of rooms need no escape in keys."""
    _, room, shard = row["partition_key"]["S"].split("#")
    return Place(room, int(shard))


@dataclass
class Scan:
    """A scan of the memberships and connections that have not expired.

    Attributes:
        client: Of DynamoDB.
        table: Name of the connections table.
        with_expired: Whether rows that have expired are read, too.
        units: Read units so far.
        scanned: Rows that DynamoDB has read so far.
    """

    client: Any
    table: str
    with_expired: bool = False
    units: float = 0.0
    scanned: int = 0
    on_page: Callable[[Scan], None] = field(default=lambda _: None)

    def rows(self) -> Iterator[Mapping[str, Any]]:
        """Yield the rows, in no order. Tombstones are left out, which have no rooms."""
        values: dict[str, Any] = {":connection": {"S": CONNECTION}, ":room": {"S": ROOM}}
        living = ""
        if not self.with_expired:
            living = " AND expires_at > :now"
            values[":now"] = {"N": str(int(time.time()))}
        names = {f"#a{index}": name for index, name in enumerate(ATTRIBUTES)}
        pages = self.client.get_paginator("scan").paginate(
            TableName=self.table,
            FilterExpression=(
                "(begins_with(partition_key, :room) OR begins_with(partition_key, :connection) AND "
                f"attribute_exists(rooms)){living}"
            ),
            ExpressionAttributeNames=names,
            ExpressionAttributeValues=values,
            ProjectionExpression=", ".join(names),
            ReturnConsumedCapacity="TOTAL",
        )
        for page in pages:
            self.units += page.get("ConsumedCapacity", {}).get("CapacityUnits", 0.0)
            self.scanned += page.get("ScannedCount", 0)
            self.on_page(self)
            yield from page["Items"]
