"""Who is in a room, as its members are told: a set of names with a version, compared once in a window.

A look at a room (``Presence.look``) goes in this order:

1. The mark is removed. A change from now on sets another one.
2. The members are read and compared with the names of the last version.
3. State and names are written, on the condition that no other look has written since 1, also if nothing has changed: a
   look that read the members earlier must not write afterwards. Else it begins again.
4. The change is posted to the members, who are read only now: a client that has joined before is told, and one that
   joins later asks for the names and gets this version.
5. The version is noted as announced. A look that finds one that is not announces it again.
"""

from __future__ import annotations

import json
import math
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from roomcast import aws_json, fanout, frames, items, protocol
from roomcast.delivery import RoomMessage
from roomcast.marks import STATE_SECONDS, State, Task, state_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from roomcast.delivery import Delivery
    from roomcast.marks import Marks
    from roomcast.rooms import Rooms
    from roomcast.settings import Settings

CROWDED_SECONDS = 30.0
"""Pause between two announcements in a room that tells numbers only: each is a post to every member."""

TRIES = 5
"""Looks at a room that others write meanwhile; then the message is redelivered."""

PATIENCE_SECONDS = 1.0
"""How long an announcement waits for its last few recipients. One that it does not reach sees the gap."""

MOST_BYTES = 390_000
"""Of names in one item: DynamoDB takes 400 KB with keys and numbers."""

ENVELOPE_BYTES = 1_000
"""Of a ``members`` frame without the names, at most: its room, id and numbers."""


class Change(NamedTuple):
    """A version of a room's presence.

    Attributes:
        room: Name of the room.
        version: The version.
        present: How many clients are in the room.
        names: Their names; ``None`` where they are too many.
        joined: Names that are new in this version; ``None`` where numbers alone are told.
        gone: Names that are gone since the version before; the same.
    """

    room: str
    version: int
    present: int
    names: frozenset[str] | None
    joined: Collection[str] | None
    gone: Collection[str] | None

    @property
    def frame(self) -> str:
        """What members are told."""
        named = {"joined": sorted(self.joined), "left": sorted(self.gone or ())} if self.joined is not None else {}
        return frames.answer("presence", {}, room=self.room, version=self.version, **named, count=self.present)

    @property
    def fits(self) -> bool:
        """Whether API Gateway takes the frame, and an item of the table the names."""
        texts = (_text(each) or "" for each in (self.names, self.joined, self.gone))
        size = sum(len(text.encode()) for text in texts)
        return size <= MOST_BYTES and len(self.frame.encode()) <= frames.MAXIMUM_BYTES

    @property
    def item(self) -> dict[str, Any]:
        """The item with the names."""
        texts = {"members": _text(self.names), "joined": _text(self.joined), "left_names": _text(self.gone)}
        numbers = items.numbers(version=self.version, expires_at=int(time.time()) + STATE_SECONDS)
        return {
            **items.names_key(self.room),
            **{name.removeprefix(":"): value for name, value in numbers.items()},
            **{name: {"S": text} for name, text in texts.items() if text is not None},
        }


def change_of(before: Change, names: frozenset[str], maximum: int) -> Change | None:
    """The next version of a room's presence; ``None`` if it is as before.

    Args:
        before: The version before.
        names: Names of the room's members now.
        maximum: Of a room with more members, only their number is told.
    """
    version = before.version + 1
    if len(names) > maximum:
        is_same = before.names is None and before.present == len(names)
        return None if is_same else Change(before.room, version, len(names), None, None, None)
    if before.names == names:
        return None
    if before.names is not None:
        change = Change(before.room, version, len(names), names, names - before.names, before.names - names)
        if change.fits:
            return change
    # No client can make this set of the one that it knows. Each sees that a version is missing, and asks.
    return Change(before.room, version + 1, len(names), names, (), ())


def change_in(room: str, item: Mapping[str, Any] | None, count: int) -> Change:
    """The version of a room's presence in an item with names.

    Args:
        room: Name of the room.
        item: The item; ``None`` if there is none.
        count: How many clients are in the room, where the names are too many.
    """
    if item is None:
        return Change(room, 0, 0, frozenset(), None, None)
    names, joined, gone = (
        json.loads(item[name]["S"]) if name in item else None for name in ("members", "joined", "left_names")
    )
    known = None if names is None else frozenset(names)
    return Change(room, int(item["version"]["N"]), count if known is None else len(known), known, joined, gone)


def published(marks: Marks, room: str, deadline: float) -> Change:
    """The last version of a room's presence, as its members are told; version 0 if there is none yet.

    Args:
        marks: The table.
        room: Name of the room.
        deadline: Latest end, in seconds of ``time.monotonic``.

    Raises:
        aws_json.ServiceError: The table did not answer in time.
    """
    return change_in(room, marks.get(items.names_key(room), deadline), 0)


