"""Functions do not print texts of clients: a secret is planted wherever a client can put one, in every failure."""

from __future__ import annotations

import base64
import importlib
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from roomcast import aws_json, fanout, tasks
from roomcast.delivery import Delivery, RoomMessage
from tests.fakes import FakeConnections, FakeContext, FakeTable, event, handshake, message
from tests.hostile_server import HANG_UP, HostileServer, Reply, say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

SECRET = "Tr0ub4dor-and-3"
LOBBY = ("alice=", "bob=", "carol=")


@pytest.fixture(autouse=True)
def everything_printed(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Print all that there is to print, and look through it in the end."""
    monkeypatch.setenv("ROOMCAST_LOG_LEVEL", "DEBUG")
    yield
    written = capfd.readouterr()
    assert written.out, "nothing was printed at all"
    for form in (SECRET, base64.b64encode(SECRET.encode()).decode()):
        assert form not in written.out + written.err


@pytest.fixture
def lobby(load: Callable[[str], Any]) -> None:
    """Three clients in a room."""
    for name in LOBBY:
        load("connect").handler(handshake(name, SECRET), FakeContext())


class FailingQueueService:
    """Takes nothing."""

    def call(self, operation: str, _parameters: Mapping[str, Any], _deadline: float) -> dict[str, Any]:
        """As ``aws_json.Service.call``."""
        raise aws_json.ServiceError(operation, "ServiceUnavailable", {}, transient=True)


def failing_queue() -> tasks.Queue:
    settings = importlib.import_module("connect").SETTINGS._replace(queue_url="https://sqs/queue")
    made = tasks.Queue(settings)
    made._service = FailingQueueService()  # type: ignore[assignment]
    return made


@pytest.mark.parametrize("failing", [(), ("TransactWriteItems",)], ids=["joined", "table fails"])
@pytest.mark.parametrize("room", ["lobby", SECRET, f"not a room: {SECRET}"])
def test_the_query_string_of_a_handshake(
    load: Callable[[str], Any], table: FakeTable, failing: tuple[str, ...], room: str
) -> None:
    table.failing.update(failing)
    query = {"room": room, "token": SECRET}
    many = {name: [value] for name, value in query.items()}
    headers = {"Authorization": SECRET, "Cookie": SECRET}
    connect = event(
        "CONNECT", "alice=", queryStringParameters=query, multiValueQueryStringParameters=many, headers=headers
    )
    load("connect").handler(connect, FakeContext())


CONTEXT = {"principalId": "alice", "rooms": f'["lobby","{SECRET}","{SECRET}*"]', "exp": str(int(time.time()) + 600)}
FURTHER = {"email": SECRET, "claims": {"sub": "alice", "email": SECRET}, SECRET: SECRET}
CONTEXTS = {
    "read": {},
    "expired": {"exp": "1"},
    "other entries": {"rooms": f'{{"lobby":["join","send","{SECRET}"],"{SECRET} ":["join"],"a":{{"{SECRET}":1}}}}'},
    "no JSON": {"rooms": SECRET},
    "another form": {"rooms": f'"{SECRET}"'},
    "no time": {"exp": SECRET},
    "no subject": {"principalId": f"{SECRET}\n"},
    "a long subject": {"principalId": SECRET * 20},
    "another type": {"principalId": [SECRET], "rooms": {SECRET: SECRET}, "exp": {SECRET: 1}},
}


@pytest.mark.parametrize("authorization", ["JWT", "CUSTOM"])
@pytest.mark.parametrize("changes", CONTEXTS.values(), ids=CONTEXTS)
def test_what_an_authorizer_tells(
    load: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch, authorization: str, changes: dict[str, object]
) -> None:
    offered = f"roomcast.text, roomcast.bearer.{SECRET}"
    headers = {"Authorization": f"Bearer {SECRET}", "Cookie": SECRET, "Sec-WebSocket-Protocol": offered}
    raw = {
        "connect": handshake("alice=", "lobby"),
        "sendmessage": message("alice=", {"action": "sendmessage", "data": SECRET}),
        "whoami": message("alice=", {"action": "whoami"}),
        "default": message("alice=", {"action": SECRET}),
        "disconnect": event("DISCONNECT", "alice="),
    }
    for route, each in raw.items():
        module = load(route)
        monkeypatch.setattr(module, "SETTINGS", module.SETTINGS._replace(authorization=authorization))
        context = {**each["requestContext"], "authorizer": {**CONTEXT, **FURTHER, **changes}}
        many = {name: [value] for name, value in headers.items()}
        answer = module.handler(
            {**each, "requestContext": context, "headers": headers, "multiValueHeaders": many}, FakeContext()
        )
        assert SECRET not in json.dumps(answer)


@pytest.mark.usefixtures("lobby")
@pytest.mark.parametrize("failing", [(), ("GetItem",), ("Query",), ("TransactWriteItems",)], ids=str)
@pytest.mark.parametrize(
    "body",
    [
        {"action": "sendmessage", "data": SECRET},
        {"action": "sendmessage", "data": {SECRET: [SECRET]}, "id": SECRET},
        {"action": "sendmessage", "data": SECRET, "id": SECRET, "to": "bob="},
        {"action": "sendmessage", "data": SECRET, "to": SECRET},
        {"action": "sendmessage", "data": SECRET, "to": [SECRET]},
        {"action": "sendmessage", "data": SECRET, "id": {SECRET: 1}},
        {"action": SECRET, SECRET: SECRET},
        SECRET,
        f'{{"action":"sendmessage","data":"{SECRET}\\ud800"}}',
        f'{{"data":"{SECRET}"',
    ],
    ids=str,
)
def test_a_message(
    load: Callable[[str], Any], table: FakeTable, connections: FakeConnections, failing: tuple[str, ...], body: object
) -> None:
    connections.gone.add("bob=")
    connections.failing.add("carol=")
    table.failing.update(failing)
    for route in ("sendmessage", "default", "whoami", "connect", "disconnect"):
        load(route).handler(message("alice=", body), FakeContext())


@pytest.mark.usefixtures("lobby")
def test_a_message_whose_sender_cannot_be_answered(load: Callable[[str], Any], connections: FakeConnections) -> None:
    connections.failing.update(LOBBY)
    body = {"action": "sendmessage", "data": SECRET, "id": SECRET}
    load("sendmessage").handler(message("alice=", body), FakeContext())


@pytest.mark.usefixtures("lobby")
def test_a_message_that_cannot_be_queued(load: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    sendmessage = load("sendmessage")
    monkeypatch.setattr(sendmessage, "QUEUE", failing_queue())
    body = {"action": "sendmessage", "data": SECRET, "id": SECRET}
    sendmessage.handler(message("alice=", body), FakeContext())


@pytest.mark.usefixtures("lobby")
@pytest.mark.parametrize("failing", [(), ("Query",), ("TransactWriteItems",)], ids=str)
def test_a_queued_message(
    load: Callable[[str], Any],
    table: FakeTable,
    connections: FakeConnections,
    monkeypatch: pytest.MonkeyPatch,
    failing: tuple[str, ...],
) -> None:
    connections.gone.add("bob=")
    connections.failing.add("carol=")
    table.failing.update(failing)
    worker = load("fanout_worker")
    monkeypatch.setattr(worker, "QUEUE", failing_queue())
    message = worker.delivery.RoomMessage(SECRET, "alice=", SECRET, "request-1")
    run(worker, tasks.Task(message, 0).to_json())


TROUBLES = {
    "hangs up": HANG_UP,
    "resets": Reply(reset=True),
    "cuts off": Reply([b"HTTP/1.1 200"], close=True),
    "no HTTP": Reply([f"{SECRET}\r\n\r\n".encode()], close=True),
    "refuses": say(403, SECRET.encode()),
    "says why": say(400, json.dumps({"__type": f"x#the text {SECRET}", "message": SECRET}).encode()),
    "fails": say(500, SECRET.encode(), f"X-Amzn-Errortype: the text {SECRET}"),
    "says nothing": Reply([]),
}


@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=[*TROUBLES])
def test_what_is_sent_when_the_other_side_is_in_trouble(
    trouble: Reply, monkeypatch: pytest.MonkeyPatch, load: Callable[[str], Any]
) -> None:
    """No error repeats bytes sent or received: neither a message nor credentials."""
    with HostileServer(lambda _: trouble) as server:
        speak_to(server.url, load, monkeypatch)


@pytest.mark.parametrize("host", ["http://127.0.0.1:1", "https://127.0.0.1:1", "http://nowhere.invalid"])
def test_what_is_sent_when_there_is_no_other_side(
    host: str, monkeypatch: pytest.MonkeyPatch, load: Callable[[str], Any]
) -> None:
    speak_to(f"{host}/live", load, monkeypatch)


def speak_to(url: str, load: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A join, and a message to a room, with AWS at that address."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", SECRET)
    connect = load("connect")
    service = aws_json.Service(url, "dynamodb", "DynamoDB_20120810", "eu-west-1")
    monkeypatch.setattr(connect.ROOMS, "_database", service)
    connect.handler(handshake("alice=", SECRET), FakeContext(1_500))
    engine = fanout.Engine(url, "eu-west-1")
    message = RoomMessage(SECRET, "alice=", SECRET, "request-1")
    recipients = [fanout.Recipient(name, 0) for name in LOBBY]
    Delivery(engine, connect.ROOMS).deliver(message, recipients, time.monotonic() + 0.7)
    engine.close()
    service._client.close()


FIELDS = ["lobby", "alice=", "aGVsbG8=", "request-1"]


@pytest.mark.parametrize(
    "body",
    [
        SECRET,
        f'"{SECRET}"',
        json.dumps({"data": SECRET}),
        json.dumps([FIELDS, SECRET, "", []]),
        json.dumps([FIELDS, 0, "", SECRET]),
        json.dumps([FIELDS, 0, "", [[SECRET]]]),
        json.dumps([FIELDS, 0, "", [SECRET]]),
        json.dumps([[*FIELDS, SECRET], 0, "", []]),
        json.dumps([["lobby", "alice=", SECRET, "request-1"], 0, "", []]),
        json.dumps([["lobby", "alice=", f"{SECRET}\u00fc", "request-1"], 0, "", []]),
        json.dumps({"v": SECRET, "kind": SECRET}),
        json.dumps({"v": 1, "kind": SECRET, SECRET: SECRET}),
        json.dumps([[SECRET], 0]),
    ],
)
def test_a_queue_message_that_is_no_task(load: Callable[[str], Any], body: str) -> None:
    run(load("fanout_worker"), body)


def run(worker: Any, body: str) -> None:
    """Hand the worker one queue message."""
    record = {"messageId": "m-1", "body": body, "attributes": {"ApproximateReceiveCount": "1"}}
    worker.handler({"Records": [record]}, FakeContext())
