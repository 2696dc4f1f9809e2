"""The parts of a worker's batch: which tasks are served now, and where the remaining recipients go.

In a standard queue, stragglers go back to the queue as a task with a delay. In a FIFO queue a new task would come after
those already in the queue, so the rest of a shard's task waits in the table together with the tasks behind it
(``backlog``), and stragglers have a lane of their own (``lane``).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple, Protocol

from roomcast import aws_json, backlog, emptying, logs, rooms, tasks
from roomcast.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from roomcast import fanout

POSTPONE_SECONDS = 1.0
"""Time limit for setting a delay. Without it the queue redelivers later, and the next batch waits meanwhile."""


class Worker(NamedTuple):
    """The means and the time of one invocation.

    Attributes:
        table: The connections table.
        queue: The fan-out queue.
        take_until: No further recipient is taken after this moment, in seconds of ``time.monotonic``.
        post_until: Nor is a post sent after this one.
        deadline: Latest end.
    """

    table: rooms.Rooms
    queue: tasks.Queue
    take_until: float
    post_until: float
    deadline: float


class Part(Protocol):
    """Queue messages that are served together."""

    def begin(self) -> list[tuple[Progress, fanout.Message]]:
        """The tasks to be served now."""

    def end(self, *, has_reached: bool) -> list[str]:
        """Keep the recipients that are left; gives the ids of the messages that must be redelivered.

        Args:
            has_reached: Whether the run has reached a recipient of any task: then those not reached have trouble of
                their own.
        """


class Loose:
    """Tasks that do not depend on each other.

    Args:
        jobs: The queue messages.
        worker: The invocation.
    """

    def __init__(self, jobs: Sequence[backlog.Job], worker: Worker) -> None:
        self._jobs = jobs
        self._worker = worker
        self._served: list[tuple[backlog.Job, Progress]] = []
        self._failed: list[backlog.Job] = []

    def begin(self) -> list[tuple[Progress, fanout.Message]]:
        """As of ``Part``."""
        jobs = [job for job in self._jobs if isinstance(job.task, tasks.Task)]
        # On the last receive, a worker that died of it could not log it. Redeliveries of the task that it was made from
        # count as well.
        self._failed = [job for job in jobs if max(job.receives, tries(job) - 1) >= tasks.MAXIMUM_RECEIVES]
        jobs = [job for job in jobs if job not in self._failed]
        if len(jobs) > 1 and jobs[0].receives > 1 and self._spread(jobs):
            return []
        for job in jobs:
            assert isinstance(job.task, tasks.Task)
            progress = Progress(job.task, self._worker.table, self._worker.take_until, about=about(job))
            self._served.append((job, progress))
        return [(progress, progress.message()) for _, progress in self._served]

    def _spread(self, jobs: Sequence[backlog.Job]) -> bool:
        """Give redelivered tasks a worker each: should one kill its worker, the others are not given up with it."""
        shares = [job.task._replace(retries=tries(job) - 1) for job in jobs if isinstance(job.task, tasks.Task)]
        return hand_over(self._worker.queue, shares, jobs[0].message_id, self._worker.deadline, apart=True)

    def end(self, *, has_reached: bool) -> list[str]:
        """As of ``Part``."""
        left = [job for job, each in self._served if not self._keep(job, each, has_reached)]
        wake_ups = [(job, job.task) for job in self._jobs if isinstance(job.task, tasks.WakeUp)]
        return failures(self._failed + left + [job for job, wake_up in wake_ups if not self._empty(job, wake_up)])

    def _empty(self, job: backlog.Job, wake_up: tasks.WakeUp) -> bool:
        """Serve the backlog of an earlier FIFO queue; false when the wake-up must be redelivered."""
        try:
            emptying.empty(self._worker.table, self._worker.queue, wake_up, self._worker.deadline)
        except aws_json.ServiceError as error:
            aws_json.tell("ERROR", "the backlog cannot be emptied", error, **about(job))
            return False
        return True

    def _keep(self, job: backlog.Job, progress: Progress, has_reached: bool) -> bool:
        """Hand over the recipients left; false when the task must be redelivered as a whole."""
        # Refusals that no retry changes are no trouble of single members: the task is a dead letter in the end.
        is_general = progress.refused or not (has_reached or progress.task.rounds)
        if progress.is_stuck and progress.is_begun and is_general:
            return False
        # Also a task that was not begun: SQS would redeliver it only minutes later, and give it up after some times.
        left = [each._replace(retries=tries(job) - 1) for each in progress.everything_left()]
        return hand_over(self._worker.queue, left, job.message_id, self._worker.deadline)


class Shard:
    """The message group of a room's shard in a FIFO queue, or of its stragglers, and its backlog.

    Args:
        jobs: The queue messages.
        worker: The invocation.
        waiting: The backlog.
    """

    def __init__(self, jobs: Sequence[backlog.Job], worker: Worker, waiting: backlog.Backlog) -> None:
        self._jobs = jobs
        self._worker = worker
        self._waiting = waiting
        self._served: list[Progress] = []
        self._is_read = False

    def begin(self) -> list[tuple[Progress, fanout.Message]]:
        """As of ``Part``."""
        worker, waiting = self._worker, self._waiting
        try:
            waiting.read(self._jobs, worker.post_until)
        except aws_json.ServiceError as error:
            self._tell(error)
            return []
        self._is_read = True
        self._served = [
            Progress(task, worker.table, worker.take_until, waiting.held, self._about(task)) for task in waiting.due()
        ]
        group = self._jobs[0].group
        return [(progress, progress.message(group, waiting.room_for)) for progress in self._served]

    def end(self, *, has_reached: bool) -> list[str]:
        """As of ``Part``."""
        if not self._is_read:
            return failures(self._jobs)
        is_moving = self._waiting.settle(self._served)
        try:
            is_kept = self._keep(is_moving=is_moving)
        except aws_json.ServiceError as error:
            self._tell(error)
            is_kept = False
        if is_kept:
            return []
        if self._waiting.to_send:
            return failures(self._jobs)
        # At least one is redelivered: it takes the place of the wake-up.
        failed = [job for job in self._jobs if job.key not in self._waiting.done] or self._jobs
        if has_reached and not is_moving:
            postpone(failed, self._worker)
        return failures(failed)

    def _keep(self, *, is_moving: bool) -> bool:
        """Hand over and write the recipients that are left; false when a message must be redelivered."""
        waiting, queue, deadline = self._waiting, self._worker.queue, self._worker.deadline
        message_id = self._jobs[0].message_id
        waiting.mark(deadline)
        if not hand_over(queue, waiting.to_send, message_id, deadline):
            return False
        waiting.to_send.clear()
        wake_ups = waiting.write(deadline, is_stuck=not is_moving)
        if not (is_moving and hand_over(queue, wake_ups, message_id, deadline)):
            return False
        try:
            waiting.release(deadline)
        except aws_json.ServiceError as error:
            # Their messages go through the lane until the next one is served there.
            aws_json.tell("WARNING", "stragglers stay apart", error, task_id=message_id)
        return True

    def _about(self, task: tasks.Task) -> dict[str, object]:
        """Fields of a task's log line: those of its queue message, or of the one that had it served from the table."""
        own = (job for job in self._jobs if isinstance(job.task, tasks.Task) and job.task.message is task.message)
        return about(next(own, self._jobs[0]))

    def _tell(self, error: aws_json.ServiceError) -> None:
        aws_json.tell("ERROR", "the backlog cannot be kept", error, **about(self._jobs[0]))


