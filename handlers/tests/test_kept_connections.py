"""Connections that are kept: gone silent, full of answers to nothing, forgotten, and closed in the end."""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import select
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from roomcast import addresses, connection, http_client, http_parser, steps
from roomcast.addresses import TransportError
from roomcast.aws_http import Client
from roomcast.fanout import Engine, Recipient, Report
from tests.hostile_server import (
    HANG_UP,
    PATIENCE_SECONDS,
    HostileServer,
    Reply,
    Request,
    answer,
    say,
    trusted_tls,
    wait_until,
)

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

    from roomcast.connection import Connection

    Connect = Callable[[HostileServer], Client]

DESCRIPTORS = Path("/dev/fd")


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """Settings of a server that clients trust."""
    return trusted_tls(tmp_path, monkeypatch)


@pytest.fixture(params=["http/1.1", "h2"])
def tls_of_either(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """The same, for an engine, which may speak HTTP/2."""
    return trusted_tls(tmp_path, monkeypatch, request.param)


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Makes clients of a server, and closes them."""
    with contextlib.ExitStack() as stack:

        def connect_to(server: HostileServer) -> Client:
            client = Client(server.url, "dynamodb", "eu-west-1")
            stack.callback(client.close)
            return client

        yield connect_to


@pytest.fixture
def silence() -> Iterator[Reply]:
    """No answer before the end of the test."""
    ended = threading.Event()
    yield Reply(after=ended)
    ended.set()


def call(client: Client, body: bytes = b"{}", seconds: float = 3 * PATIENCE_SECONDS) -> http_parser.Response:
    return client.request("POST", "/", {}, body, deadline=time.monotonic() + seconds)


def deliver(engine: Engine, count: int = 1, seconds: float = 3 * PATIENCE_SECONDS) -> Report:
    recipients = [Recipient(f"id-{number}", 0) for number in range(count)]
    return engine.deliver(recipients, b"hello", deadline=time.monotonic() + seconds)


def pass_by(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Lets time go by while the process is frozen, which its monotonic clock does not see."""
    later = time.time() + seconds
    monkeypatch.setattr(time, "time", lambda: later)


class TestSilence:
    """Connections that went silent while they were unused."""

    @pytest.mark.parametrize(("minutes", "connections"), [(1, 1), (5.8, 2), (60, 2)])
    def test_what_nat_gateways_have_forgotten_is_not_used_any_more(
        self,
        tls: ssl.SSLContext,
        connect: Connect,
        monkeypatch: pytest.MonkeyPatch,
        *,
        minutes: float,
        connections: int,
    ) -> None:
        with HostileServer(lambda _: say(), tls) as server:
            client = connect(server)
            call(client)
            pass_by(monkeypatch, minutes * 60)
            call(client)
        assert server.connections == connections

    @pytest.mark.parametrize(("minutes", "is_usable"), [(1, True), (5.8, False)])
    def test_nor_by_a_fan_out_that_is_under_way(
        self, tls_of_either: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, *, minutes: float, is_usable: bool
    ) -> None:
        """One at a slow pace lasts for minutes, and needs one of its connections at a time."""
        with (
            HostileServer(lambda _: say(), tls_of_either) as server,
            contextlib.closing(Engine(server.url, "eu-west-1", http2=True)) as engine,
        ):
            deliver(engine)
            [line] = engine._pool.idle
            pass_by(monkeypatch, minutes * 60)
            assert line.usable() == is_usable

    def test_a_connection_that_went_silent_costs_a_call_a_second(
        self, tls: ssl.SSLContext, connect: Connect, monkeypatch: pytest.MonkeyPatch, silence: Reply
    ) -> None:
        with HostileServer(lambda request: silence if request.turn else say(), tls) as server:
            client = connect(server)
            call(client)
            pass_by(monkeypatch, 10)
            began = time.monotonic()
            assert call(client).resent
            # An answer within a Region takes hundredths of a second, a try of a call at most three.
            assert 0.2 < time.monotonic() - began < 1.5 + PATIENCE_SECONDS / 10
            assert silence.after is not None
            silence.after.set()
        assert [(request.connection, request.turn) for request in server.requests] == [(0, 0), (0, 1), (1, 0)]

    def test_a_connection_that_went_silent_costs_a_fan_out_two(
        self, tls_of_either: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, silence: Reply
    ) -> None:
        with (
            HostileServer(lambda request: silence if request.turn else say(), tls_of_either) as server,
            contextlib.closing(Engine(server.url, "eu-west-1", http2=True)) as engine,
        ):
            deliver(engine)
            pass_by(monkeypatch, 10)
            began = time.monotonic()
            assert deliver(engine).delivered == 1
            assert 0.2 < time.monotonic() - began < 3 + PATIENCE_SECONDS / 10
            assert silence.after is not None
            silence.after.set()

    def test_a_connection_in_use_may_take_as_long_as_the_deadline_allows(
        self, tls: ssl.SSLContext, connect: Connect
    ) -> None:
        with HostileServer(lambda request: say()._replace(delay=1.5 if request.turn else 0), tls) as server:
            client = connect(server)
            assert [call(client).resent for _ in range(2)] == [False, False]
        assert server.connections == 1

    @pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="the system has no such option")
    def test_the_system_gives_up_a_peer_that_acknowledges_nothing(self, tls: ssl.SSLContext, connect: Connect) -> None:
        with HostileServer(lambda _: say(), tls) as server:
            client = connect(server)
            call(client)
            kept = client._connection
            assert kept is not None
            milliseconds = kept._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
        # Long enough for a lost packet to be sent again, short beside the 3 s that a try of a call may take.
        assert 500 <= milliseconds <= 1500

    @pytest.mark.parametrize("encrypted", [True, False])
    def test_no_request_waits_for_more_data_to_send_with_it(
        self, tls: ssl.SSLContext, connect: Connect, *, encrypted: bool
    ) -> None:
        """Nagle's algorithm would hold a second write back until the first is acknowledged, up to 0.2 s later."""
        with HostileServer(lambda _: say(), tls if encrypted else None) as server:
            client = connect(server)
            call(client)
            kept = client._connection
            assert kept is not None
            assert kept._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

    @pytest.mark.parametrize("step", ["send", "flush", "receive"])
    def test_what_the_system_has_given_up_is_asked_for_again(
        self, connect: Connect, monkeypatch: pytest.MonkeyPatch, *, step: str
    ) -> None:
        given_up = TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
        with HostileServer(lambda _: say()) as server:
            client = connect(server)
            call(client)
            kept = client._connection
            assert kept is not None
            dead = DeadSocket(kept._socket, given_up, step)
            monkeypatch.setattr(kept, "_socket", dead)
            monkeypatch.setattr(kept, "_read", dead.recv)
            monkeypatch.setattr(kept, "_write", dead.send)
            assert call(client).resent
        assert server.connections == 2


