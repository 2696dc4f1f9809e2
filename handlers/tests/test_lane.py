"""The lane of a FIFO queue's stragglers: however many they are, they hold up nobody, and each receives in order."""

from __future__ import annotations

import json
import random
import time
from typing import TYPE_CHECKING, Any

import pytest
from roomcast import aws_json, backlog, lane, tasks, waiting_items
from roomcast.delivery import RoomMessage
from roomcast.items import Waiting
from roomcast.waiting_items import WaitingItems
from tests.fakes import FakeConnections, FakeContext, FakeTable, handshake, message
from tests.sqs_model import WorkerDiedError
from tests.test_fanout_fifo import MEMBERS, TEXTS, Stage, backlog_of, everybody, stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["stage"]

V1 = [MEMBERS[11], *MEMBERS[6:11]]
"""Members that speak ``roomcast.v1``, in tests of that; the first one reads always."""

CROWD = [f"crowd-{number:03}=" for number in range(60)]


@pytest.fixture
def crowd(load: Callable[[str], Any], connections: FakeConnections) -> list[str]:
    """Sixty more members of the lobby, none of whom reads."""
    for each in CROWD:
        load("connect").handler(handshake(each, "lobby"), FakeContext())
    connections.failing.update(CROWD)
    return CROWD


def waiting_in(table: FakeTable, partition: str) -> list[tuple[str, str]]:
    """Keys of the items in one partition."""
    return [key for key in backlog_of(table) if key[0] == partition]


def settle(stage: Stage, batch: int = 10) -> None:
    """Invoke the worker until nothing is visible."""
    for _ in range(300):
        if not stage.sqs.invoke(stage.handler, batch):
            return
    raise AssertionError("no end")


