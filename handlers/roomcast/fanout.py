"""The fan-out engine: one message to any number of connections, and the only module that knows ``@connections``.

One event loop drives as many kept-alive connections as the number of recipients is worth. Each carries one signed
``POST {stage}/@connections/{connection id}`` at a time; recipients are pulled from the caller's iterable only as
connections get free, so that memory does not grow with the room. What the answers mean: "Use @connections commands in
your backend service" in the API Gateway developer guide.
"""

from __future__ import annotations

import heapq
import operator
import random
import selectors
import ssl
import time
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from roomcast.aws_http import (
    IDLE_LIMIT_SECONDS,
    Connection,
    Credentials,
    Endpoint,
    SignedRequests,
    Signer,
    TransportError,
    UnresolvedError,
    backoff_seconds,
)
from roomcast.http_parser import ProtocolError, Response, empty_success

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    Callback = Callable[[Sequence["Recipient"]], None]

MINIMUM_AGE_TO_PRUNE = 35.0
"""Seconds. A younger connection that is answered with 410 may still be connecting: its ``$connect`` may take 29 s."""

NOT_OPEN_RETRY_SECONDS = 3.0
"""For how long a connection that may still be connecting is tried again: most handshakes end within a second, a cold
start of ``$connect`` included, and the sender's receipt waits meanwhile."""

TRIES_ALONE = 10
"""How often a connection is tried that alone is refused (429 because its client does not read, or 5xx) while others get
the message: for some 3 s with the pauses below. Fewer would give up a client that pauses for a second, more would hold
up the receipt. Tries count, not time: a post may have waited for its turn behind a whole room."""

OTHERS_REFUSED = 1 / 4
"""A refusal is meant for one connection alone when at most so many others, for each delivery since its last try, wait
because they were refused, too. Ten such refusals in a row happen by chance to one post in ten million."""

MAXIMUM_COPIES = 2
"""How often a post is sent that is not answered: each copy may have been delivered."""

REFUSALS_TO_STOP = 150
"""After so many refusals that no retry can change, such as 403, and nothing else, the others would be refused too."""

REQUEST_SECONDS = 5.0
"""How long an answer may take before the connection is given up and the post tried again: API Gateway answers within
hundredths of a second, and what is later is lost far more often than late."""

LAST_ANSWER_SECONDS = 1.5
"""How old a post is at least when it is given up because ``patience`` ended: its copy may be delivered already."""

STUCK_SECONDS = 0.5
"""A connection that has waited so long for an answer is counted out when it is asked whether another one would pay."""

RESERVE_SECONDS = 0.5
"""What is left until the deadline when the last posts are given up, so that the caller can say so; at most a tenth."""

BACKOFF_BASE_SECONDS = 0.05
"""Upper end of the first pause: a few times what an answer takes."""

BACKOFF_CAP_SECONDS = 1.0
"""Upper end of every pause: with longer ones, a recipient would have only a few tries in an invocation of 29 s."""

CHECK_SECONDS = 0.1
"""How often time-outs, stragglers and the share of throttled posts are looked at."""

CONNECTION_COST_SECONDS = 0.001
"""CPU time of a new TLS connection: as much as that of some 40 messages."""

BUSY_FACTOR = 10
"""When answers take this many times as long as the quickest one, more connections would only wait for each other."""

FIRST_REQUEST_SECONDS = 2.0
"""As ``REQUEST_SECONDS``, on a connection that was unused for so long that it may have gone silent."""

LOOK_UP_CHECK_SECONDS = 0.005
"""How often it is asked whether the resolver has answered while there is other work."""

LOOK_AHEAD = 1_000
"""How many recipients are pulled at a time."""

MAXIMUM_WAITING = 5_000
"""No further recipients are pulled while so many wait for another try."""

BATCH = 50
"""How many recipients a callback gets at a time: each has two items, and a DynamoDB transaction takes 100."""


class Recipient(NamedTuple):
    """A connection that a message is for.

    Attributes:
        connection_id: The id that API Gateway gave it.
        connected_at: When it connected, in milliseconds since 1970.
        shard: Not looked at; for whoever is handed the recipient back.
    """

    connection_id: str
    connected_at: int
    shard: int = 0


class Stragglers(NamedTuple):
    """What becomes of recipients that others need not wait for.

    Attributes:
        on_late: Called, instead of ``on_failed``, with recipients for which only time was over.
        on_silent: Called, instead of ``on_late``, with those that may have the message: a post was not answered.
        patience: When the others have been reached, seconds to wait for the last few, which are late then; ``None`` to
            wait until the deadline.
        presume_alone: Whether others have been reached before: then a recipient that is refused is so for itself.
        copies: How many copies of the message the recipients may have been sent before.
        on_untried: Called, instead of ``on_late``, with those for whom the time, or the pace, allowed no post at all.
    """

    on_late: Callback | None = None
    on_silent: Callback | None = None
    patience: float | None = None
    presume_alone: bool = False
    copies: int = 0
    on_untried: Callback | None = None


