"""A message reaches a whole room even where the membership query takes several pages."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from integration_tests.harness.answers import receipt
from integration_tests.harness.crowd import expect_everywhere
from integration_tests.targets.interface import Capability

if TYPE_CHECKING:
    from integration_tests.harness.crowd import Crowd
    from integration_tests.harness.table import ConnectionsTable

PADDING = 300_000
"""Characters added to a membership item so that a page, at most 1 MB, holds three."""


@pytest.mark.needs_table
@pytest.mark.requires(Capability.COUNTED_RECEIPTS)
async def test_members_on_every_page_receive_the_message(crowd: Crowd, room: str, table: ConnectionsTable) -> None:
    members = await crowd.join_many(room, 12)
    connection_ids = await table.members(room)
    await asyncio.gather(*(table.pad_member(room, each, PADDING) for each in connection_ids))
    assert await table.page_count(room) >= 4

    await members[0].say("to the last page", id="1")

    await expect_everywhere(members, "to the last page")
    assert await members[0].receive_json() == receipt("1", delivered=12)


@pytest.mark.needs_table
@pytest.mark.requires(Capability.COUNTED_RECEIPTS)
async def test_pages_without_anyone_to_reach_do_not_end_the_room(
    crowd: Crowd, room: str, table: ConnectionsTable
) -> None:
    """DynamoDB filters after it cuts a page: a page of expired members is empty and yet not the last."""
    first, last = sorted([await crowd.join(room) for _ in range(2)], key=lambda client: client.connected_at)
    expired = [f"{number:015d}=" for number in range(8)]
    for each in expired:
        await table.add_member(room, each, age_ms=4 * 3_600_000)
        await table.pad_member(room, each, PADDING)

    await first.say("beyond the empty pages", id="1")

    await expect_everywhere([first, last], "beyond the empty pages")
    assert (await first.receive_json())["receipt"]["delivered"] == 2
    await asyncio.gather(*(table.remove_member(room, each) for each in expired))
