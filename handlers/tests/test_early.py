"""Reads of a room that begin beside the sender's: when, whom they reach, and what happens when the sender has left."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from roomcast import aws_json, early, identity, reading, rooms, settings, steps
from roomcast.fanout import Recipient
from roomcast.members import Connection
from roomcast.steps import Wait
from tests.fakes import CONNECTED_AT, FakeConnections, FakeContext, FakeTable, error_code, handshake, message
from tests.hostile_server import PATIENCE_SECONDS, HostileServer, Reply, Request, say
from tests.v1 import code

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from roomcast.recipients import Pages
    from tests.v1 import Clients

READS = {"GetItem", "Query"}


def soon() -> float:
    """A deadline."""
    return time.monotonic() + PATIENCE_SECONDS


@pytest.fixture
def sendmessage(load: Callable[[str], Any]) -> Any:
    """The handler module, with two clients in the lobby."""
    for name in ("alice=", "bob="):
        load("connect").handler(handshake(name, "lobby"), FakeContext())
    return load("sendmessage")


def reads(table: FakeTable, module: Any, *, sender: str = "alice=", **fields: object) -> list[str]:
    """Send a message; gives the reads that it caused, in order."""
    table.calls.clear()
    body = {"action": "sendmessage", "data": "hello", **fields}
    assert module.handler(message(sender, body), FakeContext()) == {"statusCode": 200}
    return [operation for operation, _ in table.calls if operation in READS]


def test_the_room_of_a_known_sender_is_asked_for_beside_it(
    sendmessage: Any, table: FakeTable, connections: FakeConnections
) -> None:
    assert reads(table, sendmessage) == ["GetItem", "Query"]
    assert reads(table, sendmessage) == ["Query", "GetItem"]
    assert sorted(connections.posts) == [("alice=", "hello")] * 2 + [("bob=", "hello")] * 2
    # Another sender is not known.
    assert reads(table, sendmessage, sender="bob=") == ["GetItem", "Query"]


def test_as_many_partitions_are_asked_for_early_as_the_engine_reads_side_by_side() -> None:
    assert early.AT_ONCE == reading.AT_ONCE


def test_every_partition_is_asked_for(
    sendmessage: Any, table: FakeTable, connections: FakeConnections, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sendmessage.ROOMS, "shards_read", 20)
    reads(table, sendmessage)
    connections.posts.clear()

    assert reads(table, sendmessage) == ["Query"] * 16 + ["GetItem"] + ["Query"] * 4
    assert sorted(connections.posts) == [("alice=", "hello"), ("bob=", "hello")]


def test_further_pages_follow(
    sendmessage: Any,
    load: Callable[[str], Any],
    table: FakeTable,
    connections: FakeConnections,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = sorted(f"client-{number}=" for number in range(7))
    for name in names:
        load("connect").handler(handshake(name, "lobby"), FakeContext())
    monkeypatch.setattr(rooms, "PAGE_ITEMS", 2)
    reads(table, sendmessage)
    connections.posts.clear()
    reads(table, sendmessage)

    assert sorted(connections.posts) == [(name, "hello") for name in sorted(["alice=", "bob=", *names])]


def test_a_message_for_one_member_reads_no_room(sendmessage: Any, table: FakeTable) -> None:
    reads(table, sendmessage)

    assert reads(table, sendmessage, to="bob=") == ["GetItem", "GetItem"]


def test_a_message_that_the_rate_may_refuse_reads_no_room_before(
    sendmessage: Any, table: FakeTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sendmessage, "SETTINGS", sendmessage.SETTINGS._replace(messages_per_second=1))
    assert [reads(table, sendmessage) for _ in range(3)] == [["Query"], ["Query"], []]


def test_a_message_for_the_queue_reads_no_room(
    sendmessage: Any, table: FakeTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads(table, sendmessage)

    class Queue:
        def put(self, *_: object) -> None:
            """Take the tasks."""

    monkeypatch.setattr(sendmessage, "QUEUE", Queue())
    assert reads(table, sendmessage) == ["GetItem"]


def test_nothing_is_posted_for_a_sender_that_has_left(
    sendmessage: Any, table: FakeTable, connections: FakeConnections
) -> None:
    reads(table, sendmessage)
    sendmessage.ROOMS.leave("alice=", CONNECTED_AT, soon())
    connections.posts.clear()

    assert reads(table, sendmessage)[:2] == ["Query", "GetItem"]
    [(recipient, text)] = connections.posts
    assert (recipient, error_code(text)) == ("alice=", "not_joined")


def test_a_room_that_cannot_be_read_is_told(sendmessage: Any, table: FakeTable, connections: FakeConnections) -> None:
    reads(table, sendmessage)
    connections.posts.clear()
    table.failing.add("Query")
    reads(table, sendmessage)

    assert error_code(connections.posts[-1][1]) == "unavailable"
    assert not connections.received("bob=")


def test_a_room_without_the_right_to_send_is_not_read(
    sendmessage: Any, table: FakeTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token may be valid for fewer rooms than the client is in."""
    reads(table, sendmessage)
    seen: list[str] = []

    def refuse(_: identity.Identity, right: str, room: str) -> bool:
        seen.append(f"{right} {room}")
        return False

    monkeypatch.setattr(identity.Identity, "may", refuse)
    assert reads(table, sendmessage)[0] == "GetItem"
    assert "Query" not in reads(table, sendmessage)
    assert set(seen) == {"send lobby"}


