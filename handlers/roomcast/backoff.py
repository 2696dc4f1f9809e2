"""Pauses between tries, and chance: what is drawn must differ between functions that begin from one snapshot."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

RANDOM = random.SystemRandom()
"""Asks the system for each number. The generator of ``random`` is seeded at import, so all functions that SnapStart
restores would make the same pauses and orders
(https://docs.aws.amazon.com/lambda/latest/dg/snapstart-uniqueness.html)."""


def backoff_seconds(attempt: int, *, base: float, cap: float, random: Callable[[], float]) -> float:
    """How long to wait before the next try: full jitter over an exponentially growing range.

    See "Exponential Backoff And Jitter" in the AWS architecture blog.

    Args:
        attempt: How many tries have failed, from 1.
        base: Upper end of the first wait, in seconds.
        cap: Upper end of any wait, in seconds.
        random: Gives numbers of [0, 1), such as ``RANDOM.random``.
    """
    return random() * min(cap, base * 2.0 ** min(attempt - 1, 32))