def lines_of(capsys: pytest.CaptureFixture[str], message: str) -> list[dict[str, Any]]:
    """Lines of the log with a message."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [line for line in lines if line["message"] == message]


def kill_with(text: str, stage: Stage, monkeypatch: pytest.MonkeyPatch, *, when: Callable[[Any], bool]) -> None:
    """Have workers die of posts of a text."""
    deliver = stage.connections.deliver

    def die(recipients: Iterator[Any], data: bytes, **options: Any) -> Any:
        report = deliver(recipients, data, **options)
        if data == text.encode() and when(options["stragglers"]):
            raise WorkerDiedError
        return report

    monkeypatch.setattr(stage.connections, "deliver", die)


def test_many_hold_up_nobody_and_receive_in_order(stage: Stage, table: FakeTable, crowd: list[str]) -> None:
    stage.say(*TEXTS)
    stage.sqs.invoke(stage.handler)
    assert stage.received() == everybody(TEXTS)
    # A message each, however many they are.
    assert len(stage.sqs) == len(TEXTS)
    stage.connections.failing.clear()
    stage.sqs.drain(stage.handler)

    assert all(stage.connections.received(each) == TEXTS for each in crowd)
    assert (stage.copies(), stage.sqs.now, stage.sqs.dead_letters, backlog_of(table)) == (1, 0.0, [], [])


@pytest.fixture
def forms(stage: Stage, table: FakeTable) -> Callable[[], dict[str, list[str]]]:
    """Half of the members speak ``roomcast.v1``. Gives, for each member, what it has received; of copies, the first."""
    for item in table.items.values():
        if any(name in {item["sort_key"]["S"], item["partition_key"]["S"].removeprefix("connection#")} for name in V1):
            item["protocol"] = {"S": "roomcast.v1"}
    return stage.received


def say_in_frames(stage: Stage, *texts: str) -> None:
    """Have a client of ``roomcast.v1`` send messages."""
    for number, text in enumerate(texts):
        frame = {"action": "sendmessage", "room": "lobby", "id": f"message-{number:08}", "data": text}
        stage.sendmessage.handler(message(V1[0], frame), FakeContext())


def has_its_own_form(received: Mapping[str, list[str]], texts: list[str]) -> bool:
    """Whether members of text mode have the texts, and the others all the same frames with them."""
    frames = received[V1[0]]
    data = [json.loads(frame) for frame in frames if json.loads(frame)["type"] == "message"]
    assert [(each["data"], each["from"]) for each in data] == [(text, V1[0]) for text in texts]
    own = [text for text, frame in zip(frames, map(json.loads, frames), strict=True) if frame["type"] == "message"]
    others = {name: heard for name, heard in received.items() if name != V1[0]}
    return all(heard == (own if name in V1 else texts) for name, heard in others.items())


@pytest.mark.parametrize("returning", [MEMBERS[3:9], MEMBERS[3:5], MEMBERS[7:9]], ids=["all", "text", "frames"])
def test_each_straggler_receives_its_own_form(
    stage: Stage, table: FakeTable, forms: Callable[[], dict[str, list[str]]], returning: list[str]
) -> None:
    """Some read again before the others."""
    stage.connections.failing.update(MEMBERS[3:9])
    say_in_frames(stage, *TEXTS[:3])
    settle(stage)
    stage.connections.failing.difference_update(returning)
    stage.sqs._skip()
    settle(stage)
    stage.connections.failing.clear()
    stage.sqs.drain(stage.handler)

    assert has_its_own_form(forms(), TEXTS[:3])
    assert (stage.copies(), stage.sqs.dead_letters, backlog_of(table)) == (1, [], [])


@pytest.mark.parametrize("seed", range(6))
def test_parts_of_a_message_keep_the_forms_of_their_members(
    stage: Stage, table: FakeTable, forms: Callable[[], dict[str, list[str]]], seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - no secret
    failing, silent = stage.connections.failing, stage.connections.silent
    say_in_frames(stage, *TEXTS[:3])
    for _ in range(5):
        for each in MEMBERS[3:]:
            failing.discard(each)
            silent.discard(each)
            chance.choice([failing, failing, silent, set()]).add(each)
        stage.sqs.invoke(stage.handler)
        stage.sqs._skip()
        settle(stage)
    failing.clear()
    silent.clear()
    stage.sqs.drain(stage.handler)

    assert has_its_own_form(forms(), TEXTS[:3])
    assert (stage.sqs.dead_letters, backlog_of(table)) == ([], [])


def test_a_dead_letter_that_is_moved_back_has_the_same_frame(
    stage: Stage, forms: Callable[[], dict[str, list[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.connections.failing.update(MEMBERS[5:8])
    say_in_frames(stage, "one")
    stage.sqs.drain(stage.handler)
    stage.connections.failing.clear()
    [body] = stage.sqs.dead_letters
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 3_600)
    stage.sqs.put(body, ":0")
    stage.sqs.drain(stage.handler)

    assert has_its_own_form(forms(), ["one"])


def test_the_room_waits_for_none_of_those_who_read_again(stage: Stage, table: FakeTable, crowd: list[str]) -> None:
    """Each at a time of its own."""
    for number, text in enumerate(TEXTS[:5]):
        stage.say(text)
        settle(stage)
        assert stage.received() == everybody(TEXTS[: number + 1])
        stage.connections.failing.difference_update(crowd[12 * number : 12 * number + 12])
        stage.sqs._skip()
    stage.sqs.drain(stage.handler)

    assert all(stage.connections.received(each) == TEXTS[:5] for each in crowd)
    assert (stage.copies(), stage.sqs.dead_letters, backlog_of(table)) == (1, [], [])


def test_who_reads_again_does_not_wait_for_those_who_do_not(stage: Stage, crowd: list[str]) -> None:
    stage.say("one")
    stage.sqs.invoke(stage.handler)
    stage.connections.failing.discard(crowd[0])
    stage.sqs.invoke(stage.handler)
    assert stage.connections.received(crowd[0]) == ["one"]
    # The others' wake-up is not due.
    stage.say("two", "three")
    settle(stage)

    assert stage.connections.received(crowd[0]) == ["one", "two", "three"]
    assert stage.sqs.now == 0
    assert stage.connections.received(crowd[1]) == []


def test_one_that_is_not_tried_now_costs_no_post(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []
    stage.connections.failing.add(MEMBERS[3])
    stage.say("one")
    settle(stage)
    deliver = stage.connections.deliver

    def note(recipients: Iterator[Any], data: bytes, **options: Any) -> Any:
        found = list(recipients)
        tried.extend(each.connection_id for each in found)
        return deliver(found, data, **options)

    monkeypatch.setattr(stage.connections, "deliver", note)
    stage.say(*TEXTS)
    settle(stage)

    assert tried
    assert MEMBERS[3] not in tried


def test_what_is_given_up_is_one_dead_letter_for_all(
    stage: Stage, table: FakeTable, crowd: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    stage.say("one", "two")
    stage.sqs.drain(stage.handler)

    assert sorted(tasks.parse(body).message.data for body in stage.sqs.dead_letters) == ["one", "two"]  # type: ignore[union-attr]
    assert 31 <= stage.sqs.now < 180
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["level"] for line in lines if line["message"] == "a task is given up"] == ["ERROR"] * 2
    assert sum(line.get("given_up", 0) for line in lines) == 2 * len(crowd)
    assert backlog_of(table) == []
    stage.connections.failing.clear()
    stage.say("three")
    stage.sqs.drain(stage.handler)
    assert all(stage.connections.received(each) == ["three"] for each in crowd)


def test_what_came_later_is_given_up_later(stage: Stage) -> None:
    stage.connections.failing.add(MEMBERS[3])
    stage.say("one")
    while stage.sqs.now < 20:
        assert stage.sqs.invoke(stage.handler) or stage.sqs._skip()
    stage.say("two")
    while not stage.sqs.dead_letters:
        assert stage.sqs.invoke(stage.handler) or stage.sqs._skip()
    stage.connections.failing.clear()
    stage.sqs.drain(stage.handler)

    assert [tasks.parse(body).message.data for body in stage.sqs.dead_letters] == ["one"]  # type: ignore[union-attr]
    assert stage.connections.received(MEMBERS[3]) == ["two"]


def test_a_dead_letter_that_is_moved_back_is_served(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.connections.failing.add(MEMBERS[3])
    stage.say("one")
    stage.sqs.drain(stage.handler)
    stage.connections.failing.clear()
    [body] = stage.sqs.dead_letters
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 3_600)
    stage.sqs.put(body, ":0")
    stage.sqs.drain(stage.handler)

    assert stage.connections.received(MEMBERS[3]) == ["one"]


def test_wake_ups_do_not_add_up(stage: Stage, crowd: list[str]) -> None:
    for number in range(100):
        stage.say(f"message {number}")
        settle(stage)
        if number % 9 == 0:
            stage.connections.failing.add(MEMBERS[number % 11 + 1])
            stage.sqs._skip()
        # One that is due, and perhaps a later one that it has replaced.
        assert sum(tasks.TIMER in each.group for each in stage.sqs._messages) <= 2
    assert crowd


@pytest.mark.parametrize("enough", [2, 5, 300])
@pytest.mark.parametrize("actions", [1, 3, 100])
def test_a_lane_longer_than_a_worker_reads_keeps_the_order(
    stage: Stage, table: FakeTable, monkeypatch: pytest.MonkeyPatch, enough: int, actions: int
) -> None:
    monkeypatch.setattr(lane, "ENOUGH", enough)
    monkeypatch.setattr(lane, "MAXIMUM_ACTIONS", actions)
    monkeypatch.setattr(waiting_items, "PAGE_ITEMS", 2)
    stage.connections.failing.update(MEMBERS[3:6])
    for text in TEXTS:
        stage.say(text)
        stage.sqs.invoke(stage.handler)
    settle(stage, 3)
    stage.connections.failing.remove(MEMBERS[4])
    stage.sqs._skip()
    settle(stage, 3)
    stage.connections.failing.clear()
    stage.say("the last")
    stage.sqs.drain(stage.handler, 3)

    assert stage.received() == everybody([*TEXTS, "the last"])
    assert (stage.copies(), stage.sqs.dead_letters, backlog_of(table)) == (1, [], [])


@pytest.mark.parametrize("seed", range(20))
def test_parts_of_a_message_stay_apart_whatever_each_straggler_answers(
    stage: Stage, table: FakeTable, seed: int
) -> None:
    """Those that may have a copy are a part of their own, in each round others; parts may be divided again."""
    chance = random.Random(seed)  # noqa: S311
    failing, silent = stage.connections.failing, stage.connections.silent
    for number in range(6):
        for each in MEMBERS[3:9]:
            failing.discard(each)
            silent.discard(each)
            chance.choice([failing, failing, silent, silent, set()]).add(each)
        if number % 2 == 0:
            stage.say(TEXTS[number // 2])
        stage.sqs.invoke(stage.handler)
        stage.sqs._skip()
        settle(stage)
    failing.clear()
    silent.clear()
    stage.sqs.drain(stage.handler)

    assert stage.received() == everybody(TEXTS[:3])
    assert (stage.sqs.dead_letters, backlog_of(table)) == ([], [])


@pytest.mark.parametrize(("enough", "capacity"), [(5, 1_000), (300, 15)])
def test_a_lane_is_bounded_while_messages_come_that_find_too_much(
    stage: Stage, table: FakeTable, monkeypatch: pytest.MonkeyPatch, enough: int, capacity: int
) -> None:
    """Two a second: more waits than a worker reads, or than it has time for, and none puts off the time to give up."""
    monkeypatch.setattr(lane, "ENOUGH", enough)
    monkeypatch.setattr(waiting_items, "PAGE_ITEMS", 2)
    stage.capacity = capacity
    stage.connections.failing.add(MEMBERS[3])
    longest = 0
    for number in range(300):
        stage.sqs.now = number / 2
        stage.say(f"message {number}")
        settle(stage)
        longest = max(longest, len(backlog_of(table)))
    # 31 s, and up to 16 s until the next wake-up.
    assert longest < 2 * (31 + 16 + 5)
    # Each message makes a worker write it down, but none tries all that wait.
    tries = sum(each.presume_alone for each in stage.connections.stragglers)
    assert tries < 5 * 300
    stage.connections.failing.clear()
    stage.sqs.drain(stage.handler)
    heard = stage.connections.received(MEMBERS[3])
    assert heard == [f"message {number}" for number in range(300 - len(heard), 300)]


def test_large_messages_fit_into_transactions(stage: Stage, table: FakeTable, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"{number:02}{'x' * 130_000}" for number in range(30)]
    stage.connections.failing.update(MEMBERS[3:6])
    written: list[tuple[int, int]] = []
    transact = table._transact

    def measure(parameters: Mapping[str, Any]) -> dict[str, Any]:
        written.append((len(parameters["TransactItems"]), len(json.dumps(parameters))))
        return transact(parameters)

    monkeypatch.setattr(table, "_transact", measure)
    for text in texts:
        stage.say(text)
        stage.sqs.invoke(stage.handler)
    # So that all are rewritten at a time.
    settle(stage)
    stage.connections.failing.remove(MEMBERS[4])
    stage.sqs._skip()
    settle(stage)
    stage.connections.failing.clear()
    stage.sqs.drain(stage.handler)

    assert stage.received() == everybody(texts)
    assert max(actions for actions, _ in written) <= 100
    assert max(size for _, size in written) < 4_000_000


def test_a_wake_up_that_was_lost_is_sent_again(stage: Stage, table: FakeTable, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.connections.failing.add(MEMBERS[3])
    stage.say("one")
    for _ in range(2):
        stage.sqs.invoke(stage.handler)
    stage.sqs._messages.clear()
    now = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: now() + 3_600 * 10**9)
    stage.connections.failing.clear()
    stage.say("two")
    stage.sqs.drain(stage.handler)

    assert stage.received() == everybody(["one", "two"])
    assert backlog_of(table) == []


@pytest.mark.parametrize("refused", ["SendMessageBatch", "ChangeMessageVisibilityBatch"])
def test_a_queue_that_refuses_a_wake_up(stage: Stage, monkeypatch: pytest.MonkeyPatch, refused: str) -> None:
    stage.connections.failing.add(MEMBERS[3])
    stage.say("one")
    stage.sqs.invoke(stage.handler)
    call = stage.sqs.call

    def refuse(operation: str, *rest: Any) -> Any:
        if operation == refused:
            raise aws_json.ServiceError(operation, "ServiceUnavailable", {}, transient=True)
        return call(operation, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(stage.sqs, "call", refuse)
        for _ in range(2):
            stage.sqs.invoke(stage.handler)
    stage.connections.failing.clear()
    stage.sqs.drain(stage.handler)

    assert stage.received() == everybody(["one"])
    assert stage.sqs.dead_letters == []


def test_a_message_that_kills_the_lanes_workers_is_given_up_and_the_others_arrive(
    stage: Stage, table: FakeTable, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.connections.failing.update(MEMBERS[3:6])
    kill_with("deadly", stage, monkeypatch, when=lambda stragglers: stragglers.presume_alone)
    stage.say("before", "deadly", "after")
    stage.sqs.invoke(stage.handler)
    stage.connections.failing.clear()
    stage.sqs.drain(stage.handler)

    for each in MEMBERS[3:6]:
        assert [text for text in stage.received()[each] if text != "deadly"] == ["before", "after"]
    assert [tasks.parse(body).message.data for body in stage.sqs.dead_letters] == ["deadly"]  # type: ignore[union-attr]
    assert len(lines_of(capsys, "a task goes to the dead letters")) == 1
    assert waiting_in(table, "backlog#lobby:late#0") == []


def test_a_room_with_more_stragglers_than_an_item_lists_waits_for_the_others(
    stage: Stage, table: FakeTable, crowd: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "MAXIMUM_HELD", len(crowd) - 1)
    stage.say(*TEXTS[:2])
    stage.sqs.invoke(stage.handler)
    stage.connections.failing.clear()
    stage.sqs.drain(stage.handler)

    assert stage.received() == everybody(TEXTS[:2])
    assert all(stage.connections.received(each) == TEXTS[:2] for each in crowd)
    assert (stage.copies(), backlog_of(table)) == (1, [])


def test_a_release_that_comes_late_releases_nobody(
    stage: Stage, table: FakeTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The room's worker has sent another message to the lane meanwhile."""
    stage.connections.failing.add(MEMBERS[3])
    stage.say("one")
    stage.sqs.invoke(stage.handler)
    replace = WaitingItems.replace

    def late(*arguments: Any) -> None:
        monkeypatch.setattr(WaitingItems, "replace", replace)
        stage.say("two")
        stage.sqs.invoke(stage.handler, 1)
        replace(*arguments)

    stage.connections.failing.clear()
    monkeypatch.setattr(WaitingItems, "replace", late)
    stage.sqs.invoke(stage.handler)
    assert waiting_in(table, "backlog#lobby#0") == [("backlog#lobby#0", backlog.HELD)]
    stage.say("three")
    stage.sqs.drain(stage.handler)

    assert stage.received() == everybody(["one", "two", "three"])
    assert backlog_of(table) == []


