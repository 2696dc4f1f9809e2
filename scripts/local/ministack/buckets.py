"""Token buckets: of a route of a stage, and of the whole account."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass
class Bucket:
    """A token bucket.

    Attributes:
        rate: Tokens added per second.
        burst: Capacity, and tokens at the start.
        clock: Returns the time in seconds; it never goes back.
    """

    rate: float
    burst: float
    clock: Callable[[], float] = time.monotonic
    tokens: float = field(init=False)
    filled_at: float = field(init=False)

    def __post_init__(self) -> None:
        self.tokens = self.burst
        self.filled_at = self.clock()

    def take(self) -> bool:
        """Take a token; return whether there was one."""
        now = self.clock()
        self.tokens = min(self.burst, self.tokens + (now - self.filled_at) * self.rate)
        self.filled_at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


def bucket(quota: str) -> Bucket | None:
    """Return the bucket of a quota, or None if it is empty, which means that there is no quota.

    Args:
        quota: Requests a second and the burst, as ``100:50``.

    Raises:
        ValueError: It has another form, or one of the numbers is not above 0.
    """
    if not quota:
        return None
    try:
        rate, burst = map(float, quota.split(":"))
    except ValueError:
        rate = burst = 0.0
    if not (0 < rate < float("inf") and 1 <= burst < float("inf")):
        raise ValueError(f"{quota!r} must be a rate above 0 and a burst of 1 at least, as 100:50")
    return Bucket(rate, burst)


@dataclass
class Account:
    """The quotas that all WebSocket APIs of an account share.

    Attributes:
        requests: For handshakes, messages of clients, ends of connections, and calls of ``@connections``; None for no
            quota.
        handshakes: For new connections, beside the former.
    """

    requests: Bucket | None
    handshakes: Bucket | None

    def admits_request(self) -> bool:
        """Whether a message or a call is admitted; it takes a token."""
        return self.requests is None or self.requests.take()

    def admits_handshake(self) -> bool:
        """Whether a handshake is admitted. One that exceeds its own quota takes no token of the other."""
        return (self.handshakes is None or self.handshakes.take()) and self.admits_request()
