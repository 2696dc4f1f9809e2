"""Arbitrary events, bodies and contexts: every handler gives a documented answer, and nothing is half-written."""

from __future__ import annotations

import copy
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from roomcast import frames, headcount, items, protocol, tasks
from roomcast.delivery import RoomMessage
from roomcast.recipients import Recipient
from tests import corpus
from tests.fakes import PLANTED, FakeConnections, FakeContext, FakeTable, event, handshake, message
from tests.fuzzing import fuzz, json_values

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ROUTES = ("connect", "disconnect", "sendmessage", "whoami", "default", "join", "leave", "ping", "who")
STATUSES = {200, 400, 401, 403, 429, 500}
FAR = str(int(time.time()) + 100_000)
MEMBERS = {"alice=": "lobby", "bob=": "lobby", "carol=": "kitchen", "vera=": "lobby"}
V1 = "vera="
"""The member that speaks ``roomcast.v1``."""

odd = st.one_of(
    json_values(), st.just(PLANTED), st.sampled_from(["", "\ud800", "a#b", "%23", "x" * 5_000, -1, 1e308, 2**60])
)
patterns = st.sampled_from(["lobby", "lob*", "*", "kitchen", "l*y", "", PLANTED])
rights = st.one_of(
    st.lists(patterns, max_size=3),
    st.dictionaries(
        patterns, st.lists(st.sampled_from(["join", "send", "history", "presence", PLANTED]), max_size=4), max_size=3
    ),
    odd,
)
authorizers = st.one_of(
    st.none(),
    odd,
    st.fixed_dictionaries(
        {},
        optional={
            "principalId": st.sampled_from(["alice", "\u202e", "a" * 129]) | odd.filter(lambda each: each != PLANTED),
            "rooms": rights.map(json.dumps) | odd,
            "exp": st.sampled_from(["0", FAR, "9" * 20]) | odd,
        },
    ),
    st.builds(lambda listed: {"principalId": "alice", "rooms": json.dumps(listed), "exp": FAR}, rights),
)
names_of_rooms = st.sampled_from(["lobby", "kitchen", "attic", "a b"])
positions = st.one_of(
    odd,
    st.just({}),
    st.fixed_dictionaries({"epoch": st.sampled_from(["k3f9x2ab", ""]) | odd, "seq": st.integers() | odd}),
)
values = st.one_of(odd, st.sampled_from(["hello", "x" * 70_000, "ü" * 65_537]), st.integers(), st.just(10**400))
bodies = st.one_of(
    st.fixed_dictionaries(
        {"action": st.sampled_from(["sendmessage", "whoami", "$connect", "join", "leave", "ping", "who"]) | odd},
        optional={
            "data": values,
            "to": st.sampled_from([*MEMBERS, "nobody="]) | odd,
            "id": st.sampled_from(["i-1", "i" * 65]) | odd,
            "room": odd | names_of_rooms,
            "rooms": st.dictionaries(names_of_rooms | st.text(max_size=3), positions, max_size=4) | odd,
            "since": positions,
            "last": st.integers(-1, 101) | odd,
            "echo": st.booleans(),
        },
    ).map(json.dumps),
    st.text(max_size=60),
    st.sampled_from(
        ["[" * 50_000, "9" * 5_000, '{"data":' + "9" * 5_000 + "}", '{"data":NaN}', "\ufeff{}", '{"a":1,"a":2}']
    ),
    json_values().map(json.dumps),
)
headers = st.dictionaries(
    st.sampled_from(["Sec-WebSocket-Protocol", "sec-websocket-protocol", "Authorization", "x"]),
    st.lists(
        st.sampled_from(["roomcast.text", "roomcast.v1", f"roomcast.bearer.{PLANTED}", "chat", ",", ""]), max_size=3
    )
    | odd,
    max_size=3,
)


@st.composite
def events_of_a_route(draw: st.DrawFn) -> Any:
    """An event as API Gateway sends it, with arbitrary values in some places."""
    kind = draw(st.sampled_from(["CONNECT", "MESSAGE", "DISCONNECT"]))
    name = draw(st.sampled_from([*MEMBERS, "dave="]))
    if kind == "CONNECT":
        raw = handshake(name, *draw(st.lists(st.sampled_from(["lobby", "kitchen", "", "a b", PLANTED]), max_size=2)))
        raw["multiValueHeaders"] = draw(headers)
    else:
        raw = event(kind, name)
        if kind == "MESSAGE":
            raw["body"] = draw(bodies)
    raw["requestContext"]["authorizer"] = draw(authorizers)
    for place in (raw, raw["requestContext"]):
        for field in draw(st.lists(st.sampled_from(sorted(place)), max_size=2) if draw(st.booleans()) else st.just([])):
            place[field] = draw(odd.filter(lambda each: PLANTED not in str(each)))
    return raw


