"""Rooms that keep messages: a client that returns misses nothing, receives nothing twice, and is told so."""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import TYPE_CHECKING, Any

import pytest

from integration_tests.harness import v1
from integration_tests.harness.crowd import Crowd, settle
from integration_tests.queued_instances import LOGGED_ROOM
from scripts.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from integration_tests.harness.client import Client
    from integration_tests.targets.interface import Target
    from scripts.local.deployment import Deployment

pytestmark = pytest.mark.emulator_only


@pytest.fixture
async def crowd(with_history: Deployment) -> AsyncIterator[Crowd]:
    """Clients of the instance whose rooms keep messages."""
    crowd = Crowd(with_history.websocket_url)
    yield crowd
    await crowd.finish()


async def connected(crowd: Crowd, room: str, **ask: Any) -> tuple[Client, list[dict[str, Any]]]:  # noqa: ANN401 - JSON
    """Connect a client that joins a room; return it with the frames up to the answer."""
    client = await crowd.join(subprotocols=[v1.NAME])
    await client.send("join", room=room, **ask)
    frames = [await client.receive_json()]
    while frames[-1]["type"] != "joined":
        frames.append(await client.receive_json())
    return client, frames


async def say(client: Client, room: str, *texts: str) -> None:
    """Send messages one after the other, and take the client's own copies and receipts."""
    for text in texts:
        await client.send("sendmessage", room=room, data=text, id=v1.new_id())
        assert (await client.receive_json())["data"] == text
        assert (await client.receive_json())["type"] == "receipt"


def numbers(frames: Sequence[dict[str, Any]]) -> list[int]:
    """Return the numbers of replayed messages and voids."""
    return [each["seq"] for frame in frames if frame["type"] == "messages" for each in frame["messages"]]


def position(joined: dict[str, Any]) -> dict[str, Any]:
    """Return the position that an answer gives."""
    return {"epoch": joined["epoch"], "seq": joined["seq"]}


async def test_a_client_that_returns_receives_what_it_missed(crowd: Crowd, room: str) -> None:
    vera, [joined] = await connected(crowd, room)
    viktor, _ = await connected(crowd, room)
    await say(vera, room, "one")
    assert (await viktor.receive_json())["seq"] == 1
    await viktor.close()
    await say(vera, room, "two", "three")

    again, frames = await connected(crowd, room, since={**position(joined), "seq": 1})

    assert [each["data"] for each in frames[0]["messages"]] == ["two", "three"]
    assert numbers(frames) == [2, 3]
    assert (frames[-1]["recovered"], frames[-1]["seq"], frames[-1]["head"]) == (True, 3, 3)
    await say(vera, room, "four")
    assert (await again.receive_json())["seq"] == 4


async def test_the_last_messages_come_before_the_first_answer(crowd: Crowd, room: str) -> None:
    vera, _ = await connected(crowd, room)
    await say(vera, room, *"abcde")
    _, frames = await connected(crowd, room, last=2)
    assert [each["data"] for each in frames[0]["messages"]] == ["d", "e"]
    assert "recovered" not in frames[-1]


async def test_large_replays_come_in_frames_that_fit(crowd: Crowd, room: str) -> None:
    vera, [joined] = await connected(crowd, room)
    texts = [f"{number}" + "x" * 28_000 for number in range(8)]
    await say(vera, room, *texts)
    _, frames = await connected(crowd, room, since=position(joined))
    assert len(frames) == 3
    assert [each["data"] for frame in frames[:-1] for each in frame["messages"]] == texts


async def test_text_clients_hear_and_speak_as_ever(crowd: Crowd, room: str) -> None:
    vera, _ = await connected(crowd, room)
    tom = await crowd.join(room)
    await vera.send("sendmessage", room=room, data="hello")
    await tom.expect("hello")
    await vera.receive_json()
    await tom.say("hi", id="label")
    await tom.expect("hi")
    assert await tom.receive_json() == {"receipt": {"id": "label", "delivered": 2, "gone": 0, "failed": 0}}
    assert (await vera.receive_json())["seq"] == 2


async def test_a_message_that_is_sent_again_arrives_once(crowd: Crowd, room: str) -> None:
    vera, _ = await connected(crowd, room)
    viktor, _ = await connected(crowd, room)
    message_id = v1.new_id()
    await vera.send("sendmessage", room=room, data="hello", id=message_id)
    seen, receipt = await vera.receive_json(), await vera.receive_json()
    assert (seen["seq"], receipt["seq"]) == (1, 1)

    again, _ = await connected(crowd, room)
    duplicate = await v1.ask(again, "sendmessage", room=room, data="hello", id=message_id)
    reused = await v1.ask(again, "sendmessage", room=room, data="other", id=message_id)

    number = {"epoch": seen["epoch"], "seq": 1}
    assert duplicate == {"type": "receipt", "id": message_id, "room": room, **number, "duplicate": True}
    assert reused["code"] == "id_reused"
    assert await viktor.receive_json() == seen
    await settle([vera, viktor, again])


async def test_tries_at_the_same_moment_store_one_message(crowd: Crowd, room: str) -> None:
    clients = [(await connected(crowd, room))[0] for _ in range(4)]
    message_id = v1.new_id()
    await asyncio.gather(*(each.send("sendmessage", room=room, data="hello", id=message_id) for each in clients))

    async def receipts() -> int:
        return sum('"receipt"' in message.text for each in clients for message in each.unread)

    await eventually(receipts, 4, within=30)
    await settle(clients)
    found = [json.loads(message.text) for each in clients for message in each.unread]
    for each in clients:
        each.unread.clear()
    assert len({frame["seq"] for frame in found}) == 1
    assert [frame["type"] for frame in found].count("message") == 4


