"""Messages that one run serves side by side: no member waits for another one, and each receives them in order."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from roomcast import aws_json, fanout, one_read, pool, rooms, run, serving, tasks, verdicts
from roomcast.delivery import Delivery, RoomMessage
from roomcast.fanout import Engine, Message, Recipient, Stragglers
from roomcast.pacing import STRAGGLERS_PACE
from roomcast.recipients import Source
from roomcast.steps import Wait
from tests.fakes import FakeContext, FakeTable, handshake, message
from tests.hostile_server import PATIENCE_SECONDS, SCALE, TIMEOUT_FACTOR, HostileServer, Reply, Request, say
from tests.sqs_model import SqsModel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from roomcast.recipients import Pages

LONG_AGO = 1_700_000_000_000
MEMBERS = [f"member-{number:02}=" for number in range(12)]
SLOW = MEMBERS[5]
TEXTS = [f"message {number}" for number in range(10)]
BAR_SECONDS = 1.0
"""How long the last living member waits at most for any message of a batch."""


class Stage:
    """A server that notes which text each member was sent and when, and answers some of them as told.

    Attributes:
        slow: The slow members.
        trouble: Gives the reply to a post to a slow member.
        accepted: Connection id and text of each post that was answered with 200, in order.
    """

    def __init__(self) -> None:
        self.slow = {SLOW}
        self.trouble: Callable[[Request], Reply] = lambda _: say()
        self.posts: list[tuple[str, str, float]] = []
        self.accepted: list[tuple[str, str]] = []

    def script(self, request: Request) -> Reply:
        """As of ``HostileServer``."""
        reply = self.trouble(request) if request.connection_id in self.slow else say()
        if reply == say():
            self.accepted.append((request.connection_id, request.body.decode()))
        self.posts.append((request.connection_id, request.body.decode(), time.monotonic()))
        return reply

    def received(self, member: str) -> list[str]:
        """Texts of all posts to a member, in order."""
        return [text for name, text, _ in self.posts if name == member]


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
def engine(stage: Stage) -> Iterator[Engine]:
    """An engine that posts to the stage."""
    with HostileServer(stage.script) as server, contextlib.closing(Engine(server.url, "eu-west-1")) as engine:
        yield engine


@pytest.fixture
def never() -> Iterator[threading.Event]:
    """Is set when the test has ended."""
    event = threading.Event()
    yield event
    event.set()


def messages(count: int, **options: Any) -> list[Message]:
    """Messages to all members."""
    everybody = [Recipient(name, LONG_AGO) for name in MEMBERS]
    return [Message(everybody, text.encode(), **options) for text in TEXTS[:count]]


def soon(seconds: float = 10 * PATIENCE_SECONDS) -> float:
    """A deadline."""
    return time.monotonic() + seconds


@pytest.mark.parametrize("options", [{}, {"order": "lobby", "may_leave": 3}], ids=["loose", "ordered"])
class TestSlowMember:
    """One member does not take a message."""

    def test_every_member_receives_the_messages_in_order(
        self, stage: Stage, engine: Engine, options: dict[str, Any]
    ) -> None:
        stage.trouble = lambda request: say(200 if request.attempt % 5 in {2, 4} else 429)
        results = engine.deliver_all(messages(4, **options), deadline=soon())

        assert [result.report.delivered for result in results] == [len(MEMBERS)] * 4
        for member in MEMBERS:
            assert [text for name, text in stage.accepted if name == member] == TEXTS[:4]

    def test_when_patience_ends_it_is_late_with_all_messages_and_has_none_out_of_turn(
        self, stage: Stage, engine: Engine, options: dict[str, Any]
    ) -> None:
        stage.trouble = lambda _: say(429)
        late: list[Recipient] = []
        given = messages(4, stragglers=Stragglers(late.extend), **options)
        results = engine.deliver_all(given, deadline=soon(), patience=0.2)

        assert [each.connection_id for each in late] == [SLOW] * 4
        assert [result.report.late for result in results] == [1] * 4
        assert set(stage.received(SLOW)) == {TEXTS[0]}
        assert results[0].report.duration_ms < PATIENCE_SECONDS * 1_000

    def test_others_wait_neither_for_a_refusal_nor_for_silence(
        self, stage: Stage, engine: Engine, never: threading.Event, options: dict[str, Any]
    ) -> None:
        stage.trouble = lambda _: Reply(after=never)
        began = time.monotonic()
        engine.deliver_all(messages(10, **options), deadline=soon(), patience=0.2)

        others = [(text, at) for name, text, at in stage.posts if name != SLOW]
        assert len(others) == 10 * (len(MEMBERS) - 1)
        assert max(at for _, at in others) - began < BAR_SECONDS * TIMEOUT_FACTOR

    def test_the_dead_are_handed_back_once(self, stage: Stage, engine: Engine, options: dict[str, Any]) -> None:
        stage.trouble = lambda _: say(410)
        gone: list[Recipient] = []
        results = engine.deliver_all(messages(4, on_gone=gone.extend, **options), deadline=soon())

        assert [result.report.gone for result in results] == [1] * 4
        assert [each.connection_id for each in gone] == [SLOW]
        assert stage.received(SLOW) == TEXTS[:1]

    def test_one_that_is_given_up_is_tried_with_the_next_message(
        self, stage: Stage, engine: Engine, options: dict[str, Any]
    ) -> None:
        stage.trouble = lambda request: say(413 if request.body == TEXTS[0].encode() else 200)
        results = engine.deliver_all(messages(3, **options), deadline=soon())

        assert [result.report.failed for result in results] == [1, 0, 0]
        assert stage.received(SLOW) == TEXTS[:3]


def test_stragglers_alone_are_not_waited_for_either(stage: Stage, engine: Engine) -> None:
    stage.slow = {f"crowd-{number}=" for number in range(60)}
    stage.trouble = lambda _: say(429)
    late: list[Recipient] = []
    crowd = [Recipient(name, LONG_AGO) for name in stage.slow]
    options = Stragglers(late.extend, presume_alone=True)
    given = [Message(crowd, text.encode(), stragglers=options, order="late", may_leave=1_000) for text in TEXTS[:2]]
    began = time.monotonic()
    engine.deliver_all(given, deadline=soon(), patience=0.2)

    assert time.monotonic() - began < BAR_SECONDS * TIMEOUT_FACTOR
    assert len(late) == 2 * len(crowd)


class TestStragglersBesideOthers:
    """A run for stragglers, such as those of a lane, and for other members."""

    @pytest.fixture
    def late(self, stage: Stage, never: threading.Event) -> list[Recipient]:
        """Three hundred members that never answer."""
        crowd = [Recipient(f"crowd-{number}=", LONG_AGO) for number in range(300)]
        stage.slow = {each.connection_id for each in crowd}
        stage.trouble = lambda _: Reply(after=never)
        return crowd

    @pytest.fixture
    def serve(self, stage: Stage, late: list[Recipient], never: threading.Event) -> Callable[..., Any]:
        return partial(self.run, stage, late, never)

    def run(
        self,
        stage: Stage,
        late: list[Recipient],
        never: threading.Event,
        *,
        connections: int,
        is_new: bool = False,
        **options: Any,
    ) -> tuple[list[Recipient], list[Recipient]]:
        """Serve stragglers before all members, in turn; gives those that may have a copy and those without a post."""
        silent: list[Recipient] = []
        untried: list[Recipient] = []
        stragglers = Stragglers(silent.extend, presume_alone=True, on_untried=untried.extend, is_new=is_new)
        given = [Message(late, b"late", stragglers=stragglers), *messages(1, **options)]
        with (
            HostileServer(stage.script) as server,
            contextlib.closing(Engine(server.url, "eu-west-1", max_connections=connections)) as engine,
        ):
            results = engine.deliver_all(given, deadline=soon(), patience=0.2)
            never.set()  # for the server's end
        assert [result.report.delivered for result in results] == [len(late) - len(silent) - len(untried), len(MEMBERS)]
        return silent, untried

    def test_silence_holds_up_no_batch_however_many_they_are(
        self, stage: Stage, late: list[Recipient], serve: Callable[..., Any]
    ) -> None:
        began = time.monotonic()
        silent, untried = serve(connections=40)

        # Over 40 connections, all would take at least eight limits of an answer.
        assert time.monotonic() - began < 2 * BAR_SECONDS * TIMEOUT_FACTOR
        assert sorted(silent + untried) == sorted(late)
        assert {each.connection_id for each in silent} == {name for name, text, _ in stage.posts if text == "late"}

    def test_others_come_first(self, stage: Stage, serve: Callable[..., Any]) -> None:
        stage.slow = set()
        serve(connections=1)
        assert {text for _, text, _ in stage.posts[: len(MEMBERS)]} == {TEXTS[0]}
        assert {text for _, text, _ in stage.posts[len(MEMBERS) :]} <= {"late"}

    def test_who_had_no_turn_before_does_not_come_last(self, stage: Stage, serve: Callable[..., Any]) -> None:
        stage.slow = set()
        serve(connections=1, is_new=True)
        assert [text for _, text, _ in stage.posts[:101]] == ["late"] * 100 + [TEXTS[0]]

    def test_who_is_read_later_finds_connections(
        self, stage: Stage, serve: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("roomcast.pool.REQUEST_SECONDS", 10 * PATIENCE_SECONDS)
        silent, _ = serve(connections=4, is_ready=lambda: len(stage.posts) >= 2)
        assert len(silent) == 2

    def test_refusals_slow_down_stragglers_alone(self, stage: Stage, late: list[Recipient]) -> None:
        """As where the account is throttled."""
        stage.trouble = lambda _: say(429)
        with (
            HostileServer(stage.script) as server,
            contextlib.closing(Engine(server.url, "eu-west-1")) as engine,
        ):
            stragglers = Stragglers(lambda _: None, presume_alone=True)
            engine.deliver_all([Message(late, b"late", stragglers=stragglers)], deadline=soon(), patience=0.5)
            assert engine._stragglers_bucket.rate < STRAGGLERS_PACE / 2
            assert not engine._bucket.limited

    def test_a_pace_holds_for_all_runs_together(self, stage: Stage, late: list[Recipient]) -> None:
        """Of an environment, however often the lane's next run comes at once."""
        stage.slow = set()
        with (
            HostileServer(stage.script) as server,
            contextlib.closing(Engine(server.url, "eu-west-1")) as engine,
        ):
            engine._stragglers_bucket.tokens = 50.0
            engine._stragglers_bucket.first = 10.0
            stragglers = Stragglers(lambda _: None, presume_alone=True)
            given = [Message(late, b"late", stragglers=stragglers), *messages(1)]
            began = time.monotonic()
            for _ in range(3):
                engine.deliver_all(given, deadline=soon(), patience=0.1)
            seconds = time.monotonic() - began
        assert len([text for _, text, _ in stage.posts if text == "late"]) < 51 + 10 * seconds
        assert len([text for _, text, _ in stage.posts if text == TEXTS[0]]) == 3 * len(MEMBERS)


