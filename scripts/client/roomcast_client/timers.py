"""One ticker for all deadlines, which are points in elapsed time."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

DAY = 86_400.0
"""Longest wait at once, in seconds."""
LATE = 5.0
"""Seconds after which a deadline that fires counts as slept through: frames may wait that prove the socket."""


class Clock(Protocol):
    """A source of time; tests scale it."""

    def now(self) -> float:
        """Monotonic seconds."""

    def wall(self) -> float:
        """Seconds since 1970."""

    async def sleep(self, seconds: float) -> None:
        """Sleep."""


class SystemClock:
    """The clock of this machine."""

    def now(self) -> float:
        """Return monotonic seconds."""
        return time.monotonic()

    def wall(self) -> float:
        """Return seconds since 1970."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Sleep."""
        await asyncio.sleep(seconds)


CLOCK = SystemClock()


class _Timer(NamedTuple):
    at: float
    action: Callable[[], None]
    anew: float


class Timers:
    """Deadlines by owner and name."""

    def __init__(self, clock: Clock, slept: Callable[[], None]) -> None:
        self._clock, self._slept = clock, slept
        self._monotonic, self._wall, self._elapsed = clock.now(), clock.wall(), 0.0
        self._timers: dict[tuple[object, str], _Timer] = {}
        self._sleep: asyncio.Timeout | None = None
        self._until = 0.0

    def now(self) -> float:
        """Return elapsed seconds by the clock that moved further: monotonic clocks stop while some systems sleep."""
        monotonic, wall = self._clock.now(), self._clock.wall()
        self._elapsed += max(monotonic - self._monotonic, wall - self._wall, 0.0)
        self._monotonic, self._wall = monotonic, wall
        return self._elapsed

    def set(
        self, owner: object, name: str, seconds: float, action: Callable[[], None], anew: float | None = None
    ) -> None:
        """Set a deadline. One that fires late is set once more in ``anew`` seconds (default ``seconds``; 0: never)."""
        at = self.now() + min(max(seconds, 0.0), DAY)
        self._timers[owner, name] = _Timer(at, action, seconds if anew is None else anew)
        if self._sleep is not None and at < self._until:
            self._sleep.reschedule(0)
            self._sleep = None

    def cancel(self, owner: object, name: str) -> None:
        """Remove a deadline, if it is set."""
        self._timers.pop((owner, name), None)

    def drop(self, owner: object) -> None:
        """Remove all deadlines of an owner."""
        for key in [key for key in self._timers if key[0] is owner]:
            del self._timers[key]

    def left(self, owner: object, name: str) -> float | None:
        """Return the seconds until a deadline; None if it is not set."""
        timer = self._timers.get((owner, name))
        return timer and timer.at - self.now()

    @asynccontextmanager
    async def within(self, seconds: float) -> AsyncIterator[None]:
        """Raise TimeoutError unless the context ends in time."""
        owner, loop = object(), asyncio.get_running_loop()
        async with asyncio.timeout(None) as timeout:
            self.set(owner, "within", seconds, lambda: timeout.reschedule(loop.time()))
            try:
                yield
            finally:
                self.cancel(owner, "within")

    async def run(self) -> None:
        """Fire deadlines for ever."""
        while True:
            self._until = min((timer.at for timer in self._timers.values()), default=self.now() + DAY)
            with suppress(TimeoutError):
                async with asyncio.timeout(None) as self._sleep:
                    await self._clock.sleep(min(max(self._until - self.now(), 0.0), DAY))
            self._sleep = None
            self._fire()

    def _fire(self) -> None:
        now, slept = self.now(), False
        due = [(key, timer) for key, timer in self._timers.items() if timer.at <= now]
        for key, timer in sorted(due, key=lambda each: each[1].at):
            if self._timers.get(key) is not timer:  # an action before it has changed it
                continue
            del self._timers[key]
            if now - timer.at > LATE and timer.anew:
                slept = True
                self.set(*key, timer.anew, timer.action)
            else:
                timer.action()
        if slept:
            self._slept()
