"""Connections to ``@connections`` over HTTP/2: as ``pool.Line``, with many posts under way instead of one."""

from __future__ import annotations

import selectors
import ssl
import time
from typing import TYPE_CHECKING

from roomcast.connection import IDLE_LIMIT_SECONDS, Connection
from roomcast.http2 import MAXIMUM_STREAMS, Session
from roomcast.http_parser import ProtocolError
from roomcast.verdicts import Answer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roomcast.posts import Posts
    from roomcast.shares import Post

RECORD_BYTES = 16_384
"""Size of the largest TLS record: with as much to send, waiting for more saves nothing."""


class MultiplexedLine(Connection):
    """A connection that HTTP/2 was agreed on for, and the posts that are under way on it.

    Args:
        connected: The connection, with its handshake just done.
        now: The time, in seconds of ``time.monotonic``.
        streams: How many posts the server takes at a time, if that is known.
    """

    __slots__ = ("_gathered", "_heard_at", "_session", "idle_since", "is_idle", "watched")

    expects_nothing = False
    """Frames without a post, such as PING, are usual."""

    def __init__(self, connected: Connection, now: float, streams: int | None) -> None:
        self.take_over(connected)
        self.idle_since = float("inf")
        self.is_idle = False
        self._heard_at = now
        self.watched = self.interest
        self._session: Session[Post] = Session("https", MAXIMUM_STREAMS if streams is None else streams)
        self._gathered: list[tuple[Post, int, float]] = []

    @property
    def streams(self) -> int:
        """How many posts it takes at a time."""
        return self._session.maximum_streams

    @property
    def room(self) -> int:
        """How many further posts it takes now."""
        return self._session.room

    @property
    def is_unsent(self) -> bool:
        """Whether something has gathered that the socket may take."""
        return bool(self._session.outgoing) and self.interest == selectors.EVENT_READ

    @property
    def is_worth_a_write(self) -> bool:
        """Whether so much has gathered that waiting for more saves nothing."""
        return len(self._session.outgoing) >= RECORD_BYTES and self.interest == selectors.EVENT_READ

    @property
    def is_ending(self) -> bool:
        """Whether it is to be closed after the last answer."""
        return self._session.is_ending

    @property
    def sent_at(self) -> float:
        """When the server was heard last, with posts under way; in seconds of ``time.monotonic``."""
        return self._heard_at

    @property
    def under_way(self) -> int:
        """How many posts are under way."""
        return self._session.under_way

    def posts(self) -> list[Post]:
        """The posts that are under way."""
        return [post for _, post in self._session.waiting()]

    def gather(self, post: Post, posts: Posts | None, now: float) -> int:
        """Take a post, and those that follow it while there is room; ``flush`` sends them.

        Args:
            post: The first one.
            posts: Those that follow; ``None`` for none.
            now: The time, in seconds of ``time.monotonic``.

        Returns:
            How many posts were taken.
        """
        session = self._session
        count, room = 1, session.room
        while True:
            post.sent_at = time.monotonic()
            body = post.body
            session.request(post, body.requests, post.recipient.connection_id, body.data)
            # Reading further recipients may take long: the posts that were taken must not wait for it.
            if posts is None or count >= room or not posts.fresh or session.is_full:
                return count
            following = posts.next(now)
            if following is None:
                return count
            post = following
            count += 1

    def flush(self) -> None:
        """Send the bytes that have gathered, as many as the socket takes now."""
        outgoing = self._session.outgoing
        while outgoing:
            sent = self.write(outgoing)
            if not sent:
                self.interest = selectors.EVENT_READ | selectors.EVENT_WRITE
                return
            del outgoing[:sent]
        self.interest = selectors.EVENT_READ

    def take_answers(self) -> Sequence[tuple[Post, int, float]]:
        """Read the bytes that have arrived; gives the events of ``Session.receive``."""
        gathered = self._gathered
        while (data := self.read()) is not None:
            if not data:
                raise ConnectionError("the server closed the connection")
            self._heard_at = time.monotonic()
            gathered += self._session.receive(data)
        self.flush()
        if gathered:
            self._gathered = []
            self.note_answers(len(gathered))
        return gathered

    def cancel(self, posts: Sequence[Post]) -> bool:
        """Give up posts; gives whether the connection goes on without them, because others were answered meanwhile."""
        if not posts or self._heard_at <= max(post.sent_at for post in posts):
            return False
        given_up = set(posts)
        for stream, post in self._session.waiting():
            if post in given_up:
                self._session.cancel(stream)
        return True

    def usable(self) -> bool:
        """Whether it looks alive: not too old if it is unused, not closed by the server."""
        if self._session.under_way:
            return True
        if time.time() - self.used_at > IDLE_LIMIT_SECONDS:
            return False
        try:
            return not self.take_answers() and not self._session.is_ending
        except (OSError, ProtocolError):
            return False

    def end(self) -> list[tuple[Post, int, float]]:
        """Give the events of the posts that were under way when the connection was lost."""
        return self._gathered + self._session.end()

    def kind_of_end(self, error: Exception) -> Answer:
        """The kind of answer that the loss of this connection stands for."""
        if isinstance(error, TimeoutError):
            return Answer.SILENT
        # As over HTTP/1.1: the server may close a kept connection at any moment.
        is_closed = self.answers > 0 and not isinstance(error, (ProtocolError, ssl.SSLError))
        return Answer.CLOSED if is_closed else Answer.BROKEN
