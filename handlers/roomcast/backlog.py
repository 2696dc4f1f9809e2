"""The backlog of a room's shard in a FIFO queue: tasks that workers could not finish, kept in the table in order.

One worker at a time serves a message group, so each backlog has one writer. A worker that cannot finish its tasks
writes them into the backlog and sends a wake-up to their group; every worker serves the backlog before its own tasks.
Keys are the sequence numbers that SQS gave the tasks, so a task that is redelivered after a worker died is found there.

Another item lists the stragglers: members that the room does not wait for. Their messages go through a lane of their
own (``lane``) until the last one is served, so that they, too, receive them in order.
"""

from __future__ import annotations

import json
import time
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple, Protocol

from roomcast import logs, tasks
from roomcast.items import Waiting
from roomcast.waiting_items import WaitingItems

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Sequence

    from roomcast.fanout import Recipient
    from roomcast.rooms import Rooms

HELD = "held#"
TASK = "task#"  # sorts after the other one, which the first page holds

MAXIMUM_HELD = 10_000
"""Stragglers of one shard in the lane: an item of 400 KB lists them. With more, the room waits for them."""

SEQUENCE_DIGITS = 39
"""A sequence number has 128 bits."""

PART_DIGITS = 9
"""Parts of a task are numbered downwards from the highest number of so many digits: keys do not grow, and workers could
never make so many parts."""


class Job(NamedTuple):
    """A queue message.

    Attributes:
        message_id: Id that SQS gave it.
        group: Its message group; empty in a standard queue.
        key: Its place among those of its group.
        receives: How often it has been received, this time included.
        task: Its content.
        receipt: Handle of this receive.
        is_counted: Whether the queue said how often; else this may be any receive.
    """

    message_id: str
    group: str
    key: str
    receives: int
    task: tasks.Task | tasks.WakeUp
    receipt: str = ""
    is_counted: bool = True


class Outcome(Protocol):
    """Result of serving a task."""

    @property
    def is_begun(self) -> bool:
        """Whether its turn has come."""

    @property
    def is_stuck(self) -> bool:
        """Whether no recipient was reached, so that the task is worth a pause."""

    @property
    def is_cut(self) -> bool:
        """Whether recipients are left that were not tried, for want of time."""

    @property
    def failed(self) -> Sequence[Recipient]:
        """Recipients that were tried and not reached."""

    def everyone_left(self) -> list[tasks.Task]:
        """Tasks for all named recipients left."""

    def stragglers(self, held: Container[str], room_for: int) -> list[tuple[Recipient, int]]:
        """Recipients that go to the lane, and how many copies each may have been sent."""

    def remaining(self, apart: Iterable[tuple[Recipient, int]]) -> list[tasks.Task]:
        """Tasks for the other recipients left."""


class Entry(NamedTuple):
    """A waiting task.

    Attributes:
        key: Its place.
        task: The task.
        item: As it stands in the table, if it does.
    """

    key: str
    task: tasks.Task
    item: Waiting | None