class Stage:
    """All handlers over one table, put back before each case."""

    def __init__(self, load: Callable[[str], Any], table: FakeTable, connections: FakeConnections) -> None:
        self.table, self.connections = table, connections
        self.modules = {name: load(name) for name in (*ROUTES, "fanout_worker")}
        for name, room in MEMBERS.items():
            raw = handshake(name, room)
            raw["requestContext"]["authorizer"] = {"principalId": "alice", "rooms": '["*"]', "exp": FAR}
            if name == V1:
                raw["multiValueHeaders"] = {"Sec-WebSocket-Protocol": ["roomcast.v1"]}
            self.modules["connect"].handler(raw, FakeContext())
        self._items = copy.deepcopy(table.items)

    def begin(self, authorization: str = "NONE", rate: float = 0, maximum: int = 0) -> None:
        """Put all back."""
        self.table.items = copy.deepcopy(self._items)
        self.table.tokens.clear()
        self.connections.posts.clear()
        for module in self.modules.values():
            module.SETTINGS = module.SETTINGS._replace(authorization=authorization, messages_per_second=rate)
            if hasattr(module, "ROOMS"):
                module.ROOMS.rows_end = authorization in {"JWT", "CUSTOM"}
                module.ROOMS.headcount = headcount.Headcount("connections", maximum, 1)


@pytest.fixture
def stage(
    load: Callable[[str], Any], table: FakeTable, connections: FakeConnections, monkeypatch: pytest.MonkeyPatch
) -> Stage:
    made = Stage(load, table, connections)
    for module in made.modules.values():
        monkeypatch.setattr(module, "SETTINGS", module.SETTINGS)
        if hasattr(module, "ROOMS"):
            monkeypatch.setattr(module.ROOMS, "rows_end", False)
            monkeypatch.setattr(module.ROOMS, "headcount", headcount.Headcount("connections", 0, 1))
    return made


FIELDS_OF_ERRORS = {"type", "code", "message", "requestId"}


def is_documented(text: str) -> bool:
    """Whether an answer is one of the wire protocol."""
    answer = json.loads(text)
    if answer.get("type") == "error":
        return answer["message"] == frames.MESSAGES[answer["code"]] and set(answer) <= {*FIELDS_OF_ERRORS, "id", "room"}
    if "type" in answer:
        return answer["type"] in {"receipt", "joined", "left", "pong", "members", "whoami"}
    if set(answer) == {"error"}:
        return answer["error"]["message"] == protocol.ERRORS[answer["error"]["code"]] and len(answer["error"]) == 3
    return set(answer) <= {"receipt", "whoami", "pong"}


def check(stage: Stage, route: str, raw: Any) -> None:
    """Hand an event to a handler, and check its answer and its traces."""
    answer = stage.modules[route].handler(raw, FakeContext())
    assert answer["statusCode"] in STATUSES
    assert set(answer) <= {"statusCode", "headers"}
    assert answer.get("headers", {}).get("Sec-WebSocket-Protocol", "roomcast.v1") in protocol.SUBPROTOCOLS
    assert len(answer.get("headers", {})) <= 1
    # API Gateway makes no second handshake with a connection id at one moment; these events may.
    assert route == "connect" or stage.table.halves() == set()
    for name, text in stage.connections.posts:
        text.encode()
        if name == V1 and speaks_v1(stage, name):
            # Whatever a member says, it is data here.
            assert json.loads(text, parse_int=str)["type"] == "message" or is_documented(text)
        assert is_sent_by(stage, name, text) or is_documented(text)


def speaks_v1(stage: Stage, name: str) -> bool:
    """Whether the table has a connection of that protocol: another handshake may have replaced it by text mode."""
    key = items.connection_key(name)
    item = stage.table.items.get((key["partition_key"]["S"], key["sort_key"]["S"]), {})
    return item.get("protocol") == {"S": "roomcast.v1"}


def is_sent_by(stage: Stage, name: str, text: str) -> bool:
    """Whether a text is a message: then its recipient is in the lobby or the kitchen."""
    return (
        name in MEMBERS
        and any(post == (name, text) for post in stage.connections.posts)
        and not text.startswith('{"error"')
    )


configurations = st.fixed_dictionaries(
    {
        "authorization": st.sampled_from(["NONE", "AWS_IAM", "JWT", "CUSTOM"]),
        "rate": st.sampled_from([0, 0, 1]),
        "maximum": st.sampled_from([0, 0, 2, 3]),
    }
)


@fuzz
@given(st.sampled_from(ROUTES), configurations, st.lists(events_of_a_route(), min_size=1, max_size=2))
@corpus.known(corpus.EVENTS)
def test_every_event_of_a_route_has_a_documented_answer(
    stage: Stage, route: str, configuration: Mapping[str, Any], raws: Sequence[Any]
) -> None:
    stage.begin(**configuration)
    for raw in raws:
        check(stage, route, raw)


