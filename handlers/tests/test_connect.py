"""``$connect``: which handshakes are accepted, and the items in the table afterwards."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from tests.fakes import CONNECTED_AT, FakeConnections, FakeContext, FakeTable, error_code, handshake, message

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def connect(load: Callable[[str], Any]) -> Any:
    """The handler module."""
    return load("connect")


def test_a_client_is_a_member_of_the_room_it_names(connect: Any, table: FakeTable) -> None:
    assert connect.handler(handshake("alice=", "lobby"), FakeContext()) == {"statusCode": 200}

    expires_at = {"N": str(CONNECTED_AT // 1000 + 7200 + 600)}
    shared = {"connected_at": {"N": str(CONNECTED_AT)}, "expires_at": expires_at, "protocol": {"S": "text"}}
    assert table.items == {
        ("connection#alice=", "connection"): {
            "partition_key": {"S": "connection#alice="},
            "sort_key": {"S": "connection"},
            "rooms": {"M": {"lobby": {"N": "0"}}},
            **shared,
        },
        ("room#lobby#0", "alice="): {"partition_key": {"S": "room#lobby#0"}, "sort_key": {"S": "alice="}, **shared},
    }


def test_without_a_room_it_is_the_default_room(connect: Any, table: FakeTable) -> None:
    connect.handler(handshake("alice="), FakeContext())

    assert ("room#default#0", "alice=") in table.items


@pytest.mark.parametrize("rooms", [("",), ("a b",), ("ü",), ("x" * 65,), ("a#0",), ("lobby\n",), ("a", "b")])
def test_a_bad_room_is_refused_with_400_and_leaves_nothing(connect: Any, table: FakeTable, rooms: tuple[str]) -> None:
    assert connect.handler(handshake("alice=", *rooms), FakeContext()) == {"statusCode": 400}
    assert table.calls == []


def test_a_table_that_fails_refuses_the_handshake(connect: Any, table: FakeTable) -> None:
    table.failing.add("TransactWriteItems")

    assert connect.handler(handshake("alice=", "lobby"), FakeContext()) == {"statusCode": 500}


def test_a_write_whose_answer_is_lost_leaves_nothing_visible(connect: Any, table: FakeTable) -> None:
    table.failing_after_write.add("TransactWriteItems")

    assert connect.handler(handshake("alice=", "lobby"), FakeContext()) == {"statusCode": 500}
    assert table.living() == set()


def test_nobody_ever_sees_half_a_member(connect: Any, table: FakeTable, monkeypatch: pytest.MonkeyPatch) -> None:
    write = table.call
    seen: list[set[str]] = []

    def call(*arguments: Any) -> dict[str, Any]:
        try:
            return write(*arguments)
        finally:
            seen.append(table.halves())

    monkeypatch.setattr(table, "call", call)
    connect.handler(handshake("alice=", "lobby"), FakeContext())
    table.failing_after_write.add("TransactWriteItems")
    connect.handler(handshake("bob=", "lobby"), FakeContext())

    assert table.living() == {("connection#alice=", "connection"), ("room#lobby#0", "alice=")}
    assert len(seen) >= 3
    assert not any(seen)


def test_members_are_spread_over_the_shards_and_each_remembers_its_own(
    connect: Any, table: FakeTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connect.ROOMS, "shards_per_room", 4)
    monkeypatch.setattr(connect.ROOMS, "shards_read", 4)
    for number in range(64):
        connect.handler(handshake(f"client-{number}", "lobby"), FakeContext())
    members = {recipient.connection_id: recipient for recipient in connect.ROOMS.members("lobby", time.monotonic() + 1)}

    assert len(members) == 64
    assert {recipient.shard for recipient in members.values()} == {0, 1, 2, 3}
    for connection_id, recipient in members.items():
        stored = table.items[f"connection#{connection_id}", "connection"]["rooms"]["M"]["lobby"]["N"]
        assert stored == str(recipient.shard)


def test_a_message_that_names_the_route_is_no_second_life(
    connect: Any, table: FakeTable, connections: FakeConnections
) -> None:
    answer = connect.handler(message("alice=", {"action": "$connect"}, "$connect"), FakeContext())

    assert answer == {"statusCode": 200}
    assert [error_code(text) for text in connections.received("alice=")] == ["unknown_action"]
    # Its item would tell how it is answered.
    assert [operation for operation, _ in table.calls] == ["GetItem"]
