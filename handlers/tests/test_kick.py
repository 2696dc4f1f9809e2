"""Kicks: the denial, the items, the frame and the closing; and handshakes that race them."""

from __future__ import annotations

import contextlib
import itertools
import json
import random
import time
from typing import TYPE_CHECKING, Any

import pytest
from roomcast import arrivals, aws_json, backends, changes, fanout, items, kicks, marks, rooms, users
from roomcast.members import Connection
from roomcast.protocol import V1
from tests.fakes import CONNECTED_AT, PLANTED, FakeConnections, FakeContext, FakeTable, event, handshake, message
from tests.hostile_server import PATIENCE_SECONDS, HostileServer, say
from tests.v1 import Clients, context

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Load = Callable[[str], Any]

LATER = time.monotonic() + 3600
NOW = int(time.time())


def kick(people: Clients, **request: object) -> dict[str, Any]:
    """Invoke the function; gives its answer."""
    people.connections.posts.clear()
    answer: dict[str, Any] = people.load("kick").handler(request, FakeContext())
    json.dumps(answer)
    return answer


def outcome(answer: Mapping[str, Any]) -> tuple[int, int, int, int]:
    """The numbers of the only people: found, closed, gone, failed."""
    [only] = answer["stages"]
    assert only.pop("endpoint") == "https://abcde12345.execute-api.eu-west-1.amazonaws.com/live"
    assert set(only) == {"connections", "closed", "gone", "failed"}
    return only["connections"], only["closed"], only["gone"], only["failed"]


def code(answer: Mapping[str, Any]) -> str:
    """The code of an answer that is an error."""
    text: str = answer["error"]["code"]
    assert answer == backends.error(text)
    return text