class TestOrder:
    """When the next message of an order begins."""

    def test_not_before_all_but_a_few_are_reached(self, stage: Stage, engine: Engine, never: threading.Event) -> None:
        stage.trouble = lambda _: Reply(after=never)
        results = engine.deliver_all(messages(2, order="lobby", may_leave=0), deadline=soon(), patience=0.2)

        assert [result.is_begun for result in results] == [True, False]
        assert {text for _, text, _ in stage.posts} == {TEXTS[0]}

    @pytest.mark.parametrize("fault", ["reading fails", "more is left to read"])
    def test_not_behind_one_whose_recipients_are_not_all_read(self, engine: Engine, fault: str) -> None:
        def some() -> Iterator[Recipient]:
            yield Recipient(MEMBERS[0], LONG_AGO)
            if fault == "reading fails":
                raise LookupError

        first, second = messages(2, order="lobby", may_leave=5)
        first = first._replace(recipients=some(), is_complete=lambda: fault == "reading fails")
        results = engine.deliver_all([first, second], deadline=soon())

        assert [result.is_begun for result in results] == [True, False]
        assert isinstance(results[0].error, LookupError | None)
        assert results[0].report.delivered == 1

    def test_not_behind_one_that_all_members_were_refused(self, stage: Stage, engine: Engine) -> None:
        """It will be tried again, and the next one must not overtake it."""
        stage.slow = set(MEMBERS)
        stage.trouble = lambda request: say(403 if request.body == TEXTS[0].encode() else 200)
        refused, failed = list[Recipient](), list[Recipient]()
        stragglers = Stragglers(on_refused=refused.extend)
        given = messages(2, order="lobby", may_leave=5, stragglers=stragglers, on_failed=failed.extend)
        results = engine.deliver_all(given, deadline=soon())

        assert [result.is_begun for result in results] == [True, False]
        assert sorted(each.connection_id for each in refused) == MEMBERS
        report = results[0].report
        assert (failed, report.failed, report.given_up, report.refused) == ([], 12, 0, 12)

    @pytest.mark.parametrize("status", [200, 410])
    def test_one_that_is_reached_shows_that_the_others_are_refused_for_good(
        self, stage: Stage, engine: Engine, status: int
    ) -> None:
        stage.slow = set(MEMBERS)
        stage.trouble = lambda request: say(
            403 if request.body == TEXTS[0].encode() and request.connection_id != SLOW else status
        )
        refused, failed = list[Recipient](), list[Recipient]()
        stragglers = Stragglers(on_refused=refused.extend)
        given = messages(2, order="lobby", may_leave=5, stragglers=stragglers, on_failed=failed.extend)
        results = engine.deliver_all(given, deadline=soon())

        assert [result.is_begun for result in results] == [True, True]
        assert (refused, len(failed), results[0].report.given_up) == ([], 11, 11)

    @pytest.mark.parametrize("found", [0, 1])
    def test_the_last_page_may_be_empty(self, stage: Stage, engine: Engine, found: int) -> None:
        """No answer is waited for then: the next message begins all the same."""

        class Lobby(Source):
            def reads(self) -> Iterator[Pages]:
                """As of ``recipients.Source``."""
                yield self._read()

            def _read(self) -> Pages:
                yield [Recipient(name, LONG_AGO) for name in MEMBERS[:found]]
                while found and not stage.posts:
                    yield Wait(None, time.monotonic() + 0.01)
                yield Wait(None, time.monotonic() + 0.2)
                yield []

        given = [each._replace(recipients=Lobby()) for each in messages(3, order="lobby", may_leave=5)]
        results = engine.deliver_all(given, deadline=soon())

        assert [(result.is_begun, result.report.complete) for result in results] == [(True, True)] * 3
        assert [text for _, text, _ in stage.posts] == TEXTS[: 3 * found]

    def test_one_order_does_not_wait_for_another(self, stage: Stage, engine: Engine, never: threading.Event) -> None:
        stage.trouble = lambda _: Reply(after=never)
        stuck = messages(2, order="lobby", may_leave=0)
        others = [Recipient("elsewhere=", LONG_AGO)]
        hall = [Message(others, text.encode(), order="hall") for text in TEXTS[2:5]]
        results = engine.deliver_all([*stuck, *hall], deadline=soon(), patience=0.2)

        assert [result.is_begun for result in results] == [True, False, True, True, True]
        assert stage.received("elsewhere=") == TEXTS[2:5]


