"""Rooms that tell who comes and goes: each client knows who is there, with queued delivery and kept messages."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from typing import TYPE_CHECKING, Any

import pytest

from integration_tests.harness import v1
from integration_tests.harness.crowd import Crowd, settle
from integration_tests.queued_instances import PRESENCE_ROOM
from scripts.waiting import scaled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from integration_tests.harness.client import Client
    from scripts.local.deployment import Deployment

pytestmark = pytest.mark.emulator_only

WINDOW = 1.0
"""Seconds, as the instance has it."""
LATE = 2.0
"""Seconds after the window in which members are told at the latest."""
MEMBERS = 8


class Watcher:
    """A client that keeps the set of those present, and asks where a version is missing.

    Attributes:
        client: Its connection.
        name: Its own name.
        told: How often it was told of changes.
    """

    def __init__(self, client: Client, name: str, room: str, version: int) -> None:
        self.client, self.name, self.room, self.heard = client, name, room, version
        self.version, self.names = -1, set[str]()
        self.told = 0

    async def learn(self, names: set[str], until: float) -> None:
        """Take frames until these are present.

        Args:
            names: Names of the members.
            until: Latest end, in seconds of ``time.monotonic``.
        """
        while self.names != names or self.version < self.heard:
            assert time.monotonic() < until, f"{self.name} knows {self.names} of version {self.version}, not {names}"
            self.take(await self.client.receive_json(within=WINDOW + LATE))
            if self.version < self.heard:
                await self.ask()

    def take(self, frame: dict[str, Any]) -> None:
        """Take one frame; others than those of presence are no matter."""
        if frame["type"] == "members":
            self.version, self.names = frame["version"], {*frame["members"]}
        elif frame["type"] == "presence":
            self.told += 1
            self.heard = max(self.heard, frame["version"])
            if frame["version"] == self.version + 1:
                self.version, self.names = frame["version"], self.names - {*frame["left"]} | {*frame["joined"]}

    def take_what_it_knows(self) -> None:
        """Take the frames of presence that are left, which must not change those present; raises AssertionError."""
        for message in [*self.client.unread]:
            frame = json.loads(message.text)
            if frame["type"] == "presence":
                assert self.names - {*frame["left"]} | {*frame["joined"]} == self.names, f"{self.name} was told {frame}"
                self.client.unread.remove(message)

    async def ask(self) -> None:
        """Ask who is there; frames that come meanwhile are taken."""
        await self.client.send("who", room=self.room)
        while (frame := await self.client.receive_json()).get("type") != "members":
            assert "type" in frame, f"API Gateway itself answered {self.name}: {frame}"
            self.take(frame)
        if "version" in frame and frame["version"] >= self.version:
            self.take(frame)


class Audience(Crowd):
    """Clients of one test, some of them watchers.

    Attributes:
        watchers: Those of :func:`watcher`.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.watchers: list[Watcher] = []

    async def finish(self) -> None:
        """Close every connection; a watcher may still be told what it knows from an answer.

        Raises:
            AssertionError: As of :meth:`Crowd.finish`, or a watcher was told something else.
        """
        await settle(client for client in self.clients if client.is_open)
        for each in self.watchers:
            each.take_what_it_knows()
        await super().finish()


@pytest.fixture
async def crowd(with_queue: Deployment) -> AsyncIterator[Audience]:
    """Clients of the instance with a queue, some rooms of which keep messages and tell who comes and goes."""
    crowd = Audience(with_queue.websocket_url)
    yield crowd
    await crowd.finish()


@pytest.fixture
def room() -> str:
    """A room that no other test uses."""
    return f"{PRESENCE_ROOM}{secrets.token_hex(6)}"


async def watcher(crowd: Audience, room: str) -> Watcher:
    """Connect a client and let it join."""
    client = await crowd.join(subprotocols=[v1.NAME])
    name = (await v1.ask(client, "whoami"))["connectionId"]
    await client.send("join", room=room)
    while (frame := await client.receive_json())["type"] != "joined":
        pass
    found = Watcher(client, name, room, frame["presence"])
    crowd.watchers.append(found)
    return found


async def learn(watchers: Iterable[Watcher], names: set[str]) -> None:
    """Wait until each client knows the members, from a moment on in which changes have stopped."""
    until = time.monotonic() + scaled(WINDOW + LATE)
    await asyncio.gather(*(each.learn(names, until) for each in watchers))


async def test_each_client_knows_who_is_there_after_the_changes(crowd: Audience, room: str) -> None:
    began_at = time.monotonic()
    watchers = [await watcher(crowd, room) for _ in range(MEMBERS)]
    await learn(watchers, {each.name for each in watchers})

    leaving, gone, *staying = watchers
    assert (await v1.ask(leaving.client, "leave", room=room))["type"] == "left"
    await gone.client.close()
    staying.append(await watcher(crowd, room))

    await learn(staying, {each.name for each in staying})
    # One that is late may come right before the next.
    windows = (time.monotonic() - began_at) / WINDOW
    assert max(each.told for each in staying) <= windows + 1, "one frame in a window"


async def test_coming_and_going_within_a_window_is_not_told(crowd: Audience, room: str) -> None:
    vera = await watcher(crowd, room)
    await learn([vera], {vera.name})
    version = vera.version
    viktor = await watcher(crowd, room)
    assert (await v1.ask(viktor.client, "leave", room=room))["type"] == "left"

    # The next change is told after the look at this one.
    anna = await watcher(crowd, room)
    await learn([vera, anna], {vera.name, anna.name})
    assert vera.version == anna.version == version + 1
    pong = await v1.ask(vera.client, "ping", rooms={room: {}})
    assert pong["rooms"][room]["presence"] == vera.version


async def test_messages_are_kept_and_queued_as_before(crowd: Audience, room: str) -> None:
    vera, viktor = await asyncio.gather(*(watcher(crowd, room) for _ in range(2)))
    await learn([vera, viktor], {vera.name, viktor.name})
    await vera.client.send("sendmessage", room=room, data="hello", id=v1.new_id())
    frames = [await vera.client.receive_json() for _ in range(2)]
    assert {frame["type"] for frame in frames} == {"message", "receipt"}
    assert (await viktor.client.receive_json())["data"] == "hello"


async def test_clients_of_text_mode_are_shown_and_are_told_nothing(crowd: Audience, room: str) -> None:
    text = await crowd.join(room)
    vera = await watcher(crowd, room)
    await learn([vera], {vera.name, await text.whoami()})
    await settle([text])
    assert not text.unread
