"""The queue worker: serves the tasks of the fan-out queue. It has no route and runs only with queued delivery.

Reports tasks that reached no recipient as batch item failures; SQS redelivers them
(https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html). A task that was served in part is done,
and a new task holds the remaining recipients. In a FIFO queue, the rest of a shard's task waits in the table together
with the tasks behind it (``roomcast.backlog``), because a new task would come after those already in the queue.

A member receives a message twice when a worker dies midway or cannot hand over the rest, when a standard queue delivers
a task twice, and when a post was not answered.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from roomcast import aws_json, backlog, delivery, events, fanout, logs, rooms, settings, tasks
from roomcast.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

SETTINGS = settings.from_environment()
ROOMS = rooms.Rooms(SETTINGS)
ENGINE = fanout.Engine(SETTINGS.management_endpoint, SETTINGS.region, pace=SETTINGS.pace)
DELIVERY = delivery.Delivery(ENGINE, ROOMS)
QUEUE = tasks.Queue(SETTINGS)

HANDOVER_SECONDS = 5.0
"""Time left after the posts, to prune and to hand over the rest: a call to AWS may take 3 s."""

TAKING_RESERVE_SECONDS = 2.0
"""Time left after the last recipient is taken, to finish those taken."""

BEGINNING_SECONDS = 1.0
"""With less time left for taking recipients, no further task of the batch is begun."""

STRAGGLER_SECONDS = 0.5
"""How long the first task waits for its last few recipients, and each later one half as long. Together that is less
than a second, because the members of the next tasks wait meanwhile. A recipient is tried some four times within it."""


def handler(event: Mapping[str, Any], context: events.Context) -> dict[str, list[dict[str, str]]]:
    """Lambda's entry point."""
    invocation = Invocation(events.deadline(context))
    jobs, failed = read(event["Records"], invocation.deadline)
    groups: dict[str, list[backlog.Job]] = {}
    for job in sorted(jobs, key=is_named):
        groups.setdefault(job.group, []).append(job)
    for number, group in enumerate(groups.values()):
        if not group[0].group:
            failed += serve_each(group, invocation)
        else:
            invocation.begin_group(len(groups) - number)
            failed += serve_group(group, invocation)
    invocation.prune()
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def is_named(job: backlog.Job) -> bool:
    """Whether a task names its recipients: they have delayed others before, and are served last."""
    return isinstance(job.task, tasks.Task) and bool(job.task.recipients)


def read(records: Sequence[Mapping[str, Any]], deadline: float) -> tuple[list[backlog.Job], list[str]]:
    """Read the queue messages; gives the jobs, and the ids of unreadable messages that must be redelivered."""
    jobs: list[backlog.Job] = []
    failed: list[str] = []
    for position, record in enumerate(records):
        attributes = record["attributes"]
        receives = int(attributes.get("ApproximateReceiveCount", 1))
        group = attributes.get("MessageGroupId", "") if SETTINGS.queue_is_fifo else ""
        try:
            task = tasks.parse(record["body"])
        except ValueError as error:
            logs.write("ERROR", "not a task", error=str(error), message_id=record["messageId"])
            if not move_apart(record, group, deadline):
                failed.append(record["messageId"])
                tell_if_given_up(record["messageId"], receives, 1)
        else:
            key = backlog.key_of(attributes.get("SequenceNumber", ""), position)
            jobs.append(backlog.Job(record["messageId"], group, key, receives, task))
    return jobs, failed


def move_apart(record: Mapping[str, Any], group: str, deadline: float) -> bool:
    """Move an unreadable message into a message group of its own, because it would block its group until given up."""
    unreadable = tasks.Unreadable(record["body"], record["messageId"])
    # In its own group it fails until SQS makes it a dead letter.
    return bool(group) and not group.startswith(":") and hand_over([unreadable], record["messageId"], deadline)


def tell_if_given_up(message_id: str, receives: int, recipients: int) -> None:
    """Log a message that SQS will make a dead letter instead of redelivering it."""
    if receives >= tasks.MAXIMUM_RECEIVES:
        logs.write("ERROR", "a task is given up", message_id=message_id, receives=receives)
        logs.write_metrics("given up", {"given_up": recipients}, message_id=message_id)


def hand_over(
    entries: Sequence[tasks.Task | tasks.WakeUp | tasks.Unreadable],
    message_id: str,
    deadline: float,
    *,
    apart: bool = False,
) -> bool:
    """Put tasks into the queue, with ``apart`` one second after the other; false when it did not take all of them."""
    try:
        QUEUE.put(entries, deadline, apart=apart)
    except aws_json.ServiceError as error:
        logs.write("ERROR", "what is left cannot be handed over", error=str(error), message_id=message_id)
        return False
    return True


