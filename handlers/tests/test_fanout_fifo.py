"""Queued delivery by a FIFO queue: acknowledged messages arrive, in order, also when workers die."""

from __future__ import annotations

import itertools
import json
import random
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from roomcast import aws_json, backlog, fanout, items, logs, progress, protocol, tasks, waiting_items
from roomcast.delivery import RoomMessage
from roomcast.items import Waiting
from roomcast.waiting_items import WaitingItems
from tests.fakes import PLANTED, FakeConnections, FakeContext, FakeTable, handshake, message
from tests.sqs_model import SqsModel, WorkerDiedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

MEMBERS = [f"member-{number:02}=" for number in range(12)]
TEXTS = [f"message {number} with {PLANTED}" for number in range(10)]
DEADLY = f"deadly, with {PLANTED}"


class Stage:
    """A room with queued delivery; its worker takes so many recipients in each invocation."""

    def __init__(self, worker: Any, sendmessage: Any, sqs: SqsModel, connections: FakeConnections) -> None:
        self.worker = worker
        self.sendmessage = sendmessage
        self.sqs = sqs
        self.connections = connections
        self.capacity = 1_000
        self.left = 0

    def say(self, *texts: str) -> None:
        """One message after the other."""
        for text in texts:
            self.sendmessage.handler(message(MEMBERS[0], {"action": "sendmessage", "data": text}), FakeContext())

    def handler(self, event: Any, context: Any) -> Any:
        """The worker, with its capacity."""
        self.left = self.capacity
        return self.worker.handler(event, context)

    def take(self) -> bool:
        """Whether another recipient may be taken."""
        self.left -= 1
        return self.left >= 0

    def received(self) -> dict[str, list[str]]:
        """Texts that each member has received, in order; of copies, the first."""
        return {each: list(dict.fromkeys(self.connections.received(each))) for each in MEMBERS}

    def copies(self) -> int:
        """The largest number of copies of a message that a member was sent."""
        return max((self.connections.posts.count(each) for each in set(self.connections.posts)), default=0)


