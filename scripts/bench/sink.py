"""A cheap server in place of ``@connections``: takes posts, and notes when each has arrived whole."""

from __future__ import annotations

import random
import re
from collections import Counter
from typing import Any
from urllib.parse import unquote

from scripts.bench.server import Request, Server, run

HEADERS = (
    b"Date: Mon, 11 Nov 2024 13:45:46 GMT\r\nContent-Type: application/json\r\nContent-Length: 0\r\n"
    b"Connection: keep-alive\r\nx-amzn-RequestId: 5cb8ca1c-2d28-4f6b-8c5d-3c1f1f2a7e55\r\n"
    b"x-amz-apigw-id: BFHPhfCWIAMCKlQ=\r\n\r\n"
)
OK = b"HTTP/1.1 200 OK\r\n" + HEADERS
GONE = b"HTTP/1.1 410 Gone\r\nx-amzn-ErrorType: GoneException\r\n" + HEADERS
THROTTLED = b"HTTP/1.1 429 Too Many Requests\r\nx-amzn-ErrorType: LimitExceededException\r\n" + HEADERS

TAIL = 20
"""An answer of the tail takes so many times as long."""

_NUMBER = re.compile(r"[0-9]{7}")


class Sink(Server):
    """Answers posts, and keeps those that it accepted.

    Attributes:
        delay: Seconds between a post and its answer, as an estimate of the network and API Gateway.
        throttled: Share of posts to answer with 429.
        dropped: Share of posts on which the connection is closed without an answer.
        tail: Share of posts that take ``TAIL`` times as long.
        full: Numbers of the members with a full buffer: all their posts are answered with 429.
        silent: Numbers of the members that do not read: their posts are never answered.
        dead: Numbers of the members that have left: their posts are answered with 410.
        keeps: Whether to keep accepted posts for ``take``.
    """

    def __init__(self, certificate: str) -> None:
        super().__init__(certificate)
        self.delay = 0.0
        self.throttled = 0.0
        self.dropped = 0.0
        self.tail = 0.0
        self.full: list[int] = []
        self.silent: list[int] = []
        self.dead: list[int] = []
        self.keeps = False
        self._troubled: dict[int, bytes | None] = {}
        self._posts: list[tuple[float, str, str]] = []
        self._refusals: Counter[str] = Counter()
        self._dice = random.Random(1)  # noqa: S311 - the same faults in every run

    def configure(self, **settings: Any) -> None:  # noqa: ANN401 - each setting has its own type
        """Set the attributes; the same posts meet the same faults after each call."""
        super().configure(**settings)
        self._dice.seed(1)
        self._troubled = {
            **dict.fromkeys(self.dead, GONE),
            **dict.fromkeys(self.full, THROTTLED),
            **dict.fromkeys(self.silent, None),
        }

    def take(self) -> dict[str, Any]:
        """Return the figures and the accepted posts: when each arrived, its connection id and its text."""
        figures = {**super().take(), "posts": self._posts, "refusals": dict(self._refusals)}
        self._posts = []
        self._refusals.clear()
        return figures

    def respond(self, request: Request, head: bytes, body: bytes, arrived_at: float) -> None:
        """Answer one post."""
        delay = self.delay
        if self.dropped or self.throttled or self.tail:
            drawn = self._dice.random()
            if drawn < self.dropped:
                self.hang_up(request.line)
                return
            if drawn < self.dropped + self.throttled:
                self.answer(request, THROTTLED, delay and arrived_at + delay)
                return
            if drawn < self.dropped + self.throttled + self.tail:
                delay *= TAIL
        answer: bytes | None = OK
        if self.keeps or self._troubled:
            connection_id = unquote(head[: head.index(b" HTTP/")].rpartition(b"/")[2].decode())
            answer = self._troubled.get(number_of(connection_id), OK)
            self._note(answer, arrived_at, connection_id, body)
        if answer is not None:
            self.answer(request, answer, delay and arrived_at + delay)

    def _note(self, answer: bytes | None, arrived_at: float, connection_id: str, body: bytes) -> None:
        if answer is not OK:
            self._refusals["silence" if answer is None else answer[9:12].decode()] += 1
        elif self.keeps:
            self._posts.append((arrived_at, connection_id, body.decode()))


def number_of(connection_id: str) -> int:
    """Return the number of the member that a connection id of the benchmark stands for."""
    match = _NUMBER.search(connection_id)
    return int(match[0]) if match else -1


if __name__ == "__main__":
    run(Sink)