NO_STRAGGLERS = Stragglers()


class Report:
    """What became of a message; ``recipients`` is the sum of ``delivered``, ``gone`` and ``failed``.

    Attributes:
        recipients: How many the message was for.
        delivered: API Gateway took the message for them.
        gone: Their connection does not exist: not any more, or not yet.
        failed: Not delivered, although they may be connected.
        late: Those of ``failed`` for which only time was over: another fan-out may reach them.
        retried: Posts that were sent again.
        throttled: Posts that were answered with 429.
        connections_opened: New connections to API Gateway.
        duration_ms: Wall time.
        cpu_ms: CPU time of the process.
        refused_status: The first status that no retry can change, such as 403; 0 if there was none.
        transport_error: The first thing that went wrong below HTTP; empty if nothing did.
        complete: Whether all recipients were pulled; those that were not are not counted.
    """

    __slots__ = (
        "complete",
        "connections_opened",
        "cpu_ms",
        "delivered",
        "duration_ms",
        "failed",
        "gone",
        "late",
        "recipients",
        "refused_status",
        "retried",
        "throttled",
        "transport_error",
    )

    def __init__(self) -> None:
        self.recipients = 0
        self.delivered = 0
        self.gone = 0
        self.failed = 0
        self.late = 0
        self.retried = 0
        self.throttled = 0
        self.connections_opened = 0
        self.duration_ms = 0.0
        self.cpu_ms = 0.0
        self.refused_status = 0
        self.transport_error = ""
        self.complete = True

    def to_dict(self) -> dict[str, int | float | str | bool]:
        """The report as plain values by name."""
        return {name: getattr(self, name) for name in self.__slots__}


class DeliveryInterruptedError(Exception):
    """The caller's iterable or callback failed; everybody who had been pulled was served all the same.

    The failure is the exception's cause.

    Args:
        report: What became of the recipients that were pulled.
    """

    def __init__(self, report: Report) -> None:
        super().__init__(f"the fan-out was disturbed; {report.delivered} of {report.recipients} recipients were served")
        self.report = report


class Engine:
    """Posts messages to the connections of one WebSocket API stage. Not for several threads at once.

    Keep one per execution environment: it keeps connections, TLS session, signing key and the latency that it has seen.

    Args:
        endpoint_url: Callback base URL, such as ``https://{api}.execute-api.{region}.amazonaws.com/{stage}``.
        region: Region to sign for.
        pace: Posts per second, 0 for as many as possible. What one second leaves unused, a burst may use in the next.
        max_connections: Upper limit of connections; Lambda allows 1,024 open files, which the function's other
            connections and logs share.

    Raises:
        ValueError: The URL is not a base URL.
    """

    def __init__(self, endpoint_url: str, region: str, *, pace: float = 0, max_connections: int = 250) -> None:
        self._endpoint = Endpoint(endpoint_url)
        self._signer = Signer("execute-api", region)
        self._bucket = _Bucket(pace)
        self._lines = _Lines(self._endpoint, max_connections)

    def deliver(  # noqa: PLR0913 - what one fan-out needs
        self,
        recipients: Iterable[Recipient],
        data: bytes,
        *,
        deadline: float,
        on_gone: Callback | None = None,
        on_failed: Callback | None = None,
        stragglers: Stragglers = NO_STRAGGLERS,
    ) -> Report:
        """Post a message to every recipient and wait for every answer.

        A recipient is given up before the deadline when it alone is refused ``TRIES_ALONE`` times while others get the
        message, when it may have been sent ``MAXIMUM_COPIES``, or when its status is one that no retry can change.

        Args:
            recipients: Pulled as they are needed, so they may be read from a database meanwhile.
            data: The message: UTF-8, at most 128 KB.
            deadline: Latest end, in seconds of ``time.monotonic``; the last moments before it are left to the caller.
            on_gone: Called with up to 50 recipients at a time that are certainly dead, before this method returns. The
                living wait meanwhile. Like the iterable, it must not use the engine.
            on_failed: Called likewise with those that count as failed.
            stragglers: What becomes of those that the others need not wait for.

        Raises:
            DeliveryInterruptedError: The iterable or a callback raised an exception; it is the cause.
        """
        requests = SignedRequests(
            self._signer,
            Credentials.from_environment(),
            "POST",
            self._endpoint.host_header,
            f"{self._endpoint.path}/@connections/",
            {},
            data,
        )
        outcomes = _Outcomes(on_gone, on_failed, stragglers)
        return _FanOut(self._lines, self._bucket, requests, data, recipients, deadline, outcomes, stragglers).run()

    def close(self) -> None:
        """Close all connections; the engine can be used on."""
        self._lines.close()


