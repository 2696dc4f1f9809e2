"""Several client processes, commanded together."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from integration_tests.harness.ledger import Ledger
from integration_tests.load import workers
from integration_tests.load.plan import Plan
from integration_tests.load.recorder import Recorder
from integration_tests.load.user_group import Progress, UserGroup
from integration_tests.load.virtual_user import CloseMode
from integration_tests.load.worker_process import ENDING, WorkerError, blocked
from integration_tests.load.workers import Workers, started_workers
from integration_tests.report.model import Event

if TYPE_CHECKING:
    from collections.abc import Callable

    from integration_tests.load.user_group import Arrival, Schedule
    from integration_tests.load.worker_process import WorkerProcess

PLAN = Plan(
    scenario="steady",
    connections=24,
    rooms=3,
    messages=10,
    rate=100,
    size=100,
    connect_rate=0,
    lifetime=60,
    processes=2,
)


def test_every_process_has_members_in_every_room() -> None:
    places = {(PLAN.process_of(seat), PLAN.room_of(seat)) for seat in PLAN.seats}

    assert len(places) == PLAN.processes * PLAN.rooms


def test_runs_share_no_room() -> None:
    assert not {*PLAN.room_names} & {*replace(PLAN, run="another").room_names}


async def test_messages_of_one_process_come_to_the_clients_of_all(stage_url: str) -> None:
    async with started_workers(PLAN, stage_url, 1.0, print) as workers:
        await workers.join(PLAN.seats)
        await workers.talk()
        await workers.settle()
        result = await workers.finish()

    total = result.ledger.verdict().total
    assert total.clean
    assert (total.acknowledged, total.delivered) == (10, 10 * PLAN.connections // PLAN.rooms)
    assert (result.connects.succeeded, result.connects.times.count) == (PLAN.connections, PLAN.connections)
    assert result.connects.per_second


class FakeProcess:
    """Takes its share of each command, and refuses some handshakes.

    Args:
        clock: Its monotonic time goes on with each handshake.
        refused: Seats whose handshakes are refused.
    """

    def __init__(self, clock: SimpleNamespace, *refused: int) -> None:
        self.clock = clock
        self.refused = refused
        self.schedules: list[Schedule] = []
        self.arrivals: list[Arrival] = []

    async def call(self, method: Callable[..., Any], *arguments: Any) -> Any:
        """As ``WorkerProcess.call``."""
        if method is UserGroup.talk:
            self.schedules += arguments
        if method is UserGroup.join:
            (share,) = arguments
            self.arrivals += share
            self.clock.now += len(share)
            return {each.seat: "429" for each in share if each.seat in self.refused}
        return Recorder(Ledger(PLAN.run))


class OwingProcess(FakeProcess):
    """Has two members in one room; one of them is owed a message until the n-th look for it.

    Args:
        clock: As of ``FakeProcess``.
        asked: Number of the look that finds the message.
        connected: Open connections.
    """

    def __init__(self, clock: SimpleNamespace, asked: int, connected: int = 2) -> None:
        super().__init__(clock)
        self.looks = 0
        self.asked = asked
        self.connected = connected

    async def call(self, method: Callable[..., Any], *arguments: Any) -> Any:
        """As ``WorkerProcess.call``."""
        if method is UserGroup.progress:
            return Progress(connected=self.connected)
        if method is not UserGroup.ledger:
            return await super().call(method, *arguments)
        self.looks += 1
        ledger = Ledger(PLAN.run)
        attempt = ledger.sender("lobby", "a").attempt(self.clock.now, self.clock.now)
        ledger.sender("lobby", "a").acknowledge(attempt.sequence, self.clock.now)
        members = [ledger.member("lobby", name) for name in ("a", "b")]
        for member in members:
            member.joined_at = 0.0
        for member in members[: 1 + (self.looks >= self.asked)]:
            ledger.receive(member, attempt.text, self.clock.now)
        return ledger


@pytest.mark.parametrize(("connected", "looks"), [(2, 3), (0, 1)])
async def test_a_run_waits_for_deliveries_that_are_owed_to_clients_still_connected(
    clock: SimpleNamespace, connected: int, looks: int
) -> None:
    process = OwingProcess(clock, 3, connected)
    team = workers_of(PLAN, process)
    await team.settle()

    assert process.looks == looks
    assert team.ended_at == clock.now


def workers_of(plan: Plan, *processes: FakeProcess) -> Workers:
    """Command fake processes."""
    return Workers(plan, cast("list[WorkerProcess]", processes), lambda _: None)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The clock of the process, which goes on when told."""
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(workers, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


@pytest.mark.parametrize("processes", [1, 2, 3, 7])
async def test_processes_share_all_messages_and_each_is_due_in_its_turn(clock: SimpleNamespace, processes: int) -> None:
    fakes = [FakeProcess(clock) for _ in range(processes)]
    await workers_of(replace(PLAN, processes=processes, messages=10, rate=4), *fakes).talk()

    due = sorted(
        each.at + number * each.interval for fake in fakes for each in fake.schedules for number in range(each.messages)
    )
    assert due == pytest.approx([1000 + workers.HEAD_START + number / 4 for number in range(10)])
    assert {each.size for fake in fakes for each in fake.schedules} == {PLAN.size}


async def test_handshakes_are_due_at_the_plans_rate(clock: SimpleNamespace) -> None:
    fakes = [FakeProcess(clock) for _ in range(2)]
    await workers_of(replace(PLAN, connect_rate=4), *fakes).join(PLAN.seats)

    arrivals = sorted(each for fake in fakes for each in fake.arrivals)
    start = 1000 + workers.HEAD_START
    assert [(each.seat, each.room) for each in arrivals] == [(seat, PLAN.room_of(seat)) for seat in PLAN.seats]
    assert [each.due for each in arrivals] == pytest.approx([start + seat / 4 for seat in PLAN.seats])


async def test_refused_handshakes_do_not_count_as_connections_per_second(clock: SimpleNamespace) -> None:
    fakes = [FakeProcess(clock, 0, 1, 2), FakeProcess(clock, 3)]
    team = workers_of(PLAN, *fakes)
    assert await team.join(PLAN.seats) == dict.fromkeys(range(4), "429")
    await team.join([5])

    seconds = PLAN.connections - workers.HEAD_START
    assert (await team.finish()).connects.per_second == pytest.approx((PLAN.connections - 4) / seconds)


async def test_result_knows_when_the_run_stopped_waiting_and_what_was_never_scheduled(clock: SimpleNamespace) -> None:
    """A later delivery is late, and a message that no client could send is owed."""
    team = workers_of(PLAN, FakeProcess(clock), FakeProcess(clock))
    team.ended_at, team.unsent = 1234.0, 7
    ledger = (await team.finish()).ledger

    assert (ledger.ended_at, ledger.unsent) == (1234.0, 7)


async def test_present_are_those_who_joined_and_have_not_left(stage_url: str) -> None:
    early = [*PLAN.seats][:-1]
    async with started_workers(PLAN, stage_url, 1.0, print) as workers:
        assert await workers.present() == set()
        await workers.join(early)
        assert await workers.present() == {*early}
        await workers.leave([1, 5], CloseMode.ABORT)
        assert await workers.present() == {*early} - {1, 5}
        await workers.join([1])
        assert await workers.present() == {*early} - {5}


async def test_what_a_process_raises_arrives_as_its_traceback(stage_url: str) -> None:
    async with started_workers(PLAN, stage_url, 1.0, print) as workers:
        with pytest.raises(WorkerError, match="KeyError: 99"):
            await workers.processes[0].call(UserGroup.leave, [99], CloseMode.CLOSE)
        with pytest.raises(WorkerError, match="cannot pickle"):
            await workers.processes[0].call(UserGroup._speakers)


async def test_ctrl_c_still_ends_this_process_once_the_clients_processes_have_started(stage_url: str) -> None:
    """They inherit the signals that are blocked while they start, and keep them blocked."""

    def blocked_here() -> set[int]:
        return signal.pthread_sigmask(signal.SIG_BLOCK, [])

    before = blocked_here()
    assert not before & ENDING
    async with started_workers(PLAN, stage_url, 1.0, print) as workers:
        assert blocked_here() == before
        for process in workers.processes:
            os.kill(process.pid, signal.SIGINT)
            os.kill(process.pid, signal.SIGTERM)
        assert (await workers.progress()).connected == 0

    def start_and_fail() -> None:
        with blocked(ENDING):
            assert blocked_here() == before | ENDING
            raise OSError

    with pytest.raises(OSError, match=r"^$"):
        start_and_fail()
    assert blocked_here() == before


async def test_process_that_is_killed_fails_the_run_and_is_not_waited_for(stage_url: str) -> None:
    async with started_workers(PLAN, stage_url, 1.0, print) as workers:
        await workers.join(PLAN.seats)
        os.kill(workers.processes[1].pid, signal.SIGKILL)
        with pytest.raises(WorkerError, match="exit status -9"):
            await workers.settle()


def test_of_each_kind_of_event_the_first_is_kept_in_order() -> None:
    mine, other = Recorder(Ledger(PLAN.run)), Recorder(Ledger(PLAN.run))
    for recorder, event in ((mine, Event(2.0, "b")), (mine, Event(3.0, "a")), (other, Event(1.0, "a"))):
        recorder.note(event)

    mine.merge(other)

    assert [(each.at, each.label) for each in mine.timeline()] == [(1.0, "a"), (2.0, "b")]
