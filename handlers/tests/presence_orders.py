"""Random orders of the steps of changes, looks and clients in rooms with presence, and what must hold in each.

The code of ``rooms``, ``marks`` and ``presence`` is the real one. Each process runs in a thread of its own, of which
one goes on at a time: every call to the table or the queue is a step, and so is each post. A step may be the last one
of its process, and the answer to a call may be lost.
"""

from __future__ import annotations

import json
import random
import threading
import time
from typing import TYPE_CHECKING, Any

from roomcast import aws_json, changes, delivery, fanout, marks, presence, rooms
from roomcast.members import Connection
from roomcast.protocol import V1
from tests.fakes import CONNECTED_AT, FakeQueue, FakeTable
from tests.logbook import FAR, SETTINGS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ROOM = "lobby"
WINDOW = 5
REDELIVERED_AFTER = 60.0
"""Seconds after which a message is redelivered at the latest of which the worker has died."""

TWICE = 0.3
"""Share of messages that a queue with faults delivers twice: then two workers look at a room side by side."""


STALLED = 0.03
"""Share of steps, where there are faults, after which a process waits for up to two windows: others look meanwhile."""


class Died(BaseException):
    """The process ends here."""


class Process:
    """A function that goes on step by step.

    Args:
        world: Decides when it goes on.
        function: The function.
        may_die: Whether a step may be the last one.
    """

    def __init__(self, world: World, function: Callable[[], object], *, may_die: bool = True) -> None:
        self.world, self.function, self.may_die = world, function, may_die
        self.is_over = self.has_died = False
        self._go, self._back = threading.Semaphore(0), threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._is_killed = False
        self._fault: BaseException | None = None
        self._thread.start()

    def _run(self) -> None:
        self._go.acquire()
        try:
            self.function()
        except (Died, aws_json.ServiceError, fanout.DeliveryInterruptedError, changes.GoneError):
            self.has_died = True
        except BaseException as fault:  # noqa: BLE001 - raised in the test's own thread
            self._fault = fault
        self.is_over = True
        self._back.release()

    def go_on(self) -> None:
        """Take one step."""
        self.world.running = self
        self._go.release()
        self._back.acquire()
        if self._fault is not None:
            raise self._fault

    def step(self) -> None:
        """End a step, in the process's own thread."""
        self._back.release()
        self._go.acquire()
        if self.may_die and self.world.rng.random() < self.world.deaths:
            raise Died


class Clock:
    """Time as the code under test sees it."""

    def __init__(self) -> None:
        self.seconds = time.time()

    def time(self) -> float:
        """As ``time.time``."""
        return self.seconds

    def monotonic(self) -> float:
        """As ``time.monotonic``; deadlines are of no concern here."""
        return 0.0


class SteppingTable(FakeTable):
    """Each call is a step, and its answer may be lost."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    def note(self, operation: str, parameters: Mapping[str, Any]) -> None:
        """Keep nothing, because there are many calls."""

    def call(self, operation: str, parameters: Mapping[str, Any], deadline: float) -> dict[str, Any]:
        """As ``FakeTable.call``."""
        self.world.step()
        answer = super().call(operation, parameters, deadline)
        if operation != "TransactWriteItems" and self.world.rng.random() < self.world.losses:
            self.world.step()
            answer = super().call(operation, parameters, deadline)  # as the service that tries again
        return answer


class Queue(FakeQueue):
    """Delivers each message in time, some twice, and again if the worker died."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    def call(self, operation: str, parameters: Mapping[str, Any], deadline: float) -> dict[str, Any]:
        """As ``aws_json.Service.call``."""
        self.world.step()
        answer = super().call(operation, parameters, deadline)
        body, delay = self.waiting.pop()
        for _ in range(1 + (self.world.losses > 0 and self.world.rng.random() < TWICE)):
            self.world.due.append((self.world.clock.seconds + delay, body))
        return answer


class Engine:
    """Posts frames, each in a step; some are lost where faults are allowed."""

    def __init__(self, world: World) -> None:
        self.world = world

    def deliver_all(self, messages: Sequence[fanout.Message], **_: object) -> list[fanout.Result]:
        """As ``fanout.Engine.deliver_all``."""
        results = []
        for message in messages:
            report = fanout.Report()
            for recipient in message.recipients:
                self.world.step()
                frame = message.others[V1]()
                assert frame is not None
                if recipient.connection_id not in self.world.open():
                    assert message.on_gone is not None
                    message.on_gone([recipient])
                    report.gone += 1
                else:
                    self.world.net.append((recipient.connection_id, json.loads(frame)))
                    report.delivered += 1
            results.append(fanout.Result(report))
        return results


