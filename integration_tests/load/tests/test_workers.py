"""Several client processes, commanded together."""

from __future__ import annotations

import os
import signal
from dataclasses import replace

import pytest

from integration_tests.load.plan import Plan
from integration_tests.load.user_group import UserGroup
from integration_tests.load.virtual_user import CloseMode
from integration_tests.load.worker_process import WorkerError
from integration_tests.load.workers import first_of_each, started_workers
from integration_tests.report.model import Event

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


async def test_who_left_is_absent_and_can_come_again(stage_url: str) -> None:
    async with started_workers(PLAN, stage_url, 1.0, print) as workers:
        await workers.join(PLAN.seats)
        await workers.leave([1, 5], CloseMode.ABORT)
        assert await workers.absent() == {1, 5}
        await workers.join([1])
        assert await workers.absent() == {5}


async def test_what_a_process_raises_arrives_as_its_traceback(stage_url: str) -> None:
    async with started_workers(PLAN, stage_url, 1.0, print) as workers:
        with pytest.raises(WorkerError, match="KeyError: 99"):
            await workers.processes[0].call(UserGroup.leave, [99], CloseMode.CLOSE)
        with pytest.raises(WorkerError, match="cannot pickle"):
            await workers.processes[0].call(UserGroup._speakers)


async def test_process_that_is_killed_fails_the_run_and_is_not_waited_for(stage_url: str) -> None:
    async with started_workers(PLAN, stage_url, 1.0, print) as workers:
        await workers.join(PLAN.seats)
        os.kill(workers.processes[1].pid, signal.SIGKILL)
        with pytest.raises(WorkerError, match="exit status -9"):
            await workers.settle()


def test_of_each_kind_of_event_the_first_is_kept_in_order() -> None:
    events = [Event(2.0, "b"), Event(1.0, "a"), Event(3.0, "a")]

    assert [(each.at, each.label) for each in first_of_each(events)] == [(1.0, "a"), (2.0, "b")]
