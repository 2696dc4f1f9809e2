"""Heads of rooms' logs: they give out the numbers of messages, and begin the lives of a log.

A head names the generation of its log. Functions that are configured with a larger one begin a new life, and the others
follow: during an apply, functions with both of them number one log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from roomcast import history_items as items

if TYPE_CHECKING:
    from collections.abc import Iterable

    from roomcast.history_items import Head
    from roomcast.history_table import Table
    from roomcast.steps import Steps

_TAKE = (
    "SET seq = if_not_exists(seq, :none) + :one, previous = if_not_exists(#at, :now), #at = :now, "
    "epoch = if_not_exists(epoch, :epoch), generation = if_not_exists(generation, :mine), "
    "created_at = if_not_exists(created_at, :now), expires_at = :end"
)

_BEGIN = (
    "SET seq = :none, previous = :now, #at = :now, epoch = :epoch, generation = :mine, created_at = :now, "
    "expires_at = :end REMOVE floor"
)


class Heads(NamedTuple):
    """The heads of all rooms.

    Attributes:
        table: The history table.
        generation: Number of the configuration.
    """

    table: Table
    generation: int

    def take(self, room: str, deadline: float) -> Steps[Head]:
        """Give out a room's next number.

        A lost answer leaves a number without a message, a hole.

        Args:
            room: Name of the room.
            deadline: Latest end, in seconds of ``time.monotonic``.
        """
        generation = self.generation
        while True:
            change = self._change(_TAKE, f"{items.NEW} OR generation = :mine", generation, one=1)
            item, is_taken = yield from self.table.update(items.head_key(room), change, deadline)
            if item is not None:
                head = items.head(item)
                if is_taken:
                    return head
                if head.generation < self.generation:
                    yield from self._begin(room, head, deadline)
                generation = max(self.generation, head.generation)

    def read(self, rooms: Iterable[str], deadline: float, *, strongly: bool) -> Steps[dict[str, Head]]:
        """Read the heads of rooms; a room without one is left out.

        Args:
            rooms: Names of the rooms.
            deadline: Latest end, in seconds of ``time.monotonic``.
            strongly: As of ``Table.get_all``.
        """
        names = {items.log_of_head(items.head_key(room)): room for room in rooms}
        keys = [items.head_key(room) for room in names.values()]
        found = yield from self.table.get_all(keys, deadline, strongly=strongly)
        return {names[items.log_of_head(item)]: items.head(item) for item in found}

    def open(self, rooms: Iterable[str], deadline: float) -> Steps[dict[str, Head]]:
        """Read the heads of rooms, and make those that are missing or of an earlier generation.

        Args:
            rooms: Names of the rooms.
            deadline: Latest end, in seconds of ``time.monotonic``.
        """
        wanted = [*rooms]
        read = yield from self.read(wanted, deadline, strongly=True)
        opened: dict[str, Head] = {}
        for room in wanted:
            head = read.get(room)
            while head is None or head.generation < self.generation:
                head = yield from self._begin(room, head, deadline)
            opened[room] = head
        return opened

    def _begin(self, room: str, before: Head | None, deadline: float) -> Steps[Head | None]:
        """Begin the next life of a log, unless another function has; gives the head, if there is one."""
        condition = items.NEW if before is None else "epoch = :before"
        more = {} if before is None else {"before": before.epoch}
        change = self._change(_BEGIN, condition, self.generation, **more)
        item, _ = yield from self.table.update(items.head_key(room), change, deadline)
        return None if item is None else items.head(item)

    def _change(self, update: str, condition: str, generation: int, **more: str | int) -> dict[str, Any]:
        now = self.table.now()
        values = items.values(
            none=0,
            now=now,
            epoch=items.new_epoch(),
            mine=generation,
            end=now // 1000 + items.HEAD_SECONDS,
            **more,
        )
        return {
            "UpdateExpression": update,
            "ConditionExpression": condition,
            "ExpressionAttributeNames": items.NAMES,
            "ExpressionAttributeValues": values,
        }
