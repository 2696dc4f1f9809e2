"""Messages on their way: sent again under the same id until there is proof that they are stored."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from roomcast_client import frames
from roomcast_client.errors import NotAllowed, OutcomeUnknown, QueueFull, RoomcastError, TooLarge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from roomcast_client.timers import Timers

MOST, MOST_BYTES = 100, 1_000_000
"""Messages without proof, and their size."""
GIVEN_UP = 480.0
"""Seconds after the first attempt: the server remembers ids for 10 minutes, so a later one could store it twice."""
UNANSWERED = 35.0
"""Seconds until the same is sent again on the same socket: an invocation takes at most 29."""
REPEATED = {"unavailable", "not_delivered", "rate_limited"}
REMEMBERED = 1_000


class Link(Protocol):
    """A socket, as far as messages need it."""

    def send(self, text: str) -> None:
        """Write a frame."""


@dataclass(eq=False, slots=True)
class Pending:
    """A message, or a question about a room, that waits for its answer."""

    id: str
    room: str
    text: str = field(repr=False)
    answer: asyncio.Future[Any]
    is_message: bool
    size: int
    first_at: float | None = None
    link: Link | None = None
    paused: bool = False
    failures: int = 0
    tries: int = 0

    @property
    def is_proved(self) -> bool:
        """Whether the application has its answer; the client only goes on in the background."""
        return self.answer.done()


@dataclass(eq=False)
class Outbox:
    """All messages on their way.

    Attributes:
        link: Returns the socket for messages to a room; None if there is none now.
        limit: Returns the largest frame in bytes.
        unanswered: Called with a socket on which a question had no answer twice.
    """

    timers: Timers
    in_order: bool
    link: Callable[[str], Link | None]
    limit: Callable[[], float]
    unanswered: Callable[[Link], None]
    pending: dict[str, Pending] = field(default_factory=dict)
    own: dict[tuple[str, str], object] = field(default_factory=dict)

    def add(self, room: str, id: str, text: str, *, is_message: bool = True) -> Pending:  # noqa: A002 - the protocol's name
        """Queue a frame.

        Raises:
            QueueFull: Too many messages have no proof.
            TooLarge: The frame is too large.
        """
        item = Pending(id, room, text, asyncio.get_running_loop().create_future(), is_message, len(text.encode()))
        if is_message:
            if item.size > self.limit():
                raise TooLarge(room=room, id=id)
            waiting = [each.size for each in self.pending.values() if each.is_message and not each.is_proved]
            if len(waiting) >= MOST or sum(waiting) + item.size > MOST_BYTES:
                raise QueueFull(room=room, id=id)
            self.own[room, id] = None
            if len(self.own) > REMEMBERED:
                del self.own[next(iter(self.own))]
        self.pending[id] = item
        self.flush()
        return item

    def flush(self) -> None:
        """Write what may be written now: one message of a room at a time, if order is kept."""
        busy = set[str]()
        for item in list(self.pending.values()):
            ordered = self.in_order and item.is_message and not item.is_proved
            if item.link is None and not item.paused and not (ordered and item.room in busy):
                self._write(item)
            if ordered and item.id in self.pending:
                busy.add(item.room)

    def _write(self, item: Pending) -> None:
        if (link := self.link(item.room)) is None:
            return
        now = self.timers.now()
        if item.first_at is None:
            if item.is_message and item.size > self.limit():
                self.fail(item, TooLarge(room=item.room, id=item.id))
                return
            item.first_at = now
            self.timers.set(item, "outcome", GIVEN_UP, lambda: self._give_up(item), anew=10.0)
        elif now - item.first_at >= GIVEN_UP:
            self._give_up(item)
            return
        item.link = link
        link.send(item.text)
        self.timers.set(item, "again", UNANSWERED, lambda: self._again(item))

    def _again(self, item: Pending) -> None:
        link, item.link = item.link, None
        item.tries += 1
        if not item.is_message and item.tries > 1 and link is not None:
            self.unanswered(link)
        self.flush()

    def _give_up(self, item: Pending) -> None:
        self.fail(item, OutcomeUnknown(room=item.room, id=item.id))

    def is_own(self, slot: dict[str, Any]) -> bool:
        """Whether a message is one of this client's; another one under its id is that of a member that has seen it."""
        key = slot["room"], slot.get("id", "")
        if key not in self.own or slot.get("void"):
            return False
        place = slot.get("mid"), slot.get("epoch"), slot.get("seq")
        self.own[key] = self.own[key] or place
        return self.own[key] == place

    def prove(self, frame: dict[str, Any], *, final: bool) -> None:
        """Take a sign that a message is stored: a receipt, or the own message, which is not final."""
        item = self.pending.get(frame.get("id", ""))
        if item is None or not item.is_message or frame.get("room", item.room) != item.room:
            return
        if not item.is_proved:
            item.answer.set_result(frames.receipt(frame, item.room))
        if final:
            self._forget(item)
        self.flush()

    def answer(self, id: str, value: object) -> None:  # noqa: A002 - the protocol's name
        """Take the answer to a question."""
        if (item := self.pending.get(id)) and not item.is_message:
            if not item.is_proved:
                item.answer.set_result(value)
            self._forget(item)

    def refused(self, error: RoomcastError) -> Pending | None:
        """Take an error for a message; returns what is left to be done about: joins, or another socket."""
        if (item := self.pending.get(error.id or "")) is None or error.room not in (None, item.room):
            return None
        if error.code in REPEATED:
            self._pause(item)
        elif error.code in {"not_joined", "token_expired"}:
            if item.failures:  # joining has not helped
                self._pause(item)
            item.link, item.failures = None, item.failures + 1
            self.timers.cancel(item, "again")
        else:
            self.fail(item, error)
        return item

    def _pause(self, item: Pending) -> None:
        def go_on() -> None:
            item.paused = False
            self.flush()

        item.link, item.paused = None, True
        self.timers.cancel(item, "again")
        self.timers.set(item, "pause", min(60.0, 2.0**item.failures), go_on)
        item.failures += 1

    def lost(self, link: Link, *, was_too_large: bool = False) -> None:
        """A socket is gone: what it carried goes on the next one, except what may have closed it."""
        for item in self._on(link):
            if was_too_large and item.is_message:
                self.fail(item, TooLarge(room=item.room, id=item.id))
            else:
                item.link, item.tries = None, 0
                self.timers.cancel(item, "again")

    def is_used(self, link: Link) -> bool:
        """Whether messages wait for answers on a socket."""
        return any(self._on(link))

    def _on(self, link: Link) -> Iterator[Pending]:
        return iter([item for item in self.pending.values() if item.link is link])

    def withdraw(self, item: Pending) -> None:
        """Take back what was not sent yet; the rest goes on in the background."""
        if item.first_at is None:
            self._forget(item)
            self.flush()

    def fail(self, item: Pending, error: RoomcastError) -> None:
        """End a message with an error."""
        self._forget(item)
        if not item.is_proved:
            item.answer.set_exception(error)
        self.flush()

    def fail_room(self, room: str | None, error: RoomcastError) -> None:
        """End all messages of a room, or all, with an error."""
        for item in list(self.pending.values()):
            if room in (None, item.room):
                self._forget(item)
                if not item.is_proved:
                    item.answer.set_exception(error)

    def _forget(self, item: Pending) -> None:
        self.timers.drop(item)
        if self.pending.get(item.id) is item:
            del self.pending[item.id]


def error_of(frame: dict[str, Any]) -> RoomcastError:
    """Return the error in an ``error`` frame."""
    kind = {"not_allowed": NotAllowed, "too_large": TooLarge}.get(frame["code"], RoomcastError)
    error = kind(frame.get("message", frame["code"]), code=frame["code"], room=frame.get("room"), id=frame.get("id"))
    error.request_id = frame.get("requestId")
    error.retryable = frame["code"] in REPEATED
    return error
