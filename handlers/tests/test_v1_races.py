"""Joins, leaves and goodbyes of one connection meet in the table: no membership stays without its connection."""

from __future__ import annotations

import contextlib
import importlib
import random
import time
from typing import TYPE_CHECKING, Any

import pytest
from roomcast import aws_json, changes, headcount, rooms
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


@pytest.mark.parametrize("is_counted", [False, True])
@pytest.mark.parametrize("seed", range(60))
def test_any_order_leaves_whole_members(made: rooms.Rooms, table: Interleaving, seed: int, *, is_counted: bool) -> None:
    chance = random.Random(seed)  # noqa: S311 - no secret
    if is_counted:
        made.headcount = headcount.Headcount("connections", 100, 1)
    made.join(Connection("vera=", CONNECTED_AT, {}, protocol="roomcast.v1"), None, LATER)

    def act() -> None:
        known = made.find("vera=", LATER)
        if known is None:
            return
        table.lost = chance.randrange(2)
        with contextlib.suppress(changes.GoneError):
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
