"""The fan-out queue and its worker: no member is missed, and none is served again."""

from __future__ import annotations

import importlib.util
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from roomcast import aws_json, protocol, rooms, tasks
from roomcast.delivery import RoomMessage
from roomcast.fanout import Recipient
from roomcast.frames import Envelope
from roomcast.progress import Progress
from tests.fakes import CONNECTED_AT, FakeConnections, FakeContext, FakeTable, error_code, handshake, message
from tests.sqs_model import SqsModel, WorkerDiedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from roomcast.fanout import Message

LOBBY = ("alice=", "bob=", "carol=")
ROOM_MESSAGE = RoomMessage("lobby", "alice=", "hello", "request-1")


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

    def tasks(self) -> list[tasks.Task]:
        """Tasks that workers will find."""
        found = [tasks.parse(entry["MessageBody"]) for batch in self.batches for entry in batch]
        return [task for task in found if isinstance(task, tasks.Task)]


@pytest.fixture
def service() -> FakeQueueService:
    return FakeQueueService()


@pytest.fixture
def make_queue(service: FakeQueueService) -> Callable[..., tasks.Queue]:
    def make(*, fifo: bool = False) -> tasks.Queue:
        settings = importlib.import_module("connect").SETTINGS._replace(
            queue_url="https://sqs.eu-west-1.amazonaws.com/123456789012/fan-out", queue_is_fifo=fifo
        )
        made = tasks.Queue(settings)
        made._service = service  # type: ignore[assignment]
        return made

    return make


@pytest.fixture
def worker(load: Callable[[str], Any], make_queue: Callable[..., tasks.Queue], monkeypatch: pytest.MonkeyPatch) -> Any:
    """The handler module, with three clients in the lobby."""
    connect = load("connect")
    for name in LOBBY:
        connect.handler(handshake(name, "lobby"), FakeContext())
    module = load("fanout_worker")
    monkeypatch.setattr(module, "QUEUE", make_queue())
    return module


def run(worker: Any, *given: tasks.Task | str, groups: Sequence[str] = ()) -> list[str]:
    """Hand tasks, in a FIFO queue with their groups, to the worker; gives the ids of those that SQS will try again."""
    bodies = [task if isinstance(task, str) else task.to_json() for task in given]
    attributes = [{"MessageGroupId": group} for group in groups] or [{}] * len(bodies)
    records = [
        {"messageId": f"m-{index}", "body": body, "attributes": attributes[index]} for index, body in enumerate(bodies)
    ]
    answer = worker.handler({"Records": records}, FakeContext())
    assert set(answer) == {"batchItemFailures"}
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def test_a_task_serves_its_shard(worker: Any, connections: FakeConnections, service: FakeQueueService) -> None:
    assert run(worker, tasks.Task(ROOM_MESSAGE, 0)) == []
    assert sorted(connections.posts) == [(name, "hello") for name in LOBBY]
    assert service.tasks() == []


def test_a_task_can_begin_after_a_member(worker: Any, connections: FakeConnections) -> None:
    run(worker, tasks.Task(ROOM_MESSAGE, 0, after="alice="))

    assert sorted(connections.posts) == [("bob=", "hello"), ("carol=", "hello")]


def test_who_was_not_reached_is_a_task_of_its_own(
    worker: Any, connections: FakeConnections, service: FakeQueueService
) -> None:
    connections.failing.add("bob=")

    assert run(worker, tasks.Task(ROOM_MESSAGE, 0)) == []
    [task] = service.tasks()
    assert [recipient.connection_id for recipient in task.recipients] == ["bob="]

    connections.failing.clear()
    assert run(worker, task) == []
    assert sorted(connections.posts) == [(name, "hello") for name in LOBBY]


def test_a_task_that_served_nobody_is_tried_again_as_it_is(
    worker: Any, connections: FakeConnections, service: FakeQueueService
) -> None:
    connections.failing.update(LOBBY)

    assert run(worker, tasks.Task(ROOM_MESSAGE, 0)) == ["m-0"]
    assert service.tasks() == []


