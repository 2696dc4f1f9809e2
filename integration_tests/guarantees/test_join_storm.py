"""From the end of its handshake a client misses no message, however many others join at the same moment.

An engine that deletes members on 410 without regard to their age loses live clients here.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from integration_tests.harness.client import Client
    from integration_tests.harness.crowd import Crowd

LAST_MESSAGES = 3


@pytest.mark.everywhere
async def test_every_joiner_receives_an_unbroken_suffix(crowd: Crowd, room: str, connections: int) -> None:
    joiner_count = int(1.5 * connections)
    sender = await crowd.join(room)
    all_joined = asyncio.Event()
    speech = asyncio.create_task(speak_without_pause(sender, all_joined))

    joiners = await crowd.join_many(room, joiner_count)
    all_joined.set()
    sent_at = await speech

    last = len(sent_at) - 1
    received = await asyncio.gather(*(numbers_until_left(client, last) for client in joiners))
    for client, numbers in zip(joiners, received, strict=True):
        assert sorted(numbers) == [*range(min(numbers), last + 1)], f"{client} received {sorted(numbers)} of 0..{last}"
        missed = [number for number in range(min(numbers)) if sent_at[number] > client.connected_at]
        assert not missed, f"{client} had joined when {missed} were sent"


async def speak_without_pause(sender: Client, all_joined: asyncio.Event) -> list[float]:
    """Send 0, 1, 2 ..., each when the one before has come back, until ``LAST_MESSAGES`` after the last join.

    Returns:
        When each number was sent, in seconds of ``time.monotonic()``.
    """
    sent_at: list[float] = []
    remaining = LAST_MESSAGES
    for number in itertools.count():
        sent_at.append(asyncio.get_running_loop().time())
        await sender.say(number)
        await sender.expect(str(number), within=60)
        remaining -= all_joined.is_set()
        if remaining == 0:
            break
    return sent_at


async def numbers_until_left(client: Client, last: int) -> list[int]:
    """Take messages until ``last`` has come, and all since the first one; then leave, and take those that came later.

    A message may overtake the one before it, which its sender has heard before the other members. One that was on its
    way while this client joined is posted again until the connection takes posts, and so may come after all others.
    """
    numbers: list[int] = []
    while last not in numbers or len(numbers) <= last - min(numbers):
        numbers.append(int((await client.receive(within=60)).text))
    await client.close()
    while client.unread:
        numbers.append(int((await client.receive()).text))
    return numbers
