"""Queued delivery by a FIFO queue under everything at once, drawn at random.

Several rooms and shards, workers that run side by side, have little time and die, a table and a queue that fail, and
members that are slow, silent, or dead. ``RANDOM_RUNS`` sets how many runs there are, ``RANDOM_FIRST`` where they begin.
"""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from roomcast import aws_json, fanout, tasks, waiting_items
from roomcast.outcomes import Outcomes
from tests.fakes import FakeConnections, FakeContext, FakeTable, handshake, message
from tests.sqs_model import SqsModel, WorkerDiedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from roomcast.steps import Steps

FIRST = int(os.environ.get("RANDOM_FIRST", "0"))
RUNS = int(os.environ.get("RANDOM_RUNS", "40"))
ROOMS = ("lobby", "hall")
MAXIMUM_TROUBLE = 6


class Members(FakeConnections):
    """Members that may be slow or silent for a while; everything that is sent to them is kept.

    Attributes:
        given_up: Who was given up, with which text.
    """

    def __init__(self, drawn: random.Random) -> None:
        super().__init__()
        self.drawn = drawn
        self.given_up: set[tuple[str, str]] = set()
        self.before_post: Callable[[], None] = lambda: None

    def deliver(self, recipients: Iterable[fanout.Recipient], data: bytes, **options: Any) -> fanout.Report:
        """As ``fanout.Engine.deliver``."""
        stragglers: fanout.Stragglers = options.get("stragglers", fanout.NO_STRAGGLERS)
        outcomes = Outcomes(options.get("on_gone"), options.get("on_failed"), stragglers)
        report = fanout.Report()
        try:
            for recipient in recipients:
                self.before_post()
                self._post(recipient, data.decode(), stragglers, outcomes, report)
        except aws_json.ServiceError as error:
            outcomes.hand_back()
            raise fanout.DeliveryInterruptedError(report) from error
        outcomes.hand_back()
        return report

    def _post(
        self,
        recipient: fanout.Recipient,
        text: str,
        stragglers: fanout.Stragglers,
        outcomes: Outcomes,
        report: fanout.Report,
    ) -> None:
        name = recipient.connection_id
        report.recipients += 1
        if name in self.gone:
            report.gone += 1
            outcomes.gone.add(recipient)
        elif name in self._behind:
            report.failed += 1
            report.late += 1
            outcomes.late.add(recipient)
        elif name in self.silent and self.drawn.random() < 0.7:
            report.failed += 1
            self._behind.add(name)
            if self.drawn.random() < 0.3:
                self.posts.append((name, text))
            if stragglers.copies + 1 >= fanout.MAXIMUM_COPIES:
                self._behind.remove(name)
                self.given_up.add((name, text))
                outcomes.failed.add(recipient)
            else:
                report.late += 1
                outcomes.silent.add(recipient)
        elif name in self.failing and self.drawn.random() < 0.8:
            report.failed += 1
            self._behind.add(name)
            report.late += 1
            outcomes.late.add(recipient)
        else:
            report.delivered += 1
            self.posts.append((name, text))