def serve_each(jobs: Sequence[backlog.Job], invocation: Invocation) -> list[str]:
    """Serve tasks that do not depend on each other; gives the ids of those that must be redelivered."""
    # This is the last receive: a worker that died of one of these now could not log it.
    failed = failures([job for job in jobs if job.receives >= tasks.MAXIMUM_RECEIVES])
    jobs = [job for job in jobs if job.receives < tasks.MAXIMUM_RECEIVES]
    again = [job for job in jobs if job.receives > 1]
    if len(again) > 1 and spread(again, invocation.deadline):
        jobs = [job for job in jobs if job not in again]
    # Tasks that a worker may have died of come last.
    return failed + failures([job for job in sorted(jobs, key=tries) if not serve(job, invocation)])


def tries(job: backlog.Job) -> int:
    """How often a task, or the task that it was made from, has been received."""
    return job.receives + (job.task.retries if isinstance(job.task, tasks.Task) else 0)


def spread(jobs: Sequence[backlog.Job], deadline: float) -> bool:
    """Give tasks of one batch a worker each: should one kill its worker, the others are not given up with it."""
    shares = [job.task._replace(retries=tries(job) - 1) for job in jobs if isinstance(job.task, tasks.Task)]
    return hand_over(shares, jobs[0].message_id, deadline, apart=True)


def failures(jobs: Sequence[backlog.Job]) -> list[str]:
    """Log the tasks that SQS will make dead letters; gives the ids of all."""
    for job in jobs:
        tell_if_given_up(job.message_id, job.receives, len(getattr(job.task, "recipients", ())) or 1)
    return [job.message_id for job in jobs]


def serve(job: backlog.Job, invocation: Invocation) -> bool:
    """Serve a task on its own; false when it must be redelivered as a whole."""
    task = job.task
    if isinstance(task, tasks.WakeUp):
        return True
    retries = tries(job) - 1
    if retries >= tasks.MAXIMUM_RECEIVES:
        # Redeliveries of the task that it was made from count. SQS makes it a dead letter.
        return False
    left = [task]
    if invocation.may_begin():
        outcome = invocation.serve(task)
        left = outcome.everything_left()
        if outcome.is_stuck:
            return False
        left = [each._replace(retries=retries) for each in left]
    # Also a task that was not begun: SQS would redeliver it only minutes later, and give it up after some times.
    return hand_over(left, job.message_id, invocation.deadline)


def serve_group(jobs: Sequence[backlog.Job], invocation: Invocation) -> list[str]:
    """Serve a message group of a FIFO queue; gives the ids of the messages that must be redelivered."""
    first = jobs[0].task
    room, shard = (first.room, first.shard) if isinstance(first, tasks.WakeUp) else (first.message.room, first.shard)
    if jobs[0].group != tasks.group_of(room, shard):
        return serve_in_turn(jobs, invocation)
    waiting = backlog.Backlog(ROOMS, room, shard)
    is_kept = False
    try:
        waiting.read(jobs, invocation.take_until + TAKING_RESERVE_SECONDS)
        is_moving = waiting.serve(invocation.serve, invocation.may_begin)
        waiting.mark(invocation.deadline)
        if not hand_over(waiting.to_send, jobs[0].message_id, invocation.deadline):
            return failures(jobs)
        waiting.to_send.clear()
        wake_ups = waiting.write(invocation.deadline, is_stuck=not is_moving)
        is_kept = is_moving and hand_over(wake_ups, jobs[0].message_id, invocation.deadline)
    except aws_json.ServiceError as error:
        logs.write("ERROR", "the backlog cannot be kept", error=str(error), message_id=jobs[0].message_id)
        if waiting.to_send:
            return failures(jobs)
    if is_kept:
        return []
    # At least one is redelivered: it takes the place of the wake-up.
    return failures([job for job in jobs if job.key not in waiting.done] or jobs)


def serve_in_turn(jobs: Sequence[backlog.Job], invocation: Invocation) -> list[str]:
    """Serve the tasks of one straggler in order; tasks behind an unserved one wait for it."""
    for number, job in enumerate(jobs):
        if not serve_straggler(job, invocation):
            for each in jobs[number:]:
                if each.receives >= tasks.MAXIMUM_RECEIVES and isinstance(each.task, tasks.Task) and each.task.hold:
                    release(each.task, invocation.deadline)
            return failures(jobs[number:])
    return []


