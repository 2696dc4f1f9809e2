"""When a run stops waiting for its last few recipients."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roomcast.pacing import Throttle
    from roomcast.posts import Posts
    from roomcast.shares import Share

SHARE_OF_LEFT = 4
"""While more than a fourth as many are reached in that time as are left, the service is slow. Else those left have
trouble of their own, however many they are."""


class Patience:
    """Decides for one run.

    Args:
        seconds: How long stragglers are waited for once the others have been reached; ``None`` for no limit.
        shares: The messages.
        posts: Posts still to be sent.
        throttle: Whether throttling is general.
    """

    def __init__(self, seconds: float | None, shares: Sequence[Share], posts: Posts, throttle: Throttle) -> None:
        self._seconds = seconds
        self._shares = shares
        self._posts = posts
        self._throttle = throttle
        self._ends = 0.0
        self._reached = 0

    def is_over(self, delivered: int, now: float) -> bool:
        """Whether only stragglers have been left for long enough; to be asked several times a second.

        Args:
            delivered: Deliveries of the run.
            now: The time, in seconds of ``time.monotonic``.
        """
        if self._seconds is None:
            return False
        reached = delivered + sum(share.report.gone for share in self._shares)
        # A task for stragglers alone is no sign of trouble that others have, too.
        left = sum(share.open for share in self._shares if not share.stragglers.presume_alone)
        is_trouble = self._throttle.general or (left and not reached)
        if self._posts.is_reading or self._posts.fresh or is_trouble:
            self._ends = 0.0
        elif not self._ends or (now >= self._ends and (reached - self._reached) * SHARE_OF_LEFT > left):
            self._ends = now + self._seconds
            self._reached = reached
        else:
            return now >= self._ends
        return False
