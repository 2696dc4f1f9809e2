"""Marks of rooms whose members have changed: one per room and window, with one delayed message for the worker.

Each change of members is written first and then marked. A mark that stands is left alone, so that many changes cost one
message. A mark whose message was never sent is overdue some time after it was due: the next change replaces it, and so
do the clients that ask (``ping``, ``who``).

A member that leaves is noted before it is deleted as well, because its client may ask no more: if the function ends
between the deletion and the mark, the next client that asks finds that the room was not looked at since.

The state of a room's presence stands in the same item as its mark, because it is small. ``presence`` reads and writes
the rest.
"""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from roomcast import aws_json, headcount, items, logs, rights, steps

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from roomcast.settings import Settings

OVERDUE_SECONDS = 30
"""A mark is overdue so long after it was due: SQS delivers within a second, and a worker that was throttled is tried
again within this time."""

MICROSECONDS = 1_000_000
"""Times of marks are that fine, so that two marks have two."""

MARK_SECONDS = 2.0
"""Time limit of marking, because a client waits for its answer meanwhile; an overdue mark is sent again."""

DEPARTURE_SECONDS = 120
"""A deletion has ended so long after it was noted: it is one call to the table, and clocks of functions differ by a
minute at most."""

STATE_SECONDS = 3 * 60 * 60
"""Lifetime of a room's state after its last change. All members of that time have been disconnected by then, so that no
client compares its version with those of a later state."""

REFUSED = "ConditionalCheckFailedException"

VERSION = 1
"""Version of the message. It rises when a reader that ignores unknown fields would do harm."""


class Task(NamedTuple):
    """A message for the worker: a room that it must look at.

    Attributes:
        room: Name of the room.
        due: The mark that it belongs to.
    """

    room: str
    due: int

    def to_json(self) -> str:
        """The body of the queue message."""
        return json.dumps({"v": VERSION, "kind": "presence", **self._asdict()}, separators=(",", ":"))


class State(NamedTuple):
    """The state of a room's presence.

    Attributes:
        due: When its mark is due, in microseconds since 1970; 0 without a mark.
        version: Rises with each change that is announced; 0 before the first one.
        announced: The last version that was announced.
        writes: Rises each time that the room has been looked at.
        present: How many clients were in the room.
        told_at: When a change was last announced, epoch milliseconds.
        stale_at: When the first membership of those seen ends, in seconds since 1970; 0 if there was none.
        left_by: When the last deletion of members has ended, the same.
        looked_at: When the room was last looked at, the same.
    """

    due: int = 0
    version: int = 0
    announced: int = 0
    writes: int = 0
    present: int = 0
    told_at: int = 0
    stale_at: int = 0
    left_by: int = 0
    looked_at: int = 0

    def is_behind(self, now: float) -> bool:
        """Whether nothing will look at the room although something should.

        Args:
            now: Seconds since 1970.
        """
        if self.due:
            return self.due / MICROSECONDS + OVERDUE_SECONDS < now
        has_missed_some = self.looked_at <= self.left_by and 0 < self.left_by < now
        return not self.version or 0 < self.stale_at < now or has_missed_some


def state_of(item: Mapping[str, Any] | None) -> State:
    """Read the item of a room's state."""
    return State(**{name: int(item[name]["N"]) for name in State._fields if name in item}) if item else State()


