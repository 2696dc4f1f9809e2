"""How far a worker has come with the recipients of a task."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from roomcast import tasks
from roomcast.recipients import Report

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Sequence

    from roomcast.recipients import Recipient
    from roomcast.rooms import Rooms
    from roomcast.tasks import Task


class Progress:
    """Reads the recipients of a task, and sorts those that were not reached into new tasks.

    Args:
        task: The task.
        table: The table with the members.
        stop_at: No further recipient is taken after this moment, in seconds of ``time.monotonic``.
        apart: Ids of members that the task does not wait for.
        dead: Members found dead earlier.
        room_for: How many of those not reached may get a message group of their own.

    Attributes:
        late: Recipients that failed only because time was over.
        silent: Recipients that may have a copy, because a post was not answered.
        untried: Recipients without a post, because time or the pace allowed none: they are not slow themselves.
        report: The engine's report.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the task, and all that limits it
        self,
        task: Task,
        table: Rooms,
        stop_at: float,
        apart: Container[str] = (),
        dead: Container[Recipient] = (),
        room_for: int = 0,
    ) -> None:
        self.task = task
        self._table = table
        self.stop_at = stop_at
        self.after = task.after
        self.pulled = 0
        self.late: list[Recipient] = []
        self.silent: list[Recipient] = []
        self.untried: list[Recipient] = []
        self.is_complete = False
        self.report = Report()
        self._apart = () if task.recipients else apart
        self._dead = dead
        self._room_for = room_for
        self._left_out: list[Recipient] = []

    def __iter__(self) -> Iterator[Recipient]:
        """Yield one recipient after the other while time allows."""
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

    def _recipients(self) -> Iterable[Recipient]:
        if self.task.recipients:
            return self.task.recipients
        return self._table.members_of_shard(self.task.message.room, self.task.shard, self.stop_at, self.after)

    @property
    def is_stuck(self) -> bool:
        """Whether recipients are left although none was reached, or may have been."""
        is_left = bool(self.late or self.untried) or not self.is_complete
        return is_left and not (self.report.delivered or self.report.gone or self.silent or self._left_out)

    @property
    def stragglers(self) -> list[tuple[Recipient, int]]:
        """Recipients that get a message group of their own, and how many copies each may have been sent."""
        copies = self.task.copies
        apart = [(each, copies) for each in self._left_out]
        if not self.is_stuck and self._are_few():
            apart += [(each, copies) for each in self.late] + [(each, copies + 1) for each in self.silent]
        return apart

    def _are_few(self) -> bool:
        return len(self.late) + len(self.silent) <= self._room_for

    def remaining(self) -> list[Task]:
        """Tasks for the recipients left that are no stragglers: too many not reached, and those not yet taken."""
        late = [] if self._are_few() else self._named(self.late, 0) + self._named(self.silent, 1)
        return late + self._named(self.untried, 0) + self._untaken()

    def everything_left(self) -> list[Task]:
        """Tasks for all recipients left, in a queue that keeps no order."""
        return (
            self._named([*self._left_out, *self.late, *self.untried], 0) + self._named(self.silent, 1) + self._untaken()
        )

    def _named(self, recipients: Sequence[Recipient], copies: int) -> list[Task]:
        size = tasks.RECIPIENTS_PER_TASK
        parts = [recipients[start : start + size] for start in range(0, len(recipients), size)]
        return [self.task._replace(after="", recipients=part, copies=self.task.copies + copies) for part in parts]

    def _untaken(self) -> list[Task]:
        if self.is_complete:
            return []
        if self.task.recipients:
            untaken = self.task.recipients[self.pulled :]
            return [self.task._replace(recipients=untaken)] if untaken else []
        return [self.task._replace(after=self.after)]
