"""Rows with several rooms and a version are deleted as a whole, whatever happens meanwhile."""

from __future__ import annotations

import importlib
import random
import time
from typing import TYPE_CHECKING, Any

import pytest
from roomcast import aws_json, headcount, rooms
from roomcast.fanout import Recipient
from tests.fakes import CONNECTED_AT, FakeConnections, FakeContext, FakeTable, event, message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

PLACES = {"lobby": 0, "news": 0, "chess": 0}
MAXIMUM_ROOMS = 40
END = {"N": str(int(time.time()) + 7_200)}


def key(partition: str, sort: str) -> dict[str, Any]:
    return {"partition_key": {"S": partition}, "sort_key": {"S": sort}}


def enter(
    table: FakeTable,
    client: str,
    places: Mapping[str, int] = PLACES,
    *,
    version: int | None = 3,
    connected_at: int = CONNECTED_AT,
    spoken: str = "roomcast.v1",
) -> None:
    """Write the rows of a connection in some rooms; their numbers count it if they are there."""
    shared = {"connected_at": {"N": str(connected_at)}, "expires_at": END, "protocol": {"S": spoken}}
    numbered = {} if version is None else {"version": {"N": str(version)}}
    items = [
        {
            **key(f"connection#{client}", "connection"),
            **shared,
            **numbered,
            "rooms": {"M": {room: {"N": str(shard)} for room, shard in places.items()}},
        },
        *(
            {**key(f"room#{room}#{shard}", client), **shared, "counted_since": {"S": ""}}
            for room, shard in places.items()
        ),
    ]
    for item in items:
        table.items[item["partition_key"]["S"], item["sort_key"]["S"]] = item
    for room, shard in places.items():
        if number := table.items.get((f"members#{room}#{shard}", "members")):
            number["members"] = {"N": str(int(number["members"]["N"]) + 1)}


def traces(table: FakeTable, client: str) -> set[str]:
    """The partitions that hold an item of a connection."""
    return {partition for partition, sort in table.items if sort == client or partition == f"connection#{client}"}


def soon() -> float:
    return time.monotonic() + 60


@pytest.fixture
def made(table: FakeTable) -> rooms.Rooms:
    """The table's client, without a limit of members."""
    made = rooms.Rooms(importlib.import_module("connect").SETTINGS)
    made._database = table  # type: ignore[assignment]
    return made


def count_members(made: rooms.Rooms, table: FakeTable, names: Iterable[str]) -> None:
    """Set a limit, and numbers that count no member yet."""
    made.headcount = headcount.Headcount("connections", 100, 1)
    for name in names:
        item = {"members": {"N": "0"}, "changes": {"N": "0"}, "expires_at": END, "counted_since": {"S": ""}}
        table.items[f"members#{name}#0", "members"] = {**key(f"members#{name}#0", "members"), **item}


def numbers(table: FakeTable) -> dict[str, int]:
    return {
        partition: int(item["members"]["N"])
        for (partition, _), item in table.items.items()
        if partition.startswith("members#")
    }


@pytest.mark.parametrize("version", [None, 0, 3])
def test_the_dead_lose_their_memberships_in_all_rooms(
    load: Callable[[str], Any], table: FakeTable, connections: FakeConnections, version: int | None
) -> None:
    enter(table, "alice=")
    enter(table, "bob=", {"lobby": 0}, version=None, spoken="text")
    enter(table, "dead=", version=version)
    connections.gone.add("dead=")
    load("sendmessage").handler(message("bob=", {"action": "sendmessage", "data": "hello"}), FakeContext())
    assert traces(table, "dead=") == set()
    assert traces(table, "alice=") == {"connection#alice=", "room#lobby#0", "room#news#0", "room#chess#0"}


