"""Which rooms each socket is in, what is asked of the stage about them, and when."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Any

from roomcast_client.errors import NotAllowed, RoomcastError
from roomcast_client.frames import MOST_ROOMS, Limits
from roomcast_client.rooms import Ask, Room
from roomcast_client.sends import UNANSWERED, Outbox
from roomcast_client.values import Event, Left, Message, Recovered, Since, check_wish

if TYPE_CHECKING:
    from collections.abc import Callable

    from roomcast_client.sockets import Socket, Sockets
    from roomcast_client.streams import Feed
    from roomcast_client.timers import Timers

LONGEST_WAIT = 60.0
"""Seconds between two joins of a room that heal or repeat."""
CALM = 30.0
"""Seconds without healing after which a gap is the first of its kind again."""


class Memberships:
    """The rooms of a client.

    Args:
        in_order: Whether messages are handed over by number.
        random: Returns a number from 0 to below 1.
        dead: Called with a socket that leaves questions unanswered.
        changed: Called when a room has been joined, refused or left.

    Attributes:
        limits: What the stage asks of its clients.
    """

    def __init__(  # noqa: PLR0913 - all parts of a client
        self,
        sockets: Sockets,
        timers: Timers,
        outbox: Outbox,
        messages: Feed[Message],
        events: Feed[Event],
        *,
        in_order: bool,
        random: Callable[[], float],
        dead: Callable[[Socket], None],
        changed: Callable[[], None],
    ) -> None:
        self.rooms: dict[str, Room] = {}
        self.limits = Limits()
        self._sockets, self._timers, self._outbox, self._messages, self._events = (
            sockets,
            timers,
            outbox,
            messages,
            events,
        )
        self._in_order, self._random, self._dead, self._changed = in_order, random, dead, changed
        self._joining: dict[str, list[asyncio.Future[Since | None]]] = {}
        self._leaving: dict[str, asyncio.Future[None]] = {}

    # What the application wants

    def room(self, name: str, since: Since | None = None, last: int = 0) -> Room:
        """Return a room, which is new if the client does not want it yet; counts one join.

        Raises:
            ValueError: As of ``check_wish``.
        """
        if (room := self.rooms.get(name)) is None:
            check_wish(name, since, last)
            room = self.rooms[name] = Room(
                name,
                self._in_order,
                lambda: self._messages.is_full(name),
                lambda message: self._messages.put(name, message),
                lambda recovered: self._events.put("", recovered),
                position=since,
                last=last,
            )
        room.count += 1
        return room

    async def join(self, name: str, since: Since | None, last: int) -> Since | None:
        """Join a room, or count one join more; returns its position."""
        room = self.room(name, since, last)
        home = self._sockets.home
        if home is not None and name in home.joined and name not in home.asks:
            return room.position
        room.refused = None
        future: asyncio.Future[Since | None] = asyncio.get_running_loop().create_future()
        self._joining.setdefault(name, []).append(future)
        self.sync()
        try:
            return await future
        except BaseException:
            self._release(room)
            raise

    async def leave(self, name: str) -> None:
        """Take back one join; the last one leaves the room."""
        room = self.rooms.get(name)
        if room is None or not self._release(room):
            return
        future = self._leaving.setdefault(name, asyncio.get_running_loop().create_future())
        self.check_left()
        await asyncio.shield(future)

    def _release(self, room: Room) -> bool:
        """Count one join less; forget a room that has none."""
        room.count -= 1
        if room.count > 0 or self.rooms.get(room.name) is not room:
            return False
        self._forget(room, "this client has left the room")
        return True

    def _forget(self, room: Room, reason: str) -> None:
        error = NotAllowed(reason, code="not_joined", room=room.name)
        del self.rooms[room.name]
        self._timers.drop(room)
        self._outbox.fail_room(room.name, error)
        self._fail_joins(room.name, error)
        self.sync()
        self._changed()

    def _fail_joins(self, name: str, error: RoomcastError) -> bool:
        futures = [future for future in self._joining.pop(name, []) if not future.done()]
        for future in futures:
            future.set_exception(error)
        return bool(futures)

    def end(self, error: RoomcastError) -> None:
        """Fail all joins, and end all leaves."""
        for name in [*self._joining]:
            self._fail_joins(name, error)
        self.check_left()

    def check_left(self) -> None:
        """End leaves of rooms that no socket is in any more."""
        for name in [*self._leaving]:
            if not any(name in socket.joined or name in socket.asks for socket in self._sockets):
                future = self._leaving.pop(name)
                if not future.done():
                    future.set_result(None)

    # What the stage is asked

    def has_all(self, socket: Socket) -> bool:
        """Whether each room is joined on a socket, or refused."""
        return all(name in socket.joined or room.refused for name, room in self.rooms.items())

    def begin(self) -> None:
        """Ask for all rooms on a new socket, refused ones too: its token may allow them."""
        for room in self.rooms.values():
            room.refused = None
        self.sync()

    def promoted(self, socket: Socket) -> None:
        """A socket is the only one now, in the middle of its joins: they are a return."""
        for ask in socket.asks.values():
            ask.returns = True

    def sync(self) -> None:
        """Ask for what sockets lack: joins on the newest one, leaves on all."""
        for socket in self._sockets:
            for name in [name for name in socket.joined if name not in self.rooms and name not in socket.asks]:
                self._leave_on(socket, name)
        home = self._sockets.home
        if home is None or home.is_expired:
            return
        wanted = [room for room in self.rooms.values() if self._is_wanted(room, home)]
        size = int(self.limits.rooms)
        for start in range(0, len(wanted), size):
            self._join_on(home, wanted[start : start + size])

    def _is_wanted(self, room: Room, socket: Socket) -> bool:
        if room.name in socket.asks or room.refused or room.paused:
            return False
        return room.again or room.name not in socket.joined

    def _leave_on(self, socket: Socket, name: str) -> None:
        ask = socket.asks[name] = Ask("leave", secrets.token_hex(4))
        socket.say("leave", id=ask.id, room=name)
        self._await_answer(socket, name, lambda: socket.say("leave", id=ask.id, room=name))

    def _join_on(self, socket: Socket, rooms: list[Room]) -> None:
        number = secrets.token_hex(4)
        wishes = {room.name: self._wish(socket, room, number) for room in rooms}
        if len(rooms) == 1:
            socket.say("join", id=number, room=rooms[0].name, **wishes[rooms[0].name])
        else:
            socket.say("join", id=number, rooms=wishes)

    def _wish(self, socket: Socket, room: Room, number: str) -> dict[str, Any]:
        is_first = room.name not in socket.joined
        returns = is_first and socket is self._sockets.main if room.was_joined else room.position is not None
        socket.asks[room.name] = Ask(
            "join", number, room.position, is_first, returns and not room.is_bare, room.is_bare
        )
        room.again = False
        wish: dict[str, Any] = {}
        if room.position is not None and not room.is_bare:
            wish["since"] = {"epoch": room.position.epoch, "seq": room.position.seq}
        if room.last and not room.is_bare:
            wish["last"] = room.last
        self._await_answer(socket, room.name, lambda: socket.say("join", id=number, room=room.name, **wish))
        return wish

    def _await_answer(self, socket: Socket, name: str, repeat: Callable[[], None]) -> None:
        """Ask once more after 35 s; after 35 more the socket is dead."""

        def again() -> None:
            repeat()
            self._timers.set(socket, f"ask {name}", UNANSWERED, lambda: self._dead(socket))

        self._timers.set(socket, f"ask {name}", UNANSWERED, again)

    def _answered(self, socket: Socket, frame: dict[str, Any], action: str) -> Ask | None:
        """Return the question that a frame answers, which is then no longer awaited."""
        ask = socket.asks.get(frame["room"])
        if ask is None or ask.action != action or frame.get("id") != ask.id:
            return None
        self._timers.cancel(socket, f"ask {frame['room']}")
        return socket.asks.pop(frame["room"])

    def positions(self, socket: Socket) -> dict[str, Any]:
        """Return the rooms of a socket for its ``ping``, each with its position."""
        positions: dict[str, Any] = {}
        for name in sorted(socket.joined & self.rooms.keys())[:MOST_ROOMS]:
            position = self.rooms[name].position
            positions[name] = {} if position is None else {"epoch": position.epoch, "seq": position.seq}
        return positions

    # What the stage says

    def joined(self, socket: Socket, frame: dict[str, Any]) -> None:
        """Take a ``joined`` frame."""
        ask, room = self._answered(socket, frame, "join"), self.rooms.get(frame["room"])
        if ask is None and room is None:
            return
        socket.joined.add(frame["room"])
        if room is not None:
            room.answered(frame, ask)
            room.refused, room.pauses, room.was_joined = None, 0, True
            if ask is not None:
                room.healed_at = self._timers.now()
            self.tend(room)
            for future in self._joining.pop(room.name, []):
                if not future.done():
                    future.set_result(room.position)
        self.sync()
        self._changed()

    def left(self, socket: Socket, frame: dict[str, Any]) -> None:
        """Take a ``left`` frame: the answer to a leave, or the stage's own decision."""
        socket.joined.discard(frame["room"])
        room = self.rooms.get(frame["room"])
        if self._answered(socket, frame, "leave") is None and room is not None and "id" not in frame:
            self._events.put("", Left(room.name, frame.get("reason"), frame.get("until")))
            self._forget(room, "the stage took this client out of the room")
        self.check_left()
        self.sync()

    def heads(self, socket: Socket, rooms: dict[str, Any]) -> None:
        """Take the heads of rooms in a ``pong`` frame."""
        for name, head in rooms.items():
            if (room := self.rooms.get(name)) is None or name in socket.asks:
                continue
            if head is None:
                socket.joined.discard(name)
            elif isinstance(head, dict) and isinstance(seq := head.get("seq"), int) and room.position is not None:
                room.hear_of(str(head.get("epoch")), seq)
                self.tend(room)
        self.sync()

    def refuse(self, socket: Socket, name: str, error: RoomcastError) -> None:
        """Take an error for a join or leave of a room."""
        ask, room = socket.asks[name], self.rooms.get(name)
        if ask.action == "leave" and error.retryable:
            return  # repeated in time, as one without answer
        del socket.asks[name]
        self._timers.cancel(socket, f"ask {name}")
        if ask.action == "leave":
            socket.joined.discard(name)
            self.check_left()
        elif room is None or error.code == "token_expired":
            return
        elif error.retryable or error.code == "not_joined":
            self._pause(room)
        elif error.code == "not_allowed" and not ask.is_bare and (room.position or room.last):
            room.is_bare = True
            if room.position is not None:
                self._events.put("", Recovered(name, complete=False, reason="not_allowed"))
        else:
            room.refused = error
            self._outbox.fail_room(name, error)
            if not self._fail_joins(name, error):
                self._events.put("", error)

    def _pause(self, room: Room) -> None:
        """Ask for a room again after 1 s, doubling."""

        def go_on() -> None:
            room.paused = False
            self.sync()

        room.paused = True
        self._timers.set(room, "pause", min(LONGEST_WAIT, 2.0**room.pauses), go_on)
        room.pauses = min(room.pauses + 1, 10)

    # Gaps

    def tend(self, room: Room) -> None:
        """After anything has happened to a room: ask at once, heal its gap in time, or stop to."""
        if room.again:
            self.sync()
        if not room.has_gap:
            room.gap_open = False
            self._timers.cancel(room, "heal")
            return
        if not room.gap_open:
            room.gap_open = True
            if room.healed_at is None or self._timers.now() - room.healed_at > CALM:
                room.growth = 0
        home = self._sockets.home
        if home and room.name not in home.asks and self._timers.left(room, "heal") is None:
            wait = (1 + self._random() * self.limits.heal) * 2.0**room.growth
            self._timers.set(room, "heal", min(LONGEST_WAIT, wait), lambda: self._heal(room))

    def _heal(self, room: Room) -> None:
        home = self._sockets.home
        if home is not None and room.name not in home.asks:
            room.growth = min(room.growth + 1, 10)
            room.again = True
            self.sync()

    def resume(self) -> None:
        """The application has taken messages: rooms that waited for it go on."""
        for room in list(self.rooms.values()):
            if room.stalled and not self._messages.is_full(room.name):
                room.resume()
                self.tend(room)
