"""Arbitrary input for handlers. ``FUZZ_CASES`` says how many cases each property tries: a few hundred by default."""

from __future__ import annotations

import copy
import functools
import json
import os
import random
import time
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from tests.issuers import AUDIENCE, ISSUER, METHOD_ARN, encoded, event, signed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T", bound="Callable[..., object]")

MARK = "zQ7-planted"
"""Stands in tokens, and must stand in no log line."""

CASES = int(os.environ.get("FUZZ_CASES", "300"))


def fuzz(test: T) -> T:
    """Decorate a property that is tried with ``FUZZ_CASES`` cases, and belongs to ``make fuzz``."""
    checks = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    return pytest.mark.fuzz(settings(max_examples=CASES, suppress_health_check=checks)(test))  # type: ignore[no-any-return]


class Handshake(NamedTuple):
    """One event for the authorizer.

    Attributes:
        event: The event.
        is_signed: Whether it holds a token with a right signature.
        secrets: Texts that must not be logged.
    """

    event: Any
    is_signed: bool
    secrets: Sequence[str] = ()


SIMPLE: Sequence[Any] = (None, False, 0, "", [], {}, True, 1, -1, 0.5, "a", [0], {"a": 0})
"""The first values of ``json_values``, which Hypothesis shrinks to."""

LOGGED = (
    "auth_unavailable",
    "CloudWatchMetrics",
    "connection_id",
    "FunctionName",
    "maximum_bytes",
    "Milliseconds",
    "rooms_claim_too_large",
)
"""Long words that log lines hold: a text in place of a token may be a part of one, and is no secret then."""

MAXIMUM_DEPTH = 3


def json_values() -> st.SearchStrategy[Any]:
    """Any JSON value, and the values beyond it that JSON texts can spell.

    Each is made of one number: drawing a tree of values costs Hypothesis milliseconds, and most cases draw several.
    """
    return st.integers(0, 2**40).map(json_value)


def json_value(number: int) -> object:
    """The JSON value of a number."""
    if number < len(SIMPLE):
        return copy.deepcopy(SIMPLE[number])
    return _value(random.Random(number), MAXIMUM_DEPTH)  # noqa: S311 - no secret


def _value(source: random.Random, depth: int) -> object:
    kind = source.randrange(6 if depth else 4)
    if kind == 0:
        return source.choice([None, True, False])
    if kind == 1:
        return source.choice([-1, 1]) * source.getrandbits(source.choice([3, 8, 31, 53, 64, 200]))
    if kind == 2:
        return source.choice([source.uniform(-1, 1), source.uniform(-1e10, 1e10), 1e308, 5e-324, -0.0])
    if kind == 3:
        return _text(source, 20)
    values = [_value(source, depth - 1) for _ in range(source.randrange(5))]
    return values if kind == 4 else {_text(source, 10): value for value in values}


def _text(source: random.Random, longest: int) -> str:
    """A text of any characters, halves of surrogate pairs included."""
    last = source.choice([0x7F, 0x7F, 0xFF, 0xFFFF, 0x10FFFF])
    return "".join(chr(source.randint(0, last)) for _ in range(source.randint(0, longest)))