class _FanOut:
    """One fan-out, from its first recipient to its last answer."""

    def __init__(  # noqa: PLR0913, PLR0917 - what one fan-out needs
        self,
        lines: _Lines,
        bucket: _Bucket,
        requests: SignedRequests,
        data: bytes,
        recipients: Iterable[Recipient],
        deadline: float,
        outcomes: _Outcomes,
        stragglers: Stragglers,
    ) -> None:
        self._started = time.monotonic()
        self._reserve = min(RESERVE_SECONDS, (deadline - self._started) / 10)
        self._stop_at = deadline - self._reserve
        self._next_check = min(self._started + CHECK_SECONDS, self._stop_at)
        self._report = Report()
        self._error: Exception | None = None

        self._source = iter(recipients)
        self._exhausted = False
        self._fresh: deque[Recipient] = deque()
        self._again: list[tuple[float, int, _Post]] = []  # a heap: when, which first, what

        self._requests = requests
        self._data = data
        self._bucket = bucket
        self._throttle = _Throttle(bucket, self._started)
        self._lines = lines
        self._busy = 0
        self._connecting = 0
        self._stuck = 0
        self._connect_failures = 0
        self._certificate_failures = 0
        self._connect_not_before = 0.0

        self._outcomes = outcomes
        self._patience = stragglers.patience
        self._copies = stragglers.copies
        self._throttled = _Refusals(presumed=stragglers.presume_alone)
        self._erring = _Refusals(presumed=stragglers.presume_alone)
        self._malformed: list[Recipient] = []
        self._refused = 0
        self._patience_ends = 0.0
        self._is_ending = False

    def run(self) -> Report:
        """Serve everybody; see ``Engine.deliver``."""
        cpu = time.process_time()
        report = self._report
        try:
            self._lines.begin()
            self._loop()
            self._give_up()
            if report.delivered:
                for recipient in self._malformed:
                    self._outcomes.gone.add(recipient)
            self._outcomes.hand_over()
        finally:
            self._lines.drop_unfinished()
        report.duration_ms = round((time.monotonic() - self._started) * 1000, 3)
        report.cpu_ms = round((time.process_time() - cpu) * 1000, 3)
        error = self._error or self._outcomes.error()
        if error is not None:
            raise DeliveryInterruptedError(report) from error
        return report

    # The loop: give work to idle connections, open more if that pays, wait, take the answers.

    def _loop(self) -> None:
        now = time.monotonic()
        while now < self._stop_at:
            if self._lines.idle:
                self._dispatch(now)
            if not self._fresh:
                self._pull()
                if not self._busy and not self._fresh and not self._again:
                    return
            ready = self._wait(now)
            if self._lines.idle:
                # Before one of them is given a post, for which this would be taken as the answer.
                self._drop_talkative(ready)
            for line in ready:
                # Work on one line may have given another one a post, and found it broken.
                if line in self._lines.all:
                    self._advance(line)
            now = time.monotonic()
            if now >= self._next_check:
                self._check(now)

    def _dispatch(self, now: float) -> None:
        """Send posts over idle connections for as long as there are both."""
        idle = self._lines.idle
        bucket = self._bucket
        while idle:
            if bucket.limited and bucket.wait(now):
                return
            line = idle[-1]
            # One that has answered at this moment had no time to say anything else.
            if line.idle_since != now and not line.usable():
                self._lines.drop(line)
                continue
            post = self._next_post(now)
            if post is None:
                return
            if bucket.limited:
                bucket.take()
            self._send(idle.pop(), post)

    def _drop_talkative(self, ready: Sequence[_Line]) -> None:
        """Drop idle connections on which something has come: it is no answer to any request."""
        for line in ready:
            if line.post is None and line.established:
                self._lost(line, ProtocolError("an answer to nothing"))

    def _next_post(self, now: float) -> _Post | None:
        # Nobody waits for others to be tried again.
        if not self._fresh:
            self._pull()
        if self._fresh:
            return _Post(self._fresh.popleft())
        if self._again and self._again[0][0] <= now:
            return heapq.heappop(self._again)[2]
        return None

    def _pull(self) -> None:
        """Read some more recipients once all that were read are under way."""
        if self._fresh or self._exhausted or len(self._again) >= MAXIMUM_WAITING:
            return
        try:
            # Not through a list: what comes before an exception must be kept.
            self._fresh.extend(islice(self._source, LOOK_AHEAD))
            self._exhausted = len(self._fresh) < LOOK_AHEAD
        except Exception as error:  # noqa: BLE001 - whatever it is, it is raised once everybody has been served
            self._error = error
            self._exhausted = True
            self._report.complete = False
        self._report.recipients += len(self._fresh)

    def _send(self, line: _Line, post: _Post) -> None:
        line.post = post
        line.sent_at = time.monotonic()
        self._busy += 1
        try:
            line.send(self._requests.head(post.recipient.connection_id) + self._data)
        except OSError as error:
            self._lost(line, error)
        else:
            if line.interest != line.watched:
                self._lines.watch(line)

    def _wait(self, now: float) -> list[_Line]:
        """Wait until a connection can go on or something else is due, opening connections meanwhile if that pays."""
        if self._opening_pays(now):
            ready = self._lines.ready(0)
            if not ready:
                self._open(now)
            return ready
        until = self._next_check
        # What has been due already waits for a connection.
        if self._again and now < self._again[0][0] < until:
            until = self._again[0][0]
        if now < self._connect_not_before < until:
            until = self._connect_not_before
        if self._bucket.limited:
            until = min(until, now + (self._bucket.wait(now) or CHECK_SECONDS))
        return self._lines.ready(until - now)

    def _opening_pays(self, now: float) -> bool:
        """Whether another connection saves more time than it costs.

        With n connections, b posts to send and answers that take l seconds, the fan-out takes about b * l / n: one more
        saves b * l / (n * (n + 1)).
        """
        lines = self._lines
        if lines.idle or len(lines.all) >= lines.limit:
            return False
        count = max(0, len(lines.all) - self._stuck)
        if count:
            saved = self._backlog() * lines.latency
            busy = lines.mean_latency > BUSY_FACTOR * lines.latency
            if busy or saved < CONNECTION_COST_SECONDS * count * (count + 1):
                return False
        postable = len(self._fresh)
        if self._again and self._again[0][0] <= now:
            postable += len(self._again)
        return postable > self._connecting and now >= self._connect_not_before and not self._bucket.wait(now)

    def _backlog(self) -> int:
        """How many posts are still to be sent; of an iterable that does not tell, as many again as were pulled."""
        backlog = len(self._fresh) + len(self._again)
        if not self._exhausted:
            backlog += operator.length_hint(self._source, self._report.recipients)
        return backlog

    def _open(self, now: float) -> None:
        # With nothing else to do it can wait for the resolver.
        wait_until = now if self._busy or self._connecting else self._stop_at
        try:
            self._lines.open(wait_until)
        except UnresolvedError as error:
            if wait_until > now:
                self._report.transport_error = self._report.transport_error or str(error)
            self._connect_not_before = now + LOOK_UP_CHECK_SECONDS
        except (OSError, TransportError) as error:
            self._connect_failed(error, now)
        else:
            self._connecting += 1

    def _check(self, now: float) -> None:
        """Give up what has taken too long, and adapt the rate."""
        self._next_check = min(now + CHECK_SECONDS, self._stop_at)
        self._throttle.adapt(self._report.delivered, self._report.throttled, now)
        for line in self._lines.overdue(now):
            self._lost(line, TimeoutError("timed out"))
        self._stuck = self._lines.waiting_since(now - STUCK_SECONDS)
        if self._patience is not None and not self._is_ending:
            self._be_patient(self._patience, now)
        if self._is_ending and not self._lines.waiting_for_less_than(LAST_ANSWER_SECONDS, now):
            self._stop_at = self._next_check = now

    def _be_patient(self, patience: float, now: float) -> None:
        """Stop trying again once only stragglers have been left for long enough."""
        report = self._report
        left = self._busy + len(self._again)
        few = left <= report.delivered + report.gone and not self._throttle.general
        if not self._exhausted or self._fresh or not few:
            self._patience_ends = 0.0
        elif not self._patience_ends:
            self._patience_ends = now + patience
        elif now >= self._patience_ends:
            self._is_ending = True
            while self._again:
                self._give_up_late(self._again.pop()[2])

    # What happens on one connection.

    def _advance(self, line: _Line) -> None:
        """Take the steps that a connection is ready for."""
        connecting = not line.established
        answer = None
        try:
            if connecting:
                line.establish()
            else:
                answer = line.receive(empty_success)
                if answer is None:
                    line.flush()
        except (OSError, ProtocolError) as error:
            self._lost(line, error)
            return
        if line.interest != line.watched:
            self._lines.watch(line)
        if answer is not None:
            self._answered(line, answer)
        elif connecting and line.established:
            self._established(line)

    def _established(self, line: _Line) -> None:
        now = time.monotonic()
        self._connecting -= 1
        self._report.connections_opened += 1
        if not line.usable():
            self._lines.drop(line)
            self._connect_failed(ProtocolError("an answer to nothing"), now)
            return
        self._connect_failures = 0
        if not self._lines.latency:
            # Until there is an answer: it will take at least as long as it took to connect.
            self._lines.latency = now - line.sent_at
        self._lines.idle.append(line)
        self._dispatch(now)

    def _answered(self, line: _Line, answer: Response) -> None:
        post = line.post
        if post is None:
            self._lost(line, ProtocolError("an answer to nothing"))
            return
        now = time.monotonic()
        line.post = None
        self._busy -= 1
        if answer.keep_alive:
            line.idle_since = now
            self._lines.idle.append(line)
        else:
            self._lines.drop(line)
        if 200 <= answer.status < 300:
            self._report.delivered += 1
            self._lines.observe(now - line.sent_at)
            if post.trouble is not None:
                self._settle(post.trouble)
        else:
            self._not_delivered(post, answer, now)
        self._dispatch(now)

    def _lost(self, line: _Line, error: Exception) -> None:
        """Drop a broken connection and try the post that it carried again."""
        now = time.monotonic()
        post, line.post = line.post, None
        closed_while_idle = line.answers > 0 and not line.answering and not isinstance(error, TimeoutError)
        self._lines.drop(line)
        if post is not None:
            self._busy -= 1
            self._report.transport_error = self._report.transport_error or str(error)
            self._unanswered(post, error, now, closed_while_idle=closed_while_idle)
        elif not line.established:
            self._connecting -= 1
            self._lines.endpoint.avoid(line.address)
            self._connect_failed(error, now)

    def _connect_failed(self, error: Exception, now: float) -> None:
        self._report.transport_error = self._report.transport_error or str(error)
        self._connect_failures += 1
        if isinstance(error, ssl.SSLCertVerificationError) and not self._lines.endpoint.alternatives:
            # A new look-up may find other addresses; another one after that would find the same certificates.
            self._certificate_failures += 1
            if self._certificate_failures > 1 and not self._busy and not self._lines.idle:
                self._stop_at = self._next_check = now
        if self._connect_failures > 1 and not self._lines.endpoint.alternatives:
            self._connect_not_before = now + _pause(self._connect_failures)

    # What an answer means, or that there is none.

    def _unanswered(self, post: _Post, error: Exception, now: float, *, closed_while_idle: bool) -> None:
        """Try a post again whose connection broke or went silent."""
        trouble = post.trouble = post.trouble or _Trouble(self._copies)
        if closed_while_idle and not trouble.resent:
            trouble.resent = True
            self._retry(post, now, 0.0)
        elif isinstance(error, TimeoutError):
            trouble.copies += 1
            if trouble.copies >= MAXIMUM_COPIES:
                self._fail(post)
            else:
                self._back_off(post, trouble.copies, now)
        else:
            self._refusal(post, trouble.errors, self._erring, now)

    def _not_delivered(self, post: _Post, answer: Response, now: float) -> None:
        status = answer.status
        trouble = post.trouble = post.trouble or _Trouble(self._copies)
        if status == 410:
            self._not_there(post, trouble, now)
        elif status == 429:
            self._report.throttled += 1
            self._refusal(post, trouble.throttled, self._throttled, now, _retry_after(answer))
        elif status == 408 or status >= 500:
            self._refusal(post, trouble.errors, self._erring, now, _retry_after(answer))
        elif status == 400:
            self._settle(trouble)
            self._report.gone += 1
            # No id of a connection. But should it be the message that displeases, the room must not be emptied for it:
            # these are handed over only if somebody else was delivered the same message.
            if len(self._malformed) < BATCH:
                self._malformed.append(post.recipient)
        else:
            self._forbidden(post, status, now)

    def _forbidden(self, post: _Post, status: int, now: float) -> None:
        """Count a refusal that no retry can change; when there is nothing else, stop."""
        report = self._report
        report.refused_status = report.refused_status or status
        self._refused += 1
        self._fail(post)
        if self._refused >= REFUSALS_TO_STOP and not report.delivered + report.gone:
            report.complete = report.complete and self._exhausted
            self._exhausted = True
            self._stop_at = self._next_check = now

    def _not_there(self, post: _Post, trouble: _Trouble, now: float) -> None:
        """A connection is closed, or not open yet."""
        if time.time() - post.recipient.connected_at / 1000 >= MINIMUM_AGE_TO_PRUNE:
            self._settle(trouble)
            self._report.gone += 1
            self._outcomes.gone.add(post.recipient)
            return
        trouble.missing += 1
        trouble.missing_until = trouble.missing_until or now + NOT_OPEN_RETRY_SECONDS
        # The last try comes at the very end of that time: so whoever gets one message by it also gets those sent later.
        pause = min(_pause(trouble.missing), trouble.missing_until - now)
        if now < trouble.missing_until and now + pause < self._stop_at:
            self._retry(post, now, pause)
        else:
            self._settle(trouble)
            self._report.gone += 1

    def _refusal(self, post: _Post, own: _OwnRefusals, all_: _Refusals, now: float, at_least: float = 0.0) -> None:
        """Try again what was refused, but not for ever if it alone is."""
        all_.judge(own, self._report.delivered)
        if own.alone >= TRIES_ALONE:
            self._fail(post)
        else:
            self._back_off(post, own.tries, now, at_least)

    def _back_off(self, post: _Post, attempt: int, now: float, at_least: float = 0.0) -> None:
        pause = max(at_least, _pause(attempt))
        if now + pause < self._stop_at:
            self._retry(post, now, pause)
        else:
            self._give_up_late(post)

    def _retry(self, post: _Post, now: float, pause: float) -> None:
        if self._is_ending:
            self._give_up_late(post)
            return
        self._report.retried += 1
        heapq.heappush(self._again, (now + pause, self._report.retried, post))

    def _give_up_late(self, post: _Post) -> None:
        """Count a recipient as failed for which time is over."""
        copies = self._copies if post.trouble is None else post.trouble.copies
        outcomes = self._outcomes
        self._report.late += 1
        tried = outcomes.silent if copies > self._copies else outcomes.late
        self._fail(post, outcomes.untried if post.trouble is None else tried)

    def _fail(self, post: _Post, batches: _Batches | None = None) -> None:
        self._report.failed += 1
        if post.trouble is not None:
            self._settle(post.trouble)
        (batches or self._outcomes.failed).add(post.recipient)

    def _settle(self, trouble: _Trouble) -> None:
        """Forget the trouble of a recipient whose outcome is known."""
        self._throttled.waiting -= trouble.throttled.tries > 0
        self._erring.waiting -= trouble.errors.tries > 0

    # The end.

    def _give_up(self) -> None:
        """Count as failed whoever has not been served, be it that time is over."""
        for line in self._lines.all:
            if line.post is not None:
                self._give_up_unanswered(line.post)
        while self._again:
            self._give_up_late(self._again.pop()[2])
        while self._fresh or (not self._exhausted and time.monotonic() < self._stop_at + self._reserve / 2):
            self._pull()
            while self._fresh:
                self._give_up_late(_Post(self._fresh.popleft()))
        self._report.complete = self._report.complete and self._exhausted

    def _give_up_unanswered(self, post: _Post) -> None:
        trouble = post.trouble = post.trouble or _Trouble(self._copies)
        trouble.copies += 1
        if trouble.copies >= MAXIMUM_COPIES:
            self._fail(post)
        else:
            self._give_up_late(post)


