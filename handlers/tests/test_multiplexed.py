"""The engine over HTTP/2: faults that only many posts on one connection can have, and those of whole connections.

``test_fanout`` and ``test_kept_connections`` run over HTTP/2, too.
"""

from __future__ import annotations

import contextlib
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from roomcast import http2_frames as frames
from roomcast import http2_sender, pacing, pool, posts, verdicts
from roomcast.addresses import HTTP1, HTTP2
from roomcast.aws_http import Client
from roomcast.fanout import Engine, Recipient, Report
from roomcast.http2 import MAXIMUM_STREAMS
from roomcast.http2_frames import frame
from roomcast.opening import Opener
from tests.hostile_server import (
    CLOSE,
    PATIENCE_SECONDS,
    HostileServer,
    Reply,
    Request,
    say,
    trusted_tls,
    wait_until,
)

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable, Iterable, Iterator

    Connect = Callable[..., Engine]

LONG_AGO = 1_700_000_000_000
WHOLE = frames.END_STREAM | frames.END_HEADERS


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """Settings of a server that speaks HTTP/2."""
    return trusted_tls(tmp_path, monkeypatch, HTTP2)


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Makes engines for a server, and closes their connections."""
    with contextlib.ExitStack() as stack:

        def connect_to(server: HostileServer, **options: Any) -> Engine:
            engine = Engine(server.url, "eu-west-1", **{"http2": True, **options})
            stack.callback(engine.close)
            return engine

        yield connect_to


@pytest.fixture(autouse=True)
def brief_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries follow quickly, but no retry and no other connection because a busy machine answers late."""
    monkeypatch.setattr(pacing, "BACKOFF_BASE_SECONDS", 0.001)
    monkeypatch.setattr(pacing, "BACKOFF_CAP_SECONDS", 0.02)
    monkeypatch.setattr(pool, "REQUEST_SECONDS", PATIENCE_SECONDS)
    monkeypatch.setattr(pool, "FIRST_REQUEST_SECONDS", PATIENCE_SECONDS)
    monkeypatch.setattr(pool, "STUCK_SECONDS", PATIENCE_SECONDS)


class Silence:
    """No answer before the end of a block."""

    def __init__(self) -> None:
        self._ended = threading.Event()

    def __enter__(self) -> Reply:
        return Reply(after=self._ended)

    def __exit__(self, *_: object) -> None:
        self._ended.set()


def members(count: int) -> list[Recipient]:
    return [Recipient(f"BFHPhf{number:06}AM=", LONG_AGO) for number in range(count)]


def number_of(request: Request) -> int:
    return int(request.connection_id[6:12])


def deliver(
    engine: Engine, recipients: Iterable[Recipient], data: bytes = b"hello", seconds: float = PATIENCE_SECONDS
) -> Report:
    report = engine.deliver(recipients, data, deadline=time.monotonic() + seconds)
    assert report.recipients == report.delivered + report.gone + report.failed
    assert engine._pool.under_way == 0
    return report


def counts(report: Report) -> tuple[int, int, int]:
    return report.delivered, report.gone, report.failed


def answered(stream: int) -> bytes:
    """A delivery."""
    return frame(frames.HEADERS, WHOLE, stream, b"\x88")


def refused(stream: int) -> bytes:
    """A request that was not processed."""
    return frame(frames.RST_STREAM, 0, stream, struct.pack(">I", frames.REFUSED_STREAM))


def allow_streams(number: int) -> bytes:
    """How many posts the server takes at a time from now on."""
    return frames.settings({frames.MAX_CONCURRENT_STREAMS: number})


class TestChoice:
    """The protocol is one that both sides can speak."""

    @pytest.mark.parametrize(("offered", "is_on"), [([HTTP2, HTTP1], True), ([HTTP2, HTTP1], False), ([HTTP1], True)])
    def test_http_2_is_used_where_it_is_offered_and_turned_on(
        self, tls: ssl.SSLContext, connect: Connect, *, offered: list[str], is_on: bool
    ) -> None:
        tls.set_alpn_protocols(offered)
        with HostileServer(lambda _: say(), tls) as server:
            engine = connect(server, http2=is_on)
            for _ in range(2):
                assert counts(deliver(engine, members(10))) == (10, 0, 0)
        speaks_http2 = ":path" in server.requests[0].headers
        assert speaks_http2 == (is_on and HTTP2 in offered)

    def test_other_requests_never_use_it(self, tls: ssl.SSLContext, connect: Connect) -> None:
        tls.set_alpn_protocols([HTTP2, HTTP1])
        with HostileServer(lambda _: say(), tls) as server:
            engine = connect(server)
            with contextlib.closing(Client(server.url, "dynamodb", "eu-west-1")) as client:
                for _ in range(2):
                    # Both use the same settings of TLS, in turn.
                    assert counts(deliver(engine, members(1))) == (1, 0, 0)
                    client.request("POST", "/", {}, b"{}", deadline=time.monotonic() + PATIENCE_SECONDS)
                    client.close()
                    engine.close()
        assert [":path" in request.headers for request in server.requests] == [True, False] * 2

    def test_an_engine_does_not_use_it_unless_told_to(self, tls: ssl.SSLContext) -> None:
        with (
            HostileServer(lambda _: say(), tls) as server,
            contextlib.closing(Engine(server.url, "eu-west-1")) as engine,
        ):
            assert counts(deliver(engine, members(3))) == (3, 0, 0)
        assert not any(":path" in request.headers for request in server.requests)


