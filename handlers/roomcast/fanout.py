"""The fan-out engine: one message to any number of connections, and the only module that knows `@connections`.

One event loop drives as many kept-alive connections as the number of recipients is worth. Each carries one signed
`POST {stage}/@connections/{connection id}` at a time; recipients are pulled from the caller's iterable only as
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

from roomcast.aws_http import Connection, Credentials, Endpoint, SignedRequests, Signer, TransportError, backoff_seconds
from roomcast.http_parser import ProtocolError, Response, empty_success

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

MINIMUM_AGE_TO_PRUNE = 35.0
"""Seconds. A younger connection that is answered with 410 may still be connecting: its `$connect` may take 29 s."""

NOT_OPEN_RETRY_SECONDS = 3.0
"""For how long a connection that may still be connecting is tried again."""

REQUEST_SECONDS = 5.0
"""How long an answer may take before the connection is given up and the post tried again."""

RESERVE_SECONDS = 0.5
"""What is left of the time until the deadline when the last post is given up: the caller's, to say so."""

BACKOFF_BASE_SECONDS = 0.05
BACKOFF_CAP_SECONDS = 1.0
CONNECTION_COST_SECONDS = 0.001
"""CPU time of a new TLS connection: as much as some 40 messages."""

SATURATED = 4
"""With answers that take this many times as long as the quickest one it is the other side that is busy."""

GONE_BATCH = 50
LOOK_AHEAD = 1_000
"""How many recipients are pulled at a time."""

MAXIMUM_WAITING = 5_000
"""No further recipients are pulled while so many wait for another try."""

CHECK_SECONDS = 0.1
"""How often time-outs and the share of throttled posts are looked at."""


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