class Alone:
    """Messages in a group where they hold up nothing: each is moved on, or given up.

    Args:
        jobs: The queue messages.
        worker: The invocation.
    """

    def __init__(self, jobs: Sequence[backlog.Job], worker: Worker) -> None:
        self._jobs = jobs
        self._worker = worker

    def begin(self) -> list[tuple[Progress, fanout.Message]]:
        """As of ``Part``."""
        return []

    def end(self, *, has_reached: bool) -> list[str]:
        """As of ``Part``."""
        del has_reached
        for number, job in enumerate(self._jobs):
            if not self._move(job):
                failed = self._jobs[number:]
                postpone(failed, self._worker)
                return failures(failed)
        return []

    def _move(self, job: backlog.Job) -> bool:
        """Put a message into the group where it is served; false when it is not due, or given up."""
        task = job.task
        if isinstance(task, tasks.WakeUp):
            is_due = job.receives > 1 or not (job.is_counted and task.delay)
            return is_due and (not task.stamp or self._hand_over(job, task._replace(delay=0)))
        # Redeliveries of the task that it was made from count.
        if task.is_given_up or tries(job) > tasks.MAXIMUM_RECEIVES:
            return False
        return self._hand_over(job, task)

    def _hand_over(self, job: backlog.Job, entry: tasks.Task | tasks.WakeUp) -> bool:
        return hand_over(self._worker.queue, [entry], job.message_id, self._worker.deadline)


