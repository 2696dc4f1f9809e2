"""The commands that a scenario gives, and the times at which clients connect and send."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from integration_tests.load import scenarios
from integration_tests.load.plan import Plan
from integration_tests.load.user_group import Progress, UserGroup
from integration_tests.load.virtual_user import CloseMode
from integration_tests.load.workers import NoConnectionError, Workers
from integration_tests.report.subject import Subject
from scripts.waiting import scaled

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable


PLAN = Plan(
    scenario="steady",
    connections=12,
    rooms=3,
    messages=30,
    rate=10,
    size=300,
    connect_rate=4,
    lifetime=60,
    processes=2,
)
ALL = [*range(12)]


class Recorder:
    """In place of client processes: notes the commands in order.

    Args:
        plan: The plan.
        refusals: How often each seat is refused when it comes back.
        enough_joined: How many connections end the talk.

    Attributes:
        noted: Name of each command, and its seats.
        away: Seats without a connection.
    """

    def __init__(self, plan: Plan = PLAN, refusals: int = 0, enough_joined: float = math.inf) -> None:
        self.plan = plan
        self.noted: list[tuple[str, Any]] = []
        self.away = {*plan.seats}
        self.subject: Subject | None = None
        self.joined = 0
        self._enough_joined = enough_joined
        self.enough = asyncio.Event()
        self._refusals = Counter(dict.fromkeys(plan.seats, refusals))

    def mark(self, label: str) -> None:
        """As ``Workers.mark``."""
        self.noted.append(("mark", label))

    async def assemble(self, seats: Collection[int]) -> None:
        """As ``Workers.assemble``."""
        self.noted.append(("assemble", [*seats]))
        self.away -= {*seats}
        self.joined += len(seats)

    async def progress(self) -> Progress:
        """As ``Workers.progress``."""
        return Progress(arrived=self.joined)

    async def join(self, seats: Collection[int]) -> dict[int, str]:
        """As ``Workers.join``."""
        for _ in range(5):
            await asyncio.sleep(0)
        assert {*seats} <= self.away, "they are connected"
        self.noted.append(("join", [*seats]))
        refused = {seat: "429" for seat in seats if self._refusals[seat] > 0}
        self._refusals.subtract(seats)
        self.away -= {*seats} - refused.keys()
        self.joined += len(seats) - len(refused)
        if self.joined >= self._enough_joined:
            self.enough.set()
        return refused

    async def leave_early(self, seats: Iterable[int], mode: CloseMode) -> None:
        """As ``Workers.leave_early``."""
        seats = [*seats]
        assert not {*seats} & self.away, "they are away"
        self.noted.append((f"leave {mode.value}", seats))
        self.away |= {*seats}

    async def talk(self) -> None:
        """As ``Workers.talk``; it lasts until there was ``enough``."""
        self.noted.append(("talk", None))
        await asyncio.sleep(0)  # as sending does, also when there was enough
        await self.enough.wait()
        self.noted.append(("talked", None))


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Pauses that scenarios ask for; they take no time."""
    asked: list[float] = []
    sleep = asyncio.sleep

    async def note(seconds: float) -> None:
        asked.append(seconds)
        await sleep(0)

    monkeypatch.setattr(scenarios, "asyncio", SimpleNamespace(**{**vars(asyncio), "sleep": note}))
    return asked


async def perform(scenario: Any, workers: Recorder, *arguments: object) -> list[tuple[str, Any]]:
    """Carry out a scenario, whose clients talk until nothing else happens."""
    running = asyncio.create_task(scenario(workers, *arguments))
    for _ in range(200):
        await asyncio.sleep(0)
    workers.enough.set()
    await running
    return workers.noted


async def test_in_a_steady_run_all_are_there_before_the_first_message() -> None:
    assert await perform(scenarios.steady, Recorder()) == [("assemble", ALL), ("talk", None), ("talked", None)]


async def test_in_a_join_storm_one_of_each_room_talks_while_the_others_come() -> None:
    workers = Recorder()
    noted = await perform(scenarios.join_storm, workers)

    commands = [each for each in noted if each[0] != "mark"]
    assert sorted(commands[1:3]) == [("join", ALL[3:]), ("talk", None)]
    assert [commands[0], commands[3]] == [("assemble", ALL[:3]), ("talked", None)]
    assert len({PLAN.room_of(seat) for seat in ALL[:3]}) == PLAN.rooms
    assert [label for kind, label in noted if kind == "mark"] == ["the join storm begins", "all clients are in"]
    assert workers.subject is not None
    assert (workers.subject.due, workers.subject.done) == (9, 9)


