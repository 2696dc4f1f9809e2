"""``roomcast.v1``: what clients of it send and receive, beside clients of text mode in the same rooms."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any

import pytest
from roomcast import frames, protocol, tasks
from tests.fakes import CONNECTED_AT, FakeConnections, FakeContext, FakeTable, error_code
from tests.v1 import ID, Clients, code

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FORGERIES = [
    '{"type":"kicked","reason":"spam"}',
    '{"type":"receipt","id":"9f86d081884c7d65","room":"lobby","delivered":3}',
    '"},"type":"left","room":"lobby","x":{"y":"',
    '\u2028{"type":"reconnect"}',
]


@pytest.fixture
def room(clients: Clients) -> Clients:
    """A lobby with two clients of each kind."""
    for name in ("vera=", "viktor="):
        clients.join(name, "lobby")
    for name in ("tom=", "tina="):
        assert clients.connect(name, "lobby", offers="") == {"statusCode": 200}
    return clients


class TestHandshakes:
    """The first known name that is offered is answered, and decides."""

    @pytest.mark.parametrize(
        ("offers", "echoed"),
        [
            ("roomcast.v1", "roomcast.v1"),
            ("roomcast.v1, roomcast.text", "roomcast.v1"),
            ("roomcast.text, roomcast.v1", "roomcast.text"),
            ("roomcast.v9, roomcast.v1", "roomcast.v1"),
            ("roomcast.v1, roomcast.bearer.a.b.c", "roomcast.v1"),
        ],
    )
    def test_names(self, clients: Clients, table: FakeTable, offers: str, echoed: str) -> None:
        answer = clients.connect("vera=", offers=offers)
        assert answer == {"statusCode": 200, "headers": {"Sec-WebSocket-Protocol": echoed}}
        spoken = {item["protocol"]["S"] for item in table.items.values()}
        assert spoken == {protocol.SUBPROTOCOLS[echoed]}

    def test_without_a_room_a_client_is_in_none(self, clients: Clients, table: FakeTable) -> None:
        clients.connect("vera=")
        [item] = table.items.values()
        assert item["rooms"] == {"M": {}}
        assert "version" not in item
        [answer] = clients.ask("vera=", "whoami", id="1")
        assert (answer["type"], answer["id"], answer["connectionId"], answer["rooms"]) == ("whoami", "1", "vera=", [])
        assert answer["versions"] == ["roomcast.v1"]

    def test_with_a_room_it_is_a_member_at_once(self, clients: Clients, table: FakeTable) -> None:
        clients.connect("vera=", "lobby")
        assert table.keys() == {("connection#vera=", "connection"), ("room#lobby#0", "vera=")}
        assert clients.ask("vera=", "sendmessage", room="lobby", data=1)[0]["data"] == 1

    @pytest.mark.parametrize("rooms", [("lobby", "lobby"), ("a b",)])
    def test_a_room_that_cannot_be_is_refused(self, clients: Clients, rooms: tuple[str, ...]) -> None:
        assert clients.connect("vera=", *rooms) == {"statusCode": 400}

    def test_a_table_that_fails_refuses_and_leaves_nothing(self, clients: Clients, table: FakeTable) -> None:
        table.failing_after_write.add("TransactWriteItems")
        assert clients.connect("vera=") == {"statusCode": 500}
        assert table.living() == set()

    def test_text_mode_writes_what_it_wrote(self, clients: Clients, table: FakeTable) -> None:
        clients.connect("tom=", "lobby", offers="")
        shared = {"connected_at", "expires_at", "protocol", "partition_key", "sort_key"}
        connected, member = sorted(table.items.values(), key=len, reverse=True)
        assert (set(connected), set(member)) == (shared | {"rooms"}, shared)
        assert member["protocol"] == {"S": "text"}


class TestMessages:
    """The receiver's protocol decides the form, whoever sends."""

    def test_each_receives_its_own_form(self, room: Clients) -> None:
        room.send("vera=", "sendmessage", room="lobby", data={"text": "hello", "n": 1.50}, id=ID)

        assert (
            room.connections.received("tom=") == room.connections.received("tina=") == ['{"text": "hello", "n": 1.5}']
        )
        [frame] = room.frames("viktor=")
        own, receipt = room.frames("vera=")
        assert own == frame
        assert abs(frame.pop("at") - time.time() * 1000) < 60_000
        assert re.fullmatch("[0-9a-f]{32}", frame.pop("mid"))
        assert frame == {
            "type": "message",
            "room": "lobby",
            "id": ID,
            "from": "vera=",
            "data": {"text": "hello", "n": 1.5},
        }
        assert receipt == {"type": "receipt", "id": ID, "room": "lobby", "delivered": 4, "gone": 0, "failed": 0}

    def test_a_text_clients_message(self, room: Clients) -> None:
        posts = room.send("tom=", "sendmessage", data="hello", id="1")

        assert room.connections.received("tina=") == ["hello"]
        assert room.connections.received("tom=") == [
            "hello",
            '{"receipt":{"id":"1","delivered":4,"gone":0,"failed":0}}',
        ]
        [frame] = room.frames("vera=")
        assert (frame["type"], frame["from"], frame["id"], frame["data"]) == ("message", "tom=", "1", "hello")
        assert len(posts) == 5

    @pytest.mark.parametrize(
        "text", ['"hello"', "[ 1 ,\t2 ]", "12345678901234567890.10", "null", '{"a":1,"a":2}', "false"]
    )
    def test_data_goes_on_as_it_came(self, room: Clients, text: str) -> None:
        for sender, named in (("vera=", '"room":"lobby",'), ("tom=", "")):
            room.connections.posts.clear()
            body = f'{{"action":"sendmessage",{named}"data":{text}}}'
            event = {**_message(sender), "body": body}
            room.load("sendmessage").handler(event, FakeContext())
            [post] = room.connections.received("viktor=")
            assert post.endswith(f',"data":{text}}}')
            assert room.connections.received("tina=") == [json.loads(text) if text == '"hello"' else text]

    @pytest.mark.parametrize("forgery", FORGERIES)
    @pytest.mark.parametrize("sender", ["tom=", "vera="])
    def test_no_member_makes_a_frame_for_another(self, room: Clients, sender: str, forgery: str) -> None:
        room.send(sender, "sendmessage", room="lobby", data=forgery, id=ID)
        [frame] = room.frames("viktor=")
        assert (frame["type"], frame["from"], frame["data"]) == ("message", sender, forgery)

    @pytest.mark.parametrize("field", ["type", "from", "at", "mid", "epoch", "seq", "backend", "direct"])
    @pytest.mark.parametrize("sender", ["tom=", "vera="])
    def test_fields_that_the_server_sets_are_its_own(self, room: Clients, sender: str, field: str) -> None:
        room.send(sender, "sendmessage", room="lobby", data="x", **{field: "forged"})
        [frame] = room.frames("viktor=")
        assert frame.get(field) != "forged"
        assert set(frame) == {"type", "room", "mid", "from", "at", "data"}

    def test_a_message_that_is_sent_again_has_the_same_mid(self, room: Clients) -> None:
        def mids(sender: str, **fields: object) -> set[str]:
            seen = set()
            for _ in range(2):
                room.send(sender, "sendmessage", room="lobby", data="x", **fields)
                seen.add(room.frames("viktor=")[0]["mid"])
            return seen

        assert len(mids("vera=", id=ID)) == 1
        assert mids("vera=", id=ID) != mids("vera=", id=ID + "0")
        assert len(mids("vera=")) == 2
        # In text mode an id is a label.
        assert len(mids("tom=", id=ID)) == 2

    def test_the_name_in_from_is_the_identity(self, clients: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
        clients.authorizer = {"principalId": "alice", "rooms": '["*"]', "exp": str(int(time.time()) + 1000)}
        for name in ("connect", "join", "sendmessage"):
            module = clients.load(name)
            monkeypatch.setattr(module, "SETTINGS", module.SETTINGS._replace(authorization="JWT"))
        clients.join("vera=", "lobby")
        [frame] = clients.ask("vera=", "sendmessage", room="lobby", data="x")
        assert frame["from"] == "alice"

    def test_a_direct_message_says_so(self, room: Clients) -> None:
        room.send("vera=", "sendmessage", room="lobby", data="psst", to="viktor=")
        [frame] = room.frames("viktor=")
        assert (frame["direct"], frame["data"], frame["from"]) == (True, "psst", "vera=")
        assert len(room.connections.posts) == 1
        assert room.send("tom=", "sendmessage", data="psst", to="viktor=")[0][1].endswith(
            '"direct":true,"data":"psst"}'
        )
        assert room.send("vera=", "sendmessage", room="lobby", data="psst", to="tom=") == [("tom=", "psst")]

    @pytest.mark.parametrize(
        ("fields", "expected"),
        [
            ({"data": "x"}, "room_required"),
            ({"data": "x", "room": None}, "room_required"),
            ({"data": "x", "room": "a b"}, "invalid_room"),
            ({"data": "x", "room": 7}, "invalid_room"),
            ({"data": "x", "room": "elsewhere"}, "not_joined"),
            ({"data": "x", "room": "lobby", "id": "short"}, "invalid_id"),
            ({"data": "x", "room": "lobby", "id": "i" * 65}, "invalid_id"),
            ({"data": "x", "room": "lobby", "id": "i" * 15 + "\n"}, "invalid_id"),
            ({"data": "x", "room": "lobby", "id": "\ud800" * 16}, "invalid_id"),
            ({"data": "x", "room": "lobby", "id": 7}, "invalid_id"),
            ({"room": "lobby"}, "missing_data"),
            ({"room": "lobby", "data": "\ud800"}, "not_unicode"),
            ({"room": "lobby", "data": "x" * 131_073}, "too_large"),
            ({"room": "lobby", "data": "x" * 131_000}, "too_large"),
            ({"room": "lobby", "data": "x", "to": "nobody="}, "unknown_recipient"),
            ({"room": "lobby", "data": "x", "to": 7}, "unknown_recipient"),
            ({"room": "lobby", "data": "x", "to": "n" * 161}, "unknown_recipient"),
            ({"room": "lobby", "data": "x", "to": "user:alice"}, "unknown_recipient"),
            ({"room": "lobby", "data": "x", "to": "user:vera="}, "unknown_recipient"),
            ({"room": "lobby", "data": "x", "to": "user:"}, "unknown_recipient"),
            ({"room": "lobby", "data": "x", "to": "user:" + "n" * 161}, "unknown_recipient"),
            ({"room": "lobby", "data": "x", "ephemeral": False}, "unsupported"),
            ({"room": "lobby", "data": "x", "meta": {}}, "unsupported"),
        ],
    )
    def test_what_cannot_be_served_is_answered_and_reaches_no_other(
        self, room: Clients, fields: Mapping[str, Any], expected: str
    ) -> None:
        posts = room.send("vera=", "sendmessage", **fields)
        assert [name for name, _ in posts] == ["vera="]
        frame = json.loads(posts[0][1])
        assert (frame["type"], frame["code"], frame["message"]) == ("error", expected, frames.MESSAGES[expected])
        assert frame.get("room") == (fields.get("room") if protocol.is_room(fields.get("room")) else None)

    def test_fields_that_text_mode_does_not_know_are_ignored_there(self, room: Clients) -> None:
        posts = room.send("tom=", "sendmessage", data="x", room=["a b"], ephemeral=True, meta=1)
        assert sorted(name for name, _ in posts) == ["tina=", "tom=", "vera=", "viktor="]

    def test_an_error_names_its_question(self, room: Clients) -> None:
        [frame] = room.ask("vera=", "sendmessage", room="elsewhere", data="x", id=ID)
        assert (frame["id"], frame["room"]) == (ID, "elsewhere")

    @pytest.mark.parametrize("sender", ["tom=", "vera="])
    def test_a_text_that_fits_no_frame_reaches_no_member(self, room: Clients, sender: str) -> None:
        posts = room.send(sender, "sendmessage", room="lobby", data="x" * 131_000, id=ID)
        assert [name for name, _ in posts] == [sender]
        answer = json.loads(posts[0][1])
        assert answer.get("error", answer)["code"] == "too_large"

    def test_a_longest_envelope_fits_beside_text_that_is_not_measured(self) -> None:
        """A character of two UTF-16 units is four bytes, one that is escaped six."""
        envelope = frames.Envelope("\u0001" * 160, 10**15, "m" * 64, "\u0001" * 64, is_direct=True)
        for letter in ("\u0001", "\U0001f600"):
            frame = frames.message("r" * 64, letter * frames.SAFE_CHARACTERS, envelope)
            assert len(frame.encode()) < 131_072


class TestQueued:
    """With queued delivery, the worker makes both forms."""

    def test_a_message_takes_the_same_form_by_way_of_the_queue(
        self, room: Clients, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bodies: list[str] = []

        class TakingQueue:
            def put(self, given: list[tasks.Task], _deadline: float) -> None:
                bodies.extend(task.to_json() for task in given)

        monkeypatch.setattr(room.load("sendmessage"), "QUEUE", TakingQueue())
        data = {"n": 1}
        posts = room.send("vera=", "sendmessage", room="lobby", data=data, id=ID)
        assert posts == [("vera=", f'{{"type":"receipt","id":"{ID}","room":"lobby","queued":true}}')]
        room.connections.posts.clear()
        records = [{"messageId": "m", "body": body, "attributes": {}} for body in bodies]
        for _ in range(2):
            assert room.load("fanout_worker").handler({"Records": records}, FakeContext()) == {"batchItemFailures": []}
        first, second = room.frames("viktor=")
        assert first == second
        assert (first["from"], first["id"], first["data"]) == ("vera=", ID, data)
        assert room.connections.received("tom=") == ['{"n": 1}'] * 2


class TestJoin:
    """Rooms of a connection."""

    def test_answers_and_items(self, clients: Clients, table: FakeTable) -> None:
        clients.connect("vera=")
        first, second = clients.ask("vera=", "join", rooms={"lobby": {}, "news": {}}, id="1")
        limits = first.pop("limits")
        assert first == {"type": "joined", "id": "1", "room": "lobby"}
        assert second == {"type": "joined", "id": "1", "room": "news"}
        assert (limits["heartbeat"], limits["heal"], limits["spread"], limits["rooms"]) == (270_000, 3_000, 5_000, 20)
        assert 7_000_000 < limits["expires"] <= 7_800_000
        assert table.halves() == set()
        assert table.items["connection#vera=", "connection"]["version"] == {"N": "1"}
        assert clients.ask("vera=", "join", room="chess") == [{"type": "joined", "room": "chess"}]
        assert len(table.items) == 4

    def test_a_room_that_it_is_in_costs_no_write(self, clients: Clients, table: FakeTable) -> None:
        clients.join("vera=", "lobby")
        table.calls.clear()
        assert clients.ask("vera=", "join", room="lobby") == [{"type": "joined", "room": "lobby"}]
        assert [operation for operation, _ in table.calls] == ["GetItem"]

    def test_several_rooms_are_one_transaction(self, clients: Clients, table: FakeTable) -> None:
        clients.connect("vera=")
        table.calls.clear()
        clients.ask("vera=", "join", rooms={f"room-{number}": {} for number in range(20)})
        assert [operation for operation, _ in table.calls] == ["GetItem", "TransactWriteItems"]
        assert table.calls[1][1]["ClientRequestToken"]

    @pytest.mark.parametrize(
        ("asked", "answer"),
        [
            ({"since": {"epoch": "k3f9x2ab", "seq": 42}}, {"recovered": False, "reason": "no_history"}),
            (
                {"since": {"epoch": "k3f9x2ab", "seq": 2**53 - 1}, "last": 3},
                {"recovered": False, "reason": "no_history"},
            ),
            ({"last": 100}, {}),
        ],
    )
    def test_a_room_without_history_says_so(
        self, clients: Clients, asked: dict[str, Any], answer: dict[str, Any]
    ) -> None:
        clients.join("vera=", "lobby")
        assert clients.ask("vera=", "join", room="news", **asked) == [{"type": "joined", "room": "news", **answer}]
        assert clients.ask("vera=", "join", rooms={"news": asked}) == [{"type": "joined", "room": "news", **answer}]

    @pytest.mark.parametrize(
        ("fields", "expected"),
        [
            ({}, "room_required"),
            ({"rooms": {}}, "room_required"),
            ({"room": "a b"}, "invalid_room"),
            ({"room": "lobby", "rooms": {"news": {}}}, "invalid_room"),
            ({"rooms": ["lobby"]}, "invalid_room"),
            ({"rooms": {"a b": {}}}, "invalid_room"),
            ({"rooms": {"lobby": 7}}, "invalid_since"),
            ({"room": "lobby", "since": 7}, "invalid_since"),
            ({"room": "lobby", "since": None}, "invalid_since"),
            ({"room": "lobby", "since": {"epoch": "k", "seq": -1}}, "invalid_since"),
            ({"room": "lobby", "since": {"epoch": "k", "seq": True}}, "invalid_since"),
            ({"room": "lobby", "since": {"epoch": "k", "seq": 1.5}}, "invalid_since"),
            ({"room": "lobby", "since": {"epoch": "k", "seq": 2**53}}, "invalid_since"),
            ({"room": "lobby", "since": {"epoch": "k", "seq": 10**400}}, "invalid_since"),
            ({"room": "lobby", "since": {"epoch": "", "seq": 1}}, "invalid_since"),
            ({"room": "lobby", "since": {"epoch": "k" * 65, "seq": 1}}, "invalid_since"),
            ({"room": "lobby", "last": 101}, "invalid_since"),
            ({"room": "lobby", "last": "7"}, "invalid_since"),
            ({"room": "lobby", "before": 1}, "unsupported"),
            ({"room": "lobby", "echo": False}, "unsupported"),
            ({"rooms": {"lobby": {"meta": {}}}}, "unsupported"),
            ({"room": "lobby", "id": ""}, "invalid_id"),
            ({"rooms": {f"room-{number}": {} for number in range(41)}}, "too_many_rooms"),
        ],
    )
    def test_what_cannot_be_served_joins_nothing(
        self, clients: Clients, table: FakeTable, fields: dict[str, Any], expected: str
    ) -> None:
        clients.connect("vera=")
        assert code(clients.ask("vera=", "join", **fields)) == expected
        assert len(table.items) == 1

    @pytest.mark.parametrize(
        ("asked", "expected"),
        [
            ({"since": 7}, "invalid_since"),
            ({"last": 101}, "invalid_since"),
            (7, "invalid_since"),
            ({"before": 1}, "unsupported"),
        ],
    )
    def test_a_fault_in_one_of_several_rooms_is_answered_for_that_room_alone(
        self, clients: Clients, table: FakeTable, asked: object, expected: str
    ) -> None:
        clients.connect("vera=")
        joined, error = clients.ask("vera=", "join", id="1", rooms={"news": asked, "lobby": {}})
        assert (joined["type"], joined["room"], joined["id"]) == ("joined", "lobby", "1")
        assert (error["type"], error["room"], error["id"], error["code"]) == ("error", "news", "1", expected)
        assert [room for room, _ in table.items if room.startswith("room#")] == ["room#lobby#0"]

    def test_faults_in_all_rooms_join_nothing(self, clients: Clients, table: FakeTable) -> None:
        clients.connect("vera=")
        errors = clients.ask("vera=", "join", rooms={"lobby": {"since": 7}, "news": 7})
        assert [(error["room"], error["code"]) for error in errors] == [
            ("lobby", "invalid_since"),
            ("news", "invalid_since"),
        ]
        assert len(table.items) == 1

    def test_a_limit_of_rooms_holds_for_all_joins_together(
        self, clients: Clients, table: FakeTable, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        module = clients.load("join")
        monkeypatch.setattr(module, "SETTINGS", module.SETTINGS._replace(max_rooms_per_connection=2))
        clients.join("vera=", "lobby", "news")
        assert code(clients.ask("vera=", "join", room="chess", id="1")) == "too_many_rooms"
        assert clients.ask("vera=", "join", rooms={"lobby": {}, "news": {}})[1]["type"] == "joined"
        clients.send("vera=", "leave", room="news")
        assert clients.ask("vera=", "join", room="chess")[0]["type"] == "joined"
        assert table.halves() == set()

    @pytest.mark.parametrize("members", [0, 9])
    def test_the_first_rooms_within_the_limit_are_joined(
        self,
        clients: Clients,
        table: FakeTable,
        monkeypatch: pytest.MonkeyPatch,
        limited: Callable[[int], None],
        members: int,
    ) -> None:
        """An error without a room would say that none was joined."""
        limited(members)
        module = clients.load("join")
        monkeypatch.setattr(module, "SETTINGS", module.SETTINGS._replace(max_rooms_per_connection=3))
        clients.join("vera=", "lobby")
        answers = clients.ask("vera=", "join", rooms={"news": {}, "lobby": {}, "chess": {}, "attic": {}}, id="1")
        assert [(each["type"], each["room"], each.get("code"), each["id"]) for each in answers] == [
            ("joined", "news", None, "1"),
            ("joined", "lobby", None, "1"),
            ("joined", "chess", None, "1"),
            ("error", "attic", "too_many_rooms", "1"),
        ]
        assert set(table.items["connection#vera=", "connection"]["rooms"]["M"]) == {"lobby", "news", "chess"}
        assert table.halves() == set()

    def test_a_limit_of_members_holds_here_as_well(self, clients: Clients, limited: Callable[[int], None]) -> None:
        limited(1)
        clients.join("vera=", "lobby")
        clients.connect("viktor=")
        first, second = clients.ask("viktor=", "join", rooms={"lobby": {}, "news": {}}, id="1")
        assert (first["code"], first["room"], first["id"]) == ("room_full", "lobby", "1")
        assert (second["type"], second["room"]) == ("joined", "news")
        clients.send("vera=", "leave", room="lobby")
        assert clients.ask("viktor=", "join", room="lobby")[0]["type"] == "joined"

    @pytest.fixture
    def limited(self, clients: Clients, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
        """Sets the limit of members of a room."""

        def limit(maximum: int) -> None:
            for name in ("connect", "join", "leave"):
                module = clients.load(name)
                chosen = module.SETTINGS._replace(maximum_room_members=maximum)
                monkeypatch.setattr(module, "SETTINGS", chosen)
                monkeypatch.setattr(
                    module.ROOMS, "headcount", module.ROOMS.headcount._replace(maximum=maximum, shards=1)
                )

        return limit


class TestLeave:
    """Rooms that a connection is in no longer."""

    @pytest.mark.parametrize("times", [1, 2])
    def test_its_membership_goes_and_the_others_stay(self, clients: Clients, table: FakeTable, times: int) -> None:
        clients.join("vera=", "lobby", "news")
        for _ in range(times):
            assert clients.ask("vera=", "leave", room="lobby", id="7") == [{"type": "left", "id": "7", "room": "lobby"}]
        assert table.keys() == {("connection#vera=", "connection"), ("room#news#0", "vera=")}
        assert table.items["connection#vera=", "connection"]["version"] == {"N": "2"}
        assert code(clients.ask("vera=", "sendmessage", room="lobby", data="x")) == "not_joined"

    def test_from_a_room_that_it_was_never_in(self, clients: Clients, table: FakeTable) -> None:
        clients.join("vera=", "lobby")
        table.calls.clear()
        assert clients.ask("vera=", "leave", room="attic") == [{"type": "left", "room": "attic"}]
        assert [operation for operation, _ in table.calls] == ["GetItem"]

    @pytest.mark.parametrize(("fields", "expected"), [({}, "room_required"), ({"room": "a b"}, "invalid_room")])
    def test_errors(self, clients: Clients, fields: dict[str, Any], expected: str) -> None:
        clients.join("vera=", "lobby")
        assert code(clients.ask("vera=", "leave", **fields)) == expected


class TestPing:
    """A client learns which of its rooms it is in."""

    def test_rooms(self, clients: Clients) -> None:
        clients.join("vera=", "lobby")
        position = {"epoch": "k3f9x2ab", "seq": 44}
        asked = {"lobby": position, "news": {}}
        assert clients.ask("vera=", "ping", rooms=asked, id="1") == [
            {"type": "pong", "id": "1", "rooms": {"lobby": {}, "news": None}}
        ]
        assert clients.ask("vera=", "ping") == [{"type": "pong"}]

    def test_text_mode(self, clients: Clients) -> None:
        clients.connect("tom=", offers="")
        assert clients.send("tom=", "ping", rooms={"lobby": {}}) == [("tom=", '{"pong":{}}')]

    @pytest.mark.parametrize(
        ("rooms", "expected"),
        [
            (["lobby"], "invalid_room"),
            ({"a b": {}}, "invalid_room"),
            ({"lobby": None}, "invalid_since"),
            ({"lobby": {"epoch": "k"}}, "invalid_since"),
            ({f"room-{number}": {} for number in range(41)}, "too_many_rooms"),
        ],
    )
    def test_errors(self, clients: Clients, rooms: object, expected: str) -> None:
        clients.join("vera=", "lobby")
        assert code(clients.ask("vera=", "ping", rooms=rooms)) == expected

    def test_a_connection_without_items_is_told_to_come_back(self, clients: Clients, table: FakeTable) -> None:
        clients.join("vera=", "lobby")
        table.items.clear()
        assert code(clients.ask("vera=", "ping", rooms={"lobby": {}})) == "reconnect"
        assert code(clients.ask("vera=", "join", room="lobby")) == "reconnect"
        assert code(clients.ask("vera=", "sendmessage", room="lobby", data="x")) == "reconnect"
        assert clients.ask("vera=", "leave", room="lobby") == [{"type": "left", "room": "lobby"}]


class TestWho:
    """Names of members."""

    def test_names_of_connections(self, room: Clients) -> None:
        assert room.ask("vera=", "who", room="lobby", id="1") == [
            {
                "type": "members",
                "id": "1",
                "room": "lobby",
                "count": 4,
                "members": ["tina=", "tom=", "vera=", "viktor="],
            }
        ]
        assert room.ask("vera=", "who", room="attic")[0]["count"] == 0

    def test_a_large_room_is_counted_and_partly_named(self, clients: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("roomcast.rooms.PAGE_ITEMS", 7)
        clients.join("vera=", "lobby")
        for number in range(120):
            clients.connect(f"client-{number:03}=", "lobby", offers="")
        [answer] = clients.ask("vera=", "who", room="lobby")
        assert (answer["count"], len(answer["members"]), "more" in answer) == (121, 100, False)

    @pytest.mark.parametrize("shards", [1, 3])
    @pytest.mark.parametrize("members", [11, 60])
    def test_no_more_than_so_many_memberships_are_read(
        self, clients: Clients, table: FakeTable, monkeypatch: pytest.MonkeyPatch, members: int, shards: int
    ) -> None:
        monkeypatch.setattr("roomcast.rooms.PAGE_ITEMS", 4)
        monkeypatch.setattr("roomcast.roster.MOST_READ", 12)
        for name in ("connect", "join", "who"):
            for attribute in ("shards_per_room", "shards_read"):
                monkeypatch.setattr(clients.load(name).ROOMS, attribute, shards)
        clients.join("vera=", "lobby")
        for number in range(members - 1):
            clients.connect(f"client-{number:03}=", "lobby", offers="")
        table.calls.clear()
        [answer] = clients.ask("vera=", "who", room="lobby")
        pages = [operation for operation, _ in table.calls].count("Query")
        if members == 11:
            assert (answer["count"], "more" in answer) == (11, False)
        else:
            assert (pages <= 3 + shards, 12 <= answer["count"] < 16, answer["more"]) == (True, True, True)

    @pytest.mark.parametrize(("fields", "expected"), [({}, "room_required"), ({"room": 1}, "invalid_room")])
    def test_errors(self, clients: Clients, fields: dict[str, Any], expected: str) -> None:
        clients.join("vera=", "lobby")
        assert code(clients.ask("vera=", "who", **fields)) == expected


@pytest.mark.parametrize("action", ["join", "leave", "who"])
def test_text_mode_has_one_room(clients: Clients, action: str) -> None:
    clients.connect("tom=", offers="")
    [(name, text)] = clients.send("tom=", action, room="lobby")
    assert (name, error_code(text)) == ("tom=", "needs_v1")


class TestErrors:
    """Each client is answered in its own protocol, also where its message tells nothing."""

    @pytest.mark.parametrize("body", ["hello", "[]", '{"action":"dance","id":"7"}', '{"data":1}'])
    def test_messages_of_no_route(self, room: Clients, body: str) -> None:
        for name in ("vera=", "tom="):
            room.connections.posts.clear()
            room.load("default").handler({**_message(name), "body": body}, FakeContext())
            [text] = room.connections.received(name)
            answer = json.loads(text) if name == "vera=" else json.loads(text)["error"]
            assert ("type" in answer) == (name == "vera=")
            assert answer["code"] in {"not_json", "not_an_object", "unknown_action", "no_action"}

    @pytest.mark.parametrize("action", ["sendmessage", "join", "leave", "ping", "who", "whoami"])
    def test_a_table_that_fails(self, room: Clients, table: FakeTable, action: str) -> None:
        table.failing.add("GetItem")
        for module in ("sendmessage", "join", "leave", "ping", "who", "whoami"):
            room.load(module).ROOMS._protocols.clear()
        [(_, text)] = room.send("vera=", action, room="lobby", data="x")
        assert json.loads(text)["code"] == "unavailable"

    def test_the_protocol_of_a_connection_is_read_once(self, room: Clients, table: FakeTable) -> None:
        table.calls.clear()
        room.send("tom=", "sendmessage", data="")
        assert [operation for operation, _ in table.calls] == ["GetItem"]


def _message(name: str) -> dict[str, Any]:
    context = {"connectedAt": CONNECTED_AT, "connectionId": name, "eventType": "MESSAGE", "routeKey": "sendmessage"}
    return {"requestContext": {**context, "requestId": "request-1"}}


def test_names_of_reserved_fields() -> None:
    expected = {"sendmessage": {"ephemeral", "meta"}, "join": {"before", "echo", "meta"}}
    assert expected == frames.RESERVED


def test_limits_are_within_what_clients_take() -> None:
    assert frames.CLIENT_LIMITS == {
        "heartbeat": (30_000, 270_000, 480_000),
        "heal": (500, 3_000, 60_000),
        "spread": (0, 5_000, 600_000),
    }
    assert 1_024 <= frames.limits_of({}, 20, 7_800_000)["frame"] <= 131_072
    assert frames.limits_of({}, 20, -5)["expires"] == 0


def test_the_posts_of_both_protocols_are_counted_together(room: Clients, connections: FakeConnections) -> None:
    connections.gone.add("viktor=")
    [_, receipt] = room.ask("vera=", "sendmessage", room="lobby", data="x", id=ID)
    assert (receipt["delivered"], receipt["gone"], receipt["failed"]) == (3, 1, 0)
