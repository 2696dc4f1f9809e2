"""However a client disconnects, its items are deleted, and no other client's."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from integration_tests.harness.answers import receipt
from integration_tests.harness.table import HOUR_MS, unknown_connection_id
from integration_tests.targets.interface import Capability
from scripts.waiting import eventually

if TYPE_CHECKING:
    from integration_tests.harness.crowd import Crowd
    from integration_tests.harness.table import ConnectionsTable


@pytest.mark.needs_table
async def test_mass_disconnect_leaves_nothing(
    crowd: Crowd, room: str, connections: int, table: ConnectionsTable
) -> None:
    members = await crowd.join_many(room, connections)
    connection_ids = await table.members(room)

    await asyncio.gather(*(client.close() if number % 2 else client.abort() for number, client in enumerate(members)))

    await table.expect_nothing_left(room, connection_ids, within=30 + connections / 5)


@pytest.mark.needs_table
@pytest.mark.requires(Capability.COUNTED_RECEIPTS)
async def test_long_dead_member_goes_with_the_next_message_and_the_sender_stays(
    crowd: Crowd, room: str, table: ConnectionsTable
) -> None:
    sender = await crowd.join(room)
    sender_id = await sender.whoami()
    dead_id = unknown_connection_id()
    await table.add_member(room, dead_id, age_ms=HOUR_MS)

    await sender.say("anyone else?", id="1")

    await sender.expect("anyone else?")
    assert await sender.receive_json() == receipt("1", delivered=1, gone=1)
    await eventually(lambda: table.members(room), {sender_id}, within=20)
    await eventually(lambda: table.connections([sender_id, dead_id]), {sender_id}, within=20)


@pytest.mark.needs_table
@pytest.mark.requires(Capability.COUNTED_RECEIPTS)
async def test_long_dead_member_of_several_rooms_leaves_them_all(
    crowd: Crowd, room: str, table: ConnectionsTable
) -> None:
    sender = await crowd.join(room)
    sender_id = await sender.whoami()
    dead = [unknown_connection_id() for _ in range(3)]
    rooms = [f"{room}.{number}" for number in range(3)]
    for number, each in enumerate(dead):
        await table.add_member(room, each, HOUR_MS, *rooms[:number])

    await sender.say("anyone else?", id="1")

    await sender.expect("anyone else?")
    assert await sender.receive_json() == receipt("1", delivered=1, gone=3)
    await eventually(lambda: table.connections([sender_id, *dead]), {sender_id}, within=20)
    assert await table.members(room) == {sender_id}
    assert [await table.members(each) for each in rooms] == [set()] * 3


@pytest.mark.needs_table
@pytest.mark.requires(Capability.COUNTED_RECEIPTS)
async def test_member_that_may_still_be_connecting_is_kept(crowd: Crowd, room: str, table: ConnectionsTable) -> None:
    """API Gateway answers 410 for a connection until its ``$connect`` has finished."""
    sender = await crowd.join(room)
    sender_id = await sender.whoami()
    young_id = unknown_connection_id()
    await table.add_member(room, young_id, age_ms=0)

    await sender.say("come in", id="1")

    await sender.expect("come in")
    assert await sender.receive_json() == receipt("1", delivered=1, gone=1)
    assert await table.members(room) == {sender_id, young_id}
    assert await table.connections([sender_id, young_id]) == {sender_id, young_id}
    await table.remove_member(room, young_id)


@pytest.mark.needs_table
@pytest.mark.requires(Capability.COUNTED_RECEIPTS)
async def test_many_dead_members_go_with_one_message(
    crowd: Crowd, room: str, connections: int, table: ConnectionsTable
) -> None:
    sender = await crowd.join(room)
    sender_id = await sender.whoami()
    dead = [unknown_connection_id() for _ in range(connections)]
    await asyncio.gather(*(table.add_member(room, each, age_ms=HOUR_MS) for each in dead))

    await sender.say("anyone else?", id="1")

    await sender.expect("anyone else?")
    assert await sender.receive_json() == receipt("1", delivered=1, gone=connections)
    await eventually(lambda: table.members(room), {sender_id}, within=20)
    await eventually(lambda: table.connections([*dead, sender_id]), {sender_id}, within=20)


@pytest.mark.needs_table
@pytest.mark.requires(Capability.COUNTED_RECEIPTS)
async def test_dead_members_id_may_be_a_living_connections_by_now(
    crowd: Crowd, room: str, table: ConnectionsTable
) -> None:
    sender = await crowd.join(room)
    sender_id = await sender.whoami()
    reused_id = unknown_connection_id()
    await table.add_member(room, reused_id, age_ms=HOUR_MS)
    await table.reconnect_elsewhere(reused_id)

    await sender.say("anyone else?", id="1")

    await sender.expect("anyone else?")
    assert await sender.receive_json() == receipt("1", delivered=1, gone=1)
    assert await table.connections([sender_id, reused_id]) == {sender_id, reused_id}
    await table.remove_member(room, reused_id)


@pytest.mark.needs_table
async def test_late_disconnect_leaves_a_newer_connection_of_the_same_id_alone(
    crowd: Crowd, room: str, table: ConnectionsTable
) -> None:
    first, second = await crowd.join(room), await crowd.join(room)
    reused_id, second_id = await first.whoami(), await second.whoami()
    nothing: set[str] = set()
    await table.age_member(room, reused_id, age_ms=-1000)

    await first.close()

    await second.close()  # once its items are gone, the earlier disconnect has been processed, too
    await eventually(lambda: table.connections([second_id]), nothing, within=20)
    assert await table.members(room) == {reused_id}
    assert await table.connections([reused_id]) == {reused_id}
    await table.remove_member(room, reused_id)


@pytest.mark.needs_table
@pytest.mark.requires(Capability.COUNTED_RECEIPTS)
async def test_member_whose_item_has_expired_receives_nothing(crowd: Crowd, room: str, table: ConnectionsTable) -> None:
    """DynamoDB may take days to delete an expired item; readers skip it until then."""
    sender, expired = await crowd.join(room), await crowd.join(room)
    await table.expire_member(room, await expired.whoami())

    await sender.say("to the living", id="1")

    await sender.expect("to the living")
    assert await sender.receive_json() == receipt("1", delivered=1)