@pytest.mark.parametrize("version", [None, 0, 1, 7])
@pytest.mark.parametrize("places", [{}, {"lobby": 0}, PLACES], ids=len)
def test_disconnect_deletes_all_items(
    load: Callable[[str], Any], table: FakeTable, places: Mapping[str, int], version: int | None
) -> None:
    enter(table, "alice=", places, version=version)
    enter(table, "bob=")
    assert load("disconnect").handler(event("DISCONNECT", "alice="), FakeContext()) == {"statusCode": 200}
    assert traces(table, "alice=") == set()
    assert len(table.items) == 4
    assert [operation for operation, _ in table.calls] == ["GetItem", "TransactWriteItems"]


def test_a_disconnect_of_an_older_connection_deletes_nothing(made: rooms.Rooms, table: FakeTable) -> None:
    enter(table, "alice=", connected_at=CONNECTED_AT + 1)
    assert not made.leave("alice=", CONNECTED_AT, soon())
    assert len(table.items) == 4


class Changing:
    """A table in which another function changes something just before some of the transactions."""

    def __init__(self, table: FakeTable, changes: Sequence[Callable[[], None]]) -> None:
        self.table = table
        self.changes = [*changes]

    def call(self, operation: str, parameters: Mapping[str, Any], deadline: float) -> dict[str, Any]:
        """As ``aws_json.Service.call``."""
        if operation == "TransactWriteItems" and self.changes:
            self.changes.pop(0)()
        return self.table.call(operation, parameters, deadline)

    steps = FakeTable.steps


@pytest.mark.parametrize("is_counted", [False, True])
@pytest.mark.parametrize("how", ["leave", "prune"])
def test_rooms_that_are_joined_and_left_meanwhile_are_deleted_with_the_others(
    made: rooms.Rooms, table: FakeTable, how: str, *, is_counted: bool
) -> None:
    if is_counted:
        count_members(made, table, PLACES)
    enter(table, "alice=", {"lobby": 0})
    enter(table, "bob=")
    dead = list(made.members("lobby", soon()))[:1]

    def change(places: Mapping[str, int], version: int) -> Callable[[], None]:
        def changed() -> None:
            for room in PLACES:
                if table.items.pop((f"room#{room}#0", "alice="), None) and is_counted:
                    number = table.items[f"members#{room}#0", "members"]
                    number["members"] = {"N": str(int(number["members"]["N"]) - 1)}
            enter(table, "alice=", places, version=version)

        return changed

    changes = [change(PLACES, 4), change({"news": 0}, 5), change({"chess": 0, "news": 0}, 6)]
    made._database = Changing(table, changes)  # type: ignore[assignment]
    if how == "leave":
        assert made.leave("alice=", CONNECTED_AT, soon())
    else:
        made.prune("lobby", dead, soon())
    assert traces(table, "alice=") == set()
    assert len(traces(table, "bob=")) == 4
    assert set(numbers(table).values()) == ({1} if is_counted else set())


def test_a_member_of_one_room_costs_no_read(made: rooms.Rooms, table: FakeTable) -> None:
    for client in ("alice=", "bob="):
        enter(table, client, {"lobby": 0}, version=None)
    dead = list(made.members("lobby", soon()))
    table.calls.clear()
    made.prune("lobby", dead, soon())
    assert table.items == {}
    assert [operation for operation, _ in table.calls] == ["TransactWriteItems"]


@pytest.mark.parametrize("is_counted", [False, True])
def test_a_newer_connection_of_that_id_keeps_its_rooms_and_holds_up_no_other(
    made: rooms.Rooms, table: FakeTable, *, is_counted: bool
) -> None:
    if is_counted:
        count_members(made, table, PLACES)
    enter(table, "alice=", connected_at=CONNECTED_AT + 1)
    enter(table, "bob=")
    made.prune("lobby", [Recipient("alice=", CONNECTED_AT), Recipient("bob=", CONNECTED_AT)], soon())
    assert len(traces(table, "alice=")) == 4
    assert traces(table, "bob=") == set()
    assert set(numbers(table).values()) == ({1} if is_counted else set())


