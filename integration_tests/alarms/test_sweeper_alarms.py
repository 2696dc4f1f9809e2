"""The sweeper's alarms: they ring without a census, and while many items are of connections that are gone."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from integration_tests.alarms.runbooks import check_first_command
from integration_tests.alarms.test_alarms import watched_stage
from integration_tests.conftest import table_of
from integration_tests.harness.alarms.evaluator import Evaluator
from integration_tests.harness.crowd import Crowd
from integration_tests.security.lab import Lab
from integration_tests.security.test_sweeper import age_all, dead, plant, sweep

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from integration_tests.targets.interface import Target

pytestmark = [pytest.mark.emulator_only, pytest.mark.long, pytest.mark.timeout(1200)]

MINUTE = 1
"""Seconds that stand for the minutes of these alarms' periods, which are 15 and 60 of them."""
CENSUS_EVERY = 3.0
"""Seconds between two runs, more often than each period ends."""
CENSUS_WITHIN, SHARE_WITHIN = 4 * 15.0 * MINUTE, 3 * 60.0 * MINUTE
"""Seconds in which the alarms must begin or be over."""


@asynccontextmanager
async def sweeping(lab: Lab) -> AsyncIterator[None]:
    """Let the sweeper run again and again."""

    async def again() -> None:
        while True:
            await sweep(lab)
            await asyncio.sleep(CENSUS_EVERY)

    runs = asyncio.create_task(again())
    try:
        yield
    finally:
        runs.cancel()
        with suppress(asyncio.CancelledError):
            await runs


async def test_they_ring_for_their_fault_alone(target: Target) -> None:
    with watched_stage(target, sweeper={"enabled": True}) as watched:
        stage = watched.stage
        evaluator = Evaluator(stage.aws.cloudwatch, watched.evaluator.prefix, MINUTE)
        crowd = Crowd(stage.deployment.websocket_url)
        lab = Lab(stage.aws, stage.deployment, table_of(target, stage.deployment), crowd)
        await crowd.join(lab.room())
        await age_all(lab)
        async with evaluator.watching():
            await evaluator.expect({"census-missing": "ALARM", "stale-share": "OK"}, within=CENSUS_WITHIN)
            await check_first_command(stage, evaluator, "census-missing")

            await plant(lab, dead(4))
            async with sweeping(lab):
                await evaluator.expect({"stale-share": "ALARM"}, within=SHARE_WITHIN)
                await check_first_command(stage, evaluator, "stale-share")
                await evaluator.expect({"census-missing": "OK", "stale-share": "OK"}, within=SHARE_WITHIN)
            assert evaluator.states["census-missing"] == "OK"
        await crowd.finish()
