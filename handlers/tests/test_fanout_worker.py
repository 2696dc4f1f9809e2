"""The fan-out queue and its worker: nobody is missed, and nobody who was served is served again."""

from __future__ import annotations

import importlib
import time
from typing import TYPE_CHECKING, Any

import pytest
from roomcast import aws_json, protocol, queue
from roomcast.delivery import FanOut
from tests.fakes import FakeConnections, FakeContext, FakeTable, error_code, handshake, message

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

LOBBY = ("alice=", "bob=", "carol=")
FAN_OUT = FanOut("lobby", "alice=", "hello", "request-1")


class FakeQueueService:
    """SQS, one queue: takes batches, can refuse entries by their number, or fail."""

    def __init__(self) -> None:
        self.batches: list[Sequence[Mapping[str, Any]]] = []
        self.refusals: list[dict[str, Any]] = []
        self.is_failing = False

    def call(self, operation: str, parameters: Mapping[str, Any], _deadline: float) -> dict[str, Any]:
        """As ``aws_json.Service.call``."""
        assert operation == "SendMessageBatch"
        assert parameters["QueueUrl"] == "https://sqs.eu-west-1.amazonaws.com/123456789012/fan-out"
        if self.is_failing:
            raise aws_json.ServiceError(operation, "ServiceUnavailable", {}, transient=True)
        self.batches.append(parameters["Entries"])
        failed, self.refusals = self.refusals, []
        return {"Successful": [], "Failed": failed}

    def tasks(self) -> list[queue.Task]:
        """What workers will find."""
        return [queue.parse(entry["MessageBody"]) for batch in self.batches for entry in batch]


@pytest.fixture
def service() -> FakeQueueService:
    return FakeQueueService()


@pytest.fixture
def make_queue(service: FakeQueueService) -> Callable[..., queue.Queue]:
    def make(*, fifo: bool = False) -> queue.Queue:
        settings = importlib.import_module("connect").SETTINGS._replace(
            queue_url="https://sqs.eu-west-1.amazonaws.com/123456789012/fan-out", queue_is_fifo=fifo
        )
        made = queue.Queue(settings)
        made._service = service  # type: ignore[assignment]
        return made

    return make


@pytest.fixture
def worker(load: Callable[[str], Any], make_queue: Callable[..., queue.Queue], monkeypatch: pytest.MonkeyPatch) -> Any:
    """The handler module, with three clients in the lobby."""
    connect = load("connect")
    for name in LOBBY:
        connect.handler(handshake(name, "lobby"), FakeContext())
    module = load("fanout_worker")
    monkeypatch.setattr(module, "QUEUE", make_queue())
    return module


def run(worker: Any, *tasks: queue.Task | str, groups: Sequence[str] = ()) -> list[str]:
    """Hand tasks, in a FIFO queue with their groups, to the worker; gives the ids of those that SQS will try again."""
    bodies = [task if isinstance(task, str) else task.to_json() for task in tasks]
    attributes = [{"MessageGroupId": group} for group in groups] or [{}] * len(bodies)
    records = [
        {"messageId": f"m-{index}", "body": body, "attributes": attributes[index]} for index, body in enumerate(bodies)
    ]
    answer = worker.handler({"Records": records}, FakeContext())
    assert set(answer) == {"batchItemFailures"}
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def test_a_task_serves_its_shard(worker: Any, connections: FakeConnections, service: FakeQueueService) -> None:
    assert run(worker, queue.Task(FAN_OUT, 0)) == []
    assert sorted(connections.posts) == [(name, "hello") for name in LOBBY]
    assert service.tasks() == []


def test_a_task_can_begin_after_a_member(worker: Any, connections: FakeConnections) -> None:
    run(worker, queue.Task(FAN_OUT, 0, after="alice="))

    assert sorted(connections.posts) == [("bob=", "hello"), ("carol=", "hello")]


def test_who_was_not_reached_is_a_task_of_its_own(
    worker: Any, connections: FakeConnections, service: FakeQueueService
) -> None:
    connections.failing.add("bob=")

    assert run(worker, queue.Task(FAN_OUT, 0)) == []
    [task] = service.tasks()
    assert [recipient.connection_id for recipient in task.recipients] == ["bob="]

    connections.failing.clear()
    assert run(worker, task) == []
    assert sorted(connections.posts) == [(name, "hello") for name in LOBBY]


def test_a_task_that_served_nobody_is_tried_again_as_it_is(
    worker: Any, connections: FakeConnections, service: FakeQueueService
) -> None:
    connections.failing.update(LOBBY)

    assert run(worker, queue.Task(FAN_OUT, 0)) == ["m-0"]
    assert service.tasks() == []