@fuzz
@given(st.sampled_from(ROUTES), json_values())
@example("connect", None)
@example("sendmessage", {"requestContext": {"eventType": "MESSAGE"}})
def test_every_other_event_is_refused(stage: Stage, route: str, raw: Any) -> None:
    stage.begin()

    assert stage.modules[route].handler(raw, FakeContext()) == {"statusCode": 400}
    assert stage.connections.posts == []


@fuzz
@given(bodies, authorizers, configurations)
@corpus.known([(body, context, corpus.GUARDED) for body in corpus.BODIES for context in corpus.CONTEXTS])
def test_rights_hold_whatever_a_message_says(
    stage: Stage, body: str, authorizer: Any, configuration: Mapping[str, Any]
) -> None:
    stage.begin(**(dict(configuration) | {"authorization": "JWT"}))
    raw = message("alice=", body)
    raw["requestContext"]["authorizer"] = authorizer
    check(stage, "sendmessage", raw)

    assert stage.connections.received("carol=") == []
    try:
        granted = json.loads(authorizer["rooms"])
        may_send = any(
            (each.endswith("*") and "lobby".startswith(each[:-1])) or each == "lobby"
            for each in granted
            if isinstance(each, str) and (isinstance(granted, list) or "send" in granted[each])
        )
    except (TypeError, ValueError, KeyError, RecursionError):
        may_send = False
    if not may_send:
        assert stage.connections.received("bob=") == []


plain_tasks = st.builds(
    lambda shard, text, named, fields: tasks.Task(
        RoomMessage("lobby", "alice=", text, "r"), shard, recipients=named, **fields
    ),
    st.integers(0, 2),
    st.text(max_size=20).filter(lambda text: "\ud800" not in text),
    st.lists(st.builds(Recipient, st.sampled_from([*MEMBERS, "x="]), st.integers(0, 2**50)), max_size=3),
    st.fixed_dictionaries(
        {}, optional={"copies": st.integers(0, 5), "rounds": st.integers(0, 6), "retries": st.integers(0, 9)}
    ),
)
records = st.one_of(
    odd,
    st.fixed_dictionaries(
        {
            "messageId": st.sampled_from(["m-1", "m-2"]) | odd.filter(lambda each: each != PLANTED),
            "body": st.one_of(
                plain_tasks.map(lambda task: task.to_json()),
                bodies,
                odd,
                st.fixed_dictionaries(
                    {"v": st.sampled_from([1, 2]) | odd, "kind": st.sampled_from(["task", "wake-up"]) | odd},
                    optional={
                        "fan_out": st.just(["lobby", "alice=", "aGVsbG8=", "r"]) | odd,
                        "room": st.just("lobby") | odd,
                        "shard": st.integers(-1, 2) | odd,
                        "after": odd,
                        "recipients": st.just([["bob=", 1, 0]]) | odd,
                        "copies": odd,
                        "retries": odd,
                        "hold": odd,
                        "rounds": odd | st.just(10**18),
                    },
                ).map(json.dumps),
            ),
            "attributes": st.fixed_dictionaries(
                {},
                optional={
                    "ApproximateReceiveCount": st.sampled_from(["1", "2", "5", "9"]) | odd,
                    "MessageGroupId": st.sampled_from(["lobby.0", "lobby.0:1", ":x"]) | odd,
                    "SequenceNumber": st.sampled_from(["1", "18"]) | odd,
                },
            )
            | odd,
        },
        optional={"receiptHandle": odd},
    ),
)


class AcceptingService:
    """A queue that takes everything."""

    def call(self, operation: str, _parameters: Mapping[str, Any], _deadline: float) -> dict[str, Any]:
        """As ``aws_json.Service.call``."""
        assert operation in {"SendMessageBatch", "ChangeMessageVisibilityBatch"}
        return {}


@fuzz
@given(st.lists(records, max_size=3), st.booleans(), st.sampled_from(["NONE", "JWT"]))
@corpus.known(corpus.RECORDS)
def test_every_queue_message_is_served_or_reported(
    stage: Stage,
    given_records: list[Any],
    is_fifo: bool,
    authorization: str,
) -> None:
    stage.begin(authorization)
    worker = stage.modules["fanout_worker"]
    worker.SETTINGS = worker.SETTINGS._replace(queue_is_fifo=is_fifo)
    worker.QUEUE._service = AcceptingService()
    worker.QUEUE._is_fifo = is_fifo
    answer = worker.handler({"Records": given_records}, FakeContext())

    ids = [
        each["messageId"] for each in given_records if isinstance(each, dict) and isinstance(each.get("messageId"), str)
    ]
    assert {failure["itemIdentifier"] for failure in answer["batchItemFailures"]} <= {*ids, ""}
    assert stage.table.halves() == set()


@fuzz
@given(json_values().filter(lambda each: not isinstance(each, dict) or "Records" not in each))
def test_no_other_event_makes_a_worker_fail(stage: Stage, raw: Any) -> None:
    assert stage.modules["fanout_worker"].handler(raw, FakeContext()) == {"batchItemFailures": []}
