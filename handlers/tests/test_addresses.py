"""Hosts with several addresses, bad addresses, moving addresses, and resolvers that do not answer."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from roomcast import addresses, aws_json, steps
from roomcast.addresses import Endpoint, TransportError, UnresolvedError
from roomcast.aws_http import Client
from roomcast.connection import Connection
from roomcast.fanout import Engine, Recipient, Report
from tests.hostile_server import PATIENCE_SECONDS, HostileServer, authority, say, server_tls, trusted_tls, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOST = "localhost"
"""Host name in the certificate of a healthy server; the resolver decides where it leads."""

NO_TCP = (socket.AF_UNIX, "no TCP at all")
MISSING_FAMILY = (123, ("::1", 443, 0, 0))
"""Like an IPv6 address on a machine without IPv6: no socket can be made for it."""


class Resolver:
    """Answers look-ups with the addresses of the moment, can fail, and can hang.

    Attributes:
        addresses: Family and address, in order.
        look_ups: Names that were asked for.
        moves_to: Answer of look-ups after the first one, if not empty.
        hangs: While set, look-ups do not return.
        error: Raised instead of answering.
    """

    def __init__(self) -> None:
        self.addresses: list[tuple[int, Any]] = []
        self.moves_to: list[tuple[int, Any]] = []
        self.look_ups: list[object] = []
        self.hangs = False
        self.error: Exception | None = None
        self.released = threading.Event()

    def __call__(self, host: str, _port: int, **_: object) -> list[tuple[Any, ...]]:
        """As ``socket.getaddrinfo``."""
        self.look_ups.append(host)
        if self.hangs:
            self.released.wait(PATIENCE_SECONDS)
        if self.error is not None:
            raise self.error
        addresses = self.addresses if len(self.look_ups) == 1 or not self.moves_to else self.moves_to
        return [(family, socket.SOCK_STREAM, 6, "", address) for family, address in addresses]


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    made = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", made)
    yield made
    made.released.set()


@pytest.fixture
def healthy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HostileServer]:
    """A server that has the right certificate and answers with 200."""
    with HostileServer(lambda _: say(200, b"{}"), trusted_tls(tmp_path, monkeypatch)) as server:
        yield server


@pytest.fixture
def other_host(healthy: HostileServer) -> Iterator[HostileServer]:
    """A server with the certificate of another host, as at an address that AWS has given to another customer."""
    assert healthy.port
    with HostileServer(lambda _: say(), server_tls(authority(), "another.example")) as server:
        yield server


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A listener that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:
        yield listener


@pytest.fixture
def refused() -> tuple[int, Any]:
    """An address without a listener."""
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        return socket.AF_INET, nobody.getsockname()


def at(server: HostileServer | socket.socket) -> tuple[int, Any]:
    port = server.port if isinstance(server, HostileServer) else server.getsockname()[1]
    return socket.AF_INET, ("127.0.0.1", port)


def call(client: Client, seconds: float = PATIENCE_SECONDS) -> int:
    return client.request("POST", "/", {}, b"{}", deadline=time.monotonic() + seconds).status


def deliver(engine: Engine, count: int = 20, seconds: float = PATIENCE_SECONDS) -> Report:
    recipients = [Recipient(f"id-{number}", 0) for number in range(count)]
    return engine.deliver(recipients, b"hello", deadline=time.monotonic() + seconds)


@pytest.fixture
def client() -> Iterator[Client]:
    made = Client(f"https://{HOST}", "dynamodb", "eu-west-1")
    yield made
    made.close()


@pytest.fixture
def engine() -> Iterator[Engine]:
    made = Engine(f"https://{HOST}/live", "eu-west-1")
    yield made
    made.close()


@pytest.fixture
def bad_addresses(
    silent: socket.socket, other_host: HostileServer, refused: tuple[int, Any]
) -> dict[str, tuple[int, Any]]:
    """One address of each kind that accepts no connection."""
    return {
        "silent": at(silent),
        "of another host": at(other_host),
        "refused": refused,
        "refused at once": NO_TCP,
        "of no family of this machine": MISSING_FAMILY,
    }


@pytest.mark.parametrize("position", [0, 1, 2])
@pytest.mark.parametrize(
    "kind", ["silent", "of another host", "refused", "refused at once", "of no family of this machine"]
)
def test_one_kind_of_bad_address_among_several_stops_nothing(
    resolver: Resolver,
    healthy: HostileServer,
    bad_addresses: dict[str, tuple[int, Any]],
    monkeypatch: pytest.MonkeyPatch,
    *,
    position: int,
    kind: str,
) -> None:
    monkeypatch.setattr(addresses, "NEXT_ADDRESS_SECONDS", 0.2)
    resolver.addresses = [bad_addresses[kind]] * 3
    resolver.addresses[position] = at(healthy)
    with contextlib.closing(Client(f"https://{HOST}", "dynamodb", "eu-west-1")) as client:
        assert call(client) == 200
    with contextlib.closing(Engine(f"https://{HOST}/live", "eu-west-1")) as engine:
        assert deliver(engine).delivered == 20


def test_several_silent_addresses_fit_into_one_call(
    resolver: Resolver, healthy: HostileServer, silent: socket.socket
) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=100) as another:
        resolver.addresses = [at(silent), at(healthy), at(another)]
        service = aws_json.Service(f"https://{HOST}", "dynamodb", "DynamoDB_20120810", "eu-west-1")
        began = time.monotonic()
        assert service.call("GetItem", {}, began + 3 * PATIENCE_SECONDS) == {}
        # The healthy one is the second to be tried.
        assert 0.5 < time.monotonic() - began < 2.5 + PATIENCE_SECONDS / 10
        service._client.close()
        began = time.monotonic()
        assert service.call("GetItem", {}, began + 3 * PATIENCE_SECONDS) == {}
        service._client.close()


def test_an_address_without_a_family_here_is_no_error_of_a_fan_out(
    resolver: Resolver, engine: Engine, healthy: HostileServer
) -> None:
    resolver.addresses = [MISSING_FAMILY, at(healthy)]
    report = deliver(engine)

    assert report.delivered == 20
    assert report.transport_error == ""


def test_no_more_files_is_not_the_fault_of_an_address(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch, refused: tuple[int, Any]
) -> None:
    def fail(*_: object) -> socket.socket:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    resolver.addresses = [refused, NO_TCP]
    endpoint = Endpoint(f"https://{HOST}")
    monkeypatch.setattr(socket, "socket", fail)
    with pytest.raises(OSError, match="Too many open files"):
        Connection(endpoint)
    assert endpoint.addresses() == 2


@pytest.fixture
def tries(resolver: Resolver, refused: tuple[int, Any], monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When a socket was asked for, while this process can open no more files."""
    made: list[float] = []

    def fail(*_: object) -> socket.socket:
        made.append(time.monotonic())
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    resolver.addresses = [refused]
    monkeypatch.setattr(socket, "socket", fail)
    return made


