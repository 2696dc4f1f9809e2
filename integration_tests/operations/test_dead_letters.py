"""Tasks that were given up: ``roomcast dead-letters`` tells of them and hands them to the workers again."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from roomcast import logs

from integration_tests.harness.client import Client
from integration_tests.harness.fanout_queue import FanoutQueue
from integration_tests.harness.operators import variables
from scripts.tests.command_line import of_json, run
from scripts.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from integration_tests.targets.interface import Target
    from scripts.local.deployment import Deployment

pytestmark = pytest.mark.emulator_only


@contextmanager
def idle(queue: FanoutQueue) -> Iterator[None]:
    """Keep the workers from the queue while the context lasts."""
    [mapping] = queue.functions.list_event_source_mappings(
        EventSourceArn=queue.sqs.get_queue_attributes(QueueUrl=queue.url, AttributeNames=["QueueArn"])["Attributes"][
            "QueueArn"
        ]
    )["EventSourceMappings"]
    queue.functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    try:
        yield
    finally:
        queue.functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)


async def test_a_message_that_was_given_up_reaches_its_room_after_all(
    target: Target, with_queue: Deployment, room: str
) -> None:
    assert target.aws is not None
    queue = FanoutQueue(target.aws.sqs, target.aws.functions, with_queue.outputs)
    operator = variables(target.aws, with_queue.outputs)
    queue.sqs.purge_queue(QueueUrl=with_queue.outputs["fanout_dead_letter_queue_url"])  # of other tests' letters
    client = await Client.connect(with_queue.websocket_url, room)
    try:
        with idle(queue):
            await client.say("hello world", id="1")
            assert (await client.receive_json())["receipt"]["id"] == "1"

            async def given_up() -> bool:
                await asyncio.to_thread(queue.sqs.receive_message, QueueUrl=queue.url, VisibilityTimeout=0)
                return await queue.dead_letters() == 1

            await eventually(given_up, True, within=30, every=0.01)
        assert not client.unread
        status, found = await asyncio.to_thread(of_json, "dead-letters", **operator)
        assert (status, found["number"]) == (1, 1)
        assert found["letters"][0]["room"] == logs.room_hash(with_queue.outputs["connections_table_name"], room)

        status, _, told = await asyncio.to_thread(run, "dead-letters", "--redrive", "--yes", **operator)

        assert (status, told) == (0, "1 message is handed to the workers again\n")
        await client.expect("hello world")
        assert (await asyncio.to_thread(of_json, "dead-letters", **operator))[0] == 0
    finally:
        await client.close()
