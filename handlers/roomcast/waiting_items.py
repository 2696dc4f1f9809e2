"""Items of the connections table for waiting tasks of a FIFO queue (``backlog``), which have a partition per shard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from roomcast import aws_json, headcount, items

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roomcast.rooms import Rooms

PAGE_ITEMS = 50
"""Waiting items that a worker reads at a time. It writes their changes together with its own ten tasks, in one
transaction of at most 100 actions and 4 MB, which those ten do not fill."""


class WaitingItems(NamedTuple):
    """The waiting items of the connections table; deadlines and errors are as of ``Rooms``.

    Attributes:
        table: The table.
    """

    table: Rooms

    def read(self, room: str, shard: int, deadline: float, enough: int = 1) -> tuple[list[items.Waiting], bool]:
        """Read the items of a shard, in order; gives them, and whether those are all.

        Args:
            room: Name of the room.
            shard: Number of the partition.
            deadline: Latest end.
            enough: No further page is read once there are so many items.
        """
        query = items.query(
            self.table.table_name,
            items.backlog_key(room, shard),
            "sort_key, connected_at, body",
            max(enough, PAGE_ITEMS),
        )
        found: list[items.Waiting] = []
        while True:
            answer = self.table.query(query, deadline)
            found += [
                items.Waiting(item["sort_key"]["S"], item["body"]["S"], int(item["connected_at"]["N"]))
                for item in answer["Items"]
            ]
            # Expired items are left out. They may fill whole pages, with further items behind them.
            if "LastEvaluatedKey" not in answer or len(found) >= enough:
                return found, "LastEvaluatedKey" not in answer
            query["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def replace(self, room: str, shard: int, item: items.Waiting, deadline: float) -> None:
        """Write an item in the place of one with its key and stamp, or else none.

        Args:
            room: Name of the room.
            shard: Number of the partition.
            item: The item; without a body, the other one is deleted.
            deadline: Latest end.
        """
        table_name = self.table.table_name
        if item.body:
            written = items.waiting(room, shard, item)
            action = items.put(table_name, written, "connected_at = :connected_at", item.stamp)
        else:
            action = items.deletion(table_name, items.waiting_key(room, shard, item.key), item.stamp)
        try:
            self.table.write([action], deadline)
        except aws_json.ServiceError as error:
            if headcount.CONDITION_FAILED not in aws_json.cancellation_reasons(error):
                raise

    def change(
        self, room: str, shard: int, puts: Sequence[items.Waiting], deletions: Sequence[items.Waiting], deadline: float
    ) -> None:
        """Write and delete items of a shard: all or none.

        Args:
            room: Name of the room.
            shard: Number of the partition.
            puts: Items to write, in the place of those that have their keys.
            deletions: Items to delete; together with ``puts`` at most 100.
            deadline: Latest end.

        Raises:
            aws_json.ServiceError: The table did not answer, or another worker has replaced an item to delete.
        """
        table_name = self.table.table_name
        actions: list[dict[str, Any]] = [
            {"Put": {"TableName": table_name, "Item": items.waiting(room, shard, each)}} for each in puts
        ]
        actions += [
            items.deletion(table_name, items.waiting_key(room, shard, each.key), each.stamp) for each in deletions
        ]
        self.table.write(actions, deadline)