def about(job: backlog.Job) -> dict[str, object]:
    """Fields of log lines about a queue message."""
    return {"task_id": job.message_id, "attempt": job.receives}


def tries(job: backlog.Job) -> int:
    """How often a task, or the task that it was made from, has been received."""
    return job.receives + (job.task.retries if isinstance(job.task, tasks.Task) else 0)


def hand_over(
    queue: tasks.Queue,
    entries: Sequence[tasks.Task | tasks.WakeUp | tasks.Unreadable],
    message_id: str,
    deadline: float,
    *,
    apart: bool = False,
) -> bool:
    """Put tasks into the queue, with ``apart`` one second after the other; false when it did not take all of them."""
    try:
        queue.put(entries, deadline, apart=apart)
    except aws_json.ServiceError as error:
        aws_json.tell("ERROR", "what is left cannot be handed over", error, task_id=message_id)
        return False
    return True


def postpone(jobs: Sequence[backlog.Job], worker: Worker) -> None:
    """Have messages redelivered after a delay that doubles with each receive, instead of after the queue's time-out."""
    first = jobs[0]
    if isinstance(first.task, tasks.WakeUp) and first.task.delay and first.receives == 1:
        seconds = first.task.delay
    elif first.receives >= tasks.MAXIMUM_RECEIVES:
        # SQS makes a dead letter of it at its next receive, and those behind it wait for that.
        seconds = 0
    else:
        seconds = min(2 ** (first.receives - 1), tasks.MAXIMUM_DELAY_SECONDS)
    try:
        worker.queue.postpone(
            [job.receipt for job in jobs], seconds, min(worker.deadline, time.monotonic() + POSTPONE_SECONDS)
        )
    except aws_json.ServiceError as error:
        aws_json.tell("WARNING", "a delay cannot be set", error, **about(jobs[0]))


def failures(jobs: Sequence[backlog.Job]) -> list[str]:
    """Log the tasks that SQS will make dead letters; gives the ids of all."""
    for job in jobs:
        members = len(getattr(job.task, "recipients", ())) or 1
        request = {"request_id": job.task.message.request_id} if isinstance(job.task, tasks.Task) else {}
        tell_if_given_up(about(job) | request, job.receives, members, is_slow=job.task.is_for_stragglers)
    return [job.message_id for job in jobs]


def tell_if_given_up(fields: Mapping[str, object], receives: int, members: int, *, is_slow: bool = False) -> None:
    """Log a queue message that SQS will make a dead letter instead of redelivering it.

    Args:
        fields: Fields of the line.
        receives: How often it has been received.
        members: The members that it names, or 1.
        is_slow: Whether they are stragglers: those do not read.
    """
    if receives >= tasks.MAXIMUM_RECEIVES:
        metrics = {"slow" if is_slow else "failed": members}
        logs.write("ERROR", "a task is given up", metrics, **fields, given_up=members)