class _Outcomes:
    """Recipients that were not reached, by the reason."""

    def __init__(self, on_gone: Callback | None, on_failed: Callback | None, stragglers: Stragglers) -> None:
        self.gone = _Batches(on_gone)
        self.failed = _Batches(on_failed)
        self.late = self.failed if stragglers.on_late is None else _Batches(stragglers.on_late)
        self.silent = self.late if stragglers.on_silent is None else _Batches(stragglers.on_silent)
        self.untried = self.late if stragglers.on_untried is None else _Batches(stragglers.on_untried)

    def hand_over(self) -> None:
        """Call the callbacks with what they have not been given yet."""
        for batches in (self.gone, self.failed, self.late, self.silent, self.untried):
            batches.hand_over()

    def error(self) -> Exception | None:
        """The first exception that a callback has raised."""
        for batches in (self.gone, self.failed, self.late, self.silent, self.untried):
            if batches.error is not None:
                return batches.error
        return None


class _Batches:
    """Collects recipients for one of the caller's callbacks."""

    def __init__(self, callback: Callback | None) -> None:
        self.error: Exception | None = None
        self._callback = callback
        self._recipients: list[Recipient] = []

    def add(self, recipient: Recipient) -> None:
        if self._callback is not None:
            self._recipients.append(recipient)
            if len(self._recipients) >= BATCH:
                self.hand_over()

    def hand_over(self) -> None:
        """Call the callback, unless it has failed before."""
        recipients, self._recipients = self._recipients, []
        if recipients and self._callback is not None and self.error is None:
            try:
                self._callback(recipients)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is raised once everybody has been served
                self.error = error


