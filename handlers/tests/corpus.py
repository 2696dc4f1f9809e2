"""Inputs that once failed, here or in libraries, or that are close to such ones.

Every run of the properties begins with them. A new failure is added with its input, which Hypothesis prints.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeVar

from hypothesis import example
from tests.fakes import event as event_of
from tests.fakes import handshake, message
from tests.fuzzing import Handshake
from tests.issuers import AUDIENCE, ISSUER, bearer, ec_entry, encoded, event, rsa_entry, signed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T", bound="Callable[..., object]")

HEADER = '{"alg":"RS256","kid":"rsa"}'
CLAIMS = {"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "exp": 4_102_444_800, "rooms": ["lobby"]}


def known(cases: Sequence[Sequence[Any]]) -> Callable[[T], T]:
    """Decorate a property that is tried with these arguments first."""

    def decorate(test: T) -> T:
        for case in cases:
            test = example(*case)(test)
        return test

    return decorate


def _handshake(made: Any, *, is_signed: bool = False) -> tuple[Handshake]:
    return (Handshake(made, is_signed),)


def _headed(*texts: str) -> list[tuple[Handshake]]:
    """Handshakes whose token has these headers."""
    payload = json.dumps(CLAIMS)
    return [_handshake(bearer(signed(text, payload)), is_signed=True) for text in texts]


def _heading(name: str, *values: object) -> list[tuple[Handshake]]:
    good = json.loads(HEADER)
    return _headed(*(json.dumps({**good, name: value}) for value in values))


def _paid(*payloads: str | bytes) -> list[tuple[Handshake]]:
    """Handshakes whose token has these claims."""
    return [_handshake(bearer(signed(HEADER, payload)), is_signed=True) for payload in payloads]


def _claiming(name: str, *values: object) -> list[tuple[Handshake]]:
    return _paid(*(json.dumps({**CLAIMS, name: value}) for value in values))


def _formed(*changes: dict[str, Any]) -> list[tuple[Handshake]]:
    """Events with other members."""
    return [_handshake({**event(), **each}) for each in changes]


HANDSHAKES = [
    # PyJWT takes these dates, and 1e308 made every later handler fail.
    *_claiming("exp", "4102444800", True, 1e308, -1, 2**53 + 1, 10**4_000, None, [], {}),
    *_claiming("nbf", "0", True, -1e308, []),
    # TypeError and AttributeError within PyJWT.
    *_claiming("iss", [], {}, 5, None, [ISSUER]),
    *_claiming("aud", [AUDIENCE, 5], {AUDIENCE: 1}, [[AUDIENCE]], None),
    *_claiming("sub", "\ud800", "\u202e", "a" * 129, " ", "\x00", 5, ["a"], None),
    *_claiming("rooms", "lobby", {"lobby": "join"}, ["\ud800"], ["*" * 65], {"": []}, None),
    *_heading("alg", [], {}, None, 5, "none", "\ud800"),
    *_heading("kid", [], {}, None, 5, "\ud800", ""),
    *_heading("typ", [], None, 5, "JWE"),
    *(each for name in ("crit", "b64", "zip", "jwk", "x5c") for each in _heading(name, [])),
    *_headed("", "[]", "null", "{}", '{"alg":NaN}', "[" * 3_000, HEADER[:-1] + ',"kid":"rsa"}'),
    *_paid("", "[]", "5", '"a"', "{}", "[" * 3_000, '{"exp":' + "9" * 5_000 + "}", b"\xff\xfe"),
    # UnicodeEncodeError, and forms that base64 forgives.
    *(_handshake(bearer(text)) for text in ("\ud800.\ud800.\ud800", "a.b", "a.b.c.d", "a.b.c=", "a\n.b.c")),
    *_formed(
        {"multiValueHeaders": None, "headers": None},
        {"multiValueHeaders": {"Authorization": None}},
        {"multiValueHeaders": {"Authorization": [None]}},
        {"multiValueHeaders": {"Authorization": [5]}},
        {"multiValueHeaders": []},
        {"requestContext": None},
        {"requestContext": {"connectionId": ["a"]}},
    ),
]

OTHER_EVENTS: Sequence[tuple[Any]] = [(None,), ([],), ("text",), (5,), ({},), ({"methodArn": []},)]

ENTRIES = [
    ([each],)
    for each in (
        {"kty": [], "kid": "a"},
        {"kty": "RSA", "kid": "\ud800"},
        rsa_entry("a", alg=[]),
        rsa_entry("a", use={}),
        rsa_entry("a", key_ops={"verify": 1}),
        rsa_entry("a", key_ops=[["verify"]]),
        # ValueError and OverflowError within cryptography.
        *(rsa_entry("a", e=encoded(each)) for each in (b"\x00", b"\x01", b"\x02", b"\xff" * 300)),
        rsa_entry("a", n=encoded(b"\xff" * 20_000)),
        ec_entry("a", x=encoded(b"\x00" * 32), y=encoded(b"\x00" * 32)),
        ec_entry("a", x=encoded(b"\xff" * 32)),
        ec_entry("a", x="A"),
    )
]

KEY_SETS = [
    (data,)
    for data in (
        b"[" * 100_000,
        b'{"keys":[NaN]}',
        b'{"keys":[],"keys":[]}',
        b'{"keys":[' + b"9" * 5_000 + b"]}",
        b"\xff",
    )
]

BODIES = (
    *("[" * 50_000, "9" * 5_000, '{"action":"sendmessage","data":' + "9" * 5_000 + "}", "\ufeff{}", "\ud800"),
    *('{"action":"sendmessage","data":NaN}', '{"action":"sendmessage","data":"\\ud800"}', '{"action":[],"data":"a"}'),
    *('{"action":"sendmessage","data":"a","to":{}}', '{"action":"sendmessage","data":"a","id":"\\ud800"}'),
)
CONTEXTS = (
    *([], "alice", {}, {"principalId": []}, {"principalId": "alice", "rooms": None, "exp": "1"}),
    *({"principalId": "alice", "rooms": "[]", "exp": exp} for exp in (5, "", "-1", "1e9", "9" * 20, "\u0661", None)),
    *({"principalId": "alice", "rooms": rooms, "exp": "9999999999"} for rooms in (5, "[" * 4_000, "{", "\ud800", "5")),
)


def _with(raw: dict[str, Any], context: object) -> dict[str, Any]:
    return {**raw, "requestContext": {**raw["requestContext"], "authorizer": context}}


PLAIN = {"authorization": "NONE", "rate": 0, "maximum": 0}
GUARDED = {"authorization": "JWT", "rate": 1, "maximum": 2}

EVENTS = [
    *(("sendmessage", PLAIN, [message("alice=", body)]) for body in BODIES),
    *(("connect", GUARDED, [_with(handshake("dave=", "lobby"), context)]) for context in CONTEXTS),
    *(("sendmessage", GUARDED, [_with(message("alice=", BODIES[0]), context)]) for context in CONTEXTS),
    ("connect", PLAIN, [{**handshake("dave=", "lobby"), "multiValueHeaders": {"sec-websocket-protocol": [None, 5]}}]),
    ("connect", PLAIN, [{**handshake("dave=", "lobby"), "multiValueQueryStringParameters": {"room": None}}]),
    ("disconnect", PLAIN, [event_of("DISCONNECT", "alice="), event_of("DISCONNECT", "alice=")]),
    ("disconnect", PLAIN, [event_of("DISCONNECT", "vera="), handshake("vera=", "lobby")]),
]


def _tasks(name: str, *values: object) -> list[Any]:
    """Queue messages whose task has another value in one member."""
    task = {"v": 1, "kind": "task", "fan_out": ["lobby", "alice=", "aGVsbG8=", "r"], "shard": 0}
    attributes = {"ApproximateReceiveCount": "1"}
    return [{"messageId": "m-1", "body": json.dumps({**task, name: each}), "attributes": attributes} for each in values]


QUEUE_MESSAGES = [
    None,
    {},
    {"messageId": "m-1", "body": None},
    {"messageId": "m-1", "body": "[" * 50_000},
    *_tasks("v", True, 2, "1", None, 1.0),
    *_tasks("rounds", 10**18, -1, "1", 1e308),
    *_tasks("recipients", [["bob=", 1]], [["bob=", -1, 0]], [[1, 2, 3]], {}, [None]),
    *_tasks("fan_out", [], ["lobby", "alice=", "?", "r"], ["lobby"], None),
    *_tasks("shard", 10**30),
]
RECORDS = [([each], is_fifo, "NONE") for each in QUEUE_MESSAGES for is_fifo in (False, True)]
