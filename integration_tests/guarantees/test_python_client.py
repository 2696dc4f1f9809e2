"""The Python client against a stage, beside clients of text mode in the same rooms."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import roomcast_client
from roomcast_client import NotAllowed, Open, Recovered, RoomcastError, TooLarge, Waiting

from integration_tests.harness import credentials
from integration_tests.harness.clock import ScaledClock
from integration_tests.targets.interface import Capability
from scripts.waiting import eventually, scaled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from integration_tests.harness.crowd import Crowd
    from integration_tests.targets.interface import Target

WITHIN = 30.0
SCALE = 0.3
"""Real seconds of a client's second, in tests of rollover: 30 s lie between two of them."""
LIFETIME = (31.0, 33.0)
MESSAGES = 60
LARGEST = 131_072

pytestmark = [pytest.mark.everywhere, pytest.mark.requires(Capability.ANY_HANDSHAKE)]


@asynccontextmanager
async def connected(target: Target, rooms: Any, **options: Any) -> AsyncIterator[roomcast_client.Client]:  # noqa: ANN401 - as of the client
    """An open client."""
    url = target.deployment.websocket_url
    async with roomcast_client.connect(url, rooms=rooms, timeout=scaled(WITHIN), **options) as client:
        yield client


async def take(stream: Any, count: int) -> list[Any]:  # noqa: ANN401 - of messages or events
    """Return the next items."""
    async with asyncio.timeout(scaled(WITHIN)):
        return [await anext(stream) for _ in range(count)]


async def heard(stream: Any, kind: type) -> Any:  # noqa: ANN401 - an event
    """Return the next event of a kind."""
    async with asyncio.timeout(scaled(WITHIN)):
        while not isinstance(event := await anext(stream), kind):
            pass
        return event


def cut(client: roomcast_client.Client) -> None:
    """Cut the client's connection, as a network does."""
    socket = client._session._sockets.main  # noqa: SLF001
    assert socket is not None
    socket._connection.transport.abort()  # noqa: SLF001


async def test_it_talks_with_clients_of_text_mode_in_several_rooms(target: Target, crowd: Crowd, room: str) -> None:
    other = f"{room}-2"
    tom = await crowd.join(room)
    async with connected(target, [room, other]) as client, connected(target, [other]) as second:
        messages, others = client.messages(), second.messages()
        receipt = await client.send(room, {"text": "hello"})
        await tom.expect('{"text":"hello"}')
        await tom.say("hi")
        await tom.expect("hi")
        await second.send(other, ["x", None])

        found = [(each.room, each.data, each.own) for each in await take(messages, 3)]
        assert sorted(found, key=str) == sorted(
            [(room, {"text": "hello"}, True), (room, "hi", False), (other, ["x", None], False)], key=str
        )
        assert [each.data for each in await take(others, 1)] == [["x", None]]
        assert receipt.room == room


async def test_messages_of_one_client_keep_their_order(target: Target, room: str) -> None:
    async with connected(target, [room]) as client:
        messages = client.messages()
        await asyncio.gather(*(client.send(room, number) for number in range(30)))

        assert [each.data for each in await take(messages, 30)] == [*range(30)]


async def test_it_comes_back_after_a_cut_and_says_what_it_knows(target: Target, crowd: Crowd, room: str) -> None:
    tom = await crowd.join(room)
    async with connected(target, [room], clock=ScaledClock(SCALE)) as client:
        messages, events = client.messages(), client.events()
        cut(client)
        assert (await heard(events, Waiting)).retry_in >= 0
        sending = asyncio.ensure_future(client.send(room, "after the cut"))
        assert await heard(events, Recovered) == Recovered(room, complete=False, reason="no_history")
        await heard(events, Open)
        await sending
        await tom.expect("after the cut")

        assert [each.data for each in await take(messages, 1)] == ["after the cut"]


async def test_it_replaces_its_sockets_and_misses_nothing(target: Target, crowd: Crowd, room: str) -> None:
    tom = await crowd.join(room)
    async with connected(target, [room], lifetime=LIFETIME, clock=ScaledClock(scaled(SCALE))) as client:
        messages, events = client.messages(), client.events()
        first = client._session._sockets.main  # noqa: SLF001
        for number in range(MESSAGES):
            await tom.say(f"{number}")
            await tom.expect(f"{number}")
            await client.send(room, -number)
            await tom.expect(f"{-number}")
            await asyncio.sleep(scaled(SCALE))
        found = [str(each.data) for each in await take(messages, 2 * MESSAGES)]
        await client.close()

        assert found == [each for number in range(MESSAGES) for each in (f"{number}", f"{-number}")]
        states = [type(event).__name__ async for event in events]
        assert states.count("Rolling") >= 1
        assert set(states) == {"Connecting", "Rolling", "Open", "Closed"}
        assert states.count("Connecting") == 1
        assert first is not None
        assert first.code == 1000


async def test_it_leaves_rooms_and_asks_who_is_there(target: Target, crowd: Crowd, room: str) -> None:
    other = f"{room}-2"
    tom = await crowd.join(room)
    async with connected(target, [other]) as client:
        assert await client.join(room) is None
        assert (await client.who(room)).count == 2
        await client.leave(room)

        async def left() -> str:
            with pytest.raises(NotAllowed) as caught:
                await client.who(room)
            return caught.value.code

        await eventually(left, "not_joined", within=WITHIN, what="the client to leave the room")
        await tom.say("unheard")
        await tom.expect("unheard")
        await client.send(other, "heard")
        assert [each.data for each in await take(client.messages(), 1)] == ["heard"]


async def test_it_keeps_to_the_limits_of_the_stage(target: Target, room: str) -> None:
    async with connected(target, [room]) as client:
        messages = client.messages()
        await client.send(room, "x" * 100_000)
        with pytest.raises(TooLarge):
            await client.send(room, "x" * LARGEST)
        joins = await asyncio.gather(*(client.join(f"{room}-{number}") for number in range(25)), return_exceptions=True)

        assert len((await take(messages, 1))[0].data) == 100_000
        refused = [each for each in joins if isinstance(each, RoomcastError)]
        assert {each.code for each in refused} == {"too_many_rooms"}
        assert len(refused) == 6
        assert len(client.positions) == 20


async def test_token_is_given_with_each_handshake(target: Target, room: str) -> None:
    async def token() -> str | None:
        return os.environ.get(credentials.TOKEN)

    async with connected(target, [room], token=token) as client:
        assert client.state == Open()
