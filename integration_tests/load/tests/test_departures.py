"""All clients leave, in every way, and the table is watched until only the items of the others are left."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import pytest

from integration_tests.load import departures
from integration_tests.load.departures import Items, depart, watch
from integration_tests.load.user_group import Progress
from integration_tests.report.clients import Departure

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from integration_tests.harness.table import ConnectionsTable
    from integration_tests.load.virtual_user import CloseMode
    from integration_tests.load.workers import Workers

SEATS = 12


@dataclass
class FakePlan:
    """The part of a plan that leaving needs."""

    seats: range = field(default_factory=lambda: range(SEATS))


@dataclass
class FakeWorkers:
    """Clients that are there until they leave; each has two items, of which some stay."""

    sticky: int = 0
    lacking: int = 0
    joined: int = SEATS
    gone: dict[int, str] = field(default_factory=dict)
    plan: FakePlan = field(default_factory=FakePlan)

    async def leave(self, seats: Iterable[int], mode: CloseMode) -> None:
        self.gone.update(dict.fromkeys(seats, mode.value))

    async def present(self) -> set[int]:
        return {*self.plan.seats} - self.gone.keys()

    async def progress(self) -> Progress:
        return Progress(joined=self.joined)

    async def size(self) -> int:
        return max(0, 2 * (SEATS - len(self.gone)) - self.lacking) + (self.sticky if self.gone else 0)

    async def members(self, room: str) -> set[str]:
        return {f"{room}/{seat}" for seat in range(SEATS) if seat not in self.gone}


@dataclass
class FakeTable:
    """A table that gives prepared answers one after the other, and the last one from then on."""

    members_seen: list[set[str]]
    connections_seen: list[set[str]]

    async def members(self, room: str) -> set[str]:
        return {f"{room}/{each}" for each in self._next(self.members_seen)}

    async def connections(self, connection_ids: Collection[str]) -> set[str]:
        return {*connection_ids} & self._next(self.connections_seen)

    @staticmethod
    def _next(answers: list[set[str]]) -> set[str]:
        return answers.pop(0) if len(answers) > 1 else answers[0]


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(departures, "LOOK_EVERY", 0.01)
    monkeypatch.setattr(departures, "GONE_WITHIN", 0.1)
    monkeypatch.setattr(departures, "THERE_WITHIN", 0.1)
    monkeypatch.setattr(departures, "CLIENTS_PER_SECOND", 1_000)


async def leave_all(workers: FakeWorkers, *, readable: bool = True) -> list[Departure]:
    items = Items(cast("ConnectionsTable", workers), [], alone=True) if readable else None
    return await depart(cast("Workers", workers), items, show=lambda _: None)


async def test_everybody_leaves_a_third_in_each_way() -> None:
    workers = FakeWorkers()

    departures = await leave_all(workers)

    assert [(each.kind, each.connections, each.items_left) for each in departures] == [
        ("closed", 4, 0),
        ("aborted", 4, 0),
        ("all at once", 4, 0),
    ]
    assert sorted(workers.gone.values()) == ["aborted"] * 6 + ["closed"] * 6
    assert [each.gone.count for each in departures] == [8, 8, 8]


async def test_who_leaves_last_is_remembered() -> None:
    workers = FakeWorkers()
    items, began_at = Items(cast("ConnectionsTable", workers), ["r"], alone=True), time.time()

    await depart(cast("Workers", workers), items, show=lambda _: None)

    assert items.last.connection_ids == {"r/8", "r/9", "r/10", "r/11"}
    assert began_at <= items.last.at <= time.time()


async def test_items_that_stay_are_counted_at_the_deadline() -> None:
    departures = await leave_all(FakeWorkers(sticky=3))

    assert [each.items_left for each in departures] == [3, 3, 3]
    assert [each.gone.count for each in departures] == [5, 5, 5]


async def test_those_who_left_earlier_are_a_kind_of_their_own() -> None:
    departures = await leave_all(FakeWorkers(joined=SEATS + 5))

    assert (departures[0].kind, departures[0].connections, departures[0].items_left) == ("during the run", 5, 0)


@pytest.mark.parametrize("lacking", [1, 2 * SEATS])
async def test_table_that_never_held_the_items_is_not_taken_for_a_clean_one(lacking: int) -> None:
    workers = FakeWorkers(lacking=lacking)
    items = Items(cast("ConnectionsTable", workers), [], alone=True)

    departures = await depart(cast("Workers", workers), items, show=lambda _: None)

    assert items.lacking == lacking
    assert [each.items_left for each in departures] == [None, None, None]


async def test_whether_items_lack_is_not_known_when_no_client_is_connected() -> None:
    workers = FakeWorkers(gone=dict.fromkeys(range(SEATS), "closed"))
    items = Items(cast("ConnectionsTable", workers), [], alone=True)

    await depart(cast("Workers", workers), items, show=lambda _: None)

    assert items.lacking is None


async def test_unreadable_table_leaves_the_question_open() -> None:
    assert [each.items_left for each in await leave_all(FakeWorkers(), readable=False)] == [None, None, None]


async def test_in_a_shared_table_memberships_and_the_items_behind_them_are_counted() -> None:
    table = FakeTable([{"a", "b"}, {"b"}, set()], [{"r/a", "r/b", "somebody-else"}, {"r/a"}, set()])
    items = Items(cast("Any", table), ["r"], alone=False)

    assert [await items.count() for _ in range(3)] == [2 + 2, 1 + 1, 0]


@pytest.mark.parametrize(("remembered", "left"), [(["r"], 2), ([], 0)])
async def test_items_of_clients_that_left_during_the_run_are_left_too(remembered: list[str], left: int) -> None:
    table = FakeTable([{"a", "b"}, set()] if remembered else [set()], [{"r/a", "r/b"}])
    items, departure = Items(cast("Any", table), ["r"], alone=False), Departure("during the run", connections=2)
    await items.remember(remembered)

    await watch(items, departure, staying=0, began_at=0.0)

    assert departure.items_left == left


async def test_items_that_nobody_can_account_for_are_left_too() -> None:
    table = FakeTable([{"a", "b", "c"}], [set()])
    departure = Departure("closed", connections=1)

    await watch(Items(cast("Any", table), ["r"], alone=False), departure, staying=0, began_at=0.0)

    assert departure.items_left == 3