class TestByUser:
    """A client is thrown out."""

    def test_all_connections_lose_their_items_and_are_closed(
        self, people: Clients, table: FakeTable, closed: FakeConnections
    ) -> None:
        until = (NOW + 3600) * 1000
        assert outcome(kick(people, user="alice", reason="spam", until=until)) == (2, 2, 0, 0)
        assert {key for key, _ in table.items} == {"connection#bob=", "room#lobby#0", "user#bob", "deny#alice"}
        assert table.halves() == set()
        # Text mode has no such frame: members could send a text that looks like it.
        assert [(to, json.loads(text)) for to, text in people.connections.posts] == [
            ("alice-1=", {"type": "kicked", "reason": "spam", "until": until})
        ]
        assert sorted(closed.posts) == [("alice-1=", ""), ("alice-2=", "")]

    def test_without_a_ban(self, people: Clients, table: FakeTable) -> None:
        kick(people, user="alice")
        assert [json.loads(text) for _, text in people.connections.posts] == [{"type": "kicked"}]
        [end] = [int(item["expires_at"]["N"]) for (key, _), item in table.items.items() if key == "deny#alice"]
        assert 60 < end - time.time() <= 120

    def test_the_client_may_not_connect_until_then(self, people: Clients, table: FakeTable) -> None:
        kick(people, user="alice", until=(NOW + 3600) * 1000)
        people.authorizer = context("alice")
        before = {key: dict(item) for key, item in table.items.items()}
        for name, offers in (("alice-3=", ""), ("alice-4=", "roomcast.v1")):
            assert people.connect(name, "lobby", offers=offers) == {"statusCode": 403}
        assert people.connect("alice-5=") == {"statusCode": 403}
        assert table.items == before
        people.authorizer = context("carol")
        assert people.connect("carol=")["statusCode"] == 200
        # Time to live may be days late.
        table.items["deny#alice", "deny"]["expires_at"] = {"N": str(int(time.time()))}
        people.authorizer = context("alice")
        assert people.connect("alice-6=")["statusCode"] == 200

    def test_a_denial_is_never_shortened(self, people: Clients, table: FakeTable) -> None:
        kick(people, user="alice", until=(NOW + 3600) * 1000)
        kick(people, user="alice", until=(NOW + 60) * 1000)
        assert int(table.items["deny#alice", "deny"]["expires_at"]["N"]) == NOW + 3720
        kick(people, user="alice", until=(NOW + 7200) * 1000)
        assert int(table.items["deny#alice", "deny"]["expires_at"]["N"]) == NOW + 7320

    def test_a_client_that_is_not_there(self, people: Clients, table: FakeTable, closed: FakeConnections) -> None:
        assert outcome(kick(people, user="carol")) == (0, 0, 0, 0)
        assert ("deny#carol", "deny") in table.items
        assert closed.posts == []

    def test_it_may_be_repeated(self, people: Clients, table: FakeTable) -> None:
        request = {"user": "alice", "until": (NOW + 60) * 1000, "reason": "x"}
        kick(people, **request)
        after = {key: dict(item) for key, item in table.items.items()}
        assert outcome(kick(people, **request)) == (0, 0, 0, 0)
        assert table.items == after

    def test_rooms_that_were_joined_later_and_many_connections(self, named: Load, table: FakeTable) -> None:
        people = Clients(named, FakeConnections())
        people.authorizer = context("alice")
        for number in range(60):
            people.connect(f"c{number}=")
            people.ask(f"c{number}=", "join", rooms={f"room-{number % 7}": {}, "lobby": {}})
        assert outcome(kick(people, user="alice")) == (60, 60, 0, 0)
        assert {key for key, _ in table.items} == {"deny#alice"}

    def test_connections_that_have_expired_are_closed_as_well(
        self, people: Clients, table: FakeTable, closed: FakeConnections
    ) -> None:
        for item in table.items.values():
            item["expires_at"] = {"N": "1"}
        assert outcome(kick(people, user="alice")) == (2, 2, 0, 0)
        assert len(closed.posts) == 2

    def test_a_room_with_a_limit_has_the_places_again(
        self, named: Load, table: FakeTable, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def load(name: str) -> Any:
            module = named(name)
            chosen = module.SETTINGS._replace(maximum_room_members=2)
            fresh = rooms.Rooms(chosen)
            monkeypatch.setattr(fresh, "_database", table)
            monkeypatch.setattr(module, "SETTINGS", chosen)
            monkeypatch.setattr(module, "ROOMS", fresh)
            return module

        people = Clients(load, FakeConnections())
        people.authorizer = context("alice")
        assert [people.connect(f"c{n}=", "lobby")["statusCode"] for n in range(3)] == [200, 200, 429]
        kick(people, user="alice", until=(NOW + 60) * 1000)
        assert table.items["members#lobby#0", "members"]["members"] == {"N": "0"}
        # Who is kept out is told so, also by a full room.
        people.authorizer = context("bob")
        assert [people.connect(f"b{n}=", "lobby")["statusCode"] for n in range(3)] == [200, 200, 429]
        people.authorizer = context("alice")
        assert people.connect("c9=", "lobby") == {"statusCode": 403}

    def test_what_the_client_does_on_a_kicked_connection(self, people: Clients) -> None:
        kick(people, user="alice")
        people.authorizer = context("alice")
        for action, fields in (("join", {"room": "lobby"}), ("sendmessage", {"room": "lobby", "data": "x"})):
            assert [each["code"] for each in people.ask("alice-1=", action, **fields)] == ["reconnect"]


class TestByConnection:
    """One connection is thrown out."""

    def test_that_connection_alone(self, people: Clients, table: FakeTable, closed: FakeConnections) -> None:
        assert outcome(kick(people, connection="alice-1=", reason="spam")) == (1, 1, 0, 0)
        assert closed.posts == [("alice-1=", "")]
        assert not [key for key in table.items if "alice-1=" in "".join(key) or key[0].startswith("deny#")]
        assert ("user#alice", "alice-2=") in table.items
        people.authorizer = context("alice")
        assert people.connect("alice-3=", "lobby")["statusCode"] == 200

    def test_one_without_items_is_closed(self, people: Clients, table: FakeTable, closed: FakeConnections) -> None:
        before = dict(table.items)
        assert outcome(kick(people, connection="other=")) == (1, 1, 0, 0)
        assert closed.posts == [("other=", "")]
        assert table.items == before

    def test_without_identities(self, clients: Clients, table: FakeTable, closed: FakeConnections) -> None:
        clients.join("vera=", "lobby", "attic")
        assert outcome(kick(clients, connection="vera=")) == (1, 1, 0, 0)
        assert table.items == {}
        assert closed.posts == [("vera=", "")]
        assert code(kick(clients, user="vera")) == "no_identities"


class Opening(FakeConnections):
    """Connections that are gone for the first tries, as those with a handshake that is not answered yet."""

    def __init__(self, tries: int) -> None:
        super().__init__()
        self.tries = {"alice-1=": tries}

    def deliver_all(self, messages: Any, **options: Any) -> Any:
        """As ``fanout.Engine.deliver_all``."""
        self.gone = {name for name, left in self.tries.items() if left > 0}
        self.tries = {name: left - 1 for name, left in self.tries.items()}
        return super().deliver_all(messages, **options)


def made_now(table: FakeTable) -> None:
    """Have all connections be as young as can be."""
    now = {"N": str(int(time.time() * 1000))}
    for item in table.items.values():
        item["connected_at"] = now


class TestClosing:
    """Connections that are being made, are gone, or fail."""

    @pytest.fixture(autouse=True)
    def no_pauses(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(kicks, "PAUSE_SECONDS", 0.0)

    def test_a_connection_that_is_being_made_is_tried_again(
        self, people: Clients, table: FakeTable, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made_now(table)
        module, closer = people.load("kick"), Opening(3)
        monkeypatch.setattr(people, "load", lambda _: module)
        monkeypatch.setattr(module, "CLOSER", closer)
        assert outcome(kick(people, user="alice")) == (2, 2, 0, 0)
        assert sorted(closer.posts) == [("alice-1=", ""), ("alice-2=", "")]
        # It is told as well, each time, because the first frame may have come too early.
        assert [to for to, _ in people.connections.posts] == ["alice-1="] * 4

    def test_an_old_one_is_not(self, people: Clients, table: FakeTable, closed: FakeConnections) -> None:
        closed.gone = {"alice-1="}
        for item in table.items.values():
            item["connected_at"] = {"N": str(CONNECTED_AT - 36_000)}
        assert outcome(kick(people, user="alice")) == (2, 1, 1, 0)

    def test_until_time_is_over(
        self, people: Clients, table: FakeTable, closed: FakeConnections, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made_now(table)
        monkeypatch.setattr(kicks, "PAUSE_SECONDS", 1000.0)
        closed.gone = {"alice-1="}
        assert outcome(kick(people, user="alice")) == (2, 1, 0, 1)

    def test_one_that_does_not_read_is_closed_soon(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(kicks, "FRAME_SECONDS", 0.5)
        # Only the frame has a body.
        with HostileServer(lambda each: say(429 if each.body else 204)) as server, contextlib.ExitStack() as ends:
            engines = [fanout.Engine(server.url, "eu-west-1", method=method) for method in ("POST", "DELETE")]
            for each in engines:
                ends.callback(each.close)
            began = time.monotonic()
            known = [Connection("deaf=", 0, {}, protocol=V1)]
            outcome = kicks.Closing(*engines).close(known, b"kicked", began + PATIENCE_SECONDS)
            assert time.monotonic() - began < PATIENCE_SECONDS / 2
            assert outcome == kicks.Outcome(1, closed=1, gone=0, failed=0)
            assert [bool(each.body) for each in server.requests[-2:]] == [True, False]

    def test_one_that_cannot_be_reached(self, people: Clients, closed: FakeConnections) -> None:
        closed.failing = {"alice-2="}
        assert outcome(kick(people, user="alice")) == (2, 1, 0, 1)


class TestFaults:
    """Requests that are refused, and a table that fails."""

    @pytest.mark.parametrize(
        ("request_", "expected"),
        [
            ({}, "invalid_request"),
            ({"user": "alice", "connection": "alice-1="}, "invalid_request"),
            ({"user": ""}, "invalid_user"),
            ({"user": 7}, "invalid_user"),
            ({"user": "a" * 161}, "invalid_user"),
            ({"user": "a\n"}, "invalid_user"),
            ({"connection": "a b"}, "invalid_connection"),
            ({"connection": None}, "invalid_connection"),
            ({"connection": "alice-1=", "until": (NOW + 60) * 1000}, "invalid_until"),
            ({"user": "alice", "until": "soon"}, "invalid_until"),
            ({"user": "alice", "until": True}, "invalid_until"),
            ({"user": "alice", "until": -1}, "invalid_until"),
            ({"user": "alice", "until": 1.5}, "invalid_until"),
            ({"user": "alice", "until": 2**53 + 1}, "invalid_until"),
            ({"user": "alice", "reason": ""}, "invalid_reason"),
            ({"user": "alice", "reason": "a" * 201}, "invalid_reason"),
            ({"user": "alice", "reason": ["spam"]}, "invalid_reason"),
        ],
    )
    def test_requests(self, people: Clients, table: FakeTable, request_: dict[str, Any], expected: str) -> None:
        before = dict(table.items)
        assert code(kick(people, **request_)) == expected
        assert table.items == before

    @pytest.mark.parametrize("raw", [None, [], "x", 7, message("bob=", "x"), handshake("bob="), event("CONNECT", "b=")])
    def test_other_input(self, people: Clients, raw: object) -> None:
        assert code(people.load("kick").handler(raw, FakeContext())) == "invalid_request"

    @pytest.mark.parametrize("operation", ["UpdateItem", "Query", "TransactWriteItems"])
    def test_a_table_that_fails_is_an_error_of_the_invocation(
        self, people: Clients, table: FakeTable, closed: FakeConnections, operation: str
    ) -> None:
        table.failing = {operation}
        with pytest.raises(aws_json.ServiceError) as raised:
            kick(people, user="alice")
        assert PLANTED not in str(raised.value)
        assert closed.posts == []
        table.failing = set()
        assert outcome(kick(people, user="alice")) == (2, 2, 0, 0)


class Clock:
    """Stands for ``time`` in one function: its clock differs from the others'."""

    def __init__(self, ahead: float) -> None:
        self.ahead = ahead

    def time(self) -> float:
        """Seconds since 1970."""
        return time.time() + self.ahead

    @staticmethod
    def monotonic() -> float:
        """Seconds of the machine's uptime."""
        return time.monotonic()


class Races(FakeTable):
    """A table in which others act before each call, and transactions arrive late or twice."""

    def __init__(self) -> None:
        super().__init__()
        self.before: Callable[[], object] = lambda: None
        self.late: list[Mapping[str, Any]] = []
        self.is_late: Callable[[], bool] = lambda: False

    def call(self, operation: str, parameters: Mapping[str, Any], deadline: float) -> dict[str, Any]:
        """As ``aws_json.Service.call``."""
        before, self.before = self.before, lambda: None
        try:
            before()
        finally:
            self.before = before
        if operation == "TransactWriteItems" and self.is_late():
            self.late.append(parameters)
            raise aws_json.ServiceError(operation, "no answer", {}, transient=True, in_doubt=True)
        return super().call(operation, parameters, deadline)

    def arrive(self) -> None:
        """Carry out the transactions that are on their way."""
        late, self.late = self.late, []
        for each in late:
            try:
                super().call("TransactWriteItems", each, LATER)
            except aws_json.ServiceError:
                continue


class World:
    """Handshakes of a client that is kicked, and of another one, with clocks a minute apart."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, chosen: Any, seed: int) -> None:
        self.monkeypatch = monkeypatch
        self.random = random.Random(seed)  # noqa: S311 - orders, no secrets
        self.table = Races()
        self.rooms = rooms.Rooms(chosen)
        monkeypatch.setattr(self.rooms, "_database", self.table)
        self.numbers = itertools.count()
        self.share_late = 0.1
        self.accepted: set[str] = set()

    def handshake(self, subject: str = "alice") -> None:
        """One handshake, on a clock of its own."""
        with self.monkeypatch.context() as clock:
            clock.setattr(arrivals, "time", Clock(self.random.uniform(-30, 30)))
            connection_id = f"{subject}-{next(self.numbers)}="
            room = self.random.choice(["lobby", None])
            arrived = Connection(connection_id, CONNECTED_AT, {}, token_ends_at=FAR, protocol=V1, subject=subject)
            try:
                self.rooms.join(arrived, room, LATER)
            except (arrivals.DeniedError, aws_json.ServiceError):
                return
            self.accepted.add(connection_id)

    def some(self) -> None:
        """Some handshakes, and some transactions that arrive late."""
        is_late, self.table.is_late = self.table.is_late, lambda: self.random.random() < self.share_late
        for _ in range(self.random.randrange(20)):
            self.handshake(self.random.choice(["alice", "alice", "bob"]))
        if self.random.random() < 0.3:
            self.table.arrive()
        for connection_id in self.random.sample(sorted(self.accepted), min(3, len(self.accepted))):
            self.enter(connection_id)
        self.table.is_late = is_late

    def enter(self, connection_id: str) -> None:
        """A client joins another room."""
        known = self.rooms.find(connection_id, LATER)
        if known is not None:
            with contextlib.suppress(changes.GoneError, aws_json.ServiceError):
                self.rooms.enter(known, ["attic"], 20, LATER)

    def kick(self) -> list[Connection]:
        """The kick, on a clock of its own."""
        with self.monkeypatch.context() as clock:
            clock.setattr(kicks, "time", Clock(self.random.uniform(-30, 30)))
            return kicks.expel(kicks.Kick("alice"), self.rooms, LATER)

    def members(self) -> Iterator[str]:
        """Connections that a message would be posted to."""
        for room in ("lobby", "attic"):
            yield from (each.connection_id for each in self.rooms.members(room, LATER))
        yield from (each.connection_id for each in self.rooms.users(LATER).recipients("alice"))


FAR = NOW + 3600
HANDSHAKES = 1_000


def test_no_handshake_slips_through_a_kick(named: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = named("kick").SETTINGS
    number = kicked = 0
    for seed in itertools.count():
        world = World(monkeypatch, chosen, seed)
        for _ in range(world.random.randrange(8)):
            world.some()
        world.table.before = world.some
        found = world.kick()
        world.table.before = lambda: None
        # Clocks differ by a minute, so that for some functions it is a minute later already.
        for _ in range(3):
            world.some()
        world.table.arrive()
        assert not [each for each in world.members() if each.startswith("alice")], seed
        assert not [key for key in world.table.items if "alice" in "".join(key) and _counts(world.table.items[key])]
        assert world.table.halves() == set()
        bobs = {each for each in world.accepted if each.startswith("bob")}
        assert bobs <= {sort for key, sort in world.table.items if key == "user#bob"}
        number, kicked = number + next(world.numbers), kicked + len(found)
        if number >= HANDSHAKES:
            break
    assert kicked > HANDSHAKES / 20


def test_a_kick_in_the_middle_of_a_handshake(named: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = named("kick").SETTINGS
    for calls in range(3):
        world, left, kicks_made = World(monkeypatch, chosen, calls), itertools.count(), list[int]()

        def kick_once(
            world: World = world, left: Iterator[int] = left, calls: int = calls, made: list[int] = kicks_made
        ) -> None:
            if next(left) == calls:
                made.append(calls)
                world.kick()

        world.table.before = kick_once
        world.handshake()
        world.table.before = lambda: None
        # Before each call of the handshake, however many those are.
        assert kicks_made or calls, "the handshake made no call"
        if kicks_made:
            assert list(world.members()) == [], calls
            assert world.accepted == set(), calls


def _counts(item: Mapping[str, Any]) -> bool:
    """Whether an item is one of a connection, and neither a denial nor a tombstone."""
    return "rooms" in item or "protocol" in item


def test_the_denial_comes_first(people: Clients, table: FakeTable) -> None:
    table.calls.clear()
    kick(people, user="alice")
    operations = [operation for operation, _ in table.calls]
    assert operations[:2] == ["UpdateItem", "Query"]
    assert set(operations[2:]) == {"TransactWriteItems"}
    assert table.calls[0][1]["Key"] == items.denial_key("alice")
    assert table.calls[1][1]["ConsistentRead"] is True


def test_pages_of_connections(people: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users, "PAGE_ITEMS", 1)
    assert outcome(kick(people, user="alice")) == (2, 2, 0, 0)


def test_the_check_is_part_of_the_transaction(named: Load, table: FakeTable, connections: FakeConnections) -> None:
    people = Clients(named, connections)
    people.authorizer = context("alice")
    people.connect("alice=", "lobby")
    [(operation, parameters)] = table.calls
    assert operation == "TransactWriteItems"
    assert [[*action] for action in parameters["TransactItems"]] == [["Put"], ["Put"], ["Put"], ["ConditionCheck"]]


@pytest.mark.parametrize("offers", ["", "roomcast.v1"])
def test_a_goodbye_deletes_each_item(people: Clients, table: FakeTable, offers: str) -> None:
    people.authorizer = context("carol")
    people.connect("carol=", "lobby", offers=offers)
    people.load("disconnect").handler(event("DISCONNECT", "carol="), FakeContext())
    assert not [key for key in table.items if "carol" in "".join(key)]
    assert table.halves() == set()


def test_a_join_that_is_in_doubt_leaves_nothing(named: Load, connections: FakeConnections, table: FakeTable) -> None:
    people = Clients(named, connections)
    people.authorizer = context("alice")
    table.failing_after_write = {"TransactWriteItems"}
    assert people.connect("alice=", "lobby") == {"statusCode": 500}
    assert table.living() == set()
    assert not [key for key, _ in table.items if key.startswith("user#")]


def test_dead_members_of_a_room_lose_the_item_that_lists_them(people: Clients, table: FakeTable) -> None:
    people.connections.gone = {"alice-1=", "alice-2="}
    people.authorizer = context("bob")
    people.send("bob=", "sendmessage", room="lobby", data="x")
    assert {key for key, _ in table.items} == {"connection#bob=", "room#lobby#0", "user#bob"}


def test_rooms_of_a_client_that_is_kicked_are_marked(people: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    people.authorizer = context("alice")
    people.ask("alice-1=", "join", room="attic")
    marked: set[str] = set()

    def around(_self: marks.Marks, write: Callable[[], object], actions: Any, _deadline: float) -> None:
        marked.update(items.rooms_of(actions))
        write()

    monkeypatch.setattr(marks.Marks, "around", around)
    kick(people, user="alice")
    assert marked == {"attic", "lobby"}
