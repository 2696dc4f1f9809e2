"""Presence: who is in a room is compared once in a window, and its members are told what has changed."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from roomcast import aws_json, marks, presence
from tests.fakes import PLANTED, FakeConnections, FakeContext, FakeQueue, FakeTable, event
from tests.v1 import Clients, code

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import ModuleType

MARK = ("presence#lobby", "presence")
NAMES = ("presence#lobby", "names")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that pass: the test adds to the only entry."""
    passed = [0.0]
    real = time.time

    class Clock:
        monotonic = staticmethod(time.monotonic)

        @staticmethod
        def time() -> float:
            return real() + passed[0]

    for module in (marks, presence):
        monkeypatch.setattr(module, "time", Clock)
    return passed


@pytest.fixture
def worker(watching: Clients) -> Any:
    """The worker's module, wired to the fakes."""
    return watching.load("presence")


def deliver(worker: Any, *bodies: str) -> list[str]:
    """Let the worker have messages; gives the ids of those that are redelivered."""
    records = [{"messageId": f"m{number}", "body": body} for number, body in enumerate(bodies)]
    answer = worker.handler({"Records": records}, FakeContext())
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def look(worker: Any, looks: FakeQueue, connections: FakeConnections) -> list[tuple[str, Mapping[str, Any]]]:
    """Let the worker have all messages that wait; gives the frames that members were posted."""
    waiting, looks.waiting[:] = [body for body, _ in looks.waiting], []
    connections.posts.clear()
    assert deliver(worker, *waiting) == []
    return [(name, json.loads(text)) for name, text in connections.posts]


def told(version: int, count: int, joined: Sequence[str] = (), left: Sequence[str] = ()) -> dict[str, Any]:
    """A frame with names."""
    changed = {"joined": [*joined], "left": [*left]}
    return {"type": "presence", "room": "lobby", "version": version, **changed, "count": count}


def disconnect(clients: Clients, name: str) -> None:
    """A client is gone."""
    clients.load("disconnect").handler(event("DISCONNECT", name), FakeContext())


class TestOff:
    """Without rooms that tell of their presence."""

    def test_nothing_is_written_read_or_told(self, clients: Clients, table: FakeTable) -> None:
        clients.join("alice=", "lobby")
        clients.join("bob=", "lobby")
        assert [frame for frame in clients.ask("bob=", "join", room="lobby") if "presence" in frame] == []
        assert clients.ask("bob=", "ping", rooms={"lobby": {}})[0]["rooms"] == {"lobby": {}}
        assert "version" not in clients.ask("bob=", "who", room="lobby")[0]
        clients.send("bob=", "leave", room="lobby")
        disconnect(clients, "alice=")

        assert [key for key in table.items if "presence" in key[0]] == []
        assert {operation for operation, _ in table.calls} == {"GetItem", "Query", "TransactWriteItems"}
        assert "sees_presence" not in str(table.calls)
        assert "presence" not in str(table.calls)

    def test_other_rooms_stay_as_they_are(self, watching: Clients, table: FakeTable, looks: FakeQueue) -> None:
        watching.join("alice=", "news")
        assert watching.ask("alice=", "ping", rooms={"news": {}})[0]["rooms"] == {"news": {}}
        assert "sees_presence" not in str(table.items)
        assert (looks.waiting, [key for key in table.items if "presence" in key[0]]) == ([], [])


def test_a_change_is_told_after_the_window(
    watching: Clients, worker: Any, looks: FakeQueue, connections: FakeConnections
) -> None:
    watching.join("alice=", "lobby")
    [(body, delay)] = looks.waiting
    assert (json.loads(body).keys(), delay) == ({"v", "kind", "room", "due"}, 5)

    assert look(worker, looks, connections) == [("alice=", told(1, 1, ["alice="]))]
    watching.join("bob=", "lobby")
    both = told(2, 2, ["bob="])
    assert sorted(look(worker, looks, connections)) == [("alice=", both), ("bob=", both)]
    watching.send("alice=", "leave", room="lobby")
    assert look(worker, looks, connections) == [("bob=", told(3, 1, [], ["alice="]))]


