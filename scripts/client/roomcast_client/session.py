"""The life of a client: attempts, rollover, loss, and what is done about each frame."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from roomcast_client import attempts, frames, sockets
from roomcast_client.attempts import AttemptError
from roomcast_client.errors import Closed, Kicked, Refused, RoomcastError, Unauthorized
from roomcast_client.memberships import Memberships
from roomcast_client.presence import Attendances
from roomcast_client.rollover import Plan
from roomcast_client.rooms import Room, Slot
from roomcast_client.sends import Link, Outbox, error_of
from roomcast_client.sockets import Socket, Sockets
from roomcast_client.streams import Feed
from roomcast_client.timers import Timers
from roomcast_client.values import Connecting, Event, Members, Message, Open, Rolling, State, Waiting

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from websockets.asyncio.client import ClientConnection

    from roomcast_client.addresses import Addresses
    from roomcast_client.options import Options

LIVED = 10.0
"""Seconds after which a socket that is lost was a good one: the next attempt is no repetition of a failure."""
LONGEST_BACKOFF = 30.0
JOINED_WITHIN = 35.0
"""Seconds in which a second socket must have every room."""
DRAINING = 10.0
"""Seconds that the first socket is kept for what it still carries; twice as long if rooms have no history."""
JOINING = 1.0
"""Seconds between two looks whether a socket has its rooms and can be replaced."""
LONGEST_WITHIN = 3_600.0


class Session:
    """The machinery of one client.

    Attributes:
        settled: Set once the client is open, or has ended.
    """

    def __init__(self, addresses: Addresses, options: Options) -> None:
        self.state: State = Connecting(1)
        self.settled = asyncio.Event()
        self.timers = Timers(options.clock, self._slept)
        self.messages: Feed[Message] = Feed(self._resume)
        self.events: Feed[Event] = Feed(lambda: None)
        # Messages of backends to this client are in no room; two sockets may bring one twice.
        self._direct = Room(
            "", False, lambda: False, lambda each: self.messages.put("", each), lambda _: None, history=False
        )
        self.outbox = Outbox(
            self.timers, options.in_order, self._link, lambda: self.memberships.limits.frame, self._dead
        )
        self._addresses, self._options, self._random = addresses, options, options.random.random
        self._sockets = Sockets()
        self.memberships = Memberships(
            self._sockets,
            self.timers,
            self.outbox,
            self.messages,
            self.events,
            in_order=options.in_order,
            random=self._random,
            dead=self._dead,
            changed=self._check_joined,
        )
        self.attendances = Attendances(self.memberships, self.timers, self.outbox, self.events, self._random)
        self._attempt: asyncio.Task[None] | None = None
        self._failures, self._was_accepted = 0, False
        self._plan = Plan(self.timers, options.lifetime, self._random, self._roll)
        self._group: asyncio.TaskGroup | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    # Beginning and end

    def start(self, group: asyncio.TaskGroup) -> None:
        """Begin, in tasks of a group."""
        self._group = group
        if not self.has_ended:
            self.events.put("", self.state)
            self._spawn(self.timers.run())
            self._begin_attempt()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        assert self._group is not None
        task: asyncio.Task[None] = self._group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _close(self, socket: Socket) -> None:
        assert self._group is not None
        closing = socket.close()
        try:
            self._group.create_task(closing)
        except RuntimeError:  # the group is ending, because a task has failed
            closing.close()
            socket.abort()

    @property
    def has_ended(self) -> bool:
        """Whether the state is final."""
        return isinstance(self.state, RoomcastError)

    def raise_if_ended(self) -> None:
        """Raise the final state, ``Closed``, ``Kicked`` or ``Refused``, if there is one."""
        if isinstance(self.state, RoomcastError):
            raise self.state.with_traceback(None)

    def raise_if_not_open(self) -> None:
        """Raise the final state, or the ``Unauthorized`` of the token function that caused it."""
        if isinstance(self.state, Refused) and isinstance(self.state.__cause__, Unauthorized):
            raise self.state.__cause__
        self.raise_if_ended()

    def finish(self, state: Refused | Kicked | Closed) -> None:
        """End in a final state: everything that waits fails with it."""
        if self.has_ended:
            return
        for task in list(self._tasks):
            task.cancel()
        for socket in self._sockets:
            self._close(socket)
        self._sockets.main = self._sockets.next = self._sockets.old = None
        self._become(state)
        self.outbox.fail_room(None, state)
        self.memberships.end(state)
        end = StopAsyncIteration()
        self.messages.end(end if isinstance(state, Closed) else state)
        self.events.end(end)

    def _become(self, state: State) -> None:
        if state != self.state:
            self.state = state
            self.events.put("", state)
        if self.has_ended or isinstance(state, Open):
            self.settled.set()

    # Attempts

    def _begin_attempt(self) -> None:
        self.timers.cancel(self, "retry")
        if not isinstance(self.state, Rolling):
            self._become(Connecting(self._failures + 1))
        self._attempt = self._spawn(self._try())

    async def _try(self) -> None:
        rooms, is_first = list(self.memberships.rooms), not self._was_accepted
        try:
            connection = await attempts.connect(self._options, self._addresses, rooms, self.timers, is_first=is_first)
        except Refused as state:
            self.finish(state)
        except AttemptError as error:
            if error.event is not None:
                self.events.put("", error.event)
            self._failed(error.reason)
        else:
            self._accepted(connection)

    def _failed(self, reason: str) -> None:
        self._attempt = None
        self._addresses.failed()
        self._failures += 1
        if isinstance(self.state, Rolling):
            self._plan.again(self._backoff())
        else:
            self._wait(self._backoff(), reason)

    def _backoff(self) -> float:
        return self._random() * min(LONGEST_BACKOFF, 2.0 ** (min(self._failures, 10) - 1))

    def _wait(self, delay: float, reason: str) -> None:
        self._become(Waiting(delay, self._failures + 1, reason))
        self.timers.set(self, "retry", delay, self._begin_attempt, anew=0)

    def retry(self) -> None:
        """Make the next attempt now."""
        if isinstance(self.state, Waiting):
            self._begin_attempt()

    def _accepted(self, connection: ClientConnection) -> None:
        self._attempt, self._was_accepted = None, True
        self._addresses.worked()
        socket = Socket(connection, self.timers, self._dead, self.memberships.positions)
        self._spawn(self._serve(socket))
        socket.beat(self.memberships.limits.heartbeat, self._random)
        if isinstance(self.state, Rolling):
            self._sockets.next = socket
            self.timers.set(socket, "joined", JOINED_WITHIN, lambda: self._dead(socket))
        else:
            self._use(socket)
        self.memberships.begin()
        self._check_joined()

    async def _serve(self, socket: Socket) -> None:
        writing = self._spawn(socket.write())
        await socket.read(self._take)
        # It waits for a further frame, and would for ever.
        writing.cancel()
        self._lost(socket)

    # Rollover

    def _use(self, socket: Socket) -> None:
        """Take a socket as the one in use, and plan its end."""
        self._sockets.main, self._sockets.next = socket, None
        self.timers.cancel(socket, "joined")
        self._plan.begin(socket)

    def _roll(self) -> None:
        if isinstance(self.state, Open):
            self._become(Rolling())
        if isinstance(self.state, Rolling) and self._attempt is None and self._sockets.next is None:
            self._begin_attempt()
        elif isinstance(self.state, Connecting):  # it still joins its rooms
            self._plan.again(JOINING)

    def _check_joined(self) -> None:
        """See whether the newest socket has every room now, joined or refused."""
        socket = self._sockets.home
        if socket is None or not self.memberships.has_all(socket):
            return
        if socket is self._sockets.next:
            self._close_old()  # the one before, whose time a sleep of the machine, for example, has stretched
            self._sockets.old = old = self._sockets.main
            self._plan.done()
            if old is not None and old.lived() >= LIVED:
                self._failures = 0
            self._use(socket)
        if isinstance(self.state, Connecting | Rolling) and self._attempt is None:
            self._become(Open())
        self.outbox.flush()
        self._drain()

    def _drain(self) -> None:
        """Close the first socket once it carries nothing; rooms without history keep it for their last messages."""
        if (old := self._sockets.old) is None:
            return
        unlogged = any(room.history is False for room in self.memberships.rooms.values())
        if not (unlogged or self.outbox.is_used(old)):
            self._close_old()
        elif self.timers.left(old, "drain") is None and self.timers.left(old, "close") is None:
            self.timers.set(old, "drain", DRAINING, self._leave_old)
            self.timers.set(old, "close", 2 * DRAINING if unlogged else DRAINING, self._close_old)

    def _leave_old(self) -> None:
        """Send on the second socket what the first one left unanswered."""
        if (old := self._sockets.old) is not None:
            self.outbox.lost(old)
            self.outbox.flush()

    def _close_old(self) -> None:
        self._leave_old()
        if (old := self._sockets.old) is not None:
            self._sockets.old = None
            self._close(old)
            self.memberships.check_left()

    # Loss

    def _dead(self, socket: Link) -> None:
        assert isinstance(socket, Socket)
        socket.abort()
        self._lost(socket)

    def _lost(self, socket: Socket) -> None:
        """Go on without a socket that is closed or given up."""
        if socket not in self._sockets:
            return
        self.timers.drop(socket)
        if socket is self._sockets.old:
            self._sockets.old = None
        elif socket is self._sockets.next:
            self._sockets.next = None
            self._failed("lost")
        else:
            self._lost_main(socket)
        self.outbox.lost(socket, was_too_large=socket.code == sockets.TOO_LARGE)
        self.memberships.check_left()
        self.outbox.flush()

    def _lost_main(self, socket: Socket) -> None:
        if self._attempt is not None:
            self._attempt.cancel()
            self._attempt = None
        if (heir := self._sockets.next) is not None:
            self._use(heir)
            self.memberships.promoted(heir)
            self._become(Connecting(self._failures + 1))
            return
        was_open = isinstance(self.state, Open | Rolling)
        self._sockets.main = None
        self._plan.cancel()
        lived = socket.lived() >= LIVED
        self._failures = 0 if lived else self._failures + 1
        delay = self._random() * self.memberships.limits.spread if lived else self._backoff()
        self._wait(delay, "lost" if was_open else "handshake")

    # Frames

    def _take(self, socket: Socket, text: str | bytes) -> None:
        frame = frames.read(text)
        if frame is not None and socket in self._sockets:
            getattr(self, f"_on_{frame['type']}")(socket, frame)

    def _on_message(self, _: Socket, frame: dict[str, Any]) -> None:
        if "room" not in frame:
            for slot in frames.slots(frame):
                self._direct.take(Slot(None, None, frames.message(slot, own=False)))
            return
        if (room := self.memberships.rooms.get(frame["room"])) is None:
            return
        for slot in frames.slots(frame):
            is_own = self.outbox.is_own(slot)
            if is_own:
                self.outbox.prove(slot, final=False)
            message = frames.message(slot, own=is_own)
            room.take(Slot(slot.get("epoch"), slot.get("seq"), message))
        self.memberships.tend(room)

    _on_messages = _on_message

    def _on_joined(self, socket: Socket, frame: dict[str, Any]) -> None:
        if "limits" in frame and not socket.knows_limits:
            socket.knows_limits = True
            limits = self.memberships.limits = frames.Limits.read(frame["limits"])
            socket.beat(limits.heartbeat, self._random)
            if "expires" in frame["limits"]:
                socket.expires_at = self.timers.now() + 0.9 * limits.expires
            if socket is self._sockets.main:
                self._plan.before_expiry(socket)
        self.memberships.joined(socket, frame)
        if frame["room"] in self.memberships.rooms:
            self.attendances.joined(frame)

    def _on_left(self, socket: Socket, frame: dict[str, Any]) -> None:
        self.memberships.left(socket, frame)

    def _on_receipt(self, _: Socket, frame: dict[str, Any]) -> None:
        self.outbox.prove(frame, final=not frame.get("sending"))
        self._drain()

    def _on_members(self, _: Socket, frame: dict[str, Any]) -> None:
        self.outbox.answer(
            frame["id"], Members(tuple(map(str, frame["members"])), frame["count"], frame.get("more", False))
        )
        self.attendances.answered(frame)

    def _on_presence(self, _: Socket, frame: dict[str, Any]) -> None:
        if frame["room"] in self.memberships.rooms:
            self.attendances.changed(frame)

    def _on_pong(self, socket: Socket, frame: dict[str, Any]) -> None:
        if socket is not self._sockets.old:
            self.memberships.heads(socket, frame["rooms"])
            self.attendances.pong(frame["rooms"])

    def _on_kicked(self, _: Socket, frame: dict[str, Any]) -> None:
        self.finish(Kicked(frame.get("reason"), frame.get("until")))

    def _on_reconnect(self, _: Socket, frame: dict[str, Any]) -> None:
        if (url := frame.get("url")) is not None:
            if not self._addresses.may_move(url):
                text = f"the stage named an address that is not allowed: {url[:200]!r}"
                self.events.put("", RoomcastError(text, code="foreign_url"))
            elif not self._addresses.move(url, self.timers.now()):
                return
        self._plan.within(self._random() * min(LONGEST_WITHIN, frame.get("within", 0) / 1000))

    def _on_error(self, socket: Socket, frame: dict[str, Any]) -> None:
        error = error_of(frame)
        if error.code == "reconnect":
            self._dead(socket)
            return
        if error.code == "token_expired":
            self._expire(socket)
        names = socket.asked(error.id, error.room)
        for name in names:
            self.memberships.refuse(socket, name, error)
        item = self.outbox.refused(error)
        if item is not None and error.code == "not_joined":
            socket.joined.discard(item.room)
        elif item is None and not names and error.code != "token_expired" and not error.retryable:
            self.events.put("", error)
        self.memberships.sync()
        self._check_joined()

    def _expire(self, socket: Socket) -> None:
        """The token of a socket has expired: roll over with a fresh one, or come back with it."""
        if socket.is_expired:
            return
        socket.is_expired = True
        if socket is self._sockets.main and isinstance(self.state, Open | Rolling):
            self._plan.within(0)
        elif socket is not self._sockets.old:
            self._dead(socket)

    # What sockets and messages ask

    def _link(self, room: str) -> Socket | None:
        main = self._sockets.main
        if main is None or main.is_expired or not isinstance(self.state, Open | Rolling):
            return None
        return main if room in main.joined else None

    def _slept(self) -> None:
        for socket in self._sockets:
            socket.ping()

    def _resume(self) -> None:
        self.memberships.resume()

    def check(self) -> None:
        """Prove the sockets."""
        for socket in self._sockets:
            socket.check()