def test_a_group_of_an_earlier_release_is_served(stage: Stage) -> None:
    """It had one for each straggler."""
    stage.connections.failing.add(MEMBERS[3])
    stage.say(*TEXTS[:2])
    stage.sqs.invoke(stage.handler)
    for each in stage.sqs._messages:
        each.group = "lobby.0:1234abcd"
    stage.connections.failing.clear()
    stage.sqs.drain(stage.handler)

    assert stage.received() == everybody(TEXTS[:2])
    assert stage.copies() == 1


def test_marks_of_an_earlier_release_lose_nothing(stage: Stage, table: FakeTable) -> None:
    """It had one for each straggler, and a group, in which the straggler's messages wait."""
    stage.connections.failing.add(MEMBERS[3])
    stage.say(*TEXTS[:2])
    stage.sqs.invoke(stage.handler)
    for each in stage.sqs._messages:
        each.group = "lobby.0:1234abcd"
    stamp = tasks.parse(stage.sqs._messages[0].body).hold  # type: ignore[union-attr]
    WaitingItems(stage.worker.ROOMS).change(
        "lobby", 0, [Waiting(f"held#{MEMBERS[3]}", "", stamp)], [], time.monotonic() + 60
    )
    del table.items["backlog#lobby#0", backlog.HELD]
    stage.say(*TEXTS[2:4])
    stage.connections.failing.clear()
    stage.sqs.drain(stage.handler)

    assert {each: sorted(texts) for each, texts in stage.received().items()} == everybody(TEXTS[:4])
    assert stage.copies() == 1
    assert (stage.sqs.dead_letters, waiting_in(table, "backlog#lobby:late#0")) == ([], [])


