"""``sendmessage``: which members receive the message, the answer to the sender, and which members are pruned."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from roomcast import aws_json, delivery, fanout, frames, protocol, rooms, settings
from roomcast.members import Connection
from tests.fakes import CONNECTED_AT, FakeConnections, FakeContext, FakeTable, error_code, handshake, message

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

LOBBY = ("alice=", "bob=", "carol=")


@pytest.fixture
def sendmessage(load: Callable[[str], Any]) -> Any:
    """The handler module, with three clients in the lobby and one in the kitchen."""
    connect = load("connect")
    for name in LOBBY:
        connect.handler(handshake(name, "lobby"), FakeContext())
    connect.handler(handshake("dave=", "kitchen"), FakeContext())
    return load("sendmessage")


def send(module: Any, sender: str, **fields: object) -> None:
    body = {"action": "sendmessage", **fields}
    assert module.handler(message(sender, body), FakeContext()) == {"statusCode": 200}


def test_every_member_receives_it_once_and_nobody_else(sendmessage: Any, connections: FakeConnections) -> None:
    send(sendmessage, "alice=", data="hello world")

    assert sorted(connections.posts) == [(name, "hello world") for name in LOBBY]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"a": [1, "ü", None]}, r'{"a": [1, "\u00fc", null]}'),
        (0, "0"),
        (False, "false"),
        (None, "null"),
        ([], "[]"),
        ("0", "0"),
        (" ", " "),
        ("\u0000\U0001f600", "\u0000\U0001f600"),
    ],
)
def test_data_of_another_type_is_sent_as_its_json_text(
    sendmessage: Any, connections: FakeConnections, data: object, text: str
) -> None:
    send(sendmessage, "alice=", data=data)

    assert connections.received("bob=") == [text]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("hello", "not_json"),
        ('{"action":"sendmessage","data":NaN}', "not_json"),
        ('{"action":"sendmessage","data":-Infinity}', "not_json"),
        ('{"action":"sendmessage","data":' + "[" * 24_000 + "}", "not_json"),
        ('{"action":"sendmessage","data":' + "[" * 24_000 + "]" * 24_000 + "}", "not_json"),
        ('{"action":"sendmessage"}', "missing_data"),
        ('{"action":"sendmessage","data":""}', "missing_data"),
        ('{"action":"sendmessage","data":"\\ud800"}', "not_unicode"),
        ('{"action":"sendmessage","data":{"\\udfff":1}}', "not_unicode"),
        ('{"action":"sendmessage","data":["\ud800"]}', "not_unicode"),
        (json.dumps({"action": "sendmessage", "data": "ü" * 65_537}), "too_large"),
        ('{"action":"sendmessage","data":"x","id":""}', "invalid_id"),
        ('{"action":"sendmessage","data":"x","id":7}', "invalid_id"),
        ('{"action":"sendmessage","data":"x","id":"\\ud800"}', "invalid_id"),
        (json.dumps({"action": "sendmessage", "data": "x", "id": "i" * 65}), "invalid_id"),
        ('{"action":"sendmessage","data":"x","to":null}', "unknown_recipient"),
        ('{"action":"sendmessage","data":"x","to":"nobody="}', "unknown_recipient"),
        ('{"action":"sendmessage","data":"x","to":"dave="}', "unknown_recipient"),
        ('{"action":"sendmessage","data":"x","to":"connection#\\ud800"}', "unknown_recipient"),
    ],
)
def test_bad_input_reaches_nobody_and_is_answered(
    sendmessage: Any, connections: FakeConnections, body: str, code: str
) -> None:
    sendmessage.handler(message("alice=", body), FakeContext())

    [(recipient, text)] = connections.posts
    assert recipient == "alice="
    assert json.loads(text) == {"error": {"code": code, "message": protocol.ERRORS[code], "requestId": "request-1"}}


def test_the_senders_own_copy_goes_first(sendmessage: Any, connections: FakeConnections) -> None:
    send(sendmessage, "bob=", data="hello")

    assert connections.posts[0] == ("bob=", "hello")
    assert len(connections.received("bob=")) == 1


def test_the_receipt_does_not_wait_for_the_deletion_of_the_dead(
    sendmessage: Any, connections: FakeConnections, table: FakeTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    connections.gone.add("bob=")
    call = table.call
    posts: list[int] = []

    def note(operation: str, parameters: Mapping[str, Any], deadline: float) -> dict[str, Any]:
        if operation == "TransactWriteItems":
            posts.append(len(connections.received("alice=")))
        return call(operation, parameters, deadline)

    monkeypatch.setattr(table, "call", note)
    send(sendmessage, "alice=", data="hello", id="i-1")

    assert posts == [2]


@pytest.mark.parametrize("asked", [{}, {"id": "i-1"}], ids=["no id", "an id"])
def test_a_room_that_was_not_read_to_its_end_has_not_been_reached(
    sendmessage: Any, connections: FakeConnections, monkeypatch: pytest.MonkeyPatch, asked: dict[str, str]
) -> None:
    """A receipt would count the members that were read, and say nothing of the others."""
    report = fanout.Report()
    report.recipients = report.delivered = 2
    report.complete = False
    monkeypatch.setattr(sendmessage.DELIVERY, "deliver", lambda *_, **__: report)
    send(sendmessage, "alice=", data="hello", **asked)

    [(recipient, text)] = connections.posts
    assert (recipient, error_code(text)) == ("alice=", "not_delivered")


@pytest.mark.parametrize("letter", ["x", "\u0001"], ids=["as it is", "escaped"])
def test_what_fits_no_frame_is_too_large_for_its_sender(
    sendmessage: Any, connections: FakeConnections, letter: str
) -> None:
    """Also in a room without clients that need one: whether a message is too large depends on nobody else."""
    message_of = delivery.RoomMessage("lobby", "alice=", "", "r", frames.Envelope("alice=", 10**12, "m" * 32)).frame
    assert message_of is not None
    most = (131_072 - len(message_of)) // len(json.dumps(letter)[1:-1])
    send(sendmessage, "alice=", data=letter * most)
    assert connections.received("bob=") == [letter * most]
    connections.posts.clear()
    send(sendmessage, "alice=", data=letter * (most + 1))
    [(name, answer)] = connections.posts
    assert (name, error_code(answer)) == ("alice=", "too_large")


def test_a_smaller_size_may_be_set(
    sendmessage: Any, connections: FakeConnections, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sendmessage, "SETTINGS", sendmessage.SETTINGS._replace(maximum_message_bytes=10))
    send(sendmessage, "alice=", data="ü" * 5)
    send(sendmessage, "alice=", data="ü" * 5 + "x")

    assert connections.received("bob=") == ["ü" * 5]
    assert error_code(connections.received("alice=")[-1]) == "too_large"


@pytest.mark.parametrize("text", ["0", "-1", "131073", "1.5", "many"])
def test_other_sizes_are_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROOMCAST_MAXIMUM_MESSAGE_BYTES", text)
    with pytest.raises(ValueError, match="ROOMCAST_MAXIMUM_MESSAGE_BYTES"):
        settings.from_environment()


def test_a_named_member_receives_it_alone(sendmessage: Any, connections: FakeConnections) -> None:
    send(sendmessage, "alice=", data="psst", to="bob=")

    assert connections.posts == [("bob=", "psst")]


def test_a_named_member_that_has_left_is_unknown(sendmessage: Any, connections: FakeConnections) -> None:
    connections.gone.add("bob=")
    send(sendmessage, "alice=", data="psst", to="bob=")

    assert [error_code(text) for text in connections.received("alice=")] == ["unknown_recipient"]


def test_an_id_asks_for_a_receipt(sendmessage: Any, connections: FakeConnections) -> None:
    connections.gone.add("bob=")
    connections.failing.add("carol=")
    send(sendmessage, "alice=", data="hello", id="m-1")

    assert connections.received("alice=") == ["hello", '{"receipt":{"id":"m-1","delivered":1,"gone":1,"failed":1}}']


def test_without_an_id_the_sender_hears_of_failures_only(sendmessage: Any, connections: FakeConnections) -> None:
    connections.failing.add("carol=")
    send(sendmessage, "alice=", data="hello")

    [data, answer] = connections.received("alice=")
    assert (data, error_code(answer)) == ("hello", "not_delivered")


def test_a_dead_members_items_go_and_only_those(
    sendmessage: Any, table: FakeTable, connections: FakeConnections
) -> None:
    connections.gone.add("bob=")
    before = table.keys()
    send(sendmessage, "alice=", data="hello")

    assert before - table.keys() == {("connection#bob=", "connection"), ("room#lobby#0", "bob=")}


@pytest.mark.parametrize("count", [1, 49, 50, 51, 100, 120])
def test_all_the_dead_go_at_once_and_are_not_deleted_again(
    sendmessage: Any, table: FakeTable, connections: FakeConnections, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    dead = [fanout.Recipient(f"dead-{number}", CONNECTED_AT) for number in range(count)]
    for each in dead:
        sendmessage.ROOMS.join(Connection(each.connection_id, each.connected_at, {}), "lobby", time.monotonic() + 10)
    connections.gone = {each.connection_id for each in dead}
    deleted: list[str] = []
    prune = sendmessage.ROOMS.prune

    def note(room: str, gone: Sequence[fanout.Recipient], deadline: float) -> None:
        deleted.extend(each.connection_id for each in gone)
        prune(room, gone, deadline)

    monkeypatch.setattr(sendmessage.ROOMS, "prune", note)
    for _ in range(2):
        send(sendmessage, "alice=", data="hello")

        assert sorted(deleted) == sorted(connections.gone)
        assert [key for key in table.items if "dead-" in "".join(key)] == []


def test_each_sender_deletes_the_dead_in_an_order_of_its_own(
    sendmessage: Any, connections: FakeConnections, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several senders find them at once: in one order, each transaction would conflict with the others'."""
    dead = [f"dead-{number}" for number in range(40)]
    for each in dead:
        sendmessage.ROOMS.join(Connection(each, CONNECTED_AT, {}), "lobby", time.monotonic() + 10)
    connections.gone.update(dead)
    orders: list[list[str]] = []
    monkeypatch.setattr(
        sendmessage.ROOMS, "prune", lambda _, gone, __: orders.append([each.connection_id for each in gone])
    )
    for _ in range(2):
        send(sendmessage, "alice=", data="hello")

    assert sorted(orders[0]) == sorted(orders[1]) == sorted(dead)
    assert orders[0] != orders[1]