def serve_straggler(job: backlog.Job, invocation: Invocation) -> bool:
    """Serve a task in its turn; false when SQS must redeliver it: a new task would come behind the next ones."""
    task = job.task
    if isinstance(task, tasks.WakeUp):
        return True
    if tries(job) > tasks.MAXIMUM_RECEIVES:
        # Redeliveries of the task that it was made from count. SQS makes it a dead letter.
        return False
    if not invocation.may_begin():
        # It may never have been tried: better late, and behind others, than given up.
        return job.receives >= tasks.MAXIMUM_RECEIVES and hand_over([task], job.message_id, invocation.deadline)
    # The last worker may have sent a copy.
    copies = max(task.copies, min(job.receives - 1, fanout.MAXIMUM_COPIES - 1))
    if invocation.serve(task._replace(copies=copies)).everything_left():
        return False
    if task.hold:
        release(task, invocation.deadline)
    return True


def release(task: tasks.Task, deadline: float) -> None:
    """Let the room's worker serve a straggler again, unless further messages for it are on their way."""
    mark = rooms.Waiting(backlog.HELD + task.recipients[0].connection_id, "", task.hold)
    try:
        ROOMS.change_backlog(task.message.room, task.shard, [], [mark], deadline)
    except aws_json.ServiceError as error:
        # Its messages keep their own message group.
        logs.write("WARNING", "a straggler stays apart", error=str(error))


class Invocation:
    """State shared by the tasks of one invocation: its time, and the members found dead or slow.

    Args:
        deadline: Latest end, in seconds of ``time.monotonic``.

    Attributes:
        deadline: The same.
        take_until: No further recipient is taken after this moment.
    """

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.take_until = deadline - HANDOVER_SECONDS - TAKING_RESERVE_SECONDS
        self._take_until_at_last = self.take_until
        self._patience = STRAGGLER_SECONDS
        self._is_first = True
        self._has_begun_none = True
        self._apart: set[str] = set()
        self._gone: list[tuple[delivery.RoomMessage, list[fanout.Recipient]]] = []
        self._dead: set[fanout.Recipient] = set()

    def begin_group(self, groups: int) -> None:
        """Give the first of the remaining message groups its share of the time."""
        now = time.monotonic()
        share = max(BEGINNING_SECONDS, (self._take_until_at_last - now) / groups)
        self.take_until = min(self._take_until_at_last, now + share)
        self._is_first = True

    def may_begin(self) -> bool:
        """Whether there is time for another task; the first one of an invocation is always begun."""
        needed = BEGINNING_SECONDS / 2 if self._is_first else BEGINNING_SECONDS
        return self._has_begun_none or self.take_until - time.monotonic() >= needed

    def serve(
        self, task: tasks.Task, held: Container[str] | None = None, room_for: int = backlog.MAXIMUM_HELD
    ) -> Progress:
        """Post to the task's recipients for as long as time, and the table, allow.

        Args:
            task: The task.
            held: Ids of members whose messages have a message group of their own; ``None`` for those that this
                invocation has not reached.
            room_for: How many further recipients may get such a group.
        """
        self._is_first = self._has_begun_none = False
        apart = self._apart if held is None else held
        progress = Progress(task, ROOMS, self.take_until, apart, self._dead, room_for)
        gone: list[fanout.Recipient] = []
        stragglers = fanout.Stragglers(
            progress.late.extend,
            progress.silent.extend,
            patience=self._patience if room_for > 0 else None,
            presume_alone=0 < len(task.recipients) <= backlog.MAXIMUM_HELD,
            copies=task.copies,
            on_untried=progress.untried.extend,
        )
        deadline = self.take_until + TAKING_RESERVE_SECONDS
        try:
            progress.report = DELIVERY.post(task.message, progress, deadline, gone.extend, stragglers)
        except fanout.DeliveryInterruptedError as error:
            progress.report = error.report
        if progress.late or progress.silent:
            self._patience /= 2
        self._apart.update(each.connection_id for each in (*progress.late, *progress.silent))
        self._dead.update(gone)
        self._gone.append((task.message, gone))
        return progress

    def prune(self) -> None:
        """Delete dead members, now that no member waits for a post."""
        until = min(self.deadline, time.monotonic() + delivery.PRUNE_SECONDS)
        for message, gone in self._gone:
            DELIVERY.prune(message, gone, until)
