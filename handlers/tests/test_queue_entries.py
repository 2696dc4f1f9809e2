"""Entries for SQS: their deduplication ids, groups and bodies; and the sender of a queued message is not pruned."""

from __future__ import annotations

import importlib
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from roomcast import addresses, aws_json, http_parser, tasks
from roomcast.delivery import RoomMessage
from roomcast.recipients import Recipient
from tests.fakes import CONNECTED_AT, FakeConnections, FakeContext, FakeTable, handshake, message

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from roomcast.steps import Steps

URL = "https://sqs.eu-west-1.amazonaws.com/123456789012/fan-out.fifo"
ROOM_MESSAGE = RoomMessage("lobby", "alice=", "hello", "request-1")


class RecordingService:
    """Takes everything."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []

    def call(self, operation: str, parameters: Mapping[str, Any], _deadline: float) -> dict[str, Any]:
        """As ``aws_json.Service.call``."""
        assert operation == "SendMessageBatch"
        assert parameters["QueueUrl"] == URL
        ids = [entry["Id"] for entry in parameters["Entries"]]
        assert len(set(ids)) == len(ids)
        self.entries += parameters["Entries"]
        return {"Successful": [{"Id": each} for each in ids]}


@pytest.fixture
def service() -> RecordingService:
    return RecordingService()


def make(service: RecordingService, *, fifo: bool) -> tasks.Queue:
    """A queue of one kind or the other."""
    settings = importlib.import_module("connect").SETTINGS._replace(queue_url=URL, queue_is_fifo=fifo)
    made = tasks.Queue(settings)
    made._service = service  # type: ignore[assignment]
    return made


def test_a_message_said_twice_is_queued_twice(service: RecordingService) -> None:
    fifo = make(service, fifo=True)
    for _ in range(2):
        fifo.put([tasks.Task(ROOM_MESSAGE, 0), tasks.Task(ROOM_MESSAGE, 0)], time.monotonic() + 60)

    assert len({entry["MessageDeduplicationId"] for entry in service.entries}) == 4
    # At least 64 random bits: a busy room says thousands of messages in the five minutes for which SQS compares.
    assert all(16 <= len(entry["MessageDeduplicationId"]) <= 128 for entry in service.entries)
    assert len({entry["MessageGroupId"] for entry in service.entries}) == 1


def test_a_slow_queue_is_not_given_the_message_twice_in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """A standard queue would deliver it twice; yet a put that is lost has to be repeated within an invocation."""
    allowed = []

    def request(*_: object, deadline: float) -> Steps[http_parser.Response]:
        yield from ()
        allowed.append(deadline - time.monotonic())
        raise addresses.TransportError("timed out", sent=True)

    made = tasks.Queue(importlib.import_module("connect").SETTINGS._replace(queue_url=URL))
    monkeypatch.setattr(made._service._client, "steps", request)
    monkeypatch.setattr(aws_json, "MAXIMUM_ATTEMPTS", 1)
    with pytest.raises(aws_json.ServiceError):
        made.put([tasks.Task(ROOM_MESSAGE, 0)], time.monotonic() + 60)

    assert 6 <= allowed[0] <= 12


def batches_of(queued: list[tasks.Task | tasks.Unreadable]) -> list[list[str]]:
    """The bodies in each batch of a put; SQS takes each of them, and none is lost."""
    batches: list[list[str]] = []

    class Limited(RecordingService):
        def call(self, operation: str, parameters: Mapping[str, Any], deadline: float) -> dict[str, Any]:
            bodies = [entry["MessageBody"] for entry in parameters["Entries"]]
            assert 1 <= len(bodies) <= 10
            assert sum(len(body.encode()) for body in bodies) <= 262_144
            batches.append(bodies)
            return super().call(operation, parameters, deadline)

    make(Limited(), fifo=True).put(queued, time.monotonic() + 60)
    assert [body for bodies in batches for body in bodies] == [task.to_json() for task in queued]
    return batches


@pytest.mark.parametrize("sizes", [[1, 131_072, 1, 131_072], [131_072] * 3, [60_000, 1] * 8, [1] * 25, [1]], ids=str)
def test_no_batch_is_larger_than_sqs_takes_and_none_is_lost(sizes: list[int]) -> None:
    batches_of([tasks.Task(ROOM_MESSAGE._replace(data="x" * size), shard) for shard, size in enumerate(sizes)])


@pytest.mark.parametrize("character", ["x", "\u00e9", "\u20ac", "\U0001f600"], ids=["1", "2", "3", "4"])
def test_an_unreadable_body_counts_with_its_bytes(character: str) -> None:
    """Other bodies are ASCII, but these came from elsewhere."""
    bytes_each = 60_000
    body = character * (bytes_each // len(character.encode()))
    queued: list[tasks.Task | tasks.Unreadable] = [tasks.Unreadable(body, f"m-{number}") for number in range(10)]

    assert [len(bodies) for bodies in batches_of(queued)] == [4, 4, 2]


def test_as_many_recipients_as_a_task_names_fit_beside_the_largest_text() -> None:
    recipients = [Recipient(f"L0SM9cOFvHcCIh{number:04}=", 1_731_333_546_000, 99) for number in range(10_000)]
    largest = ROOM_MESSAGE._replace(room="r" * 64, sender="L0SM9cOFvHcCIhQ=", data="x" * 131_072, request_id="r" * 36)
    task = tasks.Task(
        largest, 99, "", recipients[: tasks.RECIPIENTS_PER_TASK], copies=1, retries=4, hold=time.time_ns()
    )

    assert len(task.to_json()) <= 262_144
    # One by one would cost as many queue messages as the room has members.
    assert tasks.RECIPIENTS_PER_TASK >= 100


@pytest.mark.parametrize("faults", [[False, True], [True, False], [True, True]], ids=str)
def test_an_entry_that_sqs_refuses_for_good_ends_the_put_at_once(
    faults: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refusing(RecordingService):
        def call(self, operation: str, parameters: Mapping[str, Any], deadline: float) -> dict[str, Any]:
            super().call(operation, parameters, deadline)
            failed = [{"Id": str(index), "SenderFault": fault, "Code": "No"} for index, fault in enumerate(faults)]
            return {"Failed": failed}

    monkeypatch.setattr(aws_json, "pause", lambda *_: pytest.fail("another try is refused as this one was"))
    service = Refusing()
    with pytest.raises(aws_json.ServiceError, match="No"):
        make(service, fifo=False).put([tasks.Task(ROOM_MESSAGE, shard) for shard in range(3)], time.monotonic() + 60)

    assert len(service.entries) == 3


def test_what_sqs_took_of_a_batch_is_not_given_to_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    class Picky(RecordingService):
        def call(self, operation: str, parameters: Mapping[str, Any], deadline: float) -> dict[str, Any]:
            answer = super().call(operation, parameters, deadline)
            asked.append([entry["Id"] for entry in parameters["Entries"]])
            refused = asked[-1][1::2]
            return {**answer, "Failed": [{"Id": each, "SenderFault": False, "Code": "Busy"} for each in refused]}

    monkeypatch.setattr(aws_json, "pause", lambda *_: True)
    make(Picky(), fifo=True).put([tasks.Task(ROOM_MESSAGE, shard) for shard in range(8)], time.monotonic() + 60)

    assert asked == [list("01234567"), list("1357"), list("37"), list("7")]


@pytest.mark.parametrize("fifo", [True, False])
def test_an_entry_that_is_put_again_comes_before_later_ones_of_its_group(
    fifo: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tasks for a straggler: out of order, it would receive the messages of its room out of order."""
    taken: list[str] = []
    calls = 0

    class Picky(RecordingService):
        def call(self, operation: str, parameters: Mapping[str, Any], deadline: float) -> dict[str, Any]:
            nonlocal calls
            calls += 1
            answer = super().call(operation, parameters, deadline)
            # Every other call has its first entry refused for a while.
            refused = parameters["Entries"][:1] if calls % 2 else []
            taken.extend(entry["MessageBody"] for entry in parameters["Entries"] if entry not in refused)
            return {**answer, "Failed": [{"Id": each["Id"], "SenderFault": False, "Code": "Busy"} for each in refused]}

    monkeypatch.setattr(aws_json, "pause", lambda *_: True)
    late = [Recipient("bob=", CONNECTED_AT, 0)]
    queued = [
        tasks.Task(ROOM_MESSAGE._replace(data=f"message {number}"), shard, recipients=late)
        for number in range(4)
        for shard in (0, 1)
    ]
    make(Picky(), fifo=fifo).put(queued, time.monotonic() + 60)

    assert sorted(taken) == sorted(task.to_json() for task in queued)
    for shard in (0, 1) if fifo else ():
        bodies = [task.to_json() for task in queued if task.shard == shard]
        assert [body for body in taken if body in bodies] == bodies
    # A standard queue keeps no order, and takes them with one call and its repetition.
    assert calls == (8 if fifo else 2)