def test_http2_is_imported_only_where_a_host_offers_it() -> None:
    """Each cold start would take longer."""
    code = "import sys, roomcast.fanout; print([name for name in sys.modules if 'http2' in name or 'hpack' in name])"
    folder = str(Path(pool.__file__).parents[1])
    result = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"


class TestConnections:
    """Few connections carry many posts."""

    def test_a_small_room_needs_one(self, tls: ssl.SSLContext, connect: Connect) -> None:
        with HostileServer(lambda _: say()._replace(delay=0.05), tls) as server:
            engine = connect(server)
            reports = [deliver(engine, members(MAXIMUM_STREAMS)) for _ in range(2)]
        assert [counts(report) for report in reports] == [(MAXIMUM_STREAMS, 0, 0)] * 2
        assert [report.connections_opened for report in reports] == [1, 0]

    def test_a_large_room_needs_few(
        self, tls: ssl.SSLContext, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pool, "REQUEST_SECONDS", PATIENCE_SECONDS)  # this server is slow
        with HostileServer(lambda _: say()._replace(delay=0.1), tls) as server:
            report = deliver(connect(server), members(1_500), seconds=3 * PATIENCE_SECONDS)
        assert counts(report) == (1_500, 0, 0)
        assert 2 <= report.connections_opened <= pool.MAXIMUM_UNDER_WAY / MAXIMUM_STREAMS
        assert report.retried == 0
        assert set(server.served().values()) == {1}

    def test_a_server_that_answers_at_once_needs_no_more_than_this_process_can_fill(
        self, tls: ssl.SSLContext, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # As if a post took so much of the CPU that one connection's answers come before all of its streams are used.
        monkeypatch.setattr(pool, "MULTIPLEXED_POST_SECONDS", 1.0)
        with HostileServer(lambda _: say()._replace(delay=0.1), tls) as server:
            report = deliver(connect(server), members(500))
        assert counts(report) == (500, 0, 0)
        assert report.connections_opened == 1

    @pytest.mark.parametrize(("left", "pays"), [(200, False), (201, True)])
    def test_posts_that_fit_into_connections_on_their_way_wait_for_them(self, left: int, *, pays: bool) -> None:
        made: Any = SimpleNamespace(
            idle=[], connecting=2, streams=100, open_not_before=0.0, may_open=lambda: True, another_pays=lambda _: True
        )
        waiting: Any = SimpleNamespace(left=lambda _: left, sendable=lambda _: left - 50, expected=lambda: 50)
        bucket: Any = SimpleNamespace(wait=lambda _: 0.0)
        assert Opener(made, waiting, bucket, []).pays(1.0) is pays

    def test_the_limit_of_connections_holds(
        self, tls: ssl.SSLContext, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pool, "CONNECTION_COST_SECONDS", 0.0)
        with HostileServer(lambda _: say()._replace(delay=0.05), tls) as server:
            report = deliver(connect(server, max_connections=2), members(1_000))
        assert counts(report) == (1_000, 0, 0)
        assert report.connections_opened <= 2

    def test_a_server_may_allow_one_post_at_a_time(self, tls: ssl.SSLContext, connect: Connect) -> None:
        with HostileServer(lambda _: say(), tls) as server:
            server.http2_settings = {frames.MAX_CONCURRENT_STREAMS: 1}
            # The first connections carry more, before the server's settings have come, and are lost.
            report = deliver(connect(server), members(50))
        assert counts(report) == (50, 0, 0)
        assert report.retried <= 150

    @pytest.mark.parametrize("is_between", [False, True])
    def test_a_connection_that_takes_no_post_is_no_reason_to_wait(
        self, tls: ssl.SSLContext, connect: Connect, *, is_between: bool
    ) -> None:
        """Nor does it say how many the next one takes: this server sets no limit at first."""

        def script(request: Request) -> Reply:
            if request.connection == request.turn == 0 and not is_between:
                return Reply(frames=lambda stream: allow_streams(0) + answered(stream))
            return say()

        with HostileServer(script, tls) as server:
            engine = connect(server)
            deliver(engine, members(1))
            if is_between:
                server.conversations[0].send_frames(allow_streams(0))
                wait_until(lambda: engine._pool.sockets.wait(0))
            # However quick the answers are.
            engine._pool.latency = 0.000_01
            report = deliver(engine, members(1))
            assert (counts(report), report.retried) == ((1, 0, 0), 0)
            assert server.connections == 2
            assert engine._pool.multiplexed[0].streams == MAXIMUM_STREAMS

    def test_connections_that_take_nothing_are_no_storm(
        self, tls: ssl.SSLContext, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pacing, "BACKOFF_BASE_SECONDS", 0.2)
        monkeypatch.setattr(pacing, "BACKOFF_CAP_SECONDS", 0.2)

        class Closed(HostileServer):
            """Takes no post on any connection."""

            def _converse_over_http2(self, connection: socket.socket, number: int) -> None:
                self.http2_settings = {frames.MAX_CONCURRENT_STREAMS: 0}
                self.met = number + 1
                super()._converse_over_http2(connection, number)

        with Closed(lambda _: say(), tls) as server:
            engine = connect(server)
            assert counts(deliver(engine, members(1), seconds=2)) == (0, 0, 1)
            # A hundred pauses would take some ten seconds.
            assert 1 < server.met < 100
            assert len(engine._pool.all) <= 1

    def test_large_messages_wait_for_the_servers_windows(self, tls: ssl.SSLContext, connect: Connect) -> None:
        data = bytes(range(256)) * 512
        with HostileServer(lambda _: say(), tls) as server:
            report = deliver(connect(server, max_connections=2), members(40), data)
        assert counts(report) == (40, 0, 0)
        assert report.retried == 0
        assert {request.body for request in server.requests} == {data}

    def test_one_that_had_too_much_to_send_takes_more_once_that_is_sent(
        self, tls: ssl.SSLContext, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Before the first answer."""
        monkeypatch.setattr(http2_sender, "MAXIMUM_UNSENT_BYTES", 2_000)
        all_sent = threading.Event()
        left = iter(range(60))

        def script(_: Request) -> Reply:
            if next(left) == 59:
                all_sent.set()
            return say()._replace(after=all_sent)

        with HostileServer(script, tls) as server:
            report = deliver(connect(server, max_connections=1), members(60))
        assert counts(report) == (60, 0, 0)
        assert (report.retried, report.connections_opened) == (0, 1)

    def test_tls_sessions_are_resumed(self, tls: ssl.SSLContext, connect: Connect) -> None:
        with HostileServer(lambda _: say(), tls) as server:
            engine = connect(server)
            for _ in range(3):
                deliver(engine, members(1))
                engine.close()
            wait_until(lambda: server.resumed_sessions == 2)

    def test_credentials_may_change_on_a_kept_connection(
        self, tls: ssl.SSLContext, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tokens = ["first" * 100, "second" * 100, "third" * 100, "first" * 100]
        with HostileServer(lambda _: say(), tls) as server:
            engine = connect(server)
            for token in tokens:
                monkeypatch.setenv("AWS_SESSION_TOKEN", token)
                deliver(engine, members(2))
        assert [request.headers["x-amz-security-token"] for request in server.requests[::2]] == tokens
        assert server.connections == 1

    def test_posts_go_out_before_the_caller_reads_on(
        self, tls: ssl.SSLContext, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(posts, "LOOK_AHEAD", 10)
        with HostileServer(lambda _: say(), tls) as server:

            def room() -> Iterator[Recipient]:
                for number, recipient in enumerate(members(30)):
                    if number in {10, 20}:
                        wait_until(lambda: len(server.requests) == number)  # noqa: B023 - it waits here
                    yield recipient

            assert counts(deliver(connect(server), room(), seconds=3 * PATIENCE_SECONDS)) == (30, 0, 0)


class TestFaults:
    """A fault of one post, or of one connection, affects no other."""

    @pytest.mark.parametrize("is_kept", [False, True])
    @pytest.mark.parametrize(
        "reply",
        [CLOSE, CLOSE._replace(reset=True), CLOSE._replace(frames=lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n")],
        ids=["closed", "reset", "not HTTP/2"],
    )
    def test_posts_that_die_with_their_connection_are_sent_again(
        self, reply: Reply, tls: ssl.SSLContext, connect: Connect, *, is_kept: bool
    ) -> None:
        def script(request: Request) -> Reply:
            return reply if number_of(request) == 30 and not request.attempt else say()

        with HostileServer(script, tls) as server:
            engine = connect(server)
            if is_kept:
                deliver(engine, members(1))
                server.requests.clear()
            report = deliver(engine, members(60))
        assert counts(report) == (60, 0, 0)
        assert 1 <= report.retried <= 60
        assert report.transport_error

    def test_a_post_that_kills_its_connection_each_time_takes_no_other_along(
        self, tls: ssl.SSLContext, connect: Connect
    ) -> None:
        with HostileServer(lambda request: CLOSE if number_of(request) == 7 else say(), tls) as server:
            report = deliver(connect(server), members(20), seconds=3)
        assert counts(report) == (19, 0, 1)

    def test_a_server_that_closes_each_new_connection_is_not_asked_again_at_once(
        self, tls: ssl.SSLContext, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Only a connection that has answered before may be closed without trouble."""
        monkeypatch.setattr(verdicts, "pause", lambda _: PATIENCE_SECONDS)
        with HostileServer(lambda _: CLOSE, tls) as server:
            report = deliver(connect(server), members(1), seconds=PATIENCE_SECONDS / 2)
        assert (counts(report), report.retried) == ((0, 0, 1), 0)

    @pytest.mark.parametrize("is_kept", [False, True])
    def test_what_a_server_that_goes_away_has_not_processed_is_sent_again_and_nothing_else(
        self, tls: ssl.SSLContext, connect: Connect, *, is_kept: bool
    ) -> None:
        processed: list[str] = []

        def script(request: Request) -> Reply:
            if request.turn == 40:
                return Reply(goes_away=True)
            processed.append(request.connection_id)
            return say()._replace(delay=0.02)

        with HostileServer(script, tls) as server:
            engine = connect(server)
            if is_kept:
                deliver(engine, members(3))
                processed.clear()
            report = deliver(engine, members(150))
        assert counts(report) == (150, 0, 0)
        assert sorted(processed) == sorted(each.connection_id for each in members(150))
        assert report.retried

    def test_what_was_not_processed_waits_for_no_silent_post(
        self, tls: ssl.SSLContext, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The connection that ends carries the silent post, and nothing else any more."""
        monkeypatch.setattr(pool, "STUCK_SECONDS", 10 * PATIENCE_SECONDS)
        others_are_served = threading.Event()

        def script(request: Request) -> Reply:
            if request.connection > 0:
                if len({each.connection_id for each in server.requests if each.connection > 0}) == 2:
                    others_are_served.set()
                return say()
            return Reply(goes_away=True) if request.turn else say()._replace(after=others_are_served)

        with HostileServer(script, tls) as server:
            report = deliver(connect(server), members(3))
            assert counts(report) == (3, 0, 0)

    def test_refused_streams_are_sent_again_and_cost_no_copy(self, tls: ssl.SSLContext, connect: Connect) -> None:
        def script(request: Request) -> Reply:
            return Reply(frames=refused) if request.attempt < 3 and number_of(request) % 3 == 0 else say()

        with HostileServer(script, tls) as server:
            report = deliver(connect(server), members(60))
        assert counts(report) == (60, 0, 0)
        assert report.retried == 3 * 20
        assert server.connections == 1

    def test_one_silent_post_costs_the_others_neither_time_nor_their_connection(
        self, tls: ssl.SSLContext, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # After SILENCE_SECONDS no post is sent again.
        monkeypatch.setattr(pool, "REQUEST_SECONDS", min(PATIENCE_SECONDS / 10, verdicts.SILENCE_SECONDS / 2))
        silent = members(60)[5]

        def script(request: Request) -> Reply:
            # The last ones are answered when the silent one has been sent for long.
            return never if number_of(request) == 5 else say()._replace(delay=0.1 if number_of(request) > 50 else 0.0)

        with HostileServer(script, tls) as server, Silence() as never:
            engine = connect(server)
            report = deliver(engine, members(60))
            assert counts(report) == (59, 0, 1)
            assert report.transport_error == "timed out"
        assert {name for name, count in server.served().items() if count > 1} == {silent.connection_id}
        assert server.requests[0].connection == server.requests[-2].connection

    def test_a_silent_connection_is_given_up(
        self, tls: ssl.SSLContext, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pool, "REQUEST_SECONDS", 0.5)
        with (
            HostileServer(lambda request: never if request.connection == 0 else say(), tls) as server,
            Silence() as never,
        ):
            report = deliver(connect(server), members(20))
        assert counts(report) == (20, 0, 0)
        assert server.connections > 1

    def test_a_room_is_not_posted_to_beyond_the_deadline(self, tls: ssl.SSLContext, connect: Connect) -> None:
        with (
            HostileServer(lambda request: never if number_of(request) else say(), tls) as server,
            Silence() as never,
        ):
            engine = connect(server)
            assert counts(deliver(engine, members(200), seconds=PATIENCE_SECONDS / 4)) == (1, 0, 199)
            server.script = lambda _: say()
            assert counts(deliver(engine, members(200))) == (200, 0, 0)

    def test_a_server_that_reads_nothing_holds_up_the_run_no_longer_than_its_deadline(
        self, tls: ssl.SSLContext, connect: Connect
    ) -> None:
        class Deaf(HostileServer):
            """Allows everything and reads nothing."""

            def _converse_over_http2(self, connection: socket.socket, _: int) -> None:
                connection.sendall(frames.settings({frames.INITIAL_WINDOW_SIZE: frames.LAST_WINDOW}))
                connection.sendall(frame(frames.WINDOW_UPDATE, 0, 0, struct.pack(">I", 1 << 30)))
                self._ended.wait(PATIENCE_SECONDS)

        with Deaf(lambda _: say(), tls) as server:
            began = time.monotonic()
            report = deliver(connect(server, max_connections=2), members(300), b"x" * 131_072, seconds=1)
            assert time.monotonic() - began < 1 + PATIENCE_SECONDS / 10
        assert counts(report) == (0, 0, 300)


BEHAVIOURS: dict[str, Reply] = {
    "served": say(),
    "served in frames": Reply(frames=answered),
    "served after a ping": Reply(frames=lambda stream: frame(frames.PING, 0, 0, bytes(8)) + answered(stream)),
    "served, going away": Reply(
        frames=lambda stream: answered(stream) + frame(frames.GOAWAY, 0, 0, struct.pack(">II", frames.LAST_STREAM, 0))
    ),
    "served, then closed": Reply(frames=answered, close=True),
    "served, then nonsense": Reply(frames=lambda stream: answered(stream) + b"nonsense " * 20, close=True),
    "served, with fewer streams": Reply(
        frames=lambda stream: frames.settings({frames.MAX_CONCURRENT_STREAMS: 2}) + answered(stream)
    ),
    "served, without a table": Reply(
        frames=lambda stream: frames.settings({frames.HEADER_TABLE_SIZE: 0}) + answered(stream)
    ),
    "gone": say(410),
    "gone with a text": say(410, b"gone"),
    "refused": say(403),
    "throttled": say(429),
    "failing": say(500),
    "not processed": Reply(frames=refused),
    "going away": Reply(goes_away=True),
    "reset": Reply(frames=lambda stream: frame(frames.RST_STREAM, 0, stream, bytes(4))),
    "closed": CLOSE,
    "nonsense": Reply(frames=lambda _: b"nonsense " * 20, close=True),
    "no status": Reply(frames=lambda stream: frame(frames.HEADERS, WHOLE, stream, b"")),
}


@settings(
    max_examples=40,
    # The patched pauses and the trusted authority may well stay for all examples.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    behaviours=st.lists(st.sampled_from(sorted(BEHAVIOURS)), max_size=25),
    count=st.integers(1, 40),
    limit=st.integers(1, 3),
)
@example(behaviours=sorted(BEHAVIOURS), count=30, limit=2)
def test_each_member_is_accounted_for_whatever_the_server_does(
    behaviours: list[str], count: int, limit: int, tls: ssl.SSLContext, connect: Connect
) -> None:
    outcomes: dict[str, str] = {}
    again: list[str] = []
    turns = iter(behaviours)

    def script(request: Request) -> Reply:
        if request.connection_id in outcomes:
            again.append(request.connection_id)
        behaviour = next(turns, "served")
        settled = behaviour.partition(" ")[0].rstrip(",")
        if settled in {"served", "gone", "refused"}:
            outcomes[request.connection_id] = settled
        return BEHAVIOURS[behaviour]

    with HostileServer(script, tls) as server:
        report = deliver(connect(server, max_connections=limit), members(count))
    assert again == [], "a settled recipient is posted to again"
    assert len(outcomes) == count
    assert counts(report) == tuple(list(outcomes.values()).count(each) for each in ("served", "gone", "refused"))