@pytest.fixture
def stage(load: Callable[[str], Any], connections: FakeConnections, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """A stage with twelve members in the lobby."""
    connect = load("connect")
    for each in MEMBERS:
        connect.handler(handshake(each, "lobby"), FakeContext())
    sqs = SqsModel(fifo=True)
    worker, sendmessage = load("fanout_worker"), load("sendmessage")
    settings = worker.SETTINGS._replace(queue_url="https://sqs.eu-west-1.amazonaws.com/1/q.fifo", queue_is_fifo=True)
    made = tasks.Queue(settings)
    made._service = sqs  # type: ignore[assignment]
    for module in (worker, sendmessage):
        monkeypatch.setattr(module, "QUEUE", made)
    monkeypatch.setattr(worker, "SETTINGS", settings)
    stage = Stage(worker, sendmessage, sqs, connections)
    monkeypatch.setattr(progress.Progress, "has_time", lambda _: stage.take())
    return stage


def everybody(texts: list[str]) -> dict[str, list[str]]:
    """The expected texts of each member when nothing is missing."""
    return dict.fromkeys(MEMBERS, texts)


def backlog_of(table: FakeTable) -> list[tuple[str, str]]:
    """Keys of the items that wait in the table."""
    return [key for key in table.items if key[0].startswith("backlog#")]


@pytest.mark.parametrize("capacity", [1, 5, 11, 12, 13, 40, 1_000])
@pytest.mark.parametrize("batch", [1, 3, 10])
def test_a_burst_larger_than_an_invocation_arrives_in_order_without_a_pause(
    stage: Stage, table: FakeTable, capacity: int, batch: int
) -> None:
    stage.capacity = capacity
    stage.say(*TEXTS)
    stage.sqs.drain(stage.handler, batch)

    assert stage.received() == everybody(TEXTS)
    assert stage.copies() == 1
    assert (stage.sqs.now, stage.sqs.receives, stage.sqs.dead_letters) == (0.0, 1, [])
    assert backlog_of(table) == []


def test_what_is_said_meanwhile_comes_behind_what_waits(stage: Stage, table: FakeTable) -> None:
    stage.capacity = 7
    texts = [f"message {number}" for number in range(60)]
    saying = iter(texts)
    stage.say(*itertools.islice(saying, 12))
    while stage.sqs.invoke(stage.handler):
        stage.say(*itertools.islice(saying, 1))

    assert stage.received() == everybody(texts)
    assert stage.copies() == 1
    assert (stage.sqs.now, stage.sqs.receives, stage.sqs.dead_letters) == (0.0, 1, [])
    assert backlog_of(table) == []


def test_a_backlog_of_many_pages_keeps_the_order(
    stage: Stage, table: FakeTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting_items, "PAGE_ITEMS", 4)
    stage.capacity = 3
    stage.say(*TEXTS)
    stage.sqs.invoke(stage.handler)
    stage.capacity = 1_000
    stage.say("the last")
    stage.sqs.drain(stage.handler)

    assert stage.received() == everybody([*TEXTS, "the last"])
    assert stage.copies() == 1
    assert backlog_of(table) == []


def test_two_equal_messages_both_arrive(stage: Stage) -> None:
    stage.say("same", "same")
    stage.sqs.drain(stage.handler)

    assert stage.connections.received(MEMBERS[5]) == ["same", "same"]


def test_the_largest_messages_fit(stage: Stage, table: FakeTable) -> None:
    stage.capacity = 1
    text = "x" * (protocol.MAXIMUM_DATA_BYTES - 300)  # its frame takes the rest
    texts = [f"{number:02}{text}" for number in range(10)]
    stage.say(*texts)
    written: list[int] = []
    transact = table._transact

    def measure(parameters: Mapping[str, Any]) -> dict[str, Any]:
        written.append(len(json.dumps(parameters)))
        written.extend(len(json.dumps(each)) // 10 for each in parameters["TransactItems"])
        return transact(parameters)

    table._transact = measure  # type: ignore[method-assign]
    stage.sqs.invoke(stage.handler)
    assert max(written) < 4_000_000  # size limit of a transaction; that of an item is a tenth of it
    stage.capacity = 1_000
    stage.sqs.drain(stage.handler)
    assert stage.received() == everybody(texts)


@pytest.mark.parametrize("unreached", [0, 15, 25, 110])
def test_what_an_invocation_leaves_fits_into_a_transaction(
    stage: Stage, table: FakeTable, load: Callable[[str], Any], unreached: int
) -> None:
    """The table takes at most 100 actions at a time, however much waits and however many are not reached."""
    crowd = [f"crowd-{number:03}=" for number in range(110)]
    for each in crowd:
        load("connect").handler(handshake(each, "lobby"), FakeContext())
    texts = [f"message {number}" for number in range(110)]
    stage.capacity = 1
    stage.say(*texts)
    while len(backlog_of(table)) < 105:
        assert stage.sqs.invoke(stage.handler)
    stage.capacity = 100_000
    stage.say("the last")
    stage.connections.failing.update(crowd[:unreached])
    stage.sqs.invoke(stage.handler)
    stage.connections.failing.clear()
    stage.sqs.drain(stage.handler)

    assert stage.received() == everybody([*texts, "the last"])
    assert all(stage.connections.received(each) == [*texts, "the last"] for each in crowd)
    assert (stage.sqs.dead_letters, backlog_of(table)) == ([], [])


def test_what_an_invocation_leaves_of_a_whole_page_fits_into_a_transaction(
    table: FakeTable, load: Callable[[str], Any]
) -> None:
    """It ends in the last task of the page, with ten tasks of its own that it has not begun."""
    kept = load("fanout_worker").ROOMS
    task = tasks.Task(RoomMessage("lobby", MEMBERS[0], "hello", "request-1"), 0)
    jobs = [
        backlog.Job(f"m-{number}", "lobby.0", backlog.key_of(str(1_000 + number), 0), 1, task) for number in range(10)
    ]
    items = [Waiting(backlog.key_of(str(number), 0), task.to_json(), number) for number in range(1, 101)]
    later = time.monotonic() + 60
    WaitingItems(kept).change("lobby", 0, items, [], later)
    waiting = backlog.Backlog(kept, "lobby", 0)
    waiting.read(jobs, later)
    waiting.settle([Left([])] * (waiting_items.PAGE_ITEMS - 1) + [Left([task] * 3)])

    assert waiting.write(later, is_stuck=False) == [tasks.WakeUp("lobby", 0)]
    assert len(backlog_of(table)) == 100 - waiting_items.PAGE_ITEMS + 3 + len(jobs)


def test_a_task_that_a_worker_may_have_died_of_is_served_alone(load: Callable[[str], Any]) -> None:
    """Another worker that dies would be the fault of the first task else."""
    kept = load("fanout_worker").ROOMS
    task = tasks.Task(RoomMessage("lobby", MEMBERS[0], "hello", "request-1"), 0)
    retries = [0, 0, 1, 0, 0]
    waiting = [task._replace(retries=each) for each in retries]
    later = time.monotonic() + 60
    stored = [Waiting(backlog.key_of(str(number), 0), each.to_json(), number) for number, each in enumerate(waiting, 1)]
    WaitingItems(kept).change("lobby", 0, stored, [], later)
    lobby = backlog.Backlog(kept, "lobby", 0)
    lobby.read([], later)

    served = []
    while due := lobby.due():
        served.append([each.retries for each in due])
        lobby.settle([Left([])] * len(due))
    assert served == [[0, 0], [1], [0, 0]]


class Left(NamedTuple):
    """The rest of a task: for three reasons, a task each."""

    left: list[tasks.Task]
    is_begun: bool = True
    is_stuck: bool = False
    is_cut: bool = True
    failed: Sequence[Any] = ()

    def everyone_left(self) -> list[tasks.Task]:
        return self.left

    def stragglers(self, *_: object) -> list[Any]:
        return []

    def remaining(self, _apart: object) -> list[tasks.Task]:
        return self.left


class TestStragglers:
    """Members that the room does not wait for."""

    def test_it_holds_up_nobody_and_gets_its_messages_in_order(self, stage: Stage, table: FakeTable) -> None:
        slow = MEMBERS[3]
        stage.connections.failing.add(slow)
        stage.say(*TEXTS[:4])
        stage.sqs.invoke(stage.handler, 3)
        healthy = [each for each in MEMBERS if each != slow]
        assert {each: stage.received()[each] for each in healthy} == dict.fromkeys(healthy, TEXTS[:3])
        stage.connections.failing.clear()
        stage.say(*TEXTS[4:])
        stage.sqs.drain(stage.handler, 2)

        assert stage.received() == everybody(TEXTS)
        assert stage.copies() == 1
        assert (stage.sqs.now, stage.sqs.dead_letters) == (0.0, [])
        assert backlog_of(table) == []

    def test_while_it_cannot_be_reached_all_its_messages_wait_in_order(self, stage: Stage) -> None:
        stage.connections.failing.add(MEMBERS[3])
        stage.say(*TEXTS[:4])
        stage.sqs.invoke(stage.handler)
        stage.sqs.invoke(stage.handler)
        assert stage.received()[MEMBERS[3]] == []
        stage.connections.failing.clear()
        stage.sqs.drain(stage.handler)

        assert stage.received() == everybody(TEXTS[:4])
        assert stage.copies() == 1

    @pytest.mark.parametrize("served", [1, 2, 3])
    def test_it_stays_apart_until_its_last_message_is_served(self, stage: Stage, served: int) -> None:
        stage.connections.failing.add(MEMBERS[3])
        stage.say(*TEXTS[:4])
        stage.sqs.invoke(stage.handler)
        stage.connections.failing.clear()
        stage.capacity = served
        stage.sqs.invoke(stage.handler)
        assert stage.received()[MEMBERS[3]] == TEXTS[:served]
        stage.capacity = 1_000
        stage.say(*TEXTS[4:])
        stage.sqs.drain(stage.handler)

        assert stage.received() == everybody(TEXTS)
        assert stage.copies() == 1

    def test_one_of_them_does_not_wait_for_another(self, stage: Stage) -> None:
        stage.connections.failing.update(MEMBERS[3:5])
        stage.say(*TEXTS[:2])
        stage.sqs.invoke(stage.handler)
        stage.connections.failing.remove(MEMBERS[4])
        stage.sqs.invoke(stage.handler)
        assert stage.received() == {**everybody(TEXTS[:2]), MEMBERS[3]: []}
        stage.connections.failing.clear()
        stage.sqs.drain(stage.handler)

        assert stage.received() == everybody(TEXTS[:2])

    def test_it_is_served_by_the_room_again_once_it_has_all(self, stage: Stage) -> None:
        stage.connections.failing.add(MEMBERS[3])
        stage.say("one")
        stage.sqs.invoke(stage.handler)
        stage.connections.failing.clear()
        stage.sqs.drain(stage.handler)
        puts = stage.sqs.puts
        stage.say("two")
        stage.sqs.drain(stage.handler)

        assert stage.sqs.puts == puts + 1
        assert stage.received()[MEMBERS[3]] == ["one", "two"]

    def test_in_a_group_of_its_own_a_refusal_is_for_itself(
        self, stage: Stage, capsys: pytest.CaptureFixture[str]
    ) -> None:
        stage.connections.failing.add(MEMBERS[3])
        stage.say("one")
        stage.sqs.invoke(stage.handler)
        stage.connections.failing.clear()
        stage.connections.refusing.add(MEMBERS[3])
        stage.sqs.drain(stage.handler)

        first, second, *_ = stage.connections.stragglers
        assert (first.presume_alone, second.presume_alone) == (False, True)
        # No member of this task is reached: it is given up as any other one, after half a minute.
        [body] = stage.sqs.dead_letters
        task = tasks.parse(body)
        assert isinstance(task, tasks.Task)
        assert [each.connection_id for each in task.recipients] == [MEMBERS[3]]
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [line.get("slow") for line in lines if line["message"] == "a task is given up"] == [1]
        assert [line for line in lines if line["message"] == "members are given up"] == []

    def test_one_that_stays_apart_because_the_table_fails_is_told_and_loses_nothing(
        self, stage: Stage, table: FakeTable, capsys: pytest.CaptureFixture[str]
    ) -> None:
        stage.connections.failing.add(MEMBERS[3])
        stage.say(*TEXTS[:2])
        stage.sqs.invoke(stage.handler)
        stage.connections.failing.clear()
        table.failing.add("TransactWriteItems")
        capsys.readouterr()
        stage.sqs.invoke(stage.handler)
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        [told] = [line for line in lines if line["message"] == "stragglers stay apart"]
        assert (told["level"], told["error"]) == ("WARNING", "TransactWriteItems failed: InternalServerError")
        table.failing.clear()
        stage.say(*TEXTS[2:])
        stage.sqs.drain(stage.handler)

        assert stage.received() == everybody(TEXTS)
        assert (stage.copies(), stage.sqs.dead_letters, stage.sqs.now) == (1, [], 0.0)

    def test_what_failed_for_good_is_not_handed_over_but_told(
        self, stage: Stage, table: FakeTable, capsys: pytest.CaptureFixture[str]
    ) -> None:
        stage.connections.refusing.add(MEMBERS[3])
        stage.say(*TEXTS)
        stage.sqs.drain(stage.handler)

        assert stage.sqs.puts == len(TEXTS)
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert sum(line["message"] == "members are given up" for line in lines) == len(TEXTS)
        assert sum(line.get("given_up", 0) for line in lines) == len(TEXTS)
        assert backlog_of(table) == []

    def test_messages_that_all_members_were_refused_arrive_in_order_once_that_is_over(
        self, stage: Stage, table: FakeTable
    ) -> None:
        stage.connections.refusing.update(MEMBERS)
        stage.say(*TEXTS)
        for _ in range(2):
            stage.sqs.invoke(stage.handler)
        assert stage.connections.posts == []
        stage.connections.refusing.clear()
        stage.sqs.drain(stage.handler)

        assert stage.received() == everybody(TEXTS)
        assert (stage.copies(), stage.sqs.dead_letters, backlog_of(table)) == (1, [], [])

    def test_they_are_dead_letters_if_it_lasts(self, stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
        stage.connections.refusing.update(MEMBERS)
        stage.say(*TEXTS[:3])
        stage.sqs.drain(stage.handler)

        lost = [tasks.parse(body) for body in stage.sqs.dead_letters]
        assert sorted(each.message.data for each in lost if isinstance(each, tasks.Task)) == TEXTS[:3]
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        given_up = [line for line in lines if line["message"] == "a task is given up"]
        assert {line["level"] for line in given_up} == {"ERROR"}
        assert sum(line["failed"] for line in given_up) >= 3

    def test_who_may_have_a_copy_gets_one_more_at_most(self, stage: Stage) -> None:
        stage.connections.silent.add(MEMBERS[3])
        stage.say("one")
        stage.sqs.invoke(stage.handler)
        stage.connections.silent.clear()
        stage.sqs.drain(stage.handler)

        assert [each.copies for each in stage.connections.stragglers] == [0, 1]

    def test_each_try_that_was_not_answered_may_have_left_a_copy(self, stage: Stage) -> None:
        stage.connections.silent.add(MEMBERS[3])
        stage.say("one")
        stage.sqs.invoke(stage.handler)  # the room
        stage.sqs.invoke(stage.handler)  # the lane
        stage.connections.silent.clear()
        stage.sqs.drain(stage.handler)

        assert [each.copies for each in stage.connections.stragglers] == [0, 1, 2]

    def test_one_that_has_all_is_served_by_the_room_although_another_one_waits(self, stage: Stage) -> None:
        stage.connections.failing.update(MEMBERS[3:5])
        stage.say("one")
        stage.sqs.invoke(stage.handler)
        stage.connections.failing.remove(MEMBERS[3])
        stage.sqs.invoke(stage.handler)
        stage.say("two")
        while "two" not in stage.received()[MEMBERS[5]]:
            assert stage.sqs.invoke(stage.handler, 1)

        assert stage.received()[MEMBERS[3]] == ["one", "two"]
        assert stage.received()[MEMBERS[4]] == []

    def test_a_worker_that_died_may_have_sent_a_copy(self, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        stage.connections.failing.add(MEMBERS[3])
        stage.say("one")
        stage.sqs.invoke(stage.handler)
        told: list[int] = []

        def kill(*_: Any, stragglers: Any, **__: Any) -> Any:
            told.append(stragglers.copies)
            raise WorkerDiedError

        monkeypatch.setattr(stage.connections, "deliver", kill)
        stage.sqs.drain(stage.handler)

        assert len(told) > 2
        # One post is left to the last workers, which is not repeated where it is not answered.
        assert told == [min(number, fanout.MAXIMUM_COPIES - 1) for number in range(len(told))]

    def test_within_a_batch_it_is_waited_for_once(self, stage: Stage) -> None:
        stage.connections.failing.add(MEMBERS[3])
        stage.say(*TEXTS)
        stage.sqs.invoke(stage.handler)

        assert sum(each == (MEMBERS[4], text) for each in stage.connections.posts for text in TEXTS) == len(TEXTS)
        [patience] = stage.connections.patience
        assert patience is not None
        assert 0 < patience < 1

    def test_many_are_no_stragglers_but_the_room_waits(self, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(backlog, "MAXIMUM_HELD", 2)
        stage.connections.failing.update(MEMBERS[3:])
        stage.say(*TEXTS[:2])
        stage.sqs.invoke(stage.handler)
        stage.connections.failing.clear()
        stage.sqs.drain(stage.handler)

        assert stage.received() == everybody(TEXTS[:2])
        assert stage.copies() == 1

    def test_those_of_earlier_messages_count_too(
        self, stage: Stage, table: FakeTable, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(backlog, "MAXIMUM_HELD", 2)
        for number, failing in enumerate((MEMBERS[3:5], MEMBERS[5:7], MEMBERS[7:9])):
            stage.connections.failing.update(failing)
            stage.say(TEXTS[number])
            stage.sqs.invoke(stage.handler)
            [held] = [table.items[key]["body"]["S"] for key in backlog_of(table) if key[1] == backlog.HELD]
            assert json.loads(held) == MEMBERS[3:5]
        stage.connections.failing.clear()
        stage.sqs.drain(stage.handler)

        assert stage.received() == everybody(TEXTS[:3])
        assert backlog_of(table) == []


def test_a_room_that_cannot_be_reached_is_tried_again_after_a_pause(
    stage: Stage, table: FakeTable, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.connections.failing.update(MEMBERS)
    stage.say(*TEXTS[:3])
    stage.sqs.invoke(stage.handler)
    assert not stage.sqs.invoke(stage.handler)
    stage.connections.failing.clear()
    stage.sqs.drain(stage.handler)

    assert stage.received() == everybody(TEXTS[:3])
    assert backlog_of(table) == []
    assert "given up" not in capsys.readouterr().out


def test_what_was_served_before_nobody_could_be_reached_is_not_served_again(
    stage: Stage, table: FakeTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver = stage.connections.deliver

    def break_down(recipients: Any, data: bytes, **options: Any) -> Any:
        stage.connections.failing = set(MEMBERS) if data.decode() == TEXTS[2] and not stage.sqs.now else set()
        return deliver(recipients, data, **options)

    monkeypatch.setattr(stage.connections, "deliver", break_down)
    stage.say(*TEXTS[:5])
    stage.sqs.drain(stage.handler)

    assert stage.received() == everybody(TEXTS[:5])
    assert (stage.copies(), stage.sqs.dead_letters, backlog_of(table)) == (1, [], [])


def test_a_message_for_which_time_was_too_short_after_another_one_waits_for_no_pause(
    stage: Stage, table: FakeTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver = stage.connections.deliver
    tries: list[bytes] = []

    def slowly(recipients: Iterator[Any], data: bytes, **options: Any) -> Any:
        tries.append(data)
        stage.connections.failing = set(MEMBERS) if tries == [b"one", b"two"] else set()
        return deliver(recipients, data, **options)

    monkeypatch.setattr(stage.connections, "deliver", slowly)
    stage.say("one", "two")
    stage.sqs.drain(stage.handler)

    assert tries == [b"one", b"two", b"two"]
    assert stage.received() == everybody(["one", "two"])
    assert (stage.sqs.now, stage.sqs.receives) == (0.0, 1)
    assert backlog_of(table) == []


def test_a_message_that_is_given_up_is_an_error_a_metric_and_a_dead_letter(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.connections.failing.update(MEMBERS)
    stage.say("never")
    stage.sqs.drain(stage.handler)

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(stage.sqs.dead_letters) == 1
    assert sum(line["level"] == "ERROR" and line["message"] == "a task is given up" for line in lines) == 1
    assert [line["failed"] for line in lines if line["message"] == "a task is given up"] == [1]


@pytest.mark.parametrize("body", [f"not a task: {PLANTED}", '{"v":99,"kind":"task"}', '{"v":1,"kind":"later"}'])
def test_what_nobody_can_read_blocks_nobody(stage: Stage, body: str, capsys: pytest.CaptureFixture[str]) -> None:
    stage.say("before")
    stage.sqs.put(body, "lobby.0")
    stage.say("after")
    stage.sqs.invoke(stage.handler)
    assert stage.received() == everybody(["before", "after"])
    assert stage.sqs.now == 0
    stage.sqs.drain(stage.handler)

    assert stage.sqs.dead_letters == [body]
    output = capsys.readouterr().out
    assert '"a task is given up"' in output
    assert output.count('"level":"ERROR"') >= 5


@pytest.mark.parametrize("body", [f"not a task: {PLANTED}", '{"v":99,"kind":"task"}'])
def test_what_nobody_can_read_in_the_table_blocks_nobody(stage: Stage, table: FakeTable, body: str) -> None:
    stage.capacity = 5
    stage.say(*TEXTS[:2])
    stage.sqs.invoke(stage.handler)
    first = min(backlog_of(table))
    table.items[first]["body"] = {"S": body}
    stage.capacity = 1_000
    stage.sqs.drain(stage.handler)

    assert {texts[-1] for texts in stage.received().values()} == {TEXTS[1]}
    assert stage.sqs.dead_letters == [body]
    assert backlog_of(table) == []


class TestTroubleWithTableAndQueue:
    """When table or queue fail, no acknowledged message is lost."""

    @pytest.mark.parametrize("operation", ["Query", "TransactWriteItems"])
    def test_a_table_that_fails(
        self, stage: Stage, table: FakeTable, operation: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        stage.capacity = 5
        stage.say(*TEXTS[:3])
        table.failing.add(operation)
        stage.sqs.invoke(stage.handler)
        assert len(stage.sqs) >= 3
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        [line] = [line for line in lines if line["message"] == "the backlog cannot be kept"]
        assert (line["level"], line["task_id"]) == ("ERROR", "m-1")
        assert line["error"] == f"{operation} failed: InternalServerError"
        table.failing.clear()
        stage.sqs.drain(stage.handler)

        assert stage.received() == everybody(TEXTS[:3])
        assert backlog_of(table) == []

    def test_a_queue_that_takes_no_wake_up(
        self, stage: Stage, table: FakeTable, capsys: pytest.CaptureFixture[str]
    ) -> None:
        stage.capacity = 5
        stage.say(*TEXTS[:3])
        stage.sqs.refusing = True
        stage.sqs.invoke(stage.handler)
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        [line] = [line for line in lines if line["message"] == "what is left cannot be handed over"]
        assert (line["level"], line["task_id"]) == ("ERROR", "m-1")
        assert line["error"] == "SendMessageBatch failed: ServiceUnavailable"
        stage.sqs.refusing = False
        stage.sqs.drain(stage.handler)

        assert stage.received() == everybody(TEXTS[:3])
        assert stage.copies() == 1
        assert backlog_of(table) == []

    @pytest.mark.parametrize("straggler", [False, True])
    def test_an_item_that_another_worker_has_replaced(
        self, stage: Stage, table: FakeTable, monkeypatch: pytest.MonkeyPatch, *, straggler: bool
    ) -> None:
        """One that SQS took for dead."""
        stage.connections.failing.update(MEMBERS[3:5] if straggler else ())
        stage.capacity = 1_000 if straggler else 5
        stage.say(*TEXTS[:2])
        stage.sqs.invoke(stage.handler)
        if straggler:
            # The lane, and the room's next message together with the lane's wake-up.
            stage.sqs.invoke(stage.handler)
            stage.sqs._skip()
            stage.say(TEXTS[2])
            stage.sqs.invoke(stage.handler)
            stage.connections.failing.discard(MEMBERS[3])
        else:
            stage.capacity = 10
            stage.say(TEXTS[2])
        deliver = stage.connections.deliver_all

        def meanwhile(*arguments: Any, **options: Any) -> Any:
            monkeypatch.setattr(stage.connections, "deliver_all", deliver)
            for key in [key for key in backlog_of(table) if key[1].startswith(backlog.TASK)]:
                table.items[key] = {**table.items[key], "connected_at": {"N": str(time.time_ns())}}
            return deliver(*arguments, **options)

        monkeypatch.setattr(stage.connections, "deliver_all", meanwhile)
        stage.sqs.invoke(stage.handler)
        stage.connections.failing.clear()
        stage.sqs.drain(stage.handler)

        assert stage.received() == everybody(TEXTS[:3])
        assert backlog_of(table) == []

    @pytest.mark.parametrize("trouble", ["table", "queue"])
    def test_what_was_served_to_the_last_member_before_the_trouble_is_not_served_again(
        self, stage: Stage, table: FakeTable, trouble: str
    ) -> None:
        stage.capacity = 2 * len(MEMBERS) + 5
        stage.say(*TEXTS[:4])
        stage.sqs.refusing = trouble == "queue"
        table.failing.update({"TransactWriteItems"} if trouble == "table" else ())
        stage.sqs.invoke(stage.handler)
        stage.sqs.refusing = False
        table.failing.clear()
        stage.capacity = 1_000
        stage.sqs.drain(stage.handler)

        assert stage.received() == everybody(TEXTS[:4])
        assert {stage.connections.posts.count((each, text)) for each in MEMBERS for text in TEXTS[:2]} == {1}
        assert backlog_of(table) == []

    def test_nor_when_the_trouble_comes_after_a_straggler_was_handed_over(
        self, stage: Stage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        change, changes = WaitingItems.change, itertools.count(1)

        def fail_at_second(*arguments: Any) -> None:
            if next(changes) == 2:
                raise aws_json.ServiceError("TransactWriteItems", "InternalServerError", {}, transient=True)
            change(*arguments)

        stage.capacity = len(MEMBERS) + 5
        stage.connections.failing.add(MEMBERS[3])
        stage.say(*TEXTS[:2])
        monkeypatch.setattr(WaitingItems, "change", fail_at_second)
        stage.sqs.invoke(stage.handler)
        stage.connections.failing.clear()
        stage.capacity = 1_000
        stage.sqs.drain(stage.handler)

        assert stage.received() == everybody(TEXTS[:2])
        assert {stage.connections.posts.count((each, TEXTS[0])) for each in MEMBERS} == {1}

    def test_a_queue_that_takes_no_straggler(self, stage: Stage) -> None:
        stage.connections.failing.add(MEMBERS[3])
        stage.say("one")
        stage.sqs.refusing = True
        stage.sqs.invoke(stage.handler)
        stage.sqs.refusing = False
        stage.connections.failing.clear()
        stage.sqs.drain(stage.handler)

        assert stage.received() == everybody(["one"])

    @pytest.mark.parametrize("seed", range(40))
    def test_workers_that_die_at_any_point(
        self, stage: Stage, table: FakeTable, seed: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        drawn = random.Random(seed)  # noqa: S311 - the same in every run
        deaths = 3
        stage.capacity = drawn.choice([3, 8, 20, 50])

        def mortal(call: Callable[..., Any]) -> Callable[..., Any]:
            def act(*arguments: Any) -> Any:
                nonlocal deaths
                dies = deaths > 0 and drawn.random() < 0.1
                deaths -= dies
                if dies and drawn.random() < 0.5:
                    raise WorkerDiedError
                answer = call(*arguments)
                if dies:
                    raise WorkerDiedError
                return answer

            return act

        stage.say(*TEXTS)
        monkeypatch.setattr(table, "call", mortal(table.call))
        monkeypatch.setattr(stage.sqs, "call", mortal(stage.sqs.call))
        if drawn.random() < 0.5:
            stage.connections.failing.add(drawn.choice(MEMBERS))
        for _ in range(drawn.randrange(4)):
            stage.sqs.invoke(stage.handler, drawn.choice([1, 4, 10]))
        stage.connections.failing.clear()
        stage.sqs.drain(stage.handler, drawn.choice([1, 4, 10]))

        assert stage.received() == everybody(TEXTS)
        assert stage.copies() <= 1 + stage.sqs.died
        assert (stage.sqs.dead_letters, backlog_of(table)) == ([], [])

    def test_a_task_that_kills_every_worker_is_given_up_and_the_others_arrive(
        self, stage: Stage, table: FakeTable, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        deliver = stage.connections.deliver

        def kill(recipients: Iterator[Any], data: bytes, **options: Any) -> Any:
            report = deliver(recipients, data, **options)
            if data == DEADLY.encode():
                raise WorkerDiedError
            return report

        monkeypatch.setattr(stage.connections, "deliver", kill)
        stage.say("before", DEADLY, "after", "later")
        stage.sqs.drain(stage.handler)

        healthy = {each: [text for text in texts if text != DEADLY] for each, texts in stage.received().items()}
        assert healthy == everybody(["before", "after", "later"])
        assert [text for _, text in stage.connections.posts].count(DEADLY) <= 6 * len(MEMBERS)
        assert [tasks.parse(body).message.data for body in stage.sqs.dead_letters] == [DEADLY]  # type: ignore[union-attr]
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        [moved] = [line for line in lines if line["message"] == "a task goes to the dead letters"]
        assert (moved["level"], moved["room"], moved["shard"]) == (
            "ERROR",
            logs.room_hash("connections", "lobby"),
            0,
        )
        assert [line["level"] for line in lines if line["message"] == "a task is given up"] == ["ERROR"]
        assert backlog_of(table) == []


class TestOrderOfWhatAWorkerDoes:
    """Waiting tasks are deleted once they cannot be lost, and none waits for ever."""

    def test_a_stragglers_message_is_not_lost_with_a_worker_that_dies_before_it_is_in_the_queue(
        self, stage: Stage, table: FakeTable, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stage.capacity = 1
        stage.say(*TEXTS[:2])
        stage.sqs.invoke(stage.handler)
        stage.capacity = 1_000
        stage.connections.failing.add(MEMBERS[3])

        def die(*_: object) -> None:
            raise WorkerDiedError

        with monkeypatch.context() as patch:
            patch.setattr(stage.sqs, "call", die)
            stage.sqs.invoke(stage.handler)
        stage.connections.failing.clear()
        stage.sqs.drain(stage.handler)

        assert {each: list(dict.fromkeys(texts)) for each, texts in stage.received().items()} == everybody(TEXTS[:2])
        assert backlog_of(table) == []

    def test_a_straggler_that_another_worker_serves_at_once_is_not_held_apart_afterwards(
        self, stage: Stage, table: FakeTable, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        put = stage.sqs.call

        def put_and_serve(*call: Any) -> Any:
            answer = put(*call)
            monkeypatch.setattr(stage.sqs, "call", put)
            stage.connections.failing.clear()
            assert stage.sqs.invoke(stage.handler)
            return answer

        stage.say("one")
        stage.connections.failing.add(MEMBERS[3])
        monkeypatch.setattr(stage.sqs, "call", put_and_serve)
        stage.sqs.invoke(stage.handler)

        assert stage.received() == everybody(["one"])
        assert (len(stage.sqs), backlog_of(table)) == (0, [])

    def test_nor_is_a_message_that_is_given_up(
        self, stage: Stage, table: FakeTable, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        deliver = stage.connections.deliver

        def kill(recipients: Iterator[Any], data: bytes, **options: Any) -> Any:
            if data == b"deadly":
                raise WorkerDiedError
            return deliver(recipients, data, **options)

        monkeypatch.setattr(stage.connections, "deliver", kill)
        put = stage.sqs.call
        deaths = 0

        def die_once(operation: str, parameters: Mapping[str, Any], deadline: float) -> Any:
            nonlocal deaths
            if any('"retries":5' in entry.get("MessageBody", "") for entry in parameters["Entries"]) and not deaths:
                deaths += 1
                raise WorkerDiedError
            return put(operation, parameters, deadline)

        monkeypatch.setattr(stage.sqs, "call", die_once)
        stage.say("deadly", "after")
        stage.sqs.drain(stage.handler)

        assert deaths == 1
        assert [tasks.parse(body).message.data for body in stage.sqs.dead_letters] == ["deadly"]  # type: ignore[union-attr]
        assert stage.received() == everybody(["after"])
        assert backlog_of(table) == []

    def test_items_that_have_expired_hold_up_nothing(
        self, stage: Stage, table: FakeTable, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(waiting_items, "PAGE_ITEMS", 4)
        stage.capacity = 5
        stage.say(*TEXTS)
        stage.sqs.invoke(stage.handler)
        for key in backlog_of(table):
            table.items[key]["expires_at"] = {"N": "1"}
        expired = len(backlog_of(table))
        stage.capacity = 1_000
        stage.say("one", "two")
        stage.sqs.drain(stage.handler, limit=20)

        assert expired > 2 * waiting_items.PAGE_ITEMS
        assert all(texts[-2:] == ["one", "two"] for texts in stage.received().values())

    def test_nor_does_a_page_of_them_behind_the_mark_of_a_straggler(
        self, stage: Stage, table: FakeTable, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(waiting_items, "PAGE_ITEMS", 4)
        stage.capacity = 5
        stage.say(*TEXTS)
        stage.sqs.invoke(stage.handler)
        for key in backlog_of(table):
            table.items[key]["expires_at"] = {"N": "1"}
        mark = Waiting(backlog.HELD, json.dumps([MEMBERS[3]]), 1)
        WaitingItems(stage.worker.ROOMS).change("lobby", 0, [mark], [], time.monotonic() + 1)
        stage.capacity = 1_000
        stage.say("one", "two")
        stage.sqs.drain(stage.handler, limit=20)

        assert all(texts[-2:] == ["one", "two"] for texts in stage.received().values())

    def test_the_keys_of_a_task_that_many_workers_serve_do_not_grow(
        self, stage: Stage, table: FakeTable, load: Callable[[str], Any]
    ) -> None:
        connect = load("connect")
        others = [f"other-{number:03}=" for number in range(30)]
        for each in others:
            connect.handler(handshake(each, "lobby"), FakeContext())
        stage.capacity = 1
        stage.say("one", "two")
        longest = 0
        while stage.sqs.invoke(stage.handler):
            longest = max([longest, *(len(sort_key) for _, sort_key in backlog_of(table))])

        assert longest <= 64  # and DynamoDB takes 1,024 bytes
        assert {each: stage.connections.received(each) for each in others} == {each: ["one", "two"] for each in others}

    def test_parts_are_served_in_order_before_what_comes_next(
        self, stage: Stage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(backlog, "MAXIMUM_HELD", 0)
        monkeypatch.setattr(tasks, "RECIPIENTS_PER_TASK", 2)
        stage.capacity = 7
        stage.connections.failing.update(MEMBERS[1:6])
        stage.say(*TEXTS[:3])
        stage.sqs.invoke(stage.handler)
        stage.connections.failing.clear()
        stage.capacity = 1
        stage.sqs.drain(stage.handler)

        assert stage.received() == everybody(TEXTS[:3])
        assert stage.copies() == 1

    def test_for_whom_there_was_no_time_is_no_straggler(self, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        deliver = stage.connections.deliver

        def in_short_time(recipients: Iterator[Any], data: bytes, **options: Any) -> Any:
            taken = list(recipients)
            if len(taken) == len(MEMBERS):
                options["stragglers"].on_untried(taken[-3:])
                del taken[-3:]
            return deliver(taken, data, **options)

        monkeypatch.setattr(stage.connections, "deliver", in_short_time)
        stage.say(*TEXTS[:2])
        puts = stage.sqs.puts
        stage.sqs.drain(stage.handler)

        assert stage.received() == everybody(TEXTS[:2])
        assert stage.sqs.puts - puts <= 4  # wake-ups, and no group for each of them
        assert (stage.sqs.now, stage.copies()) == (0.0, 1)

    def test_a_silent_straggler_gets_its_second_copy_before_the_next_message(self, stage: Stage) -> None:
        slow = MEMBERS[3]
        stage.connections.failing.add(slow)
        stage.say(*TEXTS[:3])
        stage.sqs.invoke(stage.handler)
        stage.connections.failing.clear()
        stage.connections.silent.add(slow)
        stage.sqs.invoke(stage.handler, 1)
        stage.connections.silent.clear()
        stage.sqs.drain(stage.handler, 1)

        assert stage.connections.received(slow) == TEXTS[:3]

    def test_a_straggler_that_is_given_up_is_served_by_the_room_again(self, stage: Stage, table: FakeTable) -> None:
        stage.connections.failing.add(MEMBERS[3])
        stage.say("one")
        stage.sqs.drain(stage.handler)

        assert len(stage.sqs.dead_letters) == 1
        assert backlog_of(table) == []

    def test_a_group_that_no_time_is_left_for_is_kept_without_a_pause(
        self, stage: Stage, table: FakeTable, load: Callable[[str], Any]
    ) -> None:
        load("connect").handler(handshake("elsewhere=", "hall"), FakeContext())
        stage.capacity = len(MEMBERS)
        stage.say("one")
        stage.sqs.put(tasks.Task(RoomMessage("hall", "elsewhere=", "two", "r"), 0).to_json(), "hall.0")
        stage.sqs.invoke(stage.handler)
        assert stage.connections.received("elsewhere=") == []
        stage.sqs.drain(stage.handler)

        assert stage.connections.received("elsewhere=") == ["two"]
        assert (stage.sqs.now, stage.sqs.receives) == (0.0, 1)
        assert backlog_of(table) == []

    def test_a_straggler_that_cannot_be_reached_yet_is_tried_again_within_seconds(self, stage: Stage) -> None:
        stage.connections.failing.add(MEMBERS[3])
        stage.say(*TEXTS[:3])
        while stage.sqs.now < 10:
            assert stage.sqs.invoke(stage.handler) or stage.sqs._skip()
        stage.connections.failing.clear()
        stage.sqs.drain(stage.handler)

        assert stage.received() == everybody(TEXTS[:3])
        assert stage.sqs.now < 60
        assert stage.sqs.dead_letters == []

    def test_a_room_whose_only_member_does_not_read_waits_for_seconds_while_others_are_served(
        self, stage: Stage, load: Callable[[str], Any]
    ) -> None:
        load("connect").handler(handshake("elsewhere=", "hall"), FakeContext())
        stage.connections.failing.add("elsewhere=")
        stage.say("one")
        stage.sqs.put(tasks.Task(RoomMessage("hall", "elsewhere=", "two", "r"), 0).to_json(), "hall.0")
        stage.sqs.invoke(stage.handler)
        stage.connections.failing.clear()
        stage.sqs.drain(stage.handler)

        assert stage.connections.received("elsewhere=") == ["two"]
        assert stage.sqs.now < 60

    def test_the_last_try_is_followed_by_no_pause(self, stage: Stage) -> None:
        """SQS makes a dead letter of the message with its next receive, and those behind it wait for that."""
        stage.connections.failing.add(MEMBERS[3])
        stage.say("one")
        tried_at = -1.0
        while not stage.sqs.dead_letters:
            if stage.sqs.invoke(stage.handler):
                tried_at = stage.sqs.now
            elif not stage.sqs.dead_letters:
                assert stage.sqs._skip()

        assert stage.sqs.receives == tasks.MAXIMUM_RECEIVES
        assert stage.sqs.now == tried_at

    @pytest.mark.parametrize("refused", ["whole", "entry"])
    def test_a_queue_that_sets_no_delay_is_told_and_loses_nothing(
        self, stage: Stage, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, refused: str
    ) -> None:
        stage.connections.failing.add(MEMBERS[3])
        stage.say("one")
        stage.sqs.invoke(stage.handler)
        call = stage.sqs.call

        def refuse(operation: str, *rest: Any) -> Any:
            if operation != "ChangeMessageVisibilityBatch":
                return call(operation, *rest)
            if refused == "entry":
                return {"Successful": [], "Failed": [{"Id": "0", "Code": "AccessDenied", "SenderFault": True}]}
            raise aws_json.ServiceError(operation, "AccessDenied", {}, transient=False)

        monkeypatch.setattr(stage.sqs, "call", refuse)
        capsys.readouterr()
        stage.sqs.invoke(stage.handler)  # the lane
        stage.sqs.invoke(stage.handler)  # its wake-up, which is not due
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        [told] = [line for line in lines if line["message"] == "a delay cannot be set"]
        assert (told["level"], told["error"]) == ("WARNING", "ChangeMessageVisibilityBatch failed: AccessDenied")
        stage.connections.failing.clear()
        stage.sqs.drain(stage.handler)

        assert stage.received() == everybody(["one"])


def test_records_without_a_sequence_number_keep_the_order_of_the_batch(stage: Stage) -> None:
    stage.capacity = 5
    queued = [tasks.Task(RoomMessage("lobby", "a", text, "r"), 0) for text in TEXTS[:3]]
    records = [
        {"messageId": f"m-{number}", "body": task.to_json(), "attributes": {"MessageGroupId": "lobby.0"}}
        for number, task in enumerate(queued)
    ]
    assert stage.handler({"Records": records}, FakeContext()) == {"batchItemFailures": []}
    stage.sqs.drain(stage.handler)

    assert stage.received() == everybody(TEXTS[:3])


def test_keys_sort_as_sequence_numbers_do() -> None:
    numbers = [0, 9, 10, 2**64, 18_849_496_460_467_696_128, 2**128 - 1]
    keys = [backlog.key_of(str(number), 0) for number in numbers]

    assert keys == sorted(keys)
    assert all(key > backlog.HELD for key in keys)
    assert backlog.key_of("", 0) < backlog.key_of("", 1_000_000_000) < backlog.key_of(str(10**19), 0)


def test_what_waits_expires_when_nobody_is_left_to_serve(stage: Stage, table: FakeTable) -> None:
    stage.capacity = 1
    stage.say("one")
    stage.sqs.invoke(stage.handler)

    [key] = backlog_of(table)
    left = int(table.items[key]["expires_at"]["N"]) - time.time()
    assert items.CONNECTION_LIFETIME_SECONDS < left < items.CONNECTION_LIFETIME_SECONDS + 3_600