async def test_in_a_reconnect_storm_all_are_cut_off_after_a_third_and_come_back(pauses: list[float]) -> None:
    workers = Recorder()
    noted = await perform(scenarios.reconnect_storm, workers)

    assert pauses[0] == pytest.approx(PLAN.messages / PLAN.rate / 3)
    commands = [each for each in noted if each[0] != "mark"]
    assert commands == [
        *(("assemble", ALL), ("talk", None), ("leave aborted", ALL), ("join", ALL), ("talked", None)),
    ]
    assert [label for kind, label in noted if kind == "mark"] == ["all clients are cut off", "all clients are back"]
    assert workers.subject is not None
    assert (workers.subject.due, workers.subject.done) == (12, 12)


@pytest.mark.parametrize("scenario", [scenarios.join_storm, scenarios.reconnect_storm])
@pytest.mark.usefixtures("pauses")
async def test_a_storm_after_the_last_message_shows_nothing_and_that_is_told(scenario: Any) -> None:
    workers = Recorder()
    workers.enough.set()
    noted = await perform(scenario, workers)

    told = [label for kind, label in noted if kind == "mark" and scenarios.TOO_FEW in label]
    assert len(told) == 1
    assert workers.subject is not None
    assert workers.subject.share == 0


@pytest.mark.usefixtures("pauses")
async def test_who_comes_back_after_the_last_message_has_taken_no_part_in_the_storm() -> None:
    workers = Recorder(enough_joined=12 + 10)
    workers._refusals.update({4: 1, 5: 1})
    await scenarios.reconnect_storm(cast("Workers", workers))

    assert workers.subject is not None
    assert (workers.subject.due, workers.subject.done) == (12, 10)


