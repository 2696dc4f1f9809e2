"""The event loop of a run: messages served side by side, from their first recipient to their last answer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from roomcast.addresses import TransportError, TrustWidenedError, UnresolvedError
from roomcast.http_parser import ProtocolError, Response, empty_success
from roomcast.judge import Judge
from roomcast.pacing import Throttle
from roomcast.pool import LOOK_UP_CHECK_SECONDS
from roomcast.posts import Posts
from roomcast.verdicts import Answer, Outcome, answer_of, retry_after

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roomcast.pacing import Bucket
    from roomcast.pool import Line, Pool
    from roomcast.recipients import Report
    from roomcast.shares import Post, Share

REFUSALS_TO_STOP = 150
"""After so many refusals that no retry can change, such as 403, and nothing else, the others would be refused too."""

LAST_ANSWER_SECONDS = 0.75
"""Minimum age of a post that is given up because ``patience`` ended: its copy may be delivered already. API Gateway
answers within hundredths of a second, and the next batch of a room in order waits meanwhile."""

FEW = 20
"""At most so many recipients that are left have trouble of their own, when any other was reached. Of more than were
reached, the trouble is the service's."""

STUCK_SECONDS = 0.5
"""A connection that has waited so long for an answer does not count when the pool asks whether another one pays."""

RESERVE_SECONDS = 0.5
"""Time left until the deadline when the last posts are given up, so that the caller can say so; at most a tenth."""

CHECK_SECONDS = 0.1
"""Pause between checks for time-outs, stragglers and the share of throttled posts."""

UNREQUESTED = "the server sent an answer without a request"


