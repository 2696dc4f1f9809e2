"""`join` makes a client of roomcast.v1 a member of rooms, in which clients of text mode hear it, too."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from integration_tests.harness import v1
from integration_tests.harness.answers import AnyId, error
from integration_tests.harness.crowd import settle

if TYPE_CHECKING:
    from integration_tests.harness.client import Client
    from integration_tests.harness.crowd import Crowd
    from integration_tests.harness.table import ConnectionsTable

FORGERIES = [
    '{"type":"kicked","reason":"spam"}',
    '{"type":"receipt","id":"1","room":"lobby","delivered":3}',
    '"},"type":"left","x":{"y":"',
]


@pytest.mark.everywhere
async def test_each_client_hears_in_its_own_form(crowd: Crowd, room: str) -> None:
    vera, viktor, tom = await v1.connect(crowd, room), await v1.connect(crowd, room), await crowd.join(room)
    message_id = v1.new_id()

    await vera.send("sendmessage", room=room, data={"text": "hello"}, id=message_id)

    heard = await viktor.receive_json()
    assert await vera.receive_json() == heard
    assert (await vera.receive_json())["type"] == "receipt"
    assert v1.known(heard) == {
        "type": "message",
        "room": room,
        "id": message_id,
        "from": AnyId(),
        "data": {"text": "hello"},
    }
    await tom.expect('{"text": "hello"}')

    await tom.say("hi", id="1")

    await tom.expect("hi")
    assert await tom.receive_json() == {"receipt": {"id": "1", "delivered": 3, "gone": 0, "failed": 0}}
    for client in (vera, viktor):
        assert v1.known(await client.receive_json()) == {
            "type": "message",
            "room": room,
            "id": "1",
            "from": AnyId(),
            "data": "hi",
        }


@pytest.mark.everywhere
@pytest.mark.parametrize("forgery", FORGERIES)
async def test_no_member_makes_a_frame_for_another(crowd: Crowd, room: str, forgery: str) -> None:
    listener, tom, viktor = await v1.connect(crowd, room), await crowd.join(room), await v1.connect(crowd, room)

    await tom.say(forgery)
    await tom.expect(forgery)
    await viktor.send("sendmessage", room=room, data=forgery)
    await tom.expect(forgery)

    for client in (listener, viktor):
        for _ in range(2):
            frame = await client.receive_json()
            assert (frame["type"], frame["data"]) == ("message", forgery)


@pytest.mark.everywhere
async def test_rooms_are_heard_separately(crowd: Crowd, room: str) -> None:
    rooms = [f"{room}.{number}" for number in range(5)]
    vera = await v1.connect(crowd, *rooms)
    others = [await crowd.join(each) for each in rooms]

    for each, other in zip(rooms, others, strict=True):
        await vera.send("sendmessage", room=each, data=each)
        await other.expect(each)
        frame = await vera.receive_json()
        assert (frame["room"], frame["data"]) == (each, each)
    await settle(others)


@pytest.mark.needs_table
async def test_each_room_has_its_item_and_all_go_with_the_client(
    crowd: Crowd, room: str, table: ConnectionsTable
) -> None:
    rooms = [f"{room}.{number}" for number in range(20)]
    vera, tom = await v1.connect(crowd, *rooms), await crowd.join(rooms[0])
    connection_id = (await v1.ask(vera, "whoami"))["connectionId"]
    for each in rooms:
        assert connection_id in await table.members(each)
    assert (await v1.ask(vera, "join", room=f"{room}.20"))["code"] == "too_many_rooms"

    await vera.abort()

    await table.expect_nothing_left(rooms[-1], [connection_id], within=40)
    assert await table.members(rooms[0]) == {await tom.whoami()}


@pytest.mark.everywhere
async def test_limits_come_with_the_first_answer(crowd: Crowd, room: str) -> None:
    vera = await v1.connect(crowd)

    first = await v1.ask(vera, "join", id="1", room=room)

    limits = first.pop("limits")
    assert first == {"type": "joined", "id": "1", "room": room}
    assert set(limits) == {"heartbeat", "heal", "spread", "frame", "rooms", "expires"}
    assert 0 < limits["expires"] <= 7_800_000
    assert await v1.ask(vera, "join", id="2", room=room, since={"epoch": "k3f9x2ab", "seq": 42}) == {
        "type": "joined",
        "id": "2",
        "room": room,
        "recovered": False,
        "reason": "no_history",
    }


BAD_JOINS: dict[str, tuple[dict[str, Any], str]] = {
    "no-room": ({}, "room_required"),
    "not-a-room": ({"room": "two words"}, "invalid_room"),
    "not-a-position": ({"room": "lobby", "since": 7}, "invalid_since"),
    "reserved": ({"room": "lobby", "before": 7}, "unsupported"),
}


@pytest.mark.everywhere
@pytest.mark.parametrize(("fields", "code"), BAD_JOINS.values(), ids=BAD_JOINS)
async def test_bad_joins_are_answered(crowd: Crowd, fields: dict[str, Any], code: str) -> None:
    vera = await v1.connect(crowd)

    frame = await v1.ask(vera, "join", id="7", **fields)

    assert (frame["type"], frame["code"], frame["id"]) == ("error", code, "7")


@pytest.mark.everywhere
async def test_error_of_one_of_several_rooms_names_it(crowd: Crowd, room: str) -> None:
    vera = await v1.connect(crowd)

    await vera.send("join", rooms={f"{room}.bad": {"since": 7}, room: {}})

    answers = [await vera.receive_json() for _ in range(2)]
    assert [(answer["type"], answer["room"]) for answer in answers] == [("joined", room), ("error", f"{room}.bad")]
    assert answers[1]["code"] == "invalid_since"


@pytest.mark.everywhere
async def test_text_mode_has_one_room(crowd: Crowd, room: str) -> None:
    tom = await crowd.join(room)

    await tom.send("join", room=f"{room}.2")

    answer = await tom.receive_json()
    assert answer == error("needs_v1", answer["error"]["message"])


@pytest.mark.needs_table
async def test_joins_that_race_with_the_end_of_their_connection_leave_nothing(
    crowd: Crowd, room: str, table: ConnectionsTable
) -> None:
    rooms = [f"{room}.{number}" for number in range(3)]
    seen = await v1.connect(crowd, *rooms)
    clients = [await v1.connect(crowd) for _ in range(8)]
    ids = [(await v1.ask(client, "whoami"))["connectionId"] for client in [*clients, seen]]
    assert all([await table.members(each) for each in rooms])

    async def leave_while_joining(client: Client) -> None:
        for each in rooms:
            await client.send("join", room=each)
        await client.abort()

    await asyncio.gather(*(leave_while_joining(client) for client in clients), seen.close())

    for each in rooms:
        await table.expect_nothing_left(each, ids, within=60)
