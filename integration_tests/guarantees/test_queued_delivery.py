"""Queued delivery: an acknowledged message reaches every member once, even if its worker fails."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from integration_tests.conftest import table_of
from integration_tests.harness import v1
from integration_tests.harness.answers import receipt
from integration_tests.harness.copies import FanOuts
from integration_tests.harness.crowd import Crowd, expect_everywhere, expect_in_any_order, settle
from integration_tests.harness.fanout_queue import FanoutQueue
from integration_tests.harness.table import HOUR_MS, ROOM_PREFIX, unknown_connection_id
from integration_tests.queued_instances import QUEUE_SHARDS
from integration_tests.targets.interface import Capability
from integration_tests.targets.privacy import SECRET
from scripts.waiting import eventually, scaled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from integration_tests.harness.client import Client
    from integration_tests.harness.table import ConnectionsTable
    from integration_tests.targets.interface import Target
    from scripts.local.deployment import Deployment

pytestmark = pytest.mark.emulator_only

RECEIPT_WITHIN = 1.0
"""Seconds from sending to the receipt."""
ROOMS = 3
ROOM_SIZE = 10
MESSAGES_PER_SENDER = 3


@pytest.fixture
def queue(target: Target, with_queue: Deployment) -> FanoutQueue:
    """The queue of an instance with queued delivery."""
    return queue_of(target, with_queue)


@pytest.fixture
def table(target: Target, with_queue: Deployment) -> ConnectionsTable:
    """The connections table of that instance."""
    return table_of(target, with_queue)


@pytest.fixture(scope="session")
async def warm(target: Target, with_queue: Deployment) -> None:
    """Start the function processes with a burst before the tests measure or count.

    On a machine busy with starting them, a send to the queue may time out and be repeated, and a standard queue then
    delivers the task twice. The guarantees allow this copy; these tests examine other causes.
    """
    queue, crowd = queue_of(target, with_queue), Crowd(with_queue.websocket_url)
    members = await crowd.join_many(f"{ROOM_PREFIX}warm-{secrets.token_hex(6)}", ROOM_SIZE)
    await asyncio.gather(*(client.say(f"warm {number}") for client in members for number in range(ROOMS)))
    await eventually(lambda: anybody_has_news(members), True, within=60, what="the first message of a burst")
    await eventually(queue.size, 0, within=60, what="the queue to become empty")
    await asyncio.gather(*(client.close() for client in members))


@pytest.fixture
async def crowd(with_queue: Deployment, queue: FanoutQueue, warm: None) -> AsyncIterator[Crowd]:  # noqa: ARG001 - done
    """Clients of that instance. After each test the queue must drain and no client may hold an unread message."""
    crowd = Crowd(with_queue.websocket_url)
    yield crowd
    await finish(crowd, queue)


async def test_each_client_hears_in_its_own_form(crowd: Crowd, room: str) -> None:
    vera, tom = await v1.connect(crowd, room), await crowd.join(room)
    message_id = v1.new_id()

    await vera.send("sendmessage", room=room, data={"text": "hello"}, id=message_id)

    frames = {frame["type"]: frame for frame in [await vera.receive_json() for _ in range(2)]}
    assert frames["receipt"] == {"type": "receipt", "id": message_id, "room": room, "queued": True}
    assert (frames["message"]["id"], frames["message"]["data"]) == (message_id, {"text": "hello"})
    await tom.expect('{"text": "hello"}')

    await tom.say("hi")

    await tom.expect("hi")
    assert (await vera.receive_json())["data"] == "hi"


async def test_every_member_receives_a_message_once_and_nobody_elsewhere_anything(
    crowd: Crowd,
    room: str,
    connections: int,
    table: ConnectionsTable,
    record_testsuite_property: Callable[[str, object], None],
) -> None:
    members = await crowd.join_many(room, connections)
    strangers = await crowd.join_many(f"{room}-2", 5)
    assert all(await table.members_by_shard(room)), "a shard is empty"
    await strangers[0].say("hello next door")  # starts the functions, so that the measurement excludes it
    await expect_everywhere(strangers, "hello next door")
    said_at = time.monotonic()

    await members[0].say("hello world", id="1")

    told_after = await acknowledged(members[0], "1") - said_at
    patience = 60 + connections / 50
    received = await asyncio.gather(*(client.expect("hello world", within=patience) for client in members))
    reached_after = max(message.received_at for message in received) - said_at
    record_testsuite_property(f"queued message to {connections}: seconds to the receipt", round(told_after, 3))
    record_testsuite_property(f"queued message to {connections}: seconds to the last member", round(reached_after, 3))
    assert told_after < scaled(RECEIPT_WITHIN)


async def test_many_senders_in_many_rooms_lose_and_repeat_nothing(crowd: Crowd, room: str) -> None:
    rooms = {f"{room}-{number}": await crowd.join_many(f"{room}-{number}", ROOM_SIZE) for number in range(ROOMS)}
    texts = [f"{sender} {message}" for sender in range(ROOM_SIZE) for message in range(MESSAGES_PER_SENDER)]

    for text in texts:
        await asyncio.gather(*(members[int(text.split()[0])].say(f"{name} {text}") for name, members in rooms.items()))

    await asyncio.gather(
        *(
            expect_in_any_order(client, [f"{name} {text}" for text in texts], within=60)
            for name, members in rooms.items()
            for client in members
        )
    )


async def test_named_member_is_served_without_the_queue(crowd: Crowd, room: str) -> None:
    sender, named, _ = await crowd.join_many(room, 3)

    await sender.say("psst", to=await named.whoami(), id="1")

    assert await sender.receive_json() == receipt("1", delivered=1)
    await named.expect("psst")


async def test_long_dead_member_goes_with_the_next_message(crowd: Crowd, room: str, table: ConnectionsTable) -> None:
    sender = await crowd.join(room)
    sender_id, dead_id = await sender.whoami(), unknown_connection_id()
    await table.add_member(room, dead_id, age_ms=HOUR_MS)

    await sender.say("anyone else?")

    await sender.expect("anyone else?")
    await eventually(lambda: table.members(room), {sender_id}, within=20)
    await eventually(lambda: table.connections([sender_id, dead_id]), {sender_id}, within=20)


async def test_what_a_worker_cannot_finish_in_its_time_others_finish(
    crowd: Crowd, room: str, queue: FanoutQueue
) -> None:
    """Of its 8 seconds a worker posts for 2, too short for the largest shard at this pace."""
    members = await crowd.join_many(room, 5 * QUEUE_SHARDS)

    with queue.slow_worker(pace=1, timeout=8):
        await members[0].say("one after the other")

        await asyncio.gather(*(client.expect("one after the other", within=60) for client in members))
        await eventually(queue.size, 0, within=30)


@pytest.mark.requires(Capability.DEATHS)
async def test_killed_worker_costs_nobody_the_message_and_only_those_it_had_served_a_second_copy(
    crowd: Crowd, room: str, queue: FanoutQueue, target: Target
) -> None:
    members = await crowd.join_many(room, 40)

    with queue.retried_after(scaled(6)):
        with queue.slow_worker(pace=1):
            await members[0].say("hello world", id="1")
            await acknowledged(members[0], "1")
            await eventually(lambda: anybody_has_news(members), True, within=20, every=0.01)
            assert target.kill(queue.worker)
        await settle(members)
        served = [client for client in members if client.unread]
        assert len(served) < len(members)

        await expect_everywhere(members, "hello world")
        await eventually(queue.size, 0, within=30)
    await settle(members)
    twice = [client for client in members if client.unread]
    assert set(twice) <= set(served)
    for client in twice:
        await client.expect("hello world")


async def test_what_is_no_task_is_given_up_and_delays_nothing(crowd: Crowd, room: str, queue: FanoutQueue) -> None:
    members = await crowd.join_many(room, 2)

    with queue.retried_after(1):
        await queue.put(f"not a task: {SECRET}")
        await eventually(queue.dead_letters, 1, within=30)
    await members[0].say("hello world")

    await expect_everywhere(members, "hello world")


async def test_fifo_queue_keeps_the_order(target: Target, with_fifo_queue: Deployment, room: str) -> None:
    """Every member receives a sender's messages in order; members of one shard receive all senders' in one order.

    A post is repeated if its answer is late, as on a busy machine. Then its message comes twice, and counts as it came
    first.
    """
    assert target.aws is not None
    queue, table = queue_of(target, with_fifo_queue), table_of(target, with_fifo_queue)
    functions = with_fifo_queue.outputs["log_group_names"]["connect"].removesuffix("connect")
    fan_outs = FanOuts(target.aws.logs, functions, time.time())
    crowd = Crowd(with_fifo_queue.websocket_url)
    members = await crowd.join_many(room, 20)
    ids = {await client.whoami(): client for client in members}
    speeches = [[f"{sender} {number}" for number in range(10)] for sender in "abc"]

    await asyncio.gather(*(speak(client, speech) for client, speech in zip(members, speeches, strict=False)))

    heard = {each: await take_different(client, 30) for each, client in ids.items()}
    for texts in heard.values():
        assert [[text for text in texts if text in speech] for speech in speeches] == speeches
    for shard in await table.members_by_shard(room):
        assert len({tuple(heard[each]) for each in shard}) == 1
    await eventually(queue.size, 0, within=30)
    await settle(members)
    copies = sum(heard[each].total() - 30 for each in ids)
    for each, client in ids.items():
        copies += len(client.unread)
        assert {message.text for message in client.unread} <= heard[each].keys()
        client.unread.clear()
    await asyncio.to_thread(fan_outs.read)
    assert copies <= fan_outs.repeats()
    await crowd.finish()


def queue_of(target: Target, deployment: Deployment) -> FanoutQueue:
    """Return the queue of an instance."""
    assert target.aws is not None
    return FanoutQueue(target.aws.sqs, target.aws.functions, deployment.outputs)


async def finish(crowd: Crowd, queue: FanoutQueue) -> None:
    """Wait until the queue is empty; then check that no client holds an unexpected message."""
    await eventually(queue.size, 0, within=30)
    await crowd.finish()


async def acknowledged(sender: Client, message_id: str) -> float:
    """Take the one receipt of a message out of the unread messages, and return its time of arrival."""
    text = f'{{"receipt":{{"id":"{message_id}","queued":true}}}}'

    async def number_of_receipts() -> int:
        return [message.text for message in sender.unread].count(text)

    await eventually(number_of_receipts, 1, within=20, every=0.01)
    message = next(message for message in sender.unread if message.text == text)
    sender.unread.remove(message)
    return message.received_at


async def speak(sender: Client, speech: Iterable[str]) -> None:
    """Send one text after the other, each after the receipt of the one before."""
    for text in speech:
        await sender.say(text, id=text)
        await acknowledged(sender, text)


async def take_different(client: Client, number: int) -> Counter[str]:
    """Take messages until a number of different ones have come; return how often each came, in order of arrival."""
    texts = Counter[str]()
    while len(texts) < number:
        texts[(await client.receive()).text] += 1
    return texts


async def anybody_has_news(clients: Iterable[Client]) -> bool:
    """Tell whether a client has a message that the test has not taken."""
    return any(client.unread for client in clients)
