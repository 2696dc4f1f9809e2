"""Queued delivery: messages handed to workers through Amazon SQS.

A message becomes one queue message per shard of its room, so that shards are served side by side. Recipients that a
worker did not reach become a queue message of their own, so that no recipient is served again.

A queue message is a JSON object with ``v`` and ``kind``, or the list ``[fan-out, shard, after, recipients]``, which
earlier releases write. Readers ignore unknown fields of an object and further members of a list.
"""

from __future__ import annotations

import binascii
import itertools
import json
import os
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from roomcast import aws_json, frames, protocol
from roomcast.delivery import RoomMessage
from roomcast.protocol import TEXT
from roomcast.recipients import Recipient

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from roomcast.settings import Settings

MAXIMUM_BATCH_BYTES = 262_144
"""Size limit of one message of this queue; every SQS queue takes a batch of that size."""

MAXIMUM_BATCH_ENTRIES = 10
"""https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html"""

MAXIMUM_RECEIVES = 5
"""After so many receives SQS makes a message a dead letter: ``max_receive_count`` of the module ``fanout-queue``."""

MAXIMUM_ROUNDS = 5
"""A standard queue hands a straggler's task back so often: with the delays, a client that does not read for half a
minute still receives it. Then it is given up."""

MAXIMUM_DELAY_SECONDS = 16
"""Longest delay of a straggler's task. It is doubled with each round, from 1 s: most pauses of a client are short."""

PUT_SECONDS = 8.0
"""Time limit of a put before it is tried again. Too short a limit makes duplicates, because a standard queue delivers a
message twice that it took twice. ``sendmessage`` must have time for a second try."""

RECIPIENTS_PER_TASK = 1000
"""This many named recipients fit into one queue message beside the largest text."""

VERSION = 1
"""Version of the objects. It rises when a reader that ignores unknown fields would do harm."""


GIVEN_UP_SECONDS = 300
"""So long a given-up task is refused until SQS makes it a dead letter: its five receives take half a minute, or minutes
when no delay can be set. Later receives are those of an operator who moved it back."""

MAXIMUM_COUNT = 1_000_000
"""Above every count in a task; delays are powers of one."""


class UnknownVersionError(ValueError):
    """The queue message was written by a later release."""


class Task(NamedTuple):
    """A worker's share of a fan-out.

    Attributes:
        message: The message.
        shard: Which of the room's partitions to serve.
        after: Serve only members with connection ids that sort after this one; empty for all.
        recipients: Serve these instead of reading the shard; empty to read it.
        copies: How many copies of the message the recipients may have been sent, without an answer.
        retries: Redeliveries of the tasks that this one was made from.
        hold: In a FIFO queue, its number among the tasks for the shard's stragglers; 0 if it is for others.
        rounds: How many workers of a standard queue have tried the recipients, who are stragglers then.
        since: When the stragglers' lane got it, on the lane's clock (``lane``).
        given_up: When it was given up, in seconds since 1970; 0 for never.
    """

    message: RoomMessage
    shard: int
    after: str = ""
    recipients: Sequence[Recipient] = ()
    copies: int = 0
    retries: int = 0
    hold: int = 0
    rounds: int = 0
    since: int = 0
    given_up: int = 0

    def to_json(self) -> str:
        """The body of a queue message.

        The text goes as Base64: SQS does not take every character, and escapes could make it six times as long.
        """
        message = self.message
        data = binascii.b2a_base64(message.data.encode(), newline=False).decode()
        fields: dict[str, Any] = {
            "fan_out": [message.room, message.sender, data, message.request_id],
            "envelope": message.envelope and _fields_of(message.envelope),
            **self._asdict(),
            "recipients": [each[:3] if each.protocol == protocol.TEXT else each for each in self.recipients],
        }
        del fields["message"]
        fields["taken_at"] = message.taken_at
        # Earlier releases want a shard.
        wanted = {name: value for name, value in fields.items() if value or name == "shard"}
        return _json({"v": VERSION, "kind": "task", **wanted})

    @property
    def delay(self) -> int:
        """Seconds that it waits in a standard queue before a worker gets it."""
        return min(2 ** (self.rounds - 1), MAXIMUM_DELAY_SECONDS) if self.rounds else 0

    @property
    def group(self) -> str:
        """Its message group in a FIFO queue: members of a shard receive the room's messages in order.

        Named recipients are stragglers. Those of a shard share a group, for which the room does not wait.
        """
        return group_of(self.message.room, self.shard, LATE if self.recipients else "")

    @property
    def is_for_stragglers(self) -> bool:
        """Whether its recipients are members that others did not wait for."""
        return bool(self.hold or self.rounds)

    @property
    def is_given_up(self) -> bool:
        """Whether it is on its way to the dead letters."""
        return time.time() < self.given_up + GIVEN_UP_SECONDS


