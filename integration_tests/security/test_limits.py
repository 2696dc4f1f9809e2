"""One client cannot use up the capacity that the members of its room share."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from websockets.exceptions import InvalidStatus

from integration_tests.harness.crowd import Crowd, settle
from integration_tests.security.conftest import MEMBERS, RATE
from integration_tests.security.minting import token
from integration_tests.targets.interface import Capability
from scripts.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from integration_tests.harness.client import Client
    from integration_tests.security.conftest import GuardedBySecret

pytestmark = pytest.mark.emulator_only

FLOOD = 60
BURST_SECONDS = 2
"""A connection may send the messages of so many seconds at once."""


@pytest.fixture
async def limited(guarded_by_secret: GuardedBySecret) -> AsyncIterator[Crowd]:
    """Opens clients of the instance with limits."""
    crowd = Crowd(guarded_by_secret.deployment.websocket_url)
    yield crowd
    await crowd.finish()


async def joined(limited: Crowd, guarded_by_secret: GuardedBySecret, room: str) -> Client:
    return await limited.join(room, headers=[("Authorization", f"Bearer {token(guarded_by_secret.key)}")])


def taken(client: Client) -> Counter[str]:
    """Take all messages of a client that has settled; errors count by their code."""
    texts = [message.text for message in client.unread]
    client.unread.clear()
    return Counter(json.loads(text)["error"]["code"] if text.startswith('{"error"') else text for text in texts)


async def test_flood_is_refused_and_the_others_are_heard(
    limited: Crowd, guarded_by_secret: GuardedBySecret, room: str
) -> None:
    flooder, *talkers = [await joined(limited, guarded_by_secret, room) for _ in range(3)]
    said = [f"talk {number}" for number in range(BURST_SECONDS * RATE * len(talkers))]

    async def flood() -> None:
        for number in range(FLOOD):
            await flooder.say(f"flood {number}")

    async def talk(talker: Client, texts: list[str]) -> None:
        for text in texts:
            await talker.say(text)

    began_at = time.monotonic()
    halves = [said[::2], said[1::2]]
    await asyncio.gather(flood(), *(talk(talker, texts) for talker, texts in zip(talkers, halves, strict=True)))

    async def answered() -> int:
        return sum(message.text.startswith(("flood", '{"error"')) for message in flooder.unread)

    async def heard() -> int:
        return sum(message.text in said for talker in talkers for message in talker.unread)

    await eventually(answered, FLOOD, within=60, what="an answer to each message of the flood")
    allowed = RATE * (BURST_SECONDS + time.monotonic() - began_at)
    await eventually(heard, len(said) * len(talkers), within=60, what="the others' messages")
    await settle([flooder, *talkers])

    at_flooder = taken(flooder)
    refused = at_flooder.pop("rate_limited")
    assert 0 < FLOOD - refused <= allowed
    assert at_flooder.keys() >= set(said)
    assert at_flooder.total() == len(said) + FLOOD - refused
    assert [taken(talker) for talker in talkers] == [at_flooder] * len(talkers)


@pytest.mark.requires(Capability.HANDSHAKE_STATUS)
async def test_full_room_takes_a_member_when_another_has_left(
    limited: Crowd, guarded_by_secret: GuardedBySecret, room: str
) -> None:
    members = [await joined(limited, guarded_by_secret, room) for _ in range(MEMBERS)]

    async def status() -> int:
        try:
            await joined(limited, guarded_by_secret, room)
        except InvalidStatus as refusal:
            return refusal.response.status_code
        return 101

    assert await status() == 429
    await members[0].say("hello world")
    await asyncio.gather(*(member.expect("hello world") for member in members))
    await members[0].close()
    await eventually(status, 101, within=30, what="the place of the member that left")
    assert await status() == 429
