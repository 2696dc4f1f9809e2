"""Rooms read in the engine's loop: shards side by side, a page ahead of the posts, and no member always last."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from roomcast import aws_json, fanout, reading, rooms, run, settings, steps
from roomcast.members import Connection
from roomcast.recipients import Recipient, Source
from roomcast.steps import Wait
from tests.hostile_server import PATIENCE_SECONDS, HostileServer, Reply, Request, say, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from roomcast.recipients import Pages
    from tests.fakes import FakeTable

    Script = Callable[[Request], Reply | None]

AT_ONCE = 16
MEMBERS = {f"member-{number:03}=" for number in range(200)}


class Stage:
    """A table behind a server, and a server for posts.

    Attributes:
        before_query: Called with each query, and its number; its result takes the place of the answer.
        queries: The sort key that each query began after; empty for a first page.
        posts: Connection ids, in the order of their posts.
    """

    def __init__(
        self, table: FakeTable, shards: int, monkeypatch: pytest.MonkeyPatch, stack: contextlib.ExitStack
    ) -> None:
        self.table = table
        self.before_query: Callable[[dict[str, Any], int], Reply | None] = lambda *_: None
        self.before_post: Callable[[Request], Reply | None] = lambda _: None
        self.queries: list[str] = []
        self.posts: list[str] = []
        self.database = stack.enter_context(HostileServer(self._query))
        self.management = stack.enter_context(HostileServer(self._post))
        monkeypatch.setenv("ROOMCAST_SHARDS_PER_ROOM", str(shards))
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", self.database.url.removesuffix("/live"))
        self.rooms = rooms.Rooms(settings.from_environment())
        self.engine = fanout.Engine(self.management.url, "eu-west-1")
        stack.callback(self.engine.close)
        stack.callback(self.close)
        joining = rooms.Rooms(settings.from_environment())
        joining._database = table  # type: ignore[assignment]
        now = int(time.time() * 1000)
        for name in sorted(MEMBERS):
            joining.join(Connection(name, now, {}), "lobby", soon())

    def close(self) -> None:
        """Close the connections to the table."""
        for service in {self.rooms._database, *self.rooms._readers}:
            service._client.close()

    def _query(self, request: Request) -> Reply:
        parameters = json.loads(request.body)
        start = parameters.get("ExclusiveStartKey", {}).get("sort_key", {}).get("S", "")
        self.queries.append(start)
        reply = self.before_query(parameters, len(self.queries) - 1)
        return reply or self.answer(parameters)

    def answer(self, parameters: dict[str, Any]) -> Reply:
        """The table's answer to a query."""
        return say(200, json.dumps(self.table.call("Query", parameters, 0.0)).encode())

    def _post(self, request: Request) -> Reply:
        self.posts.append(request.connection_id)
        return self.before_post(request) or say()

    def deliver(self, first: Recipient | None = None, seconds: float = PATIENCE_SECONDS) -> fanout.Result:
        """One message to the lobby."""
        members = self.rooms.members("lobby", soon(seconds), first)
        [result] = self.engine.deliver_all([fanout.Message(members, b"hello")], deadline=soon(seconds))
        assert sorted(self.posts) == sorted(set(self.posts))
        return result


def soon(seconds: float = PATIENCE_SECONDS) -> float:
    """A deadline."""
    return time.monotonic() + seconds


@pytest.fixture
def shards() -> int:
    """Partitions of the room."""
    return 16


