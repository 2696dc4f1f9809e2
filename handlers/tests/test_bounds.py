"""The constants, held against their reasons: limits of AWS, of NAT gateways and of waiting clients."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import socket
import threading
import time
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from roomcast import addresses, aws_json, backoff, fanout, pacing, posts, shares, tasks
from roomcast.addresses import Endpoint
from roomcast.aws_http import Client
from roomcast.delivery import RoomMessage
from roomcast.fanout import Engine, Recipient, Report
from roomcast.outcomes import Outcomes
from roomcast.pool import Pool
from roomcast.verdicts import SILENCE_SECONDS
from tests.fakes import CONNECTED_AT, FakeConnections, FakeContext, FakeTable, handshake, message
from tests.hostile_server import PATIENCE_SECONDS, HostileServer, Request, say, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from roomcast.steps import Steps

NAT_FORGETS_AFTER = 350.0
"""Seconds that a NAT gateway keeps an idle connection in mind; later packets are lost
(https://docs.aws.amazon.com/vpc/latest/userguide/nat-gateway-basics.html)."""

LAMBDA_FILES = 1024
"""Files and sockets that a function may have open
(https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html)."""

DRAWS = 200
RETRIES = range(1, 100)


@pytest.fixture
def client() -> Iterator[Callable[[HostileServer], Client]]:
    """Makes clients of a server, and closes them."""
    with contextlib.ExitStack() as stack:

        def connect_to(server: HostileServer) -> Client:
            made = Client(server.url, "dynamodb", "eu-west-1")
            stack.callback(made.close)
            return made

        yield connect_to


@pytest.fixture
def engine() -> Iterator[Callable[[HostileServer], Engine]]:
    """Makes engines for a server, and closes their connections."""
    with contextlib.ExitStack() as stack:

        def connect_to(server: HostileServer) -> Engine:
            made = Engine(server.url, "eu-west-1")
            stack.callback(made.close)
            return made

        yield connect_to


def call(client: Client) -> None:
    """One call."""
    client.request("POST", "/", {}, b"{}", deadline=time.monotonic() + PATIENCE_SECONDS)


def deliver(engine: Engine, *recipients: Recipient) -> Report:
    """One fan-out."""
    return engine.deliver(recipients, b"hello", deadline=time.monotonic() + PATIENCE_SECONDS)


class TestPauses:
    """Pauses between tries: each is short at first, grows, has an upper end, and is drawn at random."""

    @pytest.fixture(params=["engine", "services"])
    def pause(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], float]:
        """The pause after so many failures, of the engine or of calls to AWS services."""
        if request.param == "engine":
            return pacing.pause
        taken: list[float] = []
        monkeypatch.setattr(time, "sleep", taken.append)

        def pause(attempt: int) -> float:
            assert aws_json.pause(attempt, time.monotonic() + 1_000)
            return taken.pop()

        return pause

    def test_the_first_is_short(self, pause: Callable[[int], float]) -> None:
        assert max(pause(1) for _ in range(DRAWS)) <= 0.1

    def test_they_grow_and_give_a_throttled_service_some_seconds(self, pause: Callable[[int], float]) -> None:
        means = [sum(pause(attempt) for _ in range(DRAWS)) / DRAWS for attempt in range(1, 10)]
        assert means[0] < means[2] < means[4]
        assert sum(means) > 1.5

    def test_no_pause_is_longer_than_a_client_waits(self, pause: Callable[[int], float]) -> None:
        assert max(pause(attempt) for attempt in RETRIES) <= 2.5

    def test_many_who_were_refused_together_do_not_come_back_together(self, pause: Callable[[int], float]) -> None:
        drawn = sorted(pause(5) for _ in range(DRAWS))
        assert len(set(drawn)) > DRAWS / 2
        assert drawn[DRAWS // 10] < drawn[-1] / 4


def test_a_service_that_fails_is_asked_again_after_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    monkeypatch.setattr(backoff.RANDOM, "random", lambda: 0.5)
    service = aws_json.Service("https://dynamodb.eu-west-1.amazonaws.com", "dynamodb", "DynamoDB_20120810", "eu-west-1")
    waits: list[float] = []

    class Failing:
        """Never answers."""

        def steps(self, *_: object, deadline: float) -> Steps[None]:
            yield from ()
            waits.append(deadline - time.monotonic())
            raise addresses.TransportError("timed out", sent=True)

    service._client = Failing()  # type: ignore[assignment]
    with pytest.raises(aws_json.ServiceError):
        service.call("Query", {}, time.monotonic() + 1_000)

    assert 3 <= len(waits) <= 15
    assert len(slept) == len(waits) - 1
    assert sum(slept) > 1
    # Within the 10 s of most functions there has to be time for a second try.
    assert max(waits) <= 4


def test_a_member_that_fails_is_posted_to_again_after_a_pause(engine: Callable[[HostileServer], Engine]) -> None:
    arrivals: list[float] = []

    def script(_request: Request) -> Any:
        arrivals.append(time.monotonic())
        return say(200 if len(arrivals) == 8 else 503)

    with HostileServer(script) as server:
        assert deliver(engine(server), Recipient("alice=", CONNECTED_AT)).delivered == 1
    # On average 2.5 s; that seven pauses are as short as this happens once in 10^6 runs.
    assert arrivals[-1] - arrivals[0] > 0.25


def test_a_member_whose_handshake_is_about_to_end_is_waited_for(engine: Callable[[HostileServer], Engine]) -> None:
    first: list[float] = []

    def script(_request: Request) -> Any:
        first.append(time.monotonic())
        return say(410 if time.monotonic() - first[0] < 1.5 else 200)

    with HostileServer(script) as server:
        report = deliver(engine(server), Recipient("young=", int(time.time() * 1000)))
    assert report.delivered == 1


def test_a_member_that_does_not_read_for_a_moment_gets_its_message(engine: Callable[[HostileServer], Engine]) -> None:
    def script(request: Request) -> Any:
        return say(429 if request.connection_id == "busy=" and request.attempt < 4 else 200)

    with HostileServer(script) as server:
        others = [Recipient(f"client-{number}=", CONNECTED_AT) for number in range(20)]
        report = deliver(engine(server), Recipient("busy=", CONNECTED_AT), *others)
    assert report.delivered == 21


def test_a_member_that_never_reads_holds_up_the_receipt_for_seconds_only(
    engine: Callable[[HostileServer], Engine],
) -> None:
    with HostileServer(lambda request: say(429 if request.connection_id == "busy=" else 200)) as server:
        others = [Recipient(f"client-{number}=", CONNECTED_AT) for number in range(20)]
        # A route ends after 29 s, and the sender waits for its receipt meanwhile.
        report = engine(server).deliver(
            [Recipient("busy=", CONNECTED_AT), *others], b"hello", deadline=time.monotonic() + 25
        )
    assert (report.delivered, report.failed) == (20, 1)
    assert report.duration_ms < 15_000


def test_the_dead_hold_up_the_sender_for_a_few_seconds_at_most(
    load: Callable[[str], Any], connections: FakeConnections, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("alice=", "bob="):
        load("connect").handler(handshake(name, "lobby"), FakeContext())
    connections.gone.add("bob=")
    sendmessage = load("sendmessage")
    given: list[float] = []
    monkeypatch.setattr(sendmessage.ROOMS, "prune", lambda *call: given.append(call[-1] - time.monotonic()))
    sendmessage.handler(message("alice=", {"data": "hello"}), FakeContext(29_000))

    assert len(given) == 1
    assert 0.5 < given[0] < 5


def test_however_many_are_dead_a_slow_table_holds_up_the_sender_for_a_few_seconds_at_most(
    load: Callable[[str], Any], connections: FakeConnections, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = [f"dead-{number:04}=" for number in range(1_000)]
    for name in ("alice=", *dead):
        load("connect").handler(handshake(name, "lobby"), FakeContext())
    connections.gone.update(dead)
    sendmessage = load("sendmessage")
    began_at = now = time.monotonic()

    def prune(_room: str, _gone: object, deadline: float) -> None:
        nonlocal now
        now = min(now + 1.5, deadline)
        if now == deadline:
            raise aws_json.ServiceError("TransactWriteItems", "timed out", {}, transient=True)

    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr(sendmessage.ROOMS, "prune", prune)
    sendmessage.handler(message("alice=", {"data": "hello"}), FakeContext(29_000))

    assert 0.5 < now - began_at < 5


@pytest.mark.parametrize(("full_for", "is_served"), [(0.7, True), (1_000.0, False)])
def test_a_client_that_does_not_read_for_a_moment_is_waited_for_and_no_longer_than_a_sender_waits(
    engine: Callable[[HostileServer], Engine], full_for: float, *, is_served: bool
) -> None:
    first: list[float] = []

    def script(request: Request) -> Any:
        first.append(time.monotonic())
        is_full = request.connection_id == "slow=" and time.monotonic() - first[0] < full_for
        return say(429 if is_full else 200)

    others = [Recipient(f"member-{number}=", CONNECTED_AT) for number in range(20)]
    with HostileServer(script) as server:
        report = deliver(engine(server), *others, Recipient("slow=", CONNECTED_AT))
    assert report.delivered == len(others) + is_served
    # Some 3 s on average; a sender hears of the others when its last member is given up.
    assert report.duration_ms < 9_500


@pytest.mark.parametrize(("idle", "connections"), [(60.0, 1), (NAT_FORGETS_AFTER - 10, 2)])
class TestIdleConnections:
    """Connections between invocations: kept for a minute at least, and never trusted when a NAT has forgotten them."""

    def test_of_a_client(
        self,
        client: Callable[[HostileServer], Client],
        monkeypatch: pytest.MonkeyPatch,
        idle: float,
        connections: int,
    ) -> None:
        with HostileServer(lambda _: say()) as server:
            caller = client(server)
            call(caller)
            wait(idle, monkeypatch)
            call(caller)
        assert server.connections == connections

    def test_of_the_engine(
        self,
        engine: Callable[[HostileServer], Engine],
        monkeypatch: pytest.MonkeyPatch,
        idle: float,
        connections: int,
    ) -> None:
        with HostileServer(lambda _: say()) as server:
            poster = engine(server)
            deliver(poster, Recipient("alice=", CONNECTED_AT))
            wait(idle, monkeypatch)
            deliver(poster, Recipient("alice=", CONNECTED_AT))
        assert server.connections == connections


def test_each_answer_makes_a_connection_young_again(
    client: Callable[[HostileServer], Client],
    engine: Callable[[HostileServer], Engine],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Otherwise a busy function would pay for a handshake every few minutes."""
    with HostileServer(lambda _: say()) as server:
        caller, poster = client(server), engine(server)
        for _ in range(4):
            call(caller)
            deliver(poster, Recipient("alice=", CONNECTED_AT))
            wait(200.0, monkeypatch)
    assert server.connections == 2


def wait(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let time pass, as a frozen function sees it: at once."""
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + seconds)


@pytest.mark.parametrize(("after", "look_ups"), [(1.0, 1), (5.5, 2)])
def test_addresses_are_believed_for_as_long_as_aws_says(
    monkeypatch: pytest.MonkeyPatch, after: float, look_ups: int
) -> None:
    asked: list[object] = []

    def resolve(*_: object, **__: object) -> list[tuple[Any, ...]]:
        asked.append(1)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 443))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    endpoint = Endpoint("https://example")
    endpoint.address()
    later = time.monotonic() + after
    monkeypatch.setattr(time, "monotonic", lambda: later)
    endpoint.address()

    assert len(asked) == look_ups


@pytest.mark.parametrize(("after", "look_ups"), [(6.0, 1), (16.0, 2)])
def test_a_resolver_may_ask_its_second_server_and_is_not_waited_for_much_longer(
    monkeypatch: pytest.MonkeyPatch, after: float, look_ups: int
) -> None:
    """It waits 5 s for the first one (``timeout`` in resolv.conf)."""
    ended = threading.Event()
    asked: list[object] = []

    def hang(*_: object, **__: object) -> list[tuple[Any, ...]]:
        asked.append(1)
        ended.wait(PATIENCE_SECONDS)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    endpoint = Endpoint("https://example")
    with contextlib.suppress(addresses.UnresolvedError):
        endpoint.addresses(0)
    later = time.monotonic() + after
    monkeypatch.setattr(time, "monotonic", lambda: later)
    with contextlib.suppress(addresses.UnresolvedError):
        endpoint.addresses(0)
    monkeypatch.undo()
    wait_until(lambda: len(asked) == look_ups)
    ended.set()
    assert len(asked) == look_ups


def test_who_may_still_be_connecting_holds_up_the_receipt_for_seconds_only(
    engine: Callable[[HostileServer], Engine],
) -> None:
    with HostileServer(lambda _: say(410)) as server:
        report = deliver(engine(server), Recipient("young=", int(time.time() * 1000)))
    assert report.gone == 1
    assert report.duration_ms < 8_000


@pytest.mark.parametrize(
    ("mean", "delivered", "limit"),
    [(0.015, 1_000, 1.5), (0.3, 1_000, 3.0), (0.45, 1_000, 4.5), (60.0, 1_000, 5.0), (0.015, 0, 5.0)],
)
def test_how_late_is_late(mean: float, delivered: int, limit: float) -> None:
    lines = Pool(Endpoint("http://localhost/live"), 250)
    lines.mean_latency, lines.under_way = mean, 1
    share = shares.Share(fanout.Message([], b"hello"), mock.Mock(), Outcomes(None, None, fanout.NO_STRAGGLERS))
    post = shares.Post(Recipient("BFHPhf0=", CONNECTED_AT), share)
    line = mock.Mock(established=True, posts=lambda: [post], idled=lambda _: False)
    lines.all.add(line)
    post.sent_at = time.monotonic()
    assert lines.overdue(post.sent_at + limit - 0.01, delivered) == []
    assert lines.overdue(post.sent_at + limit + 0.01, delivered) == [(line, [post])]
    assert limit <= SILENCE_SECONDS


def test_a_functions_sockets_fit_into_its_files() -> None:
    default = inspect.signature(Engine).parameters["max_connections"].default
    for name in ("connect", "default", "disconnect", "sendmessage", "whoami", "fanout_worker"):
        module = importlib.import_module(name)
        engines = [each for each in vars(module).values() if isinstance(each, Engine)]
        assert engines
        # Besides them: DynamoDB, SQS, the runtime's own, and sockets opened while others are being closed.
        assert all(100 <= each._pool.limit <= LAMBDA_FILES // 2 for each in engines)
    assert 100 <= default <= LAMBDA_FILES // 2


class Clock:
    """A clock that goes on only when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = time.monotonic()
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


@pytest.mark.parametrize(("seconds", "at_least", "at_most"), [(25.0, 0.3, 1.5), (5.0, 0.3, 1.5), (1.0, 0.05, 0.2)])
def test_a_fan_out_that_runs_out_of_time_leaves_some_to_its_caller(
    monkeypatch: pytest.MonkeyPatch, seconds: float, at_least: float, at_most: float
) -> None:
    clock = Clock(monkeypatch)
    engine = Engine("https://example.com/live", "eu-west-1")

    def nothing_happens(timeout: float) -> list[Any]:
        clock.now += timeout
        return []

    def begin_to_open(_deadline: float) -> None:
        engine._pool.connecting += 1

    monkeypatch.setattr(engine._pool.sockets, "wait", nothing_happens)
    monkeypatch.setattr(engine._pool, "open", begin_to_open)
    deadline = clock.now + seconds
    report = engine.deliver([Recipient("alice=", CONNECTED_AT)], b"hello", deadline=deadline)
    engine.close()

    assert (report.failed, report.late) == (1, 1)
    # Time to log a line and to end; of a short time, the rest is for posts.
    assert at_least <= deadline - clock.now <= at_most


@pytest.mark.parametrize(("waiting", "is_read_on"), [(1_000, True), (20_000, False)])
def test_a_room_is_not_read_on_while_thousands_wait_for_another_try(waiting: int, *, is_read_on: bool) -> None:
    """Each takes some hundred bytes, and the smallest function has 128 MB."""
    room = iter([Recipient("next=", CONNECTED_AT)])
    share = shares.Share(fanout.Message(room, b"hello"), mock.Mock(), mock.Mock())
    waiting_posts = posts.Posts([share], mock.Mock(), mock.Mock(), mock.MagicMock())
    post = shares.Post(Recipient("refused=", CONNECTED_AT), share)
    waiting_posts.again = [(time.monotonic() + 10, number, post) for number in range(waiting)]
    waiting_posts.next(time.monotonic())

    assert (next(room, None) is None) == is_read_on


def test_a_join_that_takes_all_its_time_is_undone(
    load: Callable[[str], Any], table: FakeTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    connect = load("connect")
    write = table.call
    writes: list[float] = []

    def hang(operation: str, parameters: Mapping[str, Any], deadline: float) -> dict[str, Any]:
        """The first write is done in the very last moment, and nothing is heard of it."""
        assert deadline > clock.now, "no time left"
        answer = write(operation, parameters, deadline)
        if not writes:
            writes.append(deadline)
            clock.now = deadline
            raise aws_json.ServiceError(operation, "timed out", {}, transient=True)
        return answer

    monkeypatch.setattr(table, "call", hang)
    end = clock.now + 10

    assert connect.handler(handshake("alice=", "lobby"), FakeContext(10_000)) == {"statusCode": 500}
    assert table.living() == set()
    # For the deletion and its answer, tried twice.
    assert end - writes[0] >= 1.5


def test_a_worker_has_time_to_hand_over_what_is_left(
    load: Callable[[str], Any], connections: FakeConnections, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("alice=", "bob=", "carol="):
        load("connect").handler(handshake(name, "lobby"), FakeContext())
    worker = load("fanout_worker")
    clock = Clock(monkeypatch)
    handed_over: list[float] = []
    deliver = connections.deliver

    def take_all_the_time(recipients: Iterable[Recipient], *call: Any, deadline: float, **options: Any) -> Any:
        """Serve the first, and find that time is up."""

        def first() -> Iterator[Recipient]:
            for recipient in recipients:
                yield recipient
                clock.now = max(clock.now, deadline - 0.001)

        return deliver(first(), *call, deadline=deadline, **options)

    def put(_operation: str, parameters: Mapping[str, Any], deadline: float) -> dict[str, Any]:
        assert parameters["Entries"]
        handed_over.append(deadline - clock.now)
        return {"Successful": [], "Failed": []}

    monkeypatch.setattr(connections, "deliver", take_all_the_time)
    monkeypatch.setattr(worker.QUEUE._service, "call", put)
    body = tasks.Task(RoomMessage("lobby", "alice=", "hello", "request-1"), 0).to_json()
    worker.handler({"Records": [{"messageId": "m-1", "body": body, "attributes": {}}]}, FakeContext(30_000))

    assert len(connections.posts) == 1
    # A call to AWS may be silent for some 3 s and is made again then.
    assert handed_over
    assert min(handed_over) >= 3.5
