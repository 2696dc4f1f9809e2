"""Not a route: serves the tasks of the fan-out queue, when queued delivery is on.

Returns the tasks that nobody was served by, and Amazon SQS tries those again
(https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html). A task that was served in part is done,
and what is left of it is a new task. Members receive a message twice only when a worker dies on its way or cannot hand
over what is left, or when a standard queue delivers a task twice.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from roomcast import aws_json, delivery, events, fanout, logs, queue, rooms, settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

SETTINGS = settings.from_environment()
ROOMS = rooms.Rooms(SETTINGS)
CONNECTIONS = fanout.Engine(SETTINGS.management_endpoint, SETTINGS.region, pace=SETTINGS.pace)
DELIVERY = delivery.Delivery(CONNECTIONS, ROOMS)
QUEUE = queue.Queue(SETTINGS)

HANDOVER_SECONDS = 5.0
"""Kept back from the time for posts, to hand over what is left."""

TAKING_RESERVE_SECONDS = 2.0
"""Kept back from the time for taking recipients, to finish with those taken."""

BEGINNING_SECONDS = 1.0
"""With less time left for taking recipients, no further task of the batch is begun."""


def handler(event: Mapping[str, Any], context: events.Context) -> dict[str, list[dict[str, str]]]:
    """Lambda's entry point."""
    deadline = events.deadline(context)
    unserved: list[str] = []
    halted: set[str] = set()
    for number, record in enumerate(event["Records"]):
        # Only in a FIFO queue is a message in a group. What comes after an unserved task of its group must wait for it.
        group = record["attributes"].get("MessageGroupId", "")
        if group in halted or not serve(record, deadline, is_first=number == 0):
            unserved.append(record["messageId"])
            if group:
                halted.add(group)
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in unserved]}


def serve(record: Mapping[str, Any], deadline: float, *, is_first: bool) -> bool:
    """Serve a task; false when it must be tried again as a whole."""
    try:
        task = queue.parse(record["body"])
    except ValueError as error:
        logs.write("ERROR", "not a task", error=str(error), message_id=record["messageId"])
        return False
    progress = Progress(task, deadline - HANDOVER_SECONDS - TAKING_RESERVE_SECONDS)
    if is_first or progress.seconds_left() >= BEGINNING_SECONDS:
        report = deliver(task, progress, deadline - HANDOVER_SECONDS)
        remaining = progress.remaining()
        if remaining and not report.delivered + report.gone:
            return False
    elif SETTINGS.queue_is_fifo:
        return False  # handed over, it would come after what follows it
    else:
        # Those before it took all the time. SQS would try it again only minutes later, and give it up after some times.
        remaining = [task]
    try:
        QUEUE.put(remaining, deadline)
    except aws_json.ServiceError as error:
        logs.write("ERROR", "what is left cannot be handed over", error=str(error), message_id=record["messageId"])
        return False
    return True


def deliver(task: queue.Task, progress: Progress, deadline: float) -> fanout.Report:
    """Post to the task's recipients for as long as time, and the table, allow."""
    try:
        return DELIVERY.deliver(task.fan_out, progress, deadline, progress.failed.extend)
    except fanout.DeliveryInterruptedError as error:
        return error.report


class Progress:
    """The recipients of a task, and how far the worker has come with them.

    Args:
        task: The task.
        stop_at: When to take no further recipient, in seconds of ``time.monotonic``.
    """

    def __init__(self, task: queue.Task, stop_at: float) -> None:
        self.task = task
        self.stop_at = stop_at
        self.after = task.after
        self.pulled = 0
        self.failed: list[fanout.Recipient] = []
        self.is_complete = False

    def __iter__(self) -> Iterator[fanout.Recipient]:
        """Take one recipient after the other while time allows."""
        for recipient in self._recipients():
            if not self.has_time():
                return
            self.pulled += 1
            self.after = recipient.connection_id
            yield recipient
        self.is_complete = True

    def has_time(self) -> bool:
        """Whether another recipient may be taken."""
        return self.seconds_left() > 0

    def seconds_left(self) -> float:
        """For how long recipients may be taken."""
        return self.stop_at - time.monotonic()

    def _recipients(self) -> Iterable[fanout.Recipient]:
        if self.task.recipients:
            return self.task.recipients
        return ROOMS.members_of_shard(self.task.fan_out.room, self.task.shard, self.stop_at, self.after)

    def remaining(self) -> list[queue.Task]:
        """Tasks for what is left: the recipients not reached, and those not yet taken."""
        size = queue.RECIPIENTS_PER_TASK
        left = [self.failed[start : start + size] for start in range(0, len(self.failed), size)]
        tasks = [self.task._replace(after="", recipients=recipients) for recipients in left]
        if self.task.recipients:
            untaken = self.task.recipients[self.pulled :]
            tasks += [self.task._replace(recipients=untaken)] if untaken else []
        elif not self.is_complete:
            tasks.append(self.task._replace(after=self.after))
        return tasks
