"""Rooms that keep messages, as clients of both protocols see them."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from roomcast import allowance, aws_json, fanout, frames, history_items, logged_rooms, replay_frames, serving, tasks
from roomcast.delivery import RoomMessage
from tests.fakes import FakeContext, message
from tests.v1 import ID, code

if TYPE_CHECKING:
    import pytest
    from tests.fakes import FakeConnections, FakeTable
    from tests.history_table import HistoryTable
    from tests.v1 import Clients

OTHER_ID = "0cc175b9c0f1b6a8"


class Late:
    """The module ``time``, later by some seconds."""

    def __init__(self) -> None:
        self.moved = 0.0

    def monotonic(self) -> float:
        """As ``time.monotonic``."""
        return time.monotonic() + self.moved

    def time(self) -> float:
        """As ``time.time``."""
        return time.time() + self.moved


def position(remembering: Clients, name: str = "alice") -> dict[str, Any]:
    """Let a client join the room; gives its position."""
    remembering.connect(name)
    [joined] = remembering.ask(name, "join", room="lobby")
    return {"epoch": joined["epoch"], "seq": joined["seq"]}


class TestSending:
    """Messages to a room that keeps them."""

    def test_members_receive_numbers_and_the_receipt_has_them(self, remembering: Clients) -> None:
        at = position(remembering)
        remembering.join("bob", "lobby")
        posts = remembering.send("alice", "sendmessage", room="lobby", data={"a": 1}, id=ID)
        [seen] = remembering.frames("bob")
        number = {"epoch": at["epoch"], "seq": 1}
        assert {**seen, "at": 0} == {
            "type": "message",
            "room": "lobby",
            **number,
            "id": ID,
            "from": "alice",
            "at": 0,
            "data": {"a": 1},
        }
        receipt = {"type": "receipt", "id": ID, "room": "lobby", **number, "delivered": 2, "gone": 0, "failed": 0}
        assert json.loads(posts[-1][1]) == receipt
        assert [to for to, _ in posts] == ["alice", "bob", "alice"]

    def test_the_message_is_stored_before_the_members_are_read(
        self, remembering: Clients, table: FakeTable, history_table: HistoryTable, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        remembering.join("alice", "lobby")
        order: list[str] = []

        def note(operation: str, _: object = None) -> bool:
            order.append(operation)
            return False

        monkeypatch.setattr(table, "note", note)
        monkeypatch.setattr(history_table, "fate", lambda name: bool(name) and note(f"log {name}"))
        remembering.send("alice", "sendmessage", room="lobby", data="hello", id=ID)
        assert order == [
            "GetItem",
            "log GetItem",
            "log UpdateItem",
            "log PutItem",
            "log PutItem",
            "Query",
            "log UpdateItem",
        ]

    def test_text_clients_see_what_they_saw(self, remembering: Clients, connections: FakeConnections) -> None:
        remembering.connect("tom", "lobby", offers="")
        remembering.join("alice", "lobby")
        remembering.send("alice", "sendmessage", room="lobby", data="hello")
        assert connections.received("tom") == ["hello"]
        posts = remembering.send("tom", "sendmessage", data="hi", id="label")
        assert ("tom", "hi") in posts
        assert posts[-1] == ("tom", '{"receipt":{"id":"label","delivered":2,"gone":0,"failed":0}}')
        [seen] = remembering.frames("alice")
        assert (seen["seq"], seen["data"], seen["id"], seen["from"]) == (2, "hi", "label", "tom")

    def test_the_label_of_a_text_client_makes_no_duplicate(self, remembering: Clients) -> None:
        remembering.connect("tom", "lobby", offers="")
        for _ in range(2):
            assert ("tom", "hi") in remembering.send("tom", "sendmessage", data="hi", id=ID)

    def test_other_rooms_keep_nothing(self, remembering: Clients, history_table: HistoryTable) -> None:
        remembering.join("alice", "attic")
        remembering.send("alice", "sendmessage", room="attic", data="hello")
        [seen] = remembering.frames("alice")
        assert "mid" in seen
        assert "seq" not in seen
        assert history_table.calls == []

    def test_nothing_is_kept_without_such_rooms(self, clients: Clients, history_table: HistoryTable) -> None:
        clients.join("alice", "lobby")
        clients.send("alice", "sendmessage", room="lobby", data="hello", id=ID)
        clients.ask("alice", "join", room="lobby", since={"epoch": "abcdefgh", "seq": 1})
        clients.ask("alice", "ping", rooms={"lobby": {}})
        assert history_table.calls == []

    def test_members_that_fail_are_no_failure_of_the_sender(
        self, remembering: Clients, connections: FakeConnections
    ) -> None:
        remembering.join("alice", "lobby")
        remembering.join("bob", "lobby")
        connections.refusing = {"bob"}
        [_, receipt] = remembering.ask("alice", "sendmessage", room="lobby", data="hello", id=ID)
        assert (receipt["type"], receipt["failed"]) == ("receipt", 1)
        assert [each["type"] for each in remembering.ask("alice", "sendmessage", room="lobby", data="hello")] == [
            "message"
        ]

    def test_a_log_that_cannot_be_written(self, remembering: Clients, history_table: HistoryTable) -> None:
        remembering.join("alice", "lobby")

        def fail(_: str) -> bool:
            raise aws_json.ServiceError("PutItem", "down", {}, transient=True)

        history_table.fate = fail
        posts = remembering.send("alice", "sendmessage", room="lobby", data="hello", id=ID)
        assert [(to, json.loads(text)["code"]) for to, text in posts] == [("alice", "unavailable")]

    def test_a_message_that_cannot_be_recorded_as_delivered_has_its_receipt(
        self, remembering: Clients, history_table: HistoryTable
    ) -> None:
        remembering.join("alice", "lobby")
        seen: list[str] = []

        def fail(operation: str) -> bool:
            seen.append(operation)
            if len(seen) == 5 * 2 - 1:
                raise aws_json.ServiceError(operation, "down", {}, transient=True)
            return False

        history_table.fate = fail
        [_, receipt] = remembering.ask("alice", "sendmessage", room="lobby", data="hello", id=ID)
        assert (receipt["type"], receipt["seq"], receipt["delivered"]) == ("receipt", 1, 1)
        history_table.fate = lambda _: False
        [sent] = [item for key, item in history_table.items.items() if key[0].startswith("sent#")]
        assert sent["state"] == {"S": "sending"}

    def test_the_receipt_does_not_wait_for_that_record_for_long(
        self, remembering: Clients, history_table: HistoryTable, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        remembering.join("alice", "lobby")
        steps, waits = history_table.steps, list[float]()

        def note(operation: str, parameters: Any, deadline: float) -> Any:
            if operation == "UpdateItem" and ":delivered" in parameters["ExpressionAttributeValues"]:
                waits.append(deadline - time.monotonic())
            return steps(operation, parameters, deadline)

        monkeypatch.setattr(history_table, "steps", note)
        assert remembering.ask("alice", "sendmessage", room="lobby", data="hello", id=ID)[-1]["delivered"] == 1
        [wait] = waits
        assert 0 < wait <= 2.0

    def test_a_message_that_cannot_be_replayed_is_too_large(self, remembering: Clients) -> None:
        position(remembering)
        remembering.connect("tom", "lobby", offers="")
        frame = len(
            json.dumps({"type": "messages", "room": "lobby", "epoch": "e" * 8, "messages": []}, separators=(",", ":"))
        )
        entry = {"seq": 2**53 - 1, "from": "tom", "at": 1_760_000_000_000, "data": ""}
        space = frames.MAXIMUM_BYTES - frame - len(json.dumps(entry, separators=(",", ":")))
        assert remembering.send("tom", "sendmessage", data="x" * (space + 1))[0][1].startswith(
            '{"error":{"code":"too_large"'
        )
        assert len(remembering.send("tom", "sendmessage", data="x" * space)) == 2
        remembering.connect("bob")
        answers = remembering.ask("bob", "join", room="lobby", last=1)
        assert [each["type"] for each in answers] == ["messages", "joined"]


class TestSentAgain:
    """Messages that a client sends again."""

    def test_it_is_known_for_as_long_as_it_may_come_again(
        self, remembering: Clients, history_table: HistoryTable
    ) -> None:
        """A client tries for 8 minutes, the queue of `publish` for 12: five times, each 6 times 30 s after the last."""
        remembering.join("alice", "lobby")
        remembering.ask("alice", "sendmessage", room="lobby", data="hello", id=ID)
        [sent] = [item for key, item in history_table.items.items() if key[0].startswith("sent#")]
        assert 12 * 60 + 60 <= int(sent["expires_at"]["N"]) - time.time() <= 60 * 60

    def test_a_duplicate_says_so_and_reaches_nobody(self, remembering: Clients) -> None:
        at = position(remembering)
        remembering.ask("alice", "sendmessage", room="lobby", data="hello", id=ID)
        answers = remembering.ask("alice", "sendmessage", room="lobby", data="hello", id=ID)
        number = {"epoch": at["epoch"], "seq": 1}
        assert answers == [{"type": "receipt", "id": ID, "room": "lobby", **number, "duplicate": True}]

    def test_another_connection_of_the_client_may_send_it_again(self, remembering: Clients) -> None:
        remembering.join("alice", "lobby")
        remembering.ask("alice", "sendmessage", room="lobby", data="hello", id=ID)
        remembering.join("again", "lobby")
        [receipt] = remembering.ask("again", "sendmessage", room="lobby", data="hello", id=ID)
        assert receipt["duplicate"]

    def test_while_it_is_under_way_it_is_posted_once(self, remembering: Clients, history_table: HistoryTable) -> None:
        remembering.join("alice", "lobby")
        remembering.ask("alice", "sendmessage", room="lobby", data="hello", id=ID)
        [sent] = [item for key, item in history_table.items.items() if key[0].startswith("sent#")]
        sent["state"] = {"S": "sending"}
        [receipt] = remembering.ask("alice", "sendmessage", room="lobby", data="hello", id=ID)
        assert receipt["sending"]
        assert "delivered" not in receipt

    def test_what_a_dead_worker_left_is_posted_as_it_was(
        self, remembering: Clients, history_table: HistoryTable
    ) -> None:
        remembering.join("alice", "lobby")
        remembering.join("bob", "lobby")
        remembering.ask("alice", "sendmessage", room="lobby", data="hello", id=ID)
        [before] = remembering.frames("bob")
        [sent] = [item for key, item in history_table.items.items() if key[0].startswith("sent#")]
        sent |= {"state": {"S": "sending"}, "sending_until": {"N": "1"}}
        remembering.join("again", "lobby")
        [_, receipt] = remembering.ask("again", "sendmessage", room="lobby", data="hello", id=ID)
        assert (receipt["seq"], receipt["delivered"]) == (1, 3)
        assert remembering.frames("bob") == [before]

    def test_what_was_cut_short_is_unavailable_and_goes_on(
        self, remembering: Clients, history_table: HistoryTable, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        remembering.connect("tom", "lobby", offers="")
        remembering.join("alice", "lobby")
        deliver_all = remembering.connections.deliver_all

        def cut(*arguments: Any, **options: Any) -> list[fanout.Result]:
            monkeypatch.setattr(remembering.connections, "deliver_all", deliver_all)
            [result] = deliver_all([each._replace(recipients=()) for each in arguments[0]], **options)
            result.report.complete = False
            return [result]

        for asked in ({"id": ID}, {}):
            monkeypatch.setattr(remembering.connections, "deliver_all", cut)
            assert code(remembering.ask("alice", "sendmessage", room="lobby", data="hello", **asked)) == "unavailable"
        [sent] = [item for key, item in history_table.items.items() if key[0].startswith("sent#")]
        assert sent["state"] == {"S": "sending"}
        sent["sending_until"] = {"N": "1"}
        posts = remembering.send("alice", "sendmessage", room="lobby", data="hello", id=ID)
        assert ("tom", "hello") in posts
        receipt = json.loads(posts[-1][1])
        assert (receipt["seq"], receipt["delivered"]) == (1, 2)
        [receipt] = remembering.ask("alice", "sendmessage", room="lobby", data="hello", id=ID)
        assert receipt["duplicate"]

    def test_other_data_under_its_id(self, remembering: Clients) -> None:
        remembering.join("alice", "lobby")
        remembering.ask("alice", "sendmessage", room="lobby", data="1", id=ID)
        assert code(remembering.ask("alice", "sendmessage", room="lobby", data=1, id=ID)) == "id_reused"

    def test_the_id_has_sixteen_characters(self, remembering: Clients) -> None:
        remembering.join("alice", "lobby")
        assert code(remembering.ask("alice", "sendmessage", room="lobby", data="1", id="short")) == "invalid_id"


def let_one_in(clients: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each room a single place."""
    for name in ("connect", "join", "leave"):
        module = clients.load(name)
        monkeypatch.setattr(module, "SETTINGS", module.SETTINGS._replace(maximum_room_members=1))
        monkeypatch.setattr(module.ROOMS, "headcount", module.ROOMS.headcount._replace(maximum=1, shards=1))


