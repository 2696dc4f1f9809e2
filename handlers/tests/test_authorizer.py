"""The authorizer's answers to API Gateway."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from roomcast import rights, signing_keys
from roomcast.kept import UnavailableError
from tests import corpus
from tests.fakes import FakeContext
from tests.fuzzing import Handshake, fuzz, handshakes, json_values
from tests.hostile_server import HostileServer, Reply, say
from tests.issuers import ENVIRONMENT, METHOD_ARN, bearer, claims, ec_entry, event, key_set, rsa_entry, signed, token

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import ModuleType

    from roomcast.signing_keys import Key

HANDLER = Path(__file__).parents[1] / "authorizer.py"


class KnownKeys:
    """The issuer's keys, or none."""

    def __init__(self) -> None:
        self.keys: dict[str, Key] | None = signing_keys.keys_of(key_set(rsa_entry(), ec_entry()))

    def find(self, key_id: str | None, _deadline: float) -> Sequence[Key]:
        if self.keys is None:
            raise UnavailableError("no answer")
        return [self.keys[key_id]] if key_id in self.keys else []


def start(**environment: str) -> ModuleType:
    """Start the function as Lambda does, in an environment."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**ENVIRONMENT, **environment}.items():
            patch.setenv(name, value)
        specification = importlib.util.spec_from_file_location("cold_authorizer", HANDLER)
        assert specification is not None
        assert specification.loader is not None
        module = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def keys() -> KnownKeys:
    """Keys without any endpoint."""
    return KnownKeys()


@pytest.fixture(scope="module")
def authorizer(keys: KnownKeys) -> ModuleType:
    """A function that is running, with these keys."""
    module = start()
    module.VERIFIER._keys = keys
    return module


@pytest.fixture
def without_keys(keys: KnownKeys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "keys", None)


def lines(capsys: pytest.CaptureFixture[str]) -> Iterator[dict[str, Any]]:
    return map(json.loads, capsys.readouterr().out.splitlines())


def test_a_good_token_opens_the_route_that_was_asked_for(
    authorizer: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    expires_at = int(time.time()) + 100

    assert authorizer.handler(bearer(token(exp=expires_at, rooms={"lobby*": ["join", "send"]})), FakeContext()) == {
        "principalId": "alice",
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [{"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": METHOD_ARN}],
        },
        "context": {"rooms": '{"lobby*":["join","send"]}', "exp": str(expires_at)},
    }
    (line,) = lines(capsys)
    assert {**line, "timestamp": 0} == {
        "level": "INFO",
        "message": "authorizer",
        "timestamp": 0,
        "outcome": "allowed",
        "error": None,
        "connection_id": "L0SM9cOFvHcCIhw=",
        "request_id": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
        "lambda_request_id": "invocation-1",
    }


@pytest.mark.parametrize(
    ("rooms", "expected"),
    [
        (None, "[]"),
        ([], "[]"),
        ({}, "{}"),
        ("lobby", '"lobby"'),
        (5, "5"),
        (True, "true"),
        (["ü", 5], '["\\u00fc",5]'),
        (["a" * 4092], json.dumps(["a" * 4092])),
    ],
)
def test_rooms_are_handed_on_in_their_own_form(authorizer: ModuleType, rooms: object, expected: str) -> None:
    answer = authorizer.handler(bearer(token(rooms=rooms)), FakeContext())

    assert answer["context"]["rooms"] == expected
    assert answer["policyDocument"]["Statement"][0]["Effect"] == "Allow"


@given(json_values())
def test_rooms_that_are_allowed_are_read_as_the_claim_is(authorizer: ModuleType, claim: object) -> None:
    answer = authorizer.handler(
        bearer(signed('{"alg":"RS256","kid":"rsa"}', json.dumps({**claims(), "rooms": claim}))), FakeContext()
    )
    if "context" not in answer:
        return
    text = answer["context"]["rooms"]
    try:
        expected = rights.of_claim(claim)
    except rights.MalformedRightsError:
        with pytest.raises(rights.MalformedRightsError):
            rights.read(text)
    else:
        assert rights.read(text) == expected


@pytest.mark.parametrize(
    "rooms",
    [["a" * 4093], ["a"] * 1100, {"ü" * 700: ["join"]}, ['"' * 2000], ["\\" * 2000]],
    ids=["one", "many", "not ASCII", "quotes", "backslashes"],
)
def test_too_much_is_denied(authorizer: ModuleType, rooms: object, capsys: pytest.CaptureFixture[str]) -> None:
    answer = authorizer.handler(bearer(token(rooms=rooms, sub="x" * 128)), FakeContext())

    assert answer == {
        "principalId": "x" * 128,
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [{"Action": "execute-api:Invoke", "Effect": "Deny", "Resource": METHOD_ARN}],
        },
    }
    warning, line = lines(capsys)
    assert (warning["level"], warning["message"]) == ("WARNING", "rooms_claim_too_large")
    assert (line["outcome"], line["error"]) == ("denied", "rooms")


@pytest.mark.parametrize(
    ("given_event", "reason"),
    [
        (event(), "no token"),
        (bearer("x"), "form"),
        (bearer(token(iss="other")), "issuer"),
        (bearer(signed('{"alg":"RS256","kid":"rsa"}', "[" * 3000)), "unreadable"),
        ({**bearer(token()), "methodArn": None}, "unreadable"),
        ({**bearer(token()), "methodArn": "arn:aws:execute-api:eu-west-1:111122223333:abcde12345/*"}, "unreadable"),
        ({}, "unreadable"),
        (None, "unreadable"),
        ([], "unreadable"),
        ("text", "unreadable"),
    ],
)
def test_no_good_token_is_unauthorized_and_nothing_else(
    authorizer: ModuleType, given_event: Any, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(authorizer.Unauthorized) as caught:
        authorizer.handler(given_event, FakeContext())

    assert str(caught.value) == "Unauthorized"
    assert caught.value.__cause__ is caught.value.__context__ is None
    (line,) = lines(capsys)
    assert (line["level"], line["outcome"], line["error"]) == ("INFO", "unauthorized", reason)


@pytest.mark.usefixtures("without_keys")
def test_without_keys_it_is_an_error_and_no_401(authorizer: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(authorizer.AuthUnavailableError) as caught:
        authorizer.handler(bearer(token()), FakeContext())

    assert str(caught.value) != "Unauthorized"
    assert caught.value.__cause__ is caught.value.__context__ is None
    (line,) = lines(capsys)
    assert (line["level"], line["message"], line["error"]) == ("ERROR", "auth_unavailable", "no answer")
    assert (line["auth_unavailable"], line["Backend"], line["connection_id"]) == (1, "roomcast", "L0SM9cOFvHcCIhw=")
    assert line["lambda_request_id"] == "invocation-1"
    assert line["_aws"]["CloudWatchMetrics"] == [
        {
            "Namespace": "Roomcast",
            "Dimensions": [["Backend"]],
            "Metrics": [{"Name": "auth_unavailable", "Unit": "Count"}],
        }
    ]


@pytest.mark.parametrize("fault", [TypeError("planted"), UnicodeError("planted"), RecursionError(), MemoryError()])
@pytest.mark.parametrize("place", ["read", "find"])
def test_an_unexpected_fault_of_reading_keys_is_an_error_and_no_401(
    place: str, fault: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = start()

    def fail(*_arguments: object) -> None:
        raise fault

    monkeypatch.setattr(signing_keys.SigningKeys, "find" if place == "find" else "_fetch", fail)
    with pytest.raises(module.AuthUnavailableError) as caught:
        module.handler(bearer(token()), FakeContext())

    assert caught.value.__cause__ is caught.value.__context__ is None
    written = list(lines(capsys))
    assert {line["level"] for line in written} == {"ERROR"}
    assert written[-1]["message"] == "auth_unavailable"
    assert {line["error"] for line in written} == {f"unexpected {type(fault).__name__}"}


def test_keys_may_be_read_for_seconds_and_the_answer_still_gets_out(
    authorizer: ModuleType, keys: KnownKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read may take 3 s, and the function is ended after 8 s, a cold start included."""
    given: list[float] = []
    find = keys.find

    def note(key_id: str | None, deadline: float) -> Sequence[Key]:
        given.append(deadline - time.monotonic())
        return find(key_id, deadline)

    monkeypatch.setattr(keys, "find", note)
    authorizer.handler(bearer(token()), FakeContext())
    assert 3 <= given[0] <= 6