async def test_senders_at_the_same_moment_leave_no_gap(crowd: Crowd, room: str) -> None:
    clients = [(await connected(crowd, room))[0] for _ in range(5)]
    await asyncio.gather(
        *(each.send("sendmessage", room=room, data=f"{number}") for number in range(4) for each in clients)
    )
    for each in clients:
        frames = [await each.receive_json() for _ in range(20)]
        assert sorted(frame["seq"] for frame in frames) == [*range(1, 21)]


async def test_ping_says_how_far_the_room_is(crowd: Crowd, room: str) -> None:
    vera, [joined] = await connected(crowd, room)
    await say(vera, room, "one")
    pong = await v1.ask(vera, "ping", rooms={room: position(joined)})
    assert pong["rooms"] == {room: {"epoch": joined["epoch"], "seq": 1}}


async def test_expired_messages_are_not_recovered(
    crowd: Crowd, room: str, target: Target, with_history: Deployment
) -> None:
    vera, [joined] = await connected(crowd, room)
    await say(vera, room, "one", "two", "three")
    log = HistoryTable(target, with_history)
    await asyncio.to_thread(log.age, room, joined["epoch"], 3, hours=5)
    await asyncio.to_thread(log.delete, room, joined["epoch"], 1)

    _, frames = await connected(crowd, room, since=position(joined))
    assert [frame["type"] for frame in frames] == ["joined"]
    assert (frames[0]["recovered"], frames[0]["reason"], frames[0]["seq"]) == (False, "too_old", 3)

    _, frames = await connected(crowd, room, since={**position(joined), "seq": 1})
    assert (frames[-1]["recovered"], numbers(frames)) == (True, [2, 3])


async def test_a_number_whose_sender_died_is_sealed(
    crowd: Crowd, room: str, target: Target, with_history: Deployment
) -> None:
    vera, [joined] = await connected(crowd, room)
    await say(vera, room, "one")
    await asyncio.to_thread(HistoryTable(target, with_history).take, room)
    await say(vera, room, "three")

    async def settled() -> dict[str, Any]:
        await vera.send("join", room=room, since=position(joined))
        frames = [await vera.receive_json()]
        while frames[-1]["type"] != "joined":
            frames.append(await vera.receive_json())
        return {"seq": frames[-1]["seq"], "recovered": frames[-1]["recovered"], "numbers": numbers(frames)}

    await eventually(settled, {"seq": 3, "recovered": True, "numbers": [1, 2, 3]}, within=20)


class HistoryTable:
    """The history table of an instance, written where a test needs a state that no client can bring about."""

    def __init__(self, target: Target, deployment: Deployment) -> None:
        assert target.aws is not None
        self._dynamodb = target.aws.dynamodb
        self._name = deployment.outputs["history_table_name"]

    def delete(self, room: str, epoch: str, seq: int) -> None:
        """Delete a message, as time to live does."""
        self._dynamodb.delete_item(TableName=self._name, Key=self._slot(room, epoch, seq))

    def age(self, room: str, epoch: str, last: int, hours: int) -> None:
        """Let a room's messages and its head seem older."""
        keys = [self._slot(room, epoch, seq) for seq in range(1, last + 1)]
        self._older(keys, "SET #at = #at - :ms, previous = previous - :ms", hours)
        head = {"partition_key": {"S": f"head#{room}"}, "sort_key": {"S": "head"}}
        change = "SET #at = #at - :ms, previous = previous - :ms, created_at = created_at - :ms"
        self._older([head], change, hours)

    def take(self, room: str) -> None:
        """Give out a number, as for a sender that dies then."""
        self._dynamodb.update_item(
            TableName=self._name,
            Key={"partition_key": {"S": f"head#{room}"}, "sort_key": {"S": "head"}},
            UpdateExpression="SET seq = seq + :one, previous = #at",
            ExpressionAttributeNames={"#at": "at"},
            ExpressionAttributeValues={":one": {"N": "1"}},
        )

    def _older(self, keys: Sequence[dict[str, Any]], change: str, hours: int) -> None:
        for key in keys:
            self._dynamodb.update_item(
                TableName=self._name,
                Key=key,
                UpdateExpression=change,
                ExpressionAttributeNames={"#at": "at"},
                ExpressionAttributeValues={":ms": {"N": str(hours * 3_600_000)}},
            )

    @staticmethod
    def _slot(room: str, epoch: str, seq: int) -> dict[str, Any]:
        return {"partition_key": {"S": f"log#{room}#{epoch}"}, "sort_key": {"S": f"{seq:016}"}}


async def test_queued_messages_have_their_numbers(with_queue: Deployment) -> None:
    """The sender numbers and stores; workers deliver afterwards, also to clients of text mode."""
    crowd, room = Crowd(with_queue.websocket_url), f"{LOGGED_ROOM}{secrets.token_hex(4)}"
    vera, [joined] = await connected(crowd, room)
    tom = await crowd.join(room)
    message_id = v1.new_id()
    await vera.send("sendmessage", room=room, data="hello", id=message_id)
    frames = sorted([await vera.receive_json(), await vera.receive_json()], key=lambda frame: str(frame["type"]))
    number = {"epoch": joined["epoch"], "seq": 1}
    assert frames[1] == {"type": "receipt", "id": message_id, "room": room, **number, "queued": True}
    assert {name: frames[0][name] for name in number} == number
    await tom.expect("hello")
    duplicate = await v1.ask(vera, "sendmessage", room=room, data="hello", id=message_id)
    assert duplicate["duplicate"]
    await crowd.finish()
