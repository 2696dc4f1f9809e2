"""Calls in steps: a generator that yields each wait, so that one loop can drive many calls at a time."""

from __future__ import annotations

import select
import selectors
import time
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

T = TypeVar("T")
Item = TypeVar("Item")

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence
    from typing import Self

    from roomcast.connection import Connection

    Steps = Generator["Wait", bool, T]
    """Yields waits, is sent whether the connection became ready in time, and returns the result."""


class Wait(NamedTuple):
    """The connection or the moment that a call waits for.

    Attributes:
        connection: The connection that must become ready for its ``interest``; ``None`` for a pause.
        until: When to go on at the latest, in seconds of ``time.monotonic``.
    """

    connection: Connection | None
    until: float


class Begun(Generic[Item, T]):
    """A call, or one that reads pages, which goes on while another call waits. Left as a context, it is closed.

    Args:
        steps: The call, which begins at once.
    """

    def __init__(self, steps: Generator[Item, bool, T]) -> None:
        self._steps = steps
        self._items: list[Item] = []
        self._end: StopIteration | Exception | None = None
        self.go_on(None)

    @property
    def wait(self) -> Wait | None:
        """What it waits for; ``None`` once its result, its first page or its error is there."""
        return next((item for item in self._items if isinstance(item, Wait)), None)

    def go_on(self, is_ready: bool | None) -> None:
        """Go on: the connection is ready, or the time is over; ``None`` to begin."""
        self._items = []
        try:
            self._items.append(next(self._steps) if is_ready is None else self._steps.send(is_ready))
        except Exception as end:  # noqa: BLE001 - raised where the result is wanted
            self._end = end

    def rest(self) -> Generator[Item, bool, T]:
        """The call, from where it is."""
        with self:
            while self.wait is not None:
                self.go_on((yield self._items[0]))
            if isinstance(self._end, StopIteration):
                result: T = self._end.value
                return result
            if self._end is not None:
                raise self._end
            yield self._items[0]
            return (yield from self._steps)

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it: an interrupt, or a fault of another call, must not leave the answer to the next call."""
        self._items = []
        self._steps.close()


def drive(steps: Steps[T], beside: Iterable[Begun[Any, Any]] = ()) -> T:
    """Carry out a call, waiting where it waits.

    Args:
        steps: The call.
        beside: These go on while it waits, and may be left waiting.
    """
    try:
        wait = next(steps)
        while True:
            wait = steps.send(_together(wait, beside))
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        # An interrupt while waiting must not leave the answer to the next call.
        steps.close()


def each(pages: Generator[Wait | list[T], bool, None]) -> Iterator[T]:
    """Yield the items that a call reads page by page, waiting where it waits."""
    ready = False
    try:
        item = next(pages)
        while True:
            if isinstance(item, Wait):
                ready = now(item)
            else:
                yield from item
            item = pages.send(ready)
    except StopIteration:
        return


def collect(pages: Generator[Wait | list[T], bool, None]) -> Steps[list[T]]:
    """Gather all that a call reads page by page, for a loop that waits."""
    found: list[T] = []
    is_ready = False
    try:
        item = next(pages)
        while True:
            if isinstance(item, Wait):
                is_ready = yield item
            else:
                found += item
            item = pages.send(is_ready)
    except StopIteration:
        return found
    finally:
        pages.close()


def now(wait: Wait) -> bool:
    """Wait; false if the time is over before the connection is ready."""
    if wait.connection is None:
        time.sleep(max(0.0, wait.until - time.monotonic()))
        return False
    return bool(_ready([wait]))


def _together(wait: Wait, beside: Iterable[Begun[Any, Any]]) -> bool:
    """As ``now``; the others go on meanwhile."""
    while waits := [(each, each.wait) for each in beside if each.wait is not None]:
        ready = _ready([wait, *(other for _, other in waits)])
        moment = time.monotonic()
        for each, other in waits:
            if other.connection in ready or other.until <= moment:
                each.go_on(other.connection in ready)
        if wait.connection in ready:
            return True
        if wait.until <= moment:
            return False
    return now(wait)


def _ready(waits: Sequence[Wait]) -> set[Connection | None]:
    """Wait for the first of these waits to end; gives the connections that became ready in time."""
    poll = select.poll()
    connections: dict[int, Connection] = {}
    for connection, _ in waits:
        if connection is not None:
            connections[connection.fileno()] = connection
            interest = connection.interest
            events = (select.POLLIN if interest & selectors.EVENT_READ else 0) | (
                select.POLLOUT if interest & selectors.EVENT_WRITE else 0
            )
            poll.register(connection, events)
    remaining = min(until for _, until in waits) - time.monotonic()
    return {connections[descriptor] for descriptor, _ in poll.poll(remaining * 1000)} if remaining > 0 else set()
