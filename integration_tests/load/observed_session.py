"""The session of a Python client, with each socket, frame, message and answer shown to an observer."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from roomcast_client import frames
from roomcast_client.errors import Closed, RoomcastError
from roomcast_client.rollover import Plan
from roomcast_client.session import Session
from roomcast_client.timers import Timers
from roomcast_client.values import Message, Open, Recovered, Rolling

from integration_tests.harness.clock import ScaledClock

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator, Mapping

    from roomcast_client.addresses import Addresses
    from roomcast_client.errors import Kicked, Refused
    from roomcast_client.options import Options
    from roomcast_client.rooms import Ask
    from roomcast_client.sockets import Socket
    from roomcast_client.streams import Stream
    from roomcast_client.values import Event, State
    from websockets.asyncio.client import ClientConnection


ABOUT_THE_CONNECTION = {"reconnect", "token_expired"}
"""Codes of errors that the client acts on whatever they answer."""


class Observer(Protocol):
    """Records what happens to a client. Times are seconds of ``time.monotonic()``."""

    def opened(self, socket: Socket, asked_at: float) -> None:
        """Note a socket, whose handshake began at ``asked_at``."""

    def refused(self, reason: str) -> None:
        """Note an attempt to connect that failed."""

    def closing(self, socket: Socket) -> None:
        """Note that the client closes a socket."""

    def dismissed(self, socket: Socket) -> None:
        """Note that the stage takes the client out of its room, or refuses it for good."""

    def ended(self, socket: Socket) -> None:
        """Note that a socket is gone."""

    def lost(self) -> None:
        """Note that the client has no socket."""

    def rolled(self, generation: int) -> None:
        """Note that the next socket has taken over; the first one is generation 1."""

    def ready(self, *, is_open: bool) -> None:
        """Note that the client can send, or no longer can."""

    def heard(self, at: float) -> None:
        """Note that a frame came."""

    def strange(self, text: str, at: float) -> None:
        """Note a text that is no frame of the protocol."""

    def unrecorded(self, error: Exception, what: object, at: float) -> None:
        """Note that another method has raised an exception at what the stage sent."""

    def posted(self, socket: Socket, slot: Mapping[str, Any], at: float) -> None:
        """Note a message, or a void number, in a frame."""

    def joined(self, socket: Socket, frame: Mapping[str, Any], ask: Ask | None) -> None:
        """Note an answer to a join; None if no answer is awaited."""

    def answered(self, frame: Mapping[str, Any], at: float) -> None:
        """Note a receipt."""

    def failed(self, frame: Mapping[str, Any], text: str, at: float, *, answers: bool) -> None:
        """Note an error frame, and whether the client has been waiting for an answer that it can be."""

    def unasked(self, text: str, at: float) -> None:
        """Note a frame of any other kind that answers nothing, or is about a room that was not asked for."""

    def handed_over(self, message: Message, at: float) -> None:
        """Note a message that the application is given."""

    def told(self, event: Event, at: float) -> None:
        """Note an event that the application is given."""


class PacedPlan(Plan):
    """Plans rollovers on a clock of its own, on which a lifetime passes within seconds."""

    def before_expiry(self, socket: Socket) -> None:
        """Do nothing: the items of a socket expire by the other clock, hours later."""


class ObservedSession(Session):
    """A session that shows an observer all that it does.

    Args:
        addresses: Where the stage is.
        options: The client's options.
        observer: Is told everything.
        pace: Real seconds of a second on the clock by which rollovers are planned; all others last a second.

    Attributes:
        asked_at: When the last handshake began, monotonic seconds.
        generation: How many sockets have been in use, each one the heir of the one before.
    """

    def __init__(self, addresses: Addresses, options: Options, observer: Observer, pace: float = 1.0) -> None:
        self.asked_at = 0.0
        self.generation = 1
        self._observer = observer
        self._asked: dict[str, str] = {}
        super().__init__(addresses, options)
        self._plan_timers = Timers(ScaledClock(pace), lambda: None)
        self._plan = PacedPlan(self._plan_timers, options.lifetime, options.random.random, self._roll)
        # Read after each frame: a task for each client would cost as much as the frame does.
        self._handed_over: Stream[Message] = self.messages.stream()
        self._told: Stream[Event] = self.events.stream()

    @property
    def sockets(self) -> list[Socket]:
        """The sockets that are open."""
        return [*self._sockets]

    @property
    def can_send(self) -> bool:
        """Whether a message would be written now."""
        return isinstance(self.state, Open | Rolling)

    def has_room(self, room: str) -> bool:
        """Whether the stage has left the client in a room."""
        return room in self.memberships.rooms

    def link(self, room: str) -> Socket | None:
        """Return the socket for messages to a room; None if there is none now."""
        return self._link(room)

    # Sockets

    def start(self, group: asyncio.TaskGroup) -> None:
        """Begin, and run the clock of the rollovers."""
        super().start(group)
        if not self.has_ended:
            self._spawn(self._plan_timers.run())

    def _begin_attempt(self) -> None:
        self.asked_at = time.monotonic()
        super()._begin_attempt()

    def _failed(self, reason: str) -> None:
        self._observer.refused(reason)
        super()._failed(reason)

    def _accepted(self, connection: ClientConnection) -> None:
        super()._accepted(connection)
        socket = self._sockets.home
        if socket is not None:
            self._observer.opened(socket, self.asked_at)

    def _use(self, socket: Socket) -> None:
        if isinstance(self.state, Rolling):
            self.generation += 1
            self._observer.rolled(self.generation)
        super()._use(socket)

    def _close(self, socket: Socket) -> None:
        self._observer.closing(socket)
        super()._close(socket)

    def finish(self, state: Refused | Kicked | Closed) -> None:
        """End; unless the application closes the client, the stage is the one that ends its connections."""
        if not isinstance(state, Closed):
            for socket in self._sockets:
                self._observer.dismissed(socket)
        super().finish(state)

    def _lost(self, socket: Socket) -> None:
        self._observer.ended(socket)
        super()._lost(socket)
        if self._sockets.main is None:
            self._observer.lost()
        self._drain_streams()

    def _become(self, state: State) -> None:
        super()._become(state)
        self._observer.ready(is_open=self.can_send)

    # Frames

    def _take(self, socket: Socket, text: str | bytes) -> None:
        at = time.monotonic()
        shown = text if isinstance(text, str) else text.decode(errors="backslashreplace")
        frame = frames.read(text)
        with self._recorded(shown):
            self._observe(socket, frame, shown, at)
        if frame is None:
            return
        if socket in self._sockets:
            getattr(self, f"_on_{frame['type']}")(socket, frame)
        self._drain_streams(at)

    def _observe(self, socket: Socket, frame: dict[str, Any] | None, shown: str, at: float) -> None:
        self._observer.heard(at)
        if frame is None:
            self._observer.strange(shown, at)
            return
        if socket.asks:
            self._asked |= {ask.id: room for room, ask in socket.asks.items()}
        if frame["type"] in {"message", "messages"}:
            for slot in frames.slots(frame):
                self._observer.posted(socket, slot, at)
        elif frame["type"] == "receipt":
            self._observer.answered(frame, at)
        elif frame["type"] == "error":
            self._observer.failed(frame, shown, at, answers=self._answers(socket, frame))
        elif self._is_unasked(frame):
            self._observer.unasked(shown, at)

    def _answers(self, socket: Socket, error: dict[str, Any]) -> bool:
        """Whether an error answers a question of this client, or is about the connection itself."""
        if error["code"] in ABOUT_THE_CONNECTION or socket not in self._sockets:
            return True
        number, room = error.get("id"), error.get("room")
        item = self.outbox.pending.get(number or "")
        return bool(socket.asked(number, room)) or (item is not None and room in {None, item.room})

    def _is_unasked(self, frame: dict[str, Any]) -> bool:
        """Whether a frame answers no question of this client so far, or is about a room that it has not asked for."""
        kind, number = frame["type"], frame.get("id", "")
        if kind in {"joined", "members"}:
            if (item := self.outbox.pending.get(number)) is not None and not item.is_message:
                self._asked[number] = item.room
            return number not in self._asked or frame.get("room", self._asked[number]) != self._asked[number]
        rooms = frame["rooms"] if kind == "pong" else {frame["room"]} if kind in {"presence", "left"} else ()
        return not {*rooms} <= {*self._asked.values()}

    def _on_joined(self, socket: Socket, frame: dict[str, Any]) -> None:
        ask = socket.asks.get(frame["room"])
        super()._on_joined(socket, frame)
        answers = ask is not None and ask.action == "join" and ask.id == frame.get("id")
        with self._recorded(frame):
            self._observer.joined(socket, frame, ask if answers else None)

    def _on_left(self, socket: Socket, frame: dict[str, Any]) -> None:
        if self.has_room(frame["room"]):  # which this client does not ask to leave
            with self._recorded(frame):
                self._observer.dismissed(socket)
        super()._on_left(socket, frame)

    def _drain_streams(self, at: float | None = None) -> None:
        """Show the observer what the application was given."""
        now = time.monotonic() if at is None else at
        while self._handed_over.items:
            message = self._handed_over.items.popleft()[1]
            with self._recorded(message):
                self._observer.handed_over(message, now)
        while self._told.items:
            event = self._told.items.popleft()[1]
            if isinstance(event, Recovered | RoomcastError):
                with self._recorded(event):
                    self._observer.told(event, now)

    @contextmanager
    def _recorded(self, what: object) -> Iterator[None]:
        """Let the client go on when the observer cannot record what a stage has sent."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever a stage sends, the run ends with a report
            self._observer.unrecorded(error, what, time.monotonic())
