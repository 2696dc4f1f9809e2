"""Queued delivery: messages handed to workers through Amazon SQS.

A message becomes one queue message per shard of its room, so that shards are served side by side. What a worker could
not finish becomes a queue message of its own: nobody who has been served is served again.
"""

from __future__ import annotations

import binascii
import itertools
import json
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from roomcast import aws_json
from roomcast.delivery import FanOut
from roomcast.fanout import Recipient

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roomcast.settings import Settings

MAXIMUM_BATCH_BYTES = 262_144
"""What the queue takes as one message, and so does every SQS as one batch."""

MAXIMUM_BATCH_ENTRIES = 10
"""https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html"""

RECIPIENTS_PER_TASK = 1000
"""This many named recipients fit into one queue message beside the largest text."""


class Task(NamedTuple):
    """A worker's share of a fan-out.

    Attributes:
        fan_out: The message.
        shard: Which of the room's partitions to serve.
        after: Serve only members whose connection id sorts after this one; empty for all.
        recipients: Serve these instead of reading the shard; empty to read it.
    """

    fan_out: FanOut
    shard: int
    after: str = ""
    recipients: Sequence[Recipient] = ()

    def to_json(self) -> str:
        """The body of a queue message.

        The text goes as Base64: SQS does not take every character, and escapes could make it six times as long.
        """
        data = binascii.b2a_base64(self.fan_out.data.encode(), newline=False).decode()
        fan_out = self.fan_out._replace(data=data)
        return json.dumps([fan_out, self.shard, self.after, self.recipients], separators=(",", ":"))


def parse(body: str) -> Task:
    """Read the body of a queue message.

    Raises:
        ValueError: It is not one that ``Task.to_json`` has written.
    """
    try:
        fields, shard, after, recipients = json.loads(body)
        fan_out = FanOut(*fields)
        fan_out = fan_out._replace(data=binascii.a2b_base64(fan_out.data).decode())
        return Task(fan_out, int(shard), str(after), [Recipient(*each) for each in recipients])
    except (TypeError, ValueError) as error:
        # In words that repeat nothing of it: they are logged, and what clients say is not.
        raise ValueError("the queue message holds no task") from error


class Queue:
    """The fan-out queue.

    Args:
        settings: Queue URL, kind of queue, endpoint and Region.
    """

    def __init__(self, settings: Settings) -> None:
        self._service = aws_json.Service(settings.sqs_endpoint, "sqs", "AmazonSQS", settings.region)
        self._url = settings.queue_url
        self._is_fifo = settings.queue_is_fifo

    def put(self, tasks: Sequence[Task], deadline: float) -> None:
        """Hand tasks to the workers.

        Args:
            tasks: Tasks of one fan-out.
            deadline: Latest end, in seconds of ``time.monotonic``.

        Raises:
            aws_json.ServiceError: Not all tasks were taken by the deadline.
        """
        entries = [self._entry(index, task) for index, task in enumerate(tasks)]
        largest = max((len(entry["MessageBody"]) for entry in entries), default=1)
        size = min(MAXIMUM_BATCH_ENTRIES, max(1, MAXIMUM_BATCH_BYTES // largest))
        for start in range(0, len(entries), size):
            self._put_batch(entries[start : start + size], deadline)

    def _entry(self, index: int, task: Task) -> dict[str, Any]:
        entry = {"Id": str(index), "MessageBody": task.to_json()}
        if self._is_fifo:
            # One group per shard: its members receive the room's messages in the order in which SQS took them.
            entry["MessageGroupId"] = f"{task.fan_out.room}.{task.shard}"
            entry["MessageDeduplicationId"] = os.urandom(16).hex()
        return entry

    def _put_batch(self, entries: Sequence[dict[str, Any]], deadline: float) -> None:
        for attempt in itertools.count(1):
            answer = self._service.call("SendMessageBatch", {"QueueUrl": self._url, "Entries": entries}, deadline)
            failed = {failure["Id"]: failure for failure in answer.get("Failed", [])}
            if not failed:
                return
            refused = any(failure["SenderFault"] for failure in failed.values())
            if refused or not aws_json.pause(attempt, deadline):
                code = next(iter(failed.values()))["Code"]
                raise aws_json.ServiceError("SendMessageBatch", code, {}, transient=False)
            entries = [entry for entry in entries if entry["Id"] in failed]
