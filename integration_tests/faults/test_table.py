"""While the table refuses all requests, clients get errors; once it recovers, none are left."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from websockets.exceptions import InvalidStatus

from integration_tests.faults.faulty_run import injected
from integration_tests.harness.answers import error, receipt
from integration_tests.harness.crowd import expect_everywhere
from integration_tests.harness.faults.kinds import Status
from integration_tests.harness.faults.rules import Rule
from integration_tests.targets.privacy import SECRET

if TYPE_CHECKING:
    from collections.abc import Callable

    from integration_tests.faults.faulty_run import Site
    from integration_tests.harness.crowd import Crowd

pytestmark = [pytest.mark.emulator_only, pytest.mark.long]

UNAVAILABLE = error(
    "unavailable", "the service could not serve the message, which may have reached some recipients; try again"
)


async def test_everybody_is_told_while_the_table_is_throttled(
    crowd: Crowd, room: str, site: Site, tell: Callable[[str], None]
) -> None:
    sender, other = await crowd.join(room), await crowd.join(room)
    members = await site.table.members(room)
    rules = [Rule("dynamodb: throughput exceeded", Status(400), service="dynamodb")]
    site.faults.replace(rules)

    await sender.say(SECRET, id=SECRET)
    assert await sender.receive_json(within=30) == UNAVAILABLE
    with pytest.raises(InvalidStatus) as refusal:
        await crowd.join(room)
    assert refusal.value.response.status_code == 500

    tell("\n".join(["a message and a handshake refused, 0 items left of it", *injected(rules, site.faults.replace())]))
    assert await site.table.members(room) == members
    await sender.say("back again", id="1")
    await expect_everywhere([sender, other], "back again")
    assert await sender.receive_json() == receipt("1", delivered=2)