class Client:
    """A client that keeps the set of those present, and asks where a version is missing.

    Attributes:
        connection: Name of its connection; empty while it has none.
        is_in: Whether it is in the room, as far as it knows.
    """

    def __init__(self, world: World, number: int) -> None:
        self.world, self.number = world, number
        # Two clients may belong to one person.
        self.name = f"person-{number % 3}"
        self.connections = 0
        self.connection = ""
        self.is_in = False
        self.version = -1
        self.heard = 0
        self.names: set[str] = set()

    def connect(self) -> None:
        """Open a connection and join; ask again where the function has died."""
        self.connections += 1
        connection = f"c{self.number}.{self.connections}"
        arrived = Connection(connection, CONNECTED_AT, {}, protocol=V1, subject=self.name)
        self.world.table_of().join(arrived, None, FAR)
        self.connection = connection
        self.join()

    def join(self) -> None:
        """Join the room."""
        connection = self.connection

        def enter() -> None:
            table = self.world.table_of()
            known = table.find(connection, FAR)
            if known is not None:
                table.enter(known._replace(sees={ROOM}), [ROOM], 20, FAR)
                self.world.net.append((connection, {"type": "joined", "presence": table.marks.versions.get(ROOM)}))

        self.world.insist(enter)

    def leave(self) -> None:
        """Leave the room."""
        connection = self.connection
        self.is_in, self.version = False, -1

        def quit_room() -> None:
            table = self.world.table_of()
            known = table.find(connection, FAR)
            if known is not None:
                table.quit(known, ROOM, FAR)

        self.world.insist(quit_room)

    def drop(self) -> None:
        """Lose the connection."""
        connection, self.connection, self.is_in, self.version = self.connection, "", False, -1
        self.world.begin(lambda: self.world.table_of().leave(connection, CONNECTED_AT, FAR))

    def ask(self) -> None:
        """Ask who is there."""
        connection = self.connection

        def answer() -> None:
            shown = presence.published(self.world.table_of().marks, ROOM, FAR)
            frame = {"type": "members", "version": shown.version, "members": sorted(shown.names or ())}
            self.world.net.append((connection, frame))

        self.world.insist(answer)

    def take(self, frame: Mapping[str, Any]) -> None:
        """Receive a frame."""
        if frame["type"] == "joined":
            self.is_in = True
            if frame["presence"] is not None:
                self.heard = max(self.heard, frame["presence"])
            if self.version != self.heard:
                self.ask()
        elif frame["type"] == "members" and frame["version"] >= self.version:
            self.version, self.names = frame["version"], set(frame["members"])
            if self.version < self.heard:
                self.ask()
        elif frame["type"] == "presence" and frame["version"] > self.version:
            self.heard = max(self.heard, frame["version"])
            if frame["version"] == self.version + 1:
                self.version, self.names = frame["version"], self.names - {*frame["left"]} | {*frame["joined"]}
            elif self.is_in:
                self.ask()


