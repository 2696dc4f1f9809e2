"""Deadlines, all scaled by one environment variable so that a slow machine needs no edit."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")

TIMEOUT_FACTOR = float(os.environ.get("TIMEOUT_FACTOR", "1"))


def scaled(seconds: float) -> float:
    """Return ``seconds`` multiplied by the environment variable ``TIMEOUT_FACTOR`` (default 1)."""
    return seconds * TIMEOUT_FACTOR


async def eventually(observe: Callable[[], Awaitable[T]], expected: T, *, within: float, every: float = 0.1) -> None:
    """Observe again and again until the observation equals what is expected.

    Args:
        observe: Asynchronous observation without side effects, for example a table read.
        expected: The value that ends the wait.
        within: Seconds before giving up; scaled by ``TIMEOUT_FACTOR``.
        every: Seconds between two observations.

    Raises:
        AssertionError: The deadline passed; the message shows the last observation.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + scaled(within)
    while (observed := await observe()) != expected:
        if loop.time() > deadline:
            raise AssertionError(f"after {scaled(within):g} s: expected {expected!r}, still observed {observed!r}")
        await asyncio.sleep(every)
