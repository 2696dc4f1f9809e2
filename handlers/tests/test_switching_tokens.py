"""Tokens are switched on, or off, while clients are connected, and functions learn of it one after the other."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from roomcast import rights, rooms, tasks
from roomcast.delivery import Delivery, RoomMessage
from tests.fakes import FakeConnections, FakeContext, FakeTable, error_code, event, handshake, message

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FAR = int(time.time()) + 3600
NATURAL_END = 7_800
"""Seconds after its handshake that a row ends without a token."""
WITHOUT_TOKENS = ("NONE", "AWS_IAM")
WITH_TOKENS = ("JWT", "CUSTOM")
BAD_CONTEXTS: Mapping[str, Any] = {
    "none": None,
    "empty": {},
    "of another form": [],
    "without rooms": {"principalId": "alice", "exp": str(FAR)},
    "without expiry": {"principalId": "alice", "rooms": '["*"]'},
    "of another room": {"principalId": "alice", "rooms": '["kitchen"]', "exp": str(FAR)},
    "without the right to join": {"principalId": "alice", "rooms": '{"*":["send"]}', "exp": str(FAR)},
    "expired": {"principalId": "alice", "rooms": '["*"]', "exp": "1000"},
}


def context(exp: int = FAR, rooms: str = '["*"]') -> dict[str, str]:
    """An authorizer's context."""
    return {"principalId": "alice", "rooms": rooms, "exp": str(exp)}


def of(raw: dict[str, Any], authorizer: object) -> dict[str, Any]:
    """The event of a connection whose handshake had this context."""
    return {**raw, "requestContext": {**raw["requestContext"], "authorizer": authorizer}}


class Functions:
    """The functions, each in an environment that the test chooses."""

    def __init__(self, load: Callable[[str], Any], table: FakeTable, monkeypatch: pytest.MonkeyPatch) -> None:
        self._load = load
        self._table = table
        self._patch = monkeypatch

    def start(self, name: str, authorization: str, **settings: Any) -> Any:
        """The module of a function, with an environment."""
        module = self._load(name)
        chosen = module.SETTINGS._replace(authorization=authorization, **settings)
        fresh = rooms.Rooms(chosen)
        self._patch.setattr(fresh, "_database", self._table)
        self._patch.setattr(module, "SETTINGS", chosen)
        self._patch.setattr(module, "ROOMS", fresh)
        if hasattr(module, "DELIVERY"):
            self._patch.setattr(module, "DELIVERY", Delivery(module.ENGINE, fresh))
        return module

    def connect(self, name: str, authorization: str, authorizer: object = None, **settings: Any) -> int:
        """Let a client into the lobby; gives the status."""
        raw = of(handshake(name, "lobby"), authorizer)
        status: int = self.start("connect", authorization, **settings).handler(raw, FakeContext())["statusCode"]
        return status

    def say(self, name: str, authorization: str, authorizer: object = None, **fields: object) -> None:
        """Let a client send a message."""
        raw = of(message(name, {"action": "sendmessage", "data": "hello", **fields}), authorizer)
        self.start("sendmessage", authorization).handler(raw, FakeContext())

    def leave(self, name: str, authorization: str, **settings: Any) -> None:
        """Tell that a client is gone."""
        self.start("disconnect", authorization, **settings).handler(event("DISCONNECT", name), FakeContext())


@pytest.fixture
def functions(load: Callable[[str], Any], table: FakeTable, monkeypatch: pytest.MonkeyPatch) -> Functions:
    return Functions(load, table, monkeypatch)


def hellos(connections: FakeConnections) -> list[str]:
    """Who has received the message."""
    return sorted(name for name, text in connections.posts if text == "hello")


@pytest.mark.parametrize("after", WITH_TOKENS)
@pytest.mark.parametrize("before", WITHOUT_TOKENS)
class TestClientsFromBefore:
    """Those that connected without a token."""

    def test_hear_nothing_any_more_and_are_not_counted(
        self, functions: Functions, connections: FakeConnections, before: str, after: str
    ) -> None:
        functions.connect("listener=", before)
        functions.connect("alice=", after, context())
        functions.connect("bob=", after, context())

        functions.say("alice=", after, context(), id="1")
        assert hellos(connections) == ["alice=", "bob="]
        receipt = json.loads(connections.received("alice=")[-1])["receipt"]
        assert receipt == {"id": "1", "delivered": 2, "gone": 0, "failed": 0}

    def test_are_no_recipients_of_direct_messages(
        self, functions: Functions, connections: FakeConnections, before: str, after: str
    ) -> None:
        functions.connect("listener=", before)
        functions.connect("alice=", after, context())

        functions.say("alice=", after, context(), to="listener=")
        assert [(name, error_code(text)) for name, text in connections.posts] == [("alice=", "unknown_recipient")]

    @pytest.mark.parametrize("is_named", [False, True])
    def test_hear_nothing_of_what_was_queued(
        self,
        functions: Functions,
        connections: FakeConnections,
        before: str,
        after: str,
        *,
        is_named: bool,
    ) -> None:
        functions.connect("listener=", before)
        functions.connect("alice=", after, context())
        members = functions.start("sendmessage", before).ROOMS.members("lobby", time.monotonic() + 9)
        named = list(members) if is_named else ()
        task = tasks.Task(RoomMessage("lobby", "alice=", "hello", "r"), 0, recipients=named)

        record = {"messageId": "m", "body": task.to_json(), "attributes": {}}
        answer = functions.start("fanout_worker", after).handler({"Records": [record]}, FakeContext())
        assert answer == {"batchItemFailures": []}
        assert hellos(connections) == ["alice="]

    def test_hear_what_functions_send_that_do_not_know_yet(
        self, functions: Functions, connections: FakeConnections, before: str, after: str
    ) -> None:
        functions.connect("listener=", before)
        functions.connect("alice=", after, context())

        functions.say("listener=", before)
        assert hellos(connections) == ["alice=", "listener="]

    def test_take_no_place_in_a_room(self, functions: Functions, table: FakeTable, before: str, after: str) -> None:
        limit = {"maximum_room_members": 2, "members_counted_since": "then"}
        assert [functions.connect(name, before, None, **limit) for name in "abc"] == [200, 200, 429]
        assert [functions.connect(name, after, context(), **limit) for name in "def"] == [200, 200, 429]
        # Nor do they leave one, whether the function knows already or not.
        functions.leave("a", before, **limit)
        functions.leave("b", after, **limit)
        assert functions.connect("g", after, context(), **limit) == 429
        functions.leave("d", after, **limit)
        assert [functions.connect(name, after, context(), **limit) for name in "hi"] == [200, 429]
        assert {member for key, member in table.items if key == "room#lobby#0"} == {"e", "h"}


