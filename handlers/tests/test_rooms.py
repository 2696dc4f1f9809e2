"""The connections table: which members are read, in which order and from where, and which items deletions spare."""

from __future__ import annotations

import contextlib
import importlib
import time
from typing import TYPE_CHECKING, Any

import pytest
from roomcast import aws_json, rooms
from roomcast.fanout import Recipient
from roomcast.items import Waiting
from roomcast.members import Connection
from roomcast.waiting_items import WaitingItems
from tests.fakes import CONNECTED_AT, FakeTable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Make = Callable[..., rooms.Rooms]

MANY = 130


@pytest.fixture
def make(table: FakeTable) -> Make:
    """Makes the table's clients, with as many shards as a test wants."""

    def make_rooms(shards: int = 1) -> rooms.Rooms:
        settings = importlib.import_module("connect").SETTINGS
        made = rooms.Rooms(settings._replace(shards_per_room=shards, shards_read=shards))
        made._database = table  # type: ignore[assignment]
        return made

    return make_rooms


def soon() -> float:
    """A deadline."""
    return time.monotonic() + 60


def fill(made: rooms.Rooms, *names: str, room: str = "lobby") -> None:
    """Have clients join."""
    for number, name in enumerate(names):
        made.join(Connection(name, CONNECTED_AT + number, {}), room, soon())


@pytest.mark.parametrize("page", [1, 3, 64, 1000])
@pytest.mark.parametrize("shards", [1, 3])
def test_everyone_is_read_once_with_all_that_the_engine_needs(
    make: Make, monkeypatch: pytest.MonkeyPatch, page: int, shards: int
) -> None:
    monkeypatch.setattr(rooms, "PAGE_ITEMS", page)
    made = make(shards)
    names = [f"client-{number:02}=" for number in range(64)]
    fill(made, *names)
    fill(made, "elsewhere=", room="lobby2")
    read = list(made.members("lobby", soon()))

    assert sorted(each.connection_id for each in read) == names
    assert {each.connection_id: each.connected_at for each in read} == {
        name: CONNECTED_AT + number for number, name in enumerate(names)
    }
    for each in read:
        found = made.find(each.connection_id, soon())
        assert found is not None
        assert found.recipient("lobby") == each


