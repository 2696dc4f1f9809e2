"""The lane of a shard's stragglers in a FIFO queue: their messages, apart from the room's, with a backlog of its own.

A message is in the lane once, for all stragglers that do not have it, so that their number does not matter. The lane's
worker serves new messages to those with nothing waiting. Messages that the others do not take wait in the table, and a
wake-up that is due in seconds makes a worker try again. A straggler that reads again receives its messages in order;
another one that does not read holds up its own alone. After half a minute these are given up.

The clock of a lane is the sum of the delays of its wake-ups: a queue that rests gives up nothing.
"""

from __future__ import annotations

import json
import time
from itertools import takewhile
from operator import attrgetter
from typing import TYPE_CHECKING

from roomcast import tasks
from roomcast.backlog import HELD, TASK, Backlog
from roomcast.items import Waiting
from roomcast.removal import MAXIMUM_ACTIONS
from roomcast.verdicts import MAXIMUM_COPIES

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Sequence

    from roomcast.backlog import Entry, Job, Outcome
    from roomcast.rooms import Rooms

CLOCK = "clock"

ENOUGH = 300
"""Waiting messages that a worker reads: those of half a minute in a room with ten a second. Members with nothing among
them wait for those that have. DynamoDB gives at most 1 MB at a time."""

GIVE_UP_SECONDS = 31
"""A client that does not read for half a minute still receives its messages; as ``tasks.MAXIMUM_ROUNDS`` delays."""

LOST_SECONDS = 120
"""A wake-up that is so late was lost: the queue may have given it up."""

BYTES = 3_500_000
"""Of bodies in a transaction, which takes 4 MB."""


