"""A clock for clients whose hours a test cannot wait for."""

from __future__ import annotations

import asyncio


class ScaledClock:
    """A clock on which a protocol second lasts ``scale`` seconds of the event loop."""

    def __init__(self, scale: float) -> None:
        self._scale = scale

    def now(self) -> float:
        """Return monotonic protocol seconds."""
        return asyncio.get_running_loop().time() / self._scale

    def wall(self) -> float:
        """Return protocol seconds; the client compares its two clocks, whatever they begin with."""
        return self.now()

    async def sleep(self, seconds: float) -> None:
        """Sleep protocol seconds."""
        await asyncio.sleep(seconds * self._scale)