def test_when_time_is_up_the_rest_is_handed_over(
    worker: Any, connections: FakeConnections, service: FakeQueueService, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([True, True, False])
    monkeypatch.setattr(Progress, "has_time", lambda _: next(clock))
    run(worker, tasks.Task(ROOM_MESSAGE, 0))

    [task] = service.tasks()
    assert (task.after, task.recipients) == ("bob=", [])
    monkeypatch.setattr(Progress, "has_time", lambda _: True)
    run(worker, task)
    assert sorted(connections.posts) == [(name, "hello") for name in LOBBY]


def test_when_time_is_up_named_recipients_are_handed_over(
    worker: Any, connections: FakeConnections, service: FakeQueueService, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = list(worker.ROOMS.members("lobby", time.monotonic() + 1))
    clock = iter([True, False])
    monkeypatch.setattr(Progress, "has_time", lambda _: next(clock))
    run(worker, tasks.Task(ROOM_MESSAGE, 0, recipients=named))

    [task] = service.tasks()
    assert [recipient.connection_id for recipient in task.recipients] == ["bob=", "carol="]
    assert connections.posts == [("alice=", "hello")]


def test_tasks_that_no_time_is_left_for_are_handed_over(
    worker: Any, connections: FakeConnections, service: FakeQueueService, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([True, True, True, False])
    monkeypatch.setattr(Progress, "has_time", lambda _: next(clock))
    late = tasks.Task(ROOM_MESSAGE._replace(data="late"), 0)

    assert run(worker, tasks.Task(ROOM_MESSAGE, 0), late) == []
    assert sorted(connections.posts) == [(name, "hello") for name in LOBBY]
    assert service.tasks() == [late._replace(recipients=[])]


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
    assert run(worker, tasks.Task(ROOM_MESSAGE, 0)) == []

    monkeypatch.setattr(table, "_query", query)
    run(worker, *service.tasks())
    assert sorted(connections.posts) == [(name, "hello") for name in LOBBY]


def test_what_cannot_be_handed_over_is_tried_again_and_told(
    worker: Any, connections: FakeConnections, service: FakeQueueService, capsys: pytest.CaptureFixture[str]
) -> None:
    connections.failing.add("bob=")
    service.is_failing = True

    assert run(worker, tasks.Task(ROOM_MESSAGE, 0)) == ["m-0"]
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    [line] = [line for line in lines if line["message"] == "what is left cannot be handed over"]
    assert (line["level"], line["task_id"], line["unavailable"]) == ("ERROR", "m-0", 1)
    assert line["error"] == "SendMessageBatch failed: ServiceUnavailable"


@pytest.mark.parametrize("body", ["", "{}", "[]", '[["lobby"],0,"",[]]', '[["a","b","c","d"],"x","",[]]', "5"])
def test_what_is_no_task_goes_to_the_dead_letter_queue_in_the_end(worker: Any, body: str) -> None:
    assert run(worker, body, tasks.Task(ROOM_MESSAGE, 0)) == ["m-0"]


def test_a_task_that_fails_keeps_no_other_from_being_served(worker: Any, connections: FakeConnections) -> None:
    assert run(worker, "not a task", tasks.Task(ROOM_MESSAGE, 0)) == ["m-0"]
    assert sorted(connections.posts) == [(name, "hello") for name in LOBBY]


def test_a_straggler_is_waited_for_once_in_a_batch(
    worker: Any, connections: FakeConnections, service: FakeQueueService
) -> None:
    connections.failing.add("bob=")
    texts = [f"message {number}" for number in range(10)]
    assert run(worker, *[tasks.Task(ROOM_MESSAGE._replace(data=text), 0) for text in texts]) == []

    assert connections.received("alice=") == connections.received("carol=") == texts
    assert [task.message.data for task in service.tasks()] == texts
    assert [[each.connection_id for each in task.recipients] for task in service.tasks()] == [["bob="]] * 10
    [patience] = connections.patience
    assert patience is not None
    assert 0 < patience < 1


class TestRounds:
    """A straggler's task goes back to the queue with a delay, until the member is given up."""

    def test_delays_grow_until_the_member_is_given_up(
        self, worker: Any, connections: FakeConnections, service: FakeQueueService, capsys: pytest.CaptureFixture[str]
    ) -> None:
        connections.failing.add("bob=")
        assert run(worker, tasks.Task(ROOM_MESSAGE, 0)) == []
        delays = []
        while service.batches:
            [[entry]] = service.batches
            delays.append(entry["DelaySeconds"])
            service.batches.clear()
            assert run(worker, entry["MessageBody"]) == []

        assert delays == [1, 2, 4, 8, 16]
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [line["members"] for line in lines if line["message"] == "members are given up"] == [1]
        assert sum(line.get("given_up", 0) for line in lines) == 1

    def test_a_member_that_reads_again_receives_its_message(
        self, worker: Any, connections: FakeConnections, service: FakeQueueService
    ) -> None:
        connections.failing.add("bob=")
        run(worker, tasks.Task(ROOM_MESSAGE, 0))
        for _ in range(tasks.MAXIMUM_ROUNDS - 1):
            run(worker, service.tasks()[-1])
        connections.failing.clear()
        run(worker, service.tasks()[-1])

        assert connections.received("bob=") == ["hello"]
        assert len(service.tasks()) == tasks.MAXIMUM_ROUNDS

    def test_a_room_that_cannot_be_reached_has_trouble_of_its_own_when_another_one_is(
        self, worker: Any, connections: FakeConnections, service: FakeQueueService, load: Callable[[str], Any]
    ) -> None:
        load("connect").handler(handshake("dora=", "hall"), FakeContext())
        connections.failing.add("dora=")
        hall = tasks.Task(ROOM_MESSAGE._replace(room="hall"), 0)

        assert run(worker, tasks.Task(ROOM_MESSAGE, 0), hall) == []
        assert [(task.message.room, task.rounds) for task in service.tasks()] == [("hall", 1)]

    @pytest.mark.parametrize("has_time", [True, False])
    def test_trouble_of_many_is_a_round_too_if_there_was_time_for_them(
        self,
        worker: Any,
        connections: FakeConnections,
        service: FakeQueueService,
        load: Callable[[str], Any],
        monkeypatch: pytest.MonkeyPatch,
        *,
        has_time: bool,
    ) -> None:
        deliver_all = connections.deliver_all

        def slowly(*arguments: Any, **options: Any) -> Any:
            results = deliver_all(*arguments, **options)
            if not has_time:
                now = time.monotonic()
                monkeypatch.setattr(time, "monotonic", lambda: now + 25)
            return results

        monkeypatch.setattr(connections, "deliver_all", slowly)
        crowd = [f"crowd-{number:02}=" for number in range(30)]
        for name in crowd:
            load("connect").handler(handshake(name, "lobby"), FakeContext())
        connections.failing.update(crowd)

        assert run(worker, tasks.Task(ROOM_MESSAGE, 0)) == []
        assert [(len(task.recipients), task.rounds, task.delay) for task in service.tasks()] == [
            (30, int(has_time), int(has_time))
        ]

    @pytest.mark.parametrize("rounds", [0, 2])
    def test_a_member_without_a_post_has_had_no_round(
        self,
        worker: Any,
        connections: FakeConnections,
        service: FakeQueueService,
        monkeypatch: pytest.MonkeyPatch,
        rounds: int,
    ) -> None:
        deliver_all = connections.deliver_all

        def without_bob(messages: Sequence[Message], **options: Any) -> Any:
            [message] = messages
            left: list[Recipient] = []

            def others() -> Iterator[Recipient]:
                for each in message.recipients:
                    if each.connection_id == "bob=":
                        left.append(each)
                    else:
                        yield each

            results = deliver_all([message._replace(recipients=others())], **options)
            assert message.stragglers.on_untried is not None
            message.stragglers.on_untried(left)
            return results

        monkeypatch.setattr(connections, "deliver_all", without_bob)
        members = list(worker.ROOMS.members("lobby", time.monotonic() + 1)) if rounds else []

        assert run(worker, tasks.Task(ROOM_MESSAGE, 0, recipients=members, rounds=rounds)) == []
        left = [([each.connection_id for each in task.recipients], task.rounds) for task in service.tasks()]
        assert left == [(["bob="], rounds)]


def test_who_failed_for_good_is_not_handed_over_but_told(
    worker: Any, connections: FakeConnections, service: FakeQueueService, capsys: pytest.CaptureFixture[str]
) -> None:
    connections.refusing.add("bob=")
    assert run(worker, tasks.Task(ROOM_MESSAGE, 0)) == []

    assert service.tasks() == []
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["members"] for line in lines if line["message"] == "members are given up"] == [1]
    [fan_out] = [line for line in lines if line["message"] == "fan-out"]
    assert fan_out["given_up"] == fan_out["failed"] == 1
    metrics = [each["Name"] for each in fan_out["_aws"]["CloudWatchMetrics"][0]["Metrics"]]
    assert "failed" in metrics


def test_who_is_handed_over_is_not_given_up(
    worker: Any, connections: FakeConnections, capsys: pytest.CaptureFixture[str]
) -> None:
    connections.failing.add("bob=")
    run(worker, tasks.Task(ROOM_MESSAGE, 0))

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    [fan_out] = [line for line in lines if line["message"] == "fan-out"]
    assert not {"given_up", "failed", "slow"} & fan_out.keys()
    assert fan_out["late"] == 1


@pytest.mark.parametrize("count", [1, 2, 3, 4, 6, 7])
@pytest.mark.parametrize("left", ["late", "silent", "untried", "refused"])
def test_every_recipient_left_is_in_one_task(
    worker: Any, monkeypatch: pytest.MonkeyPatch, left: str, count: int
) -> None:
    monkeypatch.setattr(tasks, "RECIPIENTS_PER_TASK", 3)
    progress = Progress(tasks.Task(ROOM_MESSAGE, 0), worker.ROOMS, float("inf"))
    progress.is_complete = True
    recipients = [Recipient(f"client-{number}", 0) for number in range(count)]
    getattr(progress, left).extend(recipients)
    for made in (progress.everything_left(), progress.remaining([])):
        assert [each for task in made for each in task.recipients] == recipients
        assert max(len(task.recipients) for task in made) <= 3


def test_who_may_have_a_copy_is_sent_one_more_at_most(
    worker: Any, connections: FakeConnections, service: FakeQueueService
) -> None:
    connections.silent.add("bob=")
    run(worker, tasks.Task(ROOM_MESSAGE, 0))
    [task] = service.tasks()
    assert task.copies == 1
    run(worker, task)

    assert [each.copies for each in connections.stragglers] == [0, 1]


def test_a_task_that_nobody_has_answered_is_not_delivered_again_as_a_whole(
    worker: Any, connections: FakeConnections, service: FakeQueueService
) -> None:
    connections.silent.update(LOBBY)

    assert run(worker, tasks.Task(ROOM_MESSAGE, 0)) == []
    [task] = service.tasks()
    assert (task.copies, len(task.recipients)) == (1, 3)


class TestRefusedForAll:
    """No member of a task is reached, because posts are refused with a status that no retry changes, such as 403."""

    def test_the_task_is_tried_again_as_it_is_and_nobody_is_given_up(
        self, worker: Any, connections: FakeConnections, service: FakeQueueService, capsys: pytest.CaptureFixture[str]
    ) -> None:
        connections.refusing.update(LOBBY)
        assert run(worker, tasks.Task(ROOM_MESSAGE, 0)) == ["m-0"]
        assert service.tasks() == []
        [line] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert line["message"] == "fan-out"
        assert not {"given_up", "failed", "slow"} & line.keys()

        connections.refusing.clear()
        assert run(worker, tasks.Task(ROOM_MESSAGE, 0)) == []
        assert sorted(connections.posts) == [(name, "hello") for name in LOBBY]

    @pytest.mark.parametrize("rounds", [0, 1, tasks.MAXIMUM_ROUNDS])
    def test_the_task_is_a_dead_letter_in_the_end_also_beside_others(
        self,
        worker: Any,
        connections: FakeConnections,
        load: Callable[[str], Any],
        capsys: pytest.CaptureFixture[str],
        rounds: int,
    ) -> None:
        load("connect").handler(handshake("dora=", "hall"), FakeContext())
        connections.refusing.update(LOBBY)
        members = list(worker.ROOMS.members("lobby", time.monotonic() + 1)) if rounds else []
        given = [tasks.Task(ROOM_MESSAGE, 0, recipients=members, rounds=rounds), tasks.Task(ROOM_MESSAGE, 0)]
        given[1] = given[1]._replace(message=ROOM_MESSAGE._replace(room="hall"))
        assert run(worker, *given) == ["m-0"]
        assert connections.posts == [("dora=", "hello")]

        capsys.readouterr()
        record = {
            "messageId": "m-0",
            "body": given[0].to_json(),
            "attributes": {"ApproximateReceiveCount": str(tasks.MAXIMUM_RECEIVES)},
        }
        assert worker.handler({"Records": [record]}, FakeContext())["batchItemFailures"] == [{"itemIdentifier": "m-0"}]
        [line] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert (line["level"], line["message"]) == ("ERROR", "a task is given up")
        assert line["slow" if rounds else "failed"] == max(1, len(members))

    def test_those_that_were_refused_are_not_lost_beside_one_that_may_have_a_copy(
        self, worker: Any, connections: FakeConnections, service: FakeQueueService
    ) -> None:
        connections.refusing.update(LOBBY[:2])
        connections.silent.add(LOBBY[2])
        assert run(worker, tasks.Task(ROOM_MESSAGE, 0)) == []
        left = {(each.connection_id, task.copies) for task in service.tasks() for each in task.recipients}
        assert left == {(LOBBY[0], 0), (LOBBY[1], 0), (LOBBY[2], 1)}


class TestReceives:
    """How often a task may be tried."""

    def test_the_last_one_is_an_error_and_a_metric(
        self, worker: Any, connections: FakeConnections, capsys: pytest.CaptureFixture[str]
    ) -> None:
        connections.failing.update(LOBBY)
        body = tasks.Task(ROOM_MESSAGE, 0).to_json()
        for receives in range(1, tasks.MAXIMUM_RECEIVES + 1):
            record = {"messageId": "m", "body": body, "attributes": {"ApproximateReceiveCount": str(receives)}}
            assert worker.handler({"Records": [record]}, FakeContext())["batchItemFailures"]
            lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
            told = [line for line in lines if line["message"] == "a task is given up"]
            assert [line["level"] for line in told] == ["ERROR"] * (receives == tasks.MAXIMUM_RECEIVES)
            assert sum(line.get("given_up", 0) for line in lines) == len(told)

    @pytest.mark.parametrize("count", [1, 3])
    def test_the_metric_counts_the_recipients_of_a_task_that_names_them(
        self, worker: Any, capsys: pytest.CaptureFixture[str], count: int
    ) -> None:
        named = list(worker.ROOMS.members("lobby", time.monotonic() + 1))[:count]
        body = tasks.Task(ROOM_MESSAGE, 0, recipients=named).to_json()
        attributes = {"ApproximateReceiveCount": str(tasks.MAXIMUM_RECEIVES)}
        worker.handler({"Records": [{"messageId": "m", "body": body, "attributes": attributes}]}, FakeContext())

        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert sum(line.get("given_up", 0) for line in lines) == count

    def test_a_task_that_kills_every_worker_takes_no_other_with_it(
        self,
        worker: Any,
        connections: FakeConnections,
        make_queue: Callable[..., tasks.Queue],
        monkeypatch: Any,
        capsys: Any,
    ) -> None:
        sqs = SqsModel(fifo=False)
        made = make_queue()
        made._service = sqs  # type: ignore[assignment]
        monkeypatch.setattr(worker, "QUEUE", made)
        deliver = connections.deliver

        def kill(recipients: Any, data: bytes, **options: Any) -> Any:
            if data == b"deadly":
                raise WorkerDiedError
            return deliver(recipients, data, **options)

        monkeypatch.setattr(connections, "deliver", kill)
        texts = ["one", "two", "deadly", "three", "four"]
        for text in texts:
            sqs.put(tasks.Task(ROOM_MESSAGE._replace(data=text), 0).to_json())
        sqs.drain(worker.handler)

        for name in LOBBY:
            assert sorted(set(connections.received(name))) == sorted(set(texts) - {"deadly"})
        assert max(connections.posts.count(each) for each in connections.posts) <= 3
        assert [tasks.parse(body).message.data for body in sqs.dead_letters] == ["deadly"]  # type: ignore[union-attr]
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [line["level"] for line in lines if line["message"] == "a task is given up"] == ["ERROR"]
        assert sum(line.get("given_up", 0) for line in lines) == 1

    @pytest.mark.parametrize("count", [2, 3, 10])
    def test_tasks_that_kill_every_worker_and_meet_again_are_given_up(
        self,
        worker: Any,
        connections: FakeConnections,
        make_queue: Callable[..., tasks.Queue],
        monkeypatch: Any,
        count: int,
    ) -> None:
        """Each is handed over with its receives so far, however often it is: else it would never be given up."""
        sqs = SqsModel(fifo=False)
        made = make_queue()
        made._service = sqs  # type: ignore[assignment]
        monkeypatch.setattr(worker, "QUEUE", made)

        def kill(*_: Any, **__: Any) -> None:
            raise WorkerDiedError

        monkeypatch.setattr(connections, "deliver", kill)
        texts = [f"deadly {number}" for number in range(count)]
        for text in texts:
            sqs.put(tasks.Task(ROOM_MESSAGE._replace(data=text), 0).to_json())
        for _ in range(tasks.MAXIMUM_RECEIVES**2):
            sqs.now += 1_000  # all are visible again
            sqs.invoke(worker.handler)

        assert sorted(tasks.parse(body).message.data for body in sqs.dead_letters) == texts  # type: ignore[union-attr]
        assert sqs.died <= tasks.MAXIMUM_RECEIVES

    def test_new_tasks_come_before_those_that_a_worker_may_have_died_of(
        self, worker: Any, connections: FakeConnections
    ) -> None:
        records = [
            {
                "messageId": text,
                "body": tasks.Task(ROOM_MESSAGE._replace(data=text), 0).to_json(),
                "attributes": {"ApproximateReceiveCount": receives},
            }
            for text, receives in (("once more", "2"), ("new", "1"))
        ]
        assert worker.handler({"Records": records}, FakeContext()) == {"batchItemFailures": []}

        texts = [text for _, text in connections.posts]
        assert texts == ["new"] * len(LOBBY) + ["once more"] * len(LOBBY)

    @pytest.mark.parametrize("body", ["not a task", '{"v":2,"kind":"task"}'])
    def test_of_what_nobody_can_read_as_well(self, worker: Any, body: str, capsys: pytest.CaptureFixture[str]) -> None:
        attributes = {"ApproximateReceiveCount": str(tasks.MAXIMUM_RECEIVES)}
        worker.handler({"Records": [{"messageId": "m", "body": body, "attributes": attributes}]}, FakeContext())

        output = capsys.readouterr().out
        assert '"a task is given up"' in output
        assert '"given_up":1' in output

    def test_a_worker_that_always_dies_after_it_has_handed_over_sends_few_copies(
        self, worker: Any, connections: FakeConnections, make_queue: Callable[..., tasks.Queue], monkeypatch: Any
    ) -> None:
        sqs = SqsModel(fifo=False)
        made = make_queue()
        made._service = sqs  # type: ignore[assignment]
        monkeypatch.setattr(worker, "QUEUE", made)
        taken: list[object] = []

        def has_time(progress: object) -> bool:
            taken.append(progress)
            return len(taken) == 1  # one recipient in each invocation

        monkeypatch.setattr(Progress, "has_time", has_time)

        def handler(event: Any, context: Any) -> Any:
            taken.clear()
            worker.handler(event, context)
            raise WorkerDiedError

        sqs.put(tasks.Task(ROOM_MESSAGE, 0).to_json())
        sqs.drain(handler, batch=1, limit=100_000)

        copies = {name: len(connections.received(name)) for name in LOBBY}
        assert copies["alice="] == tasks.MAXIMUM_RECEIVES - 1
        # Not 5, 25 and 125, and so on for each part of a room.
        assert max(copies.values()) <= 35


def test_a_dead_member_is_pruned(worker: Any, connections: FakeConnections, table: FakeTable) -> None:
    connections.gone.add("bob=")
    run(worker, tasks.Task(ROOM_MESSAGE, 0))

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

    put = service.tasks()
    assert len({task.message.envelope for task in put}) == 1
    assert {task.message.taken_at for task in put} == {CONNECTED_AT + 5}
    plain = [task._replace(message=task.message._replace(envelope=None, taken_at=0)) for task in put]
    assert plain == [tasks.Task(ROOM_MESSAGE, 0, "", []), tasks.Task(ROOM_MESSAGE, 1, "", [])]
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
    make_queue: Callable[..., tasks.Queue], service: FakeQueueService
) -> None:
    service.refusals = [{"Id": "1", "Code": "InternalError", "SenderFault": False}]
    make_queue().put([tasks.Task(ROOM_MESSAGE, shard) for shard in range(3)], time.monotonic() + 60)

    assert [[entry["Id"] for entry in batch] for batch in service.batches] == [["0", "1", "2"], ["1"]]


def test_entries_that_can_never_be_taken_are_an_error(
    make_queue: Callable[..., tasks.Queue], service: FakeQueueService
) -> None:
    service.refusals = [{"Id": "0", "Code": "InvalidMessageContents", "SenderFault": True}]

    with pytest.raises(aws_json.ServiceError, match="InvalidMessageContents"):
        make_queue().put([tasks.Task(ROOM_MESSAGE, 0)], time.monotonic() + 60)


def test_batches_fit_into_what_sqs_takes(make_queue: Callable[..., tasks.Queue], service: FakeQueueService) -> None:
    worst = ROOM_MESSAGE._replace(data="\u0001" * protocol.MAXIMUM_DATA_BYTES)
    make_queue().put([tasks.Task(worst, shard) for shard in range(3)], time.monotonic() + 60)
    make_queue().put([tasks.Task(ROOM_MESSAGE, shard) for shard in range(12)], time.monotonic() + 60)

    assert [len(batch) for batch in service.batches] == [1, 1, 1, 10, 2]
    for batch in service.batches:
        assert sum(len(entry["MessageBody"]) for entry in batch) <= tasks.MAXIMUM_BATCH_BYTES
        assert all(entry["MessageBody"].isascii() and entry["MessageBody"].isprintable() for entry in batch)


@pytest.mark.parametrize("spoken", ["text", "roomcast.v1"])
def test_the_largest_task_fits_into_one_queue_message(worker: Any, spoken: str) -> None:
    envelope = Envelope("\U0001f600" * 128, 1_764_000_000_000, "0" * 32, "\U0001f600" * 64, is_text=False)
    worst = ROOM_MESSAGE._replace(data="\u0001" * protocol.MAXIMUM_DATA_BYTES, envelope=envelope)
    [alice] = [each for each in worker.ROOMS.members("lobby", time.monotonic() + 1) if each.connection_id == "alice="]
    recipients = [alice._replace(connection_id="BFHPhfCWIAMCKlQ=", protocol=spoken)] * tasks.RECIPIENTS_PER_TASK

    assert len(tasks.Task(worst, 0, recipients=recipients).to_json()) <= tasks.MAXIMUM_BATCH_BYTES


def test_in_a_fifo_queue_each_shard_of_a_room_is_a_group(
    make_queue: Callable[..., tasks.Queue], service: FakeQueueService
) -> None:
    make_queue(fifo=True).put([tasks.Task(ROOM_MESSAGE, shard) for shard in range(2)], time.monotonic() + 60)

    [batch] = service.batches
    assert [entry["MessageGroupId"] for entry in batch] == ["lobby.0", "lobby.1"]
    assert len({entry["MessageDeduplicationId"] for entry in batch}) == 2


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"copies": 1},
        {"retries": 2},
        {"hold": 1_764_000_000_000_000_000},
        {"rounds": 3},
        {"since": 31},
        {"given_up": 1_764_000_000},
    ],
    ids=str,
)
def test_a_task_survives_the_queue(change: dict[str, int]) -> None:
    recipients = [Recipient("bob=", 1_764_000_000_000, 3)]
    message = ROOM_MESSAGE._replace(data='"ü\n\U0001f600', envelope=Envelope("ü", 1, "m"))
    task = tasks.Task(message, 3, "bob=", recipients)._replace(**change)  # type: ignore[arg-type]

    assert tasks.parse(task.to_json()) == task