class Lane(Backlog):
    """The lane of one shard, during one invocation.

    Args:
        table: The table.
        room: Name of the room.
        shard: Number of the partition.
    """

    def __init__(self, table: Rooms, room: str, shard: int) -> None:
        super().__init__(table, name_of(room), shard)
        self._name = room
        self._mark: Waiting | None = None
        self._clock = 0
        self._delay = 0
        self._is_tick = False
        self._is_cut = False
        self._first = 0
        self._served: set[str] = set()

    def read(self, jobs: Sequence[Job], deadline: float) -> None:
        """As of ``Backlog``."""
        super().read(jobs, deadline)
        self._last_hold = max([self._last_hold, *(entry.task.hold for entry in self._entries)])
        stamps = {job.task.stamp for job in jobs if isinstance(job.task, tasks.WakeUp)}
        self._is_tick = self._mark is not None and self._mark.stamp in stamps
        if self._is_tick:
            self._clock += self._delay
        self._entries = [self._begun(entry) for entry in self._entries]
        waiting = [entry for entry in self._entries if entry.item is not None]
        self._held = {} if self._is_tick else dict.fromkeys(_names(waiting))

    def _read_items(self, deadline: float) -> None:
        items, self._is_whole = self._stored.read(self._room, self._shard, deadline, ENOUGH)
        for item in items:
            if item.key.startswith(TASK):
                self._add(item)
            else:
                self._mark = item
                self._clock, self._delay, self._last_hold = json.loads(item.body)

    def _begun(self, entry: Entry) -> Entry:
        """Note when a message came."""
        return entry if entry.item else entry._replace(task=entry.task._replace(since=self._clock))

    @property
    def room_for(self) -> int:
        """As of ``Backlog``: all are stragglers."""
        return ENOUGH * tasks.RECIPIENTS_PER_TASK

    def due(self) -> list[tasks.Task]:
        """As of ``Backlog``; what waits is due when the lane was woken."""
        entries = self._entries
        if not self._is_tick:
            self._entries = [entry for entry in entries if entry.item is None]
        due = super().due()
        self._is_cut = len(due) < sum(self._is_whole or entry.item is not None for entry in self._entries)
        self._first = 0 if self._is_tick else len(entries) - len(self._entries)
        self._entries = entries
        # A worker that died may have sent a copy.
        return [task._replace(copies=max(task.copies, min(task.retries, MAXIMUM_COPIES - 1))) for task in due]

    def settle(self, outcomes: Sequence[Outcome]) -> bool:
        """As of ``Backlog``: what is left of each message stays in its place."""
        begun = list(takewhile(attrgetter("is_begun"), outcomes))
        self._is_cut = self._is_cut or len(begun) < len(outcomes) or any(each.is_cut for each in begun)
        failed = {each.connection_id for outcome in begun for each in outcome.failed}
        position = self._first
        for outcome in begun:
            entry = self._entries[position]
            self._served.update(_names([entry]))
            left = [self._kept(task, failed) for task in outcome.everyone_left()]
            rest = [task for task in left if task.recipients]
            if entry.item is not None and rest == [entry.task]:
                position += 1
            else:
                position += self._replace(position, rest)
        return True

    def _kept(self, task: tasks.Task, failed: Container[str]) -> tasks.Task:
        """What is left of a task, without those that did not take it now and for which it has waited for long."""
        if self._clock - task.since < GIVE_UP_SECONDS:
            return task
        lost = [each for each in task.recipients if each.connection_id in failed]
        if lost:
            body = task._replace(recipients=lost, since=0, given_up=int(time.time())).to_json()
            self.to_send.append(tasks.Unreadable(body, f"{task.hold}.{task.copies}"))
        return task._replace(recipients=[each for each in task.recipients if each.connection_id not in failed])

    def mark(self, deadline: float) -> None:
        """As of ``Backlog``; the room's worker alone makes stragglers."""

    def write(self, deadline: float, *, is_stuck: bool) -> list[tasks.WakeUp]:
        """As of ``Backlog``."""
        del is_stuck
        wake_ups = self._wake_up()
        written = {each.key for each in self._puts}
        new = [entry for entry in self._entries if entry.item is None and entry.key not in written]
        self._puts += [self._waiting(entry.key, entry.task) for entry in new]
        for puts, deletions in _transactions(self._puts, self._deletions):
            self._stored.change(self._room, self._shard, puts, deletions, deadline)
        return wake_ups

    def _wake_up(self) -> list[tasks.WakeUp]:
        """The next wake-up, unless one that is early enough is on its way."""
        if not self._entries and self._is_whole:
            if self._mark is not None:
                self._deletions.append(self._mark)
            return []
        # What waits behind those that were read comes next only where one of these is done: a wake-up for every message
        # would replace the one that is due later, and the clock would stand still.
        is_further = bool(self._deletions) and not self._is_whole
        has_moved = bool(self._deletions) or any(entry.item is None for entry in self._entries)
        goes_on = self._is_kept_only or is_further or (has_moved and self._is_cut)
        delay = 0 if goes_on else self._pause()
        is_lost = self._mark is None or time.time_ns() - self._mark.stamp > LOST_SECONDS * 10**9
        if self._mark is not None and not (self._is_tick or self._is_kept_only or is_lost or delay < self._delay):
            self._note(self._delay, self._mark.stamp)
            return []
        stamp = time.time_ns()
        self._note(delay, stamp)
        return [tasks.WakeUp(self._name, self._shard, stamp, delay)]

    def _note(self, delay: int, stamp: int) -> None:
        """Write the clock, the wake-up that is on its way, and the last task, if anything of it is new."""
        mark = Waiting(CLOCK, json.dumps([self._clock, delay, self._last_hold]), stamp)
        if mark != self._mark:
            self._puts.append(mark)

    def _pause(self) -> int:
        """As long as the member that waits since last has waited."""
        first: dict[str, int] = {}
        for entry in self._entries:
            for name in _names([entry]):
                first.setdefault(name, entry.task.since)
        waited = self._clock - max(first.values(), default=0)
        return min(max(1, waited), tasks.MAXIMUM_DELAY_SECONDS)

    def release(self, deadline: float) -> None:
        """As of ``Backlog``, unless the room's worker has sent later messages meanwhile."""
        left = dict.fromkeys(_names(self._entries))
        is_freed = self._served - left.keys() or not left
        if is_freed and self._is_whole and not self._is_kept_only and self._last_hold:
            body = json.dumps(list(left), separators=(",", ":")) if left else ""
            held = Waiting(HELD, body, self._last_hold)
            self._stored.replace(self._name, self._shard, held, deadline)


def name_of(room: str) -> str:
    """The name of a room's lane in the table, which no room has."""
    return f"{room}:late"


def _names(entries: Iterable[Entry]) -> Iterator[str]:
    return (each.connection_id for entry in entries for each in entry.task.recipients)


def _transactions(
    puts: Sequence[Waiting], deletions: Sequence[Waiting]
) -> Iterator[tuple[Sequence[Waiting], Sequence[Waiting]]]:
    """Split changes: what is written stands before what it replaces is deleted."""
    part: list[Waiting] = []
    size = 0
    for each in puts:
        if part and (len(part) == MAXIMUM_ACTIONS or size + len(each.body) > BYTES):
            yield part, ()
            part, size = [], 0
        part.append(each)
        size += len(each.body)
    free = MAXIMUM_ACTIONS - len(part)
    if part or deletions:
        yield part, deletions[:free]
    for start in range(free, len(deletions), MAXIMUM_ACTIONS):
        yield (), deletions[start : start + MAXIMUM_ACTIONS]
