"""Joins, leaves and goodbyes of one connection meet in the table: no membership stays without its connection."""

from __future__ import annotations

import contextlib
import importlib
import random
import time
from typing import TYPE_CHECKING, Any

import pytest
from roomcast import aws_json, changes, headcount, protocol, rooms
from roomcast.members import Connection
from tests.fakes import CONNECTED_AT, FakeContext, FakeTable, event
from tests.v1 import Clients, code

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LATER = time.monotonic() + 3600
ROOMS = [f"room-{number}" for number in range(4)]
MAXIMUM = 3


class Interleaving(FakeTable):
    """A table in which other functions act before some of the calls, and some answers are lost."""

    def __init__(self) -> None:
        super().__init__()
        self.others: list[Callable[[], object]] = []
        self.lost = 0
        self._is_acting = False

    def call(self, operation: str, parameters: Mapping[str, Any], deadline: float) -> dict[str, Any]:
        """As ``aws_json.Service.call``."""
        if self.others and not self._is_acting:
            self._is_acting = True
            try:
                self.others.pop()()
            finally:
                self._is_acting = False
        answer = super().call(operation, parameters, deadline)
        if operation == "TransactWriteItems" and self.lost:
            self.lost -= 1
            # The request is sent again, as by the client of the service.
            return super().call(operation, parameters, deadline)
        return answer


@pytest.fixture
def table() -> FakeTable:
    return Interleaving()


@pytest.fixture
def made(table: FakeTable) -> rooms.Rooms:
    """The table's client."""
    made = rooms.Rooms(importlib.import_module("connect").SETTINGS)
    made._database = table  # type: ignore[assignment]
    return made


def late(clients: Clients, table: FakeTable, action: str, **fields: object) -> Mapping[str, Any]:
    """The transaction of an action, as it would arrive later."""
    clients.send("vera=", action, **fields)
    return [parameters for operation, parameters in table.calls if operation == "TransactWriteItems"][-1]


@pytest.mark.parametrize("action", ["join", "leave"])
def test_a_change_that_arrives_after_the_end_brings_nothing_back(
    clients: Clients, table: FakeTable, action: str
) -> None:
    clients.join("vera=", "lobby")
    change = late(clients, table, action, room="lobby" if action == "leave" else "news")
    clients.load("disconnect").handler(event("DISCONNECT", "vera="), FakeContext())
    table.tokens.clear()
    with pytest.raises(aws_json.ServiceError, match="TransactionCanceled"):
        table.call("TransactWriteItems", change, LATER)
    assert table.items == {}


def test_nor_does_it_meet_a_newer_connection_of_that_id(clients: Clients, table: FakeTable, made: rooms.Rooms) -> None:
    clients.join("vera=", "lobby")
    change = late(clients, table, "join", room="news")
    clients.load("disconnect").handler(event("DISCONNECT", "vera="), FakeContext())
    made.join(Connection("vera=", CONNECTED_AT + 1, {}, protocol="roomcast.v1"), None, LATER)
    table.tokens.clear()
    with pytest.raises(aws_json.ServiceError, match="TransactionCanceled"):
        table.call("TransactWriteItems", change, LATER)
    assert table.keys() == {("connection#vera=", "connection")}


def test_a_change_that_arrives_twice_counts_once(clients: Clients, table: FakeTable) -> None:
    clients.connect("vera=")
    change = late(clients, table, "join", room="lobby")
    table.call("TransactWriteItems", change, LATER)
    assert table.items["connection#vera=", "connection"]["version"] == {"N": "1"}
    tokens = [each["ClientRequestToken"] for operation, each in table.calls if operation == "TransactWriteItems"]
    assert len(set(tokens)) == len(tokens) - 1


@pytest.mark.parametrize("action", ["join", "leave"])
def test_a_client_that_goes_in_the_middle_is_told_to_come_back(
    clients: Clients, table: Interleaving, action: str
) -> None:
    clients.join("vera=", "lobby")
    goodbye = clients.load("disconnect")
    # Before the read, and between it and the transaction.
    for reads in (0, 1):
        table.items.clear()
        clients.join("vera=", "lobby")
        acts: list[Callable[[], object]] = [lambda: goodbye.handler(event("DISCONNECT", "vera="), FakeContext())]
        table.others = acts + [lambda: None] * reads
        answers = clients.ask("vera=", action, room="lobby" if action == "leave" else "news")
        assert table.items == {}
        if action == "join":
            assert code(answers) == "reconnect"
        else:
            assert answers == [{"type": "left", "room": "lobby"}]


