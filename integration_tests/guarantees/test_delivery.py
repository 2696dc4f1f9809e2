"""A message is delivered once to every member of its room, and to no other client."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from integration_tests.harness.answers import receipt
from integration_tests.harness.crowd import expect_everywhere, expect_in_any_order, settle
from integration_tests.targets.interface import Capability

if TYPE_CHECKING:
    from integration_tests.harness.client import Client
    from integration_tests.harness.crowd import Crowd
    from integration_tests.harness.table import ConnectionsTable

MESSAGES_PER_SENDER = 3
ROOM_SIZE = 10


@pytest.mark.everywhere
@pytest.mark.requires(Capability.COUNTED_RECEIPTS)
async def test_every_member_receives_a_message_once_and_nobody_elsewhere_anything(
    crowd: Crowd, room: str, connections: int
) -> None:
    members = await crowd.join_many(room, connections)
    strangers = await crowd.join_many(f"{room}-2", 5)

    await members[0].say("hello world", id="1")

    await expect_everywhere(members, "hello world")
    assert await members[0].receive_json() == receipt("1", delivered=connections)
    await settle([*members, *strangers])  # all posts made before the receipt have arrived now
    assert not [client for client in [*members, *strangers] if client.unread]


@pytest.mark.everywhere
@pytest.mark.requires(Capability.COUNTED_RECEIPTS)
async def test_room_names_that_begin_alike_are_different_rooms(crowd: Crowd, room: str) -> None:
    names = [room, f"{room}-0", f"{room}.0", room.upper(), room[:-1]]
    clients = [await crowd.join(name) for name in names]

    for name, client in zip(names, clients, strict=True):
        await client.say(name, id="1")

    for name, client in zip(names, clients, strict=True):
        await client.expect(name)
        assert await client.receive_json() == receipt("1", delivered=1)


@pytest.mark.everywhere
async def test_many_senders_in_many_rooms_lose_and_repeat_nothing(crowd: Crowd, room: str, connections: int) -> None:
    rooms = [f"{room}-{number}" for number in range(max(2, connections // ROOM_SIZE))]
    members = await asyncio.gather(*(crowd.join_many(name, ROOM_SIZE) for name in rooms))
    expected = {
        name: [f"{name} {sender} {message}" for sender in range(ROOM_SIZE) for message in range(MESSAGES_PER_SENDER)]
        for name in rooms
    }

    await asyncio.gather(
        *(
            speak(client, [f"{name} {sender} {message}" for message in range(MESSAGES_PER_SENDER)])
            for name, clients in zip(rooms, members, strict=True)
            for sender, client in enumerate(clients)
        )
    )

    await asyncio.gather(
        *(
            expect_in_any_order(client, expected[name], within=60 + connections / 5)
            for name, clients in zip(rooms, members, strict=True)
            for client in clients
        )
    )


@pytest.mark.emulator_only
async def test_thousand_sockets_in_one_room(crowd: Crowd, room: str, connections: int, table: ConnectionsTable) -> None:
    size = max(1000, connections)
    members = await crowd.join_many(room, size)
    connection_ids = await table.members(room)
    assert len(connection_ids) == size

    await members[0].say("hello world", id="1")

    await asyncio.gather(*(client.expect("hello world", within=60) for client in members))
    assert await members[0].receive_json() == receipt("1", delivered=size)
    await settle(members)
    assert not [client for client in members if client.unread]

    await asyncio.gather(*(client.close() for client in members))
    await table.expect_nothing_left(room, connection_ids, within=30 + size / 10)


async def speak(client: Client, texts: list[str]) -> None:
    """Send one text after the other without waiting for answers."""
    for text in texts:
        await client.say(text)