class _Post:
    """One recipient's message on its way."""

    __slots__ = ("recipient", "trouble")

    def __init__(self, recipient: Recipient) -> None:
        self.recipient = recipient
        self.trouble: _Trouble | None = None


class _Trouble:
    """What has kept a recipient from its message, each reason counted on its own: one says nothing about another."""

    __slots__ = ("copies", "errors", "missing", "missing_until", "resent", "throttled")

    def __init__(self, copies: int) -> None:
        self.copies = copies
        self.errors = _OwnRefusals()
        self.missing = 0
        self.missing_until = 0.0
        self.resent = False
        self.throttled = _OwnRefusals()


class _OwnRefusals:
    """How often one recipient was refused, how often it alone, and how many deliveries there had been by then."""

    __slots__ = ("alone", "delivered", "is_suspect", "tries")

    def __init__(self) -> None:
        self.alone = 0.0
        self.delivered = 0
        self.is_suspect = False
        self.tries = 0


class _Refusals:
    """Tells a refusal that is meant for one recipient from one that hits all of them.

    Attributes:
        presumed: Whether a recipient counts as refused alone until others are seen to be refused.
        waiting: How many recipients were refused and are still to be reached.
    """

    def __init__(self, *, presumed: bool) -> None:
        self.presumed = presumed
        self.waiting = 0

    def judge(self, own: _OwnRefusals, delivered: int) -> None:
        """Count a refusal of one recipient.

        Args:
            own: What is known of the recipient.
            delivered: Deliveries of this fan-out so far.
        """
        if not own.tries:
            self.waiting += 1
        own.tries += 1
        since, own.delivered = delivered - own.delivered, delivered
        if since:
            own.is_suspect = self.waiting - 1 <= since * OTHERS_REFUSED
            own.alone = own.alone + 1 if own.is_suspect else 0
        elif self.presumed:
            own.alone += 1
        elif self.waiting <= delivered:
            # Nobody else was reached meanwhile, perhaps because there is nobody else: a hint that weighs less.
            own.alone += 1 if own.is_suspect else 0.5