def test_a_large_room_holds_up_no_small_one(stage: Stage) -> None:
    crowd = [Recipient(f"crowd-{number}=", LONG_AGO) for number in range(1_500)]
    small = Message([Recipient("alone=", LONG_AGO)], b"psst")
    with (
        HostileServer(stage.script) as server,
        # Posts over one connection arrive in the order in which they are sent.
        contextlib.closing(Engine(server.url, "eu-west-1", max_connections=1)) as engine,
    ):
        engine.deliver_all([Message(crowd, b"hello"), small], deadline=soon())

    names = [name for name, _, _ in stage.posts]
    assert len(names) == 1_501
    # Of the crowd, a hundred go first.
    assert names.index("alone=") == 100


def test_what_one_room_receives_shows_that_another_ones_member_is_refused_alone(stage: Stage, engine: Engine) -> None:
    stage.trouble = lambda _: say(429)
    alone = Message([Recipient(SLOW, LONG_AGO)], b"psst", stragglers=Stragglers(on_late=lambda _: None))
    others = Message([Recipient(f"crowd-{number}=", LONG_AGO) for number in range(100)], b"hello")
    results = engine.deliver_all([others, alone], deadline=soon(), patience=0.2)

    assert [result.report.failed for result in results] == [0, 1]
    assert results[0].report.duration_ms < PATIENCE_SECONDS * 1_000