@pytest.mark.parametrize("maximum", [0, 2])
def test_joins_of_one_room_at_once_make_one_member(made: rooms.Rooms, table: Interleaving, maximum: int) -> None:
    """Each partition of the room takes one member: the later join finds that of the connection full."""
    made.shards_per_room = made.shards_read = 2
    made.headcount = headcount.Headcount("connections", maximum, 2)
    made.join(Connection("vera=", CONNECTED_AT, {}, protocol="roomcast.v1"), None, LATER)
    known = made.find("vera=", LATER)
    assert known is not None
    first, second = (made.enter(known, ["lobby"], MAXIMUM, LATER) for _ in range(2))

    assert first == second
    assert [each.connection_id for each in made.members("lobby", LATER)] == ["vera="]
    numbers = [int(item["members"]["N"]) for (key, _), item in table.items.items() if key.startswith("members#")]
    assert sum(numbers) == bool(maximum)
    made.leave("vera=", CONNECTED_AT, LATER)
    assert {key for key, _ in table.items if not key.startswith("members#")} == set()


def test_a_join_of_several_rooms_meets_one_of_one_room(made: rooms.Rooms, table: Interleaving) -> None:
    made.join(Connection("vera=", CONNECTED_AT, {}, protocol="roomcast.v1"), None, LATER)
    known = made.find("vera=", LATER)
    assert known is not None
    made.enter(known, ["news"], MAXIMUM, LATER)
    entered = made.enter(known, ["lobby", "news", "sport"], MAXIMUM, LATER)

    assert entered == made.find("vera=", LATER)
    assert entered.rooms.keys() == {"lobby", "news", "sport"}
    assert table.halves() == set()


def test_a_connection_may_be_in_as_many_rooms_as_there_may_be(made: rooms.Rooms, table: Interleaving) -> None:
    """One expression names them all, and DynamoDB takes none of more than 4 KB."""
    made.join(Connection("vera=", CONNECTED_AT, {}, protocol="roomcast.v1"), None, LATER)
    known = made.find("vera=", LATER)
    assert known is not None
    wanted = [f"{number:064}" for number in range(protocol.MOST_ROOMS)]

    assert [*made.enter(known, wanted, protocol.MOST_ROOMS, LATER).rooms] == wanted
    assert table.halves() == set()


@pytest.mark.parametrize("maximum", [0, 2])
def test_a_dead_connection_that_is_found_twice_is_pruned(made: rooms.Rooms, table: Interleaving, maximum: int) -> None:
    """No transaction has two actions on one item."""
    made.shards_per_room = made.shards_read = 2
    made.headcount = headcount.Headcount("connections", maximum, 2)
    made.join(Connection("vera=", CONNECTED_AT, {}, protocol="roomcast.v1"), "lobby", LATER)
    [(key, _)] = [each for each in table.items if each[0].startswith("room#")]
    twin = key.translate(str.maketrans("01", "10"))
    table.items[twin, "vera="] = {**table.items[key, "vera="], "partition_key": {"S": twin}}
    for left in (1, 0):
        made.prune("lobby", [*made.members("lobby", LATER)], LATER)
        assert len([*made.members("lobby", LATER)]) == left
    assert {key for key, _ in table.items if not key.startswith("members#")} == set()


@pytest.mark.parametrize(("maximum", "shards"), [(0, 1), (100, 1), (2, 2)])
@pytest.mark.parametrize("seed", range(60))
def test_any_order_leaves_whole_members(
    made: rooms.Rooms, table: Interleaving, seed: int, maximum: int, shards: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - no secret
    is_counted = bool(maximum)
    made.shards_per_room = made.shards_read = shards
    made.headcount = headcount.Headcount("connections", maximum, shards)
    made.join(Connection("vera=", CONNECTED_AT, {}, protocol="roomcast.v1"), None, LATER)

    def act() -> None:
        known = made.find("vera=", LATER)
        if known is None:
            return
        table.lost = chance.randrange(2)
        with contextlib.suppress(changes.GoneError, headcount.RoomFullError):
            if chance.random() < 0.6:
                count = 1 if is_counted else chance.randint(1, 2)
                made.enter(known, chance.sample(ROOMS, count), MAXIMUM, LATER)
            else:
                made.quit(known, chance.choice(ROOMS), LATER)

    ends = chance.randint(3, 12)
    for number in range(16):
        table.others = [act] * chance.randint(0, 3)
        if number == ends:
            made.leave("vera=", CONNECTED_AT, LATER)
            assert not table.others or made.find("vera=", LATER) is None
        else:
            act()
        assert table.halves() == set()
        known = made.find("vera=", LATER)
        assert (known is None) == (number >= ends)
        assert known is None or len(known.rooms) <= MAXIMUM
        if is_counted:
            for (key, _), item in table.items.items():
                if key.startswith("members#"):
                    members = sum(place == key.replace("members#", "room#") for place, _ in table.items)
                    assert int(item["members"]["N"]) >= members
    assert {key for key, _ in table.items if not key.startswith("members#")} == set()