class _Line(Connection):
    """A connection and the post that is under way on it."""

    __slots__ = ("idle_since", "post", "sent_at", "watched")

    def __init__(self, endpoint: Endpoint, deadline: float) -> None:
        self.idle_since = float("inf")
        self.post: _Post | None = None
        super().__init__(endpoint, deadline)
        self.sent_at = time.monotonic()
        self.watched = self.interest

    def is_overdue_after_idling(self, now: float) -> bool:
        """Whether an answer takes so long that the connection must have gone silent while it was not used."""
        waited = now - self.sent_at
        return FIRST_REQUEST_SECONDS < waited <= REQUEST_SECONDS and self.idled(self.sent_at)


class _Lines:
    """The engine's connections: those of one fan-out serve the next one, too."""

    def __init__(self, endpoint: Endpoint, limit: int) -> None:
        self.endpoint = endpoint
        self.limit = limit
        self.all: set[_Line] = set()
        self.idle: list[_Line] = []
        self.latency = 0.0
        self.mean_latency = 0.0
        self._latency_is_guessed = True
        self._selector: selectors.BaseSelector = selectors.DefaultSelector()
        self._is_closed = False

    def begin(self) -> None:
        """Start a fan-out: close what the server has closed since the last one, or has been idle for too long."""
        self._latency_is_guessed = True
        if self._is_closed:
            self._selector, self._is_closed = selectors.DefaultSelector(), False
        readable = self.ready(0)
        oldest = time.time() - IDLE_LIMIT_SECONDS
        for line in list(self.all):
            if line.used_at < oldest or (line in readable and not line.usable()):
                self.drop(line)

    def open(self, deadline: float) -> None:
        """Begin to open a connection.

        Args:
            deadline: How long the resolver may take, in seconds of ``time.monotonic``.

        Raises:
            OSError: It was refused at once.
            UnresolvedError: The resolver has not answered by the deadline.
            TransportError: The host name does not resolve.
        """
        line = _Line(self.endpoint, deadline)
        try:
            self._selector.register(line, line.interest, line)
        except BaseException:
            line.close()
            raise
        self.all.add(line)

    def watch(self, line: _Line) -> None:
        """Have the selector look for what the line now waits for, which has changed."""
        self._selector.modify(line, line.interest, line)
        line.watched = line.interest

    def ready(self, timeout: float) -> list[_Line]:
        """Lines that can go on, waiting for the first at most so many seconds."""
        return [key.data for key, _ in self._selector.select(timeout)]

    def overdue(self, now: float) -> list[_Line]:
        """Lines that have been connecting or waiting for an answer for too long."""
        late = [line for line in self.all if line.post is not None and now - line.sent_at > REQUEST_SECONDS]
        late += [line for line in self.all if line.post is not None and line.is_overdue_after_idling(now)]
        connect_seconds = self.endpoint.connect_seconds
        late += [line for line in self.all if not line.established and now - line.sent_at > connect_seconds]
        # It may be this process that was late: the caller's code runs within the fan-out, and Lambda shares CPUs.
        ready = self.ready(0) if late else []
        return [line for line in late if line not in ready]

    def waiting_since(self, moment: float) -> int:
        """How many lines have been waiting for an answer since before a moment."""
        return sum(line.post is not None and line.sent_at < moment for line in self.all)

    def waiting_for_less_than(self, seconds: float, now: float) -> bool:
        """Whether a line has a post that was sent less than so many seconds ago."""
        return any(line.post is not None and now - line.sent_at < seconds for line in self.all)

    def observe(self, latency: float) -> None:
        """Note how many seconds an answer took: the shortest counts, the others may have waited for this process."""
        if latency < self.latency or self._latency_is_guessed:
            self.latency = latency
            self._latency_is_guessed = False
        self.mean_latency += (latency - self.mean_latency) / 16

    def drop(self, line: _Line) -> None:
        """Close a connection."""
        self.all.remove(line)
        if line in self.idle:
            self.idle.remove(line)
        self._selector.unregister(line)
        line.close()

    def drop_unfinished(self) -> None:
        """Close connections that still wait for something: nobody will wait any more."""
        for line in self.all.difference(self.idle):
            self.drop(line)

    def close(self) -> None:
        """Close all connections; the next fan-out may open new ones."""
        for line in list(self.all):
            self.drop(line)
        self._selector.close()
        self._is_closed = True