class DeadSocket:
    """A connected socket; at a certain step the system gives up its peer."""

    def __init__(self, living: socket.socket, error: OSError, step: str) -> None:
        self.living, self.error, self.step, self.sends = living, error, step, 0

    def fileno(self) -> int:
        return self.living.fileno()

    def send(self, data: bytes) -> int:
        self.sends += 1
        if self.step == "send" or (self.step == "flush" and self.sends > 1):
            raise self.error
        return 1 if self.step == "flush" else self.living.send(data)

    def recv(self, size: int) -> bytes:
        if self.sends and self.step == "receive":
            raise self.error
        return self.living.recv(size)

    def close(self) -> None:
        self.living.close()


class Hasty(HostileServer):
    """Answers a connection instead of a request, the first time."""

    said: threading.Event

    def _converse(self, connection: socket.socket, number: int) -> None:
        if number == 0:
            connection.sendall(answer(200, b"wrong"))
            self.said.set()
        super()._converse(connection, number)


class TestAnswersToNothing:
    """Bytes that belong to no request."""

    @pytest.mark.parametrize("encrypted", [False, True])
    @pytest.mark.parametrize("length", [1, 9, 1000])
    def test_what_waits_on_an_idle_connection_is_no_answer(
        self, tls: ssl.SSLContext, connect: Connect, *, encrypted: bool, length: int
    ) -> None:
        def script(request: Request) -> Reply:
            more = [answer(200, b"wrong")[:length]] if request.connection == 0 else []
            return Reply([answer(200, b"right"), *more])

        with HostileServer(script, tls if encrypted else None) as server:
            client = connect(server)
            assert call(client).body == b"right"
            wait_until(lambda: server.answers == 1)
            if (kept := client._connection) is not None:
                steps.now(steps.Wait(kept, time.monotonic() + PATIENCE_SECONDS))
            assert [call(client).body for _ in range(3)] == [b"right"] * 3
        assert server.connections == 2

    @pytest.mark.parametrize("encrypted", [False, True])
    def test_what_waits_between_two_fan_outs_is_no_answer(self, tls: ssl.SSLContext, *, encrypted: bool) -> None:
        def script(request: Request) -> Reply:
            return Reply([answer(), answer(410)] if request.connection == 0 else [answer()])

        with (
            HostileServer(script, tls if encrypted else None) as server,
            contextlib.closing(Engine(server.url, "eu-west-1")) as engine,
        ):
            deliver(engine)
            wait_until(lambda: server.answers == 1)
            for line in engine._pool.all:
                steps.now(steps.Wait(line, time.monotonic() + PATIENCE_SECONDS))
            report = deliver(engine)
        assert (report.delivered, report.gone) == (1, 0)

    @pytest.mark.parametrize("encrypted", [False, True])
    def test_what_comes_before_a_request_is_no_answer(
        self, tls: ssl.SSLContext, connect: Connect, monkeypatch: pytest.MonkeyPatch, *, encrypted: bool
    ) -> None:
        check = http_client._check_silence

        said = threading.Event()

        def check_once_it_was_said(connection: Connection) -> None:
            assert said.wait(PATIENCE_SECONDS)
            check(connection)

        monkeypatch.setattr(http_client, "_check_silence", check_once_it_was_said)
        server = Hasty(lambda _: say(200, b"right"), tls if encrypted else None)
        server.said = said
        with server:
            client = connect(server)
            with contextlib.suppress(TransportError):
                call(client)
            assert call(client).body == b"right"
        assert {request.connection for request in server.requests} <= {1, 2}