class WakeUp(NamedTuple):
    """Makes a worker serve the backlog of a shard; harmless where there is none.

    Attributes:
        room: Name of the room.
        shard: Number of the partition.
        stamp: Tells one wake-up of the stragglers' lane from the next one; 0 for the room's backlog.
        delay: In how many seconds it is due.
    """

    room: str
    shard: int
    stamp: int = 0
    delay: int = 0

    def to_json(self) -> str:
        """The body of a queue message."""
        lane = {"stamp": self.stamp, "delay": self.delay} if self.stamp else {}
        return _json({"v": VERSION, "kind": "wake-up", "room": self.room, "shard": self.shard, **lane})

    @property
    def is_for_stragglers(self) -> bool:
        """Whether it is for their lane."""
        return bool(self.stamp)

    @property
    def group(self) -> str:
        """The message group that it wakes, or one of its own until it is due: a message that waits blocks its group."""
        if self.delay:
            return group_of(self.room, self.shard, f"{TIMER}{_digest(str(self.stamp))}")
        return group_of(self.room, self.shard, LATE if self.stamp else "")


class Unreadable(NamedTuple):
    """An unreadable queue message, moved into a message group of its own, where it blocks no other until given up.

    Attributes:
        body: Its body, unchanged: a later release may read it.
        message_id: Id that SQS gave it.
    """

    body: str
    message_id: str

    def to_json(self) -> str:
        """The body of a queue message."""
        return self.body

    @property
    def group(self) -> str:
        """A message group of its own."""
        return f":{_digest(self.message_id)}"


LATE = ":late"
"""Ends the name of a message group for a shard's stragglers. Names of rooms hold no colon."""

TIMER = ":timer-"
"""The same, before a digest, for a wake-up that is not due yet."""


def group_of(room: str, shard: int, suffix: str = "") -> str:
    """The message group of a room's shard, or one that belongs to it."""
    return f"{room}.{shard}{suffix}"


def parse(body: str) -> Task | WakeUp:
    """Read the body of a queue message.

    Raises:
        UnknownVersionError: A later release has written it.
        ValueError: It is not one that ``to_json`` has written.
    """
    try:
        value = json.loads(body)
        if not isinstance(value, dict):
            message, shard, after, recipients, *_ = value
            return _task(message, shard, after, recipients)
        return _from_object(value)
    except UnknownVersionError:
        raise
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        # The error repeats nothing of the body: it is logged, and messages of clients must not be.
        raise ValueError("the queue message holds no task") from error


def _from_object(value: dict[str, Any]) -> Task | WakeUp:
    if value["v"] != VERSION or value["kind"] not in {"task", "wake-up"}:
        raise UnknownVersionError("the queue message is of an unknown version or kind")
    if value["kind"] == "wake-up":
        delay = min(_count(value.get("delay", 0)), MAXIMUM_DELAY_SECONDS)
        return WakeUp(_room(value["room"]), _count(value["shard"]), int(value.get("stamp", 0)), delay)
    task = _task(value["fan_out"], value["shard"], value.get("after", ""), value.get("recipients", []))
    if "envelope" in value:
        task = task._replace(message=task.message._replace(envelope=_envelope(value["envelope"])))
    if "taken_at" in value:
        task = task._replace(message=task.message._replace(taken_at=int(value["taken_at"])))
    copies, retries, rounds = (_count(value.get(name, 0)) for name in ("copies", "retries", "rounds"))
    hold, since, given_up = (int(value.get(name, 0)) for name in ("hold", "since", "given_up"))
    return task._replace(copies=copies, retries=retries, hold=hold, rounds=rounds, since=since, given_up=given_up)


def _task(message: Sequence[object], shard: int | str, after: object, recipients: Sequence[Sequence[Any]]) -> Task:
    # A later release may append fields.
    room, sender, data, request_id, *_ = message
    text = binascii.a2b_base64(_text(data)).decode()
    named = [_recipient(*each) for each in recipients]
    message = RoomMessage(_room(room), _text(sender), text, _text(request_id))
    return Task(message, _count(shard), _text(after), named)


def _recipient(connection_id: object, at: int | str, shard: int | str, spoken: object = TEXT, *_: object) -> Recipient:
    # A later release may append fields.
    return Recipient(_text(connection_id), int(at), _count(shard), _text(spoken))


