"""Every call to AWS is given its share of the invocation's time, neither more nor much less.

The fakes of other tests take no time, so that they do not notice a deadline. Here the clock stands still, and each call
notes how many seconds it is given.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from roomcast import tasks
from roomcast.delivery import RoomMessage
from roomcast.fanout import Recipient
from tests.fakes import FakeConnections, FakeContext, FakeTable, event, handshake, message

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

BUDGET = 30.0
"""Seconds left of each invocation."""


class Share(NamedTuple):
    """Bounds of the time that a call is given, in seconds from the start of the invocation."""

    least: float
    most: float


TO_THE_END = Share(29.0, 29.9)
"""All but the moment in which a function writes its last line and returns."""
BEFORE_THE_ANSWER = Share(26.0, 28.0)
"""The answer to the caller, or undoing a join, takes a post on a new connection and another one: some 1.5 s."""
BEFORE_THE_REST = Share(23.0, 26.0)
"""A worker hands over the rest: a call to AWS, which is made again after some 3 s of silence."""
WHILE_TAKING = Share(20.0, 24.0)
"""It takes recipients a little shorter, so that those taken are finished."""
PRUNING = Share(0.5, 3.0)
"""The function serves no other message meanwhile."""

QUEUE_URL = "https://sqs.eu-west-1.amazonaws.com/1/q"


class Calls:
    """Notes the time given to each call of table, queue and engine.

    Attributes:
        noted: Name of the call, and seconds from the start.
    """

    def __init__(self, table: FakeTable, connections: FakeConnections, monkeypatch: pytest.MonkeyPatch) -> None:
        now = time.monotonic()
        self.noted: list[tuple[str, float]] = []
        call, deliver = table.call, connections.deliver
        self.table = table

        def call_table(operation: str, parameters: Mapping[str, Any], deadline: float) -> dict[str, Any]:
            self.noted.append((operation, deadline - now))
            return call(operation, parameters, deadline)

        def post(recipients: Any, data: bytes, *, deadline: float, **options: Any) -> Any:
            self.noted.append(("post", deadline - now))
            return deliver(recipients, data, deadline=deadline, **options)

        def put(operation: str, _: Mapping[str, Any], deadline: float) -> dict[str, Any]:
            self.noted.append((operation, deadline - now))
            return {}

        monkeypatch.setattr(time, "monotonic", lambda: now)
        monkeypatch.setattr(table, "call", call_table)
        monkeypatch.setattr(connections, "deliver", post)
        self.put = put

    def assert_given(self, expected: Sequence[tuple[str, Share]]) -> None:
        """These calls were made in this order, each with its share of the time."""
        assert [name for name, _ in self.noted] == [name for name, _ in expected]
        for (name, given), (_, share) in zip(self.noted, expected, strict=True):
            assert share.least <= given <= share.most, f"{name} is given {given} s"


@pytest.fixture
def calls(
    load: Callable[[str], Any], table: FakeTable, connections: FakeConnections, monkeypatch: pytest.MonkeyPatch
) -> Calls:
    """The calls of an invocation, with three clients in the lobby."""
    for name in ("alice=", "bob=", "carol="):
        load("connect").handler(handshake(name, "lobby"), FakeContext())
    return Calls(table, connections, monkeypatch)


def queue_of(module: Any, calls: Calls, monkeypatch: pytest.MonkeyPatch, *, fifo: bool = False) -> None:
    """Give a handler's module a queue that notes its calls."""
    settings = module.SETTINGS._replace(queue_url=QUEUE_URL, queue_is_fifo=fifo)
    made = tasks.Queue(settings)
    monkeypatch.setattr(made._service, "call", calls.put)
    monkeypatch.setattr(module, "QUEUE", made)
    monkeypatch.setattr(module, "SETTINGS", settings)


def context() -> FakeContext:
    """A whole invocation."""
    return FakeContext(int(BUDGET * 1_000))


def test_of_a_handshake(load: Callable[[str], Any], calls: Calls) -> None:
    load("connect").handler(handshake("dora=", "lobby"), context())

    calls.assert_given([("TransactWriteItems", BEFORE_THE_ANSWER)])


def test_of_a_handshake_that_is_undone(load: Callable[[str], Any], calls: Calls) -> None:
    calls.table.failing_after_write.add("TransactWriteItems")
    load("connect").handler(handshake("dora=", "lobby"), context())

    calls.assert_given([("TransactWriteItems", BEFORE_THE_ANSWER), ("TransactWriteItems", TO_THE_END)])


def test_of_a_departure(load: Callable[[str], Any], calls: Calls) -> None:
    load("disconnect").handler(event("DISCONNECT", "alice="), context())

    calls.assert_given([("GetItem", TO_THE_END), ("TransactWriteItems", TO_THE_END)])


def test_of_a_question(load: Callable[[str], Any], calls: Calls) -> None:
    load("whoami").handler(message("alice=", {}, "whoami"), context())

    calls.assert_given([("GetItem", BEFORE_THE_ANSWER), ("post", TO_THE_END)])


def test_of_a_message_to_a_room(load: Callable[[str], Any], calls: Calls, connections: FakeConnections) -> None:
    connections.gone.add("bob=")
    load("sendmessage").handler(message("alice=", {"data": "hello", "id": "1"}), context())

    calls.assert_given(
        [
            ("GetItem", BEFORE_THE_ANSWER),
            ("post", BEFORE_THE_ANSWER),
            ("Query", BEFORE_THE_ANSWER),
            ("post", TO_THE_END),
            ("TransactWriteItems", PRUNING),
        ]
    )


