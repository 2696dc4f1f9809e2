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

ASIDE_SECONDS = 0.1
"""So long after the others stragglers get a first post: each later one is waited for, too, and the next batch with it.
Thousands that read are reached in that time. The others are so by the next run, which comes at once."""


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
        self._others = [share for share in shares if not share.stragglers.come_last]
        self._posts = posts
        self._throttle = throttle
        self._ends = 0.0
        self._reached = 0

    def is_over(self, now: float) -> bool:
        """Whether only stragglers have been left for long enough; to be asked several times a second.

        Args:
            now: The time, in seconds of ``time.monotonic``.
        """
        if self._seconds is None:
            return False
        # A task for stragglers alone is no sign of trouble that others have, too.
        left = sum(share.open for share in self._shares if not share.stragglers.presume_alone)
        reached = _reached(self._others or self._shares)
        is_trouble = self._throttle.general or (left and not _reached(self._shares))
        aside = self._posts.aside
        is_any_new = self._posts.is_any_new or (not self._others and aside.may_begin(now))
        if is_any_new or is_trouble:
            self._ends = 0.0
            aside.until = float("inf")
        elif not self._ends or (now >= self._ends and (reached - self._reached) * SHARE_OF_LEFT > left):
            if self._others and not self._ends:
                aside.until = now + ASIDE_SECONDS
            self._ends = now + self._seconds
            self._reached = reached
        else:
            return now >= self._ends
        return False


def _reached(shares: Sequence[Share]) -> int:
    return sum(share.report.delivered + share.report.gone for share in shares)
