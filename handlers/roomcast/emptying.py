"""Empties the backlogs of a FIFO queue into the standard queue that has replaced it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomcast import lane, tasks
from roomcast.backlog import TASK
from roomcast.waiting_items import WaitingItems

if TYPE_CHECKING:
    from roomcast.rooms import Rooms


def empty(table: Rooms, queue: tasks.Queue, wake_up: tasks.WakeUp, deadline: float) -> None:
    """Move what waits for a shard's members, and for its stragglers, from the table into the queue.

    A worker that ends in between has another one repeat messages, and loses none.

    Args:
        table: The table.
        queue: The standard queue.
        wake_up: Names the shard.
        deadline: Latest end, in seconds of ``time.monotonic``.

    Raises:
        aws_json.ServiceError: Table or queue did not answer by the deadline.
    """
    waiting = WaitingItems(table)
    for room in (wake_up.room, lane.name_of(wake_up.room)):
        is_whole = False
        while not is_whole:
            found, is_whole = waiting.read(room, wake_up.shard, deadline)
            queue.put([_moved(each.body, each.key) for each in found if each.key.startswith(TASK)], deadline)
            if found:
                waiting.change(room, wake_up.shard, [], found, deadline)


def _moved(body: str, key: str) -> tasks.Task | tasks.WakeUp | tasks.Unreadable:
    try:
        task = tasks.parse(body)
    except ValueError:
        # A worker that receives it logs an error, and SQS makes a dead letter of it.
        return tasks.Unreadable(body, key)
    if isinstance(task, tasks.WakeUp) or not task.hold:
        return task
    return task._replace(hold=0, since=0, rounds=1)