class _Bucket:
    """Token bucket: how many posts per second may be sent.

    Args:
        pace: Tokens per second, 0 for no limit.
    """

    def __init__(self, pace: float) -> None:
        self.pace = pace or float("inf")
        self.rate = self.pace
        self.limited = bool(pace)
        self._tokens = max(1.0, pace)
        self._filled_at = time.monotonic()

    def set_rate(self, rate: float, now: float) -> None:
        """Allow so many tokens per second from now on; infinitely many for no limit."""
        if not self.limited:
            self._tokens, self._filled_at = 0.0, now
        self.rate = rate
        self.limited = rate != float("inf")

    def wait(self, now: float) -> float:
        """Seconds until there is a token; 0 if there is one."""
        if not self.limited:
            return 0.0
        self._tokens = min(max(1.0, self.rate), self._tokens + (now - self._filled_at) * self.rate)
        self._filled_at = now
        return max(0.0, (1.0 - self._tokens) / self.rate)

    def take(self) -> None:
        """Use a token that ``wait`` has found."""
        self._tokens -= 1.0


class _Throttle:
    """Slows a fan-out down while throttling is general: additive increase, multiplicative decrease of the rate.

    A tenth of the posts refused at random is no reason: those are sent again, and that is all. With more than a third
    refused, sending more only means being refused more.
    """

    SAMPLE = 50
    GENERAL = 1 / 3
    DECREASE = 0.7
    INCREASE = 500.0  # per second, every second
    SLOWEST = 20.0
    MEMORY = 2.0  # seconds

    def __init__(self, bucket: _Bucket, now: float) -> None:
        self._bucket = bucket
        self._since = now
        self._delivered = 0
        self._throttled = 0
        self.general = False
        bucket.set_rate(bucket.pace, now)

    def adapt(self, delivered: int, throttled: int, now: float) -> None:
        """Set the rate by what was answered since the last time; totals are given."""
        refused = throttled - self._throttled
        answers = delivered - self._delivered + refused
        if answers < self.SAMPLE:
            # What was seen long ago says nothing about now.
            self.general = self.general and now - self._since < self.MEMORY
            return
        bucket = self._bucket
        self.general = refused > answers * self.GENERAL
        if self.general:
            achieved = answers / (now - self._since)
            slower = max(self.SLOWEST, min(bucket.rate, achieved) * self.DECREASE)
            bucket.set_rate(min(bucket.pace, slower), now)
        elif bucket.rate < bucket.pace:
            bucket.set_rate(min(bucket.pace, bucket.rate + self.INCREASE * (now - self._since)), now)
        self._since, self._delivered, self._throttled = now, delivered, throttled


def _pause(attempt: int) -> float:
    return backoff_seconds(attempt, base=BACKOFF_BASE_SECONDS, cap=BACKOFF_CAP_SECONDS, random=random.random)


def _retry_after(answer: Response) -> float:
    """Seconds that the server asks to wait; a date, which no AWS service sends, is not read."""
    value = answer.headers.get("retry-after", "")
    return float(value) if value.isascii() and value.isdigit() else 0.0
