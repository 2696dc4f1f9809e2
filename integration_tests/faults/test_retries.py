"""One request that fails for a while is made again, and only the member concerned waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from integration_tests.faults.faulty_run import injected
from integration_tests.harness.answers import receipt
from integration_tests.harness.faults.kinds import Status
from integration_tests.harness.faults.rules import Rule

if TYPE_CHECKING:
    from collections.abc import Callable

    from integration_tests.faults.faulty_run import Site
    from integration_tests.harness.crowd import Crowd

pytestmark = [pytest.mark.emulator_only, pytest.mark.long]

TIMES = 3


async def test_post_that_is_throttled_is_sent_again(
    crowd: Crowd, room: str, site: Site, tell: Callable[[str], None]
) -> None:
    sender, other = await crowd.join(room), await crowd.join(room)
    connection_id = await other.whoami()
    rules = [Rule("management: 429", Status(429), service="management", connection_id=connection_id, limit=TIMES)]
    site.faults.replace(rules)

    await sender.say("hello", id="1")

    await sender.expect("hello")
    await other.expect("hello")
    assert await sender.receive_json() == receipt("1", delivered=2)
    [count] = counts = site.faults.replace()
    assert (count.matched, count.struck) == (TIMES + 1, TIMES)
    tell("\n".join(["the member receives the message", *injected(rules, counts)]))


async def test_table_that_is_throttled_is_asked_again(
    crowd: Crowd, room: str, site: Site, tell: Callable[[str], None]
) -> None:
    rules = [Rule("dynamodb: throughput exceeded", Status(400), service="dynamodb", limit=TIMES)]
    site.faults.replace(rules)

    client = await crowd.join(room)

    [count] = counts = site.faults.replace()
    assert (count.matched, count.struck) == (TIMES + 1, TIMES)
    assert await site.table.members(room) == {await client.whoami()}
    tell("\n".join(["the client is a member", *injected(rules, counts)]))
