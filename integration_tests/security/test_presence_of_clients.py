"""Presence goes by identity: a second connection is no other client, and members without the right are told nothing."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING

import pytest
import roomcast_client
from roomcast_client import Presence

from integration_tests.harness import v1
from integration_tests.harness.crowd import settle
from integration_tests.security.conftest import PRESENCE_ROOM
from scripts.waiting import eventually

if TYPE_CHECKING:
    from integration_tests.harness.crowd import Crowd
    from integration_tests.security.conftest import Guarded

pytestmark = pytest.mark.emulator_only

WITHIN = 3.0
"""Seconds after a change in which members know of it: the window and two more."""


async def test_clients_know_each_other_by_identity(guarded: Guarded, admitted: Crowd) -> None:
    room = f"{PRESENCE_ROOM}{secrets.token_hex(6)}"

    def client_of(name: str) -> roomcast_client.Client:
        async def token() -> str:
            return guarded.token(sub=name, rooms={room: ["join", "presence"]})

        return roomcast_client.connect(guarded.url, rooms=[room], token=token)

    headers = [("Authorization", f"Bearer {guarded.token(sub='bob', rooms=[room])}")]
    bob = await admitted.join(subprotocols=[v1.NAME], headers=headers)
    joined = await v1.ask(bob, "join", room=room)
    async with client_of("alice") as alice:
        told: list[Presence] = []

        async def listen() -> None:
            async for event in alice.events():
                if isinstance(event, Presence):
                    told.append(event)  # noqa: PERF401 - the list is read meanwhile

        async def told_of() -> set[str]:
            names = set[str]()
            for each in told:
                names = names.union(each.joined).difference(each.left)
            return names

        listener = asyncio.create_task(listen())
        await eventually(told_of, {"alice", "bob"}, within=WITHIN, what="the listener to be told of both")
        count = len(told)
        async with client_of("alice") as again:
            await known(again, room, {"alice", "bob"})
        async with client_of("carol") as carol:
            await known(carol, room, {"alice", "bob", "carol"})
            await known(alice, room, {"alice", "bob", "carol"})
        await eventually(told_of, {"alice", "bob"}, within=WITHIN, what="the listener to be told that carol left")
        listener.cancel()

    changes = [(each.joined, each.left) for each in told[count:]]
    assert changes == [(("carol",), ()), ((), ("carol",))]
    await settle([bob])
    assert "presence" not in joined
    assert not bob.unread


async def known(client: roomcast_client.Client, room: str, names: set[str]) -> None:
    """Wait until a client knows these members."""

    async def present() -> frozenset[str]:
        return client.present.get(room) or frozenset()

    await eventually(present, frozenset(names), within=WITHIN, what="the members to be known")
