"""The posts of a run that are not under way: recipients read ahead, and posts that wait for another try."""

from __future__ import annotations

import heapq
from collections import deque
from typing import TYPE_CHECKING

from roomcast.lanes import Lanes
from roomcast.reading import ALL_AT_ONCE, AT_ONCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from roomcast.aside import Aside
    from roomcast.reading import Watch
    from roomcast.shares import Post, Share
    from roomcast.verdicts import Outcome

LOOK_AHEAD = 1_000
"""Recipients read at a time."""

TURN = 100
"""The same of each message in turn while several are served: few enough that a large room holds up no other."""

MAXIMUM_WAITING = 5_000
"""No further recipients are read while so many posts wait for another try: memory must not grow with the room."""


class Posts:
    """Posts still to be sent, recipients without a try first.

    Args:
        shares: The messages.
        sockets: Watches the connections to the database.
        conclude: Called with a post that has the outcome of an earlier message to the same member.
        aside: Posts to stragglers.

    Attributes:
        fresh: Posts of recipients that were read and not posted to, but those to stragglers.
        again: A heap of posts to be tried again: when, which first, post.
        aside: Posts to stragglers.
    """

    def __init__(
        self, shares: Sequence[Share], sockets: Watch, conclude: Callable[[Post, Outcome], None], aside: Aside
    ) -> None:
        self.fresh: deque[Post] = deque()
        self.aside = aside
        self.again: list[tuple[float, int, Post]] = []
        self._number = 0
        self._sockets = sockets
        self._conclude = conclude
        self._lanes = Lanes() if len(shares) > 1 else None
        self._limit = LOOK_AHEAD if len(shares) == 1 else TURN
        self._reading: deque[Share] = deque()
        self._pending: list[Share] = []
        orders: dict[str, deque[Share]] = {}
        for share in shares:
            if share.order:
                orders.setdefault(share.order, deque()).append(share)
            else:
                self._pending.append(share)
        self._orders = list(orders.values())
        # Of an order, one message at a time is read.
        read_at_once = len(self._orders) + len(self._pending)
        self._parts = max(1, min(AT_ONCE, ALL_AT_ONCE // max(1, read_at_once)))
        for order in self._orders:
            self._begin(order[0])
        self._begin_ready()

    @property
    def is_reading(self) -> bool:
        """Whether a message has further recipients, or waits for another one's to be read."""
        return bool(self._reading or self._pending)

    @property
    def is_any_new(self) -> bool:
        """Whether a recipient that is no straggler is to be read, or was not posted to."""
        return bool(self.fresh) or any(not share.stragglers.come_last for share in (*self._reading, *self._pending))

    @property
    def is_over(self) -> bool:
        """Whether no post is left to be sent."""
        return not (self.is_unposted or self.again or self.is_reading)

    @property
    def is_unposted(self) -> bool:
        """Whether recipients that were read have not been posted to."""
        return bool(self.fresh or self.aside.fresh or self.aside.again)

    def next(self, now: float) -> Post | None:
        """Take the next post that may be sent now."""
        fresh, again = self.fresh, self.again
        if not fresh:
            self.pull()
        # A first try comes before any retry.
        while fresh:
            post = fresh.popleft()
            if self._lanes is None or self._may_go(self._lanes, post):
                return post
        while again and again[0][0] <= now:
            post = heapq.heappop(again)[2]
            if not post.share.stragglers.come_last:
                return post
            self.aside.again.append(post)
        return self._next_aside(now)

    def _next_aside(self, now: float) -> Post | None:
        aside = self.aside
        while aside.sendable(now):
            is_first = not aside.again
            post = aside.take()
            if not is_first or self._lanes is None or self._may_go(self._lanes, post):
                aside.sent(post)
                return post
        return None

    def _may_go(self, lanes: Lanes, post: Post) -> bool:
        """Whether no earlier message to the same member is unsettled, or has decided the outcome."""
        outcome = lanes.closed(post)
        if outcome is None:
            return lanes.enter(post)
        self._conclude(post, outcome)
        return False

    def pull(self) -> None:
        """Read more recipients once all that were read are under way, also of messages once their turn has come."""
        is_any_settled = True
        while is_any_settled:
            for order in self._orders:
                if len(order) > 1 and order[0].leaves_few():
                    order.popleft()
                    self._begin(order[0])
            if self._pending:
                self._begin_ready()
            # With no post under way, no answer would begin the next one of its order.
            is_any_settled = self.read()

    def read(self) -> bool:
        """Read some more recipients of the messages that have begun; gives whether that settles one of them."""
        is_any_settled = False
        for share in list(self._reading):
            if len(self.again) >= MAXIMUM_WAITING:
                break
            posts = self.aside.fresh if share.stragglers.come_last else self.fresh
            if posts:
                continue
            share.take(posts, self._limit)
            self._reading.remove(share)
            if not share.exhausted:
                self._reading.append(share)
            elif not share.open:
                is_any_settled = True
        return is_any_settled

    def due(self, now: float) -> float:
        """When to try a post again, or to read on, at the latest; in seconds of ``time.monotonic``."""
        # A post that has been due already waits for a connection.
        until = self.again[0][0] if self.again and now < self.again[0][0] else float("inf")
        if self._reading and not self.fresh:
            reads = [share.reading.until for share in self._reading if share.reading is not None]
            return min([until, *reads])
        return until

    def cut(self) -> None:
        """Ask for no further recipients; those that were read stay."""
        self._pending.clear()
        for share in self._reading:
            share.cut()

    def stop(self, share: Share) -> list[Post]:
        """Read no further recipient of a message; gives the posts of those that were read."""
        share.stop()
        if share in self._reading:
            self._reading.remove(share)
        queue = self.aside.fresh if share.stragglers.come_last else self.fresh
        posts = list(queue)
        queue.clear()
        queue.extend(post for post in posts if post.share is not share)
        return [post for post in posts if post.share is share]

    def leave_ahead(self) -> None:
        """Give up the recipients that the loop has read ahead; those of iterables are still to be read."""
        self._pending.clear()
        for share in [each for each in self._reading if each.reading is not None]:
            share.stop()
            self._reading.remove(share)

    def left_over(self) -> Iterator[Post]:
        """Take the posts of recipients that were read and not posted to."""
        while self.fresh:
            yield self.fresh.popleft()
        yield from self.aside.left_over()

    def settled(self, post: Post, outcome: Outcome | None, now: float) -> None:
        """Note the outcome of a post; ``None`` is a delivery."""
        share = post.share
        share.open -= 1
        if not share.open:
            share.settled_at = now
        if self.aside.under_way:
            self.aside.under_way.discard(post)
        if self._lanes is not None:
            for following in self._lanes.leave(post, outcome):
                closed = self._lanes.closed(following)
                if closed is None:
                    following.is_behind = True
                    self._put_back(following, 0.0)
                else:
                    self._conclude(following, closed)

    def retry(self, post: Post, when: float) -> None:
        """Put a post back.

        Args:
            post: The post.
            when: Not to be sent earlier, in seconds of ``time.monotonic``.
        """
        post.share.report.retried += 1
        if self.aside.under_way:
            self.aside.under_way.discard(post)
        self._put_back(post, when)

    def sendable(self, now: float) -> int:
        """Posts that may be sent now; of those due again, all or none count, because the heap knows only the first."""
        due = bool(self.again) and self.again[0][0] <= now
        return len(self.fresh) + (len(self.again) if due else 0) + self.aside.sendable(now)

    def left(self, now: float) -> int:
        """Posts still to be sent, of those to stragglers as many as may be sent now."""
        unread = sum(share.unread() for share in self._reading if not share.stragglers.come_last)
        return len(self.fresh) + len(self.again) + unread + self.aside.sendable(now)

    def expected(self) -> int:
        """Posts to recipients that are being read in the engine's loop."""
        return sum(share.reading.expected for share in self._reading if share.reading is not None)

    def _begin_ready(self) -> None:
        ready = [share for share in self._pending if share.is_ready()]
        self._pending = [share for share in self._pending if share not in ready]
        for share in ready:
            self._begin(share)

    def _begin(self, share: Share) -> None:
        share.begin(self._sockets, self._parts)
        self._reading.append(share)

    def _put_back(self, post: Post, when: float) -> None:
        self._number += 1
        # The number keeps posts of one moment in order, and the heap from comparing them.
        heapq.heappush(self.again, (when, self._number, post))