def test_the_senders_own_items_are_never_pruned(
    sendmessage: Any, table: FakeTable, connections: FakeConnections
) -> None:
    connections.gone.add("alice=")
    before = table.keys()
    send(sendmessage, "alice=", data="hello")

    assert table.keys() == before


def test_a_newer_connection_of_a_dead_ones_id_is_not_pruned(
    sendmessage: Any, table: FakeTable, connections: FakeConnections
) -> None:
    connections.gone = {"bob=", "carol="}
    newer = {"N": str(CONNECTED_AT + 1)}
    table.items["connection#carol=", "connection"]["connected_at"] = newer
    send(sendmessage, "alice=", data="hello")

    assert table.items["connection#carol=", "connection"]["connected_at"] == newer
    assert ("room#lobby#0", "bob=") not in table.items


def test_a_prune_that_fails_does_not_fail_the_send(
    sendmessage: Any, table: FakeTable, connections: FakeConnections
) -> None:
    connections.gone.add("bob=")
    table.failing.add("TransactWriteItems")
    send(sendmessage, "alice=", data="hello", id="m-1")

    assert connections.received("alice=") == ["hello", '{"receipt":{"id":"m-1","delivered":2,"gone":1,"failed":0}}']


def test_a_table_that_does_not_delete_is_asked_once_and_briefly(
    sendmessage: Any, connections: FakeConnections, monkeypatch: pytest.MonkeyPatch
) -> None:
    connections.gone = {"bob=", "carol="}
    seconds: list[float] = []

    def prune(_room: str, _gone: object, deadline: float) -> None:
        seconds.append(deadline - time.monotonic())
        raise aws_json.ServiceError("TransactWriteItems", "ThrottlingException", {}, transient=True)

    monkeypatch.setattr(sendmessage.ROOMS, "prune", prune)
    send(sendmessage, "alice=", data="hello")

    assert len(seconds) == 1
    # The receipt waits for it.
    assert 0.5 <= seconds[0] <= 3
    assert connections.received("alice=") == ["hello"]