@pytest.mark.parametrize("is_counted", [False, True])
@pytest.mark.parametrize("amount", [1, 2, 19, MAXIMUM_ROOMS])
@pytest.mark.parametrize("clients", [1, 5, 50, 51])
def test_items_are_counted_against_the_limit_of_a_transaction(
    made: rooms.Rooms, table: FakeTable, *, amount: int, clients: int, is_counted: bool
) -> None:
    """The stand-in for the table refuses more than a hundred actions, as DynamoDB does."""
    names = ["lobby", *(f"room-{number}" for number in range(amount - 1))]
    if is_counted:
        count_members(made, table, names)
    for number in range(clients):
        enter(table, f"client-{number}", dict.fromkeys(names, 0))
    enter(table, "alive", dict.fromkeys(names, 0))
    dead = [each for each in made.members("lobby", soon()) if each.connection_id != "alive"]
    made.prune("lobby", dead, soon())
    assert {sort for partition, sort in table.items if partition.startswith("room#")} == {"alive"}
    assert set(numbers(table).values()) == ({1} if is_counted else set())
    transactions = [len(each["TransactItems"]) for operation, each in table.calls if operation == "TransactWriteItems"]
    assert len(transactions) <= 2 * (1 + clients * (amount + 1) * (1 + is_counted) // 50)


def test_expired_memberships_are_not_subtracted(made: rooms.Rooms, table: FakeTable) -> None:
    count_members(made, table, PLACES)
    enter(table, "alice=")
    enter(table, "bob=")
    for partition, sort in table.items:
        if sort == "alice=" or partition == "connection#alice=":
            table.items[partition, sort]["expires_at"] = {"N": str(int(time.time()) - 1)}
    assert made.leave("alice=", CONNECTED_AT, soon())
    assert traces(table, "alice=") == set()
    # A later count corrects a number that is too large; one that is too small lets too many in.
    assert set(numbers(table).values()) == {2}


def test_a_membership_that_is_gone_already_holds_up_nothing(made: rooms.Rooms, table: FakeTable) -> None:
    count_members(made, table, PLACES)
    enter(table, "alice=")
    del table.items["room#news#0", "alice="]
    assert made.leave("alice=", CONNECTED_AT, soon())
    assert traces(table, "alice=") == set()


@pytest.mark.parametrize("seed", range(40))
def test_whatever_happens_meanwhile_no_membership_stays_without_its_connection(
    made: rooms.Rooms, table: FakeTable, seed: int
) -> None:
    """Clients join and leave rooms in whole transactions, of another function, while the dead are deleted."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    is_counted = bool(seed % 2)
    names = [f"room-{number}" for number in range(6)]
    if is_counted:
        count_members(made, table, names)
    clients = [f"client-{number}" for number in range(30)]
    for client in clients:
        enter(table, client, {"room-0": 0}, version=chance.choice([None, 0]))
    dead = list(made.members("room-0", soon()))

    def join() -> None:
        for client in chance.sample(clients, 5):
            row = table.items.get((f"connection#{client}", "connection"))
            if row is not None:
                joined = {name: 0 for name in names if name in row["rooms"]["M"]}
                wanted = {chance.choice(names): 0}
                version = int(row.get("version", {"N": "0"})["N"]) + 1
                for name in joined:
                    del table.items[f"room#{name}#0", client]
                    if is_counted:
                        number = table.items[f"members#{name}#0", "members"]
                        number["members"] = {"N": str(int(number["members"]["N"]) - 1)}
                enter(table, client, {**joined, **wanted}, version=version)

    made._database = Changing(table, [join] * 10)  # type: ignore[assignment]
    made.prune("room-0", dead, soon())
    assert {partition for partition, _ in table.items if not partition.startswith("members#")} == set()
    assert set(numbers(table).values()) == ({0} if is_counted else set())


def test_a_table_that_fails_is_told(made: rooms.Rooms, table: FakeTable) -> None:
    enter(table, "alice=")
    table.failing.add("TransactWriteItems")
    with pytest.raises(aws_json.ServiceError):
        made.leave("alice=", CONNECTED_AT, soon())
