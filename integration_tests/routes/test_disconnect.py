"""`$disconnect` deletes both items of a client, however the connection ended."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from integration_tests.targets.interface import Capability
from scripts.waiting import eventually

if TYPE_CHECKING:
    from integration_tests.harness.crowd import Crowd
    from integration_tests.harness.table import ConnectionsTable
    from integration_tests.targets.interface import Target


@pytest.mark.needs_table
@pytest.mark.parametrize("code", [1000, 1001, 4000])
async def test_closing_removes_both_items(crowd: Crowd, room: str, table: ConnectionsTable, code: int) -> None:
    client = await crowd.join(room)
    members = await table.members(room)

    await client.close(code)

    await table.expect_nothing_left(room, members, within=20)


@pytest.mark.needs_table
async def test_abrupt_end_removes_both_items(crowd: Crowd, room: str, table: ConnectionsTable) -> None:
    client = await crowd.join(room)
    members = await table.members(room)

    await client.abort()

    await table.expect_nothing_left(room, members, within=20)


@pytest.mark.needs_table
async def test_connection_closed_by_the_service_removes_both_items(
    crowd: Crowd, room: str, table: ConnectionsTable, target: Target
) -> None:
    client = await crowd.join(room)
    connection_id = await client.whoami()
    assert await table.members(room) == {connection_id}
    assert target.aws is not None
    assert target.deployment.management_endpoint is not None
    management = target.aws.management(target.deployment.management_endpoint)

    await asyncio.to_thread(management.delete_connection, ConnectionId=connection_id)

    assert await client.closed_by_server() == 1000
    await table.expect_nothing_left(room, {connection_id}, within=20)


@pytest.mark.needs_table
async def test_those_who_stay_keep_their_items(crowd: Crowd, room: str, table: ConnectionsTable) -> None:
    goes, stays = await crowd.join_many(room, 2)
    staying = await stays.whoami()

    await goes.close()

    await eventually(lambda: table.members(room), {staying}, within=20)
    assert await table.connections([staying]) == {staying}


@pytest.mark.needs_table
@pytest.mark.requires(Capability.COUNTED_RECEIPTS)
async def test_items_that_are_gone_already_do_no_harm(crowd: Crowd, room: str, table: ConnectionsTable) -> None:
    client, witness = await crowd.join(room), await crowd.join(room)
    connection_id = await client.whoami()
    await table.remove_member(room, connection_id)

    await client.close()

    await witness.say("still here", id="1")
    await witness.expect("still here")
    assert (await witness.receive_json())["receipt"]["delivered"] == 1
