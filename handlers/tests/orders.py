"""Random orders of the steps of senders, readers and clients over one room's log, and what must hold in each of them.

The code of ``history``, ``logged_rooms`` and ``rooms`` is the real one. Every call to a table is a step, and so is each
post; another process may go on between any two. A step may be the last one of its worker, and a call may be carried out
twice, as after a lost answer.
"""

from __future__ import annotations

import collections
import json
import random
import time
from typing import TYPE_CHECKING, Any

from roomcast import aws_json, changes, frames, logged_rooms, protocol, removal, rooms
from roomcast.frames import Ask, Position
from roomcast.history import Draft, Sender
from roomcast.members import Connection
from tests.fakes import FakeTable
from tests.history_table import STEP, Died, HistoryTable
from tests.logbook import FAR, SETTINGS, Logbook

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence

    from roomcast.history import History, Kept
    from roomcast.replay import Replay
    from roomcast.steps import Steps

    Process = Generator[Any, Any, None]

ROOM = "lobby"
CONNECTED_AT = int(time.time() * 1000)
MINUTE = 60.0
GIVE_UP_SECONDS = 8 * MINUTE
"""Clients send a message no more after so long."""


class WatchedTable(HistoryTable):
    """Notes what is ever stored in a slot, and each slot that changes afterwards (I1).

    Attributes:
        stored: Data of each message, by epoch and number.
        faults: What must not be.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stored: dict[tuple[str, int], str] = {}
        self.gone: set[tuple[str, int]] = set()
        self.faults: list[str] = []

    def _put(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        answer = super()._put(parameters)
        item = parameters["Item"]
        log = item["partition_key"]["S"]
        if log.startswith("log#"):
            slot = (log.rpartition("#")[2], int(item["sort_key"]["S"]))
            data = item["data"]["S"] if "data" in item else ""
            if self.stored.setdefault(slot, data) != data or slot in self.gone:
                self.faults.append(f"I1: slot {slot[1]} changed")
        return answer

    def messages(self) -> dict[tuple[str, int], str]:
        """Messages that were ever stored."""
        return {slot: data for slot, data in self.stored.items() if data}

    def expire(self, seconds: float, rng: random.Random) -> None:
        """Delete some of the items whose time is over, as time to live does, late and in any order."""
        for key, item in [*self.items.items()]:
            if int(item["expires_at"]["N"]) < seconds and rng.random() < 0.6:
                del self.items[key]
                if key[0].startswith("log#"):
                    self.gone.add((key[0].rpartition("#")[2], int(key[1])))


def at_once() -> Steps[bool]:
    """Any frame may be posted."""
    yield from ()
    return True


class Client:
    """A client that keeps a position and the numbers above it that have come, and hands messages over in order.

    Attributes:
        connection: Name of its connection; empty while it has none.
        epoch: Life of the log that it is in; empty before its first answer.
        position: It has everything up to here.
        app: What the application was handed.
        base: Its position after the last answer that proved nothing.
        known: What was stored up to there at that moment.
    """

    def __init__(self, world: World, number: int) -> None:
        self.world = world
        self.number = number
        self.connections = 0
        self.connection = ""
        self.epoch = ""
        self.position = 0
        self.ahead: dict[int, str] = {}
        self.aside: list[tuple[str, int, str]] = []
        self.app: list[tuple[str, int, str]] = []
        self.base = 0
        self.known: set[int] = set()
        self.head = 0
        self.has_more = False

    def connect(self) -> Process:
        """Open a connection; in no room at first."""
        yield STEP
        self.connections += 1
        self.connection = f"c{self.number}.{self.connections}"
        self.world.rooms.join(Connection(self.connection, CONNECTED_AT, {}, protocol=protocol.V1), None, FAR)

    def join(self) -> Process:
        """Ask for what came after the position, and take the answer when it comes."""
        world, connection = self.world, self.connection
        ask = Ask(Position(self.epoch, self.position)) if self.epoch else Ask(None, world.rng.choice([None, 0, 3]))
        known = world.rooms.find(connection, FAR)
        if known is None:
            return
        replayed: set[int] = set()

        def enter(known: Connection) -> Steps[Connection]:
            replayed.clear()
            return self._enter(known)

        def post(text: str) -> Steps[bool]:
            posted = json.loads(text)
            replayed.update(each["seq"] for each in posted.get("messages", [posted]) if "void" not in each)
            return world.post(connection, posted)

        visitor = logged_rooms.Visitor(enter, self._find, at_once, post)
        _, replays = yield from logged_rooms.join(world.environment(), {ROOM: ask}, visitor, known, FAR)
        if ROOM not in replays:
            return
        world.check_claim(ask, replays[ROOM], replayed)
        text = frames.joined(ROOM, ask, {}, None, replays[ROOM].fields)
        stored = {seq for epoch, seq in world.table.messages() if epoch == replays[ROOM].epoch}
        yield from world.post(connection, {**json.loads(text), "asked": ask, "stored": stored})

    def _enter(self, known: Connection) -> Steps[Connection]:
        yield STEP
        try:
            return self.world.rooms.enter(known, [ROOM], 20, FAR)
        except changes.GoneError:
            raise protocol.Refusal("reconnect") from None

    def _find(self) -> Steps[Connection | None]:
        connection = self.connection
        yield STEP
        return self.world.rooms.find(connection, FAR)

    def leave(self) -> Process:
        """Leave the room, in an invocation of its own."""
        yield STEP
        known = self.world.rooms.find(self.connection, FAR)
        yield STEP
        if known is not None:
            self.world.rooms.quit(known, ROOM, FAR)

    def drop(self) -> None:
        """Lose the connection; its items may be deleted soon, late or never."""
        if self.connection and self.world.rng.random() < 0.7:
            self.world.begin(self.world.disconnect(self.connection))
        self.connection = ""

    def take(self, frame: Mapping[str, Any]) -> None:
        """Receive a frame."""
        if frame["type"] == "joined":
            self._joined(frame)
            return
        for each in frame.get("messages", [frame]):
            self._slot(frame["epoch"], each["seq"], "" if each.get("void") else each["data"])

    def _joined(self, frame: Mapping[str, Any]) -> None:
        position = frame["asked"].position
        if ("" if position is None else position.epoch) != self.epoch:
            return  # It speaks of another life than the client is in by now.
        self.head, self.has_more = frame["head"], frame.get("more", False)
        if frame.get("recovered"):
            return
        self.ahead = {
            seq: data for seq, data in self.ahead.items() if seq > frame["seq"] and frame["epoch"] == self.epoch
        }
        self.epoch, self.position, self.base = frame["epoch"], frame["seq"], frame["seq"]
        self.known = {seq for seq in frame["stored"] if seq <= self.base}
        aside, self.aside = self.aside, []
        for epoch, seq, data in aside:
            self._slot(epoch, seq, data)

    def _slot(self, epoch: str, seq: int, data: str) -> None:
        if epoch != self.epoch:
            self.aside.append((epoch, seq, data))
        elif seq > self.position and seq not in self.ahead:
            self.ahead[seq] = data
            while self.position + 1 in self.ahead:
                self.position += 1
                handed = self.ahead.pop(self.position)
                if handed:
                    self.app.append((epoch, self.position, handed))


class World:
    """One order.

    Args:
        seed: Decides everything.
        faults: Whether workers die, answers and posts are lost.
        ids: Whether messages are sent under ids, and again.
        pauses: Whether there are pauses in which messages expire.
        changing: Whether the configuration changes.
    """

    def __init__(
        self, seed: int, *, faults: bool = False, ids: bool = False, pauses: bool = False, changing: bool = False
    ) -> None:
        self.rng = random.Random(seed)  # noqa: S311 - an order that can be carried out again
        self.faults, self.ids, self.pauses, self.changing = faults, ids, pauses, changing
        self.table = WatchedTable()
        self.book = Logbook(self.table)
        self.configured: dict[str, int] = {}
        self.environments: list[History] = []
        self.configure()
        if faults:
            self.table.fate = self.fate
        self.members = FakeTable()
        self.members.note = lambda *_: None  # type: ignore[method-assign]
        self.rooms = rooms.Rooms(SETTINGS)
        self.rooms._database = self.members  # type: ignore[assignment]
        self.net: list[tuple[str, Mapping[str, Any]]] = []
        self.processes: list[Process] = []
        self.clients = [Client(self, number) for number in range(self.rng.choice([1, 1, 1, 2]))]
        self.receipts: list[tuple[str, int, str]] = []
        self.failed: set[str] = set()
        self.claims: list[str] = []
        self.paused = 0.0

    def configure(self, **configured: int) -> None:
        """Let later invocations run with another configuration; those under way go on."""
        self.configured = {**self.configured, **configured}
        offsets = [self.rng.uniform(-30, 30) for _ in range(2)] if self.faults else [0.0, 0.0]
        self.environments = [self.book.environment(offset, **self.configured) for offset in offsets]

    def environment(self) -> History:
        """The environment in which an invocation runs."""
        return self.rng.choice(self.environments)

    def fate(self, operation: str) -> bool:
        """Let a worker die, or an answer be lost."""
        if self.rng.random() < 0.04:
            raise Died
        return bool(operation) and self.rng.random() < 0.05

    def post(self, connection: str, frame: Mapping[str, Any]) -> Steps[bool]:
        """Post a frame, which arrives some time, or is lost."""
        yield STEP
        if not self.faults or self.rng.random() > 0.1:
            self.net.append((connection, frame))
        return True

    def begin(self, process: Process) -> None:
        """Start a process."""
        self.processes.append(process)

    def disconnect(self, connection: str) -> Process:
        """The invocation of ``$disconnect``."""
        yield STEP
        known = self.rooms.find(connection, FAR)
        yield STEP
        if known is not None:
            write = changes.Changes(SETTINGS.table_name, self.rooms.headcount, self.rooms.write, FAR)
            removal.Removal(write).remove([known])

    def sender(self, data: str) -> Process:
        """Send a message, with an id several times."""
        sender = Sender("client", "", f"{data:>016}") if self.ids else None
        until = self.book.clock() + GIVE_UP_SECONDS
        for _ in range(self.rng.randrange(1, 4) if self.ids else 1):
            if self.book.clock() > until:
                return
            history = self.environment()
            draft = Draft(ROOM, "alice", history._table.now(), data, request_id=str(self.rng.random()))
            yield from self.invocation(self._send(history, draft, sender))
            for _ in range(self.rng.randrange(6)):
                yield STEP

    def _send(self, history: History, draft: Draft, sender: Sender | None) -> Process:
        self.failed.add(draft.data)

        def deliver(kept: Kept) -> Steps[None]:
            frame = {"type": "message", "epoch": kept.epoch, "seq": kept.seq, "data": draft.data}
            for shard in range(self.rooms.shards_read):
                for page in self.rooms.pages(ROOM, shard, FAR):
                    yield STEP
                    for member in page if isinstance(page, list) else ():
                        yield from self.post(member.connection_id, frame)

        if sender is not None and self.rng.random() < 0.5:
            sender = yield from history.look_up(ROOM, sender, FAR)
        kept, _ = yield from logged_rooms.send(history, draft, sender, deliver, time.monotonic() + 20)
        self.receipts.append((kept.epoch, kept.seq, draft.data))
        self.failed.discard(draft.data)

    def invocation(self, process: Process) -> Process:
        """Run an invocation, which may end early."""
        try:
            yield from process
        except (Died, protocol.Refusal, aws_json.ServiceError):
            return

    def visitor(self, client: Client) -> Process:
        """The life of a client: it connects, joins, asks again, leaves and is cut off."""
        yield from client.connect()
        yield from self.invocation(client.join())
        if not self.faults:
            return
        for _ in range(self.rng.randrange(3)):
            for _ in range(self.rng.randrange(10)):
                yield STEP
            chance = self.rng.random()
            if chance < 0.15 and client.connection:
                self.begin(self.invocation(client.leave()))
            elif chance < 0.45:
                client.drop()
                yield from client.connect()
            yield from self.invocation(client.join())

    def run(self) -> list[str]:
        """Carry out one order; gives what did not hold."""
        number = self.rng.randrange(2, 4)
        waiting = collections.deque(self.sender(f"m{each}") for each in range(number))
        for client in self.clients:
            waiting.insert(self.rng.randrange(len(waiting) + 1), self.visitor(client))
        while waiting or self.processes:
            if waiting and (not self.processes or self.rng.random() < 0.06):
                self.begin(waiting.popleft())
            self.step()
        self.end()
        return self.violations()

    def step(self) -> None:
        """Let one process take one step, time pass, and perhaps a frame arrive."""
        rng = self.rng
        self.book.clock.seconds += rng.random() * 0.02 + (rng.random() < 0.02) * 1.2
        process = rng.choice(self.processes)
        if next(process, self) is self:
            self.processes.remove(process)
        if rng.random() < 0.5:
            self.arrive()
        if self.pauses and rng.random() < 0.01:
            self.pause()
        if self.changing and rng.random() < 0.01:
            self.configure(
                history_generation=self.configured.get("history_generation", 1) + (rng.random() < 0.4),
                history_retention_minutes=rng.choice([10, 60, 10_080]),
            )

    def pause(self) -> None:
        """Let minutes or hours pass. No invocation lasts so long: those under way are ended."""
        seconds = self.rng.choice([3, 28, 31, 69, 74, 200, 12_000]) * MINUTE * self.rng.uniform(0.98, 1.02)
        self.paused = max(self.paused, seconds)
        self.book.clock.seconds += seconds
        for process in [*self.processes]:
            try:
                process.throw(Died)
            except (StopIteration, Died):
                self.processes.remove(process)
        self.table.expire(self.book.clock.seconds, self.rng)

    def arrive(self, *, everything: bool = False) -> None:
        """Let a frame arrive, in any order; those to lost connections do not."""
        while self.net:
            connection, frame = self.net.pop(self.rng.randrange(len(self.net)))
            for client in self.clients:
                if client.connection == connection:
                    client.take(frame)
            if not everything:
                return

    def end(self) -> None:
        """Let everything become quiet: clients ask until they have all."""
        self.arrive(everything=True)
        if not self.faults:
            return
        self.faults, self.table.fate = False, lambda _: False
        for client in self.clients:
            for _ in range(8):
                self.book.clock.seconds += 61
                if not client.connection or self.rooms.find(client.connection, FAR) is None:
                    exhaust(client.connect())
                exhaust(client.join())
                self.arrive(everything=True)
                if client.position == client.head and not client.has_more:
                    break
            else:
                self.table.faults.append("a client asks for ever")

    def check_claim(self, ask: Ask, replay: Replay, sent: set[int]) -> None:
        """Compare an answer with all that was ever stored (I4, I5)."""
        if ask.position is None:
            return
        stored = {seq for epoch, seq in self.table.messages() if epoch == replay.epoch}
        if replay.is_recovered:
            missing = {seq for seq in stored if ask.position.seq < seq <= replay.seq} - sent
            if missing:
                self.table.faults.append("I4: recovered without messages that are missing")
        elif replay.reason == "epoch_changed":
            if ask.position.epoch == replay.epoch:
                self.table.faults.append("I5: no other life")
        elif replay.reason != "too_old":
            self.table.faults.append(f"I5: {replay.reason}")
        elif self.paused <= 28 * MINUTE * 0.9:
            self.table.faults.append("I5: nothing can have expired")

    def violations(self) -> list[str]:
        """What did not hold in the end."""
        found = [*self.table.faults]
        messages = self.table.messages()
        if any(messages.get((epoch, seq)) != data for epoch, seq, data in self.receipts):
            found.append("I2: a receipt for a message that is not stored")
        if len(set(messages.values())) != len(messages):
            found.append("I7: a message is stored twice")
        for client in self.clients:
            found += self._violations_of(client, messages)
        return found

    def _violations_of(self, client: Client, messages: Mapping[tuple[str, int], str]) -> Iterator[str]:
        if len({data for *_, data in client.app}) != len(client.app):
            yield "I6: a message is handed over twice"
        handed = {(epoch, seq) for epoch, seq, _ in client.app} | {(client.epoch, seq) for seq in client.ahead}
        mine = [seq for epoch, seq in messages if epoch == client.epoch]
        if any(seq > client.base and (client.epoch, seq) not in handed for seq in mine):
            yield "I3: a message is missed"
        if any(seq <= client.base and seq not in client.known for seq in mine):
            yield "I3: a message is stored below a first position"
        if self.members.halves():
            yield "a membership without a connection"


def exhaust(process: Process) -> None:
    """Carry out all steps."""
    for _ in process:
        pass


def violations(seeds: Sequence[int], **options: bool) -> collections.Counter[str]:
    """Carry out an order for each seed; counts what did not hold."""
    found: collections.Counter[str] = collections.Counter()
    for seed in seeds:
        found.update({*World(seed, **options).run()})
    return found