@pytest.mark.usefixtures("without_keys")
def test_without_keys_a_handshake_without_a_token_is_still_unauthorized(authorizer: ModuleType) -> None:
    with pytest.raises(authorizer.Unauthorized):
        authorizer.handler(event(), FakeContext())


@pytest.mark.parametrize(
    "environment",
    [
        {"ROOMCAST_JWT_JWKS_URL": ""},
        {"ROOMCAST_JWT_SECRET_ARN": "arn:aws:secretsmanager:eu-west-1:111122223333:secret:jwt-AbCdEf"},
        {"ROOMCAST_JWT_ISSUER": "[]"},
        {"ROOMCAST_JWT_JWKS_URL": "http://127.0.0.1:8080/jwks"},
    ],
)
def test_a_wrong_configuration_ends_the_start(environment: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="ROOMCAST_JWT_"):
        start(**environment)


def test_the_configuration_reaches_its_parts() -> None:
    module = start(ROOMCAST_JWT_JWKS_URL="http://localhost:8080/k", ROOMCAST_JWT_LOOPBACK="true")
    assert module.KEYS._endpoint.host_header == "localhost:8080"
    assert module.KEYS._kept._usable_seconds == 3600

    arn = "arn:aws-cn:secretsmanager:cn-north-1:111122223333:secret:jwt-AbCdEf"
    module = start(
        ROOMCAST_JWT_JWKS_URL="",
        ROOMCAST_JWT_SECRET_ARN=arn,
        ROOMCAST_JWT_STALE_KEYS_MINUTES="1440",
        ROOMCAST_DNS_SUFFIX="amazonaws.com.cn",
    )
    assert module.KEYS._service._client._endpoint.host == "secretsmanager.cn-north-1.amazonaws.com.cn"
    assert module.KEYS._current._usable_seconds == module.KEYS._previous._usable_seconds == 86_400