def test_when_time_is_up_the_rest_is_handed_over(
    worker: Any, connections: FakeConnections, service: FakeQueueService, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([True, True, False])
    monkeypatch.setattr(worker.Progress, "has_time", lambda _: next(clock))
    run(worker, queue.Task(FAN_OUT, 0))

    [task] = service.tasks()
    assert (task.after, task.recipients) == ("bob=", [])
    monkeypatch.setattr(worker.Progress, "has_time", lambda _: True)
    run(worker, task)
    assert sorted(connections.posts) == [(name, "hello") for name in LOBBY]


def test_when_time_is_up_named_recipients_are_handed_over(
    worker: Any, connections: FakeConnections, service: FakeQueueService, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = list(worker.ROOMS.members("lobby", time.monotonic() + 1))
    clock = iter([True, False])
    monkeypatch.setattr(worker.Progress, "has_time", lambda _: next(clock))
    run(worker, queue.Task(FAN_OUT, 0, recipients=named))

    [task] = service.tasks()
    assert [recipient.connection_id for recipient in task.recipients] == ["bob=", "carol="]
    assert connections.posts == [("alice=", "hello")]


def test_tasks_that_no_time_is_left_for_are_handed_over(
    worker: Any, connections: FakeConnections, service: FakeQueueService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker.Progress, "seconds_left", lambda _: worker.BEGINNING_SECONDS / 2)
    late = queue.Task(FAN_OUT._replace(data="late"), 0)

    assert run(worker, queue.Task(FAN_OUT, 0), late) == []
    assert sorted(connections.posts) == [(name, "hello") for name in LOBBY]
    assert service.tasks() == [late._replace(recipients=[])]


def test_in_a_fifo_queue_tasks_that_no_time_is_left_for_keep_their_place(
    worker: Any, service: FakeQueueService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "SETTINGS", worker.SETTINGS._replace(queue_is_fifo=True))
    monkeypatch.setattr(worker.Progress, "seconds_left", lambda _: worker.BEGINNING_SECONDS / 2)
    task = queue.Task(FAN_OUT, 0)

    assert run(worker, task, task, task, groups=["lobby.0"] * 3) == ["m-1", "m-2"]
    assert service.tasks() == []


def test_a_table_that_fails_midway_hands_over_the_rest(
    worker: Any,
    connections: FakeConnections,
    service: FakeQueueService,
    table: FakeTable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("roomcast.rooms.PAGE_ITEMS", 2)
    query = table._query

    def fail_on_second_page(parameters: Mapping[str, Any]) -> dict[str, Any]:
        if "ExclusiveStartKey" in parameters:
            raise aws_json.ServiceError("Query", "InternalServerError", {}, transient=True)
        return query(parameters)

    monkeypatch.setattr(table, "_query", fail_on_second_page)
    assert run(worker, queue.Task(FAN_OUT, 0)) == []

    monkeypatch.setattr(table, "_query", query)
    run(worker, *service.tasks())
    assert sorted(connections.posts) == [(name, "hello") for name in LOBBY]


def test_what_cannot_be_handed_over_is_tried_again(
    worker: Any, connections: FakeConnections, service: FakeQueueService
) -> None:
    connections.failing.add("bob=")
    service.is_failing = True

    assert run(worker, queue.Task(FAN_OUT, 0)) == ["m-0"]


@pytest.mark.parametrize("body", ["", "{}", "[]", '[["lobby"],0,"",[]]', '[["a","b","c","d"],"x","",[]]', "5"])
def test_what_is_no_task_goes_to_the_dead_letter_queue_in_the_end(worker: Any, body: str) -> None:
    assert run(worker, body, queue.Task(FAN_OUT, 0)) == ["m-0"]


def test_an_unserved_task_halts_what_follows_in_its_group_and_nothing_else(
    worker: Any, connections: FakeConnections
) -> None:
    tasks: list[queue.Task | str] = [
        "not a task",
        queue.Task(FAN_OUT, 1),
        queue.Task(FAN_OUT, 0),
        queue.Task(FAN_OUT, 1),
    ]

    assert run(worker, *tasks, groups=["lobby.1", "lobby.1", "lobby.0", "lobby.1"]) == ["m-0", "m-1", "m-3"]
    assert sorted(connections.posts) == [(name, "hello") for name in LOBBY]


def test_a_dead_member_is_pruned(worker: Any, connections: FakeConnections, table: FakeTable) -> None:
    connections.gone.add("bob=")
    run(worker, queue.Task(FAN_OUT, 0))

    assert ("room#lobby#0", "bob=") not in table.items


@pytest.fixture
def sendmessage(worker: Any, load: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    """The route's module, with queued delivery on and two shards per room."""
    module = load("sendmessage")
    monkeypatch.setattr(module, "QUEUE", worker.QUEUE)
    monkeypatch.setattr(module.ROOMS, "shards_read", 2)
    return module


def test_sendmessage_queues_one_task_per_shard_and_acknowledges(
    sendmessage: Any, connections: FakeConnections, service: FakeQueueService
) -> None:
    body = {"action": "sendmessage", "data": "hello", "id": "i-1"}
    sendmessage.handler(message("alice=", body), FakeContext())

    assert service.tasks() == [queue.Task(FAN_OUT, 0, "", []), queue.Task(FAN_OUT, 1, "", [])]
    assert connections.posts == [("alice=", protocol.queued_receipt("i-1"))]


def test_a_message_that_cannot_be_queued_is_not_acknowledged(
    sendmessage: Any, connections: FakeConnections, service: FakeQueueService
) -> None:
    service.is_failing = True
    body = {"action": "sendmessage", "data": "hello", "id": "i-1"}
    sendmessage.handler(message("alice=", body), FakeContext())

    assert [error_code(text) for text in connections.received("alice=")] == ["unavailable"]


def test_a_named_member_is_served_without_the_queue(
    sendmessage: Any, connections: FakeConnections, service: FakeQueueService
) -> None:
    sendmessage.handler(message("alice=", {"action": "sendmessage", "data": "psst", "to": "bob="}), FakeContext())

    assert connections.posts == [("bob=", "psst")]
    assert service.tasks() == []


def test_entries_that_were_not_taken_are_sent_again(
    make_queue: Callable[..., queue.Queue], service: FakeQueueService
) -> None:
    service.refusals = [{"Id": "1", "Code": "InternalError", "SenderFault": False}]
    make_queue().put([queue.Task(FAN_OUT, shard) for shard in range(3)], time.monotonic() + 60)

    assert [[entry["Id"] for entry in batch] for batch in service.batches] == [["0", "1", "2"], ["1"]]


def test_entries_that_can_never_be_taken_are_an_error(
    make_queue: Callable[..., queue.Queue], service: FakeQueueService
) -> None:
    service.refusals = [{"Id": "0", "Code": "InvalidMessageContents", "SenderFault": True}]

    with pytest.raises(aws_json.ServiceError, match="InvalidMessageContents"):
        make_queue().put([queue.Task(FAN_OUT, 0)], time.monotonic() + 60)


def test_batches_fit_into_what_sqs_takes(make_queue: Callable[..., queue.Queue], service: FakeQueueService) -> None:
    worst = FAN_OUT._replace(data="\u0001" * protocol.MAXIMUM_DATA_BYTES)
    make_queue().put([queue.Task(worst, shard) for shard in range(3)], time.monotonic() + 60)
    make_queue().put([queue.Task(FAN_OUT, shard) for shard in range(12)], time.monotonic() + 60)

    assert [len(batch) for batch in service.batches] == [1, 1, 1, 10, 2]
    for batch in service.batches:
        assert sum(len(entry["MessageBody"]) for entry in batch) <= queue.MAXIMUM_BATCH_BYTES
        assert all(entry["MessageBody"].isascii() and entry["MessageBody"].isprintable() for entry in batch)


def test_the_largest_task_fits_into_one_queue_message(worker: Any) -> None:
    worst = FAN_OUT._replace(data="\u0001" * protocol.MAXIMUM_DATA_BYTES)
    [alice] = [each for each in worker.ROOMS.members("lobby", time.monotonic() + 1) if each.connection_id == "alice="]
    recipients = [alice._replace(connection_id="BFHPhfCWIAMCKlQ=")] * queue.RECIPIENTS_PER_TASK

    assert len(queue.Task(worst, 0, recipients=recipients).to_json()) <= queue.MAXIMUM_BATCH_BYTES


def test_in_a_fifo_queue_each_shard_of_a_room_is_a_group(
    make_queue: Callable[..., queue.Queue], service: FakeQueueService
) -> None:
    make_queue(fifo=True).put([queue.Task(FAN_OUT, shard) for shard in range(2)], time.monotonic() + 60)

    [batch] = service.batches
    assert [entry["MessageGroupId"] for entry in batch] == ["lobby.0", "lobby.1"]
    assert len({entry["MessageDeduplicationId"] for entry in batch}) == 2


def test_a_task_survives_the_queue() -> None:
    task = queue.Task(FAN_OUT._replace(data='"ü\n\U0001f600'), 3, "bob=", [])

    assert queue.parse(task.to_json()) == task
