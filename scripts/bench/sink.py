"""A cheap TLS server in place of ``@connections``: one event loop over plain sockets.

``python -m scripts.bench.sink --certificate FILE`` prints its port, serves until SIGTERM, and then prints its counts as
JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import selectors
import signal
import socket
import ssl
import time
from collections import Counter, deque

HEADERS = (
    b"Date: Mon, 11 Nov 2024 13:45:46 GMT\r\nContent-Type: application/json\r\nContent-Length: 0\r\n"
    b"Connection: keep-alive\r\nx-amzn-RequestId: 5cb8ca1c-2d28-4f6b-8c5d-3c1f1f2a7e55\r\n"
    b"x-amz-apigw-id: BFHPhfCWIAMCKlQ=\r\n\r\n"
)
OK = b"HTTP/1.1 200 OK\r\n" + HEADERS
THROTTLED = b"HTTP/1.1 429 Too Many Requests\r\n" + HEADERS
READ_BYTES = 65_536


class Line:
    """One connection and the part of a request that has arrived on it."""

    __slots__ = ("data", "established", "socket")

    def __init__(self, connection: ssl.SSLSocket) -> None:
        self.socket = connection
        self.established = False
        self.data = b""


class Sink:
    """Answers every post.

    Args:
        certificate: File with private key and certificate chain.
        delay: Seconds between a request and its answer, as an estimate of the network and API Gateway.
        throttled: Share of requests to answer with 429.
        dropped: Share of requests on which the connection is closed without an answer.
        track: Whether to count the accepted posts per connection id.
    """

    def __init__(self, certificate: str, delay: float, throttled: float, dropped: float, *, track: bool) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)
        self._context.set_alpn_protocols(["http/1.1"])
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._delay = delay
        self._throttled = throttled
        self._dropped = dropped
        self._track = track
        self._answers: deque[tuple[float, Line, bytes]] = deque()
        self._dice = random.Random(1)  # noqa: S311 - the same faults in every run
        self.connections = 0
        self.requests = 0
        self.accepted: Counter[bytes] = Counter()
        self.stopped = False

    def serve(self) -> None:
        """Answer until ``stopped`` is set."""
        while not self.stopped:
            until = self._answers[0][0] - time.monotonic() if self._answers else 0.5  # to notice ``stopped``
            for key, _ in self._selector.select(max(0.0, until)):
                if key.data is None:
                    self._accept()
                else:
                    self._advance(key.data)
            self._send_due_answers()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except BlockingIOError:
                return
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            encrypted = self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
            self._selector.register(encrypted, selectors.EVENT_READ, Line(encrypted))
            self.connections += 1

    def _advance(self, line: Line) -> None:
        try:
            if not line.established:
                line.socket.do_handshake()
                line.established = True
            data = line.socket.recv(READ_BYTES)
        except ssl.SSLWantReadError:
            return
        except OSError:
            data = b""
        if not data:
            self._close(line)
            return
        data = line.data + data
        head = data.find(b"\r\n\r\n")
        if head < 0 or len(data) < head + 4 + _body_length(data):
            line.data = data
            return
        line.data = b""
        self._serve_request(line, data)

    def _serve_request(self, line: Line, data: bytes) -> None:
        self.requests += 1
        if self._dropped or self._throttled:
            drawn = self._dice.random()
            if drawn < self._dropped:
                self._close(line)
                return
            if drawn < self._dropped + self._throttled:
                self._answer(line, THROTTLED)
                return
        if self._track:
            self.accepted[data[: data.index(b" HTTP/1.1\r\n")]] += 1
        self._answer(line, OK)

    def _answer(self, line: Line, answer: bytes) -> None:
        if self._delay:
            self._answers.append((time.monotonic() + self._delay, line, answer))
        else:
            line.socket.send(answer)

    def _send_due_answers(self) -> None:
        now = time.monotonic()
        while self._answers and self._answers[0][0] <= now:
            _, line, answer = self._answers.popleft()
            if line.socket.fileno() >= 0:  # -1 once it is closed
                line.socket.send(answer)

    def _close(self, line: Line) -> None:
        self._selector.unregister(line.socket)
        line.socket.close()


def _body_length(data: bytes) -> int:
    start = data.lower().index(b"content-length: ") + len(b"content-length: ")
    return int(data[start : data.index(b"\r\n", start)])


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--certificate", required=True, help="file with private key and certificate chain")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds until an answer")
    parser.add_argument("--throttled", type=float, default=0.0, help="share of 429")
    parser.add_argument("--dropped", type=float, default=0.0, help="share of dropped connections")
    parser.add_argument("--track", action="store_true", help="count the accepted posts of each connection id")
    options = parser.parse_args()
    sink = Sink(options.certificate, options.delay, options.throttled, options.dropped, track=options.track)

    def stop(*_: object) -> None:
        sink.stopped = True

    signal.signal(signal.SIGTERM, stop)
    print(sink.port, flush=True)
    sink.serve()
    seen = {
        "connections": sink.connections,
        "requests": sink.requests,
        "accepted_ids": len(sink.accepted),
        "accepted_twice": sum(count > 1 for count in sink.accepted.values()),
    }
    print(json.dumps(seen), flush=True)


if __name__ == "__main__":
    main()
