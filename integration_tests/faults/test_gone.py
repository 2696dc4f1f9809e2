"""Posts answered with 410, and the items that are left when `$disconnect` never runs."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from integration_tests.faults.faulty_run import injected
from integration_tests.harness.answers import receipt
from integration_tests.harness.crowd import expect_everywhere
from integration_tests.harness.faults.kinds import Status
from integration_tests.harness.faults.rules import Rule
from integration_tests.harness.table import HOUR_MS
from scripts.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from integration_tests.faults.faulty_run import Site
    from integration_tests.harness.crowd import Crowd
    from integration_tests.targets.interface import Target
    from scripts.local.aws import Aws

pytestmark = [pytest.mark.emulator_only, pytest.mark.long]


def gone(connection_id: str, limit: int) -> Rule:
    """Return a rule that answers the first posts to a connection with 410."""
    return Rule("management: 410", Status(410), service="management", connection_id=connection_id, limit=limit)


async def test_sender_that_is_answered_with_410_stays(
    crowd: Crowd, room: str, site: Site, tell: Callable[[str], None]
) -> None:
    sender, other = await crowd.join(room), await crowd.join(room)
    sender_id = await sender.whoami()
    await site.table.age_member(room, sender_id, HOUR_MS)
    rules = [gone(sender_id, limit=1)]
    site.faults.replace(rules)

    await sender.say("can anybody hear me", id="1")

    await other.expect("can anybody hear me")
    assert await sender.receive_json() == receipt("1", delivered=1, gone=1)
    tell("\n".join(["the sender's items stay", *injected(rules, site.faults.replace())]))
    await sender.say("of course", id="2")
    await expect_everywhere([sender, other], "of course")
    assert await sender.receive_json() == receipt("2", delivered=2)


async def test_member_that_is_not_open_yet_is_served_as_soon_as_it_is(
    crowd: Crowd, room: str, site: Site, tell: Callable[[str], None]
) -> None:
    sender, other = await crowd.join(room), await crowd.join(room)
    rules = [gone(await other.whoami(), limit=3)]
    site.faults.replace(rules)

    await sender.say("welcome", id="1")

    await expect_everywhere([sender, other], "welcome")
    assert await sender.receive_json() == receipt("1", delivered=2)
    [count] = counts = site.faults.replace()
    assert (count.matched, count.struck) == (4, 3)
    tell("\n".join(["the member receives the message", *injected(rules, counts)]))


async def test_next_message_removes_those_whose_disconnect_was_lost(
    target: Target, crowd: Crowd, room: str, site: Site, tell: Callable[[str], None]
) -> None:
    assert target.aws is not None
    sender, *others = await crowd.join_many(room, 9)
    sender_id = await sender.whoami()
    lost = await site.table.members(room) - {sender_id}
    for each in lost:
        await site.table.age_member(room, each, HOUR_MS)

    with without_invocations(target.aws, target.deployment.outputs["disconnect_function_arn"]):
        await asyncio.gather(*(each.close() for each in others[::2]), *(each.abort() for each in others[1::2]))
        await eventually(lambda: connected(target, lost), 0, within=20)
        assert await site.table.members(room) == {sender_id, *lost}
        await sender.say("anyone else?", id="1")
        await sender.expect("anyone else?")

        assert await sender.receive_json() == receipt("1", delivered=1, gone=len(lost))
        await eventually(lambda: site.table.members(room), {sender_id}, within=20)  # pruning follows the receipt
        assert await site.table.connections([sender_id, *lost]) == {sender_id}
    tell(f"{len(lost)} of {len(lost)} disconnects lost; 0 items left after the next message")


@contextmanager
def without_invocations(aws: Aws, function_arn: str) -> Iterator[None]:
    """Throttle every invocation of a function: API Gateway does not try `$disconnect` again."""
    aws.functions.put_function_concurrency(FunctionName=function_arn, ReservedConcurrentExecutions=0)
    try:
        yield
    finally:
        aws.functions.delete_function_concurrency(FunctionName=function_arn)


async def connected(target: Target, connection_ids: set[str]) -> int:
    """Return how many of these connections API Gateway has."""
    assert target.aws is not None
    assert target.deployment.management_endpoint is not None
    management = target.aws.management(target.deployment.management_endpoint)

    def is_connected(connection_id: str) -> bool:
        try:
            management.get_connection(ConnectionId=connection_id)
        except management.exceptions.GoneException:
            return False
        return True

    return sum([await asyncio.to_thread(is_connected, each) for each in connection_ids])
