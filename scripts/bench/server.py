"""A TLS server in one event loop over plain sockets: the common part of the servers in place of AWS's services.

Each runs in a process of its own. The process prints its port and then reads commands from its standard input, one JSON
array ``[name, parameters]`` a line; it answers each with one line of JSON. It ends with its standard input.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import json
import os
import selectors
import signal
import socket
import ssl
import sys
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from scripts.bench import http2

if TYPE_CHECKING:
    from collections.abc import Callable

READ_BYTES = 65_536
IDLE_SECONDS = 60.0
TICK_SECONDS = 0.0005
"""An answer that is due within this time is sent: the system waits whole milliseconds, rounded up."""


class Line:
    """One connection, and the parts of a request and of answers that are on their way on it."""

    __slots__ = ("data", "established", "frames", "output", "socket", "watched")

    def __init__(self, connection: ssl.SSLSocket) -> None:
        self.socket = connection
        self.established = False
        self.frames: http2.Frames | None = None
        self.data = b""
        self.output = b""
        self.watched = 0


class Request(NamedTuple):
    """The connection that a request came on, and its stream; 0 over HTTP/1.1."""

    line: Line
    stream: int


class Server:
    """Reads requests and sends answers after a delay; a subclass answers.

    Args:
        certificate: File with private key and certificate chain.

    Attributes:
        http2: Whether HTTP/2 is offered.
        greeting_seconds: Time between a client's connection and the server's part of the TLS handshake.
        connections: Connections accepted since the last ``take``.
        requests: Requests received since the last ``take``.
    """

    def __init__(self, certificate: str) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._lines: set[Line] = set()
        self._due: list[tuple[float, int, Request, bytes | None]] = []
        self._numbers = itertools.count()
        self._commands = b""
        self._ended = False
        self.http2 = False
        self.greeting_seconds = 0.0
        self.connections = 0
        self.requests = 0

    def respond(self, request: Request, head: bytes, body: bytes, arrived_at: float) -> None:
        """Answer a request, now or later, or never.

        Args:
            request: Where it came from.
            head: Request line and headers.
            body: The body.
            arrived_at: When its last byte had come, in seconds of ``time.monotonic``.
        """
        raise NotImplementedError

    def configure(self, **settings: Any) -> None:  # noqa: ANN401 - each setting has its own type
        """Set attributes of this server.

        Raises:
            AttributeError: The server has no attribute of that name.
        """
        for name, value in settings.items():
            getattr(self, name)
            setattr(self, name, value)

    def take(self) -> dict[str, Any]:
        """Return the figures since the last ``take``, and begin anew."""
        figures = {"connections": self.connections, "requests": self.requests}
        self.connections = self.requests = 0
        return figures

    def hang_up_all(self) -> int:
        """Close all connections, as servers do with idle ones; return their number."""
        lines = list(self._lines)
        for line in lines:
            self.hang_up(line)
        return len(lines)

    def answer(self, request: Request, answer: bytes, at: float = 0.0) -> None:
        """Send an answer at a moment of ``time.monotonic``; 0 for at once."""
        if request.stream:
            answer = http2.answer(request.stream, answer)
        if at:
            heapq.heappush(self._due, (at, next(self._numbers), request, answer))
        elif request.stream and request.line.frames is not None:
            request.line.frames.output += answer
        else:
            self._send(request.line, answer)

    def hang_up(self, line: Line) -> None:
        """Close a connection."""
        if line in self._lines:
            self._lines.discard(line)
            if line.watched:
                self._selector.unregister(line.socket)
            line.socket.close()

    def serve(self, commands: int) -> None:
        """Serve requests and commands until the commands end.

        Args:
            commands: File descriptor that commands are read from.
        """
        self._selector.register(commands, selectors.EVENT_READ, commands)
        while not self._ended:
            until = self._due[0][0] - TICK_SECONDS - time.monotonic() if self._due else IDLE_SECONDS
            for key, events in self._selector.select(max(0.0, until)):
                if key.data is None:
                    self._accept()
                elif isinstance(key.data, Line):
                    self._advance(key.data, events)
                else:
                    self._read_commands(commands)
            self._serve_due()

    def _read_commands(self, commands: int) -> None:
        data = os.read(commands, READ_BYTES)
        self._ended = not data
        *lines, self._commands = (self._commands + data).split(b"\n")
        for line in lines:
            name, parameters = json.loads(line)
            actions: dict[str, Callable[..., Any]] = {
                "configure": self.configure,
                "take": self.take,
                "hang_up_all": self.hang_up_all,
            }
            print(json.dumps(actions[name](**parameters)), flush=True)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except BlockingIOError:
                return
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._context.set_alpn_protocols(["h2", "http/1.1"] if self.http2 else ["http/1.1"])
            line = Line(self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False))
            self._lines.add(line)
            self.connections += 1
            if self.greeting_seconds:
                at = time.monotonic() + self.greeting_seconds
                heapq.heappush(self._due, (at, next(self._numbers), Request(line, 0), None))
            else:
                self._watch(line, selectors.EVENT_READ)

    def _serve_due(self) -> None:
        due = self._due
        now = time.monotonic() + TICK_SECONDS
        answers: dict[Line, bytes] = {}
        while due and due[0][0] <= now:
            _, _, (line, _), answer = heapq.heappop(due)
            if line in self._lines and answer is None:
                self._watch(line, selectors.EVENT_READ)
            elif answer is not None:
                answers[line] = answers.get(line, b"") + answer
        for line, answer in answers.items():
            if line in self._lines:
                self._send(line, answer)

    def _watch(self, line: Line, events: int) -> None:
        if not line.watched:
            self._selector.register(line.socket, events, line)
        elif line.watched != events:
            self._selector.modify(line.socket, events, line)
        line.watched = events

    def _send(self, line: Line, data: bytes) -> None:
        line.output += data
        try:
            while line.output:
                line.output = line.output[line.socket.send(line.output) :]
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
            self._watch(line, selectors.EVENT_READ | selectors.EVENT_WRITE)
        except OSError:
            self.hang_up(line)
        else:
            self._watch(line, selectors.EVENT_READ)

    def _advance(self, line: Line, events: int) -> None:
        if events & selectors.EVENT_WRITE:
            self._send(line, b"")
        if line not in self._lines or not events & selectors.EVENT_READ:
            return
        try:
            if not line.established:
                line.socket.do_handshake()
                line.established = True
                line.frames = http2.Frames() if line.socket.selected_alpn_protocol() == "h2" else None
            data = line.socket.recv(READ_BYTES)
        except ssl.SSLWantReadError:
            return
        except OSError:
            data = b""
        if data:
            self._received(line, data)
        else:
            self.hang_up(line)

    def _received(self, line: Line, data: bytes) -> None:
        if line.frames is not None:
            self._received_frames(line, line.frames, data)
            return
        data = line.data + data
        head = data.find(b"\r\n\r\n")
        if head < 0 or len(data) < head + 4 + _body_length(data, head):
            line.data = data
            return
        line.data = b""
        self.requests += 1
        self.respond(Request(line, 0), data[:head], data[head + 4 :], time.monotonic())

    def _received_frames(self, line: Line, frames: http2.Frames, data: bytes) -> None:
        """Take the posts of one read; as servers in C do, send the answers that are due at once in one write."""
        arrived_at = time.monotonic()
        for stream, path, body in frames.receive(data):
            self.requests += 1
            self.respond(Request(line, stream), path, body, arrived_at)
        output, frames.output = frames.output, b""
        if output and line in self._lines:
            self._send(line, output)


def _body_length(data: bytes, head: int) -> int:
    start = data.lower().index(b"content-length: ", 0, head) + len(b"content-length: ")
    return int(data[start : data.index(b"\r\n", start)])


def run(kind: type[Server]) -> None:
    """Run a server as a program: ``--certificate FILE``."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--certificate", required=True, help="file with private key and certificate chain")
    server = kind(parser.parse_args().certificate)
    # Ctrl-C reaches it, too: the benchmark that it serves ends it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    print(server.port, flush=True)
    server.serve(sys.stdin.fileno())
