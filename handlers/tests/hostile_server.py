"""An HTTP server that misbehaves as told, on 127.0.0.1 or ::1, and the certificates for it.

One thread per connection and nothing but sockets.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import socket
import ssl
import struct
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote

import trustme
from tests.hostile_http2 import Conversation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    import pytest

TIMEOUT_FACTOR = float(os.environ.get("TIMEOUT_FACTOR", "1"))
PATIENCE_SECONDS = 10.0 * TIMEOUT_FACTOR
SCALE = min(TIMEOUT_FACTOR, 3.0)
"""For times that must stay below ``verdicts.SILENCE_SECONDS``, which no factor scales."""


class Request(NamedTuple):
    """One request, as it came over the wire.

    Attributes:
        target: Request target.
        headers: By lower-case name.
        body: The body.
        connection: Which connection it came on, counted from 0.
        turn: Which request on that connection it is, counted from 0.
        attempt: Which request with that target it is, counted from 0.
    """

    target: str
    headers: dict[str, str]
    body: bytes
    connection: int
    turn: int
    attempt: int

    @property
    def connection_id(self) -> str:
        """The id that the request posts to."""
        return unquote(self.target.rpartition("/")[2])


class Reply(NamedTuple):
    """Reaction to a request.

    Attributes:
        pieces: Sent one by one.
        close: Whether to close the connection then.
        reset: Whether to close it with a reset, so that the client loses the bytes it has not read.
        after: Waited for before anything is sent.
        delay: Seconds of network between the request and the answer.
        frames: Over HTTP/2, makes bytes to send instead, of the number of the request's stream.
        goes_away: Whether, over HTTP/2, neither this request nor a later one on its connection is processed.
    """

    pieces: Sequence[bytes] = ()
    close: bool = False
    reset: bool = False
    after: threading.Event | None = None
    delay: float = 0.0
    frames: Callable[[int], bytes] | None = None
    goes_away: bool = False

    def wait(self) -> None:
        """Wait for the time to answer."""
        if self.after is not None:
            self.after.wait(PATIENCE_SECONDS)
        time.sleep(self.delay)


def answer(status: int = 200, body: bytes = b"", *headers: str, length: bool = True) -> bytes:
    """A well-formed answer."""
    lines = [f"HTTP/1.1 {status} Whatever", "Date: Mon, 11 Nov 2024 13:45:46 GMT", *headers]
    if length:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def say(status: int = 200, body: bytes = b"", *headers: str) -> Reply:
    """A well-formed answer in one piece."""
    return Reply([answer(status, body, *headers)])


HANG_UP = Reply(close=True)
"""Closes the connection, or over HTTP/2 the stream, instead of answering."""

CLOSE = Reply(close=True, frames=lambda _: b"")
"""Closes the connection instead of answering."""


class HostileServer:
    """Serves every request as the script says, over HTTP/2 if client and TLS settings agree on it.

    Args:
        script: Gives the reply to a request; called under a lock, so it may keep count.
        tls: Server-side TLS settings; ``None`` for plain HTTP.
        host: Address to listen on.
    """

    def __init__(
        self, script: Callable[[Request], Reply], tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
    ) -> None:
        self.script = script
        self.requests: list[Request] = []
        self.answers = 0
        self.resumed_sessions = 0
        self.http2_settings: dict[int, int] = {}
        self.conversations: list[Conversation] = []
        self._tls = tls
        self._host = host
        self._listener = socket.create_server(
            (host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=256
        )
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._sockets: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    @property
    def url(self) -> str:
        """Base URL with a stage."""
        host = f"[{self._host}]" if ":" in self._host else "localhost"
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}/live"

    @property
    def connections(self) -> int:
        """How many connections carried a request."""
        return len({request.connection for request in self.requests})

    def served(self) -> dict[str, int]:
        """How many requests there were for each connection id."""
        counts: dict[str, int] = {}
        for request in self.requests:
            counts[request.connection_id] = counts.get(request.connection_id, 0) + 1
        return counts

    def drop_connections(self) -> None:
        """Close every connection, and return once the client's side can see it."""
        with self._lock:
            for each in self._sockets:
                # The thread that reads from it sees the end and closes it.
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
        wait_until(lambda: not self._sockets)

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended.set()
        # A connection of our own ends the wait for the next one. It does not wait itself: the server may end with one
        # that a client has left, and then takes no more.
        with socket.socket(self._listener.family) as last:
            last.setblocking(False)
            last.connect_ex(self._listener.getsockname())
            self._threads[0].join(PATIENCE_SECONDS)
        self._listener.close()
        self.drop_connections()
        for thread in self._threads:
            thread.join(PATIENCE_SECONDS)

    def _accept(self) -> None:
        for number in itertools.count():
            connection, _ = self._listener.accept()
            if self._ended.is_set():
                connection.close()
                return
            with self._lock:
                self._sockets.add(connection)
            thread = threading.Thread(target=self._serve, args=(connection, number), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, plain: socket.socket, number: int) -> None:
        connection = plain
        try:
            plain.settimeout(PATIENCE_SECONDS)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                connection = self._tls.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
                with self._lock:
                    self._sockets.discard(plain)
                    self._sockets.add(connection)
                connection.do_handshake()
                with self._lock:
                    self.resumed_sessions += bool(connection.session_reused)
            if isinstance(connection, ssl.SSLSocket) and connection.selected_alpn_protocol() == "h2":
                self._converse_over_http2(connection, number)
            else:
                self._converse(connection, number)
        except OSError:
            pass  # The client has given up, or the test has ended.
        finally:
            connection.close()
            with self._lock:
                self._sockets.difference_update({plain, connection})

    def _converse_over_http2(self, connection: socket.socket, number: int) -> None:
        def reply_to(target: str, headers: dict[str, str], body: bytes, turn: int) -> Reply:
            return self.reply_to(target, headers, body, number, turn)

        conversation = Conversation(connection, self.http2_settings, reply_to, self.note_answer)
        self.conversations.append(conversation)
        conversation.run()

    def reply_to(self, target: str, headers: dict[str, str], body: bytes, connection: int, turn: int) -> Reply:
        """Note a request and ask the script for the reply; the parameters are attributes of ``Request``."""
        with self._lock:
            attempt = sum(request.target == target for request in self.requests)
            request = Request(target, headers, body, connection, turn, attempt)
            self.requests.append(request)
            return self.script(request)

    def note_answer(self) -> None:
        """Count an answer that was sent."""
        with self._lock:
            self.answers += 1

    def _converse(self, connection: socket.socket, number: int) -> None:
        for turn, (target, headers, body) in enumerate(_requests(connection)):
            reply = self.reply_to(target, headers, body, number, turn)
            reply.wait()
            for piece in reply.pieces:
                connection.sendall(piece)
            self.note_answer()
            if reply.reset:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            if reply.close or reply.reset:
                return


