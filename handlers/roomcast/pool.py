"""The engine's connections to ``@connections``: those of one fan-out serve the next one, too."""

from __future__ import annotations

import ssl
import time
from typing import TYPE_CHECKING

from roomcast.addresses import HTTP2
from roomcast.connection import IDLE_LIMIT_SECONDS, OUT_OF_RESOURCES
from roomcast.line import Line
from roomcast.pacing import pause
from roomcast.sockets import Sockets
from roomcast.verdicts import FEW, SILENCE_SECONDS

if TYPE_CHECKING:
    from typing import TypeAlias

    from roomcast.addresses import Endpoint
    from roomcast.multiplexed import MultiplexedLine
    from roomcast.shares import Post

    AnyLine: TypeAlias = "Line | MultiplexedLine"

REQUEST_SECONDS = 1.5
"""Time limit of an answer; then the connection is given up and the post tried again. API Gateway answers within
hundredths of a second, and a later answer is lost far more often than late."""

SLOW_FACTOR = 10 / 3
"""As many times longer, 5 s, is the limit when answers are late in general: a post that is tried again may be delivered
twice."""

MEAN_LATENCIES = 10
"""An answer is not late before it has taken as many times as long as the others, up to that longer limit."""

STALL_SECONDS = 0.5
"""When more than a few posts are under way and none is answered for so long, answers are late in general. When they
come again, those that come next have waited for the same thing."""

FIRST_REQUEST_SECONDS = 1.0
"""As ``REQUEST_SECONDS``, on a connection that was unused for so long that it may have gone silent."""

CONNECTION_CPU_SECONDS = 0.001
"""CPU time of a new TLS connection: as much as that of some 40 messages."""

CONNECTION_COST_SECONDS = 0.3 * CONNECTION_CPU_SECONDS
"""Delay of the other posts by a new connection: less than its CPU time, because it is opened while no answer has come.
With the whole of it, 1,000 posts took 1.4 times as long warm, and no less time cold or with 0.29 of a CPU."""

MULTIPLEXED_POST_SECONDS = 0.000_01
"""CPU time of a post over HTTP/2, at least: more posts under way than are sent while one answer takes would only wait
for this process, and with them the connections that carry them."""

BUSY_FACTOR = 10
"""When answers take this many times as long as the quickest one, more connections would only wait for each other."""

STUCK_SECONDS = 0.5
"""A connection that has waited so long for an answer does not count when the pool asks whether another one pays."""

STUCK_LATENCIES = 10
"""Nor does one that has waited so many times as long as the others: members that never answer may hold most of them."""

MAXIMUM_UNDER_WAY = 1_000
"""Posts under way on all connections: at 15 ms each, an account may send no more a second."""

LOOK_UP_CHECK_SECONDS = 0.005
"""Pause between checks for the resolver's answer while there is other work."""


