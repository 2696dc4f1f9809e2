"""The sweeper removes old items of the harness's own rooms, and nothing of users."""

from __future__ import annotations

import time
from typing import Any

import pytest

from integration_tests.harness.table import ROOM_PREFIX, ConnectionsTable, connection_key, is_of_tests, membership_key
from integration_tests.load.leftovers import sweep

DAY_MS = 24 * 3_600_000
OURS = f"{ROOM_PREFIX}1"
USERS = ("default", "lobby", f"not-{ROOM_PREFIX}1", ROOM_PREFIX.upper(), ROOM_PREFIX[:-1], "")


class ConditionalCheckFailedError(Exception):
    """As boto3's exception of that name."""


class FakeDynamoDB:
    """A table that scans and deletes.

    Attributes:
        items: All items.
        newer: Ids of connections that are replaced by newer ones after the scan.
    """

    exceptions = type("Exceptions", (), {"ConditionalCheckFailedException": ConditionalCheckFailedError})

    def __init__(self) -> None:
        self.items: list[dict[str, Any]] = []
        self.newer: set[str] = set()

    def add(self, room: str, connection_id: str, connected_at: int) -> None:
        """Add both items of a connection."""
        shared = {"connected_at": {"N": str(connected_at)}}
        self.items += [
            {**connection_key(connection_id), **shared, "rooms": {"M": {room: {"N": "0"}}}},
            {**membership_key(room, connection_id), **shared},
        ]

    def get_paginator(self, operation: str) -> FakeDynamoDB:
        """Stands for its own paginators, too."""
        assert operation == "scan"
        return self

    def paginate(self, **request: Any) -> list[dict[str, Any]]:
        """Answer with all items of older connections."""
        assert request["FilterExpression"] == "connected_at < :before"
        before = int(request["ExpressionAttributeValues"][":before"]["N"])
        found = [item for item in self.items if int(item["connected_at"]["N"]) < before]
        return [{"Items": found[:1]}, {"Items": found[1:]}]

    def delete_item(
        self,
        TableName: str,  # noqa: N803 - as boto3 has it
        Key: dict[str, Any],  # noqa: N803
        ConditionExpression: str = "",  # noqa: N803
        ExpressionAttributeValues: dict[str, Any] | None = None,  # noqa: N803
    ) -> None:
        """Delete an item, if the condition holds."""
        assert TableName == "chat"
        [item] = [each for each in self.items if Key.items() <= each.items()]
        if any(each in f"{Key['partition_key']['S']} {Key['sort_key']['S']}" for each in self.newer):
            item["connected_at"] = {"N": str(int(item["connected_at"]["N"]) + DAY_MS)}
        if ConditionExpression:
            assert ConditionExpression == "connected_at = :read"
            if item["connected_at"] != (ExpressionAttributeValues or {})[":read"]:
                raise ConditionalCheckFailedError
        self.items.remove(item)


@pytest.fixture
def dynamodb() -> FakeDynamoDB:
    """Old connections in a room of ours and in rooms of users, and a young one in ours."""
    made = FakeDynamoDB()
    now = int(time.time() * 1000)
    made.add(OURS, "old=", now - 2 * DAY_MS)
    made.add(OURS, "young=", now - DAY_MS // 2)
    for number, room in enumerate(USERS):
        made.add(room, f"user{number}=", now - 2 * DAY_MS)
    return made


def swept(dynamodb: FakeDynamoDB, *, dry_run: bool = False) -> int:
    """Sweep; return how many items were, or would be, removed."""
    table = ConnectionsTable(dynamodb, "chat", 1)  # type: ignore[arg-type]
    return sweep(table, older_than=24, dry_run=dry_run, show=lambda _: None)


def test_old_items_of_the_harness_go_and_all_others_stay(dynamodb: FakeDynamoDB) -> None:
    staying = [item for item in dynamodb.items if "old=" not in str(item)]

    assert swept(dynamodb) == 2
    assert dynamodb.items == staying


def test_dry_run_counts_and_removes_nothing(dynamodb: FakeDynamoDB) -> None:
    before = list(dynamodb.items)

    assert swept(dynamodb, dry_run=True) == 2
    assert dynamodb.items == before


def test_item_that_a_newer_connection_has_replaced_meanwhile_stays(dynamodb: FakeDynamoDB) -> None:
    dynamodb.newer = {"old="}
    before = len(dynamodb.items)
    swept(dynamodb)

    assert len(dynamodb.items) == before


@pytest.mark.parametrize("room", USERS)
def test_room_of_users_is_none_of_the_harness(room: str) -> None:
    assert not is_of_tests(room)
