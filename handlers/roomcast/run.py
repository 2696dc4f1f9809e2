"""The event loop of a run: messages served side by side, from their first recipient to their last answer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from roomcast.addresses import TrustWidenedError
from roomcast.aside import Aside
from roomcast.empty_success import EMPTY_SUCCESS
from roomcast.http_parser import BROKEN, NOT_PROCESSED, ProtocolError
from roomcast.judge import Judge
from roomcast.line import UNREQUESTED, Line
from roomcast.opening import Opener
from roomcast.pacing import Throttle
from roomcast.patience import Patience
from roomcast.posts import Posts
from roomcast.verdicts import TABLE, Answer, Outcome, answer_of, retry_after

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roomcast.multiplexed import MultiplexedLine
    from roomcast.pacing import Bucket
    from roomcast.pool import AnyLine, Pool
    from roomcast.shares import Post, Share
    from roomcast.verdicts import Row

LAST_ANSWER_SECONDS = 0.75
"""Minimum age of a post that is given up because ``patience`` ended: its copy may be delivered already. API Gateway
answers within hundredths of a second, and the next batch of a room in order waits meanwhile."""

RESERVE_SECONDS = 0.5
"""Time left until the deadline when the last posts are given up, so that the caller can say so; at most a tenth."""

CHECK_SECONDS = 0.1
"""Pause between checks for time-outs, stragglers and the share of throttled posts."""

TIMED_OUT = "timed out"


class Run:
    """Messages that are served side by side.

    Args:
        pool: The connections.
        bucket: The pace.
        stragglers_bucket: The pace of posts to stragglers.
        shares: The messages.
        deadline: Latest end, in seconds of ``time.monotonic``.
        patience: When the others have been reached, seconds to wait for the last few, which are late then; ``None`` to
            wait until the deadline.
        table: The consequences of answers.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - all parts of one run
        self,
        pool: Pool,
        bucket: Bucket,
        stragglers_bucket: Bucket,
        shares: Sequence[Share],
        deadline: float,
        patience: float | None,
        table: Sequence[Row] = TABLE,
    ) -> None:
        self._started = time.monotonic()
        self._reserve = min(RESERVE_SECONDS, (deadline - self._started) / 10)
        self._stop_at = deadline - self._reserve
        self._next_check = min(self._started + CHECK_SECONDS, self._stop_at)
        self._pool = pool
        self._bucket = bucket
        self._throttle = Throttle(bucket, self._started)
        self._shares = shares
        aside = Aside(shares, lambda: pool.capacity, stragglers_bucket, self._started)
        self._posts = Posts(shares, pool.sockets, self._conclude, aside)
        self._opener = Opener(pool, self._posts, bucket, shares)
        self._judge = Judge(table)
        self._patience = Patience(patience, shares, self._posts, self._throttle)
        self._is_ending = False

    @property
    def _delivered(self) -> int:
        return sum(share.report.delivered for share in self._shares)

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
            share.end(error, self._started, ended, cpu_ms * (share.read / recipients if len(self._shares) > 1 else 1))

    # The loop: give work to idle connections, open more if that pays, wait, take the answers.

    def _loop(self) -> None:
        pool, posts = self._pool, self._posts
        now = time.monotonic()
        while now < self._stop_at:
            if pool.idle:
                self._dispatch(now)
            if not posts.fresh:
                posts.pull()
                if posts.is_over and not pool.under_way:
                    return
            ready = self._wait(now)
            for read in pool.sockets.reads_ready:
                read.owner.resume(read, is_ready=True)
            if pool.idle:
                # Before one of them is given a post, for which this would be taken as the answer.
                self._drop_talkative(ready)
            self._serve(ready)
            now = time.monotonic()
            if now >= self._next_check:
                self._check(now)

    def _dispatch(self, now: float) -> None:
        """Send posts over idle connections for as long as there are both."""
        self._fill(now)
        while self._pool.multiplexed and self._flush_all(now):
            self._fill(now)

    def _fill(self, now: float) -> None:
        """Give posts to idle connections."""
        idle, posts, bucket = self._pool.idle, self._posts, self._bucket
        while idle:
            if bucket.limited and bucket.wait(now):
                return
            if not posts.fresh and posts.is_reading and self._pool.multiplexed:
                # The caller may read for long now: the requests that have gathered must not wait for it.
                self._flush_all(now)
                if not idle:
                    return
            line = idle[-1]
            # A connection that has answered at this very moment had no time to send anything else.
            if line.idle_since != now:
                if not line.usable():
                    self._pool.drop(line)
                    continue
                line.idle_since = now
            post = posts.next(now)
            if post is None:
                return
            if bucket.limited:
                bucket.take()
            if isinstance(line, Line):
                # Not the time of the turn: the posts before this one have taken theirs.
                self._send(line, post, time.monotonic())
            else:
                self._gather(line, post, now)

    def _gather(self, line: MultiplexedLine, post: Post, now: float) -> None:
        """Give a connection over HTTP/2 as many posts as it has room for, and send them unless they are few."""
        pool = self._pool
        pool.under_way += line.gather(post, None if self._bucket.limited else self._posts, now)
        pool.sent_at = post.sent_at
        if not line.room:
            pool.occupy(line)
        if line.is_worth_a_write:
            self._flush(line)

    def _send(self, line: Line, post: Post, now: float) -> None:
        self._pool.under_way += 1
        try:
            line.carry(post, now)
            if line.is_idle:
                self._pool.occupy(line)
            self._pool.sent_at = now
        except OSError as error:
            self._lost(line, error)
        else:
            if line.interest != line.watched:
                self._pool.watch(line)

    def _flush_all(self, now: float) -> bool:
        """Send what has gathered on connections over HTTP/2; gives whether one of them has room again by that."""
        lines = [line for line in self._pool.multiplexed if line.is_unsent]
        for line in lines:
            self._flush(line)
        again = [line for line in lines if line in self._pool.all and line.room and not line.is_idle]
        for line in again:
            self._pool.offer(line, now)
        return bool(again)

    def _flush(self, line: MultiplexedLine) -> None:
        try:
            line.flush()
        except OSError as error:
            self._lost(line, error)
        else:
            if line.interest != line.watched:
                self._pool.watch(line)

    def _drop_talkative(self, ready: Sequence[AnyLine]) -> None:
        """Drop idle connections on which something but TLS has come: it is no answer to any request."""
        for line in ready:
            if line.expects_nothing and not line.usable():
                self._lost(line, ProtocolError(UNREQUESTED))

    def _wait(self, now: float) -> list[AnyLine]:
        """Wait until a connection can go on or something else is due, opening connections meanwhile if that pays."""
        if self._opener.is_due(now):
            ready = self._pool.sockets.wait(0)
            if not ready and not self._opener.open(now, self._stop_at):
                self._stop()
            return ready
        until = min(self._next_check, self._posts.due(now))
        if now < self._pool.open_not_before:
            until = min(until, self._pool.open_not_before)
        if self._bucket.limited:
            until = min(until, now + (self._bucket.wait(now) or CHECK_SECONDS))
        return self._pool.sockets.wait(until - now)

    def _check(self, now: float) -> None:
        """Give up overdue connections, and adapt the rate."""
        self._next_check = min(now + CHECK_SECONDS, self._stop_at)
        # Refusals of those who were refused before others were reached say nothing about the others.
        throttled = sum(share.report.throttled for share in self._shares if not share.stragglers.presume_alone)
        self._throttle.adapt(self._delivered, throttled, now, self._judge.throttled.retries)
        self._posts.aside.adapt(now)
        for line, late in self._pool.overdue(now, self._delivered):
            if not line.cancel(late):
                self._lost(line, TimeoutError(TIMED_OUT))
                continue
            self._pool.offer(line, now)
            for post in late:
                self._pool.under_way -= 1
                post.share.report.note(TIMED_OUT)
                self._decide(post, Answer.SILENT, now)
        self._flush_all(now)
        self._pool.stuck = self._pool.waiting_since(now - self._pool.stuck_seconds)
        if not self._is_ending and self._patience.is_over(now):
            self._is_ending = True
            self._posts.aside.until = now
            self._leave_waiting()
        if self._is_ending and not self._pool.waiting_for_less_than(LAST_ANSWER_SECONDS * self._pool.slowness, now):
            self._stop_at = self._next_check = now

    def _serve(self, ready: Sequence[AnyLine]) -> None:
        """Go on with connections that are ready."""
        kept = self._pool.all
        for line in ready:
            # Work on one line may have given another one a post, and found it broken.
            if line in kept:
                if isinstance(line, Line) and line.post is not None:
                    self._go_on(line, line.post)
                else:
                    self._advance(line)

    def _advance(self, line: AnyLine) -> None:
        """Take the steps that a connection is ready for."""
        connecting = not line.established
        answers: Sequence[tuple[Post, int, float]] = ()
        try:
            if connecting:
                line.establish()
            else:
                answers = line.take_answers()
        except TrustWidenedError:
            self._pool.drop(line)  # the loop opens another one
            return
        except (OSError, ProtocolError) as error:
            self._lost(line, error)
            return
        if line.interest != line.watched:
            self._pool.watch(line)
        now = time.monotonic()
        if not connecting:
            self._pool.offer(line, now)
            for post, status, asked in answers:
                self._answered(post, status, asked, now)
            self._dispatch(now)
        elif isinstance(line, Line) and line.established:
            self._established(line, now)

    def _go_on(self, line: Line, post: Post) -> None:
        """Take the answer to a post over HTTP/1.1, and send the next one: nearly all the work for a large room."""
        pool = self._pool
        try:
            response = line.take_answer()
        except (OSError, ProtocolError) as error:
            self._lost(line, error)
            return
        if response is None:
            if line.interest != line.watched:
                pool.watch(line)
            return
        now = time.monotonic()
        if response is EMPTY_SUCCESS:
            self._delivered_to(post, now)
        else:
            self._answered(post, response.status, retry_after(response.headers), now)
        following = None if line.is_ending or pool.idle or self._bucket.limited else self._posts.next(now)
        if following is None:
            pool.offer(line, now)
            self._dispatch(now)
        else:
            self._send(line, following, now)

    def _established(self, line: Line, now: float) -> None:
        self._shares[0].report.connections_opened += 1
        if self._pool.established(line, now):
            self._dispatch(now)
        else:
            self._not_opened(ProtocolError(UNREQUESTED), now)

    def _answered(self, post: Post, status: int, asked: float, now: float) -> None:
        if 200 <= status < 300:
            self._delivered_to(post, now)
            return
        self._pool.under_way -= 1
        if status > 0:
            self._not_delivered(post, status, asked, now)
        elif status == NOT_PROCESSED:
            post.share.report.note("the server did not process the request")
            self._decide(post, Answer.CLOSED, now)
        else:
            post.share.report.note("the server ended the stream")
            self._decide(post, Answer.BROKEN, now)

    def _delivered_to(self, post: Post, now: float) -> None:
        self._pool.under_way -= 1
        post.share.report.delivered += 1
        self._pool.observe(now - post.sent_at, now)
        if post.history is not None:
            self._judge.settle(post, is_delivered=True)
        self._posts.settled(post, None, now)

    def _lost(self, line: AnyLine, error: Exception) -> None:
        """Drop a broken connection and reschedule the posts that it carried."""
        now = time.monotonic()
        self._pool.drop(line)
        if not line.established:
            self._pool.endpoint.avoid(line.address)
            self._not_opened(error, now)
            return
        kind = line.kind_of_end(error)
        for post, status, asked in line.end():
            if status == BROKEN:
                self._pool.under_way -= 1
                post.share.report.note(str(error))
                self._decide(post, kind, now)
            else:
                self._answered(post, status, asked, now)

    def _not_opened(self, error: Exception, now: float) -> None:
        if not self._opener.is_worth_a_try_after(error, now):
            self._stop()

    def _stop(self) -> None:
        """Post nothing more, because no connection can be made."""
        self._stop_at = self._next_check = time.monotonic()

    def _not_delivered(self, post: Post, status: int, asked: float, now: float) -> None:
        answer = answer_of(status)
        report = post.share.report
        if answer is Answer.THROTTLED:
            report.throttled += 1
        elif answer is Answer.REFUSED:
            report.refused += 1
            report.refused_status = report.refused_status or status
        self._decide(post, answer, now, asked)

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
        if outcome is Outcome.REFUSED and post.share.refuse():
            for each in self._posts.stop(post.share):
                self._conclude(each, Outcome.LATE)

    def _conclude(self, post: Post, outcome: Outcome) -> None:
        self._judge.settle(post)
        if not post.sent_at:
            post.share.report.unsent += 1
        post.share.outcomes.count(post.recipient, outcome, post.copies, is_slow=post.is_slow)
        self._posts.settled(post, outcome, time.monotonic())

    def _leave_waiting(self) -> None:
        """Try no post again, because time for it is over."""
        posts = self._posts
        while posts.again:
            self._conclude(posts.again.pop()[2], Outcome.LATE)
        for post in posts.aside.left_over():
            self._conclude(post, Outcome.LATE)

    def _give_up(self) -> None:
        """Count the recipients that are left as failed: time is over, or no connection can be made."""
        posts = self._posts
        self._is_ending = True
        now = time.monotonic()
        for line in self._pool.all:
            for post in line.posts():
                # API Gateway may have the post: it counts as a copy.
                self._decide(post, Answer.SILENT, now)
        self._leave_waiting()
        posts.leave_ahead()
        while posts.is_unposted or (posts.is_reading and time.monotonic() < self._stop_at + self._reserve / 2):
            posts.read()
            for post in posts.left_over():
                self._conclude(post, Outcome.LATE)
