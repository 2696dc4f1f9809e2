"""The miniature stages do as their names say; ``test_verdicts.py`` has the verdicts of load runs on them."""

from __future__ import annotations

import asyncio

import pytest
from websockets.exceptions import InvalidStatus

from integration_tests.harness.client import Client
from integration_tests.harness.crowd import Crowd, settle
from integration_tests.load.tests.miniatures import MINIATURES, miniature


async def test_healthy_stage_delivers_and_acknowledges() -> None:
    with miniature("healthy") as url:
        crowd = Crowd(url)
        a, b, elsewhere = await crowd.join("a"), await crowd.join("a"), await crowd.join("b")
        await a.say("hello", id="1")

        # The stage answers a ping at once, so that a pong may come before a message.
        await a.expect("hello")
        await a.expect('{"receipt":{"id":"1","delivered":2,"gone":0,"failed":0}}')
        await b.expect("hello")
        await settle([a, b, elsewhere])
        assert not [*a.unread, *b.unread, *elsewhere.unread]
        await asyncio.gather(*(client.close() for client in crowd.clients))


async def test_mute_stage_says_nothing() -> None:
    with miniature("mute") as url:
        client = await Client.connect(url, "a")
        await client.say("hello", id="1")
        await client.settle()
        assert not client.unread
        await client.close()


async def test_internal_server_errors_have_the_form_of_api_gateway() -> None:
    with miniature("internal-server-error") as url:
        client = await Client.connect(url, "a")
        await client.say("hello", id="1")
        answer = await client.receive_json()
        assert answer.keys() == {"message", "connectionId", "requestId"}
        await client.close()


async def test_refusing_stage_refuses() -> None:
    with miniature("refuse") as url, pytest.raises(InvalidStatus, match="403"):
        await Client.connect(url, "a")


async def test_hanging_stage_does_not_answer_the_handshake() -> None:
    with miniature("hang") as url, pytest.raises(TimeoutError):
        await Client.connect(url, "a", within=0.2)


@pytest.mark.parametrize("name", sorted(MINIATURES))
def test_every_stage_starts_and_ends(name: str) -> None:
    with miniature(name) as url:
        assert url.startswith("ws://127.0.0.1:")