@pytest.mark.parametrize("authorization", [*WITHOUT_TOKENS, *WITH_TOKENS])
def test_a_token_counts_although_the_function_does_not_know_that_it_needs_one(
    functions: Functions, table: FakeTable, connections: FakeConnections, authorization: str
) -> None:
    functions.connect("alice=", authorization, context())
    functions.connect("bob=", "JWT", context())
    functions.say("bob=", "JWT", context())

    assert hellos(connections) == ["alice=", "bob="]
    rows = [item for key, item in table.items.items() if "alice=" in "".join(key)]
    assert [row["token_ends_at"] for row in rows] == [{"N": str(FAR + 60)}] * 2


@pytest.mark.parametrize("authorization", [*WITHOUT_TOKENS, *WITH_TOKENS])
def test_a_handshake_reads_its_context_once(
    functions: Functions, authorization: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, reads = rights.read, []

    def note(text: object) -> rights.Rights:
        reads.append(text)
        return read(text)

    monkeypatch.setattr(rights, "read", note)
    assert functions.connect("alice=", authorization, context()) == 200
    assert len(reads) == 1


@pytest.mark.parametrize("authorization", WITHOUT_TOKENS)
def test_it_ends_all_the_same(
    functions: Functions, connections: FakeConnections, authorization: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    functions.connect("alice=", authorization, context())
    functions.connect("bob=", "JWT", context(FAR + 3600))
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3600 + 60)
    functions.say("bob=", "JWT", context(FAR + 3600))
    functions.say("bob=", "JWT", context(FAR + 3600), to="alice=")

    assert hellos(connections) == ["bob="]
    assert error_code(connections.posts[-1][1]) == "unknown_recipient"


@pytest.mark.parametrize("authorization", WITHOUT_TOKENS)
@pytest.mark.parametrize("authorizer", BAD_CONTEXTS.values(), ids=BAD_CONTEXTS)
def test_a_token_that_is_not_good_for_the_room_does_not_count(
    functions: Functions, table: FakeTable, connections: FakeConnections, authorization: str, authorizer: Any
) -> None:
    assert functions.connect("alice=", authorization, authorizer) == 200
    names = {"partition_key", "sort_key", "connected_at", "expires_at", "protocol"}
    connected, member = sorted(table.items.values(), key=len, reverse=True)
    # Where no token is needed, nothing is written for it but a name, which AWS_IAM gives to each client.
    assert (set(connected) - {"subject"}, set(member) - {"subject"}) == (names | {"rooms"}, names)

    functions.connect("bob=", "JWT", context())
    functions.say("bob=", "JWT", context())
    assert hellos(connections) == ["bob="]


@pytest.mark.parametrize("authorizer", [None, context()], ids=["anonymous", "token"])
def test_where_no_token_is_needed_rows_last_as_long_as_connections(
    functions: Functions, table: FakeTable, authorizer: Mapping[str, str] | None
) -> None:
    functions.connect("alice=", "NONE", authorizer)
    [end] = {int(item["expires_at"]["N"]) for item in table.items.values()}
    [began] = {int(item["connected_at"]["N"]) // 1000 for item in table.items.values()}
    assert end - began == NATURAL_END


@pytest.mark.parametrize("authorization", WITHOUT_TOKENS)
def test_all_members_hear_again_where_tokens_are_switched_off(
    functions: Functions, connections: FakeConnections, authorization: str
) -> None:
    functions.connect("before=", authorization)
    functions.connect("alice=", "JWT", context())
    functions.connect("after=", authorization)
    functions.say("alice=", authorization, context())

    assert hellos(connections) == ["after=", "alice=", "before="]


@pytest.mark.parametrize("authorization", [*WITHOUT_TOKENS, *WITH_TOKENS])
def test_a_sender_whose_row_has_ended_is_told_so(
    functions: Functions, connections: FakeConnections, authorization: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would send and hear nothing; also where tokens were switched off since."""
    functions.connect("alice=", "JWT", context())
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3600 + 60)
    functions.say("alice=", authorization, context())

    expected = "token_expired" if authorization in WITH_TOKENS else "not_joined"
    assert [error_code(text) for _, text in connections.posts] == [expected]


@pytest.mark.parametrize("authorization", WITH_TOKENS)
def test_a_sender_without_a_token_in_its_row_connects_again(
    functions: Functions, connections: FakeConnections, authorization: str
) -> None:
    functions.connect("alice=", "NONE", BAD_CONTEXTS["without the right to join"])
    functions.say("alice=", authorization, BAD_CONTEXTS["without the right to join"])

    assert [error_code(text) for _, text in connections.posts] == ["not_joined"]