class World:
    """Two rooms, their members, the table, the queue, and their faults.

    Args:
        seed: Seed of all random choices.
        table: The table.
        load: Loads handlers.
        patch: Undoes all changes.
    """

    def __init__(self, seed: int, table: FakeTable, load: Callable[[str], Any], patch: pytest.MonkeyPatch) -> None:
        self.drawn = drawn = random.Random(seed)  # noqa: S311 - the same in every run
        self.table = table
        self.shards = drawn.choice([1, 1, 2, 3])
        self.sqs = SqsModel(fifo=True)
        self.connections = Members(drawn)
        self.worker, self.sendmessage, connect = (load(name) for name in ("fanout_worker", "sendmessage", "connect"))
        self.members: dict[str, list[str]] = {room: [] for room in ROOMS}
        self.said: dict[str, list[str]] = {room: [] for room in ROOMS}
        self.depth = 0
        self.left = 0
        self.begun = 0
        self.trouble = drawn.randrange(MAXIMUM_TROUBLE)
        self.rate = drawn.choice([0.01, 0.05, 0.2])
        settings = self.worker.SETTINGS._replace(queue_url="https://sqs.example/q.fifo", queue_is_fifo=True)
        made = tasks.Queue(settings)
        made._service = Troubled(self, self.sqs)  # type: ignore[assignment]
        for module in (self.worker, self.sendmessage, connect):
            patch.setattr(module.ROOMS, "shards_per_room", self.shards)
            patch.setattr(module.ROOMS, "shards_read", self.shards)
        patch.setattr(self.worker.ROOMS, "_database", Troubled(self, table))
        patch.setattr(self.worker, "QUEUE", made)
        patch.setattr(self.sendmessage, "QUEUE", made)
        patch.setattr(self.worker, "SETTINGS", settings)
        patch.setattr(self.worker.DELIVERY, "_engine", self.connections)
        patch.setattr("roomcast.progress.Progress.has_time", lambda _: self._take())
        patch.setattr(waiting_items, "PAGE_ITEMS", drawn.choice([4, 7, 50]))
        self.connections.before_post = lambda: self.disturb("post")
        self.capacity = drawn.choice([1, 3, 8, 20, 50, 1_000])
        self.batch = drawn.choice([1, 2, 5, 10])
        for room in ROOMS:
            for number in range(drawn.randrange(2, 9)):
                name = f"{room}-{number}="
                connect.handler(handshake(name, room), FakeContext())
                self.members[room].append(name)
        others = [each for names in self.members.values() for each in names[1:]]
        drawn.shuffle(others)
        self.connections.failing.update(others[: drawn.randrange(3)])
        self.connections.silent.update(others[3 : 3 + drawn.randrange(2)])
        self.connections.gone.update(others[5 : 5 + drawn.randrange(3)])

    def _take(self) -> bool:
        self.left -= 1
        return self.left >= 0

    def say(self) -> None:
        """One message in one room."""
        room = self.drawn.choice(ROOMS)
        text = f"{room} {len(self.said[room])}"
        self.said[room].append(text)
        self.sendmessage.handler(message(self.members[room][0], {"action": "sendmessage", "data": text}), FakeContext())

    def disturb(self, _place: str) -> None:
        """At this moment another worker may run, and this one may die."""
        if not self.depth:
            return  # a sender
        if self.depth < 3 and self.drawn.random() < 0.05:
            self.invoke()
        if self.trouble > 0 and self.drawn.random() < self.rate / 2:
            self.trouble -= 1
            raise WorkerDiedError

    def fails(self) -> bool:
        """Whether a call is refused."""
        refused = self.depth > 0 and self.trouble > 0 and self.drawn.random() < self.rate / 4
        self.trouble -= refused
        return refused

    def invoke(self) -> bool:
        """Have a worker serve a batch, if there is one."""
        left, self.left = self.left, self.capacity
        self.depth += 1
        try:
            return self.sqs.invoke(self._handler, self.batch)
        finally:
            self.depth -= 1
            self.left = left

    def _handler(self, event: Any, context: Any) -> Any:
        self.begun += 1
        answer = self.worker.handler(event, context)
        self.disturb("return")
        return answer

    def run(self) -> None:
        """Messages and invocations in any order, then all that is left."""
        for _ in range(self.drawn.randrange(5, 40)):
            if self.drawn.random() < 0.6:
                self.say()
            else:
                self.invoke()
        if self.drawn.random() < 0.5:
            # A pause of minutes: SQS redelivers the tasks of workers that died.
            self.sqs._skip()
            self.invoke()
        self.trouble = 0
        self.connections.failing.clear()
        self.connections.silent.clear()
        said = sum(len(texts) for texts in self.said.values())
        before = self.begun
        while self.invoke() or self.sqs._skip():
            members = sum(len(names) for names in self.members.values())
            assert self.begun - before <= 30 + 4 * said * self.shards * (1 + members // self.capacity), "no end"

    def received(self, name: str) -> list[str]:
        """Texts that a member was sent, the first copy of each."""
        return list(dict.fromkeys(self.connections.received(name)))


class Troubled:
    """A table or a queue that fails at times; during its calls other workers run, and around them workers die."""

    def __init__(self, world: World, service: Any) -> None:
        self.world = world
        self.service = service

    def call(self, operation: str, parameters: Mapping[str, Any], deadline: float) -> Any:
        """As ``aws_json.Service.call``."""
        self.world.disturb(operation)
        if self.world.fails():
            raise aws_json.ServiceError(operation, "ServiceUnavailable", {}, transient=True)
        answer = self.service.call(operation, parameters, deadline)
        self.world.disturb(operation)
        if self.world.fails():
            raise aws_json.ServiceError(operation, "the connection broke", {}, transient=True)
        return answer

    def steps(self, operation: str, parameters: Mapping[str, Any], deadline: float) -> Steps[Any]:
        """As ``aws_json.Service.steps``."""
        yield from ()
        return self.call(operation, parameters, deadline)

    def another(self) -> Troubled:
        """As ``aws_json.Service.another``."""
        return self


@pytest.mark.parametrize("seed", range(FIRST, FIRST + RUNS))
def test_whatever_happens_what_was_acknowledged_arrives_in_order(
    seed: int,
    table: FakeTable,
    load: Callable[[str], Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = World(seed, table, load, monkeypatch)
    world.run()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    for room, names in world.members.items():
        for name in names:
            if name in world.connections.gone:
                continue
            owed = [each for each in world.said[room] if (name, each) not in world.connections.given_up]
            got = [each for each in world.received(name) if (name, each) not in world.connections.given_up]
            assert got == owed, name
    assert world.sqs.dead_letters == []
    assert max(Counter(world.connections.posts).values(), default=0) <= 7
    left = [key for key in table.items if key[0].startswith("backlog#")]
    assert left == []
    assert not any("a task is given up" in line["message"] for line in lines)
