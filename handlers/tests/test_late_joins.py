"""Joins that were given up and arrive after all: readers never see a member that is not there."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

import pytest
from roomcast import aws_json
from roomcast.members import Connection
from tests.fakes import FakeContext, FakeTable, event, handshake, message

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LATER = time.monotonic() + 3600


class SlowTable(FakeTable):
    """A table to which some writes are long on their way: they are carried out when the test says so."""

    def __init__(self, *delayed: bool) -> None:
        super().__init__()
        self.delayed = list(delayed)
        self.on_their_way: list[Mapping[str, Any]] = []
        self.deadlines: list[float] = []

    def call(self, operation: str, parameters: Mapping[str, Any], deadline: float) -> dict[str, Any]:
        """As ``aws_json.Service.call``."""
        if operation == "TransactWriteItems":
            self.deadlines.append(deadline)
            if self.delayed and self.delayed.pop(0):
                self.on_their_way.append(parameters)
                raise aws_json.ServiceError(operation, "timed out", {}, transient=True)
        return super().call(operation, parameters, deadline)

    def arrive(self, *, last_first: bool = False) -> None:
        """Carries out the writes that were on their way, also those that fail."""
        for parameters in reversed(self.on_their_way) if last_first else self.on_their_way:
            # DynamoDB refuses a write that does not meet its conditions; no client waits for the answer any more.
            with contextlib.suppress(aws_json.ServiceError):
                super().call("TransactWriteItems", parameters, LATER)


@pytest.fixture
def table() -> FakeTable:
    return SlowTable()


class TestLateJoins:
    """A join that was given up and arrives after all leaves nothing that readers see."""

    @pytest.mark.parametrize("disconnects", [0, 1, 2])
    @pytest.mark.parametrize("is_undone", [True, False])
    @pytest.mark.parametrize("last_first", [False, True])
    def test_after_the_handler_gave_up(
        self, load: Callable[[str], Any], table: SlowTable, *, disconnects: int, is_undone: bool, last_first: bool
    ) -> None:
        table.delayed = [True, not is_undone]
        assert load("connect").handler(handshake("alice=", "lobby"), FakeContext()) == {"statusCode": 500}
        for _ in range(disconnects):
            load("disconnect").handler(event("DISCONNECT", "alice="), FakeContext())
        table.arrive(last_first=last_first)

        assert table.living() == set()
        assert load("connect").ROOMS.find("alice=", LATER) is None
        assert list(load("connect").ROOMS.members("lobby", LATER)) == []

    def test_twice_after_the_client_has_come_and_gone(self, load: Callable[[str], Any], table: SlowTable) -> None:
        """A first try is on its way while a second one succeeds; the first arrives after ``$disconnect``."""
        connect = load("connect")
        assert connect.handler(handshake("alice=", "lobby"), FakeContext()) == {"statusCode": 200}
        [(_, join)] = table.calls
        load("disconnect").handler(event("DISCONNECT", "alice="), FakeContext())
        table.call("TransactWriteItems", join, LATER)

        assert table.items == {}

    def test_a_join_is_not_refused_for_what_it_has_written_itself(
        self, load: Callable[[str], Any], table: SlowTable
    ) -> None:
        assert load("connect").handler(handshake("alice=", "lobby"), FakeContext()) == {"statusCode": 200}
        [(_, join)] = table.calls
        items = dict(table.items)
        for token in (join["ClientRequestToken"], "another"):
            table.call("TransactWriteItems", {**join, "ClientRequestToken": token}, LATER)
        assert table.items == items

    def test_two_joins_are_not_taken_for_one(self, load: Callable[[str], Any], table: SlowTable) -> None:
        for name in ("alice=", "bob="):
            load("connect").handler(handshake(name, "lobby"), FakeContext())
        assert len({parameters["ClientRequestToken"] for _, parameters in table.calls}) == 2

    @pytest.mark.parametrize(("age", "survivors"), [(1, 2), (0, 0)])
    def test_a_newer_connection_of_that_id_stays(
        self, load: Callable[[str], Any], table: SlowTable, *, age: int, survivors: int
    ) -> None:
        """The late join, and the tombstone against it, are of an older connection, or of the same one."""
        rooms = load("connect").ROOMS
        now = int(time.time() * 1000)
        rooms.join(Connection("alice=", now, {}), "lobby", LATER)
        table.delayed = [True]
        with pytest.raises(aws_json.ServiceError):
            rooms.join(Connection("alice=", now - age, {}), "lobby", LATER)
        table.arrive()

        assert len(table.living()) == survivors
        assert all(item["connected_at"] == {"N": str(now)} for item in table.items.values())

    def test_a_newer_connection_takes_the_place_of_a_tombstone(
        self, load: Callable[[str], Any], table: SlowTable
    ) -> None:
        rooms = load("connect").ROOMS
        table.delayed = [True]
        with pytest.raises(aws_json.ServiceError):
            rooms.join(Connection("alice=", 1_000, {}), "lobby", LATER)
        rooms.join(Connection("alice=", 2_000, {}), "lobby", LATER)

        assert rooms.find("alice=", LATER).connected_at == 2_000

    def test_a_tombstone_is_no_member_and_no_recipient(
        self, load: Callable[[str], Any], table: SlowTable, connections: Any
    ) -> None:
        load("connect").handler(handshake("bob=", "lobby"), FakeContext())
        table.delayed = [True]
        load("connect").handler(handshake("alice=", "lobby"), FakeContext())
        load("whoami").handler(message("alice=", {"action": "whoami"}), FakeContext())
        for body in ({"data": "hello"}, {"data": "psst", "to": "alice="}):
            load("sendmessage").handler(message("bob=", {"action": "sendmessage", **body}), FakeContext())

        assert "not_joined" in connections.received("alice=")[0]
        assert connections.received("bob=")[0] == "hello"
        assert "unknown_recipient" in connections.received("bob=")[1]
        assert len(connections.posts) == 3

    def test_a_tombstone_outlives_every_signature_and_goes_by_itself(
        self, load: Callable[[str], Any], table: SlowTable
    ) -> None:
        table.delayed = [True]
        load("connect").handler(handshake("alice=", "lobby"), FakeContext())
        [tombstone] = table.items.values()

        assert set(tombstone) == {"partition_key", "sort_key", "connected_at", "expires_at"}
        minutes = (int(tombstone["expires_at"]["N"]) - time.time()) / 60
        assert 15 - 0.1 <= minutes <= 60

    @pytest.mark.parametrize(("budget", "for_each"), [(10_000, 1.5), (2_000, 0.5), (1_500, 0.3)])
    def test_there_is_time_for_a_join_and_for_undoing_it(
        self, load: Callable[[str], Any], table: SlowTable, *, budget: int, for_each: float
    ) -> None:
        table.delayed = [True]
        began = time.monotonic()
        load("connect").handler(handshake("alice=", "lobby"), FakeContext(budget))
        join, undoing = table.deadlines

        assert join - began >= for_each
        assert undoing - join >= for_each
        assert undoing - began <= budget / 1000 - 0.1