def test_a_room_that_keeps_messages_is_read_after_the_message_is_stored(
    sendmessage: Any, table: FakeTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A member that joins meanwhile finds the message in the log, or is found by its sender."""
    reads(table, sendmessage)
    monkeypatch.setattr(sendmessage.HISTORY, "_patterns", ("lobby",))

    assert reads(table, sendmessage)[0] == "GetItem"


class TestV1:
    """Clients that are in several rooms."""

    def test_the_room_that_the_message_names_is_asked_for(self, clients: Clients, table: FakeTable) -> None:
        clients.join("carol=", "lobby", "kitchen")
        module = clients.load("sendmessage")
        reads(table, module, sender="carol=", room="lobby")

        assert reads(table, module, sender="carol=", room="kitchen") == ["Query", "GetItem"]
        [(_, query)] = [each for each in table.calls if each[0] == "Query"]
        assert "room#kitchen#0" in json.dumps(query)

    def test_no_other_room_is_read(self, clients: Clients, table: FakeTable) -> None:
        """Reading a large room costs more than the refusal of a message."""
        clients.join("carol=", "lobby")
        module = clients.load("sendmessage")
        reads(table, module, sender="carol=", room="lobby")

        assert reads(table, module, sender="carol=", room="cellar") == ["GetItem"]

    def test_a_client_that_has_left_the_room_reaches_nobody(self, clients: Clients) -> None:
        clients.join("carol=", "lobby")
        clients.join("dave=", "lobby")
        clients.ask("carol=", "sendmessage", room="lobby", data="hello")
        clients.ask("carol=", "leave", room="lobby")

        assert code(clients.ask("carol=", "sendmessage", room="lobby", data="hello")) == "not_joined"
        assert clients.frames("dave=") == []


def test_the_memory_of_senders_is_bounded() -> None:
    senders = early.Senders()
    for number in range(3 * early.MAXIMUM_SENDERS):
        senders.note(Connection(f"client-{number}", CONNECTED_AT, {"lobby": 0}))
        assert senders.room_of(f"client-{number}", "{}") == "lobby"

    assert sum(senders.room_of(f"client-{number}", "{}") is not None for number in range(number + 1)) <= 10_000


class Table:
    """The table behind a server; answers to queries and items wait for events.

    Attributes:
        query: What answers to queries wait for.
        item: What answers with an item wait for.
        queried: Set with each query.
        asked: Set with each question for an item.
    """

    def __init__(self, table: FakeTable, monkeypatch: pytest.MonkeyPatch, stack: contextlib.ExitStack) -> None:
        self.query: threading.Event | None = None
        self.item: threading.Event | None = None
        self.queried, self.asked = threading.Event(), threading.Event()
        self._table = table
        server = stack.enter_context(HostileServer(self._answer))
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", server.url.removesuffix("/live"))
        self.rooms = rooms.Rooms(settings.from_environment())
        joining = rooms.Rooms(settings.from_environment())
        joining._database = table  # type: ignore[assignment]
        for name in ("alice=", "bob="):
            joining.join(Connection(name, CONNECTED_AT, {}), "lobby", soon())
        stack.callback(self.close)

    def close(self) -> None:
        """Close the connections."""
        for service in {self.rooms._database, *self.rooms._readers}:
            service.close()

    def _answer(self, request: Request) -> Reply:
        operation = request.headers["x-amz-target"].rpartition(".")[2]
        reply = say(200, json.dumps(self._table.call(operation, json.loads(request.body), 0.0)).encode())
        (self.queried if operation == "Query" else self.asked).set()
        return reply._replace(after=self.query if operation == "Query" else self.item)


@pytest.fixture
def stage(table: FakeTable, monkeypatch: pytest.MonkeyPatch) -> Iterator[Table]:
    with contextlib.ExitStack() as stack:
        yield Table(table, monkeypatch, stack)


def read(stage: Table) -> list[str]:
    """Read the sender, and the room beside it."""
    with stage.rooms.begin("lobby", "alice=", soon()) as begun:
        sender = stage.rooms.find("alice=", soon(), begun)
        assert sender is not None
        return [each.connection_id for each in stage.rooms.members("lobby", soon(), sender.recipient("lobby"), begun)]


@pytest.mark.parametrize("times", [1, 3])
def test_both_answers_are_waited_for_at_once(stage: Table, times: int) -> None:
    """Also by the first message, whose connection for the room is still to be made."""
    stage.item = stage.queried
    for _ in range(times):
        stage.queried.clear()
        assert read(stage) == ["alice=", "bob="]


@pytest.mark.parametrize("later", ["query", "item"])
def test_either_answer_may_come_later(stage: Table, later: str) -> None:
    if later == "query":
        stage.query = stage.asked
    else:
        stage.item = stage.queried
    assert [read(stage) for _ in range(2)] == [["alice=", "bob="]] * 2


def test_a_read_that_is_not_needed_disturbs_no_later_call(stage: Table) -> None:
    stage.query = threading.Event()
    with stage.rooms.begin("lobby", "alice=", soon()) as begun:
        assert stage.rooms.find("alice=", soon(), begun) is not None
    stage.query.set()

    assert [each.connection_id for each in stage.rooms.members("lobby", soon())] == ["alice=", "bob="]
    assert read(stage) == ["alice=", "bob="]


def test_reads_that_fail_fail_where_they_are_needed() -> None:
    def fail() -> Pages:
        yield Wait(None, 0.0)
        raise aws_json.ServiceError("Query", "AccessDeniedException", {}, transient=False)

    def call() -> steps.Steps[str]:
        yield Wait(None, time.monotonic() + 0.01)
        return "done"

    begun = early.Reads("lobby", {0: steps.Begun(fail())})
    assert steps.drive(call(), begun) == "done"
    pages = begun.of("lobby", 0)
    assert pages is not None
    with pytest.raises(aws_json.ServiceError):
        next(pages)


def test_only_the_room_that_was_asked_for_is_read_early() -> None:
    def pages() -> Pages:
        yield [Recipient("alice=", CONNECTED_AT)]

    begun = early.Reads("lobby", {0: steps.Begun(pages())})
    assert begun.of("kitchen", 0) is None
    assert begun.of("lobby", 1) is None
