"""Posts to stragglers, for which no other member waits: they come last, not over all connections, and not too fast."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from roomcast.pacing import Throttle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from roomcast.pacing import Bucket
    from roomcast.shares import Post, Share

SHARE_OF_CONNECTIONS = 1 / 2
"""Stragglers that are silent hold theirs for a second or more, and other members may be read meanwhile."""


class Aside:
    """The posts to stragglers of a run that are not under way.

    Refusals of stragglers say nothing about other members, so they slow down stragglers alone.

    Args:
        shares: The messages.
        capacity: Gives how many posts may be under way at a time.
        bucket: The pace of all posts to stragglers.
        now: The time, in seconds of ``time.monotonic``.

    Attributes:
        fresh: First posts.
        again: Further ones, which are due.
        under_way: Those that are under way.
        until: When the last first post is sent, in seconds of ``time.monotonic``.
    """

    def __init__(self, shares: Sequence[Share], capacity: Callable[[], int], bucket: Bucket, now: float) -> None:
        self.fresh: deque[Post] = deque()
        self.again: deque[Post] = deque()
        self.until = float("inf")
        self._shares = [share for share in shares if share.stragglers.come_last]
        self._share = 1.0 if len(self._shares) == len(shares) else SHARE_OF_CONNECTIONS
        self._capacity = capacity
        self._bucket = bucket
        self._throttle = Throttle(bucket, now)
        self.under_way: set[Post] = set()

    def sendable(self, now: float) -> int:
        """How many may be sent now."""
        waiting = len(self.again) + (len(self.fresh) if now < self.until else 0)
        return min(waiting, self._room(now)) if waiting else 0

    def may_begin(self, now: float) -> bool:
        """Whether a first post may be sent now."""
        return bool(self.fresh) and now < self.until and self._room(now) > 0

    def _room(self, now: float) -> int:
        if self._bucket.wait(now):
            return 0
        limit = max(1, int(self._capacity() * self._share)) - len(self.under_way)
        return max(0, int(min(limit, self._bucket.tokens)))

    def take(self) -> Post:
        """Take one that may be sent now."""
        return self.again.popleft() if self.again else self.fresh.popleft()

    def sent(self, post: Post) -> None:
        """Note that one is under way."""
        self.under_way.add(post)
        self._bucket.take()

    def left_over(self) -> Iterator[Post]:
        """Take all of them."""
        for posts in (self.again, self.fresh):
            while posts:
                yield posts.popleft()

    def adapt(self, now: float) -> None:
        """Set the pace by the answers since the last call."""
        delivered = sum(share.report.delivered for share in self._shares)
        self._throttle.adapt(delivered, sum(share.report.throttled for share in self._shares), now)
