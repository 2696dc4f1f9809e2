"""The fan-out engine against a server that misbehaves: each recipient is accounted for, and none is served twice."""

from __future__ import annotations

import binascii
import contextlib
import itertools
import os
import select
import socket
import threading
import time
import tracemalloc
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
import trustme
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from roomcast import addresses, backoff, fanout, pacing, pool, posts, run, shares, verdicts
from roomcast.addresses import Endpoint
from roomcast.connection import IDLE_LIMIT_SECONDS
from roomcast.fanout import DeliveryInterruptedError, Engine, Recipient, Report
from roomcast.line import Line
from roomcast.outcomes import Outcomes
from tests.hostile_server import (
    CLOSE,
    HANG_UP,
    PATIENCE_SECONDS,
    SCALE,
    TIMEOUT_FACTOR,
    HostileServer,
    Reply,
    Request,
    Trickle,
    addresses_of,
    answer,
    say,
    server_tls,
    trusted_tls,
    wait_until,
)

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    Connect = Callable[..., Engine]

LONG_AGO = 1_700_000_000_000


@pytest.fixture(params=["http/1.1", "h2"])
def protocol(request: pytest.FixtureRequest) -> str:
    """The protocol that the server speaks."""
    return str(request.param)


@pytest.fixture
def tls(protocol: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """Settings of a server that the engine trusts."""
    return trusted_tls(tmp_path, monkeypatch, protocol)


@pytest.fixture
def tls_of_http1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """The same of a server that speaks HTTP/1.1 alone."""
    return trusted_tls(tmp_path, monkeypatch)


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Makes engines for a server, and closes their connections."""
    with contextlib.ExitStack() as stack:

        def connect_to(server: HostileServer, **options: Any) -> Engine:
            engine = Engine(server.url, "eu-west-1", **options, http2=True)
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
    for each in (pool, verdicts):
        monkeypatch.setattr(each, "SILENCE_SECONDS", PATIENCE_SECONDS)


def members(count: int, connected_at: int = LONG_AGO) -> list[Recipient]:
    """Recipients with ids like those of API Gateway."""
    return [Recipient(f"BFHPhf{number:06}AM=", connected_at, number % 3) for number in range(count)]


def now_ms() -> int:
    """The time, as API Gateway gives it."""
    return int(time.time() * 1000)


def deliver(
    engine: Engine,
    recipients: Iterable[Recipient],
    data: bytes = b"hello",
    *,
    seconds: float = PATIENCE_SECONDS,
    on_gone: Callable[[Sequence[Recipient]], None] | None = None,
    on_failed: Callable[[Sequence[Recipient]], None] | None = None,
) -> Report:
    """One fan-out with a report that adds up and an end in time, give or take the delays of a busy machine."""
    deadline = time.monotonic() + seconds
    report = engine.deliver(recipients, data, deadline=deadline, on_gone=on_gone, on_failed=on_failed)
    assert report.recipients == report.delivered + report.gone + report.failed
    assert time.monotonic() < deadline + PATIENCE_SECONDS / 4
    return report


def counts(report: Report) -> tuple[int, int, int]:
    """Delivered, gone, failed."""
    return report.delivered, report.gone, report.failed


class TestDelivery:
    """Messages to all members."""

    def test_everybody_gets_the_message_once(self, tls: ssl.SSLContext, connect: Connect) -> None:
        everybody = members(300)
        with HostileServer(lambda _: say(), tls) as server:
            report = deliver(connect(server), iter(everybody), "grüß\n".encode())
        assert counts(report) == (300, 0, 0)
        assert server.served() == {each.connection_id: 1 for each in everybody}
        assert {request.body.decode() for request in server.requests} == {"grüß\n"}
        assert {request.target.rpartition("/")[0] for request in server.requests} == {"/live/@connections"}
        # One that was made for the next message carries nothing.
        assert 0 < server.connections <= report.connections_opened < 100
        assert report.complete
        assert report.cpu_ms > 0
        assert report.duration_ms > 0
        assert (report.retried, report.throttled, report.refused_status, report.transport_error) == (0, 0, 0, "")

    def test_nobody(self, connect: Connect) -> None:
        with HostileServer(lambda _: say()) as server:
            report = deliver(connect(server), [])
        assert counts(report) == (0, 0, 0)
        assert report.connections_opened == 0
        assert report.duration_ms < 100

    def test_one_recipient_needs_one_connection(self, tls: ssl.SSLContext, connect: Connect) -> None:
        with HostileServer(lambda _: say(), tls) as server:
            engine = connect(server)
            reports = [deliver(engine, members(1)) for _ in range(3)]
        assert [report.connections_opened for report in reports] == [1, 0, 0]

    def test_a_message_as_large_as_api_gateway_takes(self, tls: ssl.SSLContext, connect: Connect) -> None:
        data = bytes(range(256)) * 512
        with HostileServer(lambda _: say(), tls) as server:
            report = deliver(connect(server), members(10), data)
        assert counts(report) == (10, 0, 0)
        assert {request.body for request in server.requests} == {data}

    def test_a_post_may_leave_byte_by_byte(self, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
        with HostileServer(lambda _: say()) as server:
            trickle = Trickle(monkeypatch)
            assert counts(deliver(connect(server), members(5))) == (5, 0, 0)
        assert trickle.calls > 5 * 300
        assert {request.body for request in server.requests} == {b"hello"}

    def test_an_emulator_over_plain_http(self, connect: Connect) -> None:
        with HostileServer(lambda _: say()) as server:
            assert counts(deliver(connect(server), members(20))) == (20, 0, 0)

    def test_ipv6(self, tls: ssl.SSLContext, connect: Connect) -> None:
        with HostileServer(lambda _: say(), tls, host="::1") as server:
            assert counts(deliver(connect(server), members(5))) == (5, 0, 0)

    @pytest.mark.parametrize(
        "pieces",
        [
            [bytes([byte]) for byte in answer(200, b"abc")],
            [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n", b"a\r\n0\r\n", b"\r\n"],
            [b"HTTP/1.1 100 Continue\r\n\r\n", answer(200)],
            [answer(204, length=False)],
            [answer(204, b"")],
        ],
        ids=["byte by byte", "chunked", "informational", "no content", "no content with a length"],
    )
    def test_answers_of_every_shape(self, pieces: list[bytes], tls: ssl.SSLContext, connect: Connect) -> None:
        with HostileServer(lambda _: Reply(pieces), tls) as server:
            report = deliver(connect(server, max_connections=2), members(6))
        assert counts(report) == (6, 0, 0)
        assert report.retried == 0
        assert server.connections <= 2


class TestAnswers:
    """Outcome for a recipient, by status."""

    @pytest.mark.parametrize("status", [403, 404, 413])
    def test_a_refusal_is_reported_and_not_tried_again(
        self, status: int, tls: ssl.SSLContext, connect: Connect
    ) -> None:
        failed: list[Recipient] = []
        with HostileServer(lambda request: say(404 if request.turn else status), tls) as server:
            report = deliver(connect(server, max_connections=1), members(3), on_failed=failed.extend)
        assert counts(report) == (0, 0, 3)
        assert (report.refused_status, report.refused, report.posts) == (status, 3, 3)
        assert len(server.requests) == 3
        assert failed == members(3)

    @pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
    def test_what_may_pass_is_tried_again(self, status: int, tls: ssl.SSLContext, connect: Connect) -> None:
        with HostileServer(lambda request: say(200 if request.attempt == 2 else status), tls) as server:
            report = deliver(connect(server), members(20))
        assert counts(report) == (20, 0, 0)
        assert report.retried == 40
        assert report.throttled == (40 if status == 429 else 0)

    def test_one_client_that_does_not_read_holds_up_nobody_for_long(
        self, tls: ssl.SSLContext, connect: Connect
    ) -> None:
        everybody = members(100)
        slow = everybody[42]
        failed: list[Recipient] = []
        with HostileServer(lambda request: say(429 if "000042" in request.target else 200), tls) as server:
            report = deliver(connect(server), everybody, on_failed=failed.extend)
        assert counts(report) == (99, 0, 1)
        assert failed == [slow]
        # A try counts half while nothing was seen of the others.
        assert verdicts.TRIES_ALONE <= server.answers - 99 <= 2 * verdicts.TRIES_ALONE
        assert (report.slow, report.given_up) == (1, 1)
        assert report.posts == server.answers
        assert report.duration_ms < PATIENCE_SECONDS * 500

    def test_who_waits_for_a_turn_behind_a_whole_room_keeps_all_its_tries(
        self, tls: ssl.SSLContext, connect: Connect
    ) -> None:
        def script(request: Request) -> Reply:
            throttled = request.connection_id == "BFHPhf000000AM=" and request.attempt < verdicts.TRIES_ALONE - 1
            return say(429 if throttled else 200)

        with HostileServer(script, tls) as server:
            # The first of them is tried again only when the others have been served, 4 s later.
            report = deliver(connect(server, pace=20), members(100))
        assert counts(report) == (100, 0, 0)

    def test_general_throttling_is_waited_out(
        self, tls: ssl.SSLContext, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # All tries of one connection take longer than it takes to see that throttling is general.
        monkeypatch.setattr(pacing, "BACKOFF_BASE_SECONDS", 0.05)
        monkeypatch.setattr(pacing, "BACKOFF_CAP_SECONDS", 0.2)
        first: list[float] = []

        def script(_request: Request) -> Reply:
            first.append(time.monotonic())
            return say(200 if time.monotonic() - first[0] > 2 else 429)

        with HostileServer(script, tls) as server:
            assert counts(deliver(connect(server), members(200))) == (200, 0, 0)

    @pytest.mark.parametrize("size", [1, 2, 5])
    def test_throttling_of_a_whole_room_is_waited_out_in_small_rooms_too(self, size: int, connect: Connect) -> None:
        # So many tries that each recipient would have been given up several times.
        tries = size * 3 * verdicts.TRIES_ALONE
        with HostileServer(lambda _: say(429 if len(server.requests) <= tries else 200)) as server:
            assert counts(deliver(connect(server), members(size))) == (size, 0, 0)
        assert len(server.requests) > tries

    @pytest.mark.parametrize(("rate", "burst", "size"), [(400, 40, 400), (150, 20, 200), (50, 10, 60)])
    def test_with_quota_and_time_left_nobody_is_given_up(
        self, rate: float, burst: float, size: int, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # The pauses, and the rates of a token bucket like API Gateway's, scaled alike.
        monkeypatch.setattr(pacing, "BACKOFF_BASE_SECONDS", 0.01)
        monkeypatch.setattr(pacing, "BACKOFF_CAP_SECONDS", 0.2)
        bucket, filled = [burst], [time.monotonic()]

        def script(_request: Request) -> Reply:
            now = time.monotonic()
            bucket[0] = min(burst, bucket[0] + (now - filled[0]) * rate)
            filled[0] = now
            if bucket[0] < 1:
                return say(429)
            bucket[0] -= 1
            return say()

        with HostileServer(script) as server:
            report = deliver(connect(server), members(size))
        assert counts(report) == (size, 0, 0)

    def test_throttling_that_has_ended_does_not_keep_a_client_that_does_not_read(self, connect: Connect) -> None:
        def script(request: Request) -> Reply:
            return say(200 if request.attempt and "000042" not in request.target else 429)

        with HostileServer(script) as server:
            report = deliver(connect(server), members(300))
        assert counts(report) == (299, 0, 1)
        assert server.served()["BFHPhf000042AM="] <= 3 * verdicts.TRIES_ALONE
        assert report.late == 0

    @pytest.mark.parametrize(
        "reasons",
        [
            [HANG_UP] * (verdicts.TRIES_ALONE - 1) + [say(429)],
            [say(410)] * 2 * verdicts.TRIES_ALONE + [say(429), HANG_UP, say(500)],
            [say(429)] * (verdicts.TRIES_ALONE - 1) + [say(500)] * (verdicts.TRIES_ALONE - 1) + [say(410)],
        ],
        ids=["broken, then throttled", "not open, then throttled", "throttled, then failing, then not open"],
    )
    def test_one_reason_to_try_again_does_not_count_for_another(self, reasons: list[Reply], connect: Connect) -> None:
        def script(request: Request) -> Reply:
            troubled = "000003" in request.target and request.attempt < len(reasons)
            return reasons[request.attempt] if troubled else say()

        with HostileServer(script) as server:
            report = deliver(connect(server), members(20, now_ms()))
        assert counts(report) == (20, 0, 0)

    @pytest.mark.parametrize("reply", [say(500), say(503), HANG_UP], ids=["500", "503", "closed"])
    def test_one_that_always_fails_is_given_up_once_others_get_through(self, reply: Reply, connect: Connect) -> None:
        failed: list[Recipient] = []
        with HostileServer(lambda request: reply if "000003" in request.target else say()) as server:
            report = deliver(connect(server), members(20), on_failed=failed.extend)
        assert counts(report) == (19, 0, 1)
        assert failed == [members(20)[3]]
        assert (report.late, report.slow) == (0, 0)
        assert server.served()[failed[0].connection_id] <= 2 * verdicts.TRIES_ALONE + 1

    def test_a_server_that_fails_for_everybody_is_tried_until_the_end(self, connect: Connect) -> None:
        late: list[Recipient] = []
        stragglers = fanout.Stragglers(on_late=late.extend)
        with HostileServer(lambda _: say(500)) as server:
            engine = connect(server)
            report = engine.deliver(members(5), b"x", deadline=time.monotonic() + 1, stragglers=stragglers)
        assert counts(report) == (0, 0, 5)
        assert (report.late, report.handed_back, report.given_up) == (5, 5, 0)
        assert sorted(late) == members(5)
        assert report.duration_ms > 800
        assert min(server.served().values()) > 2 * verdicts.TRIES_ALONE

    def test_for_whom_the_pace_left_no_time_is_told_apart(self, connect: Connect) -> None:
        late: list[Recipient] = []
        untried: list[Recipient] = []
        stragglers = fanout.Stragglers(late.extend, on_untried=untried.extend)
        with HostileServer(lambda _: say(500)) as server:
            engine = connect(server, pace=1)
            report = engine.deliver(members(5), b"x", deadline=time.monotonic() + 0.8, stragglers=stragglers)
        assert (counts(report), report.late) == ((0, 0, 5), 5)
        assert sorted(late + untried) == members(5)
        assert set(server.served()) <= {each.connection_id for each in late}
        assert len(untried) >= 3

    @pytest.mark.parametrize("status", [403, 404])
    def test_a_refusal_of_everybody_ends_the_fan_out(self, status: int, connect: Connect) -> None:
        everybody = itertools.chain(members(10_000), endless_room())
        with HostileServer(lambda _: say(status)) as server:
            report = deliver(connect(server), everybody)
        assert report.refused_status == status
        assert report.delivered == 0
        assert not report.complete
        assert len(server.requests) < 500

    def test_retries_come_after_the_first_try_of_every_member(self, connect: Connect) -> None:
        failing = {each.connection_id for each in members(11)}

        def script(request: Request) -> Reply:
            return say(503 if request.connection_id in failing and not request.attempt else 200)

        with HostileServer(script) as server:
            report = deliver(connect(server, max_connections=1), members(100))
        assert counts(report) == (100, 0, 0)
        assert [request.attempt for request in server.requests] == [0] * 100 + [1] * 11

    def test_a_refusal_of_some_keeps_nobody_else_from_the_message(self, connect: Connect) -> None:
        count = 2 * shares.REFUSALS_TO_STOP
        refused = shares.REFUSALS_TO_STOP // 2
        with HostileServer(lambda each: say(403 if int(each.connection_id[6:12]) < refused else 200)) as server:
            report = deliver(connect(server), members(count))
        assert counts(report) == (count - refused, 0, refused)

    def test_the_server_may_ask_for_a_pause(self, tls: ssl.SSLContext, connect: Connect) -> None:
        arrivals = []

        def script(request: Request) -> Reply:
            arrivals.append(time.monotonic())
            return say() if request.attempt else say(429, b"", "Retry-After: 1")

        with HostileServer(script, tls) as server:
            assert counts(deliver(connect(server), members(1))) == (1, 0, 0)
        assert arrivals[1] - arrivals[0] >= 1

    def test_a_pause_beyond_the_deadline_is_not_waited_for(self, tls: ssl.SSLContext, connect: Connect) -> None:
        with HostileServer(lambda _: say(503, b"", "Retry-After: 1000"), tls) as server:
            report = deliver(connect(server), members(3))
        assert counts(report) == (0, 0, 3)
        assert report.duration_ms < PATIENCE_SECONDS * 500

    def test_the_dead_are_handed_over_in_batches(self, tls: ssl.SSLContext, connect: Connect) -> None:
        batches: list[Sequence[Recipient]] = []
        everybody = members(130)
        with HostileServer(lambda request: say(200 if "00000" in request.target else 410), tls) as server:
            report = deliver(connect(server), everybody, on_gone=batches.append)
        assert counts(report) == (10, 120, 0)
        assert [len(batch) for batch in batches] == [50, 50, 20]
        assert sorted(itertools.chain.from_iterable(batches)) == everybody[10:]
        assert len(server.requests) == 130

    def test_a_young_connection_that_is_not_open_yet_is_tried_again(
        self, tls: ssl.SSLContext, connect: Connect
    ) -> None:
        gone: list[Recipient] = []
        with HostileServer(lambda request: say(200 if request.attempt == 3 else 410), tls) as server:
            report = deliver(connect(server), members(5, now_ms()), on_gone=gone.extend)
        assert counts(report) == (5, 0, 0)
        assert report.retried == 15
        assert gone == []

    def test_a_young_connection_is_never_handed_over_as_dead(
        self, tls: ssl.SSLContext, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(verdicts, "NOT_OPEN_RETRY_SECONDS", 0.05)
        gone: list[Recipient] = []
        young = Recipient("young", now_ms() - 29_000)
        old = Recipient("old", now_ms() - 36_000)
        with HostileServer(lambda _: say(410), tls) as server:
            report = deliver(connect(server), [young, old], on_gone=gone.extend)
        assert counts(report) == (0, 2, 0)
        assert gone == [old]
        assert server.served()["old"] == 1 < server.served()["young"]

    def test_a_malformed_id_is_dead(self, tls: ssl.SSLContext, connect: Connect) -> None:
        gone: list[Recipient] = []
        malformed = Recipient("not/an id", now_ms())
        with HostileServer(lambda request: say(400 if "%20" in request.target else 200), tls) as server:
            report = deliver(connect(server), [malformed, *members(1)], on_gone=gone.extend)
        assert counts(report) == (1, 1, 0)
        assert gone == [malformed]
        assert server.served()["not/an id"] == 1

    def test_a_message_that_is_refused_itself_does_not_empty_the_room(
        self, tls: ssl.SSLContext, connect: Connect
    ) -> None:
        gone: list[Recipient] = []
        with HostileServer(lambda _: say(400), tls) as server:
            report = deliver(connect(server), members(200), on_gone=gone.extend)
        assert counts(report) == (0, 200, 0)
        assert gone == []


class TestConnections:
    """Connections that break, and those that last."""

    def test_they_serve_the_next_message_too(self, tls: ssl.SSLContext, connect: Connect) -> None:
        with HostileServer(lambda _: say(), tls) as server:
            engine = connect(server, max_connections=3)
            opened = sum(deliver(engine, members(30)).connections_opened for _ in range(4))
        assert 1 <= opened <= 3
        assert len(server.requests) == 120

    @pytest.mark.parametrize(
        "reply",
        [
            HANG_UP,
            Reply(reset=True),
            Reply([b"HTTP/1.1 200 OK\r\nContent-Le"], close=True),
            Reply([b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc"], close=True),
            Reply([b"SSH-2.0-OpenSSH_9.2\r\n\r\n"]),
            Reply([b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000]),
        ],
        ids=["closed", "reset", "head cut off", "body cut off", "not HTTP", "endless head"],
    )
    def test_a_post_that_dies_with_its_connection_is_sent_again(
        self, reply: Reply, tls: ssl.SSLContext, connect: Connect
    ) -> None:
        def script(request: Request) -> Reply:
            return reply if request.attempt == 0 and request.connection_id.endswith("5AM=") else say()

        with HostileServer(script, tls) as server:
            report = deliver(connect(server), members(50))
        assert counts(report) == (50, 0, 0)
        assert report.retried == 5
        assert sorted(server.served().values()) == [1] * 45 + [2] * 5
        assert report.transport_error

    def test_a_message_that_kills_connections_does_not_keep_others_from_theirs(
        self, tls: ssl.SSLContext, connect: Connect
    ) -> None:
        def script(request: Request) -> Reply:
            return HANG_UP if request.connection_id.endswith("3AM=") else say()

        with HostileServer(script, tls) as server:
            report = deliver(connect(server), members(20), seconds=PATIENCE_SECONDS / 4)
        assert counts(report) == (18, 0, 2)

    @pytest.mark.parametrize(
        "reply",
        [
            Reply([answer(200, b"", "Connection: close")], close=True),
            Reply([b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"], close=True),
            Reply([b"HTTP/1.1 200 OK\r\n\r\nuntil the end"], close=True),
            Reply([answer(200) + b"and more"]),
        ],
        ids=["announced", "HTTP/1.0", "without a length", "more than an answer"],
    )
    def test_a_connection_may_end_with_its_answer(
        self, reply: Reply, tls_of_http1: ssl.SSLContext, connect: Connect
    ) -> None:
        with HostileServer(lambda _: reply, tls_of_http1) as server:
            report = deliver(connect(server), members(12))
        assert counts(report) == (12, 0, 0)
        assert report.retried == 0
        # One that was made for the next message carries nothing.
        assert server.connections == len(server.requests) == 12 <= report.connections_opened

    def test_those_closed_while_idle_are_not_used(self, tls: ssl.SSLContext, connect: Connect) -> None:
        with HostileServer(lambda _: say(), tls) as server:
            engine = connect(server)
            deliver(engine, members(20))
            server.drop_connections()
            report = deliver(engine, members(20))
        assert counts(report) == (20, 0, 0)
        assert report.retried == 0

    def test_those_that_speak_unasked_are_not_used(self, tls_of_http1: ssl.SSLContext, connect: Connect) -> None:
        heard, spoken = threading.Event(), threading.Event()

        class Talkative(HostileServer):
            """Sends a second answer when the first has been read."""

            def _converse(self, connection: socket.socket, number: int) -> None:
                connection.recv(65_536)
                connection.sendall(answer(200))
                self.requests.append(Request("", {}, b"", number, 0, 0))
                heard.wait(PATIENCE_SECONDS)
                connection.sendall(answer(408))
                spoken.set()

        with Talkative(lambda _: say(), tls_of_http1) as server:
            engine = connect(server)
            assert counts(deliver(engine, members(1))) == (1, 0, 0)
            heard.set()
            spoken.wait(PATIENCE_SECONDS)
            assert counts(deliver(engine, members(1))) == (1, 0, 0)
        assert server.connections == 2

    def test_one_that_speaks_unasked_meanwhile_is_given_up(
        self, tls_of_http1: ssl.SSLContext, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pool, "CONNECTION_COST_SECONDS", 0.0)

        def script(request: Request) -> Reply:
            return say()._replace(delay=0.1) if request.connection else Reply([answer(200), answer(408)])

        with HostileServer(script, tls_of_http1) as server:
            engine = connect(server)
            assert counts(deliver(engine, members(2))) == (2, 0, 0)
            server.script = lambda _: say()
            assert counts(deliver(engine, members(2))) == (2, 0, 0)

    def test_what_came_before_the_first_request_is_not_its_answer(
        self, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Greeting(HostileServer):
            """Answers before it is asked, on its first connection."""

            def _converse(self, connection: socket.socket, number: int) -> None:
                if number == 0:
                    connection.sendall(answer())
                super()._converse(connection, number)

        opened: list[Line] = []

        class Late(Line):
            """The first one is not used before the greeting has come."""

            def establish(self) -> None:
                super().establish()
                opened.append(self)
                if opened[0] is self:
                    select.select([self], [], [], PATIENCE_SECONDS)

        monkeypatch.setattr(pool, "Line", Late)
        with Greeting(lambda _: say(410)) as server:
            assert counts(deliver(connect(server, max_connections=1), members(3))) == (0, 3, 0)
        assert len(opened) == 2

    def test_what_came_while_idle_answers_nothing(self, tls_of_http1: ssl.SSLContext, connect: Connect) -> None:
        class Talkative(HostileServer):
            """Answers the first request twice."""

            def _converse(self, connection: socket.socket, number: int) -> None:
                if number == 0:
                    connection.recv(65_536)
                    connection.sendall(answer())
                    time.sleep(0.05)
                    connection.sendall(answer())
                super()._converse(connection, number)

        with Talkative(lambda _: say(410), tls_of_http1) as server:
            # The second post waits for its turn for a second.
            assert counts(deliver(connect(server, pace=1), members(2))) == (1, 1, 0)
        assert server.connections == 1  # only the second one carried a request that was read as one

    def test_one_that_dies_as_it_is_used_costs_no_pause(
        self, tls: ssl.SSLContext, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with HostileServer(lambda request: CLOSE if request.turn == 1 else say(), tls) as server:
            engine = connect(server)
            deliver(engine, members(1))
            monkeypatch.setattr(pacing, "BACKOFF_BASE_SECONDS", 1000.0)
            monkeypatch.setattr(pacing, "BACKOFF_CAP_SECONDS", 1000.0)
            report = deliver(engine, members(1))
        assert counts(report) == (1, 0, 0)
        assert report.retried == 1

    def test_those_idle_for_too_long_are_not_trusted(
        self, tls: ssl.SSLContext, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with HostileServer(lambda _: say(), tls) as server:
            engine = connect(server)
            deliver(engine, members(1))
            later = time.time() + IDLE_LIMIT_SECONDS + 1
            monkeypatch.setattr(time, "time", lambda: later)
            assert deliver(engine, members(1)).connections_opened == 1

    def test_one_that_does_not_answer_is_given_up(
        self, tls: ssl.SSLContext, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pool, "REQUEST_SECONDS", 1.0)  # the second try has no more: a busy machine needs as long
        never = threading.Event()
        with HostileServer(lambda request: say() if request.attempt else Reply(after=never), tls) as server:
            report = deliver(connect(server), members(3))
            never.set()
        assert counts(report) == (3, 0, 0)
        assert report.transport_error == "timed out"

    def test_a_post_without_an_answer_is_repeated_twice(
        self, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pool, "REQUEST_SECONDS", 0.05)
        failed: list[Recipient] = []
        never = threading.Event()
        with HostileServer(lambda _: Reply(after=never)) as server:
            report = deliver(connect(server), members(3), on_failed=failed.extend)
            never.set()
            wait_until(lambda: len(server.requests) >= 9)  # it may lag behind
        assert server.served() == {each.connection_id: 3 for each in members(3)}
        assert counts(report) == (0, 0, 3)
        assert (report.late, sorted(failed)) == (0, members(3))

    @pytest.mark.parametrize("recipients", [1, 20])
    def test_answers_that_are_late_in_general_are_waited_for(
        self, recipients: int, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A post that was tried again might be delivered twice."""
        monkeypatch.setattr(pool, "REQUEST_SECONDS", 1.0)
        with HostileServer(lambda _: say()._replace(delay=1.8)) as server:
            report = deliver(connect(server), members(recipients))
        assert server.served() == {each.connection_id: 1 for each in members(recipients)}
        assert counts(report) == (recipients, 0, 0)

    def test_an_answer_may_take_ten_times_as_long_as_the_others(
        self, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pool, "REQUEST_SECONDS", 1.0)
        slow = members(1)[0].connection_id
        with HostileServer(lambda each: say()._replace(delay=1.6 if each.connection_id == slow else 0.3)) as server:
            report = deliver(connect(server), members(60))
        assert server.served()[slow] == 1
        assert counts(report) == (60, 0, 0)

    def test_a_service_that_pauses_gets_no_copies(self, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
        """All posts that are under way wait for the same thing, and when answers come again, so will theirs."""
        monkeypatch.setattr(pool, "REQUEST_SECONDS", 0.8 * SCALE)
        ends: list[float] = []

        def pause(_: Request) -> Reply:
            if not ends and len(server.requests) == 400:
                ends.append(time.monotonic() + 1.2 * SCALE)
            wait = ends[0] - time.monotonic() if ends else 0.0
            # Those that it took first are answered later than those it took last.
            return say()._replace(delay=max(0.02, wait + 0.2 * (len(server.requests) % 2)))

        with HostileServer(pause) as server:
            report = deliver(connect(server), members(800))
        assert server.served() == {each.connection_id: 1 for each in members(800)}
        assert counts(report) == (800, 0, 0)

    @pytest.mark.parametrize("late", [None, lambda _: None])
    def test_a_sender_waits_five_seconds_for_one_silent_member(
        self, late: Callable[[Sequence[Recipient]], None] | None, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A queue's worker has time for all copies."""
        scale = TIMEOUT_FACTOR / 10
        monkeypatch.setattr(pool, "REQUEST_SECONDS", 1.5 * scale)
        monkeypatch.setattr(pool, "SILENCE_SECONDS", 5.0 * scale)
        monkeypatch.setattr(verdicts, "SILENCE_SECONDS", 5.0 * scale)
        never = threading.Event()
        with HostileServer(lambda _: say()._replace(after=never)) as server:
            engine, began = connect(server), time.monotonic()
            report = engine.deliver(
                members(1), b"hello", deadline=began + PATIENCE_SECONDS, stragglers=fanout.Stragglers(late)
            )
            never.set()
        assert counts(report) == (0, 0, 1)
        assert len(server.requests) == (1 if late is None else 3)

    def test_the_five_seconds_are_over_all_copies(self, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
        scale = TIMEOUT_FACTOR / 5
        monkeypatch.setattr(pool, "REQUEST_SECONDS", 3.0 * scale / pool.SLOW_FACTOR)
        monkeypatch.setattr(pool, "SILENCE_SECONDS", 5.0 * scale)
        monkeypatch.setattr(verdicts, "SILENCE_SECONDS", 5.0 * scale)
        never = threading.Event()
        with HostileServer(lambda _: say()._replace(after=never)) as server:
            report = deliver(connect(server), members(1))
            never.set()
        assert counts(report) == (0, 0, 1)
        # The first copy is waited for three of them. A third copy would be sent after six.
        assert 1 <= len(server.requests) <= 2

    def test_copies_sent_before_count(self, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pool, "REQUEST_SECONDS", 0.05)
        never = threading.Event()
        with HostileServer(lambda _: Reply(after=never)) as server:
            stragglers = fanout.Stragglers(copies=2)
            report = connect(server).deliver(
                members(3), b"x", deadline=time.monotonic() + PATIENCE_SECONDS, stragglers=stragglers
            )
            never.set()
            wait_until(lambda: len(server.requests) >= 3)  # it may lag behind
        assert len(server.requests) == 3
        assert counts(report) == (0, 0, 3)

    @pytest.mark.parametrize(
        ("request_seconds", "stuck_seconds"),
        [(0.1 * TIMEOUT_FACTOR, 1000.0), (1000.0, 0.05 * TIMEOUT_FACTOR)],
        ids=["given up", "waited for"],
    )
    def test_those_that_do_not_answer_keep_nobody_from_the_message(
        self,
        request_seconds: float,
        stuck_seconds: float,
        tls: ssl.SSLContext,
        connect: Connect,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(pool, "REQUEST_SECONDS", request_seconds)
        monkeypatch.setattr(pool, "STUCK_SECONDS", stuck_seconds)
        everybody = members(40)
        silent = {each.connection_id for each in everybody[:20]}
        never = threading.Event()
        with HostileServer(lambda each: Reply(after=never) if each.connection_id in silent else say(), tls) as server:
            report = deliver(connect(server), everybody, seconds=PATIENCE_SECONDS / 4)
            never.set()
        assert counts(report) == (20, 0, 20)

    def test_one_that_has_answered_while_the_caller_was_busy_is_not_given_up(
        self, tls: ssl.SSLContext, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        patience = PATIENCE_SECONDS / 20
        monkeypatch.setattr(run, "CHECK_SECONDS", 0.0)
        monkeypatch.setattr(posts, "LOOK_AHEAD", 1)
        monkeypatch.setattr(pool, "CONNECTION_COST_SECONDS", 0.0)
        second_is_there, caller_is_busy = threading.Event(), threading.Event()

        def script(request: Request) -> Reply:
            if request.connection_id == members(1)[0].connection_id:
                return say(410)._replace(after=second_is_there)
            if second_is_there.is_set():
                # The rest of the room may be answered as late as this machine likes.
                monkeypatch.setattr(pool, "REQUEST_SECONDS", PATIENCE_SECONDS)
            second_is_there.set()
            return say()._replace(after=caller_is_busy)

        with HostileServer(script, tls) as server:

            def room() -> Iterator[Recipient]:
                yield from members(6)[:2]
                # The first two posts are under way now, and are answered while the caller reads the rest of the room.
                caller_is_busy.set()
                free_again = time.monotonic() + 1.5 * patience
                wait_until(lambda: server.answers == 2 and time.monotonic() > free_again)
                monkeypatch.setattr(pool, "REQUEST_SECONDS", patience)
                yield from members(6)[2:]

            report = deliver(connect(server, max_connections=2), room())
        assert counts(report) == (5, 1, 0)
        assert report.retried == 0

    def test_one_that_does_not_finish_its_handshake_is_given_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(addresses, "CONNECT_SECONDS", 0.05)
        # A server without TLS goes on waiting for a request line.
        with HostileServer(lambda _: say()) as server:
            engine = Engine(server.url.replace("http:", "https:"), "eu-west-1")
            report = deliver(engine, members(3), seconds=1)
        assert counts(report) == (0, 0, 3)
        assert report.transport_error == "timed out"
        assert not server.requests

    def test_those_that_break_at_their_first_post_are_replaced(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pool, "Line", BrittleLine)
        monkeypatch.setattr(BrittleLine, "breaks", 5)
        engine = Engine("http://localhost/live", "eu-west-1", max_connections=3)
        report = deliver(engine, members(20))
        engine.close()
        assert counts(report) == (20, 0, 0)
        assert report.retried == 5
        assert report.transport_error == "broken pipe"

    def test_as_many_are_opened_as_pay(
        self, tls_of_http1: ssl.SSLContext, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pool, "REQUEST_SECONDS", PATIENCE_SECONDS)
        seconds = 0.5 * TIMEOUT_FACTOR
        with HostileServer(lambda _: say()._replace(delay=seconds), tls_of_http1) as server:
            report = deliver(connect(server), members(40), seconds=40 * seconds)
        assert counts(report) == (40, 0, 0)
        # The optimum, the square root of 40 * 0.5 s / 0.0003 s, is more than there are recipients.
        assert 10 < report.connections_opened <= 40
        assert report.duration_ms < 40 * seconds * 1000 / 3

    def test_the_next_message_finds_a_connection_for_each_recipient(
        self, tls: ssl.SSLContext, connect: Connect
    ) -> None:
        with HostileServer(lambda _: say()._replace(delay=0.1), tls) as server:
            engine = connect(server)
            for _ in range(20):
                deliver(engine, members(12))
                deliver(engine, members(1))  # the receipt
                if len(engine._pool.all) == 12:
                    break
            assert deliver(engine, members(12)).connections_opened == 0

    def test_no_more_are_opened_than_pay(self) -> None:
        lines = pool.Pool(Endpoint("http://localhost/live"), 250)
        outcomes = Outcomes(None, None, fanout.NO_STRAGGLERS)
        share = shares.Share(fanout.Message(members(200), b"hello"), mock.Mock(), outcomes)
        loop = run.Run(lines, pacing.Bucket(0), pacing.Bucket(0), [share], time.monotonic() + PATIENCE_SECONDS, None)
        loop._posts.pull()
        lines.latency = lines.mean_latency = 0.05
        while loop._opener.pays(time.monotonic()):
            lines.all.add(mock.Mock())
        # The optimum is the square root of 200 * 0.05 s / 0.0003 s.
        assert 165 <= len(lines.all) <= 200

    @pytest.mark.parametrize(("recipients", "most"), [(12, 12), (120, 120), (1_000, 250), (10_000, 250)])
    def test_connections_for_the_next_message_are_made_up_to_the_limit(self, recipients: int, most: int) -> None:
        lines = pool.Pool(Endpoint("http://localhost/live"), 250)
        lines.latency = lines.mean_latency = 0.015
        lines.handshake = 0.005
        while lines.may_grow(recipients, 0.01):
            lines.all.add(mock.Mock())
        assert len(lines.all) == most

    @pytest.mark.parametrize(("connecting", "is_time_left"), [(4, True), (5, False)])
    def test_none_is_made_for_the_next_message_that_would_not_be_ready_by_the_end(
        self, connecting: int, *, is_time_left: bool
    ) -> None:
        """Those that are being made take 1 ms of CPU each before it."""
        lines = pool.Pool(Endpoint("http://localhost/live"), 250)
        lines.latency, lines.mean_latency, lines.handshake = 0.015, 0.015, 0.005
        lines.connecting = connecting
        assert lines.may_grow(1_000, 0.0095) == is_time_left

    def test_none_is_made_for_the_next_message_when_answers_wait_for_this_process(self) -> None:
        lines = pool.Pool(Endpoint("http://localhost/live"), 250)
        lines.latency, lines.mean_latency, lines.handshake = 0.015, 0.2, 0.005
        assert not lines.may_grow(1_000, 0.01)

    def test_after_one_that_failed_the_next_is_made_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """From the second failure on, each is waited for longer."""
        monkeypatch.setattr(pool, "pause", float)
        lines = pool.Pool(Endpoint("http://localhost/live"), 250)
        waits = []
        for _ in range(3):
            assert lines.not_opened(ConnectionRefusedError(), 10.0)
            waits.append(lines.open_not_before)
        assert waits == [0.0, 12.0, 13.0]

    @pytest.mark.parametrize(("stuck", "pays"), [(0, False), (10, True)])
    def test_one_pays_sooner_beside_those_that_are_stuck(self, stuck: int, *, pays: bool) -> None:
        lines = pool.Pool(Endpoint("http://localhost/live"), 250)
        lines.all.update(range(20 + stuck))  # type: ignore[arg-type]
        lines.latency, lines.stuck = 0.015, stuck
        try:
            assert lines.another_pays(5) == pays
        finally:
            lines.all.clear()

    def test_however_busy_the_server_was_there_is_one(
        self, tls: ssl.SSLContext, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pool, "BUSY_FACTOR", 0)
        with HostileServer(lambda _: say(), tls) as server:
            engine = connect(server)
            engine._pool.mean_latency = 1.0
            assert deliver(engine, members(100)).connections_opened == 1
            server.drop_connections()
            assert deliver(engine, members(100)).connections_opened == 1

    def test_there_is_an_upper_limit(self, tls_of_http1: ssl.SSLContext, connect: Connect) -> None:
        with HostileServer(lambda _: say()._replace(delay=0.01), tls_of_http1) as server:
            report = deliver(connect(server, max_connections=4), members(100))
        assert counts(report) == (100, 0, 0)
        assert report.connections_opened == 4

    def test_tls_sessions_are_resumed(self, tls_of_http1: ssl.SSLContext, connect: Connect) -> None:
        with HostileServer(lambda _: say(200, b"", "Connection: close"), tls_of_http1) as server:
            deliver(connect(server, max_connections=1), members(5))
            wait_until(lambda: server.resumed_sessions == 4)

    @pytest.mark.usefixtures("tls")
    def test_a_certificate_of_another_authority_is_refused_at_once(self, connect: Connect) -> None:
        with HostileServer(lambda _: say(), server_tls(trustme.CA())) as server:
            report = deliver(connect(server), members(3))
            assert not server.requests
        assert counts(report) == (0, 0, 3)
        assert "certificate verify failed" in report.transport_error
        assert report.duration_ms < PATIENCE_SECONDS * 500

    def test_nobody_listens(self, connect: Connect) -> None:
        with HostileServer(lambda _: say()) as server:
            pass
        report = deliver(connect(server), members(3), seconds=0.3)
        assert counts(report) == (0, 0, 3)
        assert "refused" in report.transport_error

    def test_an_unknown_host(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object, **__: object) -> None:
            raise socket.gaierror("no such host")

        monkeypatch.setattr(socket, "getaddrinfo", fail)
        report = deliver(Engine("https://a.example/live", "eu-west-1"), members(3), seconds=0.3)
        assert counts(report) == (0, 0, 3)
        assert "cannot resolve a.example" in report.transport_error

    @pytest.mark.parametrize("refused_at_once", [False, True])
    def test_the_next_address_is_tried(
        self, refused_at_once: bool, tls: ssl.SSLContext, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with HostileServer(lambda _: say(), tls) as server:
            found = addresses_of(server, refused_at_once=refused_at_once)
            monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
            report = deliver(connect(server), members(10))
        assert counts(report) == (10, 0, 0)

    def test_credentials_may_change_while_warm(
        self, tls: ssl.SSLContext, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with HostileServer(lambda _: say(), tls) as server:
            engine = connect(server, max_connections=1)
            for key in ("first", "second"):
                monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
                deliver(engine, members(2))
        signatures = [request.headers["authorization"].partition("Credential=")[2] for request in server.requests]
        assert [signature.partition("/")[0] for signature in signatures] == ["first", "first", "second", "second"]
        assert server.connections == 1


class TestTime:
    """The deadline, the pace, and throttling."""

    def test_what_is_left_at_the_deadline_has_failed(self, tls: ssl.SSLContext, connect: Connect) -> None:
        never = threading.Event()
        failed: list[Recipient] = []

        def script(request: Request) -> Reply:
            is_first = request is server.requests[0]
            return Reply(after=never) if "000003" in request.target else say(200 if is_first else 429)

        with HostileServer(script, tls) as server:
            engine = connect(server, max_connections=1)
            report = deliver(engine, members(3000), seconds=PATIENCE_SECONDS / 5, on_failed=failed.extend)
            never.set()
            assert report.delivered == 1
            # Those read count, and the busier the machine, the fewer are read before the deadline.
            assert report.failed == len(failed) == len(set(failed)) == report.recipients - 1 >= posts.LOOK_AHEAD - 1
            assert report.recipients == 3000 or not report.complete
            # Connections that waited for an answer are gone; the engine is as good as new.
            server.script = lambda _: say()
            assert counts(deliver(engine, members(5))) == (5, 0, 0)

    def test_an_endless_room_is_not_read_beyond_the_deadline(self, tls: ssl.SSLContext, connect: Connect) -> None:
        with HostileServer(lambda _: say(), tls) as server:
            report = deliver(connect(server), endless_room(), seconds=PATIENCE_SECONDS / 5)
        assert report.delivered > 0
        assert not report.complete

    def test_the_pace_is_kept(self, tls: ssl.SSLContext, connect: Connect) -> None:
        with HostileServer(lambda _: say(), tls) as server:
            report = deliver(connect(server, pace=100), members(130))
        assert counts(report) == (130, 0, 0)
        # A second's worth at once, the rest one by one.
        assert report.duration_ms >= 300

    def test_a_burst_may_use_what_the_last_second_left(self) -> None:
        bucket = pacing.Bucket(10)
        now = time.monotonic() + 100
        assert take_all(bucket, now) == 10
        assert bucket.wait(now) == pytest.approx(0.1)
        assert take_all(bucket, now + 0.35) == 3
        assert take_all(bucket, now + 100) == 10

    def test_without_a_pace_nothing_is_counted(self) -> None:
        bucket = pacing.Bucket(0)
        assert not bucket.limited
        assert bucket.wait(0) == 0

    @pytest.mark.parametrize("pace", [0, 5_000])
    def test_a_tenth_refused_at_random_slows_nothing_down(self, pace: float) -> None:
        rates = simulate(pace, lambda now: chance(now) < 0.1)
        assert set(rates) == {pace or float("inf")}

    def test_general_throttling_brings_the_rate_near_what_is_allowed(self) -> None:
        used: dict[int, int] = {}

        def refuse(now: float) -> bool:
            used[int(now * 100)] = used.get(int(now * 100), 0) + 1
            return used[int(now * 100)] > 10  # 1,000 a second

        rates = simulate(0, refuse)
        assert 500 < min(rates[5:]) < max(rates[5:]) < 2_000

    def test_general_throttling_ends(self) -> None:
        rates = simulate(2_000, lambda now: now < 1)
        assert min(rates) < 500
        assert rates[-1] == 2_000

    def test_who_was_throttled_for_long_soon_notices_that_it_has_ended(self) -> None:
        rates = simulate(2_000, lambda now: now < 20, seconds=25)
        assert rates[-11] > 500

    @pytest.mark.parametrize("pace", [0.25, 0.9, 1.0, 2.5])
    def test_a_pace_may_be_less_than_one_a_second(self, pace: float) -> None:
        bucket = pacing.Bucket(pace)
        now = time.monotonic()
        pacing.Throttle(bucket, now)
        sent = [at for at in range(60_000) if take_one(bucket, now + at / 1_000)]
        assert sent[0] == 0
        assert pace * 60 <= len(sent) <= pace * 60 + max(2.0, pace + 1)

    def test_the_next_fan_out_starts_at_full_pace(self) -> None:
        bucket = pacing.Bucket(2_000)
        bucket.set_rate(20, time.monotonic())
        pacing.Throttle(bucket, time.monotonic())
        assert bucket.rate == 2_000


@pytest.mark.usefixtures("brief_pauses", "long_pauses")
class TestStragglers:
    """Recipients that the others need not wait for."""

    @pytest.fixture
    def long_pauses(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Retries take longer than the patience for any recipient."""
        monkeypatch.setattr(pacing, "BACKOFF_BASE_SECONDS", PATIENCE_SECONDS)
        monkeypatch.setattr(pacing, "BACKOFF_CAP_SECONDS", PATIENCE_SECONDS)
        monkeypatch.setattr(backoff.RANDOM, "random", lambda: 0.9)

    @pytest.mark.parametrize("status", [429, 500, 410])
    def test_the_last_few_are_late(self, status: int, connect: Connect) -> None:
        late: list[Recipient] = []
        silent: list[Recipient] = []
        stragglers = fanout.Stragglers(late.extend, silent.extend)
        deadline = time.monotonic() + 10 * PATIENCE_SECONDS
        with HostileServer(lambda request: say(status if "000007" in request.target else 200)) as server:
            report = connect(server).deliver(
                members(20, now_ms()), b"x", deadline=deadline, stragglers=stragglers, patience=0.1
            )
        assert counts(report) == (19, 0, 1)
        assert [each.connection_id for each in late] == ["BFHPhf000007AM="]
        assert (report.late, silent) == (1, [])
        assert report.duration_ms < PATIENCE_SECONDS * 200

    def test_who_may_have_a_copy_is_told_apart(self, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(run, "LAST_ANSWER_SECONDS", 0.3)
        monkeypatch.setattr(pool, "REQUEST_SECONDS", 10 * PATIENCE_SECONDS)
        late: list[Recipient] = []
        silent: list[Recipient] = []
        never = threading.Event()
        stragglers = fanout.Stragglers(late.extend, silent.extend)
        deadline = time.monotonic() + 10 * PATIENCE_SECONDS
        with HostileServer(lambda request: Reply(after=never) if "000007" in request.target else say()) as server:
            report = connect(server).deliver(members(20), b"x", deadline=deadline, stragglers=stragglers, patience=0.1)
            never.set()
        assert (counts(report), report.late, late) == ((19, 0, 1), 1, [])
        assert [each.connection_id for each in silent] == ["BFHPhf000007AM="]
        # Once patience has ended, the answer is waited for only until it is of that age.
        assert report.duration_ms < PATIENCE_SECONDS * 1_000

    def test_an_answer_on_its_way_is_waited_for(self, connect: Connect) -> None:
        deadline = time.monotonic() + 10 * PATIENCE_SECONDS
        with HostileServer(lambda request: say()._replace(delay=0.4 if "00000" in request.target else 0)) as server:
            report = connect(server).deliver(members(40), b"x", deadline=deadline, patience=0.01)
        assert counts(report) == (40, 0, 0)
        assert len(server.requests) == 40

    def test_trouble_of_most_is_waited_for(self, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(backoff.RANDOM, "random", lambda: 0.04)  # 0.4 s
        deadline = time.monotonic() + 10 * PATIENCE_SECONDS
        with HostileServer(lambda request: say() if request.attempt else say(503)) as server:
            report = connect(server).deliver(members(10), b"x", deadline=deadline, patience=0.1)
        assert counts(report) == (10, 0, 0)

    def test_while_throttling_is_general_nobody_is_a_straggler(
        self, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(backoff.RANDOM, "random", lambda: 0.04)  # 0.4 s
        monkeypatch.setattr(pacing.Throttle, "adapt", lambda throttle, *_, **__: setattr(throttle, "general", True))
        deadline = time.monotonic() + 10 * PATIENCE_SECONDS
        with HostileServer(lambda request: say(200 if request.attempt or "7" not in request.target else 429)) as server:
            report = connect(server).deliver(members(20), b"x", deadline=deadline, patience=0.1)
        assert counts(report) == (20, 0, 0)
        assert report.throttled > 0

    def test_who_was_refused_while_others_got_through_is_given_up_when_alone(
        self, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pacing, "BACKOFF_CAP_SECONDS", 0.001)
        failed: list[Recipient] = []
        deadline = time.monotonic() + 10 * PATIENCE_SECONDS
        with HostileServer(lambda _: say(429)) as server:
            report = connect(server).deliver(
                members(1),
                b"x",
                deadline=deadline,
                on_failed=failed.extend,
                stragglers=fanout.Stragglers(presume_alone=True),
            )
        assert (failed, report.late) == (members(1), 0)
        assert len(server.requests) == verdicts.TRIES_ALONE


def endless_room() -> Iterator[Recipient]:
    """More members than can be counted."""
    return (Recipient(f"id-{number}", LONG_AGO) for number in itertools.count())


def take_all(bucket: pacing.Bucket, now: float) -> int:
    """How many tokens there are."""
    taken = 0
    while bucket.wait(now) == 0:
        bucket.take()
        taken += 1
    return taken


def chance(*of: object) -> float:
    """A number of [0, 1) that is as good as random, but the same in every run."""
    return binascii.crc32(repr(of).encode()) / 2**32


def take_one(bucket: pacing.Bucket, now: float) -> bool:
    """Whether a post may be sent now."""
    is_free = not bucket.wait(now)
    if is_free:
        bucket.take()
    return is_free


def simulate(pace: float, refuse: Callable[[float], bool], seconds: int = 5) -> list[float]:
    """The rates of a fan-out that could send 5,000 posts a second, looked at every 100 ms."""
    start = time.monotonic()
    bucket = pacing.Bucket(pace)
    throttle = pacing.Throttle(bucket, start)
    delivered = throttled = 0
    rates = []
    for tick in range(5_000 * seconds):
        now = tick / 5_000
        if not bucket.wait(start + now):
            bucket.take()
            refused = refuse(now)
            throttled += refused
            delivered += not refused
        if tick % 500 == 499:
            throttle.adapt(delivered, throttled, start + now)
            rates.append(bucket.rate)
    return rates


class TestCallers:
    """Iterables and callbacks."""

    def test_recipients_are_pulled_only_as_they_are_needed(
        self, protocol: str, tls: ssl.SSLContext, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(posts, "LOOK_AHEAD", 10)
        connections, carried = (8, 8) if protocol == "http/1.1" else (1, 100)
        with HostileServer(lambda _: say(), tls) as server:

            def room() -> Iterator[Recipient]:
                for pulled, recipient in enumerate(members(1000)):
                    assert pulled <= len(server.requests) + 10 + carried
                    yield recipient

            assert counts(deliver(connect(server, max_connections=connections), room())) == (1000, 0, 0)

    def test_memory_does_not_grow_with_the_room(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pool, "Line", InstantLine)
        peaks = []
        for size in (3_000, 15_000):
            engine = Engine("http://localhost/live", "eu-west-1", max_connections=4)
            room = (Recipient(f"id-{number}", LONG_AGO) for number in range(size))
            tracemalloc.start()
            assert counts(deliver(engine, room, seconds=6 * PATIENCE_SECONDS)) == (size, 0, 0)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
            engine.close()
        assert peaks[1] < peaks[0] + 50_000

    def test_those_who_wait_for_a_retry_hold_up_pulling(
        self, protocol: str, tls: ssl.SSLContext, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(posts, "LOOK_AHEAD", 10)
        monkeypatch.setattr(posts, "MAXIMUM_WAITING", 20)
        monkeypatch.setattr(pacing.Throttle, "GENERAL", 1.0)  # two in three are throttled, and shall slow nothing down
        connections, carried = (8, 8) if protocol == "http/1.1" else (1, 100)
        done: set[str] = set()

        def script(request: Request) -> Reply:
            if request.attempt < 2:
                return say(429)
            done.add(request.connection_id)
            return say()

        with HostileServer(script, tls) as server:

            def room() -> Iterator[Recipient]:
                for pulled, recipient in enumerate(members(200)):
                    assert pulled <= len(done) + 20 + 10 + carried
                    yield recipient

            assert counts(deliver(connect(server, max_connections=connections), room())) == (200, 0, 0)

    def test_a_room_that_cannot_be_read_to_its_end(self, tls: ssl.SSLContext, connect: Connect) -> None:
        def room() -> Iterator[Recipient]:
            yield from members(7)
            raise LookupError("the table is gone")

        with HostileServer(lambda request: say(200 if request.attempt else 503), tls) as server:
            with pytest.raises(DeliveryInterruptedError) as caught:
                connect(server).deliver(room(), b"hello", deadline=time.monotonic() + PATIENCE_SECONDS)
            assert isinstance(caught.value.__cause__, LookupError)
            assert counts(caught.value.report) == (7, 0, 0)
            assert caught.value.report.recipients == 7
            assert not caught.value.report.complete

    @pytest.mark.parametrize(("status", "callback"), [(410, "on_gone"), (403, "on_failed")])
    def test_a_callback_that_fails_keeps_nobody_from_the_message(
        self, status: int, callback: str, tls: ssl.SSLContext, connect: Connect
    ) -> None:
        calls = []

        def fail(recipients: Sequence[Recipient]) -> None:
            calls.append(recipients)
            raise LookupError("the table is gone")

        def script(request: Request) -> Reply:
            return say(status if int(request.connection_id[6:12]) < 120 else 200)

        with HostileServer(script, tls) as server:
            with pytest.raises(DeliveryInterruptedError) as caught:
                deliver(connect(server), members(200), **{callback: fail})  # type: ignore[arg-type]
            report = caught.value.report
            assert report.delivered == 80
            assert report.gone + report.failed == 120
            assert report.complete
            assert len(calls) == 1

    @pytest.mark.parametrize(("status", "callback"), [(410, "on_gone"), (403, "on_failed"), (400, "on_gone")])
    def test_callbacks_come_after_the_last_answer(
        self, status: int, callback: str, tls: ssl.SSLContext, connect: Connect
    ) -> None:
        served: list[int] = []

        def script(request: Request) -> Reply:
            return say(status if int(request.connection_id[6:12]) < 120 else 200 if request.attempt else 503)

        with HostileServer(script, tls) as server:

            def note(_: Sequence[Recipient]) -> None:
                served.append(len(server.requests))

            report = deliver(connect(server), members(200), **{callback: note})  # type: ignore[arg-type]
        assert report.delivered == 80
        assert served
        assert set(served) == {200 + report.retried}

    def test_an_interrupt_leaves_the_engine_usable(self, tls: ssl.SSLContext, connect: Connect) -> None:
        def room() -> Iterator[Recipient]:
            yield from members(posts.LOOK_AHEAD)
            raise KeyboardInterrupt

        with HostileServer(lambda _: say(), tls) as server:
            engine = connect(server)
            with pytest.raises(KeyboardInterrupt):
                deliver(engine, room())
            assert counts(deliver(engine, members(5))) == (5, 0, 0)


class InstantLine(Line):
    """A connection that takes every request and has the answer ready at once."""

    def __init__(self, endpoint: Endpoint, deadline: float) -> None:
        # The pipe, in place of the socket, can always be written to.
        self._pipe = os.pipe()
        with mock.patch.object(socket, "socket") as fake:
            fake.return_value.connect_ex.return_value = 0
            super().__init__(endpoint, deadline)

    def fileno(self) -> int:
        return self._pipe[1]

    def establish(self) -> None:
        self.established = True

    def write(self, data: bytes | bytearray | memoryview) -> int:
        assert bytes(data).endswith(b"\r\n\r\nhello")
        return len(data)

    def read(self) -> bytes | None:
        return answer() if self.post is not None else None

    def close(self) -> None:
        for descriptor in self._pipe:
            os.close(descriptor)


class BrittleLine(InstantLine):
    """One that takes no request at all, the first so many times."""

    breaks = 0

    def write(self, data: bytes | bytearray | memoryview) -> int:
        if BrittleLine.breaks:
            BrittleLine.breaks -= 1
            raise BrokenPipeError("broken pipe")
        return super().write(data)


def test_a_tenth_throttled_and_a_hundredth_dropped_loses_nobody(tls: ssl.SSLContext, connect: Connect) -> None:
    def script(request: Request) -> Reply:
        drawn = chance(request.connection_id, request.attempt)
        return HANG_UP if drawn < 0.01 else say(429) if drawn < 0.11 else say()

    everybody = members(1000)
    with HostileServer(script, tls) as server:
        report = deliver(connect(server, max_connections=30), everybody)
    assert counts(report) == (1000, 0, 0)
    assert set(server.served()) == {each.connection_id for each in everybody}
    assert len(server.requests) <= 1000 + report.retried


BEHAVIOURS = {
    "served": say(),
    "served in pieces": Reply([bytes([byte]) for byte in answer(200, b"ab")]),
    "served in chunks": Reply([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"2\r\nab\r\n0\r", b"\n\r\n"]),
    "served after a hint": Reply([b"HTTP/1.1 103 Early Hints\r\n\r\n", answer(200)]),
    "served, then closed": Reply([answer(200)], close=True),
    "served, closing": Reply([answer(200, b"", "Connection: close")], close=True),
    "served, too much": Reply([answer(200) + b"HTTP/1.1"]),
    "served by HTTP/1.0": Reply([b"HTTP/1.0 200 OK\r\n\r\nab"], close=True),
    "gone": say(410),
    "refused": say(403),
    "throttled": say(429),
    "failing": say(500),
    "failing, then closed": Reply([answer(500)], close=True),
    "closed": HANG_UP,
    "reset": Reply(reset=True),
    "cut off in the head": Reply([b"HTTP/1.1 20"], close=True),
    "cut off in the body": Reply([answer(200, b"ab")[:-1]], close=True),
    "cut off in a chunk": Reply([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\na"], close=True),
    "nonsense": Reply([b"nonsense\r\n\r\n"]),
}


@settings(
    max_examples=60,
    # The patched pauses and the trusted authority may well stay for all examples.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    behaviours=st.lists(st.sampled_from(sorted(BEHAVIOURS)), max_size=25),
    count=st.integers(1, 12),
    limit=st.integers(1, 5),
    encrypted=st.booleans(),
)
@example(behaviours=sorted(BEHAVIOURS), count=12, limit=3, encrypted=True)
def test_everybody_is_accounted_for_whatever_the_server_does(  # noqa: PLR0917 - fixtures and drawn values
    behaviours: list[str], count: int, limit: int, encrypted: bool, tls: ssl.SSLContext, connect: Connect
) -> None:
    outcomes: dict[str, str] = {}
    turns = iter(behaviours)

    def script(request: Request) -> Reply:
        assert request.connection_id not in outcomes, "a settled recipient is posted to again"
        behaviour = next(turns, "served")
        settled = behaviour.partition(" ")[0].rstrip(",")
        if settled in {"served", "gone", "refused"}:
            outcomes[request.connection_id] = settled
        return BEHAVIOURS[behaviour]

    with HostileServer(script, tls if encrypted else None) as server:
        report = deliver(connect(server, max_connections=limit), members(count))
    assert len(outcomes) == count
    assert counts(report) == tuple(list(outcomes.values()).count(each) for each in ("served", "gone", "refused"))
    assert len(server.requests) <= count + report.retried