def test_time_is_left_to_note_what_was_told(
    watching: Clients, worker: Any, looks: FakeQueue, connections: FakeConnections, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a note the same change would be told again. A note takes a try, or two with a pause."""
    deliver_all = connections.deliver_all
    left = []

    def noted(*arguments: Any, deadline: float, **options: Any) -> Any:
        left.append(began + FakeContext().remaining / 1_000 - deadline)
        return deliver_all(*arguments, deadline=deadline, **options)

    monkeypatch.setattr(connections, "deliver_all", noted)
    watching.join("alice=", "lobby")
    began = time.monotonic()
    look(worker, looks, connections)

    [seconds] = left
    assert 2 <= seconds <= 5


class TestChanges:
    """What members are told."""

    def test_many_changes_are_one_message_and_one_frame(
        self, watching: Clients, worker: Any, looks: FakeQueue, connections: FakeConnections
    ) -> None:
        for number in range(5):
            watching.join(f"c{number}=", "lobby")
        assert len(looks.waiting) == 1
        frames = look(worker, looks, connections)
        assert {name for name, _ in frames} == {f"c{number}=" for number in range(5)}
        assert {json.dumps(frame) for _, frame in frames} == {json.dumps(told(1, 5, [f"c{n}=" for n in range(5)]))}

    def test_coming_and_going_within_a_window_is_not_told(
        self, watching: Clients, worker: Any, looks: FakeQueue, connections: FakeConnections
    ) -> None:
        watching.join("alice=", "lobby")
        look(worker, looks, connections)
        watching.join("bob=", "lobby")
        disconnect(watching, "bob=")
        assert len(looks.waiting) == 1
        assert look(worker, looks, connections) == []

    def test_clients_of_text_mode_are_shown_and_not_told(
        self, watching: Clients, worker: Any, looks: FakeQueue, connections: FakeConnections
    ) -> None:
        assert watching.connect("vera=", "lobby", offers="")["statusCode"] == 200
        watching.join("alice=", "lobby")
        assert look(worker, looks, connections) == [("alice=", told(1, 2, ["alice=", "vera="]))]

    def test_a_room_of_the_handshake_counts_as_well(
        self, watching: Clients, worker: Any, looks: FakeQueue, connections: FakeConnections
    ) -> None:
        assert watching.connect("alice=", "lobby")["statusCode"] == 200
        assert look(worker, looks, connections) == [("alice=", told(1, 1, ["alice="]))]

    def test_a_member_that_is_found_dead_is_told_in_the_next_window(
        self, watching: Clients, worker: Any, looks: FakeQueue, connections: FakeConnections
    ) -> None:
        watching.join("alice=", "lobby")
        watching.join("bob=", "lobby")
        connections.gone.add("bob=")
        assert look(worker, looks, connections) == [("alice=", told(1, 2, ["alice=", "bob="]))]
        assert look(worker, looks, connections) == [("alice=", told(2, 1, [], ["bob="]))]

    def test_a_message_that_meets_a_dead_member_marks_its_rooms(self, watching: Clients, looks: FakeQueue) -> None:
        watching.join("alice=", "lobby", "lobby-2")
        watching.join("bob=", "lobby-2")
        looks.waiting.clear()
        watching.connections.gone.add("alice=")
        watching.load("presence").ROOMS.marks.versions.clear()
        for key in [key for key in watching.load("join").ROOMS._database.items if key[0].startswith("presence#")]:
            del watching.load("join").ROOMS._database.items[key]
        watching.send("bob=", "sendmessage", room="lobby-2", data="hello")
        assert {json.loads(body)["room"] for body, _ in looks.waiting} == {"lobby", "lobby-2"}


class TestFaults:
    """Functions end between any two steps, and answers are lost."""

    def test_a_change_without_a_mark_is_marked_when_the_client_asks_again(
        self, watching: Clients, table: FakeTable, looks: FakeQueue
    ) -> None:
        watching.join("alice=", "lobby")
        for action in ("join", "leave", "leave"):
            del table.items[MARK]
            looks.waiting.clear()
            watching.send("alice=", action, room="lobby")
            assert len(looks.waiting) == 1

    def test_each_of_two_joins_at_once_marks_the_room(
        self, watching: Clients, table: FakeTable, looks: FakeQueue
    ) -> None:
        watching.connect("alice=")
        members, deadline = watching.load("join").ROOMS, time.monotonic() + 60
        known = members.find("alice=", deadline)
        for _ in range(2):
            members.forget()
            table.items.pop(MARK, None)
            looks.waiting.clear()
            members.enter(known, ["lobby"], 20, deadline)
            assert (len(looks.waiting), members.marks.versions) == (1, {"lobby": 0})

    @pytest.mark.parametrize("action", ["leave", "disconnect"])
    def test_a_departure_is_noted_before_it_is_carried_out_and_marked_after(
        self, watching: Clients, table: FakeTable, looks: FakeQueue, action: str
    ) -> None:
        watching.join("alice=", "lobby", "other")
        table.items.pop(MARK)
        table.calls.clear()
        looks.waiting.clear()
        if action == "leave":
            watching.ask("alice=", "leave", room="lobby")
        else:
            disconnect(watching, "alice=")
        operations = [operation for operation, _ in table.calls]
        assert operations == ["GetItem", "UpdateItem", "TransactWriteItems", "UpdateItem"]
        assert len(looks.waiting) == 1

    def test_a_client_that_joins_is_noted_nowhere(self, watching: Clients, table: FakeTable) -> None:
        watching.join("alice=", "lobby")
        assert "left_by" not in table.items[MARK]

    def test_a_ghost_of_a_function_that_died_goes_with_the_next_client_that_asks(  # noqa: PLR0917 - fixtures
        self,
        watching: Clients,
        worker: Any,
        table: FakeTable,
        looks: FakeQueue,
        clock: list[float],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """The worker takes the mark and reads the members before the deletion, after which the function dies."""
        watching.join("bob=", "lobby")
        watching.join("alice=", "lobby")
        call = table.call

        def overtaken(operation: str, parameters: Mapping[str, Any], deadline: float) -> dict[str, Any]:
            if operation != "TransactWriteItems":
                return call(operation, parameters, deadline)
            with monkeypatch.context() as patch:
                patch.setattr(table, "call", call)
                assert deliver(worker, *[body for body, _ in looks.waiting]) == []
            looks.waiting.clear()
            call(operation, parameters, deadline)
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(table, "call", overtaken)
            with pytest.raises(KeyboardInterrupt):
                disconnect(watching, "alice=")
        assert watching.ask("bob=", "who", room="lobby")[0]["members"] == ["alice=", "bob="]
        assert looks.waiting == []
        clock[0] += marks.DEPARTURE_SECONDS + 1
        watching.ask("bob=", "ping", rooms={"lobby": {}})
        [(body, _)] = looks.waiting
        looks.waiting.clear()
        assert deliver(worker, body) == []
        assert watching.frames("bob=")[-1]["left"] == ["alice="]
        watching.ask("bob=", "ping", rooms={"lobby": {}})
        assert looks.waiting == []

    def test_a_mark_whose_answer_was_lost_sends_its_message(
        self, watching: Clients, table: FakeTable, looks: FakeQueue, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        call = table.call

        def twice(operation: str, parameters: Mapping[str, Any], deadline: float) -> dict[str, Any]:
            if operation == "UpdateItem":
                call(operation, parameters, deadline)
            return call(operation, parameters, deadline)

        monkeypatch.setattr(table, "call", twice)
        watching.join("alice=", "lobby")
        assert len(looks.waiting) == 1

    def test_a_transaction_whose_answer_was_lost_is_marked(
        self, watching: Clients, table: FakeTable, looks: FakeQueue, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        watching.join("alice=", "lobby")
        del table.items[MARK]
        looks.waiting.clear()
        call = table.call

        def lost(operation: str, parameters: Mapping[str, Any], deadline: float) -> dict[str, Any]:
            answer = call(operation, parameters, deadline)
            if operation == "TransactWriteItems":
                raise aws_json.ServiceError(operation, "lost", {}, transient=True, in_doubt=True)
            return answer

        monkeypatch.setattr(table, "call", lost)
        assert code(watching.ask("alice=", "leave", room="lobby")) == "unavailable"
        assert len(looks.waiting) == 1

    def test_a_queue_that_fails_fails_no_client(self, watching: Clients, looks: FakeQueue) -> None:
        looks.failing = True
        watching.join("alice=", "lobby")
        assert looks.waiting == []

    @pytest.mark.parametrize("asks", ["join", "ping", "who"])
    def test_a_mark_without_a_message_is_sent_again_once_it_is_overdue(
        self, watching: Clients, looks: FakeQueue, clock: list[float], asks: str
    ) -> None:
        fields: dict[str, Any] = {"rooms": {"lobby": {}}} if asks == "ping" else {"room": "lobby"}
        watching.join("alice=", "lobby")
        looks.waiting.clear()
        clock[0] = 34
        watching.send("alice=", asks, **fields)
        assert looks.waiting == []
        clock[0] = 36
        watching.send("alice=", asks, **fields)
        watching.send("alice=", asks, **fields)
        assert len(looks.waiting) == 1

    def test_a_version_that_was_not_announced_is_announced_by_the_message_that_comes_again(
        self, watching: Clients, worker: Any, looks: FakeQueue, connections: FakeConnections, table: FakeTable
    ) -> None:
        watching.join("alice=", "lobby")
        bodies = [body for body, _ in looks.waiting]
        deliver(worker, *bodies)
        table.items[MARK]["announced"] = {"N": "0"}
        connections.posts.clear()
        assert look(worker, looks, connections) == [("alice=", told(1, 1, ["alice="]))]
        assert look(worker, looks, connections) == []

    def test_a_version_is_stored_before_it_is_announced(
        self, watching: Clients, worker: Any, looks: FakeQueue, table: FakeTable, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        watching.join("alice=", "lobby")
        seen: list[Mapping[str, Any]] = []
        deliver_all = worker.DELIVERY.deliver_all

        def deliver_and_look(*arguments: Any) -> Any:
            seen.append(dict(table.items[MARK]))
            return deliver_all(*arguments)

        monkeypatch.setattr(worker.DELIVERY, "deliver_all", deliver_and_look)
        deliver(worker, *(body for body, _ in looks.waiting))
        [state] = seen
        assert (state["version"], state.get("announced", {"N": "0"})) == ({"N": "1"}, {"N": "0"})
        assert "due" not in state

    def test_a_client_that_joins_while_members_are_told_is_told_or_finds_the_version(
        self, watching: Clients, worker: Any, looks: FakeQueue, connections: FakeConnections, table: FakeTable
    ) -> None:
        watching.join("alice=", "lobby")
        store = worker.ROOMS.marks.store

        def store_and_join(*arguments: Any) -> bool:
            is_stored: bool = store(*arguments)
            watching.join("bob=", "lobby")
            connections.posts.clear()
            return is_stored

        worker.ROOMS.marks.store = store_and_join
        try:
            deliver(worker, *(body for body, _ in looks.waiting))
        finally:
            del worker.ROOMS.marks.store
        assert {name for name, _ in connections.posts} == {"alice=", "bob="}
        assert "due" in table.items[MARK]

    def test_a_change_while_the_members_are_read_is_marked_again(
        self, watching: Clients, worker: Any, looks: FakeQueue, table: FakeTable, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        watching.join("alice=", "lobby")
        [(body, _)] = looks.waiting
        looks.waiting.clear()
        compare = presence.change_of

        def compare_late(*known: Any) -> Any:
            watching.join("bob=", "lobby")
            return compare(*known)

        monkeypatch.setattr(presence, "change_of", compare_late)
        assert deliver(worker, body) == []
        assert len(looks.waiting) == 1
        assert "due" in table.items[MARK]

    def test_a_look_that_was_overtaken_begins_again(
        self, watching: Clients, worker: Any, looks: FakeQueue, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It has read the members before bob came, and the other look after that."""
        watching.join("alice=", "lobby")

        def come() -> None:
            watching.join("bob=", "lobby")

        self._overtaken(come, worker, looks, monkeypatch)
        assert watching.ask("alice=", "who", room="lobby")[0]["members"] == ["alice=", "bob="]

    def test_a_look_that_was_overtaken_by_one_that_found_nothing_new_begins_again(
        self,
        watching: Clients,
        worker: Any,
        looks: FakeQueue,
        connections: FakeConnections,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """It has read the members before carol went."""
        watching.join("alice=", "lobby")
        look(worker, looks, connections)
        watching.join("carol=", "lobby")

        def go() -> None:
            disconnect(watching, "carol=")

        self._overtaken(go, worker, looks, monkeypatch)
        assert watching.ask("alice=", "who", room="lobby")[0]["members"] == ["alice="]

    @staticmethod
    def _overtaken(change: Callable[[], None], worker: Any, looks: FakeQueue, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let members change after a look has read them, and another look begin and end meanwhile."""
        [(body, _)] = looks.waiting
        looks.waiting.clear()
        compare = presence.change_of
        overtaken: list[bool] = []

        def overtake(*known: Any) -> Any:
            if not overtaken:
                overtaken.append(True)
                change()
                assert deliver(worker, *(later for later, _ in looks.waiting)) == []
            return compare(*known)

        monkeypatch.setattr(presence, "change_of", overtake)
        assert deliver(worker, body) == []

    def test_a_message_that_comes_twice_leaves_a_later_mark_alone(
        self, watching: Clients, worker: Any, looks: FakeQueue, connections: FakeConnections, clock: list[float]
    ) -> None:
        watching.join("alice=", "lobby")
        [(body, _)] = looks.waiting
        look(worker, looks, connections)
        clock[0] = 1
        watching.join("bob=", "lobby")
        connections.posts.clear()
        assert deliver(worker, body) == []
        assert connections.posts == []
        assert look(worker, looks, connections)

    def test_a_worker_that_died_after_it_took_the_mark_is_followed_by_another(
        self, watching: Clients, worker: Any, looks: FakeQueue, connections: FakeConnections, table: FakeTable
    ) -> None:
        watching.join("alice=", "lobby")
        table.failing.add("Query")
        bodies = [body for body, _ in looks.waiting]
        assert deliver(worker, *bodies) == ["m0"]
        table.failing.clear()
        assert look(worker, looks, connections) == [("alice=", told(1, 1, ["alice="]))]

    def test_members_that_cannot_be_read_are_told_later(
        self, watching: Clients, worker: Any, looks: FakeQueue, connections: FakeConnections, table: FakeTable
    ) -> None:
        watching.join("alice=", "lobby")
        store = worker.ROOMS.marks.store

        def store_and_break(*arguments: Any) -> bool:
            table.failing.add("Query")
            is_stored: bool = store(*arguments)
            return is_stored

        worker.ROOMS.marks.store = store_and_break
        bodies = [body for body, _ in looks.waiting]
        try:
            assert deliver(worker, *bodies) == ["m0"]
        finally:
            del worker.ROOMS.marks.store
        table.failing.clear()
        assert look(worker, looks, connections) == [("alice=", told(1, 1, ["alice="]))]

    def test_an_expired_member_is_noticed_by_those_that_ask(
        self, watching: Clients, worker: Any, looks: FakeQueue, connections: FakeConnections, clock: list[float]
    ) -> None:
        watching.join("alice=", "lobby")
        look(worker, looks, connections)
        watching.ask("alice=", "ping", rooms={"lobby": {}})
        assert looks.waiting == []
        clock[0] = 8_000
        watching.ask("alice=", "ping", rooms={"lobby": {}})
        assert len(looks.waiting) == 1

    def test_the_first_of_several_that_expires_is_noticed(  # noqa: PLR0917 - fixtures
        self,
        watching: Clients,
        worker: Any,
        looks: FakeQueue,
        connections: FakeConnections,
        clock: list[float],
        table: FakeTable,
    ) -> None:
        for name in ("alice=", "bob="):
            watching.join(name, "lobby")
        table.items["room#lobby#0", "alice="]["expires_at"] = {"N": str(int(time.time()) + 600)}
        look(worker, looks, connections)
        clock[0] = 700
        watching.ask("bob=", "ping", rooms={"lobby": {}})
        assert len(looks.waiting) == 1

    @pytest.mark.parametrize("lost", [MARK, NAMES], ids=["state", "names"])
    def test_an_item_that_has_expired_makes_clients_ask(  # noqa: PLR0917 - fixtures and parameter
        self,
        watching: Clients,
        worker: Any,
        looks: FakeQueue,
        connections: FakeConnections,
        table: FakeTable,
        lost: Any,
    ) -> None:
        watching.join("alice=", "lobby")
        look(worker, looks, connections)
        before = watching.ask("alice=", "who", room="lobby")[0]["version"]
        del table.items[lost]
        watching.join("bob=", "lobby")
        [frame] = {json.dumps(frame) for _, frame in look(worker, looks, connections)} or [None]
        if frame is not None:
            assert json.loads(frame)["version"] != before + 1
        assert watching.ask("alice=", "who", room="lobby")[0]["members"] == ["alice=", "bob="]


class TestCrowds:
    """Rooms with too many members, or names that are too long."""

    @pytest.fixture
    def small(self, worker: Any, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
        """A worker that tells up to two names."""
        monkeypatch.setattr(worker, "SETTINGS", worker.SETTINGS._replace(presence_max_members=2))
        module: ModuleType = worker
        return module

    def test_only_their_number_is_told(
        self, watching: Clients, small: Any, looks: FakeQueue, connections: FakeConnections
    ) -> None:
        for name in ("alice=", "bob=", "carol="):
            watching.join(name, "lobby")
        frames = look(small, looks, connections)
        assert [frame for _, frame in frames] == [{"type": "presence", "room": "lobby", "version": 1, "count": 3}] * 3
        answer = watching.ask("alice=", "who", room="lobby")[0]
        assert (answer["version"], answer["count"], len(answer["members"])) == (1, 3, 3)

    def test_that_is_told_every_half_minute_at_most(
        self, watching: Clients, small: Any, looks: FakeQueue, connections: FakeConnections, clock: list[float]
    ) -> None:
        for name in ("alice=", "bob=", "carol="):
            watching.join(name, "lobby")
        look(small, looks, connections)
        clock[0] = 10
        watching.join("dave=", "lobby")
        assert look(small, looks, connections) == []
        [(_, delay)] = looks.waiting
        assert 19 <= delay <= 22
        watching.join("erin=", "lobby")
        assert len(looks.waiting) == 1
        clock[0] = 31
        assert [frame["count"] for _, frame in look(small, looks, connections)] == [5] * 5

    def test_a_room_that_is_small_again_makes_its_clients_ask(
        self, watching: Clients, small: Any, looks: FakeQueue, connections: FakeConnections, clock: list[float]
    ) -> None:
        for name in ("alice=", "bob=", "carol="):
            watching.join(name, "lobby")
        look(small, looks, connections)
        clock[0] = 31
        disconnect(watching, "carol=")
        frames = look(small, looks, connections)
        assert [frame for _, frame in frames] == [told(3, 2)] * 2
        answer = watching.ask("alice=", "who", room="lobby")[0]
        assert answer == {"type": "members", "room": "lobby", "version": 3, "count": 2, "members": ["alice=", "bob="]}

    def test_a_change_that_fits_no_frame_makes_clients_ask(self) -> None:
        names = frozenset(f"{number:03}" + "\N{GRINNING FACE}" * 157 for number in range(500))
        before = presence.Change("lobby", 4, 0, frozenset(), (), ())
        change = presence.change_of(before, names, 500)
        assert change is not None
        assert (change.version, change.joined, change.gone, change.names) == (6, (), (), names)
        size = sum(len(value.get("S", value.get("N", "")).encode()) for value in change.item.values())
        assert size < 400_000
        listed = presence.listed(names)
        assert 100 < len(listed) < 500
        assert len(json.dumps(listed, ensure_ascii=False, separators=(",", ":")).encode()) < 130_072


class TestAnswers:
    """What clients are told when they ask."""

    def test_joined_names_the_version(
        self, watching: Clients, worker: Any, looks: FakeQueue, connections: FakeConnections
    ) -> None:
        watching.connect("alice=")
        assert watching.ask("alice=", "join", room="lobby")[0]["presence"] == 0
        look(worker, looks, connections)
        watching.connect("bob=")
        assert watching.ask("bob=", "join", room="lobby")[0]["presence"] == 1
        assert watching.ask("bob=", "join", room="lobby")[0]["presence"] == 1

    @pytest.mark.parametrize("others", [[], ["lobby-2"], ["news"]])
    def test_joined_names_the_version_of_now_where_the_client_is_in_the_room_already(
        self, watching: Clients, worker: Any, looks: FakeQueue, connections: FakeConnections, others: list[str]
    ) -> None:
        def versions(name: str) -> list[int | None]:
            frames = watching.ask(name, "join", rooms={room: {} for room in ["lobby", *others]})
            assert [frame["type"] for frame in frames] == ["joined"] * (1 + len(others))
            return [frame.get("presence") for frame in frames if frame["room"] == "lobby"]

        watching.connect("alice=", "lobby")
        look(worker, looks, connections)
        # This environment has marked no room before, and then it has.
        assert versions("alice=") == [1]
        for number in range(2, 5):
            watching.connect(f"m{number}=", "lobby")
            look(worker, looks, connections)
            assert versions("alice=") == [number]
            assert versions(f"m{number}=") == [number]

    def test_a_version_that_cannot_be_read_is_not_told_as_it_was(
        self, watching: Clients, worker: Any, looks: FakeQueue, connections: FakeConnections, table: FakeTable
    ) -> None:
        watching.connect("alice=", "lobby")
        look(worker, looks, connections)
        assert watching.ask("alice=", "join", room="lobby")[0]["presence"] == 1
        table.failing = {"UpdateItem"}
        assert "presence" not in watching.ask("alice=", "join", room="lobby")[0]

    def test_pong_names_the_version_of_rooms_that_the_client_is_in(
        self, watching: Clients, worker: Any, looks: FakeQueue, connections: FakeConnections
    ) -> None:
        watching.join("alice=", "lobby", "news")
        look(worker, looks, connections)
        [pong] = watching.ask("alice=", "ping", rooms={"lobby": {}, "lobby-2": {}, "news": {}})
        assert pong["rooms"] == {"lobby": {"presence": 1}, "lobby-2": None, "news": {}}

    def test_who_tells_the_last_version_and_not_what_comes(
        self, watching: Clients, worker: Any, looks: FakeQueue, connections: FakeConnections
    ) -> None:
        watching.join("alice=", "lobby")
        assert watching.ask("alice=", "who", room="lobby")[0]["members"] == ["alice="]
        look(worker, looks, connections)
        watching.join("bob=", "lobby")
        answer = watching.ask("alice=", "who", room="lobby")[0]
        assert (answer["version"], answer["count"], answer["members"]) == (1, 1, ["alice="])
        look(worker, looks, connections)
        answer = watching.ask("alice=", "who", room="lobby")[0]
        assert (answer["version"], answer["count"], answer["members"]) == (2, 2, ["alice=", "bob="])


class TestMessages:
    """What the worker makes of messages of its queue."""

    @pytest.mark.parametrize(
        "body",
        [
            "",
            "[]",
            "1",
            "{}",
            '{"v":1,"kind":"presence","room":"lobby"}',
            '{"v":1,"kind":"presence","room":"lobby","due":"x"}',
            '{"v":1,"kind":"presence","room":"lob by","due":1}',
            '{"v":1,"kind":"other","room":"lobby","due":1}',
            '{"v":2,"kind":"presence","room":"lobby","due":1}',
            "[" * 100_000,
            PLANTED,
        ],
        ids=lambda body: body[:40],
    )
    def test_one_that_it_cannot_read_stays_in_the_queue_and_stops_no_other(
        self, watching: Clients, worker: Any, looks: FakeQueue, connections: FakeConnections, body: str
    ) -> None:
        watching.join("alice=", "lobby")
        connections.posts.clear()
        assert deliver(worker, body, looks.waiting[0][0]) == ["m0"]
        assert len(connections.posts) == 1

    def test_fields_of_a_later_release_are_ignored(
        self, watching: Clients, worker: Any, looks: FakeQueue, connections: FakeConnections
    ) -> None:
        watching.join("alice=", "lobby")
        connections.posts.clear()
        assert deliver(worker, json.dumps({**json.loads(looks.waiting[0][0]), "more": 1})) == []
        assert len(connections.posts) == 1

    @pytest.mark.parametrize("event", [{}, [], None, {"Records": 1}])
    def test_another_event_is_refused(self, worker: Any, event: Any) -> None:
        assert worker.handler(event, FakeContext()) == {"batchItemFailures": []}

    def test_a_message_without_an_id_makes_all_come_again(self, worker: Any) -> None:
        answer = worker.handler({"Records": [{"body": "x"}, 1]}, FakeContext())
        assert answer == {"batchItemFailures": [{"itemIdentifier": ""}] * 2}
