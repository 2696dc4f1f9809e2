"""How many calls of DynamoDB follow each other while members wait for a message, and which are made side by side."""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING, Any

import pytest
from roomcast import steps
from roomcast.steps import Wait
from roomcast_cli.model import history_writes
from tests.v1 import ID

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from roomcast.steps import Steps
    from tests.fakes import FakeConnections, FakeTable
    from tests.history_table import HistoryTable
    from tests.v1 import Clients

POSTS = ["posts"]


class RoundTrips:
    """Answers all calls that are waited for at once, in one round trip.

    Attributes:
        seen: The calls of each round trip, in the order of their names; ``POSTS`` where members are posted to.
    """

    def __init__(self) -> None:
        self.seen: list[list[str]] = []

    def slow(self, answered: Callable[..., Steps[Any]], prefix: str = "") -> Callable[..., Steps[Any]]:
        """Let each call take a round trip."""

        def call(operation: str, parameters: Mapping[str, Any], deadline: float) -> Steps[Any]:
            # The name stands for the connection that the answer comes on.
            yield Wait(prefix + operation, time.monotonic() + 60.0)  # type: ignore[arg-type]
            # The tables that stand in answer at once.
            return steps.drive(answered(operation, parameters, deadline))

        return call

    def ready(self, waits: Sequence[Wait]) -> set[object]:
        """As ``steps._ready``."""
        names = {str(wait.connection) for wait in waits}
        self.seen.append(sorted(names))
        return {*names}


@pytest.fixture
def trips(
    table: FakeTable, history_table: HistoryTable, connections: FakeConnections, monkeypatch: pytest.MonkeyPatch
) -> RoundTrips:
    """The round trips from here on."""
    trips = RoundTrips()
    deliver_all = connections.deliver_all

    def deliver(*arguments: Any, **options: Any) -> Any:
        results = deliver_all(*arguments, **options)
        trips.seen.append(POSTS)
        return results

    monkeypatch.setattr(table, "steps", trips.slow(table.steps))
    monkeypatch.setattr(history_table, "steps", trips.slow(history_table.steps, "log "))
    monkeypatch.setattr(connections, "deliver_all", deliver)
    monkeypatch.setattr(steps, "_ready", trips.ready)
    return trips


def of_message(clients: Clients, trips: RoundTrips, room: str, message_id: str = "") -> list[list[str]]:
    """The round trips of a message of Alice."""
    named = {"id": message_id} if message_id else {}
    clients.send("alice", "sendmessage", room=room, data="hello", **named)
    seen, trips.seen = trips.seen, []
    return seen


@pytest.fixture
def alice(remembering: Clients, trips: RoundTrips) -> Clients:
    """Clients of whom Alice is in a room that keeps messages and in another one."""
    # Loaded once, a function remembers whom it has served.
    remembering.load = functools.cache(remembering.load)
    remembering.join("alice", "lobby", "attic")
    remembering.join("bob", "lobby", "attic")
    trips.seen.clear()
    return remembering


@pytest.mark.parametrize("message_id", ["", ID])
def test_without_history_a_message_takes_two_and_then_one(alice: Clients, trips: RoundTrips, message_id: str) -> None:
    assert of_message(alice, trips, "attic", message_id) == [["GetItem"], ["Query"], POSTS]
    # A function that has served the sender before reads it and its room side by side.
    assert of_message(alice, trips, "attic", message_id) == [["GetItem", "Query"], POSTS]


def test_with_history_two_more_come_before_the_members_are_read(alice: Clients, trips: RoundTrips) -> None:
    for _ in range(2):
        assert of_message(alice, trips, "lobby") == [["GetItem"], ["log UpdateItem"], ["log PutItem"], ["Query"], POSTS]


def test_with_an_id_three_more_come_before_and_one_before_the_receipt(alice: Clients, trips: RoundTrips) -> None:
    for message_id in (ID, ID[::-1]):
        assert of_message(alice, trips, "lobby", message_id) == [
            ["GetItem", "log GetItem"],
            ["log UpdateItem"],
            ["log PutItem"],
            ["log PutItem"],
            ["Query"],
            POSTS,
            ["log UpdateItem"],
        ]


def test_a_message_that_is_sent_again_is_found_without_a_write(alice: Clients, trips: RoundTrips) -> None:
    of_message(alice, trips, "lobby", ID)
    assert of_message(alice, trips, "lobby", ID) == [["GetItem", "log GetItem"], ["log GetItem"]]


@pytest.mark.parametrize("message_id", ["", ID])
def test_calls_are_those_that_the_cost_model_counts(alice: Clients, trips: RoundTrips, message_id: str) -> None:
    """Beside the read of the sender and that of the room: a read for the id, and the writes."""
    calls = [call for trip in of_message(alice, trips, "lobby", message_id) for call in trip]
    writes = [call for call in calls if call.endswith(("PutItem", "UpdateItem"))]

    assert len(writes) == history_writes(ids=bool(message_id))
    assert len(calls) - len(writes) - 1 == (3 if message_id else 2)
