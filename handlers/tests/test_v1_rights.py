"""Rights and expiry of clients of ``roomcast.v1``: checked before anything is read, in every action."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from roomcast import rooms
from roomcast.delivery import Delivery
from tests.v1 import ID, Clients, code

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fakes import FakeConnections, FakeTable

FUNCTIONS = ("connect", "disconnect", "join", "leave", "ping", "who", "whoami", "sendmessage", "default")
FAR = int(time.time()) + 3600


def context(rights: object, exp: int = FAR, subject: str = "alice") -> dict[str, str]:
    """An authorizer's context."""
    return {"principalId": subject, "rooms": json.dumps(rights), "exp": str(exp)}


@pytest.fixture
def start(load: Callable[[str], Any], table: FakeTable, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Gives all functions an authorization."""

    def started(authorization: str) -> None:
        for name in FUNCTIONS:
            module = load(name)
            chosen = module.SETTINGS._replace(authorization=authorization)
            fresh = rooms.Rooms(chosen)
            monkeypatch.setattr(fresh, "_database", table)
            monkeypatch.setattr(module, "SETTINGS", chosen)
            monkeypatch.setattr(module, "ROOMS", fresh)
            if hasattr(module, "DELIVERY"):
                monkeypatch.setattr(module, "DELIVERY", Delivery(module.ENGINE, fresh))

    return started


@pytest.fixture
def guarded(clients: Clients, start: Callable[[str], None]) -> Clients:
    """Clients that need a token."""
    start("JWT")
    return clients


def test_a_handshake_without_a_room_needs_a_right_to_join_somewhere(guarded: Clients) -> None:
    guarded.authorizer = context({"lobby": ["send"]})
    assert guarded.connect("vera=") == {"statusCode": 403}
    guarded.authorizer = context({"lobby": ["join"]})
    assert guarded.connect("vera=")["statusCode"] == 200
    assert guarded.connect("viktor=", "attic") == {"statusCode": 403}


def test_rooms_without_the_right_are_refused_and_the_others_joined(guarded: Clients, table: FakeTable) -> None:
    guarded.authorizer = context(["lobby", "news-*"])
    guarded.connect("vera=")
    answers = guarded.ask("vera=", "join", id="1", rooms={"attic": {}, "lobby": {}, "news-1": {}})
    assert [(each["type"], each["room"], each.get("code"), each["id"]) for each in answers] == [
        ("error", "attic", "not_allowed", "1"),
        ("joined", "lobby", None, "1"),
        ("joined", "news-1", None, "1"),
    ]
    assert {key for key, _ in table.items if key.startswith("room#")} == {"room#lobby#0", "room#news-1#0"}


@pytest.mark.parametrize("asked", [{"since": {"epoch": "k", "seq": 1}}, {"last": 3}, {"last": 0}])
def test_positions_need_the_right_to_history(guarded: Clients, asked: dict[str, Any]) -> None:
    guarded.authorizer = context({"*": ["join"]})
    guarded.connect("vera=")
    assert code(guarded.ask("vera=", "join", room="lobby", **asked)) == "not_allowed"
    assert guarded.ask("vera=", "join", room="lobby")[0]["type"] == "joined"
    guarded.authorizer = context({"*": ["join", "history"]})
    assert guarded.ask("vera=", "join", room="lobby", **asked)[0]["type"] == "joined"


@pytest.mark.parametrize("action", ["join", "who", "sendmessage"])
def test_without_the_right_nothing_of_a_room_is_read(guarded: Clients, table: FakeTable, action: str) -> None:
    guarded.authorizer = context({"lobby": ["join", "send", "presence"]})
    guarded.join("vera=", "lobby")
    table.calls.clear()
    assert code(guarded.ask("vera=", action, room="attic", data="x")) == "not_allowed"
    # Its own item tells in which form it is answered.
    assert [operation for operation, _ in table.calls] in ([], ["GetItem"])
    assert all("connection#" in str(parameters) for _, parameters in table.calls)


def test_a_room_that_may_not_be_joined_is_null_in_a_pong(guarded: Clients) -> None:
    guarded.authorizer = context(["lobby", "news"])
    guarded.join("vera=", "lobby", "news")
    guarded.authorizer = context(["news"])
    [answer] = guarded.ask("vera=", "ping", rooms={"lobby": {}, "news": {}, "attic": {}})
    assert answer["rooms"] == {"lobby": None, "news": {}, "attic": None}


def test_names_need_the_right_to_presence(guarded: Clients) -> None:
    guarded.authorizer = context(["*"])
    guarded.join("vera=", "lobby")
    assert code(guarded.ask("vera=", "who", room="lobby")) == "not_allowed"
    guarded.authorizer = context({"*": ["join", "presence"]})
    [answer] = guarded.ask("vera=", "who", room="lobby")
    assert (answer["count"], answer["members"]) == (1, ["alice"])


def test_one_name_counts_once(guarded: Clients) -> None:
    guarded.authorizer = context({"*": ["join", "presence"]})
    for name in ("vera=", "viktor="):
        guarded.join(name, "lobby")
    guarded.authorizer = context({"*": ["join", "presence"]}, subject="bob")
    assert guarded.connect("tom=", "lobby", offers="")["statusCode"] == 200
    [answer] = guarded.ask("vera=", "who", room="lobby")
    assert (answer["count"], answer["members"]) == (2, ["alice", "bob"])


class TestDirectMessages:
    """To a connection, or to a client by its name."""

    @pytest.fixture
    def members(self, guarded: Clients) -> Clients:
        """Alice twice, once in text mode, bob, and a client that is called as the connection of another one is."""
        for subject, name, offers in (
            ("alice", "a1=", "roomcast.v1"),
            ("alice", "a2=", ""),
            ("bob", "b=", "roomcast.v1"),
            ("user:bob", "ub=", "roomcast.v1"),
            ("b=", "mallory=", "roomcast.v1"),
        ):
            guarded.authorizer = context(["*"], subject=subject)
            guarded.connect(name, "lobby", offers=offers)
        guarded.connect("elsewhere=", "attic")
        guarded.authorizer = context(["*"], subject="bob")
        return guarded

    @pytest.mark.parametrize(
        ("to", "expected"),
        [
            ("alice", {"a1=", "a2="}),
            ("user:alice", {"a1=", "a2="}),
            ("a2=", {"a2="}),
            ("b=", {"b="}),
            ("user:b=", {"mallory="}),
            ("user:bob", {"b="}),
            ("user:user:bob", {"ub="}),
        ],
    )
    def test_names(self, members: Clients, to: str, expected: set[str]) -> None:
        posts = members.send("b=", "sendmessage", room="lobby", data="psst", to=to, id=ID)
        *messages, (asker, receipt) = posts
        assert {name for name, _ in messages} == expected
        assert (asker, json.loads(receipt)["delivered"]) == ("b=", len(expected))
        for name, text in messages:
            assert text == "psst" if name == "a2=" else json.loads(text)["direct"] is True

    def test_a_client_with_one_of_its_connections_has_it(self, members: Clients) -> None:
        members.connections.gone = {"a1="}
        assert members.send("b=", "sendmessage", room="lobby", data="psst", to="alice") == [("a2=", "psst")]
        members.connections.gone = {"a1=", "a2="}
        assert code(members.ask("b=", "sendmessage", room="lobby", data="psst", to="alice")) == "unknown_recipient"

    @pytest.mark.parametrize("to", ["carol", "user:carol", "elsewhere=", "user:a1="])
    def test_only_members_of_the_room_have_names(self, members: Clients, to: str) -> None:
        assert code(members.ask("b=", "sendmessage", room="lobby", data="psst", to=to)) == "unknown_recipient"

    def test_text_mode_knows_connection_ids_alone(self, members: Clients) -> None:
        for to in ("alice", "user:alice"):
            [(_, text)] = members.send("a2=", "sendmessage", data="psst", to=to)
            assert json.loads(text)["error"]["code"] == "unknown_recipient"
        assert [name for name, _ in members.send("a2=", "sendmessage", data="psst", to="b=")] == ["b="]

    @pytest.mark.parametrize("shards", [1, 3])
    def test_they_are_found_in_every_partition(
        self, guarded: Clients, shards: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("connect", "sendmessage"):
            for attribute in ("shards_per_room", "shards_read"):
                monkeypatch.setattr(guarded.load(name).ROOMS, attribute, shards)
        guarded.authorizer = context(["*"])
        names = {f"alice-{number}=" for number in range(6)}
        for name in names:
            guarded.connect(name, "lobby")
        posts = guarded.send("alice-0=", "sendmessage", room="lobby", data="psst", to="alice")
        assert {name for name, _ in posts} == names


@pytest.mark.parametrize(
    ("action", "expected"),
    [("join", "token_expired"), ("who", "token_expired"), ("sendmessage", "token_expired"), ("ping", "token_expired")],
)
def test_after_the_token_nothing_is_served(
    guarded: Clients, monkeypatch: pytest.MonkeyPatch, action: str, expected: str
) -> None:
    guarded.authorizer = context({"*": ["join", "send", "history", "presence"]})
    guarded.join("vera=", "lobby")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3600 + 60)
    fields: dict[str, Any] = {"rooms": {"lobby": {}}} if action == "ping" else {"room": "lobby", "data": "x"}
    assert code(guarded.ask("vera=", action, **fields)) == expected
    assert guarded.ask("vera=", "leave", room="lobby") == [{"type": "left", "room": "lobby"}]
    assert guarded.ask("vera=", "whoami")[0]["type"] == "whoami"
    assert guarded.ask("vera=", "ping") == [{"type": "pong"}]


def test_rows_of_later_joins_end_with_the_token(guarded: Clients, table: FakeTable) -> None:
    guarded.authorizer = context(["*"])
    guarded.join("vera=", "lobby", "news")
    assert {(item["expires_at"]["N"], item["token_ends_at"]["N"]) for item in table.items.values()} == {
        (str(FAR + 60), str(FAR + 60))
    }


def test_a_client_without_a_token_joins_nothing_once_it_needs_one(
    clients: Clients, start: Callable[[str], None], table: FakeTable
) -> None:
    clients.connect("vera=")
    start("JWT")
    assert code(clients.ask("vera=", "join", room="lobby")) == "token_expired"
    assert len(table.items) == 1


def test_a_function_that_does_not_know_yet_grants_nothing_that_counts_later(
    clients: Clients, start: Callable[[str], None], connections: FakeConnections
) -> None:
    """Tokens are switched on while it joins a room that its token does not allow."""
    start("JWT")
    clients.authorizer = context(["lobby"])
    clients.connect("vera=")
    clients.join("alice=", "lobby")
    start("NONE")
    clients.ask("vera=", "join", rooms={"lobby": {}, "attic": {}})
    start("JWT")
    clients.authorizer = context(["*"], subject="bob")
    clients.join("bob=", "lobby", "attic")
    for room, hearers in (("lobby", {"alice=", "bob=", "vera="}), ("attic", {"bob="})):
        clients.send("bob=", "sendmessage", room=room, data="x", id=ID)
        assert {name for name, text in connections.posts if json.loads(text)["type"] == "message"} == hearers
