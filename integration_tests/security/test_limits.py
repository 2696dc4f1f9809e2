"""One client cannot use up the capacity that the members of its room share."""

from __future__ import annotations

import asyncio
import json
import secrets
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
    from integration_tests.targets.interface import Target

pytestmark = pytest.mark.emulator_only

FLOOD = 60
BURST_SECONDS = 2
"""A connection may send the messages of so many seconds at once."""


BURST = 6
"""Handshakes, and messages of each route, that the instance with throttles takes at once."""
TOO_MANY = "Too Many Requests"


@pytest.fixture
async def throttled(target: Target) -> AsyncIterator[Crowd]:
    """Opens clients of an instance that takes few requests."""
    variables = {"throttling_burst_limit": BURST, "throttling_rate_limit": RATE}
    name = f"throttled-{secrets.token_hex(3)}"
    deployment = await asyncio.to_thread(target.deploy_to_stay, name, **variables)
    crowd = Crowd(deployment.websocket_url)
    yield crowd
    await crowd.finish()


@pytest.mark.requires(Capability.HANDSHAKE_STATUS)
async def test_throttles_hold_for_all_clients_together(throttled: Crowd, room: str) -> None:
    """Those who are connected stay, and are served again when the flood is over."""
    first, second = [await throttled.join(room) for _ in range(2)]
    joining = await asyncio.gather(*(throttled.join(room) for _ in range(3 * BURST)), return_exceptions=True)
    refused = [each.response.status_code for each in joining if isinstance(each, InvalidStatus)]
    others = [each for each in joining if not isinstance(each, BaseException)]
    assert len(refused) + len(others) == len(joining)
    assert set(refused) == {429}
    assert others

    async def flood(client: Client) -> None:
        for _ in range(BURST):
            await client.say("flood")

    async def answered() -> int:
        return sum(TOO_MANY in message.text for client in (first, second) for message in client.unread)

    async def was_refused() -> bool:
        return await answered() > 0

    await asyncio.gather(flood(first), flood(second))
    await eventually(was_refused, expected=True, within=60, what="a message that is refused")

    async def is_heard() -> bool:
        """Whether another message comes through; each try takes one of those that the rate allows."""
        await second.say("hello world")
        await second.settle()
        return any(message.text == "hello world" for message in first.unread)

    await eventually(is_heard, expected=True, within=60, every=1 / RATE, what="a message after the flood")
    await settle([first, second, *others])
    for client in (first, second, *others):
        heard = {TOO_MANY if TOO_MANY in message.text else message.text for message in client.unread}
        client.unread.clear()
        assert heard <= {"flood", "hello world", TOO_MANY}


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