class Backlog:
    """The backlog of one shard, during one invocation.

    Args:
        table: The table.
        room: Name of the room.
        shard: Number of the partition.

    Attributes:
        to_send: Queue messages that must be in the queue before the tasks that they were made from are deleted.
        done: Keys of tasks that were served to the last recipient.
    """

    def __init__(self, table: Rooms, room: str, shard: int) -> None:
        self._stored = WaitingItems(table)
        self._room = room
        self._shard = shard
        # The lane's name is that of the room and what follows a colon.
        self._hash = logs.room_hash(table.table_name, room.partition(":")[0])
        self._entries: list[Entry] = []
        self._lowest: dict[str, int] = {}
        self._held: dict[str, None] = {}
        self._last_hold = 0
        self._is_whole = True
        self._is_kept_only = False
        self._puts: list[Waiting] = []
        self._deletions: list[Waiting] = []
        self.to_send: list[tasks.Task | tasks.Unreadable] = []
        self.done: set[str] = set()

    def read(self, jobs: Sequence[Job], deadline: float) -> None:
        """Read the waiting tasks, and put the group's own tasks behind them.

        When one of those is redelivered, all are only kept, and a wake-up takes their place. Otherwise a task that
        every worker dies of would make dead letters of all tasks behind it, because SQS counts their receives, too.

        Args:
            jobs: Queue messages of the group, in order.
            deadline: Latest end, in seconds of ``time.monotonic``.

        Raises:
            aws_json.ServiceError: The table did not answer.
        """
        self._read_items(deadline)
        waiting = {entry.key.partition(".")[0] for entry in self._entries}
        for job in jobs:
            if isinstance(job.task, tasks.Task) and job.key not in waiting:
                self._entries.append(Entry(job.key, job.task, None))
        again = [job for job in jobs if job.receives > 1]
        self._is_kept_only = bool(again)
        if self._entries and any(self._was_first(job) for job in again):
            self._count_retry()

    def _read_items(self, deadline: float) -> None:
        # More than the list: the first page may hold nothing else but what has expired.
        items, self._is_whole = self._stored.read(self._room, self._shard, deadline, enough=2)
        for item in items:
            if item.key.startswith(TASK):
                self._add(item)
            elif item.key == HELD:
                self._held = dict.fromkeys(json.loads(item.body))

    def _was_first(self, job: Job) -> bool:
        """Whether the worker that a queue message was delivered to before began with the first task."""
        return isinstance(job.task, tasks.WakeUp) or self._entries[0].key.partition(".")[0] == job.key

    def _add(self, item: Waiting) -> None:
        whole, _, number = item.key.partition(".")
        if number:
            # Items come in order.
            self._lowest.setdefault(whole, int(number))
        try:
            task = tasks.parse(item.body)
        except ValueError as error:
            logs.write("ERROR", "not a task", error=str(error), room=self._hash, shard=self._shard)
            self._give_up(item.body, item)
        else:
            if isinstance(task, tasks.Task):
                self._entries.append(Entry(item.key, task, item))

    def _count_retry(self) -> None:
        """Count that a worker may have died of the first task, or reached no recipient."""
        first = self._entries[0]
        task = first.task._replace(retries=first.task.retries + 1)
        if task.retries >= tasks.MAXIMUM_RECEIVES:
            names = {"request_id": task.message.request_id, "room": self._hash, "shard": self._shard}
            logs.write("ERROR", "a task goes to the dead letters", **names)
            self._entries.pop(0)
            self._give_up(task.to_json(), first.item)
        else:
            self._puts = [self._waiting(first.key, task)]

    def _give_up(self, body: str, item: Waiting | None) -> None:
        """Send a task to the dead letters, by way of a message group of its own."""
        self.to_send.append(tasks.Unreadable(body, str(time.time_ns())))
        if item is not None:
            self._deletions.append(item)

    @property
    def held(self) -> Container[str]:
        """Ids of members whose messages are not for this group."""
        return self._held.keys()

    @property
    def room_for(self) -> int:
        """How many others may become stragglers."""
        return MAXIMUM_HELD - len(self._held)

    def due(self) -> list[tasks.Task]:
        """The tasks to be served now, one after the other."""
        due: list[tasks.Task] = []
        for entry in () if self._is_kept_only else self._entries:
            # A task of the queue comes after all waiting ones, also after those that have not been read.
            if entry.item is None and not self._is_whole:
                break
            # A task that a worker may have died of is served alone: should another one die, it is blamed.
            if due and entry.task.retries:
                break
            due.append(entry.task)
            if entry.task.retries:
                break
        return due

    def settle(self, outcomes: Sequence[Outcome]) -> bool:
        """Note the outcomes of the tasks that were due, in order; false when no recipient could be reached."""
        has_reached = False
        position = 0
        for outcome in outcomes:
            if not outcome.is_begun:
                return True
            if outcome.is_stuck:
                # Time may have been too short for the pace, after others. A next worker begins with it.
                return has_reached
            has_reached = True
            apart = outcome.stragglers(self.held, self.room_for)
            task = self._entries[position].task
            position += self._replace(position, outcome.remaining(apart))
            self._set_apart(task, apart)
        return True

    def _replace(self, position: int, rest: Sequence[tasks.Task]) -> int:
        """Put the rest of a task, if there is any, in its place; gives the number of its parts."""
        entry = self._entries.pop(position)
        keys = self._keys_of_parts(entry.key, len(rest))
        self._entries[position:position] = [Entry(key, task, None) for key, task in zip(keys, rest, strict=True)]
        if entry.item is not None and entry.key not in keys:
            self._deletions.append(entry.item)
        if not rest:
            self.done.add(entry.key)
        return len(rest)

    def _keys_of_parts(self, key: str, count: int) -> list[str]:
        """Keys for the rest of a task: a part keeps its own for the last one; the others have no other part's."""
        whole, _, number = key.partition(".")
        kept = [key] if number and count else []
        end = self._lowest.get(whole, 10**PART_DIGITS)
        self._lowest[whole] = start = end - count + len(kept)
        return [f"{whole}.{each:0{PART_DIGITS}}" for each in range(start, end)] + kept

    def _set_apart(self, task: tasks.Task, apart: Iterable[tuple[Recipient, int]]) -> None:
        """Send a task for stragglers to the lane."""
        for copies, found in groupby(sorted(apart, key=itemgetter(1)), itemgetter(1)):
            recipients = [recipient for recipient, _ in found]
            self._held |= dict.fromkeys(each.connection_id for each in recipients)
            for start in range(0, len(recipients), tasks.RECIPIENTS_PER_TASK):
                part = recipients[start : start + tasks.RECIPIENTS_PER_TASK]
                self._last_hold = max(time.time_ns(), self._last_hold + 1)
                rest = task._replace(after="", recipients=part, copies=copies, retries=0, hold=self._last_hold)
                self.to_send.append(rest)

    def mark(self, deadline: float) -> None:
        """List the stragglers, before ``to_send`` goes to the queue: the lane releases none who is in a later task.

        Args:
            deadline: Latest end, in seconds of ``time.monotonic``.

        Raises:
            aws_json.ServiceError: The table did not answer.
        """
        if self._last_hold:
            held = Waiting(HELD, json.dumps(list(self._held), separators=(",", ":")), self._last_hold)
            self._stored.change(self._room, self._shard, [held], [], deadline)

    def write(self, deadline: float, *, is_stuck: bool) -> list[tasks.WakeUp]:
        """Keep unserved tasks, once ``to_send`` is in the queue; gives the wake-ups that make a worker serve them.

        Args:
            deadline: Latest end, in seconds of ``time.monotonic``.
            is_stuck: Whether SQS shall redeliver the group's own tasks, after a pause.

        Raises:
            aws_json.ServiceError: The table did not answer.
        """
        if not is_stuck:
            written = {each.key for each in self._puts}
            new = [entry for entry in self._entries if entry.item is None and entry.key not in written]
            self._puts += [self._waiting(entry.key, entry.task) for entry in new]
        if self._puts or self._deletions:
            self._stored.change(self._room, self._shard, self._puts, self._deletions, deadline)
        is_left = not is_stuck and (bool(self._entries) or not self._is_whole)
        return [tasks.WakeUp(self._room, self._shard)] if is_left else []

    def release(self, deadline: float) -> None:
        """Let the room's worker serve stragglers again that have all their messages; the room's backlog knows none.

        Args:
            deadline: Latest end, in seconds of ``time.monotonic``.

        Raises:
            aws_json.ServiceError: The table did not answer.
        """

    @staticmethod
    def _waiting(key: str, task: tasks.Task) -> Waiting:
        return Waiting(key, task.to_json(), time.time_ns())


def key_of(sequence_number: str, position: int) -> str:
    """The key of a queue message in its backlog.

    Args:
        sequence_number: SQS's number of it, growing within the group; empty where a queue gives none.
        position: Its place in the batch, which decides then.
    """
    if sequence_number:
        return f"{TASK}{int(sequence_number):0{SEQUENCE_DIGITS}}"
    return f"{TASK}{time.time_ns() + position:0{SEQUENCE_DIGITS}}"