@pytest.mark.usefixtures("pauses")
async def test_in_a_soak_each_who_leaves_comes_back_and_both_ways_of_leaving_occur(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("random.expovariate", lambda _: 0.0)
    workers = Recorder(refusals=1)
    noted = await perform(scenarios.soak, workers)

    left = [seats[0] for kind, seats in noted if kind.startswith("leave")]
    assert {kind for kind, _ in noted if kind.startswith("leave")} == {"leave closed", "leave aborted"}
    assert len({*left}) > PLAN.connections / 2
    assert workers.away == set()
    assert workers.subject is not None
    assert workers.subject.due == workers.subject.done == len(left)
    assert noted[:2] == [("assemble", ALL), ("talk", None)]


async def test_soak_ends_with_its_messages_although_the_next_client_would_leave_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("random.expovariate", lambda _: 1e6)
    workers = Recorder()

    async with asyncio.timeout(scaled(10)):
        await perform(scenarios.soak, workers)

    assert workers.subject is not None
    assert workers.subject.share == 0


@pytest.mark.usefixtures("pauses")
@pytest.mark.parametrize(("refusals", "done"), [(0, 1), (3, 1), (1_000, 0)])
async def test_client_that_stays_away_was_not_replaced(refusals: int, done: int) -> None:
    workers, subject = Recorder(refusals=refusals), Subject("clients", due=1)
    await workers.assemble(ALL)

    await scenarios.replace(cast("Workers", workers), 3, {3}, subject)

    assert subject.done == done


async def test_clients_are_replaced_as_often_as_their_lifetime_says(monkeypatch: pytest.MonkeyPatch) -> None:
    rates: list[float] = []

    def note(rate: float) -> float:
        rates.append(rate)
        return 0.0

    monkeypatch.setattr("random.expovariate", note)
    await perform(scenarios.soak, Recorder())

    assert {*rates} == {PLAN.connections / PLAN.lifetime}


async def test_who_is_refused_comes_again_after_pauses_that_double(pauses: list[float]) -> None:
    workers = Recorder(refusals=2)
    workers._refusals.update({7: 1})
    await scenarios.come_back(cast("Workers", workers), ALL)

    assert [seats for _, seats in workers.noted] == [ALL, ALL, ALL, [7]]
    assert len(pauses) == 3
    for number, pause in enumerate(pauses):
        assert 0.5 * 2**number <= pause <= 2**number


async def test_who_is_always_refused_stays_away_in_the_end(pauses: list[float]) -> None:
    workers = Recorder(refusals=1_000)
    await scenarios.come_back(cast("Workers", workers), ALL)

    assert len(workers.noted) == scenarios.RECONNECTS
    # AWS admits 500 new connections a second, so some tens of thousands are back by then.
    assert 15 <= sum(pauses) <= 90


async def test_during_a_redeployment_clients_talk_until_it_is_over() -> None:
    arn = "arn:aws-cn:lambda:cn-north-1:111122223333:function:chat-whoami"
    invoked = f"arn:aws-cn:apigateway:cn-north-1:lambda:path/2015-03-31/functions/{arn}/invocations"
    applied: list[dict[str, Any]] = []
    workers = Recorder()
    workers.enough.set()

    def apply(**variables: Any) -> None:
        applied.append(variables)
        deadline = time.monotonic() + 30
        while workers.noted.count(("talk", None)) < 3 and time.monotonic() < deadline:
            time.sleep(0.001)

    deployment = SimpleNamespace(outputs={"whoami_function_arn": arn})
    stage = SimpleNamespace(deployment=lambda: deployment, apply=apply)
    noted = await perform(scenarios.redeploy, workers, stage)

    assert noted.count(("talk", None)) == noted.count(("talked", None)) >= 3
    assert [label for kind, label in noted if kind == "mark"] == ["redeployment begins", "redeployment is over"]
    assert noted[-1][0] == "mark"
    route = {"function_name": "chat-whoami", "invoke_arn": invoked}
    assert applied == [{"additional_routes": {"whoami-again": route}}]


class Process:
    """In place of a client process: notes the shares that it is given."""

    def __init__(self, refused: Collection[int] = ()) -> None:
        self.shares: list[Any] = []
        self._refused = refused

    async def call(self, method: Any, share: Any, *_: object) -> Any:
        """As ``WorkerProcess.call``."""
        self.shares.append(share)
        if method is UserGroup.join:
            return {each.seat: "429" for each in share if each.seat in self._refused}
        return None


def workers_of(plan: Plan, refused: Collection[int] = ()) -> tuple[Workers, list[Process]]:
    """The client processes of a plan."""
    processes = [Process(refused) for _ in range(plan.processes)]
    return Workers(plan, cast("Any", processes), print), processes


@pytest.mark.parametrize("processes", [1, 2, 3, 4])
@pytest.mark.parametrize("messages", [1, 2, 30, 31])
async def test_all_processes_together_send_every_message_at_its_time(processes: int, messages: int) -> None:
    workers, started = workers_of(replace(PLAN, processes=processes, messages=messages))
    await workers.talk()
    schedules = [process.shares[0] for process in started]

    due = sorted(each.at + number * each.interval for each in schedules for number in range(each.messages))
    assert [at - due[0] for at in due] == pytest.approx([number / PLAN.rate for number in range(messages)])
    assert {each.size for each in schedules} == {PLAN.size}
    assert due[0] >= time.monotonic() - 1


@pytest.mark.parametrize(("rate", "interval"), [(4, 0.25), (0, 0.0)])
async def test_handshakes_are_due_at_the_rate_of_the_plan(rate: float, interval: float) -> None:
    workers, processes = workers_of(replace(PLAN, connect_rate=rate), refused={5, 8})
    assert await workers.join(ALL) == {5: "429", 8: "429"}

    arrivals = sorted((each for process in processes for each in process.shares[0]), key=lambda each: each.seat)
    assert [each.seat for each in arrivals] == ALL
    assert [each.room for each in arrivals] == [PLAN.room_of(seat) for seat in ALL]
    due = [each.due - arrivals[0].due for each in arrivals]
    assert due == pytest.approx([seat * interval for seat in ALL])
    assert all(PLAN.process_of(each.seat) == number for number in (0, 1) for each in processes[number].shares[0])


async def test_rooms_are_looked_at_before_clients_leave_them_early() -> None:
    seen: list[tuple[set[str], int]] = []
    workers, processes = workers_of(PLAN)

    async def look(rooms: Collection[str]) -> None:
        seen.append(({*rooms}, sum(len(process.shares) for process in processes)))

    workers.look = look
    await workers.leave_early([0, 1], CloseMode.ABORT)

    assert seen == [({PLAN.room_of(0), PLAN.room_of(1)}, 0)]
    assert sorted(seat for process in processes for [*seats] in process.shares for seat in seats) == [0, 1]


async def test_without_any_first_client_there_is_no_run() -> None:
    workers, _ = workers_of(PLAN, refused=ALL[:-1])
    await workers.assemble(ALL)
    workers, _ = workers_of(PLAN, refused=ALL)
    with pytest.raises(NoConnectionError, match="no client could connect: 12 429"):
        await workers.assemble(ALL)


def test_clients_are_spread_evenly_over_rooms_and_processes() -> None:
    for rooms in (1, 2, 4, 5):
        for processes in (1, 2, 3, 4):
            plan = replace(PLAN, rooms=rooms, processes=processes, connections=240)
            places = Counter((plan.room_of(seat), plan.process_of(seat)) for seat in plan.seats)
            assert set(places.values()) == {240 // rooms // processes}
            assert {room for room, _ in places} == {*plan.room_names}


def test_only_what_changes_a_measurement_keeps_runs_from_being_compared() -> None:
    parameters = PLAN.parameters()
    assert replace(PLAN, run="other", late_after=1.0).parameters() == parameters
    for name in ("connections", "rooms", "messages", "rate", "size", "connect_rate", "lifetime", "processes"):
        assert replace(PLAN, **cast("Any", {name: 77})).parameters() == {**parameters, name: 77}
    for name in ("patience", "quiet", "ordered"):
        assert name not in parameters  # the first reports had no such parameter
        assert replace(PLAN, **cast("Any", {name: 77.0})).parameters() == {**parameters, name: 77.0}
    assert replace(PLAN, scenario="soak").parameters() == {**parameters, "scenario": "soak"}