@pytest.mark.parametrize("waits", ["room", "lane"])
def test_what_waits_is_served_when_the_queue_is_fifo_no_longer(
    stage: Stage, table: FakeTable, monkeypatch: pytest.MonkeyPatch, waits: str
) -> None:
    stage.capacity = 5 if waits == "room" else 1_000
    stage.connections.failing.update(MEMBERS[3:5] if waits == "lane" else ())
    stage.say(*TEXTS)
    stage.sqs.invoke(stage.handler)
    if waits == "lane":
        stage.sqs.invoke(stage.handler)
    assert backlog_of(table)
    use_standard_queue(stage, monkeypatch)
    stage.capacity = 1_000
    stage.connections.failing.clear()
    stage.sqs.drain(stage.handler)

    assert {each: sorted(texts) for each, texts in stage.received().items()} == everybody(sorted(TEXTS))
    assert (stage.sqs.dead_letters, backlog_of(table)) == ([], [])


@pytest.mark.parametrize("failing", ["Query", "TransactWriteItems", "queue"])
def test_what_waits_then_is_not_lost_when_table_or_queue_fail(
    stage: Stage, table: FakeTable, monkeypatch: pytest.MonkeyPatch, failing: str, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.capacity = 5
    stage.say(*TEXTS)
    stage.sqs.invoke(stage.handler)
    use_standard_queue(stage, monkeypatch)
    stage.capacity = 1_000
    stage.sqs.refusing = failing == "queue"
    table.failing.update({failing} - {"queue"})
    stage.sqs.invoke(stage.handler)
    assert [line["level"] for line in lines_of(capsys, "the backlog cannot be emptied")] == ["ERROR"]
    stage.sqs.refusing = False
    table.failing.clear()
    stage.sqs.drain(stage.handler)

    assert {each: sorted(texts) for each, texts in stage.received().items()} == everybody(sorted(TEXTS))
    assert (stage.sqs.dead_letters, backlog_of(table)) == ([], [])


def use_standard_queue(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a standard queue in the FIFO queue's place."""
    settings = stage.worker.SETTINGS._replace(queue_is_fifo=False)
    monkeypatch.setattr(stage.worker, "SETTINGS", settings)
    stage.worker.QUEUE._is_fifo = stage.sqs.fifo = False


def test_an_item_is_replaced_only_where_its_stamp_stands(stage: Stage, table: FakeTable) -> None:
    kept, later = WaitingItems(stage.worker.ROOMS), time.monotonic() + 60
    kept.replace("lobby", 0, Waiting("a", "new", 1), later)
    assert backlog_of(table) == []
    kept.change("lobby", 0, [Waiting("a", "old", 1)], [], later)
    kept.replace("lobby", 0, Waiting("a", "new", 2), later)
    assert kept.read("lobby", 0, later)[0] == [Waiting("a", "old", 1)]
    kept.replace("lobby", 0, Waiting("a", "new", 1), later)
    assert kept.read("lobby", 0, later)[0] == [Waiting("a", "new", 1)]
    kept.replace("lobby", 0, Waiting("a", "", 1), later)
    assert backlog_of(table) == []


def test_a_lane_that_is_not_empty_for_weeks_is_read() -> None:
    task = tasks.Task(RoomMessage("lobby", "a", "one", "r"), 0, hold=1, since=2 * tasks.MAXIMUM_COUNT)
    assert tasks.parse(task.to_json()) == task._replace(recipients=[])