@pytest.fixture
def stage(table: FakeTable, shards: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    with contextlib.ExitStack() as stack:
        yield Stage(table, shards, monkeypatch, stack)


@pytest.mark.parametrize("page_items", [1, 7, 1_000])
def test_every_member_is_served_once(stage: Stage, monkeypatch: pytest.MonkeyPatch, page_items: int) -> None:
    monkeypatch.setattr(rooms, "PAGE_ITEMS", page_items)
    result = stage.deliver()

    assert set(stage.posts) == MEMBERS
    assert (result.report.delivered, result.report.complete, result.error) == (len(MEMBERS), True, None)


def test_the_first_member_comes_first_and_once(stage: Stage) -> None:
    posted = threading.Event()
    stage.before_post = lambda _: posted.set()
    # The table answers once the first post has come.
    stage.before_query = lambda parameters, _: stage.answer(parameters)._replace(after=posted)
    stage.deliver(Recipient("member-077=", 1_700_000_000_000))

    assert stage.posts[0] == "member-077="
    assert set(stage.posts) == MEMBERS


@pytest.mark.parametrize("shards", [20])
def test_shards_are_read_side_by_side(stage: Stage) -> None:
    at_work: list[int] = [0, 0]
    lock = threading.Lock()
    all_at_work = threading.Event()

    def before_query(parameters: dict[str, Any], number: int) -> Reply | None:
        with lock:
            at_work[0] = number + 1
        if number + 1 == AT_ONCE:
            all_at_work.set()
        if number >= AT_ONCE:
            return None
        # The answer of none of the first comes before all of them were asked for.
        return stage.answer(parameters)._replace(after=all_at_work)

    stage.before_query = before_query
    stage.deliver()

    assert set(stage.posts) == MEMBERS
    assert stage.database.connections == AT_ONCE


def test_parts_that_are_being_read_probably_hold_as_many_members_as_the_others() -> None:
    """Connections are opened for those members, too."""

    def part(size: int, *, waits: bool) -> Pages:
        if waits:
            yield Wait(None, float("inf"))
        yield [Recipient(f"{size}-{number}", 0) for number in range(size)]

    source = mock.Mock(reads=lambda: [part(size, waits=size > 10) for size in (10, 4, 40, 50, 60)])
    parts = reading.Reading(source, mock.Mock())
    assert parts.expected == 0
    parts.go_on(0.0)
    assert (len(parts.ahead), parts.expected) == (14, 3 * 7)
    parts.go_on(float("inf"))
    assert (len(parts.ahead), parts.expected) == (14 + 150, 0)


def test_posts_begin_with_the_first_page(stage: Stage) -> None:
    posted = threading.Event()

    def before_post(_: Request) -> None:
        posted.set()

    def before_query(parameters: dict[str, Any], number: int) -> Reply | None:
        return stage.answer(parameters)._replace(after=posted) if number else None

    stage.before_post, stage.before_query = before_post, before_query
    stage.deliver()

    assert set(stage.posts) == MEMBERS


@pytest.mark.parametrize("shards", [1])
def test_the_next_page_is_asked_for_before_the_last_one_is_posted(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms, "PAGE_ITEMS", 100)
    monkeypatch.setattr(reading, "ENOUGH", 100)
    asked = threading.Event()

    def before_query(_: dict[str, Any], number: int) -> None:
        if number:
            asked.set()

    # No post is answered before the second page was asked for.
    stage.before_query, stage.before_post = before_query, lambda _: say()._replace(after=asked)
    stage.deliver()

    assert set(stage.posts) == MEMBERS


@pytest.mark.parametrize("shards", [1])
def test_few_pages_are_held(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "PAGE_ITEMS", 20)
    monkeypatch.setattr(reading, "ENOUGH", 20)
    monkeypatch.setattr("roomcast.posts.LOOK_AHEAD", 20)
    held: list[int] = []

    def before_query(_: dict[str, Any], number: int) -> None:
        held.append(20 * number - len(stage.posts))

    stage.before_query = before_query
    stage.deliver()

    assert max(held) <= 3 * 20
    assert set(stage.posts) == MEMBERS


class Room(Source):
    """A room of sixteen partitions without members.

    Attributes:
        most: The most reads of all rooms that were under way together.
    """

    most = 0
    _under_way = 0

    def reads(self) -> Iterator[Pages]:
        """As of ``recipients.Source``."""
        return (self._read() for _ in range(16))

    def _read(self) -> Pages:
        Room._under_way += 1
        Room.most = max(Room.most, Room._under_way)
        yield Wait(None, time.monotonic() + 0.01)
        Room._under_way -= 1
        yield []


@pytest.mark.parametrize(("count", "at_once"), [(100, 200), (20, 240), (16, 256), (10, 160), (1, 16)])
def test_the_reads_of_many_messages_leave_files_for_other_connections(
    monkeypatch: pytest.MonkeyPatch, count: int, at_once: int
) -> None:
    """Each read has a connection of its own, and Lambda allows 1,024 files."""
    monkeypatch.setattr(Room, "most", 0)
    # A hundred messages, as a backend may publish; those of one room are read one after the other.
    messages = [fanout.Message(Room(), b"hello", order=f"room {number % count}") for number in range(100)]
    with contextlib.closing(fanout.Engine("http://127.0.0.1:9/live", "eu-west-1")) as engine:
        results = engine.deliver_all(messages, deadline=soon())

    assert all(result.is_begun and result.report.complete and result.error is None for result in results)
    assert Room.most == at_once


@pytest.mark.parametrize("shards", [1])
class Page(Source):
    """Members that one answer of the table holds.

    Attributes:
        taken: Those that were read.
    """

    def __init__(self, count: int) -> None:
        self.taken: list[Recipient] = []
        self.members = [Recipient(f"member-{number:04}=", 1_700_000_000_000) for number in range(count)]

    def reads(self) -> Iterator[Pages]:
        """As of ``recipients.Source``."""
        yield self._pages()

    def _pages(self) -> Pages:
        self.taken = self.members
        yield self.members


class TestMembersReadAhead:
    """Their source counts them as taken, so a worker knows of no other place where they are."""

    @pytest.mark.parametrize("count", [1, 3])
    def test_are_handed_back_when_time_is_over_however_busy_the_machine_is(
        self, monkeypatch: pytest.MonkeyPatch, count: int
    ) -> None:
        leave_waiting = run.Run._leave_waiting

        def slowly(of: run.Run) -> None:
            leave_waiting(of)
            time.sleep(0.2)

        monkeypatch.setattr(run.Run, "_leave_waiting", slowly)
        pages = [Page(2_000) for _ in range(count)]
        left: list[list[Recipient]] = [[] for _ in pages]
        posted: set[tuple[str, str]] = set()
        given = [
            fanout.Message(page, b"%d" % number, stragglers=fanout.Stragglers(left[number].extend))
            for number, page in enumerate(pages)
        ]

        def take(request: Request) -> Reply:
            posted.add((request.body.decode(), request.connection_id))
            return say()

        with HostileServer(take) as server:
            engine = fanout.Engine(server.url, "eu-west-1", pace=250)
            results = engine.deliver_all(given, deadline=soon(0.5))
            engine.close()

        for number, (page, result) in enumerate(zip(pages, results, strict=True)):
            report = result.report
            handed_back = {each.connection_id for each in left[number]}
            assert {name for text, name in posted if text == str(number)} | handed_back == {
                each.connection_id for each in page.taken
            }
            assert report.recipients == len(page.taken) == report.delivered + len(handed_back)
            assert report.failed == report.late == report.handed_back == len(left[number]) == len(handed_back)
        assert any(page.taken for page in pages)

    def test_are_handed_back_when_all_posts_are_refused(self) -> None:
        page, untried, failed = Page(2_500), list[Recipient](), list[Recipient]()
        given = fanout.Message(
            page, b"hello", on_failed=failed.extend, stragglers=fanout.Stragglers(on_untried=untried.extend)
        )
        with HostileServer(lambda _: say(403)) as server:
            engine = fanout.Engine(server.url, "eu-west-1")
            [result] = engine.deliver_all([given], deadline=soon())
            engine.close()

        assert sorted(failed + untried) == page.members
        assert result.report.recipients == result.report.failed == len(page.members)
        assert result.report.late == len(untried)


def test_no_member_is_always_last(stage: Stage) -> None:
    last: Counter[str] = Counter()
    for _ in range(20):
        stage.posts.clear()
        stage.deliver()
        last.update(stage.posts[-len(MEMBERS) // 10 :])

    assert max(last.values()) <= 15  # by chance 9 in one run of a hundred


def test_shards_take_turns_in_being_last(stage: Stage) -> None:
    last: Counter[str] = Counter()
    for _ in range(20):
        stage.posts.clear()
        stage.deliver()
        last.update(stage.posts[-len(MEMBERS) // 10 :])

    assert max(last.values()) <= 15


class TestTrouble:
    """A table that fails while the engine posts."""

    def test_an_answer_that_is_late_is_asked_for_again(self, stage: Stage) -> None:
        stage.rooms._database._attempt_seconds = 0.2
        stage.rooms._database._made_of = (*stage.rooms._database._made_of[:4], 0.2)
        never = threading.Event()
        stage.before_query = lambda _, number: Reply(after=never) if number < 2 else None
        result = stage.deliver()
        never.set()

        assert set(stage.posts) == MEMBERS
        assert result.report.complete

    def test_throttling_is_waited_out(self, stage: Stage) -> None:
        throttled = json.dumps({"__type": "ThrottlingException"}).encode()
        stage.before_query = lambda _, number: say(400, throttled) if number % 3 == 0 and number < 20 else None
        result = stage.deliver()

        assert set(stage.posts) == MEMBERS
        assert result.report.complete

    @pytest.mark.parametrize("number", [0, 5])
    def test_a_part_that_cannot_be_read_is_told_and_the_others_are_served(self, stage: Stage, number: int) -> None:
        refused = json.dumps({"__type": "AccessDeniedException"}).encode()
        stage.before_query = lambda _, each: say(400, refused) if each == number else None
        result = stage.deliver()

        assert isinstance(result.error, aws_json.ServiceError)
        assert not result.report.complete
        assert result.report.delivered == len(stage.posts)
        # The connections serve the next message.
        stage.before_query = lambda *_: None
        stage.posts.clear()
        assert stage.deliver().report.delivered == len(MEMBERS)

    def test_a_table_that_does_not_answer_costs_no_more_than_the_time_that_there_is(self, stage: Stage) -> None:
        never = threading.Event()
        lost: list[Any] = []

        def lose(query: Any, number: int) -> Reply | None:
            # With its further tries.
            lost.extend([query] if number == 3 else [])
            return Reply(after=never) if query in lost else None

        stage.before_query = lose
        began = time.monotonic()
        result = stage.deliver(seconds=PATIENCE_SECONDS / 4)
        never.set()

        assert time.monotonic() - began < PATIENCE_SECONDS / 2
        assert not result.report.complete
        assert len(stage.posts) > len(MEMBERS) / 2

    def test_an_interrupt_leaves_the_engine_and_the_table_usable(
        self, stage: Stage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupt(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(reading.Reading, "resume", interrupt)
            with pytest.raises(KeyboardInterrupt):
                stage.deliver()
        stage.posts.clear()

        assert stage.deliver().report.delivered == len(MEMBERS)
        wait_until(lambda: set(stage.posts) == MEMBERS)


@pytest.mark.parametrize("gathered", [False, True], ids=["a call", "pages"])
def test_a_call_is_over_as_soon_as_it_is_interrupted(monkeypatch: pytest.MonkeyPatch, *, gathered: bool) -> None:
    """Else its answer might be taken for that of the next call, as long as something holds the exception."""
    ended: list[bool] = []

    def call() -> Pages:
        try:
            yield Wait(None, 0.0)
        finally:
            ended.append(True)

    def interrupt(_: Wait) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(steps, "now", interrupt)
    with pytest.raises(KeyboardInterrupt) as caught:
        steps.drive(steps.collect(call()) if gathered else call())  # type: ignore[arg-type]

    assert caught.value.__traceback__ is not None
    assert ended == [True]
