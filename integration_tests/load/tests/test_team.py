"""Several processes told what to do as if they were one."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import replace

import pytest

from integration_tests.load.crew import Crew
from integration_tests.load.participant import Farewell
from integration_tests.load.plan import Plan
from integration_tests.load.remote import RemoteError
from integration_tests.load.team import assembled, first_of_each
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
    async with assembled(PLAN, stage_url, 1.0, print) as team:
        await team.join(PLAN.seats)
        await team.talk()
        await team.settle()
        share = await team.finish()

    total = share.ledger.verdict().total
    assert total.clean
    assert (total.acknowledged, total.delivered) == (10, 10 * PLAN.connections // PLAN.rooms)
    assert (share.connects.succeeded, share.connects.times.count) == (PLAN.connections, PLAN.connections)
    assert share.connects.per_second > 0


async def test_who_left_is_absent_and_can_come_again(stage_url: str) -> None:
    async with assembled(PLAN, stage_url, 1.0, print) as team:
        await team.join(PLAN.seats)
        await team.leave([1, 5], Farewell.ABORT)
        assert await team.absent() == {1, 5}
        await team.join([1])
        assert await team.absent() == {5}


async def test_what_a_process_raises_arrives_as_its_traceback(stage_url: str) -> None:
    async with assembled(PLAN, stage_url, 1.0, print) as team:
        with pytest.raises(RemoteError, match="KeyError: 99"):
            await asyncio.wrap_future(team.crews[0].call(Crew.leave, [99], Farewell.CLOSE))


async def test_process_that_is_killed_fails_the_run_and_is_not_waited_for(stage_url: str) -> None:
    async with assembled(PLAN, stage_url, 1.0, print) as team:
        await team.join(PLAN.seats)
        os.kill(team.crews[1].pid, signal.SIGKILL)
        with pytest.raises(RemoteError, match="exit status -9"):
            await team.settle()


def test_of_each_kind_of_event_the_first_is_kept_in_order() -> None:
    events = [Event(2.0, "b"), Event(1.0, "a"), Event(3.0, "a")]

    assert [(each.at, each.label) for each in first_of_each(events)] == [(1.0, "a"), (2.0, "b")]
