"""Who is in each room, as far as the stage tells: a set with a version, which ``who`` puts right.

Changes come numbered. A client that misses a number asks, some time within ``heal``, because others may miss it too.
The application is told each difference once, from a change or from an answer.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from roomcast_client import frames
from roomcast_client.sockets import encode
from roomcast_client.values import Event, Presence

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Callable, Mapping

    from roomcast_client.memberships import Memberships
    from roomcast_client.sends import Outbox
    from roomcast_client.streams import Feed
    from roomcast_client.timers import Timers

LONGEST_WAIT = 60.0
"""Seconds between two questions about one room."""


@dataclass(eq=False)
class Attendance:
    """Who is in one room.

    Attributes:
        version: Of the set; -1 before the first one.
        heard: The highest version that the stage has named.
        names: Those that the application knows of.
        is_whole: Whether these are all.
        is_asking: Whether ``who`` is unanswered.
        growth: How often an answer has not helped.
    """

    version: int = -1
    heard: int = -1
    names: set[str] = field(default_factory=set)
    is_whole: bool = False
    is_asking: bool = False
    growth: int = 0

    @property
    def is_behind(self) -> bool:
        """Whether the stage has told of a version that is missing here."""
        return self.version < self.heard


class Attendances:
    """Who is in all rooms of a client.

    Args:
        memberships: The rooms.
        random: Returns a number from 0 to below 1.
    """

    def __init__(
        self,
        memberships: Memberships,
        timers: Timers,
        outbox: Outbox,
        events: Feed[Event],
        random: Callable[[], float],
    ) -> None:
        self._memberships, self._timers, self._outbox = memberships, timers, outbox
        self._events, self._random = events, random
        self._rooms: dict[str, Attendance] = {}

    @property
    def present(self) -> Mapping[str, frozenset[str] | None]:
        """The names of those in each room that tells them; None where they are not known as a whole."""
        self._forget()
        return {
            name: frozenset(room.names) if room.is_whole and not room.is_behind else None
            for name, room in self._rooms.items()
        }

    def joined(self, frame: dict[str, Any]) -> None:
        """Take a ``joined`` frame, which names the version if the stage tells this client who comes and goes."""
        if (version := frame.get("presence")) is None:
            return
        room = self._room(frame["room"])
        if version < room.version:  # the stage counts anew
            room.version, room.heard = -1, -1
        is_first = room.version < 0
        if version == 0:  # the first change will name all
            room.version, room.is_whole = 0, True
        self._hear(frame["room"], version, 0.0 if is_first else self._soon())

    def pong(self, rooms: dict[str, Any]) -> None:
        """Take the versions in a ``pong`` frame."""
        for name, facts in rooms.items():
            version = facts.get("presence") if isinstance(facts, dict) else None
            if frames.is_number(version) and name in self._memberships.rooms:
                self._hear(name, version, self._soon())

    def changed(self, frame: dict[str, Any]) -> None:
        """Take a ``presence`` frame."""
        name, change = frame["room"], frames.presence(frame)
        if (version := frame.get("version")) is None:
            self._events.put("", change)
            return
        room = self._room(name)
        if version <= room.version:
            return
        if "joined" not in frame:
            room.version, room.is_whole = version, False
            self._events.put("", change)
        else:
            self._tell(name, set(change.joined) - room.names, set(change.left) & room.names, change.count)
            if version == room.version + 1 and room.is_whole:
                room.version = version
        self._hear(name, version, self._soon())

    def answered(self, frame: dict[str, Any]) -> None:
        """Take a ``members`` frame, whichever task has asked for it."""
        name, version = frame.get("room"), frame.get("version")
        if version is None or name not in self._memberships.rooms:
            return
        room = self._room(str(name))
        if version < room.version:
            return
        names = set(map(str, frame["members"]))
        room.version, room.is_whole = version, len(names) == frame["count"]
        if room.is_whole:
            self._tell(str(name), names - room.names, room.names - names, frame["count"])
        self._hear(str(name), version, self._soon())

    def _tell(self, name: str, joined: set[str], left: set[str], count: int) -> None:
        room = self._room(name)
        room.names = (room.names | joined) - left
        if joined or left:
            self._events.put("", Presence(name, tuple(sorted(joined)), tuple(sorted(left)), count))

    def _room(self, name: str) -> Attendance:
        self._forget()
        return self._rooms.setdefault(name, Attendance())

    def _forget(self) -> None:
        for name in self._rooms.keys() - self._memberships.rooms.keys():
            self._timers.drop(self._rooms.pop(name))

    def _soon(self) -> float:
        """Some time within ``heal``: others may miss the same version."""
        return self._random() * self._memberships.limits.heal

    def _hear(self, name: str, version: int, wait: float) -> None:
        """Note a version, and ask later if it is missing here then."""
        room = self._room(name)
        room.heard = max(room.heard, version)
        if not room.is_behind:
            room.growth = 0
            self._timers.cancel(room, "ask")
        elif not room.is_asking and self._timers.left(room, "ask") is None:
            wait = min(LONGEST_WAIT, wait * 2.0**room.growth)
            self._timers.set(room, "ask", wait, lambda: self._ask(name, room))

    def _ask(self, name: str, room: Attendance) -> None:
        def done(answer: Future[Any]) -> None:
            room.is_asking = False
            if answer.cancelled() or answer.exception() is not None:
                room.heard = room.version  # until the stage names another one
            elif room.is_behind and self._rooms.get(name) is room:
                room.growth = min(room.growth + 1, 10)
                self._hear(name, room.heard, 1 + self._soon())

        number = secrets.token_hex(16)
        text = encode({"action": "who", "id": number, "room": name})
        room.is_asking = True
        self._outbox.add(name, number, text, is_message=False).answer.add_done_callback(done)
