"""Clients that talk in rooms and connect anew whenever they hear nothing, while objects of the stage are replaced."""

from __future__ import annotations

import asyncio
import json
import time
from collections import defaultdict
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from websockets.exceptions import ConnectionClosed, InvalidHandshake

from integration_tests.harness.client import Client
from scripts.waiting import eventually, scaled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping

    from integration_tests.harness.client import Message

TALKERS = 20
ROOMS = 4
PAUSE = 2.0
"""Seconds between two messages of one client: twice as many of 20 clients leave two cores little time for Terraform."""
PATIENCE = 5.0
"""Seconds after which a client that hears nothing connects anew."""
HANDSHAKE_PATIENCE = 10.0
"""Seconds after which a client tries another handshake: an authorizer may start first."""
HANDSHAKES_AT_ONCE = 4
"""Limit of handshakes under way. A process starts for each call of a function under way, and when all clients connect
anew, a busy machine would start processes until the first clients have lost their patience."""
LONGEST_GAP = 60.0
"""Seconds that a client may try in vain while an object is replaced, as terraform/README.md promises."""
LONGEST_GAP_OF_A_QUEUE = 120.0
"""The same for a queue: SQS gives its name again only 60 s after the deletion, see DeleteQueue."""


@dataclass
class Said:
    """One message that its sender heard and that was acknowledged.

    Attributes:
        text: The message.
        said_at: When it was sent, in seconds of ``time.monotonic()``.
        acknowledged_at: When receipt and message had come back.
    """

    text: str
    said_at: float
    acknowledged_at: float


@dataclass
class Stay:
    """The messages that one connection sent and received.

    Attributes:
        room: The room.
        said: Its acknowledged messages, in order.
        heard: Each text that arrived.
        receipts: Ids of the messages that reached every member, or are safe in the queue.
    """

    room: str
    said: list[Said] = field(default_factory=list)
    heard: set[str] = field(default_factory=set)
    receipts: set[str] = field(default_factory=set)

    def take(self, message: Message) -> None:
        """Note one message that arrived."""
        self.heard.add(message.text)
        if message.text.startswith('{"receipt"'):
            receipt = json.loads(message.text)["receipt"]
            if receipt.get("queued") or not receipt["failed"]:
                self.receipts.add(receipt["id"])


def missed(stays: Iterable[Stay]) -> list[str]:
    """Return a line for each acknowledged message that a member of its room did not hear.

    A connection is certainly a member from its first acknowledged message until it sends its last one.
    """
    rooms = defaultdict(list)
    for stay in stays:
        if stay.said:
            rooms[stay.room].append(stay)
    return [
        f"{room}: {message.text} did not reach a member that spoke before and after it"
        for room, members in rooms.items()
        for sender in members
        for message in sender.said
        for member in members
        if member.said[0].acknowledged_at <= message.said_at
        and message.acknowledged_at <= member.said[-1].said_at
        and message.text not in member.heard
    ]


