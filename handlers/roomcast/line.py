"""A connection to ``@connections`` over HTTP/1.1, with at most one post under way."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from roomcast.connection import Connection
from roomcast.empty_success import EMPTY_SUCCESS, EmptySuccesses
from roomcast.http_parser import BROKEN, ProtocolError
from roomcast.verdicts import Answer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roomcast.addresses import Endpoint
    from roomcast.http_parser import Response
    from roomcast.shares import Post

UNREQUESTED = "the server sent an answer without a request"

_is_empty_success = EmptySuccesses().match


class Line(Connection):
    """A connection over HTTP/1.1, or of a protocol that is not known yet, and the post that is under way on it.

    Attributes:
        idle_since: When it was seen without anything unread, in seconds of ``time.monotonic``.
        is_ending: Whether it is to be closed after the last answer.
        is_idle: Whether it is among those that can take a post.
        post: The post that is under way.
        sent_at: When that was sent, or else when it began to connect, in seconds of ``time.monotonic``.
        watched: The ``interest`` that ``Sockets`` knows.
    """

    __slots__ = ("idle_since", "is_ending", "is_idle", "post", "sent_at", "watched")

    def __init__(self, endpoint: Endpoint, deadline: float) -> None:
        self.idle_since = float("inf")
        self.is_ending = False
        self.is_idle = False
        self.post: Post | None = None
        super().__init__(endpoint, deadline)
        self.sent_at = time.monotonic()
        self.watched = self.interest

    @property
    def expects_nothing(self) -> bool:
        """Whether the server has nothing to say, as no request is under way."""
        return self.established and self.post is None

    @property
    def under_way(self) -> int:
        """How many posts are under way."""
        return self.post is not None

    @property
    def room(self) -> int:
        """How many further posts it takes now."""
        return self.established and self.post is None and not self.is_ending

    def posts(self) -> Sequence[Post]:
        """The posts that are under way."""
        return () if self.post is None else (self.post,)

    def carry(self, post: Post, now: float) -> None:
        """Send a post."""
        self.post = post
        self.sent_at = post.sent_at = now
        self.send(post.body.requests.request(post.recipient.connection_id))

    def take_answer(self) -> Response | None:
        """Read the bytes that have arrived; gives the answer to the post once it is complete."""
        while (data := self.read()) is not None:
            if self.answers and self._parser is None and not self._unsent and _is_empty_success(data):
                self.answers += 1
                self.used_at = time.time()
                self.post = None
                return EMPTY_SUCCESS
            response = self.take(data)
            if response is not None:
                self.post = None
                self.is_ending = not response.keep_alive
                return response
        self.flush()
        return None

    def take_answers(self) -> Sequence[tuple[Post, int, float]]:
        """Read bytes that have arrived without a post."""
        if self.receive() is not None:
            raise ProtocolError(UNREQUESTED)
        return ()

    def cancel(self, _: Sequence[Post]) -> bool:
        """Give up posts; gives whether the connection goes on without them, which it cannot over HTTP/1.1."""
        return False

    def end(self) -> Sequence[tuple[Post, int, float]]:
        """Give the post that was under way when the connection was lost."""
        return () if self.post is None else ((self.post, BROKEN, 0.0),)

    def kind_of_end(self, error: Exception) -> Answer:
        """The kind of answer that the loss of this connection stands for."""
        if isinstance(error, TimeoutError):
            return Answer.SILENT
        # The server may close a kept connection at any moment, also when a request is on its way.
        return Answer.CLOSED if self.answers > 0 and not self.answering else Answer.BROKEN