class Run:
    """Messages that are served side by side.

    Args:
        pool: The connections.
        bucket: The pace.
        shares: The messages.
        deadline: Latest end, in seconds of ``time.monotonic``.
        patience: When the others have been reached, seconds to wait for the last few, which are late then; ``None`` to
            wait until the deadline.
    """

    def __init__(
        self, pool: Pool, bucket: Bucket, shares: Sequence[Share], deadline: float, patience: float | None
    ) -> None:
        self._started = time.monotonic()
        self._reserve = min(RESERVE_SECONDS, (deadline - self._started) / 10)
        self._stop_at = deadline - self._reserve
        self._next_check = min(self._started + CHECK_SECONDS, self._stop_at)
        self._pool = pool
        self._bucket = bucket
        self._throttle = Throttle(bucket, self._started)
        self._shares = shares
        self._posts = Posts(shares, pool, self._conclude)
        self._judge = Judge()
        self._delivered = 0
        self._sent_at = 0.0
        self._patience = patience
        self._patience_ends = 0.0
        self._is_ending = False

    def run(self) -> None:
        """Serve all recipients; see ``Engine.deliver_all``."""
        cpu = time.process_time()
        try:
            self._pool.begin()
            self._loop()
            self._give_up()
        finally:
            self._posts.cut()
            self._pool.drop_unfinished()
        errors = [share.outcomes.hand_back() for share in self._shares]
        ended = time.monotonic()
        cpu_ms = (time.process_time() - cpu) * 1000
        recipients = sum(share.read for share in self._shares) or 1
        for share, error in zip(self._shares, errors, strict=True):
            report = share.report
            share.error = share.error or error
            report.recipients = share.read
            report.complete = share.complete and share.exhausted
            report.duration_ms = round(((share.settled_at or ended) - self._started) * 1000, 3)
            report.cpu_ms = round(cpu_ms * (share.read / recipients if len(self._shares) > 1 else 1), 3)

    # The loop: give work to idle connections, open more if that pays, wait, take the answers.

    def _loop(self) -> None:
        pool, posts = self._pool, self._posts
        now = time.monotonic()
        while now < self._stop_at:
            if pool.idle:
                self._dispatch(now)
            if not posts.fresh:
                posts.pull()
                if not posts.fresh and not posts.again and not pool.busy and not posts.is_reading:
                    return
            ready = self._wait(now)
            for read in pool.reads_ready:
                read.owner.resume(read, is_ready=True)
            if pool.idle:
                # Before one of them is given a post, for which this would be taken as the answer.
                self._drop_talkative(ready)
            for line in ready:
                # Work on one line may have given another one a post, and found it broken.
                if line in pool.all:
                    self._advance(line)
            now = time.monotonic()
            if now >= self._next_check:
                self._check(now)

    def _dispatch(self, now: float) -> None:
        """Send posts over idle connections for as long as there are both."""
        idle = self._pool.idle
        bucket = self._bucket
        while idle:
            if bucket.limited and bucket.wait(now):
                return
            line = idle[-1]
            # A connection that has answered at this very moment had no time to send anything else.
            if line.idle_since != now and not line.usable():
                self._pool.drop(line)
                continue
            post = self._posts.next(now)
            if post is None:
                return
            if bucket.limited:
                bucket.take()
            self._send(idle.pop(), post)

    def _send(self, line: Line, post: Post) -> None:
        line.post = post
        line.sent_at = self._sent_at = time.monotonic()
        try:
            line.send(post.share.requests.head(post.recipient.connection_id) + post.share.data)
        except OSError as error:
            self._lost(line, error)
        else:
            if line.interest != line.watched:
                self._pool.watch(line)

    def _drop_talkative(self, ready: Sequence[Line]) -> None:
        """Drop idle connections on which something but TLS has come: it is no answer to any request."""
        for line in ready:
            if line.post is None and line.established and not line.usable():
                self._lost(line, ProtocolError(UNREQUESTED))

    def _wait(self, now: float) -> list[Line]:
        """Wait until a connection can go on or something else is due, opening connections meanwhile if that pays."""
        if self._opening_pays(now) or self._may_grow(now):
            ready = self._pool.ready(0)
            if not ready:
                self._open(now)
            return ready
        until = self._next_check
        again, open_not_before = self._posts.again, self._pool.open_not_before
        # A post that has been due already waits for a connection.
        if again and now < again[0][0] < until:
            until = again[0][0]
        if now < open_not_before < until:
            until = open_not_before
        if self._posts.is_reading and not self._posts.fresh:
            until = min(until, self._posts.read_until)
        if self._bucket.limited:
            until = min(until, now + (self._bucket.wait(now) or CHECK_SECONDS))
        return self._pool.ready(until - now)

    def _opening_pays(self, now: float) -> bool:
        pool = self._pool
        if pool.idle or len(pool.all) >= pool.limit or not pool.another_pays(self._posts.left()):
            return False
        return (
            self._posts.sendable(now) > pool.connecting and now >= pool.open_not_before and not self._bucket.wait(now)
        )

    def _may_grow(self, now: float) -> bool:
        """Whether to open a connection for the next message while the last answers of this one are waited for."""
        posts, pool = self._posts, self._pool
        if posts.fresh or posts.again or posts.is_reading or self._bucket.limited or now < pool.open_not_before:
            return False
        idle_seconds = self._sent_at + pool.latency - now
        return idle_seconds > 0 and pool.may_grow(sum(share.read for share in self._shares), idle_seconds)

    def _open(self, now: float) -> None:
        pool = self._pool
        # With nothing else to do, this may wait for the resolver.
        wait_until = now if pool.busy or pool.connecting else self._stop_at
        try:
            pool.open(wait_until)
        except UnresolvedError as error:
            if wait_until > now:
                self._note(error)
            pool.open_not_before = now + LOOK_UP_CHECK_SECONDS
        except (OSError, TransportError) as error:
            self._not_opened(error, now)

    def _check(self, now: float) -> None:
        """Give up overdue connections, and adapt the rate."""
        self._next_check = min(now + CHECK_SECONDS, self._stop_at)
        self._throttle.adapt(self._delivered, sum(share.report.throttled for share in self._shares), now)
        for line in self._pool.overdue(now, self._delivered):
            self._lost(line, TimeoutError("timed out"))
        self._pool.stuck = self._pool.waiting_since(now - STUCK_SECONDS)
        if self._patience is not None and not self._is_ending:
            self._be_patient(self._patience, now)
        if self._is_ending and not self._pool.waiting_for_less_than(LAST_ANSWER_SECONDS * self._pool.slowness, now):
            self._stop(now)

    def _be_patient(self, patience: float, now: float) -> None:
        """Stop trying again once only stragglers have been left for long enough."""
        reached = self._delivered + sum(share.report.gone for share in self._shares)
        # A task for stragglers alone is no sign of trouble that others have, too.
        left = sum(share.open for share in self._shares if not share.stragglers.presume_alone)
        is_trouble = self._throttle.general or left > max(reached, FEW if reached else 0)
        if self._posts.is_reading or self._posts.fresh or is_trouble:
            self._patience_ends = 0.0
        elif not self._patience_ends:
            self._patience_ends = now + patience
        elif now >= self._patience_ends:
            self._is_ending = True
            self._leave_waiting()

    def _stop(self, now: float) -> None:
        self._stop_at = self._next_check = now

    # Events of one connection.

    def _advance(self, line: Line) -> None:
        """Take the steps that a connection is ready for."""
        connecting = not line.established
        response = None
        try:
            if connecting:
                line.establish()
            else:
                response = line.receive(empty_success)
                if response is None:
                    line.flush()
        except TrustWidenedError:
            self._pool.drop(line)  # the loop opens another one
            return
        except (OSError, ProtocolError) as error:
            self._lost(line, error)
            return
        if line.interest != line.watched:
            self._pool.watch(line)
        if response is not None:
            self._answered(line, response)
        elif connecting and line.established:
            self._established(line)

    def _established(self, line: Line) -> None:
        now = time.monotonic()
        self._shares[0].report.connections_opened += 1
        if self._pool.established(line, now):
            self._dispatch(now)
        else:
            self._not_opened(ProtocolError(UNREQUESTED), now)

    def _answered(self, line: Line, response: Response) -> None:
        post = line.post
        if post is None:
            self._lost(line, ProtocolError(UNREQUESTED))
            return
        now = time.monotonic()
        line.post = None
        if response.keep_alive:
            line.idle_since = now
            self._pool.idle.append(line)
        else:
            self._pool.drop(line)
        if 200 <= response.status < 300:
            post.share.report.delivered += 1
            self._delivered += 1
            self._pool.observe(now - line.sent_at)
            if post.history is not None:
                self._judge.settle(post)
            self._posts.settled(post, None, now)
        else:
            self._not_delivered(post, response, now)
        self._dispatch(now)

    def _lost(self, line: Line, error: Exception) -> None:
        """Drop a broken connection and reschedule the post that it carried."""
        now = time.monotonic()
        post, line.post = line.post, None
        self._pool.drop(line)
        if post is not None:
            _note(post.share.report, error)
            self._decide(post, line.kind_of_end(error), now)
        elif not line.established:
            self._pool.endpoint.avoid(line.address)
            self._not_opened(error, now)

    def _not_opened(self, error: Exception, now: float) -> None:
        self._note(error)
        if not self._pool.not_opened(error, now):
            self._stop(now)

    def _note(self, error: Exception) -> None:
        for share in self._shares:
            _note(share.report, error)

    # Verdicts.

    def _not_delivered(self, post: Post, response: Response, now: float) -> None:
        answer = answer_of(response.status)
        report = post.share.report
        if answer is Answer.THROTTLED:
            report.throttled += 1
        elif answer is Answer.REFUSED:
            report.refused_status = report.refused_status or response.status
        self._decide(post, answer, now, retry_after(response.headers))

    def _decide(self, post: Post, answer: Answer, now: float, asked: float = 0.0) -> None:
        """Carry out the verdict on an answer."""
        row, pause = self._judge.judge(post, answer, self._delivered, now, asked)
        outcome = row.outcome
        if outcome is Outcome.AGAIN:
            if now + pause >= self._stop_at:
                outcome = row.out_of_time
            elif self._is_ending:
                outcome = Outcome.LATE
            else:
                self._posts.retry(post, now + pause)
                return
        self._conclude(post, outcome)
        if outcome is Outcome.REFUSED:
            self._refused(post.share)

    def _refused(self, share: Share) -> None:
        """Stop a message that every recipient is refused."""
        share.refused += 1
        if share.refused == REFUSALS_TO_STOP and not share.report.delivered + share.report.gone:
            for post in self._posts.stop(share):
                self._conclude(post, Outcome.LATE)

    def _conclude(self, post: Post, outcome: Outcome) -> None:
        self._judge.settle(post)
        post.share.outcomes.count(post.recipient, outcome, post.copies)
        self._posts.settled(post, outcome, time.monotonic())

    def _leave_waiting(self) -> None:
        """Try no post again, because time for it is over."""
        again = self._posts.again
        while again:
            self._conclude(again.pop()[2], Outcome.LATE)

    def _give_up(self) -> None:
        """Count the recipients that are left as failed: time is over, or no connection can be made."""
        posts = self._posts
        self._is_ending = True
        now = time.monotonic()
        for line in self._pool.all:
            if line.post is not None:
                # API Gateway may have the post: it counts as a copy.
                self._decide(line.post, Answer.SILENT, now)
        self._leave_waiting()
        posts.cut()
        while posts.fresh or (posts.is_reading and time.monotonic() < self._stop_at + self._reserve / 2):
            posts.read()
            while posts.fresh:
                self._conclude(posts.fresh.popleft(), Outcome.LATE)


def _note(report: Report, error: Exception) -> None:
    report.transport_error = report.transport_error or str(error)