class Marks:
    """Marks rooms, and tells the states of their presence.

    Args:
        settings: Table, queue, Region, the rooms with presence, and the window.
        database: DynamoDB.
        queue: SQS; ``None`` for the function's own.

    Attributes:
        versions: The version of each room that this invocation has marked; ``Rooms.forget`` begins another one.
    """

    def __init__(self, settings: Settings, database: aws_json.Service, queue: aws_json.Service | None = None) -> None:
        self._database = database
        self._table_name = settings.table_name
        self._patterns = settings.presence_rooms
        self._window = settings.presence_window_seconds
        self._url = settings.presence_queue_url
        self._queue = queue or aws_json.Service(settings.sqs_endpoint, "sqs", "AmazonSQS", settings.region)
        self.versions: dict[str, int] = {}

    def watches(self, room: str) -> bool:
        """Whether a room has presence."""
        return any(rights.matches(pattern, room) for pattern in self._patterns)

    def around(self, write: Callable[[], object], actions: Sequence[Mapping[str, Any]], deadline: float) -> None:
        """Carry out a transaction that changes members, and mark their rooms, also when its answer was lost.

        Rooms that members leave are noted before.

        Args:
            write: Carries it out.
            actions: The transaction's.
            deadline: Latest end, in seconds of ``time.monotonic``.

        Raises:
            aws_json.ServiceError: As of ``write``.
        """
        rooms = items.rooms_of(actions) if self._patterns else ()
        self._note(items.rooms_of(each for each in actions if "Delete" in each) if rooms else (), deadline)
        try:
            write()
        except aws_json.ServiceError as error:
            if error.in_doubt:
                self.mark(rooms, deadline)
            raise
        self.mark(rooms, deadline)

    def mark(self, rooms: Iterable[str], deadline: float) -> None:
        """Mark rooms, as far as they have presence. No error is raised, because the change itself has succeeded.

        Args:
            rooms: Names of the rooms.
            deadline: Latest end, in seconds of ``time.monotonic``.
        """
        until = min(deadline, time.monotonic() + MARK_SECONDS)
        for room in filter(self.watches, rooms):
            self.versions.pop(room, None)
            try:
                self.versions[room] = self.set(room, self._window, until).version
            except aws_json.ServiceError as error:
                self._tell("a change of members is announced later", error, room)

    def _note(self, rooms: Iterable[str], deadline: float) -> None:
        """Note that members are about to leave rooms, as far as they have presence; errors as of ``mark``."""
        until = min(deadline, time.monotonic() + MARK_SECONDS)
        for room in filter(self.watches, rooms):
            try:
                self.update(room, ", left_by = :by", "", until, by=int(time.time()) + DEPARTURE_SECONDS)
            except aws_json.ServiceError as error:
                self._tell("a departure is not noted", error, room)

    def _tell(self, message: str, error: aws_json.ServiceError, room: str) -> None:
        aws_json.tell("WARNING", message, error, room=logs.room_hash(self._table_name, room))

    def set(self, room: str, seconds: int, deadline: float) -> State:
        """Set a mark where none stands, or an overdue one, and send its message; gives the room's state.

        Args:
            room: Name of the room.
            seconds: In how many seconds the worker gets the message.
            deadline: Latest end, in seconds of ``time.monotonic``.

        Raises:
            aws_json.ServiceError: The table or the queue could not be written by the deadline.
        """
        now = int(time.time() * MICROSECONDS)
        due, overdue = now + seconds * MICROSECONDS, now - OVERDUE_SECONDS * MICROSECONDS
        condition = "attribute_not_exists(due) OR due < :overdue"
        state, is_set = self.update(room, ", due = :due", condition, deadline, due=due, overdue=overdue)
        # The answer to an earlier attempt may have been lost.
        if is_set or state.due == due:
            parameters = {"QueueUrl": self._url, "MessageBody": Task(room, due).to_json(), "DelaySeconds": seconds}
            self._queue.call("SendMessage", parameters, deadline)
        return state

    def update(self, room: str, change: str, condition: str, deadline: float, **values: int) -> tuple[State, bool]:
        """Change the state of a room; gives it as it is afterwards, and whether it was changed.

        Args:
            room: Name of the room.
            change: As of ``request``.
            condition: The same.
            deadline: Latest end, in seconds of ``time.monotonic``.
            values: Numbers of both expressions.

        Raises:
            aws_json.ServiceError: The table could not be written by the deadline.
        """
        request = {**self.request(room, change, condition, **values), "ReturnValues": "ALL_NEW"}
        try:
            answer = self._database.call("UpdateItem", request, deadline)
        except aws_json.ServiceError as error:
            if error.code != REFUSED:
                raise
            return state_of(error.details.get("Item")), False
        return state_of(answer["Attributes"]), True

    def request(self, room: str, change: str, condition: str, **values: int) -> dict[str, Any]:
        """The parameters of an update.

        Args:
            room: Name of the room.
            change: What follows in the update after the first part, which prolongs the state's life.
            condition: The condition; empty for none.
            values: Numbers of both expressions.
        """
        return {
            "TableName": self._table_name,
            "Key": items.presence_key(room),
            "UpdateExpression": f"SET expires_at = :end{change}",
            **({"ConditionExpression": condition} if condition else {}),
            "ExpressionAttributeValues": items.numbers(end=int(time.time()) + STATE_SECONDS, **values),
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }

    def get(self, key: Mapping[str, Any], deadline: float) -> Mapping[str, Any] | None:
        """Read an item, as every write that has ended left it.

        Args:
            key: Its key.
            deadline: Latest end, in seconds of ``time.monotonic``.

        Raises:
            aws_json.ServiceError: The table did not answer in time.
        """
        request = {"TableName": self._table_name, "Key": key, "ConsistentRead": True}
        item: Mapping[str, Any] | None = self._database.call("GetItem", request, deadline).get("Item")
        return item

    def store(self, update: Mapping[str, Any], names: Mapping[str, Any], deadline: float) -> bool:
        """Change the state of a room and write its names, both or none; false if the condition does not hold.

        Args:
            update: As of ``request``.
            names: The item with the names.
            deadline: Latest end, in seconds of ``time.monotonic``.

        Raises:
            aws_json.ServiceError: The table could not be written by the deadline.
        """
        actions = [{"Update": update}, {"Put": {"TableName": self._table_name, "Item": names}}]
        parameters = {"TransactItems": actions, "ClientRequestToken": os.urandom(16).hex()}
        try:
            self._database.call("TransactWriteItems", parameters, deadline)
        except aws_json.ServiceError as error:
            if not headcount.is_refused(error):
                raise
            return False
        return True

    def states(self, rooms: Collection[str], deadline: float) -> dict[str, State]:
        """The states of rooms, perhaps some milliseconds old; a room that nothing looks at is marked.

        Args:
            rooms: Names of the rooms, up to a hundred; those without presence are left out.
            deadline: Latest end, in seconds of ``time.monotonic``.

        Raises:
            aws_json.ServiceError: The table did not answer in time.
        """
        watched = [*filter(self.watches, rooms)]
        if not watched:
            return {}
        keys = [items.presence_key(room) for room in watched]
        found = steps.drive(aws_json.get_all(self._database, self._table_name, keys, deadline, strongly=False))
        states = {room: State() for room in watched} | {items.room_of(item): state_of(item) for item in found}
        now = time.time()
        self.mark([room for room, state in states.items() if state.is_behind(now)], deadline)
        return states
