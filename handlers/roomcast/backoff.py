"""Pauses between tries."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def backoff_seconds(attempt: int, *, base: float, cap: float, random: Callable[[], float]) -> float:
    """How long to wait before the next try: full jitter over an exponentially growing range.

    See "Exponential Backoff And Jitter" in the AWS architecture blog.

    Args:
        attempt: How many tries have failed, from 1.
        base: Upper end of the first wait, in seconds.
        cap: Upper end of any wait, in seconds.
        random: Gives numbers of [0, 1), such as ``random.random``.
    """
    return random() * min(cap, base * 2.0 ** min(attempt - 1, 32))