def test_keys_come_from_a_real_endpoint_and_known_ones_are_used_when_it_hangs() -> None:
    replies = [Reply()]
    with HostileServer(lambda _: replies[0]) as server, pytest.MonkeyPatch.context() as patch:
        patch.setattr(signing_keys, "FETCH_SECONDS", 0.2)
        moved = [0.0]
        clock = time.time
        patch.setattr("time.time", lambda: clock() + moved[0])
        module = start(ROOMCAST_JWT_JWKS_URL=f"http://127.0.0.1:{server.port}/jwks", ROOMCAST_JWT_LOOPBACK="true")
        with pytest.raises(module.AuthUnavailableError):
            module.handler(bearer(token()), FakeContext())
        replies[0] = say(200, key_set(rsa_entry()))
        patch.setattr(signing_keys, "FETCH_SECONDS", 10)
        moved[0] = 5
        assert module.handler(bearer(token()), FakeContext())["principalId"] == "alice"
        patch.setattr(signing_keys, "FETCH_SECONDS", 0.2)
        replies[0] = Reply()
        moved[0] = 700
        assert module.handler(bearer(token(iat=0, exp=int(clock()) + 900)), FakeContext())["principalId"] == "alice"


@fuzz
@given(handshakes())
@corpus.known(corpus.HANDSHAKES)
def test_every_handshake_has_a_documented_answer(authorizer: ModuleType, handshake: Handshake) -> None:
    check(authorizer, handshake)


@fuzz
@given(json_values())
@corpus.known(corpus.OTHER_EVENTS)
def test_every_event_has_a_documented_answer(authorizer: ModuleType, anything: object) -> None:
    check(authorizer, Handshake(anything, is_signed=False))


def check(authorizer: ModuleType, handshake: Handshake) -> None:
    """A policy for the one route and a signed token, or one of the two errors; nothing of the token is logged."""
    answer, error = None, None
    with contextlib.redirect_stdout(io.StringIO()) as output:
        try:
            answer = authorizer.handler(handshake.event, FakeContext())
        except (authorizer.Unauthorized, authorizer.AuthUnavailableError) as raised:
            error = raised
    written = [*map(json.loads, output.getvalue().splitlines())]
    # A token may well be a field's name.
    printed = [str(value) for line in written for value in line.values()]
    assert [word for word in handshake.secrets if any(word in value for value in printed)] == []
    assert {line["message"] for line in written} <= {"authorizer", "rooms_claim_too_large"}
    if error is not None:
        assert (str(error), error.__context__) == ("Unauthorized", None)
        return
    assert handshake.is_signed
    assert answer is not None
    (statement,) = answer["policyDocument"]["Statement"]
    assert statement["Resource"] == handshake.event["methodArn"]
    assert "*" not in json.dumps(answer["policyDocument"])
    assert 1 <= len(answer["principalId"]) <= 128
    assert answer["principalId"].isprintable()
    assert len(json.dumps(answer)) < 8192
    if statement["Effect"] == "Allow":
        assert int(answer["context"]["exp"]) + 60 > time.time() - 1
        assert len(answer["context"]["rooms"].encode()) <= 4096
        assert all(isinstance(value, str) for value in answer["context"].values())
