"""Deadlines, all scaled by one environment variable so that a slow machine needs no edit, and what is waited for."""

from __future__ import annotations

import asyncio
import itertools
import math
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from concurrent.futures import Future

T = TypeVar("T")

TOLD_AFTER = 10.0
"""Seconds of silence before a wait is told of; a person doubts a terminal that shows nothing for longer."""
TOLD_EVERY = 30.0
"""Seconds between two lines about the same wait: some 20 in the longest, ten minutes for CloudWatch's metrics."""
LONGEST_OBSERVATION = 120
"""Characters of an observation that a line shows."""


def factor_of(text: str) -> float:
    """Return the factor that ``TIMEOUT_FACTOR`` holds.

    Raises:
        SystemExit: It is not a positive number.
    """
    try:
        factor = float(text)
    except ValueError:
        factor = math.nan
    if not (0 < factor < math.inf):
        raise SystemExit(f"TIMEOUT_FACTOR must be a number above 0, which {text!r} is not")
    return factor


TIMEOUT_FACTOR = factor_of(os.environ.get("TIMEOUT_FACTOR") or "1")


def scaled(seconds: float) -> float:
    """Return ``seconds`` multiplied by the environment variable ``TIMEOUT_FACTOR`` (default 1)."""
    return seconds * TIMEOUT_FACTOR


class LongWaits:
    """Tells on the terminal what is being waited for, once it takes long.

    Hundreds of clients wait at the same time, mostly for the same: a line tells of the oldest wait and counts the
    others.

    Attributes:
        show: Given each line; None where no person looks on.
    """

    def __init__(self) -> None:
        self.show: Callable[[str], None] | None = None
        self._waits: dict[int, tuple[float, float, Callable[[], str]]] = {}
        self._keys = itertools.count()
        self._timer: asyncio.TimerHandle | None = None

    @contextmanager
    def of(self, what: Callable[[], str], within: float) -> Iterator[None]:
        """Tell of a wait if it takes long.

        Args:
            what: Called for the words that follow "waiting for" when a line is written.
            within: Seconds after which it is given up.
        """
        if self.show is None:
            yield
            return
        key = next(self._keys)
        self._waits[key] = (time.monotonic(), within, what)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(TOLD_AFTER, self._tell)
        try:
            yield
        finally:
            del self._waits[key]
            if not self._waits and self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def _tell(self) -> None:
        began_at, within, what = next(iter(self._waits.values()))
        loop, waited = asyncio.get_running_loop(), time.monotonic() - began_at
        if waited < TOLD_AFTER:  # the wait that the timer was set for is over, and this one is younger
            self._timer = loop.call_later(TOLD_AFTER - waited, self._tell)
            return
        others = f", and {len(self._waits) - 1} more waits" if len(self._waits) > 1 else ""
        if self.show is not None:
            self.show(f"waiting for {what()}: {waited:.0f} s of at most {within:.0f} s{others}")
        self._timer = loop.call_later(TOLD_EVERY, self._tell)


long_waits = LongWaits()
waiting_for = long_waits.of


def result_of(future: Future[T], what: str) -> T:
    """Wait for what another thread does, telling of it while it lasts; return its result or raise its error.

    Args:
        future: Stands for what the other thread does.
        what: The words that follow "waiting for".
    """
    began_at = time.monotonic()
    while True:
        try:
            return future.result(TOLD_AFTER)
        except TimeoutError:
            if future.done():
                raise
            if long_waits.show is not None:
                long_waits.show(f"waiting for {what}: {time.monotonic() - began_at:.0f} s")


async def eventually(
    observe: Callable[[], Awaitable[T]], expected: T, *, within: float, every: float = 0.1, what: str = "a condition"
) -> None:
    """Observe again and again until the observation equals what is expected.

    Args:
        observe: Asynchronous observation without side effects, for example a table read.
        expected: The value that ends the wait.
        within: Seconds before giving up; scaled by ``TIMEOUT_FACTOR``.
        every: Seconds between two observations.
        what: What is waited for, for the line that tells of a long wait.

    Raises:
        AssertionError: The deadline passed; the message shows the last observation.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + scaled(within)
    observed: object = None

    def progress() -> str:
        return f"{what} (expected {shortened(expected)}, observed {shortened(observed)})"

    with waiting_for(progress, scaled(within)):
        while (observed := await observe()) != expected:
            if loop.time() > deadline:
                raise AssertionError(f"after {scaled(within):g} s: expected {expected!r}, still observed {observed!r}")
            await asyncio.sleep(every)


def shortened(value: object) -> str:
    """Return a value as code, cut where it would fill the terminal."""
    text = repr(value)
    return text if len(text) <= LONGEST_OBSERVATION else f"{text[:LONGEST_OBSERVATION]}..."
