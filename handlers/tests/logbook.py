"""History over the fakes: a clock, and processes that take one step at a time."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, TypeVar

from roomcast import settings
from roomcast.frames import Ask, Position
from roomcast.history import Draft, History, Sender
from tests.history_table import NAME, HistoryTable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from roomcast.history import Kept
    from roomcast.replay import Replay
    from roomcast.steps import Steps

    T = TypeVar("T")

FAR = float("inf")
START = 1_760_000_000.0
"""Seconds since 1970."""


class Clock:
    """A clock that stands until it is moved.

    Attributes:
        seconds: Since 1970.
    """

    def __init__(self) -> None:
        self.seconds = START

    def __call__(self) -> float:
        """The time."""
        return self.seconds


def finish(steps: Steps[T]) -> T:
    """Carry out all steps at once."""
    try:
        while True:
            next(steps)
    except StopIteration as end:
        result: T = end.value
        return result


class Logbook:
    """The log of one room, and execution environments that use it.

    Args:
        table: The history table; ``None`` for an empty one.
        configured: Settings of the first environment.

    Attributes:
        table: The history table.
        clock: Of every environment.
        history: An environment.
    """

    def __init__(self, table: HistoryTable | None = None, **configured: Any) -> None:
        self.table = table or HistoryTable()
        self.clock = Clock()
        self.history = self.environment(**configured)

    def environment(self, offset: float = 0.0, **configured: Any) -> History:
        """Another execution environment, whose clock is so many seconds ahead."""
        given = {"history_rooms": ("lobby",), "history_table_name": NAME, **configured}
        history = History(SETTINGS._replace(**given), lambda: self.clock() + offset)
        history._table._database = self.table  # type: ignore[assignment]
        return history

    def append(self, data: str = "hello", **options: Any) -> Kept:
        """Store a message."""
        return finish(append_steps(self.history, data, self.clock, **options))

    def since(self, epoch: str, seq: int, last: int | None = None) -> Replay:
        """Read what a client with a position gets."""
        return finish(self.history.since("lobby", Ask(Position(epoch, seq), last), FAR, FAR))

    def first(self, last: int | None = None) -> Replay:
        """Read what a client without a position gets."""
        return finish(self.history.since("lobby", Ask(None, last), FAR, FAR))

    def head(self) -> Mapping[str, Any]:
        """The room's head."""
        return self.table.items["head#lobby", "head"]

    def expire(self, *numbers: int) -> None:
        """Delete messages, as time to live would."""
        for key in [key for key in self.table.items if key[0].startswith("log#") and int(key[1]) in numbers]:
            del self.table.items[key]


SETTINGS = settings.from_environment()


def append_steps(
    history: History,
    data: str,
    clock: Clock,
    *,
    message_id: str = "",
    name: str = "",
    request_id: str = "",
    seconds: float = 20.0,
) -> Steps[Kept]:
    """Store a message in the lobby, in steps."""
    sender = Sender("client", name, message_id) if message_id else None
    draft = Draft(
        "lobby", name or "c1", int(clock() * 1000), data, id=message_id, request_id=request_id or os.urandom(8).hex()
    )
    return history.append(draft, sender, time.monotonic() + seconds)
