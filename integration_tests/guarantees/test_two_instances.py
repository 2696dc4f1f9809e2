"""Two instances in one account are isolated from each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from integration_tests.conftest import table_of
from integration_tests.guarantees.conftest import names_of_second
from integration_tests.harness.answers import receipt
from integration_tests.harness.crowd import Crowd, expect_everywhere

if TYPE_CHECKING:
    from integration_tests.targets.interface import Changeable, Target


@pytest.mark.emulator_only
async def test_same_room_in_another_instance_is_another_room(
    target: Target, second: Changeable, crowd: Crowd, room: str
) -> None:
    assert target.aws is not None
    assert names_of_second(target.aws)
    deployment = second.deployment()
    table = table_of(target, deployment)
    here = await crowd.join(room)
    other_crowd = Crowd(deployment.websocket_url)
    others = await other_crowd.join_many(room, 12)  # enough to fill almost every shard

    await others[0].say("over there", id="1")

    await expect_everywhere(others, "over there")
    assert await others[0].receive_json() == receipt("1", delivered=12)
    await here.say("over here", id="2")
    await here.expect("over here")
    assert await here.receive_json() == receipt("2", delivered=1)
    connection_ids = await table.members(room)
    assert len(connection_ids) == 12
    await other_crowd.finish()
    await table.expect_nothing_left(room, connection_ids, within=20)
