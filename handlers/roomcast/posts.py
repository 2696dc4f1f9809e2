"""The posts of a fan-out that are not under way: recipients read ahead, and posts that wait for another try."""

from __future__ import annotations

import heapq
import operator
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING

from roomcast.judge import Post

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from roomcast.recipients import Recipient

LOOK_AHEAD = 1_000
"""Recipients read at a time."""

MAXIMUM_WAITING = 5_000
"""No further recipients are read while so many posts wait for another try: memory must not grow with the room."""


class Posts:
    """Posts still to be sent, recipients without a try first.

    Args:
        recipients: Read as posts are sent.

    Attributes:
        fresh: Recipients that were read and not posted to.
        again: A heap of posts to be tried again: when, which first, post.
        read: Recipients read so far.
        retried: Posts put back by ``retry`` so far.
        exhausted: Whether no further recipient will be read.
        complete: Whether those read so far are, or may still be followed by, all there are.
        error: The exception that reading raised.
    """

    def __init__(self, recipients: Iterable[Recipient]) -> None:
        self.fresh: deque[Recipient] = deque()
        self.again: list[tuple[float, int, Post]] = []
        self.read = 0
        self.retried = 0
        self.exhausted = False
        self.complete = True
        self.error: Exception | None = None
        self._source: Iterator[Recipient] = iter(recipients)

    def next(self, now: float) -> Post | None:
        """Take the next post that may be sent now."""
        if not self.fresh:
            self.pull()
        # A first try comes before any retry.
        if self.fresh:
            return Post(self.fresh.popleft())
        if self.again and self.again[0][0] <= now:
            return heapq.heappop(self.again)[2]
        return None

    def pull(self) -> None:
        """Read some more recipients once all that were read are under way."""
        if self.fresh or self.exhausted or len(self.again) >= MAXIMUM_WAITING:
            return
        try:
            # Not through a list: recipients that come before an exception must be kept.
            self.fresh.extend(islice(self._source, LOOK_AHEAD))
            self.exhausted = len(self.fresh) < LOOK_AHEAD
        except Exception as error:  # noqa: BLE001 - the engine raises it when the recipients read so far are served
            self.error = error
            self.stop()
        self.read += len(self.fresh)

    def stop(self) -> None:
        """Read no further recipient."""
        self.complete = self.complete and self.exhausted
        self.exhausted = True

    def retry(self, post: Post, when: float) -> None:
        """Put a post back.

        Args:
            post: The post.
            when: Not to be sent earlier, in seconds of ``time.monotonic``.
        """
        self.retried += 1
        # The number keeps posts of one moment in order, and the heap from comparing them.
        heapq.heappush(self.again, (when, self.retried, post))

    def sendable(self, now: float) -> int:
        """Posts that may be sent now; of those due again, all or none count, because the heap knows only the first."""
        due = bool(self.again) and self.again[0][0] <= now
        return len(self.fresh) + (len(self.again) if due else 0)

    def left(self) -> int:
        """Posts still to be sent; an iterable without a length hint counts as many again as were read."""
        left = len(self.fresh) + len(self.again)
        if not self.exhausted:
            left += operator.length_hint(self._source, self.read)
        return left