def listed(names: Collection[str]) -> list[str]:
    """Names in order, as many as a frame takes."""
    left = frames.MAXIMUM_BYTES - ENVELOPE_BYTES
    found = []
    for name in sorted(names):
        # With the comma after it.
        left -= len((_text([name]) or "").encode()) - 1
        if left < 0:
            break
        found.append(name)
    return found


def _text(names: Collection[str] | None) -> str | None:
    return None if names is None else json.dumps(sorted(names), ensure_ascii=False, separators=(",", ":"))


class Presence:
    """Looks at rooms, and announces what has changed.

    Args:
        settings: The window, and how many names are told.
        table: Who is in the rooms, their marks and states.
        delivery: Posts to members.
    """

    def __init__(self, settings: Settings, table: Rooms, delivery: Delivery) -> None:
        self._maximum = settings.presence_max_members
        self._table = table
        self._marks = table.marks
        self._delivery = delivery

    def look(self, task: Task, post_until: float, deadline: float) -> None:
        """Look at a room.

        Args:
            task: The room, and its mark.
            post_until: When posting ends at the latest, in seconds of ``time.monotonic``.
            deadline: The same for everything.

        Raises:
            aws_json.ServiceError: The table or the queue did not answer in time; the message must be redelivered.
            fanout.DeliveryInterruptedError: The members could not be read; the same.
        """
        state = self._take(task, deadline)
        if state is None:
            return
        for _ in range(TRIES):
            now = int(time.time())
            before = self._before(task.room, state, deadline)
            if before is not None:
                names, stale_at = self._table.roster(task.room, deadline).present()
                after = change_of(before, frozenset(names), self._maximum)
                if self._store(state, after or before, deadline, is_new=after is not None, stale=stale_at, looked=now):
                    self._announce(state, after or before, post_until, deadline)
                    return
            state = state_of(self._marks.get(items.presence_key(task.room), deadline))
        raise aws_json.ServiceError("TransactWriteItems", "others look at this room", {}, transient=True)

    def _take(self, task: Task, deadline: float) -> State | None:
        """Remove the mark; gives the room's state, or ``None`` if nothing is to be done now."""
        state, is_mine = self._marks.update(task.room, " REMOVE due", "due = :due", deadline, due=task.due)
        if not is_mine and state.due:
            # A later mark, which has a message of its own.
            return None
        pause = state.told_at / 1000 + CROWDED_SECONDS - time.time()
        if state.present > self._maximum and pause > 0:
            # When it may be told something. Clocks differ.
            self._marks.set(task.room, math.ceil(min(pause, CROWDED_SECONDS)), deadline)
            return None
        return state

    def _before(self, room: str, state: State, deadline: float) -> Change | None:
        """The last version of a room's presence; ``None`` if another look has written since the state was read."""
        found = change_in(room, self._marks.get(items.names_key(room), deadline), state.present)
        if found.version > state.version and state.writes:
            return None
        if found.version != state.version:
            # Time to live may delete either item first.
            return Change(room, max(found.version, state.version), state.present, None, None, None)
        return found

    def _store(self, state: State, change: Change, deadline: float, *, is_new: bool, **times: int) -> bool:
        """Write what a look has found; false if others have written since the state was read."""
        values = {"before": state.writes, "after": state.writes + 1, "present": change.present, **times}
        update = ", writes = :after, present = :present, stale_at = :stale, looked_at = :looked"
        condition = "writes = :before" if state.writes else "attribute_not_exists(writes) OR writes = :before"
        if not is_new:
            return self._marks.update(change.room, update, condition, deadline, **values)[1]
        values["version"] = change.version
        request = self._marks.request(change.room, f"{update}, version = :version", condition, **values)
        return self._marks.store(request, change.item, deadline)

    def _announce(self, before: State, change: Change, post_until: float, deadline: float) -> None:
        """Tell the members of a version that has not been announced."""
        if change.version <= before.announced:
            return
        frame = change.frame.encode()
        watchers = self._table.roster(change.room, deadline).watchers()
        message = fanout.Message(watchers, b"", others={protocol.V1: lambda: frame})
        logged_as = RoomMessage(change.room, "", "", "", about={"presence": change.version})
        [result] = self._delivery.deliver_all([(logged_as, message)], post_until, PATIENCE_SECONDS)
        if result.error is not None:
            raise fanout.DeliveryInterruptedError(result.report) from result.error
        update, now = ", announced = :version, told_at = :now", int(time.time() * 1000)
        self._marks.update(change.room, update, "version = :version", deadline, version=change.version, now=now)