@dataclass
class Talker:
    """One client that speaks again and again.

    Attributes:
        url: The stage.
        room: Where it talks.
        stays: Its connections so far.
        within: Longest time that it may try in vain, in seconds; scaled by ``TIMEOUT_FACTOR``.
        gate: Lets it begin a handshake.
        headers: Further headers of its handshakes.
        gap: Longest time without an acknowledged message, in seconds.
    """

    url: str
    room: str
    within: float
    gate: asyncio.Semaphore
    headers: Mapping[str, str] = field(default_factory=dict)
    stays: list[Stay] = field(default_factory=list)
    gap: float = 0.0
    _since: float = 0.0

    async def talk_until(self, end: asyncio.Event) -> None:
        """Go on until told to end, and until one message more is acknowledged.

        Raises:
            AssertionError: Nothing was acknowledged for too long.
        """
        self._since = time.monotonic()
        done = False
        while not done:
            try:
                done = await self._stay_until(end)
            except (AssertionError, ConnectionClosed, InvalidHandshake, OSError) as error:
                if time.monotonic() - self._since > scaled(self.within):
                    raise AssertionError(f"nothing works any more in {self.room}") from error

    async def _stay_until(self, end: asyncio.Event) -> bool:
        """Stay connected while messages are acknowledged; return True once one is that was sent after the end."""
        stay = Stay(self.room)
        self.stays.append(stay)
        async with self.gate:
            client = await Client.connect(
                self.url, self.room, headers=self.headers, on_message=stay.take, within=HANDSHAKE_PATIENCE
            )
        try:
            while True:
                is_last = end.is_set()
                await self._speak(client, stay)
                if is_last:
                    return True
                await asyncio.sleep(PAUSE)
        finally:
            await client.close()

    async def _speak(self, client: Client, stay: Stay) -> None:
        said_at = time.monotonic()
        text = f"{id(self)}-{said_at}"
        await client.say(text, id=text)

        async def is_acknowledged() -> bool:
            return not client.is_open or (text in stay.heard and text in stay.receipts)

        await eventually(is_acknowledged, expected=True, within=PATIENCE, what=f"a receipt in {self.room}")
        assert client.is_open, "the connection was closed"
        now = time.monotonic()
        stay.said.append(Said(text, said_at, now))
        self.gap = max(self.gap, now - self._since)
        self._since = now


class Crowd:
    """The talkers of one replacement.

    Args:
        url: The stage.
        within: Longest time that one of them may try in vain, in seconds; scaled by ``TIMEOUT_FACTOR``.
        headers: Further headers of their handshakes.
    """

    def __init__(self, url: str, within: float, headers: Mapping[str, str]) -> None:
        gate = asyncio.Semaphore(HANDSHAKES_AT_ONCE)
        self.talkers = [Talker(url, f"replaced-{seat % ROOMS}", within, gate, headers) for seat in range(TALKERS)]

    @property
    def gap(self) -> float:
        """Longest time that any of them waited for an acknowledgement, in seconds."""
        return max(talker.gap for talker in self.talkers)

    def move_to(self, url: str) -> None:
        """Let later connections go to another stage."""
        for talker in self.talkers:
            talker.url = url

    def check(self, *, may_lose: bool = False) -> None:
        """Check that no acknowledged message was missed.

        Args:
            may_lose: Whether messages may have been lost that waited in a queue.

        Raises:
            AssertionError: One was, or nothing was said.
        """
        stays = [stay for talker in self.talkers for stay in talker.stays]
        lost = missed(stays)
        assert may_lose or not lost, f"{len(lost)} deliveries are missing: " + "; ".join(lost[:5])
        said = sum(len(stay.said) for stay in stays)
        assert said >= 2 * TALKERS, f"only {said} messages were acknowledged, so nothing is proved"
        print(f"{said} acknowledged messages on {len(stays)} connections, longest gap {self.gap:.1f} s")


@asynccontextmanager
async def crowd(
    url: str, within: float = LONGEST_GAP, *, may_lose: bool = False, headers: Mapping[str, str] | None = None
) -> AsyncIterator[Crowd]:
    """Let the talkers talk for the length of the context, from the first acknowledged message of each.

    Args:
        url: The stage.
        within: Longest time that one of them may try in vain, in seconds; scaled by ``TIMEOUT_FACTOR``.
        may_lose: Whether messages may be lost that wait in a queue.
        headers: Further headers of the handshakes.

    Raises:
        AssertionError: A talker heard nothing for too long, or missed an acknowledged message.
    """
    talkers = Crowd(url, within, headers or {})
    end = asyncio.Event()

    async def all_heard() -> bool:
        return all(talker.gap for talker in talkers.talkers)

    async with asyncio.TaskGroup() as group:
        for talker in talkers.talkers:
            group.create_task(talker.talk_until(end))
        try:
            await eventually(all_heard, expected=True, within=LONGEST_GAP, what="the first words of all talkers")
            yield talkers
        finally:
            end.set()
    talkers.check(may_lose=may_lose)
