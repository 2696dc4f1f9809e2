"""The connections that a run opens: for posts that wait for one, or for the next message."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomcast.addresses import TransportError, UnresolvedError
from roomcast.pool import LOOK_UP_CHECK_SECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roomcast.pacing import Bucket
    from roomcast.pool import Pool
    from roomcast.posts import Posts
    from roomcast.shares import Share


class Opener:
    """Decides for one run, and opens them.

    Args:
        pool: The connections.
        posts: Posts still to be sent.
        bucket: The pace.
        shares: The messages.
    """

    def __init__(self, pool: Pool, posts: Posts, bucket: Bucket, shares: Sequence[Share]) -> None:
        self._pool = pool
        self._posts = posts
        self._bucket = bucket
        self._shares = shares

    def is_due(self, now: float) -> bool:
        """Whether to open another connection now, in seconds of ``time.monotonic``."""
        return self.pays(now) or self._may_grow(now)

    def pays(self, now: float) -> bool:
        """Whether the posts that wait are sent sooner with another connection."""
        pool = self._pool
        if pool.idle or not pool.may_open() or not pool.another_pays(self._posts.left(now)):
            return False
        # Those that are being read have come before the connection is made.
        posts = self._posts.sendable(now) + self._posts.expected()
        return posts > pool.connecting * pool.streams and now >= pool.open_not_before and not self._bucket.wait(now)

    def _may_grow(self, now: float) -> bool:
        """Whether to open a connection for the next message while the last answers of this one are waited for."""
        posts, pool = self._posts, self._pool
        if not posts.is_over or self._bucket.limited or now < pool.open_not_before:
            return False
        idle_seconds = pool.sent_at + pool.latency - now
        return idle_seconds > 0 and pool.may_grow(sum(share.read for share in self._shares), idle_seconds)

    def open(self, now: float, stop_at: float) -> bool:
        """Begin to open a connection; false if none can be made any more.

        Args:
            now: Seconds of ``time.monotonic``.
            stop_at: The run's end, the same.
        """
        pool = self._pool
        # With nothing else to do, this may wait for the resolver.
        wait_until = now if pool.under_way or pool.connecting else stop_at
        try:
            pool.open(wait_until)
        except UnresolvedError as error:
            if wait_until > now:
                self._note(error)
            pool.open_not_before = now + LOOK_UP_CHECK_SECONDS
        except (OSError, TransportError) as error:
            return self.is_worth_a_try_after(error, now)
        return True

    def is_worth_a_try_after(self, error: Exception, now: float) -> bool:
        """Note that a connection was not made; gives whether to try another one."""
        self._note(error)
        return self._pool.not_opened(error, now)

    def _note(self, error: Exception) -> None:
        for share in self._shares:
            share.report.note(str(error))