def descriptors() -> int:
    """How many files are open; threads of an earlier test may still close some."""
    gc.collect()
    return len(list(DESCRIPTORS.iterdir()))


@pytest.mark.skipif(not DESCRIPTORS.exists(), reason="the system does not list open files")
class TestDescriptors:
    """All files are closed in the end."""

    REPLIES: tuple[Callable[[Any], Reply], ...] = (
        lambda _: say(),
        lambda _: HANG_UP,
        lambda _: Reply(reset=True),
        lambda _: say(500),
        lambda _: Reply([b"SSH-2.0\r\n\r\n"]),
        lambda _: Reply([answer() + answer()]),
        lambda request: HANG_UP if request.turn else say(),
        lambda _: say(200, b"", "Connection: close"),
    )

    @pytest.mark.parametrize("encrypted", [False, True])
    def test_a_closed_client_leaves_none_whatever_happened(self, tls: ssl.SSLContext, *, encrypted: bool) -> None:
        with HostileServer(lambda _: say(), tls if encrypted else None) as server:
            call_and_close(server)  # files opened once and for all, such as the certificates
            wait_until(lambda: not server._sockets)
            before = descriptors()
            for script in self.REPLIES:
                server.script = script
                for _ in range(3):
                    call_and_close(server)
            wait_until(lambda: not server._sockets)
            wait_until(lambda: descriptors() <= before)

    def test_a_system_that_has_no_room_for_more_leaves_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        made: list[socket.socket] = []
        connect_to = connection._connecting_socket

        def note(address: addresses.Address) -> socket.socket:
            made.append(connect_to(address))
            return made[-1]

        def refuse(*_: object) -> None:
            raise OSError(errno.ENOSPC, "no space left on device")

        monkeypatch.setattr(connection, "_connecting_socket", note)
        with HostileServer(lambda _: say()) as server:
            engine = Engine(server.url, "eu-west-1")
            monkeypatch.setattr(engine._pool.sockets, "_register", refuse)
            assert deliver(engine, 3, seconds=0.5).failed == 3
            engine.close()
        assert made
        assert {each.fileno() for each in made} == {-1}

    @pytest.mark.parametrize("encrypted", [False, True])
    def test_a_closed_engine_leaves_none_whatever_happened(
        self, tls_of_either: ssl.SSLContext, *, encrypted: bool
    ) -> None:
        with HostileServer(lambda _: say(), tls_of_either if encrypted else None) as server:
            engine = Engine(server.url, "eu-west-1", http2=True)
            deliver(engine, 50)
            engine.close()
            wait_until(lambda: not server._sockets)
            before = descriptors()
            for script in self.REPLIES:
                server.script = script
                deliver(engine, 50, seconds=0.5)
                engine.close()
                wait_until(lambda: not server._sockets)
                wait_until(lambda: descriptors() <= before)

    @pytest.mark.usefixtures("tls")
    def test_what_fails_while_connecting_leaves_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object) -> None:
            raise OSError("no TLS")

        monkeypatch.setattr(addresses, "CONNECT_SECONDS", 0.05)
        monkeypatch.setattr(addresses, "NEXT_ADDRESS_SECONDS", 0.05)
        with socket.create_server(("127.0.0.1", 0), backlog=100) as silent:
            url = f"https://localhost:{silent.getsockname()[1]}"
            client, engine = Client(url, "dynamodb", "eu-west-1"), Engine(url, "eu-west-1")
            with pytest.raises(TransportError):
                call(client, seconds=1)
            engine.close()
            before = descriptors()
            for _ in range(3):
                with pytest.raises(TransportError):
                    call(client, seconds=1)
                assert deliver(engine, 20, seconds=0.3).failed == 20
                engine.close()
            monkeypatch.setattr(addresses.Endpoint, "wrap", refuse)
            with pytest.raises(TransportError):
                call(client, seconds=1)
            wait_until(lambda: descriptors() <= before)

    def test_an_interrupt_while_connecting_leaves_none(
        self, tls: ssl.SSLContext, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupt(*_: object) -> None:
            raise KeyboardInterrupt

        with HostileServer(lambda _: say(), tls) as server:
            client = connect(server)
            call(client)
            client.close()
            wait_until(lambda: not server._sockets)
            before = descriptors()
            monkeypatch.setattr(steps, "now", interrupt)
            with pytest.raises(KeyboardInterrupt):
                call(client)
            wait_until(lambda: not server._sockets)
            wait_until(lambda: descriptors() <= before)


def call_and_close(server: HostileServer) -> None:
    """Two calls, however they end."""
    with contextlib.closing(Client(server.url, "dynamodb", "eu-west-1")) as client:
        for _ in range(2):
            with contextlib.suppress(TransportError):
                call(client)


@pytest.mark.parametrize(("size", "is_kept"), [(100, True), (50_000_000, False)])
def test_one_that_answers_before_the_end_of_a_request_serves_no_other(size: int, *, is_kept: bool) -> None:
    """The server would take the rest of the request for the next one."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        endpoint = addresses.Endpoint(f"http://127.0.0.1:{listener.getsockname()[1]}")
        made = connection.Connection(endpoint)
        with contextlib.closing(made):
            server, _ = listener.accept()
            with server:
                made.establish()
                made.send(bytes(size))
                server.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                assert select.select([made], [], [], PATIENCE_SECONDS)[0]
                answered = made.receive()

    assert answered is not None
    assert (answered.status, answered.keep_alive) == (200, is_kept)
