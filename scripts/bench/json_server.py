"""The AWS JSON protocol for the servers in place of DynamoDB and SQS.

They refuse unknown requests, and report them, because a measurement with a wrong answer is none.
"""

from __future__ import annotations

import json
from typing import Any

from scripts.bench.server import TICK_SECONDS, Request, Server

HEAD = "HTTP/1.1 {status}\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: {length}\r\n\r\n"
REFUSAL = b'{"__type":"com.amazon.coral.validate#ValidationException"}'


class UnknownError(Exception):
    """The server does not know the request."""


class RefusedError(Exception):
    """The service refuses a request that it knows.

    Args:
        answer: The answer's body.
        delay: Seconds until it is sent.
    """

    def __init__(self, answer: bytes, delay: float) -> None:
        super().__init__(answer)
        self.answer = answer
        self.delay = delay


class JsonServer(Server):
    """Answers calls of one service; a subclass knows its operations.

    Attributes:
        delay: Seconds until an answer.
    """

    def __init__(self, certificate: str) -> None:
        super().__init__(certificate)
        self.delay = 0.0
        self._unknown: list[str] = []
        self._calls: list[tuple[str, float, float]] = []

    def call(self, operation: str, body: bytes, arrived_at: float) -> tuple[bytes, float]:
        """Carry out an operation; gives the answer's body, and the seconds until it is sent.

        Raises:
            RefusedError: The service refuses it.
            UnknownError: The server does not know it.
        """
        raise NotImplementedError

    def take(self) -> dict[str, Any]:
        """Return the figures, the requests that the server did not know, and all calls.

        Of each call: its operation, when it had come, and the earliest moment at which its answer was sent.
        """
        figures = {**super().take(), "unknown": self._unknown, "calls": self._calls}
        self._unknown, self._calls = [], []
        return figures

    def respond(self, request: Request, head: bytes, body: bytes, arrived_at: float) -> None:
        """Answer one call."""
        operation = _operation(head)
        status = "200 OK"
        try:
            answer, delay = self.call(operation, body, arrived_at)
        except RefusedError as error:
            answer, delay, status = error.answer, error.delay, "400 Bad Request"
        except (UnknownError, KeyError, TypeError, ValueError) as error:
            self._unknown.append(f"{operation}: {error!r}")
            answer, delay, status = REFUSAL, 0.0, "400 Bad Request"
        self._calls.append((operation, arrived_at, arrived_at + max(0.0, delay - TICK_SECONDS)))
        answer = HEAD.format(status=status, length=len(answer)).encode() + answer
        self.answer(request, answer, delay and arrived_at + delay)


def _operation(head: bytes) -> str:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"x-amz-target":
            return value.decode().rpartition(".")[2]
    return ""


def dump(value: object) -> bytes:
    """Return a value as JSON."""
    return json.dumps(value, separators=(",", ":")).encode()