class TestCompatibility:
    """Queue messages of the last release and of the next one."""

    def test_a_task_is_an_object_of_the_first_version(self) -> None:
        """The last release reads it; it ignores the envelope, and sends all members the text."""
        envelope = Envelope("alice", 1_764_000_000_000, "m-1", "i-1", is_text=False)
        message = ROOM_MESSAGE._replace(envelope=envelope)
        body = tasks.Task(message, 3, "bob=", [Recipient("carol=", 7, 3), Recipient("dave=", 8, 3, "roomcast.v1")])

        assert json.loads(body.to_json()) == {
            "v": 1,
            "kind": "task",
            "fan_out": ["lobby", "alice=", "aGVsbG8=", "request-1"],
            "envelope": {
                "sender": "alice",
                "at": 1_764_000_000_000,
                "mid": "m-1",
                "id": "i-1",
                "is_text": False,
                "is_direct": False,
            },
            "shard": 3,
            "after": "bob=",
            "recipients": [["carol=", 7, 3], ["dave=", 8, 3, "roomcast.v1"]],
        }
        assert tasks.parse(body.to_json()) == body

    def test_a_list_of_an_earlier_release_is_read(self) -> None:
        body = [["lobby", "alice=", "aGVsbG8=", "request-1"], 3, "bob=", [["carol=", 7, 3]]]

        assert tasks.parse(json.dumps(body)) == tasks.Task(ROOM_MESSAGE, 3, "bob=", [Recipient("carol=", 7, 3)])

    def test_an_object_is_read_and_what_is_unknown_is_ignored(self) -> None:
        body = {
            "v": 1,
            "kind": "task",
            "fan_out": ["lobby", "alice=", "aGVsbG8=", "request-1", "later"],
            "shard": 3,
            "recipients": [["carol=", 7, 3, "text", "later"]],
            "later": {},
        }
        assert tasks.parse(json.dumps(body)) == tasks.Task(ROOM_MESSAGE, 3, "", [Recipient("carol=", 7, 3)])

    def test_a_list_may_be_longer(self) -> None:
        body = [["lobby", "alice=", "aGVsbG8=", "request-1", "later"], 3, "", [], "later"]

        assert tasks.parse(json.dumps(body)) == tasks.Task(ROOM_MESSAGE, 3, "", [])

    @pytest.mark.parametrize("lane", [(), (1_764_000_000_000_000_000,), (1_764_000_000_000_000_000, 16)])
    def test_a_wake_up_survives(self, lane: tuple[int, ...]) -> None:
        wake_up = tasks.WakeUp("lobby", 3, *lane)

        assert tasks.parse(wake_up.to_json()) == wake_up

    def test_a_room_is_woken_as_before(self) -> None:
        assert json.loads(tasks.WakeUp("lobby", 3).to_json()) == {
            "v": 1,
            "kind": "wake-up",
            "room": "lobby",
            "shard": 3,
        }

    @pytest.mark.parametrize(
        "body", ['{"v":2,"kind":"task"}', '{"v":1,"kind":"later"}', '{"v":"1","kind":"task"}', '{"v":null,"kind":[]}']
    )
    def test_an_unknown_version_is_delivered_again_and_told(
        self, worker: Any, body: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run(worker, body) == ["m-0"]
        [line] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert line["level"] == "ERROR"

    @pytest.mark.parametrize(
        "body", ["[" * 100_000, '{"v":1}', '{"v":1,"kind":"task"}', '{"kind":"task"}', "{}", "null"]
    )
    def test_what_is_no_task_is_a_value_error(self, body: str) -> None:
        with pytest.raises(ValueError, match="the queue message"):
            tasks.parse(body)


def test_the_pace_is_the_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROOMCAST_PACE", "123")
    source = importlib.util.find_spec("fanout_worker")
    assert source is not None
    assert source.loader is not None
    module = importlib.util.module_from_spec(source)
    source.loader.exec_module(module)

    assert module.ENGINE._bucket.pace == 123


def test_the_sender_is_never_pruned(worker: Any, connections: FakeConnections, table: FakeTable) -> None:
    connections.gone.update({"alice=", "bob="})
    run(worker, tasks.Task(ROOM_MESSAGE, 0))

    assert ("room#lobby#0", "alice=") in table.items
    assert ("room#lobby#0", "bob=") not in table.items


def test_pruning_waits_until_the_last_task_is_served(
    worker: Any, connections: FakeConnections, table: FakeTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    connections.gone.add("bob=")
    posts_before: list[int] = []
    prune = worker.ROOMS.prune

    def note(*arguments: Any) -> None:
        posts_before.append(len(connections.posts))
        prune(*arguments)

    monkeypatch.setattr(worker.ROOMS, "prune", note)
    run(worker, *[tasks.Task(ROOM_MESSAGE, 0)] * 3)

    assert set(posts_before) == {6}
    assert ("room#lobby#0", "bob=") not in table.items


class TestTokensThatExpire:
    """Workers look at the rows when they post."""

    @pytest.fixture(autouse=True)
    def tokens_expire(self, worker: Any, table: FakeTable, monkeypatch: pytest.MonkeyPatch) -> None:
        """As with ``JWT``."""
        monkeypatch.setattr(worker.ROOMS, "rows_end", True)
        for item in table.items.values():
            item["token_ends_at"] = {"N": str(int(time.time()) + 3600)}

    def expire(self, table: FakeTable, name: str) -> None:
        table.items["room#lobby#0", name]["expires_at"] = {"N": str(int(time.time()) - 1)}

    @pytest.mark.parametrize("expired", [(), ("alice=",), ("bob=",), ("carol=",), LOBBY], ids=str)
    @pytest.mark.parametrize("group", ["", "lobby.0:late"], ids=["standard", "FIFO"])
    @pytest.mark.parametrize("page_items", [1, 1_000])
    def test_named_recipients_must_still_be_members(
        self,
        worker: Any,
        connections: FakeConnections,
        table: FakeTable,
        service: FakeQueueService,
        monkeypatch: pytest.MonkeyPatch,
        *,
        expired: Sequence[str],
        group: str,
        page_items: int,
    ) -> None:
        monkeypatch.setattr(rooms, "PAGE_ITEMS", page_items)
        monkeypatch.setattr(worker, "SETTINGS", worker.SETTINGS._replace(queue_is_fifo=bool(group)))
        named = list(worker.ROOMS.members("lobby", time.monotonic() + 1))
        for name in expired:
            self.expire(table, name)

        assert run(worker, tasks.Task(ROOM_MESSAGE, 0, recipients=named), groups=[group] if group else ()) == []
        assert sorted(connections.posts) == [(name, "hello") for name in LOBBY if name not in expired]
        assert service.tasks() == []

    def test_a_newer_connection_of_the_same_id_is_another_recipient(
        self, worker: Any, connections: FakeConnections
    ) -> None:
        [member, *_] = worker.ROOMS.members("lobby", time.monotonic() + 1)
        older = member._replace(connected_at=member.connected_at - 1)

        run(worker, tasks.Task(ROOM_MESSAGE, 0, recipients=[older]))
        assert connections.posts == []

    def test_a_table_that_fails_leaves_the_task(
        self, worker: Any, connections: FakeConnections, table: FakeTable
    ) -> None:
        named = list(worker.ROOMS.members("lobby", time.monotonic() + 1))
        table.failing.add("Query")

        assert run(worker, tasks.Task(ROOM_MESSAGE, 0, recipients=named)) == ["m-0"]
        assert connections.posts == []

    def test_without_such_tokens_named_recipients_cost_no_read(
        self, worker: Any, connections: FakeConnections, table: FakeTable, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(worker.ROOMS, "rows_end", False)
        named = list(worker.ROOMS.members("lobby", time.monotonic() + 1))
        table.calls.clear()

        run(worker, tasks.Task(ROOM_MESSAGE, 0, recipients=named))
        assert len(connections.posts) == 3
        assert table.calls == []
