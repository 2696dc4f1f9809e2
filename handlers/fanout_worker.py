"""The queue worker: serves the tasks of the fan-out queue. It has no route and runs only with queued delivery.

One run of the engine serves all tasks of a batch side by side. Reports tasks that reached no recipient as batch item
failures; SQS redelivers them (https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html). A task
that was served in part is done, and new tasks hold the remaining recipients (``roomcast.batch``).

A member receives a message twice when a worker dies midway or cannot hand over the rest, when a standard queue delivers
a task twice, and when a post was not answered.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from roomcast import backlog, batch, delivery, events, fanout, lane, logs, rooms, settings, tasks
from roomcast.progress import share_reads

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

SETTINGS = settings.from_environment()
ROOMS = rooms.Rooms(SETTINGS)
ENGINE = fanout.Engine(SETTINGS.management_endpoint, SETTINGS.region, pace=SETTINGS.pace, http2=SETTINGS.http2)
DELIVERY = delivery.Delivery(ENGINE, ROOMS)
QUEUE = tasks.Queue(SETTINGS)

HANDOVER_SECONDS = 5.0
"""Time left after the posts, to prune and to hand over the rest: a call to AWS may take 3 s."""

TAKING_RESERVE_SECONDS = 2.0
"""Time left after the last recipient is taken, to finish those taken."""

NUMBER = re.compile("[0-9]{1,39}", re.ASCII)
"""Numbers that SQS gives; the longest are those of 128 bits."""

STRAGGLER_SECONDS = 0.5
"""How long a run waits for its last few recipients: the next batch waits meanwhile. A recipient is tried some four
times within it."""


def handler(event: Mapping[str, Any], context: events.Context) -> dict[str, list[dict[str, str]]]:
    """Lambda's entry point."""
    logs.begin(context.aws_request_id)
    deadline = events.deadline(context)
    jobs, failed = read(events.records_of(event), deadline)
    post_until = deadline - HANDOVER_SECONDS
    worker = batch.Worker(ROOMS, QUEUE, post_until - TAKING_RESERVE_SECONDS, post_until, deadline)
    for parts in batches(jobs, worker):
        failed += serve(parts, worker)
    DELIVERY.prune(deadline)
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def number_of(value: object) -> str:
    """A number that SQS gave, or an empty text."""
    text = str(value)
    return text if NUMBER.fullmatch(text) else ""


def read(records: Sequence[events.Record], deadline: float) -> tuple[list[backlog.Job], list[str]]:
    """Read the queue messages; gives the jobs, and the ids of unreadable messages, which SQS redelivers."""
    jobs: list[backlog.Job] = []
    failed: list[str] = []
    for position, record in enumerate(records):
        attributes = record.attributes
        if not record.id or not record.body or attributes is None:
            logs.write("ERROR", "not a queue message")
            failed.append(record.id)
            continue
        count = number_of(attributes.get("ApproximateReceiveCount"))
        receives = int(count or 1)
        group = events.sound_text(attributes.get("MessageGroupId")) if SETTINGS.queue_is_fifo else ""
        try:
            task = tasks.parse(record.body)
        except ValueError as error:
            names = {"task_id": record.id, "attempt": receives}
            logs.write("ERROR", "not a task", error=str(error), **names)
            if not move_apart(record, group, deadline):
                failed.append(record.id)
                batch.tell_if_given_up(names, receives, 1)
        else:
            key = backlog.key_of(number_of(attributes.get("SequenceNumber")), position)
            jobs.append(backlog.Job(record.id, group, key, receives, task, record.receipt, bool(count)))
    return jobs, failed


def move_apart(record: events.Record, group: str, deadline: float) -> bool:
    """Move an unreadable message into a message group of its own, because it would block its group until given up."""
    unreadable = tasks.Unreadable(record.body, record.id)
    # In its own group it fails until SQS makes it a dead letter.
    is_moved = bool(group) and not group.startswith(":")
    return is_moved and batch.hand_over(QUEUE, [unreadable], record.id, deadline)


def batches(jobs: Sequence[backlog.Job], worker: batch.Worker) -> Iterable[Sequence[batch.Part]]:
    """Split the jobs into parts, and those into runs of the engine."""
    if SETTINGS.queue_is_fifo:
        groups: dict[str, list[backlog.Job]] = {}
        for job in jobs:
            groups.setdefault(job.group, []).append(job)
        return [[part_of(group, worker) for group in groups.values()]]
    # Tasks that a worker may have died of come last.
    again = [job for job in jobs if job.receives > 1]
    return [[batch.Loose(each, worker)] for each in ([job for job in jobs if job.receives == 1], again) if each]


def part_of(jobs: Sequence[backlog.Job], worker: batch.Worker) -> batch.Part:
    """A message group of a FIFO queue: that of a room's shard, that of its stragglers, or another one."""
    first = jobs[0].task
    room, shard = (first.room, first.shard) if isinstance(first, tasks.WakeUp) else (first.message.room, first.shard)
    for kind, suffix in ((backlog.Backlog, ""), (lane.Lane, tasks.LATE)):
        if jobs[0].group == tasks.group_of(room, shard, suffix):
            return batch.Shard(jobs, worker, kind(ROOMS, room, shard))
    return batch.Alone(jobs, worker)


def serve(parts: Sequence[batch.Part], worker: batch.Worker) -> list[str]:
    """Serve parts of the batch side by side; gives the ids of the messages that must be redelivered."""
    begun = [each for part in parts for each in part.begin()]
    share_reads(progress for progress, _ in begun)
    messages = [(progress.logged_as, message) for progress, message in begun]
    results = DELIVERY.deliver_all(messages, worker.post_until, STRAGGLER_SECONDS) if messages else []
    for (progress, _), result in zip(begun, results, strict=True):
        progress.result = result
    has_reached = any(result.report.delivered + result.report.gone for result in results)
    return [message_id for part in parts for message_id in part.end(has_reached=has_reached)]
