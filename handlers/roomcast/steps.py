"""Calls in steps: a generator that yields each wait, so that one loop can drive many calls at a time."""

from __future__ import annotations

import contextlib
import select
import selectors
import time
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from roomcast.connection import Connection

    T = TypeVar("T")
    U = TypeVar("U")
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


def drive(steps: Steps[T]) -> T:
    """Carry out a call, waiting where it waits."""
    try:
        wait = next(steps)
        while True:
            wait = steps.send(now(wait))
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        # An interrupt while waiting must not leave the answer to the next call.
        steps.close()


def beside(steps: Steps[T], other: Callable[[], U]) -> tuple[T, U]:
    """Carry out a call over its own connection while another one is carried out; gives both results.

    Args:
        steps: The call, whose request is sent before the other one.
        other: The other call.
    """
    try:
        wait = next(steps)
    except StopIteration as end:
        return end.value, other()
    # An interrupt, or a fault of the other call, must not leave the answer to the next call.
    with contextlib.closing(steps):
        found = other()
        try:
            while True:
                wait = steps.send(now(wait))
        except StopIteration as end:
            return end.value, found


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
    remaining = wait.until - time.monotonic()
    if wait.connection is None:
        time.sleep(max(0.0, remaining))
        return False
    poll = select.poll()
    interest = wait.connection.interest
    events = (select.POLLIN if interest & selectors.EVENT_READ else 0) | (
        select.POLLOUT if interest & selectors.EVENT_WRITE else 0
    )
    poll.register(wait.connection, events)
    return remaining > 0 and bool(poll.poll(remaining * 1000))