class Pool:
    """Connections to one endpoint.

    Args:
        endpoint: Where to connect.
        limit: Upper limit of connections.

    Attributes:
        all: All connections.
        multiplexed: Those of them that speak HTTP/2.
        idle: Those that can take a post.
        connecting: How many are not established yet.
        under_way: Posts sent and not answered.
        stuck: How many have waited for an answer for so long that they do not count as working.
        latency: Seconds that the quickest answer of this fan-out took.
        mean_latency: A moving mean of the same.
        handshake: Seconds that the quickest new connection took.
        wanted: As many as the most recipients of a run, up to the limit: all posts are under way at once then.
        sent_at: When the last post was sent, in seconds of ``time.monotonic``.
        open_not_before: When another connection may be opened, in seconds of ``time.monotonic``.
        sockets: Their sockets, and those of connections to the database.
    """

    def __init__(self, endpoint: Endpoint, limit: int) -> None:
        self.endpoint = endpoint
        self.limit = limit
        self.all: set[AnyLine] = set()
        self.multiplexed: list[MultiplexedLine] = []
        self.idle: list[AnyLine] = []
        self.connecting = 0
        self.under_way = 0
        self.stuck = 0
        self.latency = 0.0
        self.mean_latency = 0.0
        self.handshake = float("inf")
        self.wanted = 0
        self.sent_at = self.open_not_before = 0.0
        self._heard_at = self._resumed_at = 0.0
        self._speaks_http2 = False
        self._streams: int | None = None
        self._failures = self._certificate_failures = 0
        self._latency_is_guessed = True
        self.sockets: Sockets[AnyLine] = Sockets()

    def begin(self) -> None:
        """Start a fan-out: close connections that the server has closed, or that have been idle for too long."""
        self.connecting = self.under_way = self.stuck = self._failures = self._certificate_failures = 0
        self.sent_at = self.open_not_before = 0.0
        self._heard_at = self._resumed_at = time.monotonic()
        self._latency_is_guessed = True
        self.sockets.open()
        readable = self.sockets.wait(0)
        oldest = time.time() - IDLE_LIMIT_SECONDS
        for line in list(self.all):
            if line.used_at < oldest or (line in readable and not line.usable()):
                self.drop(line)
            elif line in readable:
                # The server may have taken its room away.
                self.offer(line, line.idle_since)

    @property
    def capacity(self) -> int:
        """How many posts may be under way at a time."""
        return min(self.limit * self.streams, MAXIMUM_UNDER_WAY)

    def may_open(self) -> bool:
        """Whether the limit allows another connection."""
        return len(self.all) < self.limit and len(self.all) * self.streams < MAXIMUM_UNDER_WAY

    @property
    def streams(self) -> int:
        """How many posts another connection probably takes at a time."""
        if not self._speaks_http2:
            return 1
        return max(1, self.multiplexed[-1].streams if self.multiplexed else self._streams or 1)

    def another_pays(self, posts: int) -> bool:
        """Whether another connection saves more time than it costs.

        With n connections, b posts to send and answers that take l seconds, the fan-out takes about b * l / n: one more
        saves b * l / (n * (n + 1)). Those that wait for an answer too long, or end, do not count.

        Args:
            posts: Posts still to be sent.
        """
        ending = sum(line.is_ending for line in self.multiplexed)
        count = max(0, len(self.all) - self.stuck - ending)
        if not count:
            return True
        # The next post gets stuck as often as the others have: then its connection takes no other one meanwhile.
        latency = self.latency + self.stuck_seconds * self.stuck / len(self.all)
        cost = CONNECTION_COST_SECONDS * count * (count + 1) * self.streams
        # While all that work are stuck, earlier answers say nothing.
        is_busy = self._is_busy and not (self.stuck and count <= self.connecting)
        return not is_busy and posts * latency >= cost

    def may_grow(self, recipients: int, seconds: float) -> bool:
        """Whether another connection can be made for the next messages, while this process has nothing else to do.

        A room larger than the limit gains by each one, too: with answers after 15 ms, 1,000 posts take 0.75 of the time
        over 250 connections instead of 110, and no longer with 0.29 of a CPU.

        Args:
            recipients: Recipients of this run.
            seconds: How long it has nothing else to do.
        """
        needed = -(-recipients // self.streams)
        self.wanted = min(self.limit, max(self.wanted, needed))
        takes = self.handshake + self.connecting * CONNECTION_CPU_SECONDS
        return len(self.all) < self.wanted and self.may_open() and takes < seconds and not self._is_busy

    @property
    def _is_busy(self) -> bool:
        """Whether further posts under way would only wait for this process."""
        streams = self.streams
        is_full = streams > 1 and len(self.multiplexed) * streams * MULTIPLEXED_POST_SECONDS > self.latency
        return is_full or self.mean_latency > BUSY_FACTOR * self.latency

    def open(self, deadline: float) -> None:
        """Begin to open a connection.

        Args:
            deadline: How long the resolver may take, in seconds of ``time.monotonic``.

        Raises:
            OSError: It was refused at once.
            UnresolvedError: The resolver has not answered by the deadline.
            TransportError: The host name does not resolve.
        """
        line = Line(self.endpoint, deadline)
        try:
            self.sockets.add(line)
        except BaseException:
            line.close()
            raise
        self.all.add(line)
        self.connecting += 1

    def established(self, line: Line, now: float) -> bool:
        """Take an established connection into use; false when it is useless, because something has come already."""
        self.connecting -= 1
        self._speaks_http2 = line.protocol == HTTP2
        if self._speaks_http2:
            self.offer(self._multiplex(line, now), now)
        elif line.usable():
            self.offer(line, now)
        else:
            self.drop(line)
            return False
        self._failures = 0
        self.handshake = min(self.handshake, now - line.sent_at)
        if not self.latency:
            # Until there is an answer: it will take at least as long as it took to connect.
            self.latency = now - line.sent_at
        return True

    def _multiplex(self, line: Line, now: float) -> MultiplexedLine:
        # Only where it is needed: it would take a tenth of the time that a cold start takes to import the engine.
        from roomcast.multiplexed import MultiplexedLine  # noqa: PLC0415

        multiplexed = MultiplexedLine(line, now, self._streams)
        self.sockets.remove(line)
        self.sockets.add(multiplexed)
        self.all.remove(line)
        self.all.add(multiplexed)
        self.multiplexed.append(multiplexed)
        return multiplexed

    def offer(self, line: AnyLine, now: float) -> None:
        """Use a connection for further posts while it has room; drop it if it has none and nothing is under way."""
        line.idle_since = now
        if line.room:
            if not line.is_idle:
                line.is_idle = True
                self.idle.append(line)
            return
        if line.is_idle:
            # It ends: a further post would wait for an answer in vain. Or flow control holds it back.
            line.is_idle = False
            self.idle.remove(line)
        if not line.under_way:
            if not line.answers:
                # The next one may be no better.
                self.open_not_before = time.monotonic() + pause(1)
            self.drop(line)

    def occupy(self, line: AnyLine) -> None:
        """Give the last idle connection, which this one is, no further post for now."""
        line.is_idle = False
        self.idle.pop()

    def not_opened(self, error: Exception, now: float) -> bool:
        """Note that a connection could not be made; false when no other one can be, because certificates are wrong."""
        self._failures += 1
        has_alternatives = self.endpoint.alternatives
        is_out_of_resources = isinstance(error, OSError) and error.errno in OUT_OF_RESOURCES
        if is_out_of_resources or (self._failures > 1 and not has_alternatives):
            self.open_not_before = now + pause(self._failures)
        if isinstance(error, ssl.SSLCertVerificationError) and not has_alternatives:
            # A new look-up may find other addresses; another one after that would find the same certificates.
            self._certificate_failures += 1
            return self._certificate_failures < 2 or bool(self.under_way or self.idle)
        return True

    def watch(self, line: AnyLine) -> None:
        """Wait for the events that a connection now needs."""
        self.sockets.change(line)
        line.watched = line.interest

    @property
    def stuck_seconds(self) -> float:
        """How long a connection must have waited for an answer not to count."""
        return min(STUCK_SECONDS, max(STUCK_SECONDS / 5, STUCK_LATENCIES * self.mean_latency))

    @property
    def slowness(self) -> float:
        """How many times longer than usual the limits of answers are, from 1 to ``SLOW_FACTOR``."""
        return min(SLOW_FACTOR, max(1.0, MEAN_LATENCIES * self.mean_latency / REQUEST_SECONDS))

    def overdue(self, now: float, delivered: int) -> list[tuple[AnyLine, list[Post]]]:
        """Connections that have been connecting, or waiting for answers, for too long, and the posts without one.

        Args:
            now: The time, in seconds of ``time.monotonic``.
            delivered: Posts of the run that were delivered. While more are under way, answers are late in general.
        """
        is_stalled = self.under_way > FEW and now - self._heard_at > STALL_SECONDS
        late = self._late(now, SLOW_FACTOR if is_stalled or self.under_way > delivered else self.slowness)
        # It may be this process that was late: the caller's code runs within the fan-out, and Lambda shares CPUs.
        ready = self.sockets.wait(0) if late else []
        return [(line, posts) for line, posts in late if line not in ready]

    def _late(self, now: float, factor: float) -> list[tuple[AnyLine, list[Post]]]:
        connect_seconds = self.endpoint.connect_seconds
        late = []
        for line in self.all:
            posts = [post for post in line.posts() if self._is_late(line, post, now, factor)]
            if posts or (not line.established and now - line.sent_at > connect_seconds):
                late.append((line, posts))
        return late

    def _is_late(self, line: AnyLine, post: Post, now: float, factor: float) -> bool:
        waited = now - post.sent_at
        if waited > REQUEST_SECONDS * SLOW_FACTOR or post.silence(now) >= SILENCE_SECONDS:
            return True
        waited = min(waited, now - self._resumed_at) / factor
        return waited > REQUEST_SECONDS or (waited > FIRST_REQUEST_SECONDS and line.idled(post.sent_at))

    def waiting_since(self, moment: float) -> int:
        """How many connections have been waiting for an answer since before a moment."""
        return sum(line.sent_at < moment for line in self.all if line.under_way)

    def waiting_for_less_than(self, seconds: float, now: float) -> bool:
        """Whether a post is under way that was sent less than so many seconds ago."""
        return any(now - post.sent_at < seconds for line in self.all for post in line.posts())

    def observe(self, latency: float, now: float) -> None:
        """Note how many seconds an answer took: the shortest counts, the others may have waited for this process."""
        if now - self._heard_at > STALL_SECONDS and self.under_way > FEW:
            self._resumed_at = now
        self._heard_at = now
        if latency < self.latency or self._latency_is_guessed:
            self.latency = latency
            self._latency_is_guessed = False
        # Exponential: about the last 16 answers count.
        self.mean_latency += (latency - self.mean_latency) / 16

    def drop(self, line: AnyLine) -> None:
        """Close a connection."""
        self.all.remove(line)
        for each in [each for each in self.multiplexed if each is line]:
            self.multiplexed.remove(each)
            self._streams = each.streams or self._streams
        if line.is_idle:
            line.is_idle = False
            self.idle.remove(line)
        if not line.established:
            self.connecting -= 1
        self.sockets.remove(line)
        line.close()

    def drop_unfinished(self) -> None:
        """Close connections that still wait for something, because the fan-out has ended."""
        self.under_way = 0
        for line in list(self.all):
            if not line.established or (line.under_way and not line.cancel(line.posts())):
                self.drop(line)
            else:
                self.offer(line, line.idle_since)

    def close(self) -> None:
        """Close all connections; the next fan-out may open new ones."""
        for line in list(self.all):
            self.drop(line)
        self.sockets.close()
