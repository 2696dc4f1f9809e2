"""Not a route: serves the tasks of the fan-out queue, when queued delivery is on.

Reports tasks that reached no recipient as batch item failures; SQS delivers them again
(https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html). A task that was served in part is done,
and what is left of it is a new task. In a FIFO queue, what is left of a shard's task waits in the table together with
the tasks behind it (``roomcast.backlog``): a new task would come after those that are in the queue already.

Members receive a message twice when a worker dies on its way or cannot hand over what is left, when a standard queue
delivers a task twice, and when a post was not answered.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from roomcast import aws_json, backlog, delivery, events, fanout, logs, rooms, settings, tasks

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

SETTINGS = settings.from_environment()
ROOMS = rooms.Rooms(SETTINGS)
ENGINE = fanout.Engine(SETTINGS.management_endpoint, SETTINGS.region, pace=SETTINGS.pace)
DELIVERY = delivery.Delivery(ENGINE, ROOMS)
QUEUE = tasks.Queue(SETTINGS)

HANDOVER_SECONDS = 5.0
"""Kept back from the time for posts, to prune and to hand over what is left: a call to AWS may take 3 s."""

TAKING_RESERVE_SECONDS = 2.0
"""Kept back from the time for taking recipients, to finish with those taken."""

BEGINNING_SECONDS = 1.0
"""With less time left for taking recipients, no further task of the batch is begun."""

STRAGGLER_SECONDS = 0.5
"""How long the first task waits for its last few recipients, and each later one half as long: together less than a
second, for which the members wait that are next. Within it, a recipient is tried some four times."""


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
    """Whether a task is for named recipients, who have made others wait before."""
    return isinstance(job.task, tasks.Task) and bool(job.task.recipients)


def read(records: Sequence[Mapping[str, Any]], deadline: float) -> tuple[list[backlog.Job], list[str]]:
    """Read the queue messages; gives the ids of those that are not to be read as well."""
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
    """Give a message that nobody can read a group of its own, so that nobody waits behind it until it is given up."""
    unreadable = tasks.Unreadable(record["body"], record["messageId"])
    # In its own group it fails until it is a dead letter.
    return bool(group) and not group.startswith(":") and hand_over([unreadable], record["messageId"], deadline)


def tell_if_given_up(message_id: str, receives: int, recipients: int) -> None:
    """Say so when SQS will not deliver a message again but make it a dead letter."""
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
    """Put tasks into the queue, on request one second after the other; false when it did not take all of them."""
    try:
        QUEUE.put(entries, deadline, apart=apart)
    except aws_json.ServiceError as error:
        logs.write("ERROR", "what is left cannot be handed over", error=str(error), message_id=message_id)
        return False
    return True


def serve_each(jobs: Sequence[backlog.Job], invocation: Invocation) -> list[str]:
    """Serve tasks that do not depend on each other; gives the ids of those that must be delivered again."""
    # A worker that died of one of these now could not say so.
    failed = failures([job for job in jobs if job.receives >= tasks.MAXIMUM_RECEIVES])
    jobs = [job for job in jobs if job.receives < tasks.MAXIMUM_RECEIVES]
    again = [job for job in jobs if job.receives > 1]
    if len(again) > 1 and spread(again, invocation.deadline):
        jobs = [job for job in jobs if job not in again]
    # What a worker may have died of comes last.
    return failed + failures([job for job in sorted(jobs, key=tries) if not serve(job, invocation)])


def tries(job: backlog.Job) -> int:
    """How often a task, or what it was made from, has been received."""
    return job.receives + (job.task.retries if isinstance(job.task, tasks.Task) else 0)


def spread(jobs: Sequence[backlog.Job], deadline: float) -> bool:
    """Give tasks that came together a worker each: should it die of one, the others are not given up with it."""
    shares = [job.task._replace(retries=tries(job) - 1) for job in jobs if isinstance(job.task, tasks.Task)]
    return hand_over(shares, jobs[0].message_id, deadline, apart=True)


def failures(jobs: Sequence[backlog.Job]) -> list[str]:
    """Say of which tasks SQS will make dead letters; gives the ids of all."""
    for job in jobs:
        tell_if_given_up(job.message_id, job.receives, len(getattr(job.task, "recipients", ())) or 1)
    return [job.message_id for job in jobs]


def serve(job: backlog.Job, invocation: Invocation) -> bool:
    """Serve a task on its own; false when it must be delivered again as a whole."""
    task = job.task
    if isinstance(task, tasks.WakeUp):
        return True
    retries = tries(job) - 1
    if retries >= tasks.MAXIMUM_RECEIVES:
        # What it was made from was delivered again, too. SQS takes it to the dead letters.
        return False
    left = [task]
    if invocation.may_begin():
        outcome = invocation.serve(task)
        left = outcome.everything_left()
        if outcome.is_stuck:
            return False
        left = [each._replace(retries=retries) for each in left]
    # A task that was not begun: SQS would deliver it again only minutes later, and give it up after some times.
    return hand_over(left, job.message_id, invocation.deadline)


def serve_group(jobs: Sequence[backlog.Job], invocation: Invocation) -> list[str]:
    """Serve a message group of a FIFO queue; gives the ids of the messages that must be delivered again."""
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
    # At least one, in place of the wake-up.
    return failures([job for job in jobs if job.key not in waiting.done] or jobs)


def serve_in_turn(jobs: Sequence[backlog.Job], invocation: Invocation) -> list[str]:
    """Serve the tasks of one straggler; what follows an unserved one waits for it."""
    for number, job in enumerate(jobs):
        if not serve_straggler(job, invocation):
            for each in jobs[number:]:
                if each.receives >= tasks.MAXIMUM_RECEIVES and isinstance(each.task, tasks.Task) and each.task.hold:
                    release(each.task, invocation.deadline)
            return failures(jobs[number:])
    return []


def serve_straggler(job: backlog.Job, invocation: Invocation) -> bool:
    """Serve a task in its turn; false when SQS must deliver it again: a new one would come behind the next ones."""
    task = job.task
    if isinstance(task, tasks.WakeUp):
        return True
    if tries(job) > tasks.MAXIMUM_RECEIVES:
        # What it was made from was delivered again, too. SQS takes it to the dead letters.
        return False
    if not invocation.may_begin():
        # It may never have been tried: rather late, and behind others, than never.
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
        # Its messages go on taking a way of their own.
        logs.write("WARNING", "a straggler stays apart", error=str(error))


class Invocation:
    """What the tasks of one invocation share: its time, and what is known of members.

    Args:
        deadline: When everything must be done, in seconds of ``time.monotonic``.

    Attributes:
        deadline: The same.
        take_until: When to take no further recipient.
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
        """Give the first of some message groups its share of the time."""
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
            held: Ids of members whose messages take a way of their own; ``None`` for those that this invocation has
                not reached.
            room_for: How many further recipients may do so.
        """
        self._is_first = self._has_begun_none = False
        progress = Progress(task, self.take_until, self._apart if held is None else held, self._dead, room_for)
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
            progress.report = DELIVERY.post(task.message, progress, deadline, gone.extend, None, stragglers)
        except fanout.DeliveryInterruptedError as error:
            progress.report = error.report
        if progress.late or progress.silent:
            self._patience /= 2
        self._apart.update(each.connection_id for each in (*progress.late, *progress.silent))
        self._dead.update(gone)
        self._gone.append((task.message, gone))
        return progress

    def prune(self) -> None:
        """Delete dead members, now that nobody waits."""
        until = min(self.deadline, time.monotonic() + delivery.PRUNE_SECONDS)
        for message, gone in self._gone:
            DELIVERY.prune(message, gone, until)


class Progress:
    """The recipients of a task, and how far the worker has come with them.

    Args:
        task: The task.
        stop_at: When to take no further recipient, in seconds of ``time.monotonic``.
        apart: Ids of members that are not to be waited for.
        dead: Members that are known to be dead.
        room_for: How many of those not reached may take a way of their own.

    Attributes:
        late: Recipients for which only time was over.
        silent: Recipients that may have been sent a copy, which was not answered.
        untried: Recipients for whom there was no time: they are not slow themselves.
        report: What became of the others.
    """

    def __init__(
        self,
        task: tasks.Task,
        stop_at: float,
        apart: Container[str] = (),
        dead: Container[fanout.Recipient] = (),
        room_for: int = 0,
    ) -> None:
        self.task = task
        self.stop_at = stop_at
        self.after = task.after
        self.pulled = 0
        self.late: list[fanout.Recipient] = []
        self.silent: list[fanout.Recipient] = []
        self.untried: list[fanout.Recipient] = []
        self.is_complete = False
        self.report = fanout.Report()
        self._apart = () if task.recipients else apart
        self._dead = dead
        self._room_for = room_for
        self._left_out: list[fanout.Recipient] = []

    def __iter__(self) -> Iterator[fanout.Recipient]:
        """Take one recipient after the other while time allows."""
        for recipient in self._recipients():
            if not self.has_time():
                return
            self.pulled += 1
            self.after = recipient.connection_id
            if recipient.connection_id in self._apart:
                self._left_out.append(recipient)
            elif recipient not in self._dead:
                yield recipient
        self.is_complete = True

    def has_time(self) -> bool:
        """Whether another recipient may be taken."""
        return self.stop_at > time.monotonic()

    def _recipients(self) -> Iterable[fanout.Recipient]:
        if self.task.recipients:
            return self.task.recipients
        return ROOMS.members_of_shard(self.task.message.room, self.task.shard, self.stop_at, self.after)

    @property
    def is_stuck(self) -> bool:
        """Whether something is left and nobody was reached, nor may have been."""
        is_left = bool(self.late or self.untried) or not self.is_complete
        return is_left and not (self.report.delivered or self.report.gone or self.silent or self._left_out)

    @property
    def stragglers(self) -> list[tuple[fanout.Recipient, int]]:
        """Recipients to be served on their own, and how many copies each may have been sent."""
        copies = self.task.copies
        apart = [(each, copies) for each in self._left_out]
        if not self.is_stuck and self._are_few():
            apart += [(each, copies) for each in self.late] + [(each, copies + 1) for each in self.silent]
        return apart

    def _are_few(self) -> bool:
        return len(self.late) + len(self.silent) <= self._room_for

    def remaining(self) -> list[tasks.Task]:
        """Tasks for those left who are no stragglers: too many not reached, and those not yet taken."""
        late = [] if self._are_few() else self._named(self.late, 0) + self._named(self.silent, 1)
        return late + self._named(self.untried, 0) + self._untaken()

    def everything_left(self) -> list[tasks.Task]:
        """Tasks for all that are left, where no order is to be kept."""
        return (
            self._named([*self._left_out, *self.late, *self.untried], 0) + self._named(self.silent, 1) + self._untaken()
        )

    def _named(self, recipients: Sequence[fanout.Recipient], copies: int) -> list[tasks.Task]:
        size = tasks.RECIPIENTS_PER_TASK
        parts = [recipients[start : start + size] for start in range(0, len(recipients), size)]
        return [self.task._replace(after="", recipients=part, copies=self.task.copies + copies) for part in parts]

    def _untaken(self) -> list[tasks.Task]:
        if self.is_complete:
            return []
        if self.task.recipients:
            untaken = self.task.recipients[self.pulled :]
            return [self.task._replace(recipients=untaken)] if untaken else []
        return [self.task._replace(after=self.after)]