@pytest.fixture
def worker(load: Callable[[str], Any], engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The queue worker with a real engine, and all members in the lobby."""
    connect = load("connect")
    for name in MEMBERS:
        connect.handler(handshake(name, "lobby"), FakeContext())
    module = load("fanout_worker")
    monkeypatch.setattr(module, "DELIVERY", Delivery(engine, module.ROOMS))
    return module


@pytest.mark.parametrize("crowd", [0, 14, 24], ids=["one", "fifteen", "most"])
@pytest.mark.parametrize("trouble", ["429", "silence"])
@pytest.mark.parametrize("fifo", [False, True], ids=["standard", "fifo"])
def test_a_batch_of_ten_waits_for_no_member_however_many_do_not_read(  # noqa: PLR0917 - fixtures and parameters
    worker: Any,
    stage: Stage,
    table: FakeTable,
    load: Callable[[str], Any],
    never: threading.Event,
    monkeypatch: pytest.MonkeyPatch,
    trouble: str,
    crowd: int,
    *,
    fifo: bool,
) -> None:
    for number in range(crowd):
        load("connect").handler(handshake(f"crowd-{number:02}=", "lobby"), FakeContext())
        stage.slow.add(f"crowd-{number:02}=")
    is_slow = True

    def reply(_request: Request) -> Reply:
        if not is_slow:
            return say()
        return say(429) if trouble == "429" else Reply(after=never)

    stage.trouble = reply
    sqs = SqsModel(fifo=fifo)
    settings = worker.SETTINGS._replace(queue_url="https://sqs.eu-west-1.amazonaws.com/1/q", queue_is_fifo=fifo)
    queue = tasks.Queue(settings)
    queue._service = sqs  # type: ignore[assignment]
    monkeypatch.setattr(worker, "QUEUE", queue)
    monkeypatch.setattr(worker, "SETTINGS", settings)
    # A busy machine answers late in general.
    monkeypatch.setattr(worker, "STRAGGLER_SECONDS", worker.STRAGGLER_SECONDS * SCALE)
    monkeypatch.setattr(run, "LAST_ANSWER_SECONDS", run.LAST_ANSWER_SECONDS * SCALE)
    # A silent post that is sent again would be waited for, too.
    monkeypatch.setattr(pool, "REQUEST_SECONDS", pool.REQUEST_SECONDS * SCALE)
    monkeypatch.setattr(pool, "FIRST_REQUEST_SECONDS", pool.FIRST_REQUEST_SECONDS * SCALE)
    monkeypatch.setattr(verdicts, "TRIES_ALONE", round(verdicts.TRIES_ALONE * SCALE))
    for text in TEXTS:
        sqs.put(tasks.Task(RoomMessage("lobby", MEMBERS[0], text, "r"), 0).to_json(), "lobby.0" if fifo else "")
    began = time.monotonic()
    sqs.invoke(worker.handler)
    ended = time.monotonic()

    healthy = [name for name in MEMBERS if name != SLOW]
    assert {name: stage.received(name) for name in healthy} == dict.fromkeys(healthy, TEXTS)
    # The server runs a thread for each connection, which takes time beside the tests of others.
    bar = BAR_SECONDS * TIMEOUT_FACTOR * (4 if crowd else 1)
    assert max(at for name, _, at in stage.posts if name not in stage.slow) - began < bar
    # The next batch of the room waits for the end of this one.
    assert ended - began < 2 * bar
    assert {text for name in stage.slow for text in stage.received(name)} <= {TEXTS[0]}

    is_slow = False
    before = len(stage.posts)
    sqs.drain(worker.handler)
    for slow in stage.slow:
        later = [text for name, text, _ in stage.posts[before:] if name == slow]
        assert (later if fifo else sorted(set(later))) == TEXTS
    assert {name for name, _, _ in stage.posts[before:]} == stage.slow
    assert sqs.dead_letters == []
    assert [key for key in table.items if key[0].startswith("backlog#")] == []


class TestOneRead:
    """Messages of a batch to the same members share one read."""

    @pytest.fixture(params=["standard", "fifo"])
    def batch(self, worker: Any, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> SqsModel:
        """A queue with ten messages for the lobby, and between them two for another room."""
        fifo = request.param == "fifo"
        sqs = SqsModel(fifo=fifo)
        settings = worker.SETTINGS._replace(queue_url="https://sqs.eu-west-1.amazonaws.com/1/q", queue_is_fifo=fifo)
        queue = tasks.Queue(settings)
        queue._service = sqs  # type: ignore[assignment]
        monkeypatch.setattr(worker, "QUEUE", queue)
        monkeypatch.setattr(worker, "SETTINGS", settings)
        for number, text in enumerate(TEXTS):
            for room in ("lobby", "hall") if number in {3, 4} else ("lobby",):
                body = tasks.Task(RoomMessage(room, MEMBERS[0], text, "r"), 0).to_json()
                sqs.put(body, f"{room}.0" if fifo else "")
        return sqs

    def queries(self, table: FakeTable) -> list[str]:
        """The partitions that were read, in order."""
        found = [call["ExpressionAttributeValues"][":room"]["S"] for name, call in table.calls if name == "Query"]
        return [each for each in found if each.startswith("room#")]

    def test_members_are_read_once_for_all_messages(
        self, worker: Any, stage: Stage, table: FakeTable, load: Callable[[str], Any], batch: SqsModel
    ) -> None:
        load("connect").handler(handshake("elsewhere=", "hall"), FakeContext())
        table.calls.clear()
        batch.invoke(worker.handler, batch=12)

        assert sorted(self.queries(table)) == ["room#hall#0", "room#lobby#0"]
        assert all(call["ConsistentRead"] for name, call in table.calls if name == "Query")
        assert {name: sorted(stage.received(name)) for name in MEMBERS} == dict.fromkeys(MEMBERS, TEXTS)
        assert sorted(stage.received("elsewhere=")) == TEXTS[3:5]
        assert len(batch) == 0

    @pytest.mark.parametrize("kept", [0, 5, len(MEMBERS) - 1])
    def test_a_partition_that_is_too_large_is_read_for_each(  # noqa: PLR0917 - fixtures and parameters
        self,
        worker: Any,
        stage: Stage,
        table: FakeTable,
        batch: SqsModel,
        monkeypatch: pytest.MonkeyPatch,
        kept: int,
    ) -> None:
        monkeypatch.setattr(one_read, "MAXIMUM_KEPT", kept)
        monkeypatch.setattr(rooms, "PAGE_ITEMS", 5)
        batch.invoke(worker.handler, batch=12)

        assert self.queries(table).count("room#lobby#0") == 3 * len(TEXTS)
        assert {name: sorted(stage.received(name)) for name in MEMBERS} == dict.fromkeys(MEMBERS, TEXTS)

    @pytest.mark.parametrize("page", [1, 2, 3])
    def test_a_read_that_fails_loses_nothing(  # noqa: PLR0917 - fixtures and parameters
        self,
        worker: Any,
        stage: Stage,
        table: FakeTable,
        batch: SqsModel,
        monkeypatch: pytest.MonkeyPatch,
        page: int,
    ) -> None:
        monkeypatch.setattr(rooms, "PAGE_ITEMS", 5)
        query, reads = table._query, itertools.count(1)

        def fail(parameters: Mapping[str, Any]) -> dict[str, Any]:
            is_members = parameters["ExpressionAttributeValues"][":room"]["S"] == "room#lobby#0"
            if is_members and next(reads) == page:
                raise aws_json.ServiceError("Query", "InternalServerError", {}, transient=True)
            return query(parameters)

        monkeypatch.setattr(table, "_query", fail)
        batch.drain(worker.handler, batch=12)

        assert {name: sorted(stage.received(name)) for name in MEMBERS} == dict.fromkeys(MEMBERS, TEXTS)

    def test_who_joins_between_two_batches_is_read(
        self, worker: Any, stage: Stage, load: Callable[[str], Any], batch: SqsModel
    ) -> None:
        batch.invoke(worker.handler, batch=4)
        load("connect").handler(handshake("late=", "lobby"), FakeContext())
        batch.drain(worker.handler)

        assert sorted(stage.received("late=")) == TEXTS[4:]


def test_an_answer_to_the_caller_does_not_depend_on_one_post(
    engine: Engine, stage: Stage, never: threading.Event
) -> None:
    """No sender waits for that outcome, so that all copies may be sent."""
    stage.trouble = lambda each: Reply(after=never) if each.attempt == 0 else say()
    caller = serving.read(message(SLOW, {"action": "whoami"}, "whoami"), FakeContext())
    assert caller is not None
    serving.reply(engine, caller, "the answer", soon(20))

    assert stage.received(SLOW) == ["the answer"] * 2
    assert stage.accepted == [(SLOW, "the answer")]


def test_an_answer_waits_until_the_callers_connection_is_known(engine: Engine, stage: Stage) -> None:
    stage.trouble = lambda each: say() if each.attempt else say(410)
    caller = serving.read(message(SLOW, {"action": "whoami"}, "whoami"), FakeContext())
    assert caller is not None
    young, old = caller._replace(connected_at=int(time.time() * 1000)), caller._replace(connected_at=LONG_AGO)

    assert serving.reply(engine, young, "the answer", soon())
    assert stage.accepted == [(SLOW, "the answer")]
    stage.trouble = lambda _: say(410)
    assert not serving.reply(engine, old, "another answer", soon())
    assert stage.received(SLOW) == ["the answer"] * 2 + ["another answer"]


def test_a_silent_member_costs_a_sender_seconds_only(engine: Engine, stage: Stage, never: threading.Event) -> None:
    stage.trouble = lambda _: Reply(after=never)
    everybody = [Recipient(name, LONG_AGO) for name in MEMBERS]
    report = engine.deliver(everybody, b"hello", deadline=soon(25))

    assert (report.delivered, report.failed) == (len(MEMBERS) - 1, 1)
    assert stage.received(SLOW) == ["hello"] * fanout.MAXIMUM_COPIES
    # With its own copy, an answer to the sender is on its way within 6 s.
    assert report.duration_ms < 5_500 * TIMEOUT_FACTOR
