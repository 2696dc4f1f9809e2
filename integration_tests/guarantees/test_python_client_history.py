"""The Python client in rooms that keep messages: nothing is missed and nothing comes twice, and the client knows it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import roomcast_client
from roomcast_client import Last, Open, Recovered, Since

from integration_tests.guarantees.test_python_client import LIFETIME, SCALE, WITHIN, cut, heard, take
from integration_tests.harness.clock import ScaledClock
from scripts.waiting import scaled

if TYPE_CHECKING:
    from scripts.local.deployment import Deployment

pytestmark = pytest.mark.emulator_only
MISSED = 30
TALKERS, ROUNDS = 3, 40


def connect(stage: Deployment, rooms: Any, **options: Any) -> roomcast_client.Client:  # noqa: ANN401 - as of the client
    """Return a client of the instance."""
    return roomcast_client.connect(stage.websocket_url, rooms=rooms, timeout=scaled(WITHIN), **options)


def data_of(messages: list[Any]) -> list[Any]:
    """Return the data of messages."""
    return [message.data for message in messages]


async def test_return_after_a_cut_is_complete(with_history: Deployment, room: str) -> None:
    async with connect(with_history, [room]) as vera, connect(with_history, [room], clock=ScaledClock(SCALE)) as viktor:
        messages, events = viktor.messages(), viktor.events()
        first = await vera.send(room, "first")
        assert first.seq == 1
        assert data_of(await take(messages, 1)) == ["first"]
        cut(viktor)
        for number in range(MISSED):
            await vera.send(room, number)

        assert await heard(events, Recovered) == Recovered(room, complete=True)
        assert data_of(await take(messages, MISSED)) == [*range(MISSED)]
        assert viktor.positions == vera.positions


async def test_last_messages_and_a_position_of_before(with_history: Deployment, room: str) -> None:
    async with connect(with_history, [room]) as vera:
        receipts = [await vera.send(room, number) for number in range(6)]
    assert receipts[1].epoch is not None
    assert receipts[1].seq is not None
    since = Since(receipts[1].epoch, receipts[1].seq)

    async with connect(with_history, {room: Last(3)}) as viktor:
        assert data_of(await take(viktor.messages(), 3)) == [3, 4, 5]
    async with connect(with_history, {room: since}) as walter:
        events = walter.events()
        assert data_of(await take(walter.messages(), 4)) == [2, 3, 4, 5]
        assert await heard(events, Recovered) == Recovered(room, complete=True)
    async with connect(with_history, {room: Since("another", 1)}) as xaver:
        assert await heard(xaver.events(), Recovered) == Recovered(room, complete=False, reason="epoch_changed")


async def test_message_is_stored_once_although_its_connection_is_cut(with_history: Deployment, room: str) -> None:
    async with connect(with_history, [room]) as vera, connect(with_history, [room], clock=ScaledClock(SCALE)) as viktor:
        heard_by_vera, events = vera.messages(), viktor.events()
        receipts = []
        for number in range(5):
            sending = asyncio.ensure_future(viktor.send(room, number))
            await asyncio.sleep(0.01 * number)
            cut(viktor)
            await heard(events, Open)
            async with asyncio.timeout(scaled(WITHIN)):
                receipts.append(await sending)

        assert data_of(await take(heard_by_vera, 5)) == [*range(5)]
        last = await vera.send(room, "last")
        assert last.seq is not None
        assert data_of(await take(heard_by_vera, 1)) == ["last"]
        assert last.seq >= len({receipt.seq for receipt in receipts}) + 1


async def test_rollover_misses_nothing_and_repeats_nothing(with_history: Deployment, room: str) -> None:
    clock = ScaledClock(scaled(SCALE))
    async with (
        connect(with_history, [room]) as talker,
        connect(with_history, [room], lifetime=LIFETIME, clock=clock) as one,
    ):
        messages, events = one.messages(), one.events()
        for number in range(ROUNDS):
            await asyncio.gather(*(talker.send(room, [each, number]) for each in range(TALKERS)))
            await asyncio.sleep(scaled(SCALE))
        found = await take(messages, TALKERS * ROUNDS)
        await one.close()

        assert [message.seq for message in found] == sorted({message.seq for message in found})
        assert sorted(data_of(found)) == sorted([each, number] for each in range(TALKERS) for number in range(ROUNDS))
        names = [type(event).__name__ async for event in events]
        assert "Rolling" in names
        assert not {"Waiting", "Recovered"} & set(names)