def test_without_a_file_a_call_pauses_before_each_further_try(
    tries: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loop that drives other calls, too, must not stand still meanwhile."""
    monkeypatch.setattr(aws_json, "MAXIMUM_ATTEMPTS", 3)
    service = aws_json.Service(f"https://{HOST}", "dynamodb", "DynamoDB_20120810", "eu-west-1")
    with pytest.raises(aws_json.ServiceError, match="Too many open files"):
        service.call("GetItem", {}, time.monotonic() + PATIENCE_SECONDS)
    assert len(tries) == 3


def test_without_a_file_a_fan_out_pauses_before_each_further_try(tries: list[float], engine: Engine) -> None:
    report = deliver(engine, seconds=2)

    assert (report.failed, report.transport_error) == (20, f"[Errno {errno.EMFILE}] {os.strerror(errno.EMFILE)}")
    # Most of the pauses are a second long at most, and half of that on average.
    assert 1 < len(tries) < 100


@pytest.mark.parametrize("kind", ["silent", "of another host", "refused", "refused at once"])
def test_when_the_last_address_fails_all_are_looked_up_anew(
    resolver: Resolver,
    healthy: HostileServer,
    bad_addresses: dict[str, tuple[int, Any]],
    monkeypatch: pytest.MonkeyPatch,
    *,
    kind: str,
) -> None:
    monkeypatch.setattr(addresses, "CONNECT_SECONDS", 0.2)
    monkeypatch.setattr(addresses, "NEXT_ADDRESS_SECONDS", 0.2)
    resolver.addresses, resolver.moves_to = [bad_addresses[kind]], [at(healthy)]
    service = aws_json.Service(f"https://{HOST}", "dynamodb", "DynamoDB_20120810", "eu-west-1")
    assert service.call("GetItem", {}, time.monotonic() + PATIENCE_SECONDS) == {}
    service._client.close()

    resolver.look_ups.clear()
    with contextlib.closing(Engine(f"https://{HOST}/live", "eu-west-1")) as engine:
        assert deliver(engine).delivered == 20


def test_a_wrong_certificate_everywhere_ends_a_fan_out_at_once(
    resolver: Resolver, engine: Engine, other_host: HostileServer
) -> None:
    resolver.addresses = [at(other_host)]
    began = time.monotonic()
    report = deliver(engine, seconds=3 * PATIENCE_SECONDS)

    assert report.failed == 20
    assert "certificate verify failed" in report.transport_error
    assert time.monotonic() - began < PATIENCE_SECONDS
    assert len(resolver.look_ups) == 2


def test_addresses_are_believed_for_no_longer_than_aws_says(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    endpoint = Endpoint("https://example")

    def port() -> object:
        resolver.addresses = [(socket.AF_INET, ("127.0.0.1", len(resolver.look_ups) + 1))]
        return endpoint.address().socket_address[1]

    assert [port() for _ in range(3)] == [1, 1, 1]
    clock.pass_by(1)
    assert port() == 1
    clock.pass_by(4.1)
    assert port() == 2


def test_time_that_passes_while_a_process_is_frozen_counts(resolver: Resolver, monkeypatch: pytest.MonkeyPatch) -> None:
    resolver.addresses = [(socket.AF_INET, ("127.0.0.1", 1))]
    endpoint = Endpoint("https://example")
    endpoint.address()
    later = time.time() + 60
    monkeypatch.setattr(time, "time", lambda: later)
    endpoint.address()
    assert len(resolver.look_ups) == 2


class Clock:
    """Both clocks of the process, which go on when told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monotonic, self.wall = time.monotonic(), time.time()
        monkeypatch.setattr(time, "monotonic", lambda: self.monotonic)
        monkeypatch.setattr(time, "time", lambda: self.wall)

    def pass_by(self, seconds: float) -> None:
        self.monotonic += seconds
        self.wall += seconds


def test_a_bad_address_is_left_out_of_later_look_ups_for_a_while(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    bad, good = ((socket.AF_INET, ("127.0.0.1", port)) for port in (1, 2))
    resolver.addresses = [bad, good]
    endpoint = Endpoint("https://example")
    endpoint.avoid(addresses.Address(*bad) if endpoint.addresses() else endpoint.address())
    for _ in range(5):
        clock.pass_by(6)
        assert {endpoint.address() for _ in range(4)} == {good}
    clock.pass_by(300)
    assert {endpoint.address() for _ in range(4)} == {bad, good}


def test_no_address_is_passed_over_when_another_one_fails(resolver: Resolver) -> None:
    resolver.addresses = [(socket.AF_INET, ("127.0.0.1", port)) for port in (1, 2, 3)]
    endpoint = Endpoint("https://example")
    order = []
    for _ in range(3):
        order.append(endpoint.address())
        endpoint.avoid(order[-1])
    assert order == resolver.addresses


def test_when_all_have_failed_all_are_tried_again(resolver: Resolver) -> None:
    resolver.addresses = [(socket.AF_INET, ("127.0.0.1", port)) for port in (1, 2)]
    endpoint = Endpoint("https://example")
    for _ in range(2):
        endpoint.avoid(endpoint.address())
    assert not endpoint.alternatives
    assert len(resolver.look_ups) == 1
    assert {endpoint.address() for _ in range(2)} == set(resolver.addresses)
    assert len(resolver.look_ups) == 2


def test_when_all_have_failed_the_failures_of_before_no_longer_count(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    bad, good = ((socket.AF_INET, ("127.0.0.1", port)) for port in (1, 2))
    resolver.addresses = [bad, good]
    endpoint = Endpoint("https://example")
    for _ in range(2):
        endpoint.avoid(endpoint.address())
    endpoint.addresses()
    endpoint.avoid(addresses.Address(*bad))
    clock.pass_by(6)

    assert {endpoint.address() for _ in range(4)} == {good}


def test_an_address_that_had_no_time_is_not_to_blame(resolver: Resolver, client: Client, silent: socket.socket) -> None:
    resolver.addresses = [at(silent), NO_TCP]
    with pytest.raises(TransportError, match="timed out"):
        call(client, seconds=0.05)
    assert at(silent) in client._endpoint._addresses


@pytest.mark.parametrize(
    "error", [socket.gaierror("no such host"), UnicodeError("label too long"), OSError(errno.EMFILE, "no more files")]
)
def test_what_the_resolver_cannot_do_is_a_transport_error(resolver: Resolver, client: Client, error: Exception) -> None:
    resolver.error = error
    with pytest.raises(TransportError, match="cannot resolve localhost"):
        call(client)
    resolver.error, resolver.addresses = None, []
    with pytest.raises(TransportError, match="no address"):
        call(client)


def test_a_resolver_that_hangs_ends_a_call_at_its_deadline(resolver: Resolver, client: Client) -> None:
    resolver.hangs = True
    began = time.monotonic()
    for _ in range(3):
        with pytest.raises(TransportError, match="does not answer"):
            call(client, seconds=0.1)
    assert 0.3 <= time.monotonic() - began < PATIENCE_SECONDS / 2
    assert len(resolver.look_ups) == 1, "a look-up under way is waited for, not repeated"


def test_a_resolver_that_hangs_ends_a_fan_out_at_its_deadline(resolver: Resolver, engine: Engine) -> None:
    resolver.hangs = True
    began = time.monotonic()
    report = deliver(engine, seconds=0.5)
    assert report.failed == 20
    assert "does not answer" in report.transport_error
    assert 0.3 <= time.monotonic() - began < PATIENCE_SECONDS / 2


def test_a_late_answer_of_the_resolver_is_used(resolver: Resolver, client: Client, healthy: HostileServer) -> None:
    resolver.addresses = [at(healthy)]
    resolver.hangs = True
    with pytest.raises(TransportError):
        call(client, seconds=0.1)
    resolver.released.set()
    assert call(client) == 200
    assert len(resolver.look_ups) == 1


@pytest.mark.parametrize(("seconds", "look_ups"), [(4.0, 1), (5.5, 2)])
def test_a_late_answer_of_the_resolver_is_believed_for_no_longer_than_others(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch, seconds: float, look_ups: int
) -> None:
    clock = Clock(monkeypatch)
    resolver.addresses, resolver.moves_to = [NO_TCP], [(socket.AF_INET, ("127.0.0.1", 1))]
    resolver.hangs = True
    endpoint = Endpoint("https://example")
    with pytest.raises(UnresolvedError):
        endpoint.addresses(clock.monotonic)
    look_up = endpoint._look_up
    assert look_up is not None
    resolver.released.set()
    assert look_up._ended.wait(PATIENCE_SECONDS)
    resolver.hangs = False
    clock.pass_by(seconds)
    address = endpoint.address(clock.monotonic + PATIENCE_SECONDS)
    assert (len(resolver.look_ups), address) == (look_ups, [NO_TCP, *resolver.moves_to][look_ups - 1])


def test_a_look_up_that_takes_too_long_is_begun_again(resolver: Resolver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "LOOK_UP_SECONDS", 0.05)
    endpoint = Endpoint("https://example")
    resolver.hangs = True
    with pytest.raises(UnresolvedError):
        endpoint.addresses(time.monotonic() + PATIENCE_SECONDS)
    resolver.hangs = False
    resolver.addresses = [NO_TCP]
    wait_until(lambda: endpoint._look_up is None or endpoint._look_up.is_spent())
    assert endpoint.addresses(time.monotonic() + PATIENCE_SECONDS) == 1


def test_members_in_reach_are_served_while_the_resolver_hangs(
    resolver: Resolver, engine: Engine, healthy: HostileServer
) -> None:
    resolver.addresses = [at(healthy)]
    assert deliver(engine, 1).delivered == 1
    engine._pool.endpoint._addresses.clear()
    resolver.hangs = True
    healthy.script = lambda _: say()._replace(delay=0.01)
    assert deliver(engine, 50).delivered == 50
    assert len(engine._pool.all) == 1
    assert len(resolver.look_ups) == 2


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_an_address_needs_no_thread(resolver: Resolver, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setattr(threading, "Thread", None)
    resolver.addresses = [NO_TCP]
    assert Endpoint(f"http://{host}").addresses() == 1


def test_a_dead_address_leaves_time_for_the_next_within_one_attempt(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch, silent: socket.socket
) -> None:
    """A lost packet costs a second: one address gets that long and more only if it is the last."""
    allowed = []

    def time_out(wait: steps.Wait) -> bool:
        allowed.append(wait.until - time.monotonic())
        return False

    monkeypatch.setattr(steps, "now", time_out)
    client = Client(f"https://{HOST}", "dynamodb", "eu-west-1")
    for found in ([at(silent), NO_TCP], [at(silent)]):
        resolver.addresses = found
        client._endpoint._addresses.clear()
        with pytest.raises(TransportError):
            call(client, seconds=60)
    assert 0.3 <= allowed[0] <= aws_json.ATTEMPT_SECONDS / 2
    assert 1.2 <= allowed[-1] <= 5
