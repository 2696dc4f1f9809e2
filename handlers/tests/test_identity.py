"""Identity and rights in every handler: who gets in, which requests are refused, and the end of the token."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from roomcast import events, identity, items, protocol, rights
from tests.fakes import CONNECTED_AT, FakeConnections, FakeContext, FakeTable, error_code, event, handshake, message

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = int(time.time())
ALICE = {"principalId": "alice", "rooms": '["lobby"]', "exp": str(NOW + 3600)}
ARN = "arn:aws:sts::111122223333:assumed-role/Role/session"

parts = st.lists(st.text() | st.text("a#%235"), min_size=1, max_size=4)

README = Path(__file__).parents[2] / "terraform" / "modules" / "authorizer" / "README.md"

MALFORMED = {
    "no subject": {"principalId": ...},
    "subject null": {"principalId": None},
    "subject empty": {"principalId": ""},
    "subject long": {"principalId": "a" * 129},
    "subject number": {"principalId": 7},
    "subject list": {"principalId": ["alice"]},
    "subject line feed": {"principalId": "alice\n"},
    "subject null byte": {"principalId": "\x00"},
    "subject surrogate": {"principalId": "\ud800"},
    "subject separator": {"principalId": "a\u2028"},
    "no rooms": {"rooms": ...},
    "rooms null": {"rooms": None},
    "rooms empty": {"rooms": ""},
    "rooms list": {"rooms": ["lobby"]},
    "rooms map": {"rooms": {"lobby": ["join"]}},
    "rooms not JSON": {"rooms": "lobby"},
    "rooms text": {"rooms": '"lobby"'},
    "rooms true": {"rooms": "true"},
    "rooms number": {"rooms": "1"},
    "rooms JSON null": {"rooms": "null"},
    "rooms twice": {"rooms": '{"lobby":["join"],"lobby":["send"]}'},
    "rooms deep": {"rooms": "[" * 4_000},
    "rooms long": {"rooms": json.dumps(["lobby", "x" * 4_096])},
    "no exp": {"exp": ...},
    "exp empty": {"exp": ""},
    "exp number": {"exp": NOW + 3600},
    "exp float": {"exp": f"{NOW + 3600}.5"},
    "exp negative": {"exp": "-1"},
    "exp signed": {"exp": f"+{NOW + 3600}"},
    "exp blank": {"exp": f" {NOW + 3600}"},
    "exp line feed": {"exp": f"{NOW + 3600}\n"},
    "exp exponent": {"exp": "1e308"},
    "exp infinite": {"exp": "Infinity"},
    "exp digits": {"exp": "9" * 4_400},
    "exp large": {"exp": str(2**53 + 1)},
    "exp other digits": {"exp": "\u0661" * 10},
    "exp true": {"exp": True},
}


def broken(changes: dict[str, Any]) -> dict[str, Any]:
    """A context with other parts, and without those that are ``...``."""
    return {name: value for name, value in (ALICE | changes).items() if value is not ...}


def as_client(raw: dict[str, Any], authorizer: object = ..., **fields: object) -> dict[str, Any]:
    """The event with an authorizer's context and further fields of ``requestContext``."""
    context = raw["requestContext"] | fields
    return {**raw, "requestContext": context if authorizer is ... else {**context, "authorizer": authorizer}}