def test_expired_members_are_ignored(sendmessage: Any, table: FakeTable, connections: FakeConnections) -> None:
    for item in (item for key, item in table.items.items() if "alice=" not in str(key)):
        item["expires_at"] = {"N": str(int(time.time()))}
    send(sendmessage, "alice=", data="hello", id="m-1")

    receipt = '{"receipt":{"id":"m-1","delivered":1,"gone":0,"failed":0}}'
    assert connections.posts == [("alice=", "hello"), ("alice=", receipt)]
    assert len(table.items) == 8


@pytest.mark.parametrize("page_items", [1, 2])
def test_every_page_of_a_room_is_read(
    sendmessage: Any, connections: FakeConnections, monkeypatch: pytest.MonkeyPatch, page_items: int
) -> None:
    monkeypatch.setattr(rooms, "PAGE_ITEMS", page_items)
    send(sendmessage, "alice=", data="hello")

    assert sorted(connections.posts) == [(name, "hello") for name in LOBBY]


class TestShards:
    """Rooms with members in many partitions."""

    SHARDS = 30

    @pytest.fixture
    def spread(self, load: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> Any:
        """The handler module, with a hundred members in thirty shards of the lobby."""
        connect, module = load("connect"), load("sendmessage")
        monkeypatch.setattr(connect.ROOMS, "shards_per_room", self.SHARDS)
        monkeypatch.setattr(module.ROOMS, "shards_read", self.SHARDS)
        for number in range(100):
            connect.handler(handshake(f"member-{number}=", "lobby"), FakeContext())
        return module

    @pytest.mark.parametrize("page_items", [1, 1000])
    def test_all_are_read(
        self, spread: Any, connections: FakeConnections, monkeypatch: pytest.MonkeyPatch, page_items: int
    ) -> None:
        monkeypatch.setattr(rooms, "PAGE_ITEMS", page_items)
        send(spread, "member-0=", data="hello")

        assert sorted(connections.posts) == sorted((f"member-{number}=", "hello") for number in range(100))

    def test_one_that_cannot_be_read_is_told(
        self, spread: Any, table: FakeTable, connections: FakeConnections, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        query = table._query

        def fail(parameters: Any) -> Any:
            if parameters["ExpressionAttributeValues"][":room"]["S"] == "room#lobby#17":
                raise aws_json.ServiceError("Query", "InternalServerError", {}, transient=True)
            return query(parameters)

        monkeypatch.setattr(table, "_query", fail)
        send(spread, "member-0=", data="hello")

        assert error_code(connections.received("member-0=")[-1]) == "unavailable"


def test_a_sender_that_is_in_no_room_is_told_so(sendmessage: Any, connections: FakeConnections) -> None:
    send(sendmessage, "nobody=", data="hello")

    assert [error_code(text) for text in connections.received("nobody=")] == ["not_joined"]


def test_a_table_that_fails_is_answered(sendmessage: Any, table: FakeTable, connections: FakeConnections) -> None:
    table.failing.add("Query")
    send(sendmessage, "alice=", data="hello")

    assert [error_code(text) for text in connections.received("alice=")[1:]] == ["unavailable"]


def test_a_fan_out_is_logged_with_its_metrics_but_not_its_text(
    sendmessage: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    send(sendmessage, "alice=", data="very private")

    output = capsys.readouterr().out
    assert "very private" not in output
    lines = [json.loads(line) for line in output.splitlines()]
    [fan_out] = [line for line in lines if line["message"] == "fan-out"]
    [definition] = fan_out["_aws"]["CloudWatchMetrics"]
    named = {metric["Name"] for metric in definition["Metrics"]}
    assert named == {"posts", "delivered", "fanout_ms", "lag_ms"}
    assert all(isinstance(fan_out[name], int | float) for name in named)
    assert (fan_out["recipients"], fan_out["posts"], fan_out["delivered"]) == (3, 3, 3)