def _fields_of(envelope: frames.Envelope) -> dict[str, Any]:
    """The fields of an envelope; a message that is not kept has no number, and one of a client no mark of backends."""
    optional = {"epoch", "seq", "is_backend"}
    return {name: value for name, value in envelope._asdict().items() if value or name not in optional}


def _envelope(value: Mapping[str, Any]) -> frames.Envelope:
    return frames.Envelope(
        _text(value["sender"]),
        int(value["at"]),
        _text(value["mid"]),
        _text(value.get("id", "")),
        value.get("is_text") is not False,
        value.get("is_direct") is True,
        _text(value.get("epoch", "")),
        int(value.get("seq", 0)),
        value.get("is_backend") is True,
    )


def _text(value: object) -> str:
    text = str(value)
    text.encode()  # UnicodeEncodeError is a ValueError
    return text


def _room(value: object) -> str:
    if not isinstance(value, str) or not protocol.ROOM_NAME.fullmatch(value):
        raise ValueError("not a room")
    return value


def _count(value: int | str) -> int:
    number = int(value)
    if not 0 <= number <= MAXIMUM_COUNT:
        raise ValueError("not a count")
    return number


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _digest(text: str) -> str:
    # Short, as group names are limited to 128 characters; after a collision two recipients share a message group.
    return f"{binascii.crc32(text.encode()):08x}"


class Queue:
    """The fan-out queue.

    Args:
        settings: Queue URL, kind of queue, endpoint and Region.
    """

    def __init__(self, settings: Settings) -> None:
        self._service = aws_json.Service(
            settings.sqs_endpoint, "sqs", "AmazonSQS", settings.region, attempt_seconds=PUT_SECONDS
        )
        self._url = settings.queue_url
        self._is_fifo = settings.queue_is_fifo

    def put(self, tasks: Sequence[Task | WakeUp | Unreadable], deadline: float, *, apart: bool = False) -> None:
        """Hand tasks to the workers, in order.

        Args:
            tasks: The tasks.
            deadline: Latest end, in seconds of ``time.monotonic``.
            apart: Whether workers get them one second after the other, for which a queue must not be FIFO.

        Raises:
            aws_json.ServiceError: Not all tasks were taken by the deadline.
        """
        entries = [self._entry(index, task) for index, task in enumerate(tasks)]
        if apart:
            entries = [{**entry, "DelaySeconds": second} for second, entry in enumerate(entries)]
        largest = max((len(entry["MessageBody"].encode()) for entry in entries), default=1)
        size = min(MAXIMUM_BATCH_ENTRIES, max(1, MAXIMUM_BATCH_BYTES // largest))
        for batch in _batches(entries, size):
            self._put_batch(batch, deadline)

    def postpone(self, receipts: Sequence[str], seconds: int, deadline: float) -> None:
        """Let messages that this worker has received become visible again.

        Args:
            receipts: Handles of the receives, at most ten.
            seconds: In how many seconds.
            deadline: Latest end, in seconds of ``time.monotonic``.

        Raises:
            aws_json.ServiceError: The queue did not answer by the deadline, or refused one of them.
        """
        entries = [
            {"Id": str(index), "ReceiptHandle": receipt, "VisibilityTimeout": seconds}
            for index, receipt in enumerate(receipts)
        ]
        operation = "ChangeMessageVisibilityBatch"
        answer = self._service.call(operation, {"QueueUrl": self._url, "Entries": entries}, deadline)
        for failure in answer.get("Failed", []):
            raise aws_json.ServiceError(operation, failure["Code"], {}, transient=False)

    def _entry(self, index: int, task: Task | WakeUp | Unreadable) -> dict[str, Any]:
        entry: dict[str, Any] = {"Id": str(index), "MessageBody": task.to_json()}
        if self._is_fifo:
            entry["MessageGroupId"] = task.group
            # Random, because two equal messages are two messages.
            entry["MessageDeduplicationId"] = os.urandom(16).hex()
        elif isinstance(task, Task) and task.delay:
            entry["DelaySeconds"] = task.delay
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


def _batches(entries: Sequence[dict[str, Any]], size: int) -> Iterator[list[dict[str, Any]]]:
    """Yield the entries in batches of up to so many, none with two entries of one message group.

    When the queue takes only some of a batch, the others are put again, and would come after later ones of their group.
    """
    batch: dict[str, dict[str, Any]] = {}
    for entry in entries:
        group = entry.get("MessageGroupId", entry["Id"])
        if group in batch or len(batch) == size:
            yield [*batch.values()]
            batch = {}
        batch[group] = entry
    if batch:
        yield [*batch.values()]
