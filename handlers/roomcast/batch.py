"""The parts of a worker's batch: which tasks are served now, and where the remaining recipients go.

In a standard queue, stragglers go back to the queue as a task with a delay. In a FIFO queue a new task would come after
those already in the queue, so the rest of a shard's task waits in the table together with the tasks behind it
(``backlog``), and each straggler has a message group of its own.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple, Protocol

from roomcast import aws_json, backlog, fanout, logs, rooms, tasks
from roomcast.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Sequence


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
            self._served.append((job, Progress(job.task, self._worker.table, self._worker.take_until)))
        return [(progress, progress.message()) for _, progress in self._served]

    def _spread(self, jobs: Sequence[backlog.Job]) -> bool:
        """Give redelivered tasks a worker each: should one kill its worker, the others are not given up with it."""
        shares = [job.task._replace(retries=tries(job) - 1) for job in jobs if isinstance(job.task, tasks.Task)]
        return hand_over(self._worker.queue, shares, jobs[0].message_id, self._worker.deadline, apart=True)

    def end(self, *, has_reached: bool) -> list[str]:
        """As of ``Part``."""
        return failures(self._failed + [job for job, each in self._served if not self._keep(job, each, has_reached)])

    def _keep(self, job: backlog.Job, progress: Progress, has_reached: bool) -> bool:
        """Hand over the recipients left; false when the task must be redelivered as a whole."""
        if progress.is_stuck and progress.is_begun and not (has_reached or progress.task.rounds):
            return False
        # Also a task that was not begun: SQS would redeliver it only minutes later, and give it up after some times.
        left = [each._replace(retries=tries(job) - 1) for each in progress.everything_left()]
        return hand_over(self._worker.queue, left, job.message_id, self._worker.deadline)


class Shard:
    """The message group of a room's shard in a FIFO queue, and its backlog.

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
        self._served = [Progress(task, worker.table, worker.take_until, waiting.held) for task in waiting.due()]
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
        return is_moving and hand_over(queue, wake_ups, message_id, deadline)

    def _tell(self, error: aws_json.ServiceError) -> None:
        logs.write("ERROR", "the backlog cannot be kept", error=str(error), message_id=self._jobs[0].message_id)


class Straggler:
    """The message group of one straggler in a FIFO queue: its tasks are served in turn.

    Args:
        jobs: The queue messages.
        worker: The invocation.
    """

    def __init__(self, jobs: Sequence[backlog.Job], worker: Worker) -> None:
        self._jobs = jobs
        self._worker = worker
        self._served: dict[str, Progress] = {}

    def begin(self) -> list[tuple[Progress, fanout.Message]]:
        """As of ``Part``."""
        for job in self._jobs:
            # Redeliveries of the task that it was made from count. SQS makes it a dead letter.
            if isinstance(job.task, tasks.Task) and tries(job) <= tasks.MAXIMUM_RECEIVES:
                # The last worker may have sent a copy.
                copies = max(job.task.copies, min(job.receives - 1, fanout.MAXIMUM_COPIES - 1))
                task = job.task._replace(copies=copies)
                self._served[job.key] = Progress(task, self._worker.table, self._worker.take_until)
        return [(progress, progress.message(self._jobs[0].group)) for progress in self._served.values()]

    def end(self, *, has_reached: bool) -> list[str]:
        """As of ``Part``. A new task would come behind the next ones, so SQS must redeliver those that are left."""
        del has_reached
        given_up: list[backlog.Job] = []
        for number, job in enumerate(self._jobs):
            progress = self._served.get(job.key)
            if is_last(job) and progress is not None and (progress.untried or not progress.is_begun):
                # It may never have been tried: better late, and behind others, than given up.
                if not self._put_back(job):
                    given_up.append(job)
            elif is_last(job) and not self._is_served(job):
                given_up.append(job)
                self._release(job)
            elif self._is_served(job):
                self._release(job)
            else:
                failed = self._jobs[number:]
                postpone(failed, self._worker)
                return failures(given_up) + failures(failed)
        if given_up:
            postpone(given_up, self._worker)
        return failures(given_up)

    def _is_served(self, job: backlog.Job) -> bool:
        if isinstance(job.task, tasks.WakeUp):
            return True
        progress = self._served.get(job.key)
        return progress is not None and progress.is_begun and not progress.everything_left()

    def _put_back(self, job: backlog.Job) -> bool:
        assert isinstance(job.task, tasks.Task)
        return hand_over(self._worker.queue, [job.task], job.message_id, self._worker.deadline)

    def _release(self, job: backlog.Job) -> None:
        """Let the room's worker serve a straggler again, unless further messages for it are on their way."""
        if isinstance(job.task, tasks.WakeUp) or not job.task.hold:
            return
        task = job.task
        mark = rooms.Waiting(backlog.HELD + task.recipients[0].connection_id, "", task.hold)
        try:
            self._worker.table.change_backlog(task.message.room, task.shard, [], [mark], self._worker.deadline)
        except aws_json.ServiceError as error:
            # Its messages keep their own message group.
            logs.write("WARNING", "a straggler stays apart", error=str(error))


def tries(job: backlog.Job) -> int:
    """How often a task, or the task that it was made from, has been received."""
    return job.receives + (job.task.retries if isinstance(job.task, tasks.Task) else 0)


def is_last(job: backlog.Job) -> bool:
    """Whether SQS will make a dead letter of it instead of redelivering it."""
    return job.receives >= tasks.MAXIMUM_RECEIVES


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
        logs.write("ERROR", "what is left cannot be handed over", error=str(error), message_id=message_id)
        return False
    return True


def postpone(jobs: Sequence[backlog.Job], worker: Worker) -> None:
    """Have messages redelivered after a delay that doubles with each receive, instead of after the queue's time-out."""
    # SQS makes a dead letter of the first one at its next receive, and those behind it wait for that.
    seconds = 0 if is_last(jobs[0]) else min(2 ** (jobs[0].receives - 1), tasks.MAXIMUM_DELAY_SECONDS)
    try:
        worker.queue.postpone(
            [job.receipt for job in jobs], seconds, min(worker.deadline, time.monotonic() + POSTPONE_SECONDS)
        )
    except aws_json.ServiceError as error:
        logs.write("WARNING", "a delay cannot be set", error=str(error), message_id=jobs[0].message_id)


def failures(jobs: Sequence[backlog.Job]) -> list[str]:
    """Log the tasks that SQS will make dead letters; gives the ids of all."""
    for job in jobs:
        tell_if_given_up(job.message_id, job.receives, len(getattr(job.task, "recipients", ())) or 1)
    return [job.message_id for job in jobs]


def tell_if_given_up(message_id: str, receives: int, recipients: int) -> None:
    """Log a message that SQS will make a dead letter instead of redelivering it."""
    if receives >= tasks.MAXIMUM_RECEIVES:
        logs.write("ERROR", "a task is given up", message_id=message_id, receives=receives)
        logs.write_metrics("given up", {"given_up": recipients}, message_id=message_id)