def test_a_member_is_read_for_as_long_as_its_connection_may_last(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two hours by API Gateway's clock, from which this machine's may differ by minutes."""
    made = make()
    fill(made, "alice=")
    end = CONNECTED_AT / 1000 + 2 * 3600
    monkeypatch.setattr(time, "time", lambda: end + 300)
    assert [each.connection_id for each in made.members("lobby", soon())] == ["alice="]


@pytest.mark.parametrize("page", [1, 2, 1000])
def test_a_shard_is_read_in_order_after_a_given_member(make: Make, monkeypatch: pytest.MonkeyPatch, page: int) -> None:
    monkeypatch.setattr(rooms, "PAGE_ITEMS", page)
    made = make()
    fill(made, "d=", "a=", "c=", "b=")

    assert [each.connection_id for each in made.members_of_shard("lobby", 0, soon())] == ["a=", "b=", "c=", "d="]
    assert [each.connection_id for each in made.members_of_shard("lobby", 0, soon(), "b=")] == ["c=", "d="]
    assert list(made.members_of_shard("lobby", 0, soon(), "d=")) == []


@pytest.mark.parametrize("changed", [(), (0, 1, 7, 49, 50, 99, 129), (48, 51, 98, 100)], ids=str)
def test_many_dead_are_deleted_but_for_those_that_are_someone_else_by_now(
    make: Make, table: FakeTable, changed: tuple[int, ...]
) -> None:
    made = make(2)
    names = [f"client-{number:03}=" for number in range(MANY)]
    fill(made, *names)
    dead = sorted(made.members("lobby", soon()), key=lambda each: each.connection_id)
    newer = {names[number] for number in changed}
    for item in table.items.values():
        if item["sort_key"]["S"] in newer or item["partition_key"]["S"].removeprefix("connection#") in newer:
            item["connected_at"] = {"N": str(CONNECTED_AT + 1_000_000)}
    made.prune("lobby", dead, soon())

    assert {each.connection_id for each in made.members("lobby", soon())} == newer
    assert len(table.items) == 2 * len(newer)
    assert table.halves() == set()


@pytest.mark.parametrize("missing", [("connection#alice=", "connection"), ("room#lobby#0", "alice=")], ids=str)
@pytest.mark.parametrize("how", ["prune", "leave"])
def test_of_a_dead_connection_nothing_is_left_even_if_a_half_is_gone(
    make: Make, table: FakeTable, missing: tuple[str, str], how: str
) -> None:
    """Time to live deletes the two items at different moments."""
    made = make()
    fill(made, "alice=", "bob=")
    dead = list(made.members("lobby", soon()))
    found = made.find("alice=", soon())
    del table.items[missing]
    if how == "prune":
        made.prune("lobby", dead, soon())
        assert table.items == {}
    elif missing[0] != "connection#alice=":
        assert found is not None
        made.leave("alice=", found.connected_at, soon())
        assert {key for key in table.items if "alice=" in "".join(key)} == set()


@pytest.mark.parametrize("newer", [("connection#alice=", "connection"), ("room#lobby#0", "alice=")], ids=str)
def test_of_a_connection_that_is_someone_elses_by_half_nothing_is_deleted_and_it_holds_up_nothing(
    make: Make, table: FakeTable, newer: tuple[str, str]
) -> None:
    made = make()
    fill(made, "alice=", "bob=")
    dead = list(made.members("lobby", soon()))
    table.items[newer] = {**table.items[newer], "connected_at": {"N": str(CONNECTED_AT + 1_000_000)}}
    table.calls.clear()
    made._database = Bounded(table)  # type: ignore[assignment]
    made.prune("lobby", dead, soon())

    assert {key for key in table.items if "bob=" in "".join(key)} == set()
    assert len(table.items) == 2


class Bounded:
    """A table that is asked a few times only."""

    def __init__(self, table: FakeTable) -> None:
        self.table = table

    def call(self, operation: str, parameters: Mapping[str, Any], deadline: float) -> dict[str, Any]:
        """As ``aws_json.Service.call``."""
        assert len(self.table.calls) < 3, "the same deletions are asked for again and again"
        return self.table.call(operation, parameters, deadline)


@pytest.mark.parametrize("room", ["lobby", "kitchen"])
def test_a_join_that_is_given_up_leaves_a_newer_connection_of_its_id_alone(
    make: Make, table: FakeTable, monkeypatch: pytest.MonkeyPatch, room: str
) -> None:
    made = make()
    fill(made, "alice=")
    before = dict(table.items)
    call, calls = table.call, []

    def fail_first(operation: str, parameters: Mapping[str, Any], deadline: float) -> dict[str, Any]:
        calls.append(operation)
        if len(calls) == 1:
            raise aws_json.ServiceError(operation, "timed out", {}, transient=True)
        return call(operation, parameters, deadline)

    monkeypatch.setattr(table, "call", fail_first)
    with pytest.raises(aws_json.ServiceError, match="timed out"):
        made.join(Connection("alice=", CONNECTED_AT - 1_000, {}), room, soon())

    assert len(calls) == 2
    assert table.items == before


class Ending:
    """A table that takes some calls and then no further ones, as when time is over."""

    def __init__(self, table: FakeTable, calls: int) -> None:
        self.table = table
        self.calls_left = calls

    def call(self, operation: str, parameters: Mapping[str, Any], deadline: float) -> dict[str, Any]:
        """As ``aws_json.Service.call``."""
        if not self.calls_left:
            raise aws_json.ServiceError(operation, "timed out", {}, transient=True)
        self.calls_left -= 1
        return self.table.call(operation, parameters, deadline)

    steps = FakeTable.steps


WAITING = [Waiting(f"task#{number}", "{}", number) for number in range(1, 7)]
CHANGES: Mapping[str, Callable[[rooms.Rooms], object]] = {
    "join": lambda made: made.join(Connection("bob=", CONNECTED_AT, {}), "lobby", soon()),
    "leave": lambda made: made.leave("alice=", CONNECTED_AT, soon()),
    "prune": lambda made: made.prune(
        "lobby", [Recipient("alice=", CONNECTED_AT), Recipient("carol=", CONNECTED_AT + 1)], soon()
    ),
    "put": lambda made: WaitingItems(made).change("lobby", 0, WAITING[3:], [], soon()),
    "delete": lambda made: WaitingItems(made).change("lobby", 0, [], WAITING[:3], soon()),
    "put and delete": lambda made: WaitingItems(made).change("lobby", 0, WAITING[3:], WAITING[:3], soon()),
}


@pytest.mark.parametrize("calls", range(8))
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_happens_as_a_whole_or_not_at_all(
    make: Make, table: FakeTable, change: Callable[[rooms.Rooms], object], calls: int
) -> None:
    """A task that is put without its forerunner being deleted is served twice, and the other way round never."""

    def present() -> dict[tuple[str, str], str]:
        return {key: item["connected_at"]["N"] for key, item in table.items.items()}

    made = make()
    fill(made, "alice=", "carol=")
    WaitingItems(made).change("lobby", 0, WAITING[:3], [], soon())
    items = dict(table.items)
    before = present()
    change(made)
    after = present()

    table.items, table.tokens = items, set()
    made._database = Ending(table, calls)  # type: ignore[assignment]
    with contextlib.suppress(aws_json.ServiceError):
        change(made)
    assert present() in (before, after)


def test_a_backlog_in_which_an_item_was_replaced_is_not_changed(make: Make, table: FakeTable) -> None:
    made = make()
    newer = WAITING[1]._replace(stamp=100)
    WaitingItems(made).change("lobby", 0, [WAITING[0], newer], [], soon())
    before = dict(table.items)

    with pytest.raises(aws_json.ServiceError):
        WaitingItems(made).change("lobby", 0, WAITING[2:], WAITING[:2], soon())
    assert table.items == before
    WaitingItems(made).change("lobby", 0, WAITING[2:], [WAITING[0], newer], soon())
    assert table.items != before


def test_the_dead_of_one_room_leave_another_alone(make: Make, table: FakeTable) -> None:
    made = make()
    fill(made, "alice=")
    before = dict(table.items)
    made.prune("kitchen", [Recipient("bob=", CONNECTED_AT)], soon())

    assert table.items == before


def test_nobody_dead_costs_nothing(make: Make, table: FakeTable) -> None:
    make().prune("lobby", [], soon())

    assert table.calls == []


@pytest.mark.parametrize(("off_by", "left"), [(-1, False), (0, True), (1, True)])
def test_leaving_is_meant_for_one_connection_of_an_id(make: Make, off_by: int, left: bool) -> None:
    made = make()
    fill(made, "alice=")

    assert made.leave("alice=", CONNECTED_AT + off_by, soon()) == left
    assert (made.find("alice=", soon()) is None) == left