def test_the_answer_in_the_authorizers_readme_keeps_the_contract() -> None:
    [example] = re.findall(r"```json\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    answer = json.loads(example)
    context = {"principalId": answer["principalId"], **answer["context"]}
    read = events.parse(as_client(handshake("alice=", "lobby"), context))

    client = identity.of(read, "CUSTOM")
    assert (client.fault, client.subject, client.rights.ignored) == ("", "alice", 0)
    assert client.ends_at == int(answer["context"]["exp"]) + 60
    assert not client.is_expired
    assert client.rights.of("lobby") == {"join", "send"}
    assert client.rights.of("news-today") == {"join"}


@pytest.fixture
def start(load: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Loads a handler with an authorization."""

    def started(name: str, authorization: str = "JWT") -> Any:
        module = load(name)
        monkeypatch.setattr(module, "SETTINGS", module.SETTINGS._replace(authorization=authorization))
        if hasattr(module, "ROOMS"):
            monkeypatch.setattr(module.ROOMS, "rows_end", authorization in {"JWT", "CUSTOM"})
        return module

    return started


class TestHandshakes:
    """``$connect``."""

    def connect(self, start: Callable[..., Any], raw: dict[str, Any], authorization: str = "JWT") -> dict[str, Any]:
        answer: dict[str, Any] = start("connect", authorization).handler(raw, FakeContext())
        return answer

    @pytest.mark.parametrize(
        ("rooms", "asked", "status"),
        [
            ('["lobby"]', ("lobby",), 200),
            ('["lob*"]', ("lobby",), 200),
            ('["*"]', ("lobby",), 200),
            ('{"lobby":["join"]}', ("lobby",), 200),
            ('["default"]', (), 200),
            ('["lobby"]', (), 403),
            ('["lobby"]', ("kitchen",), 403),
            ('["lobby"]', ("Lobby",), 403),
            ('["lobby"]', ("lobby2",), 403),
            ('["lobby."]', ("lobby",), 403),
            ('["lob"]', ("lobby",), 403),
            ('["*bby"]', ("lobby",), 403),
            ('["l?bby","[l]obby",".*"]', ("lobby",), 403),
            ('{"lobby":["send","history","presence"]}', ("lobby",), 403),
            ('{"lobby":[]}', ("lobby",), 403),
            ('{"lobby":"join"}', ("lobby",), 403),
            ('{"lobby":["JOIN"]}', ("lobby",), 403),
            ("[]", ("lobby",), 403),
            ("{}", ("lobby",), 403),
            ('["*"]', ("not a room",), 400),
            ("[]", ("not a room",), 400),
            ('["*"]', ("lobby", "lobby"), 400),
            ('["*"]', ("",), 400),
            ('["*"]', ("lobby*",), 400),
        ],
    )
    def test_the_right_to_join_decides(
        self, start: Callable[..., Any], table: FakeTable, rooms: str, asked: tuple[str, ...], status: int
    ) -> None:
        raw = as_client(handshake("a=", *asked), ALICE | {"rooms": rooms})

        assert self.connect(start, raw) == {"statusCode": status}
        assert bool(table.calls) == (status == 200)

    @pytest.mark.parametrize("authorization", ["JWT", "CUSTOM"])
    @pytest.mark.parametrize("changes", MALFORMED.values(), ids=MALFORMED)
    def test_a_malformed_context_is_403_and_a_line(
        self,
        start: Callable[..., Any],
        table: FakeTable,
        capsys: pytest.CaptureFixture[str],
        authorization: str,
        changes: dict[str, Any],
    ) -> None:
        raw = as_client(handshake("a=", "lobby"), broken(changes))

        assert self.connect(start, raw, authorization) == {"statusCode": 403}
        assert table.calls == []
        [line] = [each for each in map(json.loads, capsys.readouterr().out.splitlines()) if each["level"] == "WARNING"]
        assert (line["message"], line["part"]) == ("the authorizer's context is malformed", next(iter(changes)))

    @pytest.mark.parametrize("authorizer", [{}, [], "alice", 7, True])
    def test_a_context_of_another_form_is_malformed(self, start: Callable[..., Any], authorizer: object) -> None:
        assert self.connect(start, as_client(handshake("a=", "lobby"), authorizer), "CUSTOM") == {"statusCode": 403}

    @pytest.mark.parametrize("authorizer", [..., None])
    @pytest.mark.parametrize(
        ("authorization", "status"), [("NONE", 200), ("AWS_IAM", 200), ("JWT", 401), ("CUSTOM", 403)]
    )
    def test_without_an_authorizer(
        self, start: Callable[..., Any], authorizer: object, authorization: str, status: int
    ) -> None:
        assert self.connect(start, as_client(handshake("a=", "lobby"), authorizer), authorization) == {
            "statusCode": status
        }

    @pytest.mark.parametrize(("ago", "status"), [(-600, 200), (0, 200), (58, 200), (60, 401), (61, 401), (10**9, 401)])
    def test_an_expired_token_is_401(self, start: Callable[..., Any], ago: int, status: int) -> None:
        raw = as_client(handshake("a=", "lobby"), ALICE | {"exp": str(int(time.time()) - ago)})

        assert self.connect(start, raw) == {"statusCode": status}

    @pytest.mark.parametrize(("exp", "lifetime"), [(NOW + 3600, 3660), (NOW + 10**6, None), (2**53, None)])
    def test_both_rows_end_with_the_token(
        self, start: Callable[..., Any], table: FakeTable, exp: int, lifetime: int | None
    ) -> None:
        self.connect(start, as_client(handshake("a=", "lobby"), ALICE | {"exp": str(exp)}))

        end = CONNECTED_AT // 1000 + 7_800 if lifetime is None else NOW + lifetime
        assert [item["expires_at"] for item in table.items.values()] == [{"N": str(end)}] * 2

    def test_so_does_a_tombstone(self, start: Callable[..., Any], table: FakeTable) -> None:
        table.failing_after_write.add("TransactWriteItems")
        # Sooner than tombstones end by themselves; not from NOW, which may be minutes ago.
        expires_at = int(time.time()) + 300
        self.connect(start, as_client(handshake("a=", "lobby"), ALICE | {"exp": str(expires_at)}))

        assert [item["expires_at"] for item in table.items.values()] == [{"N": str(expires_at + 60)}]

    @pytest.mark.parametrize(
        ("offers", "echoed"),
        [
            (["roomcast.text"], "roomcast.text"),
            (["roomcast.text, roomcast.bearer.a.b.c"], "roomcast.text"),
            (["roomcast.bearer.a.b.c ,\troomcast.text"], "roomcast.text"),
            (["chat", "roomcast.text"], "roomcast.text"),
            (["roomcast.text,roomcast.text"], "roomcast.text"),
            ([""], None),
            ([" , ,"], None),
            ([], None),
        ],
    )
    @pytest.mark.parametrize("name", ["Sec-WebSocket-Protocol", "sec-websocket-protocol", "SEC-WEBSOCKET-PROTOCOL"])
    def test_text_mode_by_name_is_echoed(
        self, start: Callable[..., Any], offers: list[str], echoed: str | None, name: str
    ) -> None:
        raw = as_client(handshake("a=", "lobby"), ALICE)
        raw["headers"] = {name: offers[-1]} if offers else {}
        raw["multiValueHeaders"] = {name: offers}

        answer = {"statusCode": 200}
        expected = answer if echoed is None else {**answer, "headers": {"Sec-WebSocket-Protocol": echoed}}
        assert self.connect(start, raw) == expected
        del raw["multiValueHeaders"]
        if len(offers) == 1:
            assert self.connect(start, raw) == expected

    @pytest.mark.parametrize(
        "offer",
        ["roomcast.bearer.a.b.c", "chat", "Roomcast.Text", "roomcast.text2", "roomcast.v2", "chat, roomcast.v9"],
    )
    @pytest.mark.parametrize("authorization", ["NONE", "JWT"])
    def test_unknown_names_alone_are_400(
        self, start: Callable[..., Any], table: FakeTable, offer: str, authorization: str
    ) -> None:
        raw = as_client(handshake("a=", "lobby"), ALICE)
        raw["multiValueHeaders"] = {"Sec-WebSocket-Protocol": [offer]}

        assert self.connect(start, raw, authorization) == {"statusCode": 400}
        assert table.calls == []

    def test_a_refused_handshake_echoes_nothing(self, start: Callable[..., Any], table: FakeTable) -> None:
        raw = as_client(handshake("a=", "kitchen"), ALICE)
        raw["multiValueHeaders"] = {"Sec-WebSocket-Protocol": ["roomcast.text"]}
        assert self.connect(start, raw) == {"statusCode": 403}
        table.failing.add("TransactWriteItems")
        raw = as_client(handshake("a=", "lobby"), ALICE)
        raw["multiValueHeaders"] = {"Sec-WebSocket-Protocol": ["roomcast.text"]}
        assert self.connect(start, raw) == {"statusCode": 500}

    @pytest.mark.parametrize("status", ["joined", "refused", "twice"])
    def test_a_disconnect_follows_or_not(self, start: Callable[..., Any], table: FakeTable, status: str) -> None:
        room = "kitchen" if status == "refused" else "lobby"
        self.connect(start, as_client(handshake("a=", room), ALICE))
        for _ in range(2 if status == "twice" else 1):
            raw = as_client(event("DISCONNECT", "a="), ALICE)
            assert start("disconnect").handler(raw, FakeContext()) == {"statusCode": 200}
        assert table.items == {}


class TestActions:
    """Messages of clients."""

    @pytest.fixture(autouse=True)
    def members(self, start: Callable[..., Any], table: FakeTable) -> None:
        """Alice and Bob in the lobby, Carol in the kitchen."""
        connect = start("connect")
        for name, room in (("alice=", "lobby"), ("bob=", "lobby"), ("carol=", "kitchen")):
            connect.handler(as_client(handshake(name, room), ALICE | {"rooms": '["*"]'}), FakeContext())
        table.calls.clear()

    def act(self, start: Callable[..., Any], authorizer: object, authorization: str = "JWT", **fields: object) -> None:
        raw = message("alice=", {"action": "sendmessage", "data": "hello", **fields})
        assert start("sendmessage", authorization).handler(as_client(raw, authorizer), FakeContext()) == {
            "statusCode": 200
        }

    def refused(self, connections: FakeConnections, code: str) -> bool:
        """Whether this code to the sender was the only answer."""
        return [(name, error_code(text)) for name, text in connections.posts] == [("alice=", code)]

    @pytest.mark.parametrize("rooms", ['["lobby"]', '["*"]', '{"lobby":["send"]}'])
    def test_the_right_to_send_delivers(
        self, start: Callable[..., Any], connections: FakeConnections, rooms: str
    ) -> None:
        self.act(start, ALICE | {"rooms": rooms})

        assert sorted(connections.posts) == [("alice=", "hello"), ("bob=", "hello")]

    @pytest.mark.parametrize("fields", [{}, {"to": "bob="}, {"to": "carol="}, {"to": "nobody="}], ids=str)
    @pytest.mark.parametrize(
        "rooms",
        ["[]", '{"lobby":["join","history","presence"]}', '{"lobby":["join"],"kitchen":["send"]}', '["kitchen"]'],
    )
    def test_without_it_nothing_is_sent_whoever_it_is_for(
        self,
        start: Callable[..., Any],
        connections: FakeConnections,
        table: FakeTable,
        *,
        rooms: str,
        fields: dict[str, str],
    ) -> None:
        self.act(start, ALICE | {"rooms": rooms}, **fields)

        assert self.refused(connections, "not_allowed")
        assert self.has_read_the_sender_alone(table)

    @staticmethod
    def has_read_the_sender_alone(table: FakeTable) -> bool:
        """Whether the sender's own item, which tells in which protocol it is answered, was read, and nothing else."""
        key = {"partition_key": {"S": "connection#alice="}, "sort_key": {"S": "connection"}}
        return [(operation, request["Key"]) for operation, request in table.calls] == [("GetItem", key)]

    @pytest.mark.parametrize("to", ["carol=", "nobody=", "a#b", ""])
    def test_a_recipient_elsewhere_does_not_exist(
        self, start: Callable[..., Any], connections: FakeConnections, to: str
    ) -> None:
        self.act(start, ALICE | {"rooms": '["*"]'}, to=to)

        assert self.refused(connections, "unknown_recipient")

    def test_a_recipient_whose_token_has_expired_does_not_exist(
        self, start: Callable[..., Any], connections: FakeConnections, table: FakeTable
    ) -> None:
        for key in (("connection#bob=", "connection"), ("room#lobby#0", "bob=")):
            table.items[key]["expires_at"] = {"N": str(NOW - 1)}

        self.act(start, ALICE, to="bob=")
        assert self.refused(connections, "unknown_recipient")
        self.act(start, ALICE)
        assert connections.received("bob=") == []

    @pytest.mark.parametrize("authorizer", [None, ALICE | {"exp": str(NOW - 61)}, ALICE | {"exp": "0"}], ids=str)
    @pytest.mark.parametrize("body", ["hello", '{"action":"sendmessage","data":"hello"}'])
    @pytest.mark.parametrize("are_rows_gone", [True, False])
    def test_after_expiry_every_send_is_answered_so(
        self,
        start: Callable[..., Any],
        connections: FakeConnections,
        table: FakeTable,
        *,
        authorizer: object,
        body: str,
        are_rows_gone: bool,
    ) -> None:
        if are_rows_gone:
            table.items.clear()
        start("sendmessage").handler(as_client(message("alice=", body), authorizer), FakeContext())

        assert self.refused(connections, "token_expired")
        assert self.has_read_the_sender_alone(table)

    @pytest.mark.parametrize("changes", MALFORMED.values(), ids=MALFORMED)
    def test_a_malformed_context_allows_nothing(
        self, start: Callable[..., Any], connections: FakeConnections, changes: dict[str, Any]
    ) -> None:
        self.act(start, broken(changes), "CUSTOM")

        assert self.refused(connections, "not_allowed")

    @pytest.mark.parametrize("authorization", ["NONE", "AWS_IAM"])
    def test_without_an_authorizer_all_is_allowed(
        self, start: Callable[..., Any], connections: FakeConnections, authorization: str
    ) -> None:
        self.act(start, None, authorization)

        assert sorted(connections.posts) == [("alice=", "hello"), ("bob=", "hello")]

    @pytest.mark.parametrize(
        ("authorization", "fields", "identity"),
        [
            ("NONE", {}, None),
            ("NONE", {"authorizer": ALICE, "identity": {"userArn": ARN}}, None),
            ("AWS_IAM", {"identity": {"userArn": ARN}}, "assumed-role/Role/session"),
            ("AWS_IAM", {"identity": {"userArn": "arn:aws:iam::111122223333:user/a:b"}}, "user/a:b"),
            ("AWS_IAM", {"identity": {"userArn": "not an ARN"}}, None),
            ("AWS_IAM", {"identity": None}, None),
            ("JWT", {"authorizer": ALICE}, "alice"),
            ("JWT", {"authorizer": ALICE | {"exp": "0"}}, "alice"),
            ("JWT", {"authorizer": ALICE | {"rooms": "[]"}}, "alice"),
            ("JWT", {"authorizer": None}, None),
            ("CUSTOM", {"authorizer": ALICE | {"rooms": "lobby"}}, None),
        ],
        ids=str,
    )
    def test_whoami_shows_the_identity_also_after_expiry(
        self,
        start: Callable[..., Any],
        connections: FakeConnections,
        authorization: str,
        fields: dict[str, object],
        identity: str | None,
    ) -> None:
        raw = as_client(message("alice=", {"action": "whoami"}, "whoami"), **fields)
        start("whoami", authorization).handler(raw, FakeContext())

        expected = {"connectionId": "alice=", "room": "lobby"}
        [text] = connections.received("alice=")
        assert json.loads(text) == {"whoami": expected if identity is None else {**expected, "identity": identity}}

    def test_whoami_without_rows_is_told_why(
        self, start: Callable[..., Any], connections: FakeConnections, table: FakeTable
    ) -> None:
        table.items.clear()
        for context in (ALICE | {"exp": "0"}, ALICE):
            raw = as_client(message("alice=", {"action": "whoami"}, "whoami"), context)
            start("whoami").handler(raw, FakeContext())

        assert [error_code(text) for text in connections.received("alice=")] == ["token_expired", "not_joined"]

    def test_lines_carry_nothing_of_the_context(
        self, start: Callable[..., Any], capsys: pytest.CaptureFixture[str]
    ) -> None:
        context = ALICE | {"principalId": "s3cret-name", "rooms": '["s3cret-room","*",7]'}
        start("connect").handler(as_client(handshake("eve=", "lobby"), context), FakeContext())
        self.act(start, context)
        start("disconnect").handler(as_client(event("DISCONNECT", "eve="), context), FakeContext())
        printed = capsys.readouterr().out

        lines = [json.loads(line) for line in printed.splitlines()]
        assert {"connect", "fan-out", "disconnect", "rights are ignored"} <= {line["message"] for line in lines}
        assert {line["connection_id"] for line in lines} == {"eve=", "alice="}
        assert "s3cret" not in printed
        assert context["exp"] not in printed


@given(parts, parts)
@example(["a#"], ["a%23"])
@example(["a%"], ["a%25"])
@example(["a", "b"], ["a#b"])
@example(["%23"], ["%2523"])
def test_different_parts_make_different_keys(first: list[str], second: list[str]) -> None:
    assert (items.key_of(*first) == items.key_of(*second)) == (first == second)


@given(st.text("ab#%25", max_size=6), st.text("ab#%25", max_size=6), st.text("ab#%25", max_size=6))
def test_no_room_or_connection_has_the_key_of_another(one: str, other: str, third: str) -> None:
    keys = [items.connection_key(one), items.membership_key(one, 1, other), items.waiting_key(one, 1, other)]
    others = [items.connection_key(third), items.membership_key(third, 1, other), items.waiting_key(third, 1, other)]
    for number, key in enumerate(keys):
        assert [each == key for each in others] == [number == place and one == third for place in range(3)]


def test_rights_do_not_outlive_the_answer_of_an_unknown_authorization() -> None:
    who = identity.of(events.parse(event("MESSAGE", "a=")), "JWT")

    assert who.is_expired
    assert who.rights == rights.NONE
    assert all(code in protocol.ERRORS for code in ("not_allowed", "token_expired", "rate_limited", "room_full"))