def test_of_a_message_to_one_member(load: Callable[[str], Any], calls: Calls) -> None:
    load("sendmessage").handler(message("alice=", {"data": "hello", "to": "bob="}), context())

    calls.assert_given([("GetItem", BEFORE_THE_ANSWER), ("GetItem", BEFORE_THE_ANSWER), ("post", BEFORE_THE_ANSWER)])


def test_of_a_queued_message(load: Callable[[str], Any], calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    module = load("sendmessage")
    queue_of(module, calls, monkeypatch)
    module.handler(message("alice=", {"data": "hello"}), context())

    calls.assert_given([("GetItem", BEFORE_THE_ANSWER), ("SendMessageBatch", BEFORE_THE_ANSWER)])


ROOM_MESSAGE = RoomMessage("lobby", "alice=", "hello", "request-1")
NAMED = tasks.Task(ROOM_MESSAGE, 0, recipients=[Recipient("carol=", 1)], hold=7)


def serve(module: Any, *given: tasks.Task, group: str = "", receives: int = 1) -> list[dict[str, str]]:
    """Invoke the worker; gives its answer."""
    attributes = {"MessageGroupId": group, "SequenceNumber": "1", "ApproximateReceiveCount": str(receives)}
    records = [
        {"messageId": f"m-{number}", "body": task.to_json(), "attributes": attributes}
        for number, task in enumerate(given)
    ]
    answer: list[dict[str, str]] = module.handler({"Records": records}, context())["batchItemFailures"]
    return answer


def test_of_a_task(
    load: Callable[[str], Any], calls: Calls, connections: FakeConnections, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = load("fanout_worker")
    queue_of(worker, calls, monkeypatch)
    connections.gone.add("bob=")
    connections.failing.add("carol=")

    assert serve(worker, tasks.Task(ROOM_MESSAGE, 0)) == []
    calls.assert_given(
        [
            ("post", BEFORE_THE_REST),
            ("Query", WHILE_TAKING),
            ("SendMessageBatch", TO_THE_END),
            ("TransactWriteItems", PRUNING),
        ]
    )


def test_of_tasks_that_a_worker_may_have_died_of(
    load: Callable[[str], Any], calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = load("fanout_worker")
    queue_of(worker, calls, monkeypatch)

    assert serve(worker, *[tasks.Task(ROOM_MESSAGE, 0)] * 2, receives=2) == []
    calls.assert_given([("SendMessageBatch", TO_THE_END)])


def test_of_a_task_of_an_order(
    load: Callable[[str], Any], calls: Calls, connections: FakeConnections, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = load("fanout_worker")
    queue_of(worker, calls, monkeypatch, fifo=True)
    connections.gone.add("bob=")
    connections.failing.add("carol=")

    assert serve(worker, tasks.Task(ROOM_MESSAGE, 0), group="lobby.0") == []
    calls.assert_given(
        [
            ("Query", BEFORE_THE_REST),
            ("post", BEFORE_THE_REST),
            ("Query", WHILE_TAKING),
            ("TransactWriteItems", TO_THE_END),  # the straggler's mark
            ("SendMessageBatch", TO_THE_END),  # its task
            ("TransactWriteItems", PRUNING),
        ]
    )


def test_of_a_task_that_is_kept(load: Callable[[str], Any], calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = load("fanout_worker")
    queue_of(worker, calls, monkeypatch, fifo=True)

    assert serve(worker, tasks.Task(ROOM_MESSAGE, 0), group="lobby.0", receives=2) == []
    calls.assert_given(
        [("Query", BEFORE_THE_REST), ("TransactWriteItems", TO_THE_END), ("SendMessageBatch", TO_THE_END)]
    )


def test_of_a_straggler(load: Callable[[str], Any], calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = load("fanout_worker")
    queue_of(worker, calls, monkeypatch, fifo=True)

    assert serve(worker, NAMED, group=NAMED.group) == []
    calls.assert_given([("Query", BEFORE_THE_REST), ("post", BEFORE_THE_REST), ("TransactWriteItems", TO_THE_END)])


def test_of_a_straggler_that_is_not_reached(
    load: Callable[[str], Any], calls: Calls, connections: FakeConnections, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = load("fanout_worker")
    queue_of(worker, calls, monkeypatch, fifo=True)
    connections.failing.add("carol=")

    assert serve(worker, NAMED, group=NAMED.group) == []
    calls.assert_given(
        [
            ("Query", BEFORE_THE_REST),
            ("post", BEFORE_THE_REST),
            ("TransactWriteItems", TO_THE_END),
            ("SendMessageBatch", TO_THE_END),
        ]
    )


def test_of_a_straggler_that_is_given_up(
    load: Callable[[str], Any], calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = load("fanout_worker")
    queue_of(worker, calls, monkeypatch, fifo=True)
    given_up = NAMED._replace(given_up=int(time.time()))

    assert serve(worker, given_up, group=":0") == [{"itemIdentifier": "m-0"}]
    calls.assert_given([("ChangeMessageVisibilityBatch", Share(0.5, 3.0))])  # it does without an answer


def test_of_what_nobody_can_read(load: Callable[[str], Any], calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = load("fanout_worker")
    queue_of(worker, calls, monkeypatch, fifo=True)
    attributes = {"MessageGroupId": "lobby.0", "SequenceNumber": "1"}
    worker.handler({"Records": [{"messageId": "m-0", "body": "?", "attributes": attributes}]}, context())

    calls.assert_given([("SendMessageBatch", TO_THE_END)])