class Report:
    """What became of a message; `recipients` is the sum of `delivered`, `gone` and `failed`.

    Attributes:
        recipients: How many the message was for.
        delivered: API Gateway took the message for them.
        gone: Their connection does not exist (any more, or not yet).
        failed: Not delivered, although they may be connected.
        retried: Posts that were sent again.
        throttled: Posts that were answered with 429.
        connections_opened: New connections to API Gateway.
        duration_ms: Wall time.
        cpu_ms: CPU time of the process.
        refused_status: The first status that no retry can change, such as 403; 0 if there was none.
        transport_error: The first thing that went wrong below HTTP; empty if nothing did.
        complete: Whether the recipients were read to their end; those that were not are not counted.
    """

    __slots__ = (
        "complete",
        "connections_opened",
        "cpu_ms",
        "delivered",
        "duration_ms",
        "failed",
        "gone",
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
        self.retried = 0
        self.throttled = 0
        self.connections_opened = 0
        self.duration_ms = 0.0
        self.cpu_ms = 0.0
        self.refused_status = 0
        self.transport_error = ""
        self.complete = True

    def merge(self, other: Report) -> None:
        """Add what another fan-out of the same message did."""
        for name in ("recipients", "delivered", "gone", "failed", "retried", "throttled", "connections_opened"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.duration_ms += other.duration_ms
        self.cpu_ms += other.cpu_ms
        self.refused_status = self.refused_status or other.refused_status
        self.transport_error = self.transport_error or other.transport_error
        self.complete = self.complete and other.complete

    def to_dict(self) -> dict[str, int | float | str | bool]:
        """The report as plain values by name."""
        return {name: getattr(self, name) for name in self.__slots__}


class DeliveryInterruptedError(Exception):
    """The caller's iterable or callback failed; all recipients pulled until then were served first.

    The failure is the exception's cause.

    Args:
        report: What became of the recipients that were pulled.
    """

    def __init__(self, report: Report) -> None:
        super().__init__(f"the fan-out was cut short after {report.recipients} recipients")
        self.report = report


class Engine:
    """Posts messages to the connections of one WebSocket API stage. Not for several threads at once.

    Keep one per execution environment: it keeps connections, TLS session, signing key and the latency that it has seen.

    Args:
        endpoint_url: Callback base URL, such as `https://{api}.execute-api.{region}.amazonaws.com/{stage}`.
        region: Region to sign for.
        pace: Posts per second, 0 for as many as possible. What a second leaves unused, the next may use in one burst.
        max_connections: Upper limit of connections; Lambda allows 1,024 open files.

    Raises:
        ValueError: The URL is not a base URL.
    """

    def __init__(self, endpoint_url: str, region: str, *, pace: float = 0, max_connections: int = 250) -> None:
        self._endpoint = Endpoint(endpoint_url)
        self._signer = Signer("execute-api", region)
        self._bucket = _Bucket(pace)
        self._lines = _Lines(self._endpoint, max_connections)

    def deliver(
        self,
        recipients: Iterable[Recipient],
        data: bytes,
        *,
        deadline: float,
        on_gone: Callable[[Sequence[Recipient]], None] | None = None,
        on_failed: Callable[[Sequence[Recipient]], None] | None = None,
    ) -> Report:
        """Post a message to every recipient and wait for every answer.

        Args:
            recipients: Read lazily; may be read from a database as it goes.
            data: The message, UTF-8, at most 128 KB.
            deadline: Latest end, in seconds of `time.monotonic`; some of it is left to the caller.
            on_gone: Called with up to 50 recipients at a time that are certainly dead, from within the fan-out.
            on_failed: Called with recipients that were counted as failed, from within the fan-out.

        Raises:
            DeliveryInterruptedError: `recipients`, `on_gone` or `on_failed` raised an exception; it is the cause.
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
        return _Delivery(self._lines, self._bucket, requests, data, recipients, deadline, on_gone, on_failed).run()

    def close(self) -> None:
        """Close all connections; the engine can be used on."""
        self._lines.close()


class _Post:
    """One recipient's message on its way."""

    __slots__ = ("attempts", "not_open_until", "recipient", "resent")

    def __init__(self, recipient: Recipient) -> None:
        self.recipient = recipient
        self.attempts = 0
        self.not_open_until = 0.0
        self.resent = False


class _Line(Connection):
    """A connection and the post that is under way on it."""

    __slots__ = ("post", "sent_at", "watched")

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(endpoint)
        self.post: _Post | None = None
        self.sent_at = self.opened_at
        self.watched = self.interest


class _Lines:
    """The engine's connections: those of one fan-out serve the next one, too."""

    def __init__(self, endpoint: Endpoint, limit: int) -> None:
        self.endpoint = endpoint
        self.limit = limit
        self.selector = selectors.DefaultSelector()
        self.all: set[_Line] = set()
        self.idle: list[_Line] = []
        self.latency = 0.0
        self.latency_is_guessed = True
        self.mean_latency = 0.0

    def open(self) -> _Line:
        line = _Line(self.endpoint)
        self.selector.register(line, line.interest, line)
        self.all.add(line)
        return line

    def watch(self, line: _Line) -> None:
        """Have the selector look for what the line now waits for."""
        if line.interest != line.watched:
            self.selector.modify(line, line.interest, line)
            line.watched = line.interest

    def drop(self, line: _Line) -> None:
        self.all.discard(line)
        self.selector.unregister(line)
        line.close()

    def drop_unusable(self) -> None:
        """Close what the server has closed, or time has, since the last fan-out, and whatever that one left behind."""
        idle = {line for line in self.idle if line.usable()}
        for line in self.all - idle:
            self.drop(line)
        self.idle = list(idle)

    def observe(self, latency: float) -> None:
        """Note how long an answer took: the shortest counts, since others may have waited for this process."""
        if latency < self.latency or self.latency_is_guessed:
            self.latency = latency
            self.latency_is_guessed = False
        self.mean_latency += (latency - self.mean_latency) / 16

    def close(self) -> None:
        for line in list(self.all):
            self.drop(line)
        self.idle = []


class _Bucket:
    """Token bucket: how many posts per second may be sent.

    Args:
        pace: Tokens per second, 0 for no limit.
    """

    def __init__(self, pace: float) -> None:
        self.pace = pace or float("inf")
        self.rate = self.pace
        self._tokens = max(1.0, pace)
        self._filled_at = time.monotonic()

    @property
    def limited(self) -> bool:
        return self.rate != float("inf")

    def wait(self, now: float) -> float:
        """Seconds until there is a token; 0 if there is one."""
        if not self.limited:
            return 0.0
        self._tokens = min(max(1.0, self.rate), self._tokens + (now - self._filled_at) * self.rate)
        self._filled_at = now
        return max(0.0, (1.0 - self._tokens) / self.rate)

    def take(self) -> None:
        self._tokens -= 1.0


class _Throttle:
    """Slows a fan-out down while throttling is general: additive increase, multiplicative decrease of the rate.

    A tenth of the posts refused at random is no reason: those are sent again, and that is all. With more than a third
    refused, sending more only means being refused more.
    """

    SAMPLE = 50
    GENERAL = 1 / 3
    DECREASE = 0.7
    INCREASE = 50.0
    SLOWEST = 20.0

    def __init__(self, bucket: _Bucket, now: float) -> None:
        self._bucket = bucket
        self._since = now
        self._delivered = 0
        self._throttled = 0
        bucket.rate = bucket.pace

    def adapt(self, delivered: int, throttled: int, now: float) -> None:
        """Set the rate according to what was answered since the last time (totals are given)."""
        refused = throttled - self._throttled
        answers = delivered - self._delivered + refused
        if answers < self.SAMPLE:
            return
        bucket = self._bucket
        if refused > answers * self.GENERAL:
            achieved = answers / (now - self._since)
            bucket.rate = max(self.SLOWEST, min(bucket.rate, achieved) * self.DECREASE)
        elif bucket.rate < bucket.pace:
            bucket.rate = min(bucket.pace, bucket.rate + self.INCREASE)
        self._since, self._delivered, self._throttled = now, delivered, throttled


class _Delivery:
    """One fan-out, from its first recipient to its last answer."""

    def __init__(  # noqa: PLR0913, PLR0917 - what one fan-out needs
        self,
        lines: _Lines,
        bucket: _Bucket,
        requests: SignedRequests,
        data: bytes,
        recipients: Iterable[Recipient],
        deadline: float,
        on_gone: Callable[[Sequence[Recipient]], None] | None,
        on_failed: Callable[[Sequence[Recipient]], None] | None,
    ) -> None:
        self._lines = lines
        self._bucket = bucket
        self._requests = requests
        self._data = data
        self._source = iter(recipients)
        self._exhausted = False
        self._deadline = deadline
        self._stop_at = deadline - RESERVE_SECONDS
        self._on_gone = on_gone
        self._on_failed = on_failed
        self._report = Report()
        self._error: Exception | None = None
        self._fresh: deque[Recipient] = deque()
        self._again: list[tuple[float, int, _Post]] = []
        self._sequence = 0
        self._busy = 0
        self._connecting = 0
        self._connect_failures = 0
        self._connect_not_before = 0.0
        self._gone: list[Recipient] = []
        self._malformed: list[Recipient] = []
        self._started = time.monotonic()
        self._throttle = _Throttle(bucket, self._started)
        self._next_check = self._started + CHECK_SECONDS

    def run(self) -> Report:
        cpu = time.process_time()
        report = self._report
        self._lines.drop_unusable()
        self._lines.latency_is_guessed = True
        try:
            self._loop()
            self._give_up()
            if report.delivered:
                self._gone += self._malformed
            self._hand_over_gone()
        finally:
            self._drop_unfinished()
        report.duration_ms = round((time.monotonic() - self._started) * 1000, 3)
        report.cpu_ms = round((time.process_time() - cpu) * 1000, 3)
        if self._error is not None:
            raise DeliveryInterruptedError(report) from self._error
        return report

    # The loop: give work to whoever is idle, open connections if that pays, wait, take the answers.

    def _loop(self) -> None:
        now = time.monotonic()
        while now < self._stop_at:
            self._dispatch(now)
            if not self._busy and not self._fresh and not self._again and self._exhausted:
                return
            for key, _ in self._wait(now):
                self._advance(key.data)
            now = time.monotonic()
            if now >= self._next_check:
                self._check(now)

    def _dispatch(self, now: float) -> None:
        """Send posts over idle connections for as long as there are both."""
        idle = self._lines.idle
        while idle and (not self._bucket.limited or not self._bucket.wait(now)):
            post = self._next_post(now)
            if post is None:
                return
            self._bucket.take()
            self._send(idle.pop(), post, now)

    def _next_post(self, now: float) -> _Post | None:
        if self._again and self._again[0][0] <= now:
            return heapq.heappop(self._again)[2]
        if not self._fresh:
            self._pull()
            if not self._fresh:
                return None
        return _Post(self._fresh.popleft())

    def _pull(self) -> None:
        """Read some more recipients ahead."""
        if self._exhausted or len(self._again) >= MAXIMUM_WAITING:
            return
        before = len(self._fresh)
        try:
            self._fresh.extend(islice(self._source, LOOK_AHEAD))
            self._exhausted = len(self._fresh) < before + LOOK_AHEAD
        except Exception as error:  # noqa: BLE001 - whatever it is, it is raised once everybody has been served
            self._interrupt(error)
        self._report.recipients += len(self._fresh) - before

    def _interrupt(self, error: Exception) -> None:
        self._error = self._error or error
        self._exhausted = True

    def _send(self, line: _Line, post: _Post, now: float) -> None:
        line.post = post
        line.sent_at = now
        self._busy += 1
        try:
            line.send(self._requests.head(post.recipient.connection_id) + self._data)
        except OSError as error:
            self._lost(line, error)
        else:
            self._lines.watch(line)

    def _wait(self, now: float) -> Sequence[tuple[selectors.SelectorKey, int]]:
        """Wait until something can be done, opening connections meanwhile if that pays."""
        if not self._fresh:
            self._pull()
        if self._opening_pays(now):
            events = self._lines.selector.select(0)
            if not events:
                self._open(now)
            return events
        until = min(self._stop_at, self._next_check)
        if self._again:
            until = min(until, self._again[0][0])
        if self._bucket.limited:
            until = min(until, now + (self._bucket.wait(now) or CHECK_SECONDS))
        return self._lines.selector.select(max(0.0, until - now))

    def _opening_pays(self, now: float) -> bool:
        """Whether another connection saves more time than it costs.

        With n connections, a backlog of b posts and answers after l seconds, the fan-out takes about b * l / n, plus n
        times the cost of a connection: one more saves b * l / (n * (n + 1)).
        """
        ready = len(self._fresh) + (1 if self._again and self._again[0][0] <= now else 0)
        lines = self._lines
        count = len(lines.all)
        if ready <= self._connecting or lines.idle or count >= lines.limit or now < self._connect_not_before:
            return False
        if self._bucket.limited and self._bucket.wait(now):
            return False
        if count == 0:
            return True
        saved = self._backlog() * lines.latency
        return saved > CONNECTION_COST_SECONDS * count * (count + 1) and lines.mean_latency < SATURATED * lines.latency

    def _backlog(self) -> int:
        """How many posts are still to be sent; of an iterable that does not tell, as many again as were pulled."""
        backlog = len(self._fresh) + len(self._again)
        if self._exhausted:
            return backlog
        return backlog + operator.length_hint(self._source, self._report.recipients)

    def _open(self, now: float) -> None:
        try:
            self._lines.open()
        except (OSError, TransportError) as error:
            self._connect_failed(error, now)
        else:
            self._connecting += 1
            self._report.connections_opened += 1

    def _check(self, now: float) -> None:
        """Give up what has taken too long, and adapt the rate."""
        self._next_check = now + CHECK_SECONDS
        self._throttle.adapt(self._report.delivered, self._report.throttled, now)
        for line in [line for line in self._lines.all if now - line.sent_at > REQUEST_SECONDS]:
            if line.post is not None or not line.established:
                self._lost(line, TimeoutError("timed out"))

    # What happens on one connection.

    def _advance(self, line: _Line) -> None:
        """Take the steps that a connection is ready for."""
        try:
            if line.established:
                answer = line.receive(empty_success)
                if answer is None:
                    line.flush()
            elif line.establish():
                self._established(line)
                answer = None
            else:
                answer = None
        except (OSError, ProtocolError) as error:
            self._lost(line, error)
            return
        if answer is not None:
            self._answered(line, answer)
        elif line.interest != line.watched:
            self._lines.watch(line)

    def _established(self, line: _Line) -> None:
        now = time.monotonic()
        self._connecting -= 1
        self._connect_failures = 0
        if not self._lines.latency:
            # Until the first answer is there: it takes at least as long as it took to connect.
            self._lines.latency = now - line.opened_at
        self._lines.watch(line)
        self._lines.idle.append(line)
        self._dispatch(now)

    def _answered(self, line: _Line, answer: Response) -> None:
        now = time.monotonic()
        post = line.post
        if post is None:
            # An answer that nothing was asked for.
            self._lines.idle.remove(line)
            self._lines.drop(line)
            return
        line.post = None
        self._busy -= 1
        if 200 <= answer.status < 300:
            self._report.delivered += 1
            self._lines.observe(now - line.sent_at)
        else:
            self._not_delivered(post, answer, now)
        if answer.keep_alive:
            self._lines.idle.append(line)
        else:
            self._lines.drop(line)
        self._dispatch(now)

    def _lost(self, line: _Line, error: Exception) -> None:
        """A connection is of no more use."""
        now = time.monotonic()
        post, line.post = line.post, None
        stale = line.answers > 0 and not line.answering
        self._lines.drop(line)
        if post is not None:
            self._busy -= 1
            self._report.transport_error = self._report.transport_error or str(error)
            if stale and not post.resent and not isinstance(error, TimeoutError):
                post.resent = True
                self._retry(post, now, 0.0)
            else:
                self._back_off(post, now)
        elif line.established:
            self._lines.idle.remove(line)
        else:
            self._connecting -= 1
            self._connect_failed(error, now)

    def _connect_failed(self, error: Exception, now: float) -> None:
        self._report.transport_error = self._report.transport_error or str(error)
        if isinstance(error, ssl.SSLCertVerificationError):
            # Another try would find the same certificate.
            self._stop_at = now
        self._connect_failures += 1
        self._connect_not_before = now + backoff_seconds(
            self._connect_failures, base=BACKOFF_BASE_SECONDS, cap=BACKOFF_CAP_SECONDS, random=random.random
        )

    # What an answer means.

    def _not_delivered(self, post: _Post, answer: Response, now: float) -> None:
        status = answer.status
        if status == 410:
            self._not_there(post, now)
        elif status == 429:
            self._report.throttled += 1
            self._back_off(post, now, answer)
        elif status == 408 or status >= 500:
            self._back_off(post, now, answer)
        elif status == 400:
            # An id that cannot be one. But if the message is what displeases, the room must not be emptied for it.
            self._report.gone += 1
            if len(self._malformed) < GONE_BATCH:
                self._malformed.append(post.recipient)
        else:
            self._report.refused_status = self._report.refused_status or status
            self._fail([post.recipient])

    def _not_there(self, post: _Post, now: float) -> None:
        """A connection is closed, or not open yet."""
        age = time.time() - post.recipient.connected_at / 1000
        if age >= MINIMUM_AGE_TO_PRUNE:
            self._report.gone += 1
            self._gone.append(post.recipient)
            if len(self._gone) >= GONE_BATCH:
                self._hand_over_gone()
            return
        post.not_open_until = post.not_open_until or now + NOT_OPEN_RETRY_SECONDS
        # The last try comes at the very end of that time. So whoever gets one message by such a try also gets those
        # sent after it: their tries end later.
        delay = min(self._delay(post), post.not_open_until - now)
        if delay > 0 and now + delay < self._stop_at:
            self._retry(post, now, delay)
        else:
            self._report.gone += 1

    def _back_off(self, post: _Post, now: float, answer: Response | None = None) -> None:
        delay = self._delay(post)
        if answer is not None:
            delay = max(delay, _retry_after(answer))
        if now + delay < self._stop_at:
            self._retry(post, now, delay)
        else:
            self._fail([post.recipient])

    def _delay(self, post: _Post) -> float:
        post.attempts += 1
        return backoff_seconds(post.attempts, base=BACKOFF_BASE_SECONDS, cap=BACKOFF_CAP_SECONDS, random=random.random)

    def _retry(self, post: _Post, now: float, delay: float) -> None:
        self._report.retried += 1
        self._sequence += 1
        heapq.heappush(self._again, (now + delay, self._sequence, post))

    # The end.

    def _give_up(self) -> None:
        """Count whoever was not served as failed."""
        under_way = [line.post for line in self._lines.all if line.post is not None]
        self._fail([post.recipient for post in under_way])
        self._fail([post.recipient for _, _, post in self._again])
        self._fail(list(self._fresh))
        self._again.clear()
        self._fresh.clear()
        while not self._exhausted and time.monotonic() < self._deadline - RESERVE_SECONDS / 2:
            self._pull()
            self._fail(list(self._fresh))
            self._fresh.clear()
        self._report.complete = self._exhausted and self._error is None

    def _hand_over_gone(self) -> None:
        gone, self._gone = self._gone, []
        if self._error is None:
            self._call(self._on_gone, gone)

    def _fail(self, recipients: Sequence[Recipient]) -> None:
        self._report.failed += len(recipients)
        self._call(self._on_failed, recipients)

    def _call(self, callback: Callable[[Sequence[Recipient]], None] | None, recipients: Sequence[Recipient]) -> None:
        if not recipients or callback is None:
            return
        try:
            callback(recipients)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is raised once everybody has been served
            self._interrupt(error)

    def _drop_unfinished(self) -> None:
        """Close connections that still wait for an answer: nobody will."""
        for line in [line for line in self._lines.all if line.post is not None or not line.established]:
            self._lines.drop(line)


def _retry_after(answer: Response) -> float:
    """Seconds that the server asks to wait; a date, which no AWS service sends, is not read."""
    value = answer.headers.get("retry-after", "")
    return float(value) if value.isascii() and value.isdigit() else 0.0