class TestJoining:
    """Clients that join such a room, and return to it."""

    def test_the_first_answer_is_a_position(self, remembering: Clients, history_table: HistoryTable) -> None:
        remembering.connect("alice")
        [joined] = remembering.ask("alice", "join", room="lobby", id="1")
        epoch = history_table.items["head#lobby", "head"]["epoch"]["S"]
        limits = joined.pop("limits")
        assert joined == {"type": "joined", "id": "1", "room": "lobby", "epoch": epoch, "seq": 0, "head": 0}
        assert limits["keeps"] == 3_600_000

    def test_a_client_that_returns_gets_what_it_missed_before_the_answer(self, remembering: Clients) -> None:
        at = position(remembering)
        remembering.join("bob", "lobby")
        for data in ("one", {"n": 2}):
            remembering.send("bob", "sendmessage", room="lobby", data=data, id=ID if data == "one" else OTHER_ID)
        remembering.connect("alice2")
        messages, joined = remembering.ask("alice2", "join", room="lobby", since=at, id="7")
        head = {"type": "messages", "room": "lobby", "epoch": at["epoch"]}
        assert {name: messages[name] for name in head} == head
        assert [{**each, "at": 0} for each in messages["messages"]] == [
            {"seq": 1, "id": ID, "from": "bob", "at": 0, "data": "one"},
            {"seq": 2, "id": OTHER_ID, "from": "bob", "at": 0, "data": {"n": 2}},
        ]
        del joined["limits"]
        assert joined == {
            "type": "joined",
            "id": "7",
            "room": "lobby",
            "epoch": at["epoch"],
            "seq": 2,
            "head": 2,
            "recovered": True,
        }

    def test_replays_come_in_frames_that_fit(self, remembering: Clients, connections: FakeConnections) -> None:
        at = position(remembering)
        for number in range(5):
            remembering.send("alice", "sendmessage", room="lobby", data=f"{number}" + "é" * 25_000)
        remembering.send("alice", "join", room="lobby", since=at)
        texts = connections.received("alice")
        assert all(len(text.encode()) <= frames.MAXIMUM_BYTES for text in texts)
        replayed = [json.loads(text) for text in texts[:-1]]
        assert [[each["seq"] for each in frame["messages"]] for frame in replayed] == [[1, 2], [3, 4], [5]]

    def test_a_message_that_fits_no_batch_comes_alone(self) -> None:
        slots = [
            history_items.Entry(number, 1, sender="a", data="x" * size)
            for number, size in ((1, 5), (2, 140_000), (3, 5))
        ]
        made = [json.loads(text) for text, _ in replay_frames.messages("lobby", "abcdefgh", slots)]
        assert [each["type"] for each in made] == ["messages", "message", "messages"]
        assert (made[1]["seq"], made[1]["replayed"]) == (2, True)

    def test_a_frame_is_given_with_the_number_that_it_begins_with(self) -> None:
        """A replay that ends before a frame tells its client to ask from there."""
        sizes = (50_000, 50_000, 50_000, 140_000, 50_000, 50_000)
        slots = [history_items.Entry(number, 1, sender="a", data="x" * size) for number, size in enumerate(sizes, 1)]
        made = [(json.loads(text), first) for text, first in replay_frames.messages("lobby", "abcdefgh", slots)]
        numbers = [[each["seq"] for each in frame.get("messages", [frame])] for frame, _ in made]
        assert numbers == [[1, 2], [3], [4], [5, 6]]
        assert [first for _, first in made] == [1, 3, 4, 5]

    def test_several_rooms_at_once(self, remembering: Clients, history_table: HistoryTable) -> None:
        at = position(remembering)
        remembering.send("alice", "sendmessage", room="lobby", data="hello")
        remembering.connect("bob")
        history_table.calls.clear()
        answers = remembering.ask("bob", "join", rooms={"lobby": {"since": at}, "attic": {"since": at}}, id="1")
        assert [(each["type"], each["room"], each.get("reason")) for each in answers] == [
            ("messages", "lobby", None),
            ("joined", "lobby", None),
            ("joined", "attic", "no_history"),
        ]
        assert [operation for operation, _ in history_table.calls] == ["BatchGetItem", "Query"]

    def test_a_join_begins_anew_if_its_client_left_meanwhile(
        self, remembering: Clients, history_table: HistoryTable, table: FakeTable, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        at = position(remembering)
        remembering.send("alice", "sendmessage", room="lobby", data="one")
        steps = history_table.steps

        def leaves(operation: str, *rest: Any) -> Any:
            monkeypatch.setattr(history_table, "steps", steps)
            raw = message("alice", {"action": "leave", "room": "lobby"}, "leave")
            remembering.load("leave").handler(raw, FakeContext())
            return steps(operation, *rest)

        monkeypatch.setattr(history_table, "steps", leaves)
        answers = remembering.ask("alice", "join", room="lobby", since=at)
        assert [each["type"] for each in answers] == ["left", "messages", "messages", "joined"]
        assert "lobby" in table.items["connection#alice", "connection"]["rooms"]["M"]

    def test_a_room_that_is_full(self, remembering: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
        let_one_in(remembering, monkeypatch)
        remembering.join("vera", "lobby")
        remembering.connect("alice")
        assert code(remembering.ask("alice", "join", room="lobby", last=10)) == "room_full"

    def test_one_room_too_many(self, remembering: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
        module = remembering.load("join")
        monkeypatch.setattr(module, "SETTINGS", module.SETTINGS._replace(max_rooms_per_connection=1))
        remembering.join("alice", "attic")
        assert code(remembering.ask("alice", "join", room="lobby")) == "too_many_rooms"

    def test_a_room_that_was_full_at_first_has_no_error_once_it_is_joined(
        self, remembering: Clients, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        let_one_in(remembering, monkeypatch)
        remembering.join("vera", "lobby")
        remembering.connect("alice")
        leave, join = remembering.load("leave"), remembering.load("join")
        rooms = join.ROOMS
        find, reads = rooms.find, list[str]()

        def changes(*arguments: Any) -> Any:
            reads.append("find")
            if len(reads) == 2:
                for who, room in (("vera", "lobby"), ("alice", "news")):
                    raw = message(who, {"action": "leave", "room": room}, "leave")
                    leave.handler(raw, FakeContext())
            return find(*arguments)

        monkeypatch.setattr(rooms, "find", changes)
        monkeypatch.setattr(remembering, "load", lambda _: join)
        monkeypatch.setattr(join.HISTORY, "_patterns", ("lobby", "news"))
        answers = remembering.ask("alice", "join", rooms={"lobby": {}, "news": {}})
        assert [(each["type"], each["room"]) for each in answers[-2:]] == [("joined", "lobby"), ("joined", "news")]

    def test_a_join_of_a_client_that_goes_meanwhile(
        self, remembering: Clients, history_table: HistoryTable, table: FakeTable, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        position(remembering)
        steps = history_table.steps

        def goes(operation: str, *rest: Any) -> Any:
            table.items.clear()
            return steps(operation, *rest)

        monkeypatch.setattr(history_table, "steps", goes)
        posts = remembering.send("alice", "join", room="lobby")
        assert [json.loads(text)["code"] for _, text in posts] == ["reconnect"]

    def test_without_the_right_a_room_has_no_history(self, remembering: Clients, history_table: HistoryTable) -> None:
        rights = json.dumps({"lobby": ["join", "send"]})
        remembering.authorizer = {"principalId": "alice", "rooms": rights, "exp": "9999999999"}
        settings = remembering.load("join").SETTINGS._replace(authorization="CUSTOM")
        for name in ("connect", "join", "ping", "sendmessage"):
            remembering.load(name).SETTINGS, before = settings, remembering.load(name).SETTINGS
            assert before is not settings
        try:
            remembering.connect("a")
            [joined] = remembering.ask("a", "join", room="lobby")
            [pong] = remembering.ask("a", "ping", rooms={"lobby": {}})
            assert not {"epoch", "seq", "head"} & joined.keys()
            assert pong["rooms"] == {"lobby": {}}
            assert code(remembering.ask("a", "join", room="lobby", last=1)) == "not_allowed"
            assert history_table.calls == []
        finally:
            for name in ("connect", "join", "ping", "sendmessage"):
                remembering.load(name).SETTINGS = settings._replace(authorization="NONE")

    def test_frames_of_a_replay_count_as_messages_of_the_client(
        self, remembering: Clients, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        at = position(remembering)
        for number in range(5):
            remembering.send("alice", "sendmessage", room="lobby", data=f"{number}" + "x" * 100_000)
        module = remembering.load("join")
        monkeypatch.setattr(module, "SETTINGS", module.SETTINGS._replace(messages_per_second=1.0))
        monkeypatch.setattr(remembering, "load", lambda _: module)
        answers = remembering.ask("alice", "join", room="lobby", since=at)
        assert [each["type"] for each in answers] == ["messages", "messages", "joined"]
        assert (answers[-1]["seq"], answers[-1]["head"], answers[-1]["more"]) == (2, 5, True)
        assert code(remembering.ask("alice", "join", room="lobby", since={**at, "seq": 2})) == "rate_limited"
        assert [each["type"] for each in remembering.ask("alice", "join", room="lobby")] == ["joined"]

    def test_several_rooms_are_joined_in_turn_where_messages_are_limited(
        self, remembering: Clients, history_table: HistoryTable, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        names = [f"lobby-{number}" for number in range(5)]
        modules = {name: remembering.load(name) for name in ("connect", "join", "sendmessage")}
        monkeypatch.setattr(remembering, "load", modules.__getitem__)
        for name in ("join", "sendmessage"):
            monkeypatch.setattr(modules[name].HISTORY, "_patterns", ("lobby-*",))
        remembering.join("bob", *names)
        for name in names:
            remembering.send("bob", "sendmessage", room=name, data="hello")
        remembering.connect("alice")
        module, moment = modules["join"], Late()
        monkeypatch.setattr(module, "SETTINGS", module.SETTINGS._replace(messages_per_second=1.0))
        monkeypatch.setattr(allowance, "time", moment)
        left, rounds = names, []
        while left:
            history_table.calls.clear()
            answers = remembering.ask("alice", "join", rooms={name: {"last": 5} for name in left}, id="1")
            joined = [each["room"] for each in answers if each["type"] == "joined"]
            refused = [each for each in answers if each["type"] == "error"]
            assert {(each["code"], each["id"]) for each in refused} <= {("rate_limited", "1")}
            assert sorted([*joined, *(each["room"] for each in refused)]) == left
            rounds.append(joined)
            # One further log is read, and no more of them.
            assert [name for name, _ in history_table.calls] == ["BatchGetItem", *["Query"] * min(3, len(left))]
            left = [each["room"] for each in refused]
            moment.moved += 10.0
        assert rounds == [names[:2], names[2:4], names[4:]]

    def test_the_last_messages_are_no_further_than_they_were_sent(
        self, remembering: Clients, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        at = position(remembering)
        for number in range(5):
            remembering.send("alice", "sendmessage", room="lobby", data=f"{number}" + "x" * 100_000)
        module = remembering.load("join")
        monkeypatch.setattr(module, "SETTINGS", module.SETTINGS._replace(messages_per_second=1.0))
        for name, asked in (("bob", {}), ("carol", {"since": {**at, "epoch": "another0"}})):
            remembering.connect(name)
            answers = remembering.ask(name, "join", room="lobby", last=5, **asked)
            assert [each["messages"][0]["seq"] for each in answers[:-1]] == [1, 2]
            assert (answers[-1]["seq"], answers[-1]["head"]) == (2, 5)
            assert "more" not in answers[-1]

    def test_a_replay_that_takes_too_long_goes_on_with_the_next_join(
        self, remembering: Clients, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        at = position(remembering)
        for number in range(3):
            remembering.send("alice", "sendmessage", room="lobby", data=f"{number}" + "x" * 100_000)
        reply = serving.reply

        def slow(*arguments: Any) -> bool:
            clock.moved += 60.0
            return reply(*arguments)

        clock = Late()
        monkeypatch.setattr(logged_rooms, "time", clock)
        monkeypatch.setattr(serving, "reply", slow)
        answers = remembering.ask("alice", "join", room="lobby", since=at)
        assert [each["type"] for each in answers] == ["messages", "joined"]
        assert (answers[-1]["seq"], answers[-1]["head"], answers[-1]["more"]) == (1, 3, True)

    def test_a_post_that_fails_is_no_answer(self, remembering: Clients, connections: FakeConnections) -> None:
        at = position(remembering)
        remembering.send("alice", "sendmessage", room="lobby", data="hello")
        connections.refusing = {"alice"}
        assert remembering.send("alice", "join", room="lobby", since=at) == []

    def test_what_comes_before_the_connection_is_known_is_no_answer(
        self, remembering: Clients, connections: FakeConnections, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        at = position(remembering)
        remembering.send("alice", "sendmessage", room="lobby", data="hello")
        reply = serving.reply

        def early(*arguments: Any) -> bool:
            connections.gone = {"alice"} - connections.gone
            return reply(*arguments)

        monkeypatch.setattr(serving, "reply", early)
        assert code(remembering.ask("alice", "join", room="lobby", since=at)) == "unavailable"


class TestPing:
    """The ends of logs."""

    def test_says_how_far_each_log_is(self, remembering: Clients, history_table: HistoryTable) -> None:
        at = position(remembering)
        remembering.ask("alice", "join", room="attic")
        remembering.send("alice", "sendmessage", room="lobby", data="hello")
        history_table.calls.clear()
        [pong] = remembering.ask("alice", "ping", rooms={"lobby": at, "attic": {}, "cellar": {}})
        assert pong["rooms"] == {"lobby": {"epoch": at["epoch"], "seq": 1}, "attic": {}, "cellar": None}
        [(operation, request)] = history_table.calls
        assert operation == "BatchGetItem"
        assert request["RequestItems"]["history"]["ConsistentRead"] is False


class TestQueue:
    """Queued delivery."""

    def test_a_task_knows_the_number(self) -> None:
        envelope = frames.Envelope("alice", 1, "m" * 32, ID, epoch="abcdefgh", seq=7)
        task = tasks.Task(RoomMessage("lobby", "a", "hello", "r", envelope), 0)
        read = tasks.parse(task.to_json())
        assert isinstance(read, tasks.Task)
        assert read.message.envelope == envelope
        assert json.loads(read.message.frame or b"")["seq"] == 7

    def test_a_task_of_an_earlier_release_has_none(self) -> None:
        task = tasks.Task(RoomMessage("lobby", "a", "hello", "r", frames.Envelope("alice", 1, "m")), 0)
        body = json.loads(task.to_json())
        body["envelope"] = {
            name: body["envelope"][name] for name in ("sender", "at", "mid", "id", "is_text", "is_direct")
        }
        read = tasks.parse(json.dumps(body))
        assert isinstance(read, tasks.Task)
        assert json.loads(read.message.frame or b"")["mid"] == "m"