class World:
    """One order.

    Args:
        seed: Decides everything.
        faults: Whether functions die, and answers, messages and posts are lost or come twice.
    """

    def __init__(self, seed: int, *, faults: bool = False) -> None:
        self.rng = random.Random(seed)  # noqa: S311 - an order that can be carried out again
        self.faults = faults
        self.deaths, self.losses = (0.03, 0.05) if faults else (0.0, 0.0)
        self.stalls: dict[Process, float] = {}
        self.clock = Clock()
        self.table, self.queue = SteppingTable(self), Queue(self)
        self.settings = SETTINGS._replace(presence_rooms=(ROOM,), presence_window_seconds=WINDOW)
        self.net: list[tuple[str, Mapping[str, Any]]] = []
        self.due: list[tuple[float, str]] = []
        self.processes: list[Process] = []
        self.running: Process | None = None
        self.announced_at: list[float] = []
        self.clients = [Client(self, number) for number in range(self.rng.choice([2, 3, 4]))]

    def table_of(self) -> rooms.Rooms:
        """The table as one invocation has it."""
        table = rooms.Rooms(self.settings)
        table._database = self.table  # type: ignore[assignment]
        table.marks._database = self.table  # type: ignore[assignment]
        table.marks._queue = self.queue  # type: ignore[assignment]
        return table

    def open(self) -> set[str]:
        """The connections that are open."""
        return {client.connection for client in self.clients if client.connection}

    def step(self) -> None:
        """End a step of the process that runs."""
        assert self.running is not None
        self.running.step()

    def begin(self, function: Callable[[], object], *, may_die: bool = True) -> Process:
        """Start a process."""
        process = Process(self, function, may_die=may_die)
        self.processes.append(process)
        return process

    def insist(self, function: Callable[[], object]) -> None:
        """Let a client ask until the function has not died."""

        def ask() -> None:
            while True:
                try:
                    function()
                except Died:
                    continue
                return

        self.begin(ask)

    def look(self, body: str) -> None:
        """Let the worker have a message; it is redelivered if the worker dies."""
        task = marks.Task(**{name: json.loads(body)[name] for name in ("room", "due")})
        table = self.table_of()
        posts = delivery.Delivery(Engine(self), table)  # type: ignore[arg-type]
        is_done = False

        def work() -> None:
            nonlocal is_done
            before = len(self.net)
            presence.Presence(self.settings, table, posts).look(task, FAR, FAR)
            if len(self.net) > before:
                self.announced_at.append(self.clock.seconds)
            posts.prune(FAR)
            is_done = True

        def guarded() -> None:
            try:
                work()
            finally:
                if not is_done:
                    self.due.append((self.clock.seconds + REDELIVERED_AFTER * self.rng.random(), body))

        self.begin(guarded)

    def life(self, client: Client) -> Callable[[], None]:
        """The life of a client in this order."""

        def live() -> None:
            client.connect()
            for _ in range(self.rng.randrange(4)):
                for _ in range(self.rng.randrange(40)):
                    self.step()
                if not client.connection:
                    client.connect()
                    continue
                chance = self.rng.random()
                if chance < 0.4:
                    client.drop()
                elif chance < 0.7 and client.is_in:
                    client.leave()
                else:
                    client.join()

        return live

    def run(self) -> list[str]:
        """Carry out one order; gives what did not hold."""
        for client in self.clients:
            self.begin(self.life(client), may_die=False)
        while any(not process.may_die for process in self.processes):
            self.go_on()
        while self.processes:
            self.go_on(passing=False)
        self.settle(self.clock.seconds + WINDOW + 2)
        if self.faults:
            self.deaths = self.losses = 0.0
            for _ in range(4):
                self.settle(self.clock.seconds + REDELIVERED_AFTER)
                self.heartbeats()
        return [*self.violations()]

    def heartbeats(self) -> None:
        """Each client sends a ``ping``, and asks where it has missed a version."""
        for client in self.clients:
            if client.is_in:
                self.begin(lambda client=client: self.ping(client))  # type: ignore[misc]
        self.settle(self.clock.seconds + WINDOW + 2)

    def ping(self, client: Client) -> None:
        """A client learns the version of the room's presence."""
        version = self.table_of().marks.states([ROOM], FAR)[ROOM].version
        if version > client.version:
            client.heard = max(client.heard, version)
            client.ask()

    def settle(self, until: float) -> None:
        """Let time pass while nothing changes."""
        while self.clock.seconds < until:
            if self.processes or self.net:
                self.go_on()
            else:
                self.clock.seconds = min([until, *(at for at, _ in self.due if at > self.clock.seconds)])
                self.deliver_due()

    def deliver_due(self) -> None:
        """Start workers for messages that are due."""
        for entry in [each for each in self.due if each[0] <= self.clock.seconds]:
            self.due.remove(entry)
            self.look(entry[1])

    def go_on(self, *, passing: bool = True) -> None:
        """Let one process take one step, time pass, and perhaps a frame arrive."""
        self.clock.seconds += self.rng.random() * 0.02 + (self.rng.random() < 0.02) * passing * 1.2
        self.deliver_due()
        able = [each for each in self.processes if self.stalls.get(each, 0.0) <= self.clock.seconds]
        if able:
            process = self.rng.choice(able)
            if self.faults and self.rng.random() < STALLED:
                self.stalls[process] = self.clock.seconds + self.rng.random() * 2 * WINDOW
            process.go_on()
            if process.is_over:
                self.processes.remove(process)
        if self.net and self.rng.random() < 0.7:
            # The engine posts to a member in order, but an answer of another function may overtake.
            connection, frame = self.net.pop(self.rng.randrange(len(self.net)))
            if not (self.faults and self.deaths and self.rng.random() < 0.05 and frame["type"] == "presence"):
                for client in self.clients:
                    if client.connection == connection:
                        client.take(frame)

    def violations(self) -> list[str]:
        """What did not hold."""
        found = []
        members = [item for key, item in self.table.items.items() if key[0].startswith("room#")]
        present = {item["subject"]["S"] for item in members}
        for client in self.clients:
            is_member = client.connection in {item["sort_key"]["S"] for item in members}
            if is_member and client.names != present:
                found.append("a client knows another set")
        if self.table.halves():
            found.append("a membership without a connection")
        gaps = [after - before for before, after in zip(self.announced_at, self.announced_at[1:], strict=False)]
        if not self.faults and any(gap < WINDOW - 1.5 for gap in gaps):
            found.append("two announcements in one window")
        return found


def violations(seeds: Sequence[int], **options: bool) -> dict[str, list[int]]:
    """Carry out an order for each seed; gives what did not hold, and where."""
    found: dict[str, list[int]] = {}
    for seed in seeds:
        for each in World(seed, **options).run():
            found.setdefault(each, []).append(seed)
    return found