def _requests(connection: socket.socket) -> Iterator[tuple[str, dict[str, str], bytes]]:
    """Read requests until the client hangs up."""
    data = b""
    while True:
        while b"\r\n\r\n" not in data:
            more = connection.recv(65_536)
            if not more:
                return
            data += more
        head, _, data = data.partition(b"\r\n\r\n")
        start_line, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        length = int(headers.get("content-length", "0"))
        while len(data) < length:
            more = connection.recv(65_536)
            if not more:
                return
            data += more
        body, data = data[:length], data[length:]
        assert not data, "the client pipelines"
        yield start_line.split(" ")[1], headers, body


class Trickle:
    """Makes plain sockets of this process send one byte at a time, and be full every now and then."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls = 0

        def send(plain: socket.socket, data: bytes) -> int:
            self.calls += 1
            if self.calls % 5 == 0:
                raise BlockingIOError
            return super(socket.socket, plain).send(data[:1])

        monkeypatch.setattr(socket.socket, "send", send)


def addresses_of(server: HostileServer, *, refused_at_once: bool) -> list[tuple[Any, ...]]:
    """Result of ``getaddrinfo`` for a host with a first address that accepts no connection."""
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        bad = (socket.AF_INET, nobody.getsockname())
    if refused_at_once:
        bad = (socket.AF_UNIX, "no TCP at all")
    good = (socket.AF_INET, ("127.0.0.1", server.port))
    return [(family, socket.SOCK_STREAM, 6, "", address) for family, address in (bad, good)]


def wait_until(condition: Callable[[], object]) -> None:
    """Wait for something that another thread brings about.

    Raises:
        TimeoutError: It did not come about.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("waited in vain")
        time.sleep(0.001)


@functools.cache
def authority() -> trustme.CA:
    """A certificate authority; clients trust it only when told to."""
    return trustme.CA()


def trusted_tls(folder: Path, monkeypatch: pytest.MonkeyPatch, protocol: str = "http/1.1") -> ssl.SSLContext:
    """Server-side TLS settings for this machine; clients trust their authority during the test."""
    bundle = folder / "authority.pem"
    authority().cert_pem.write_to_path(str(bundle))
    monkeypatch.setenv("AWS_CA_BUNDLE", str(bundle))
    return server_tls(authority(), protocol=protocol)


def server_tls(authority: trustme.CA, *names: str, protocol: str = "http/1.1") -> ssl.SSLContext:
    """Server-side TLS settings with a certificate for some names, those of this machine by default."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols([protocol])
    authority.issue_cert(*(names or ("localhost", "127.0.0.1", "::1"))).configure_cert(context)
    return context
