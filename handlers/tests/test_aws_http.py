"""The client that DynamoDB and SQS are called with, against a server that misbehaves."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import botocore.auth
import pytest
import trustme
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st
from roomcast import steps
from roomcast.addresses import Endpoint, TransportError
from roomcast.aws_http import Client
from roomcast.backoff import backoff_seconds
from tests.hostile_server import (
    HANG_UP,
    PATIENCE_SECONDS,
    HostileServer,
    Reply,
    Request,
    Trickle,
    addresses_of,
    answer,
    authority,
    say,
    server_tls,
    trusted_tls,
    wait_until,
)

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from roomcast.http_parser import Response

HEADERS = {"content-type": "application/x-amz-json-1.0", "x-amz-target": "DynamoDB_20120810.Query"}


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """Settings of a server that clients trust."""
    return trusted_tls(tmp_path, monkeypatch)


@pytest.fixture
def connect() -> Iterator[Callable[[HostileServer], Client]]:
    """Makes clients of a server, and closes them."""
    with contextlib.ExitStack() as stack:

        def connect_to(server: HostileServer) -> Client:
            client = Client(server.url, "dynamodb", "eu-west-1")
            stack.callback(client.close)
            return client

        yield connect_to


def call(client: Client, body: bytes = b"{}", seconds: float = PATIENCE_SECONDS) -> Response:
    """One call with a deadline."""
    return client.request("POST", "/", HEADERS, body, deadline=time.monotonic() + seconds)


def test_calls_share_one_connection(tls: ssl.SSLContext, connect: Callable[[HostileServer], Client]) -> None:
    with HostileServer(lambda request: say(200, request.body.upper(), "X-Amz-Crc32: 5"), tls) as server:
        client = connect(server)
        answers = [call(client, body) for body in (b"a", b"b" * 300_000, b"")]
    assert [each.body for each in answers] == [b"A", b"B" * 300_000, b""]
    assert [each.headers["x-amz-crc32"] for each in answers] == ["5"] * 3
    assert not any(each.resent for each in answers)
    assert server.connections == 1
    request = server.requests[0]
    assert request.target == "/live/"
    assert request.headers["host"] == f"localhost:{server.port}"
    assert HEADERS.items() <= request.headers.items()
    assert "SignedHeaders=content-type;host;x-amz-date;x-amz-target," in request.headers["authorization"]


def test_any_status_is_an_answer(tls: ssl.SSLContext, connect: Callable[[HostileServer], Client]) -> None:
    statuses = [400, 403, 429, 500, 503]
    with HostileServer(lambda request: say(statuses[request.turn], b"why"), tls) as server:
        client = connect(server)
        assert [call(client).status for _ in statuses] == statuses
    assert server.connections == 1


def test_an_emulator_is_called_without_tls(connect: Callable[[HostileServer], Client]) -> None:
    with HostileServer(lambda _: say(200, b"{}")) as server:
        assert call(connect(server)).status == 200


def test_ipv6(tls: ssl.SSLContext, connect: Callable[[HostileServer], Client]) -> None:
    with HostileServer(lambda _: say(), tls, host="::1") as server:
        assert call(connect(server)).status == 200
    assert server.requests[0].headers["host"] == f"[::1]:{server.port}"


def test_answers_may_come_byte_by_byte(tls: ssl.SSLContext, connect: Callable[[HostileServer], Client]) -> None:
    data = answer(200, b"abc", "Transfer-Encoding: chunked", length=False)[:-3] + b"3\r\nabc\r\n0\r\n\r\n"
    with HostileServer(lambda _: Reply([data[i : i + 1] for i in range(len(data))]), tls) as server:
        client = connect(server)
        assert [call(client).body for _ in range(2)] == [b"abc"] * 2


def test_a_connection_that_the_server_closes_is_not_used_again(
    tls: ssl.SSLContext, connect: Callable[[HostileServer], Client]
) -> None:
    replies = [
        Reply([answer(200, b"", "Connection: close")], close=True),
        Reply([b"HTTP/1.0 200 OK\r\n\r\nwithout a length"], close=True),
        Reply([answer(200) + b"HTTP/1.1 200 OK\r\n"]),
        say(),
        say(),
    ]
    with HostileServer(lambda _: replies[len(server.requests) - 1], tls) as server:
        client = connect(server)
        answers = [call(client) for _ in replies]
    assert [each.status for each in answers] == [200] * 5
    assert answers[1].body == b"without a length"
    assert [request.connection for request in server.requests] == [0, 1, 2, 3, 3]
    assert not any(each.resent for each in answers)


def test_a_connection_closed_meanwhile_is_noticed_before_it_is_used(
    tls: ssl.SSLContext, connect: Callable[[HostileServer], Client]
) -> None:
    with HostileServer(lambda _: say(), tls) as server:
        client = connect(server)
        call(client)
        server.drop_connections()
        assert not call(client).resent
    assert len(server.requests) == 2


def test_a_request_that_dies_with_a_kept_connection_is_sent_again_and_says_so(
    tls: ssl.SSLContext, connect: Callable[[HostileServer], Client]
) -> None:
    with HostileServer(lambda request: HANG_UP if request.turn == 1 else say(), tls) as server:
        client = connect(server)
        assert [call(client).resent for _ in range(2)] == [False, True]
    assert [(request.connection, request.turn) for request in server.requests] == [(0, 0), (0, 1), (1, 0)]


def test_a_request_that_died_with_a_kept_connection_may_have_arrived_also_when_no_new_one_opens(
    tls: ssl.SSLContext, connect: Callable[[HostileServer], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_deadline: float) -> None:
        raise TransportError("refused", sent=False)

    with HostileServer(lambda request: HANG_UP if request.turn == 1 else say(), tls) as server:
        client = connect(server)
        call(client)
        monkeypatch.setattr(client, "_connect", refuse)
        with pytest.raises(TransportError, match="refused") as caught:
            call(client)
        assert caught.value.sent
        with pytest.raises(TransportError, match="refused") as caught:
            call(client)
        assert not caught.value.sent
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "reply",
    [HANG_UP, Reply(reset=True), Reply([b"HTTP/1.1 200"], close=True), Reply([b"SSH-2.0\r\n\r\n"])],
    ids=["closed", "reset", "cut off", "not HTTP"],
)
def test_a_request_that_dies_with_a_new_connection_is_an_error(
    reply: Reply, tls: ssl.SSLContext, connect: Callable[[HostileServer], Client]
) -> None:
    with HostileServer(lambda _: reply, tls) as server:
        client = connect(server)
        with pytest.raises(TransportError) as caught:
            call(client)
        assert caught.value.sent
        server.script = lambda _: say()
        assert call(client).status == 200


def test_an_answer_cut_off_on_a_kept_connection_is_not_asked_for_again(
    tls: ssl.SSLContext, connect: Callable[[HostileServer], Client]
) -> None:
    def script(request: Request) -> Reply:
        return Reply([b"HTTP/1.1 200 O"], close=True) if request.turn else say()

    with HostileServer(script, tls) as server:
        client = connect(server)
        call(client)
        with pytest.raises(TransportError, match="cut off"):
            call(client)
    assert len(server.requests) == 2


def test_a_refusal_is_heard_before_the_end_of_a_long_request(
    tls: ssl.SSLContext, connect: Callable[[HostileServer], Client]
) -> None:
    class Impatient(HostileServer):
        """Answers as soon as it has seen a head, and reads no further until it is told."""

        def _converse(self, connection: socket.socket, _number: int) -> None:
            connection.recv(1000)
            connection.sendall(answer(413))
            self.heard.wait(PATIENCE_SECONDS)

        heard = threading.Event()

    with Impatient(lambda _: say(), tls) as server:
        client = connect(server)
        response = call(client, b"a" * 20_000_000)
        server.heard.set()
        assert (response.status, response.keep_alive) == (413, False)


def test_a_request_may_leave_byte_by_byte(
    connect: Callable[[HostileServer], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    with HostileServer(lambda request: say(200, request.body)) as server:
        client = connect(server)
        trickle = Trickle(monkeypatch)
        assert call(client, b"abc").body == b"abc"
    assert trickle.calls > 300


def test_an_interrupted_call_does_not_leave_its_answer_to_the_next(
    tls: ssl.SSLContext, connect: Callable[[HostileServer], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with HostileServer(lambda request: say(200, request.body), tls) as server:
        client = connect(server)
        call(client, b"a")
        with monkeypatch.context() as patch:
            patch.setattr(steps, "now", interrupt)
            with pytest.raises(KeyboardInterrupt):
                call(client, b"b")
        assert call(client, b"c").body == b"c"


def test_the_deadline_ends_a_call(tls: ssl.SSLContext, connect: Callable[[HostileServer], Client]) -> None:
    never = threading.Event()
    with HostileServer(lambda _: Reply(after=never), tls) as server:
        client = connect(server)
        started = time.monotonic()
        with pytest.raises(TransportError, match="timed out") as caught:
            call(client, seconds=0.1)
        assert 0.1 <= time.monotonic() - started < PATIENCE_SECONDS
        assert caught.value.sent
        never.set()
        with pytest.raises(TransportError, match="timed out") as caught:
            call(client, seconds=0)
        assert not caught.value.sent


def test_nobody_listens(connect: Callable[[HostileServer], Client]) -> None:
    with HostileServer(lambda _: say()) as server:
        pass
    with pytest.raises(TransportError, match="cannot connect") as caught:
        call(connect(server))
    assert not caught.value.sent


def test_an_unknown_host(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror("no such host")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(TransportError, match="cannot resolve example") as caught:
        call(Client("https://example", "dynamodb", "eu-west-1"))
    assert not caught.value.sent


@pytest.mark.parametrize("refused_at_once", [False, True])
def test_the_next_address_is_tried(
    refused_at_once: bool,
    tls: ssl.SSLContext,
    connect: Callable[[HostileServer], Client],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    look_ups = []

    with HostileServer(lambda _: say(), tls) as server:
        addresses = addresses_of(server, refused_at_once=refused_at_once)

        def resolve(*arguments: object, **_: object) -> list[tuple[Any, ...]]:
            look_ups.append(arguments)
            return addresses

        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        client = connect(server)
        assert call(client).status == 200
        client.close()
        assert call(client).status == 200
    assert look_ups == [(b"localhost", server.port)]


@pytest.mark.usefixtures("tls")
def test_a_certificate_of_another_authority_is_refused(connect: Callable[[HostileServer], Client]) -> None:
    with HostileServer(lambda _: say(), server_tls(trustme.CA())) as server:
        client = connect(server)
        with pytest.raises(TransportError, match="certificate verify failed"):
            call(client)
        assert not server.requests


@pytest.mark.usefixtures("tls")
def test_a_certificate_of_another_host_is_refused(connect: Callable[[HostileServer], Client]) -> None:
    with HostileServer(lambda _: say(), server_tls(authority(), "another.example")) as server:
        client = connect(server)
        with pytest.raises(TransportError, match="certificate verify failed"):
            call(client)
        assert not server.requests


def test_a_new_connection_resumes_the_tls_session(
    tls: ssl.SSLContext, connect: Callable[[HostileServer], Client]
) -> None:
    with HostileServer(lambda _: say(200, b"", "Connection: close"), tls) as server:
        client = connect(server)
        for _ in range(3):
            call(client)
        wait_until(lambda: server.resumed_sessions == 2)
    assert server.connections == 3


def test_credentials_may_change_between_calls(
    tls: ssl.SSLContext, connect: Callable[[HostileServer], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    with HostileServer(lambda _: say(), tls) as server:
        client = connect(server)
        for key, token in (("first", "one"), ("second", "two")):
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
            monkeypatch.setenv("AWS_SESSION_TOKEN", token)
            call(client)
    signatures = [request.headers["authorization"].partition("Credential=")[2] for request in server.requests]
    assert [signature.partition("/")[0] for signature in signatures] == ["first", "second"]
    assert [request.headers["x-amz-security-token"] for request in server.requests] == ["one", "two"]


@pytest.mark.parametrize(
    ("url", "host", "port", "path", "host_header"),
    [
        ("https://a.example/live", "a.example", 443, "/live", "a.example"),
        ("https://a.example:443", "a.example", 443, "", "a.example"),
        ("https://a.example:8443/", "a.example", 8443, "", "a.example:8443"),
        ("http://localhost:4566/x/y/", "localhost", 4566, "/x/y", "localhost:4566"),
        ("http://localhost", "localhost", 80, "", "localhost"),
        ("https://[::1]:8443/live", "::1", 8443, "/live", "[::1]:8443"),
    ],
)
def test_base_urls(url: str, host: str, port: int, path: str, host_header: str) -> None:
    endpoint = Endpoint(url)
    assert (endpoint.host, endpoint.port, endpoint.path, endpoint.host_header) == (host, port, path, host_header)
    assert endpoint.tls == url.startswith("https:")


@pytest.mark.parametrize(
    "path", ["/live", "/", "/v1/chat/", "/a.b/_c-d~e", "/...", "/.well-known", "/_aws/execute-api/a1b2c3/live"]
)
def test_a_path_is_sent_and_signed_as_it_is(path: str) -> None:
    """Botocore sends and signs the same path, and AWS accepts its signatures."""
    signer: Any = botocore.auth.SigV4Auth(Credentials("id", "secret"), "execute-api", "eu-west-1")
    wanted = signer._normalize_url_path(f"{path.rstrip('/')}/x")
    assert f"{Endpoint(f'https://a.example{path}').path}/x" == wanted


PATHS_REFUSED = (
    ["//", "/a//b", "//a", "/a//", "/.", "/..", "/a/./b", "/a/../b", "/a/..", "/%41", "/a%2Fb", "/%", "/a%20b"],
    ["/\u00fc", "/a b", "/a+b", "/a@b", "/a:b", "/a;b", "/a=b", "/a&b", "/a*b", "/(a)", "/a\\b", "/a?b", "/a#b"],
    ["/a\u4e00", "/$default"],
)


@pytest.mark.parametrize("path", list(itertools.chain(*PATHS_REFUSED)))
def test_a_path_that_would_be_signed_differently_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="not a base URL"):
        Endpoint(f"https://a.example{path}")


@pytest.mark.parametrize(
    "url",
    ["", "a.example", "wss://a.example", "https://", "https://a/?x=1", "https://a b", "https://user@a", "https://a\n"],
)
def test_what_is_no_base_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="not a base URL"):
        Endpoint(url)


@given(attempt=st.integers(1, 10_000), share=st.floats(0, 1, exclude_max=True))
def test_a_pause_is_drawn_from_a_range_that_doubles_up_to_its_cap(attempt: int, share: float) -> None:
    pause = backoff_seconds(attempt, base=0.05, cap=1.0, random=lambda: share)
    assert pause == pytest.approx(share * min(1.0, 0.05 * 2.0 ** min(attempt - 1, 10)))
