"""How far a worker has come with the recipients of a task."""

from __future__ import annotations

import time
from types import MappingProxyType
from typing import TYPE_CHECKING

from roomcast import fanout, steps, tasks
from roomcast.one_read import OneRead
from roomcast.recipients import Source
from roomcast.steps import Wait
from roomcast.verdicts import FEW

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

    from roomcast.members import Members
    from roomcast.recipients import Pages
    from roomcast.rooms import Rooms
    from roomcast.tasks import Task


class Progress(Source):
    """Reads the recipients of a task, and sorts those that were not reached into new tasks.

    Args:
        task: The task.
        table: The table with the members.
        stop_at: No further recipient is taken after this moment, in seconds of ``time.monotonic``.
        apart: Ids of members that are left out.
        about: Further fields of its log line.

    Attributes:
        logged_as: The task's message, as log lines show it.
        late: Recipients that were not reached in the time for them.
        silent: Recipients that may have a copy, because a post was not answered.
        untried: Recipients without a post, because time or the pace allowed none: they are not slow themselves.
        refused: Recipients that were refused for good, if none was reached.
        result: The engine's result.
    """

    def __init__(
        self,
        task: Task,
        table: Rooms,
        stop_at: float,
        apart: Container[str] = (),
        about: Mapping[str, object] = MappingProxyType({}),
    ) -> None:
        self.task = task
        self.logged_as = task.message._replace(about=about)
        self._table = table
        self.stop_at = stop_at
        self.after = task.after
        self.pulled = 0
        self.late: list[fanout.Recipient] = []
        self.silent: list[fanout.Recipient] = []
        self.untried: list[fanout.Recipient] = []
        self.refused: list[fanout.Recipient] = []
        self.is_complete = False
        self.result = fanout.Result(fanout.Report(), is_begun=False)
        self._apart = apart
        self._one_read: OneRead | None = None
        self._reads_first = True
        self._left_out: list[fanout.Recipient] = []

    def message(self, order: str = "", may_leave: int = 0) -> fanout.Message:
        """The task as the engine takes it; ``order`` and ``may_leave`` as of ``fanout.Message``."""
        is_last_round = self.task.rounds >= tasks.MAXIMUM_ROUNDS
        stragglers = fanout.Stragglers(
            None if is_last_round else self.late.extend,
            None if is_last_round else self.silent.extend,
            # Others were reached before.
            presume_alone=bool(self.task.hold or self.task.rounds) or 0 < len(self.task.recipients) <= FEW,
            copies=self.task.copies,
            on_untried=self.untried.extend,
            is_new=not (self.task.hold or self.task.rounds),
            on_refused=self.refused.extend,
        )
        return self.task.message.to(self)._replace(
            stragglers=stragglers,
            order=order,
            may_leave=may_leave,
            is_complete=lambda: self.is_complete,
            is_ready=lambda: self._reads_first or self._one_read is None or self._one_read.is_over,
        )

    def share_read(self, one_read: OneRead, *, is_first: bool) -> None:
        """Share one read of the members with other messages to them; the first one reads."""
        self._one_read = one_read
        self._reads_first = is_first

    def __iter__(self) -> Iterator[fanout.Recipient]:
        """Yield one recipient after the other while time allows."""
        yield from steps.each(self._named_page()) if self.task.recipients else self._taken(self._members())

    def _taken(self, recipients: Iterable[fanout.Recipient]) -> Iterator[fanout.Recipient]:
        for recipient in recipients:
            if not self.has_time():
                return
            if self._take(recipient):
                yield recipient
        self.is_complete = True

    def reads(self) -> Iterable[Pages]:
        """As of ``recipients.Source``."""
        if self.task.recipients:
            return [self._named_page()]
        return map(self._pages, map(self._shared, self._members().reads()))

    def _shared(self, pages: Pages) -> Pages:
        if self._one_read is None:
            return pages
        return self._one_read.first(pages) if self._reads_first else self._one_read.again(lambda: pages)

    def _named_page(self) -> Pages:
        """The named recipients; where tokens expire, those that are still members."""
        named = self.task.recipients
        if self._table.rows_end:
            names = {recipient.connection_id for recipient in named}
            rows = self._table.present(self.task.message.room, self.task.shard, names, self.stop_at)
            present = {row[:2] for row in (yield from steps.collect(rows))}
            yield [recipient for recipient in self._taken(named) if recipient[:2] in present]
        else:
            yield list(self._taken(named))

    def _pages(self, pages: Pages) -> Pages:
        """Take the recipients of each page while time allows."""
        is_ready = False
        try:
            item = next(pages)
            while True:
                if isinstance(item, Wait):
                    is_ready = yield item
                else:
                    page = [each for each in item if self.has_time() and self._take(each)]
                    is_ready = yield page
                    if not self.has_time():
                        return
                item = pages.send(is_ready)
        except StopIteration:
            self.is_complete = True
        finally:
            pages.close()

    def has_time(self) -> bool:
        """Whether another recipient may be taken."""
        return self.stop_at > time.monotonic()

    def _take(self, recipient: fanout.Recipient) -> bool:
        """Note that a recipient is taken; false if it is left out."""
        self.pulled += 1
        self.after = recipient.connection_id
        if recipient.connection_id not in self._apart:
            return True
        self._left_out.append(recipient)
        return False

    def _members(self) -> Members:
        return self._table.members_of_shard(self.task.message.room, self.task.shard, self.stop_at, self.after)

    @property
    def is_begun(self) -> bool:
        """Whether a recipient was taken, or all there are."""
        return self.result.is_begun and (self.pulled > 0 or self.is_complete or self.result.error is not None)

    @property
    def is_stuck(self) -> bool:
        """Whether recipients are left although none was reached, or may have been."""
        report = self.result.report
        is_left = bool(self.late or self.untried or self.refused) or not self.is_complete
        return is_left and not (report.delivered or report.gone or self.silent or self._left_out)

    @property
    def is_cut(self) -> bool:
        """Whether recipients are left that were not tried, for want of time."""
        return bool(self.untried) or not self.is_complete

    @property
    def failed(self) -> list[fanout.Recipient]:
        """Recipients that were tried and not reached, or wait behind an earlier message."""
        return self.late + self.silent + self.refused

    def everyone_left(self) -> list[Task]:
        """Tasks for all named recipients left, in their order."""
        silent = set(self.silent)
        untaken = () if self.is_complete else self.task.recipients[self.pulled :]
        others = {*self.late, *self.untried, *self.refused, *self._left_out, *untaken}
        parts = [(0, others - silent), (1, silent)]
        rest = [(copies, [each for each in self.task.recipients if each in part]) for copies, part in parts]
        task = self.task._replace(retries=0)
        return [task._replace(recipients=part, copies=task.copies + copies) for copies, part in rest if part]

    def stragglers(self, held: Container[str], room_for: int) -> list[tuple[fanout.Recipient, int]]:
        """Recipients that the room does not wait for, and how many copies each may have been sent.

        Args:
            held: Ids of the stragglers so far.
            room_for: How many others may become such.
        """
        copies = self.task.copies
        left = [(each, copies) for each in self.late] + [(each, copies + 1) for each in self.silent]
        new = sum(each.connection_id not in held for each, _ in left)
        apart = [each for each in left if new <= room_for or each[0].connection_id in held]
        return [(each, copies) for each in self._left_out] + apart

    def remaining(self, apart: Iterable[tuple[fanout.Recipient, int]]) -> list[Task]:
        """Tasks for the recipients left that are not set apart: too many not reached, and those not yet taken."""
        names = {each.connection_id for each, _ in apart}
        late, silent = ([one for one in each if one.connection_id not in names] for each in (self.late, self.silent))
        untried = self.untried + self.refused
        return self._named(late, 0) + self._named(silent, 1) + self._named(untried, 0) + self._untaken()

    def everything_left(self) -> list[Task]:
        """Tasks for all recipients left, in a queue that keeps no order.

        A round counts if it reached no recipient, or had time for those that it leaves; else the trouble may not be
        theirs.
        """
        rounds = self.task.rounds + (self.is_stuck or time.monotonic() < self.stop_at)
        late = self._named(self.late + self.refused, 0, rounds) + self._named(self.silent, 1, rounds)
        return late + self._named(self.untried, 0) + self._untaken()

    def _named(self, recipients: Sequence[fanout.Recipient], copies: int, rounds: int = 0) -> list[Task]:
        size = tasks.RECIPIENTS_PER_TASK
        parts = [recipients[start : start + size] for start in range(0, len(recipients), size)]
        task = self.task._replace(after="", copies=self.task.copies + copies, rounds=max(rounds, self.task.rounds))
        return [task._replace(recipients=part) for part in parts]

    def _untaken(self) -> list[Task]:
        if self.is_complete:
            return []
        if self.task.recipients:
            untaken = self.task.recipients[self.pulled :]
            return [self.task._replace(recipients=untaken)] if untaken else []
        return [self.task._replace(after=self.after)]


def share_reads(all_progress: Iterable[Progress]) -> None:
    """Have tasks for the same members share one read."""
    same: dict[tuple[str, int, str], list[Progress]] = {}
    for each in all_progress:
        if not each.task.recipients:
            same.setdefault((each.task.message.room, each.task.shard, each.task.after), []).append(each)
    for group in same.values():
        if len(group) > 1:
            one_read = OneRead()
            for number, each in enumerate(group):
                each.share_read(one_read, is_first=number == 0)
