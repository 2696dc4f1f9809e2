"""Waits with deadlines, which one environment variable scales for slow machines, and progress lines of long waits."""

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
"""Seconds before the first line about a wait: a terminal that is silent for longer looks stuck."""
TOLD_EVERY = 30.0
"""Seconds between lines about a wait: some 20 lines for the longest, ten minutes for CloudWatch's metrics."""
LONGEST_OBSERVATION = 120
"""Maximum characters of an observation in a line."""


def factor_of(text: str) -> float:
    """Parse the value of ``TIMEOUT_FACTOR``.

    Raises:
        SystemExit: The text is not a positive number.
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
    """Prints lines about waits that take long.

    Hundreds of clients may wait at the same time, mostly for the same event. A line names the oldest wait and counts
    the others.

    Attributes:
        show: Prints a line; None without a terminal.
    """

    def __init__(self) -> None:
        self.show: Callable[[str], None] | None = None
        self._waits: dict[int, tuple[float, float, Callable[[], str]]] = {}
        self._keys = itertools.count()
        self._timer: asyncio.TimerHandle | None = None

    @contextmanager
    def of(self, what: Callable[[], str], within: float) -> Iterator[None]:
        """Print lines while the context lasts, if it takes long.

        Args:
            what: Returns the words after "waiting for"; called once per line.
            within: Deadline of the wait, in seconds.
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
        if waited < TOLD_AFTER:  # the timer was set for an older wait, which is over
            self._timer = loop.call_later(TOLD_AFTER - waited, self._tell)
            return
        others = f", and {len(self._waits) - 1} more waits" if len(self._waits) > 1 else ""
        if self.show is not None:
            self.show(f"waiting for {what()}: {waited:.0f} s of at most {within:.0f} s{others}")
        self._timer = loop.call_later(TOLD_EVERY, self._tell)


long_waits = LongWaits()
waiting_for = long_waits.of


def result_of(future: Future[T], what: str) -> T:
    """Wait for a future with progress lines; return its result or raise its exception.

    Args:
        future: Work of another thread.
        what: The words after "waiting for".
    """
    began_at = time.monotonic()
    while True:
        try:
            return future.result(TOLD_AFTER)
        except TimeoutError:
            if future.done():  # the work's own TimeoutError
                raise
            if long_waits.show is not None:
                long_waits.show(f"waiting for {what}: {time.monotonic() - began_at:.0f} s")


async def eventually(
    observe: Callable[[], Awaitable[T]], expected: T, *, within: float, every: float = 0.1, what: str = "a condition"
) -> None:
    """Repeat an observation until it equals the expected value.

    Args:
        observe: Asynchronous observation without side effects, for example a table read.
        expected: The value that ends the wait.
        within: Deadline in seconds; scaled by ``TIMEOUT_FACTOR``.
        every: Seconds between two observations.
        what: The words after "waiting for" in progress lines.

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
    """Return the ``repr`` of a value, cut to ``LONGEST_OBSERVATION`` characters."""
    text = repr(value)
    return text if len(text) <= LONGEST_OBSERVATION else f"{text[:LONGEST_OBSERVATION]}..."
