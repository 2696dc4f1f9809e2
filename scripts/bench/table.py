"""A server in place of DynamoDB: one room of a given size for each protocol, and the items that transactions write."""

from __future__ import annotations

import bisect
import json
import time
from typing import Any

from scripts.bench.json_server import JsonServer, UnknownError, dump
from scripts.bench.server import run

ROOM = "lobby"
"""Its members are in text mode."""

V1_ROOM = "hall"
"""Its members speak ``roomcast.v1``."""

PAGE_ITEMS = 10_000
"""A page of DynamoDB holds 1 MB
(https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Query.Pagination.html), and a member 100 bytes."""
QUERY_PARAMETERS = {
    "ConsistentRead",
    "ExclusiveStartKey",
    "ExpressionAttributeValues",
    "FilterExpression",
    "KeyConditionExpression",
    "Limit",
    "ProjectionExpression",
    "TableName",
}


def member_id(number: int, room: str = ROOM) -> str:
    """Return the connection id of a room's member. Ids look like API Gateway's and ascend."""
    return f"BFHPh{'f' if room == ROOM else 'v'}{number:07}AM="


class Table(JsonServer):
    """Answers reads and writes.

    Attributes:
        write_delay: Seconds until the answer to a write.
        members: Size of each room.
        shards: Number of its partitions; members are dealt out to them in turn.
    """

    def __init__(self, certificate: str) -> None:
        super().__init__(certificate)
        self.write_delay = 0.0
        self.members = 0
        self.shards = 1
        self._partitions: dict[str, dict[str, Any]] = {}
        self._rooms_of: dict[str, dict[str, Any]] = {}
        self._pages: dict[bytes, bytes] = {}
        self._items: dict[str, dict[str, Any]] = {}

    def configure(self, **settings: Any) -> None:  # noqa: ANN401 - each setting has its own type
        """Set the attributes, and delete all items beside the rooms'."""
        super().configure(**settings)
        self._items.clear()
        if settings.keys() & {"members", "shards"}:
            self._rooms_of.clear()
            self._partitions.clear()
            self._pages.clear()
            self._make_room(ROOM, "text")
            self._make_room(V1_ROOM, "roomcast.v1")

    def _make_room(self, room: str, protocol: str) -> None:
        attributes = _attributes(protocol)
        for number in range(self.members):
            connection_id, shard = member_id(number, room), number % self.shards
            partition = f"room#{room}#{shard}"
            key = {"partition_key": {"S": partition}, "sort_key": {"S": connection_id}}
            self._partitions.setdefault(partition, {})[connection_id] = {**key, **attributes}
            self._rooms_of[connection_id] = {**attributes, "rooms": {"M": {room: {"N": str(shard)}}}}

    def call(self, operation: str, body: bytes, arrived_at: float) -> tuple[bytes, float]:
        """Read or write."""
        del arrived_at
        request = json.loads(body)
        if operation == "Query":
            return self._page(request), self.delay
        if operation == "GetItem":
            return dump(self._item(request["Key"])), self.delay
        if operation == "TransactWriteItems":
            for action in request["TransactItems"]:
                [(kind, parameters)] = action.items()
                self._write(kind, parameters)
        elif operation in {"PutItem", "DeleteItem"}:
            self._write(operation.removesuffix("Item"), request)
        else:
            raise UnknownError("the operation")
        return b"{}", self.write_delay

    def _item(self, key: dict[str, Any]) -> dict[str, Any]:
        kind, _, connection_id = key["partition_key"]["S"].partition("#")
        if kind == "connection" and connection_id in self._rooms_of:
            return {"Item": {**key, **self._rooms_of[connection_id]}}
        item = self._items.get(key["partition_key"]["S"], {}).get(key["sort_key"]["S"])
        return {"Item": item} if item else {}

    def _page(self, request: dict[str, Any]) -> bytes:
        partition = _partition(request)
        # A warm function asks the same again and again: its answer must not cost time of its own.
        asked = dump({**request, "ExpressionAttributeValues": partition})
        if asked in self._pages:
            return self._pages[asked]
        items = self._partitions.get(partition, self._items.get(partition, {}))
        keys = sorted(items)
        after = request.get("ExclusiveStartKey", {}).get("sort_key", {}).get("S", "")
        first = bisect.bisect_right(keys, after)
        some = keys[first : first + min(request.get("Limit", PAGE_ITEMS), PAGE_ITEMS)]
        found = [_projected(items[key], request.get("ProjectionExpression", "")) for key in some]
        page: dict[str, Any] = {"Items": found, "Count": len(found), "ScannedCount": len(found)}
        if first + len(some) < len(keys):
            page["LastEvaluatedKey"] = _projected(items[some[-1]], "partition_key, sort_key")
        answer = dump(page)
        if partition in self._partitions:
            self._pages[asked] = answer
        return answer

    def _write(self, kind: str, parameters: dict[str, Any]) -> None:
        """Write or delete an item; the rooms' own items stay, so that each message meets the same room."""
        item = parameters.get("Item") or parameters.get("Key") or {}
        partition, sort = item["partition_key"]["S"], item["sort_key"]["S"]
        if kind == "Put":
            self._items.setdefault(partition, {})[sort] = item
        elif kind == "Delete":
            self._items.get(partition, {}).pop(sort, None)
        else:
            raise UnknownError(f"the action {kind}")


def _partition(request: dict[str, Any]) -> str:
    """Return the partition that a query asks for; a condition on the sort key is unknown here."""
    if unknown := request.keys() - QUERY_PARAMETERS:
        raise UnknownError(f"the parameters {sorted(unknown)}")
    name, _, value = request["KeyConditionExpression"].replace(" ", "").partition("=")
    if name != "partition_key" or value not in request["ExpressionAttributeValues"]:
        raise UnknownError(f"the condition {request['KeyConditionExpression']}")
    partition: str = request["ExpressionAttributeValues"][value]["S"]
    return partition


def _projected(item: dict[str, Any], expression: str) -> dict[str, Any]:
    """Return the attributes that an expression names; all if it names none."""
    names = expression.replace(" ", "").split(",")
    return item if names == [""] else {name: item[name] for name in names if name in item}


def _attributes(protocol: str) -> dict[str, Any]:
    """Return the attributes of a member that connected long ago."""
    expires_at = str(int(time.time()) + 3600)
    return {"connected_at": {"N": "0"}, "expires_at": {"N": expires_at}, "protocol": {"S": protocol}}


if __name__ == "__main__":
    run(Table)