def _texts_of(members: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[str]:
    """JSON texts of objects, some with arbitrary members, names that stand twice, and numbers that are none."""
    objects = st.fixed_dictionaries({}, optional=members).map(json.dumps)
    additions = st.sampled_from(
        ["", '"exp":1', '"kid":"rsa"', '"x":NaN', '"x":1e999', '"exp":' + "9" * 400, '"x":' + "[" * 400, '"alg":"none"']
    )
    patched = st.tuples(objects, additions).map(lambda pair: f"{pair[0][:-1]},{pair[1]}}}" if pair[1] else pair[0])
    return patched | st.text(max_size=50).filter(lambda text: "\ud800" not in text) | json_values().map(json.dumps)


def _mostly(good: object) -> st.SearchStrategy[Any]:
    return st.sampled_from([good] * 3) | json_values()


@functools.cache
def _headers() -> st.SearchStrategy[str]:
    good = json.dumps({"alg": "RS256", "kid": "rsa", "typ": "JWT"})
    hostile = _texts_of(
        {
            "alg": st.sampled_from(["RS256", "ES256", "HS256", "none", "RS512", "PS256"]) | json_values(),
            "kid": st.sampled_from(["rsa", "ec", f"{MARK}-kid", "", "../../dev/null", "' or 1=1"]) | json_values(),
            "typ": _mostly("JWT"),
            "jwk": st.just({"kty": "oct", "k": MARK}),
            "jku": st.just(f"https://{MARK}.example.com"),
            "crit": json_values(),
            "b64": json_values(),
            "zip": json_values(),
        }
    )
    return st.sampled_from([good] * 3) | hostile


@functools.cache
def _dates() -> st.SearchStrategy[Any]:
    seconds = st.integers(-120, 600) | st.floats(-120, 600)
    odd = st.sampled_from([True, "4102444800", 1e308, -1, 0, 2**53, 2**53 + 1, 10**400, -0.0])
    return seconds.map(lambda each: time.time() + each) | seconds.map(lambda each: int(time.time() + each)) | odd


@functools.cache
def _claims() -> st.SearchStrategy[str]:
    far = 4_102_444_800
    good = {"iss": ISSUER, "aud": AUDIENCE, "sub": f"{MARK}-sub", "exp": far, "rooms": [f"{MARK}-room"]}
    hostile = _texts_of(
        {
            "iss": _mostly(ISSUER),
            "aud": _mostly(AUDIENCE) | st.lists(_mostly(AUDIENCE), max_size=3),
            "sub": _mostly(f"{MARK}-sub") | st.text(max_size=140),
            "exp": _dates() | st.just(far),
            "nbf": _dates(),
            "iat": _dates(),
            "rooms": json_values() | st.lists(st.text(min_size=200), max_size=40),
            MARK: json_values(),
        }
    )
    almost = st.tuples(st.sampled_from(sorted(good)), json_values()).map(
        lambda pair: json.dumps({**good, pair[0]: pair[1]})
    )
    return st.just(json.dumps(good)) | almost | hostile


@functools.cache
@st.composite
def _tokens(draw: st.DrawFn) -> tuple[str, bool]:
    """A text in the place of a token, and whether its signature is right."""
    header, payload = (text.encode("utf-8", "surrogatepass") for text in (draw(_headers()), draw(_claims())))
    whole = signed(header, payload)
    forged = encoded(draw(st.binary(max_size=300)))
    unsigned = f"{whole.rpartition('.')[0]}.{forged}"
    return draw(
        st.sampled_from([(whole, True)] * 3 + [(unsigned, False), (whole[:-1], False), (f"{whole}=", False)])
        | st.text(max_size=100).map(lambda text: (text, False))
    )


@functools.cache
@st.composite
def handshakes(draw: st.DrawFn) -> Handshake:
    """Events with tokens in any places, good and hostile."""
    tokens = draw(st.lists(_tokens(), min_size=1, max_size=2) | _tokens().map(lambda token: [token]))
    headers: dict[str, list[str]] = {}
    query: dict[str, list[str]] = {"room": ["lobby"]}
    for text, _ in tokens:
        place = draw(st.sampled_from(["header", "header", "subprotocol", "query"]))
        if place == "header":
            scheme = draw(st.sampled_from(["Bearer ", "bearer ", "BEARER ", "Basic ", "", "Bearer  "]))
            headers.setdefault(draw(st.sampled_from(["Authorization", "authorization", "AUTHORIZATION"])), []).append(
                f"{scheme}{text}"
            )
        elif place == "subprotocol":
            offers = draw(st.sampled_from(["roomcast.text, ", ""]))
            headers.setdefault(draw(st.sampled_from(["Sec-WebSocket-Protocol", "sec-websocket-protocol"])), []).append(
                f"{offers}roomcast.bearer.{text}"
            )
        else:
            query.setdefault("token", []).append(text)
    made: dict[str, Any] = event(headers=headers, query=query)
    if draw(st.integers(0, 9)) == 0:
        made[draw(st.sampled_from(sorted(made)))] = draw(json_values() | st.just(f"{METHOD_ARN}*"))
    parts = [part for text, _ in tokens for part in text.split(".") if len(part) > 10]
    secrets = [MARK, *(part for part in parts if not any(part in word for word in LOGGED))]
    return Handshake(made, any(is_signed for _, is_signed in tokens), secrets)