def test_a_standard_queue_is_told_of_no_groups(service: RecordingService) -> None:
    make(service, fifo=False).put([tasks.Task(ROOM_MESSAGE, 0)], time.monotonic() + 60)

    assert [set(entry) for entry in service.entries] == [{"Id", "MessageBody"}]


def test_a_message_keeps_room_sender_text_and_request(
    load: Callable[[str], Any], service: RecordingService, monkeypatch: pytest.MonkeyPatch
) -> None:
    load("connect").handler(handshake("alice=", "lobby"), FakeContext())
    sendmessage = load("sendmessage")
    monkeypatch.setattr(sendmessage, "QUEUE", make(service, fifo=False))
    sendmessage.handler(message("alice=", {"action": "sendmessage", "data": "hello"}), FakeContext())

    [task] = [tasks.parse(entry["MessageBody"]) for entry in service.entries]
    assert isinstance(task, tasks.Task)
    assert task.message.taken_at == CONNECTED_AT + 5
    sent = task.message._replace(envelope=None, taken_at=0)
    assert task._replace(message=sent) == tasks.Task(ROOM_MESSAGE, 0, "", [])


def test_the_sender_of_a_queued_message_is_never_pruned(
    load: Callable[[str], Any],
    table: FakeTable,
    connections: FakeConnections,
    service: RecordingService,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("alice=", "bob="):
        load("connect").handler(handshake(name, "lobby"), FakeContext())
    connections.gone.update({"alice=", "bob="})
    worker = load("fanout_worker")
    monkeypatch.setattr(worker, "QUEUE", make(service, fifo=False))
    record = {"messageId": "m-1", "body": tasks.Task(ROOM_MESSAGE, 0).to_json(), "attributes": {}}

    assert worker.handler({"Records": [record]}, FakeContext()) == {"batchItemFailures": []}
    assert table.keys() == {("connection#alice=", "connection"), ("room#lobby#0", "alice=")}
    assert service.entries == []


@pytest.mark.parametrize(
    "fields",
    [
        {"rounds": 10**18},
        {"rounds": -1},
        {"copies": float("inf")},
        {"shard": float("nan")},
        {"shard": -1},
        {"fan_out": ["a#b", "alice=", "", "r"]},
        {"fan_out": [7, "alice=", "", "r"]},
        {"fan_out": ["lobby", "\ud800", "", "r"]},
        {"recipients": [["\ud800", 1, 0]]},
        {"recipients": [["bob=", 1, 10**9]]},
        {"after": "\ud800"},
    ],
    ids=str,
)
def test_an_odd_task_is_unreadable(fields: dict[str, object]) -> None:
    task = {"v": 1, "kind": "task", "fan_out": ["lobby", "alice=", "", "r"], "shard": 0}
    assert tasks.parse(json.dumps(task)).to_json()

    with pytest.raises(ValueError, match="no task"):
        tasks.parse(json.dumps(task | fields))
