"""`$connect` adds a client to its room before the handshake ends, or refuses the handshake."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest
from websockets.exceptions import InvalidStatus

from integration_tests.harness.client import Client
from integration_tests.targets.interface import Capability

if TYPE_CHECKING:
    from integration_tests.harness.crowd import Crowd
    from integration_tests.harness.table import ConnectionsTable

BAD_ROOMS = {
    "empty": "",
    "too-long": "r" * 65,
    "space": "two words",
    "separator": "room#0",
    "not-ascii": "café",
    "line-feed": "lobby\n",
}


@pytest.mark.everywhere
async def test_without_a_room_a_client_is_in_the_default_room(crowd: Crowd) -> None:
    client = await Client.connect(crowd.url)  # not in the crowd: on a stage in use, users may talk in the default room

    try:
        await client.send("whoami")
        while not (text := (await client.receive()).text).startswith('{"whoami":'):
            pass
    finally:
        await client.close()

    assert json.loads(text)["whoami"]["room"] == "default"


@pytest.mark.needs_table
async def test_every_client_has_both_items_when_its_handshake_ends(
    crowd: Crowd, room: str, connections: int, table: ConnectionsTable
) -> None:
    await crowd.join_many(room, connections)

    members = await table.members(room)
    assert len(members) == connections
    assert await table.connections(members) == members


@pytest.mark.everywhere
@pytest.mark.parametrize("name", BAD_ROOMS.values(), ids=BAD_ROOMS)
async def test_bad_room_name_refuses_the_handshake(crowd: Crowd, name: str) -> None:
    with pytest.raises(InvalidStatus):
        await crowd.join(name)


@pytest.mark.everywhere
@pytest.mark.requires(Capability.HANDSHAKE_STATUS)
async def test_client_learns_that_the_room_name_was_bad(crowd: Crowd) -> None:
    with pytest.raises(InvalidStatus) as refusal:
        await crowd.join("two words")

    assert refusal.value.response.status_code == 400


@pytest.mark.everywhere
async def test_room_given_twice_refuses_the_handshake(crowd: Crowd, room: str) -> None:
    with pytest.raises(InvalidStatus):
        await Client.connect(f"{crowd.url}?room={room}&room={room}")


@pytest.mark.needs_table
async def test_refused_handshake_leaves_no_item(crowd: Crowd, table: ConnectionsTable) -> None:
    await asyncio.gather(*(crowd.join("two words") for _ in range(5)), return_exceptions=True)

    assert await table.members("two words") == set()
