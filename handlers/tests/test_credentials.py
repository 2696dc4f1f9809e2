"""Credentials of functions that begin from a snapshot: an endpoint gives them, and they expire."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from roomcast import aws_json, credentials, fanout
from roomcast.addresses import TransportError
from roomcast.signing import Credentials
from tests.fakes import CONNECTED_AT, PLANTED
from tests.hostile_server import CLOSE, PATIENCE_SECONDS, HostileServer, Reply, Request, say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TOKEN = "token-of-the-endpoint"
HOUR = 3_600


class Issuer:
    """The endpoint: each answer has other credentials, which are good for as long as ``seconds`` says.

    Attributes:
        asked: Requests so far.
        now: The wall clock.
        reply: Takes the place of the answer.
    """

    def __init__(self) -> None:
        self.asked: list[Request] = []
        self.now = time.time()
        self.seconds: float = 6 * HOUR
        self.reply: Callable[[], Reply | None] = lambda: None

    def script(self, request: Request) -> Reply:
        """As of ``HostileServer``."""
        self.asked.append(request)
        return self.reply() or say(body=json.dumps(self.fields()).encode())

    def fields(self) -> dict[str, Any]:
        """What it answers."""
        end = datetime.fromtimestamp(self.now + self.seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        number = len(self.asked)
        return {"AccessKeyId": f"id-{number}", "SecretAccessKey": PLANTED, "Token": f"t-{number}", "Expiration": end}


@pytest.fixture
def issuer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Issuer]:
    """A function that begins from a snapshot, and its endpoint."""
    issuer = Issuer()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(credentials, "_container", credentials.Container())
    monkeypatch.setattr(time, "time", lambda: issuer.now)
    with HostileServer(issuer.script) as server:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", server.url.removesuffix("/live") + "/v1/credentials")
        monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", TOKEN)
        yield issuer


def current(seconds: float = PATIENCE_SECONDS) -> Credentials:
    """Those of this moment."""
    return credentials.current(time.monotonic() + seconds)


def test_the_endpoint_is_asked_once_with_its_token(issuer: Issuer) -> None:
    assert current() == current() == Credentials("id-1", PLANTED, "t-1")
    [request] = issuer.asked
    assert (request.target, request.headers["authorization"]) == ("/v1/credentials", TOKEN)


def test_calls_and_posts_are_signed_with_them(issuer: Issuer) -> None:
    requests: list[Request] = []

    def take(request: Request) -> Reply:
        requests.append(request)
        return say(body=b"{}")

    deadline = time.monotonic() + PATIENCE_SECONDS
    with HostileServer(take) as server:
        service = aws_json.Service(server.url, "dynamodb", "DynamoDB_20120810", "eu-west-1")
        service.call("GetItem", {}, deadline)
        service.close()
        engine = fanout.Engine(server.url, "eu-west-1")
        engine.deliver([fanout.Recipient("alice=", CONNECTED_AT)], b"hello", deadline=deadline)
        engine.close()

    assert len(requests) == 2
    for request in requests:
        assert request.headers["x-amz-security-token"] == "t-1"
        assert "Credential=id-1/" in request.headers["authorization"]
    assert len(issuer.asked) == 1


def test_those_in_the_environment_come_first(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    assert current() == Credentials("id", "secret", None)
    assert issuer.asked == []


def test_without_any_it_is_said_which_variable_is_missing(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_CONTAINER_CREDENTIALS_FULL_URI")
    with pytest.raises(KeyError, match="AWS_ACCESS_KEY_ID"):
        current()
    assert issuer.asked == []


class TestExpiry:
    """They are read again while they are still good."""

    def test_well_before_the_end(self, issuer: Issuer) -> None:
        assert current().access_key_id == "id-1"
        issuer.now += 5.5 * HOUR
        assert current().access_key_id == "id-1"
        issuer.now += 0.4 * HOUR
        assert current().access_key_id == current().access_key_id == "id-2"

    def test_while_the_endpoint_fails_those_that_are_good_are_used_on(
        self, issuer: Issuer, capsys: pytest.CaptureFixture[str]
    ) -> None:
        current()
        issuer.now += 5.9 * HOUR
        issuer.reply = lambda: say(500)
        for _ in range(5):
            assert current().access_key_id == "id-1"
        # A call to AWS waits for the endpoint now and then, and not each time.
        assert len(issuer.asked) == 1 + credentials.TRIES
        [line] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert (line["level"], line["message"]) == ("WARNING", "credentials are not renewed")
        issuer.now += 60
        issuer.reply = lambda: None
        assert current().access_key_id != "id-1"

    def test_those_that_have_expired_are_not(self, issuer: Issuer) -> None:
        current()
        issuer.now += 6 * HOUR
        issuer.reply = lambda: say(500)
        with pytest.raises(TransportError, match="no credentials: the endpoint answered with status 500"):
            current()

    def test_nor_those_that_come_too_late(self, issuer: Issuer) -> None:
        issuer.seconds = -5
        with pytest.raises(TransportError, match="have expired"):
            current()

    def test_those_that_are_good_for_a_moment_are_not_read_for_each_call(self, issuer: Issuer) -> None:
        issuer.seconds = 60
        for _ in range(5):
            assert current().access_key_id == "id-1"
        issuer.now += 59
        assert current().access_key_id == "id-2"


class TestFaults:
    """An error is one of the transport: calls are tried again, and their log line tells why."""

    @pytest.mark.parametrize("first", [CLOSE, say(500)], ids=["closed", "500"])
    def test_a_fault_is_tried_again_once(self, issuer: Issuer, first: Reply) -> None:
        issuer.reply = lambda: first if len(issuer.asked) == 1 else None
        assert current().access_key_id == "id-2"

    def test_an_endpoint_that_does_not_answer_takes_seconds_only(self, issuer: Issuer) -> None:
        issuer.reply = lambda: Reply(delay=3 * credentials.TRY_SECONDS, close=True)
        began = time.monotonic()
        with pytest.raises(TransportError, match=r"^no credentials: no answer from .*timed out$") as found:
            current()
        assert time.monotonic() - began < credentials.TRIES * credentials.TRY_SECONDS + PATIENCE_SECONDS / 4
        assert not found.value.sent

    def test_nor_more_than_the_caller_has(self, issuer: Issuer) -> None:
        issuer.reply = lambda: Reply(delay=1.0, close=True)
        began = time.monotonic()
        with pytest.raises(TransportError):
            current(0.1)
        assert time.monotonic() - began < 1.0

    @pytest.mark.parametrize(
        "change",
        [
            {"AccessKeyId": ""},
            {"SecretAccessKey": None},
            {"SecretAccessKey": f"{PLANTED}\r\nx: y"},
            {"Token": 7},
            {"Expiration": f"{PLANTED}"},
            {"Expiration": None},
        ],
    )
    def test_an_answer_without_credentials_is_refused_and_told_without_its_text(
        self,
        issuer: Issuer,
        change: dict[str, Any],
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(aws_json, "MAXIMUM_ATTEMPTS", 1)
        issuer.reply = lambda: say(body=json.dumps({**issuer.fields(), **change}).encode())
        service = aws_json.Service("http://127.0.0.1:9", "dynamodb", "DynamoDB_20120810", "eu-west-1")
        with pytest.raises(aws_json.ServiceError) as found:
            service.call("GetItem", {}, time.monotonic() + PATIENCE_SECONDS)
        error = found.value
        assert str(error) == "GetItem failed: no credentials: the endpoint's answer holds none"
        assert (error.transient, error.in_doubt) == (True, False)
        aws_json.tell("ERROR", "the table failed", error)
        assert PLANTED not in capsys.readouterr().out

    @pytest.mark.parametrize("body", [b"", b"[]", b"no JSON", b"7", b"[" * 100_000])
    def test_nor_is_what_is_no_object(self, issuer: Issuer, body: bytes) -> None:
        issuer.reply = lambda: say(body=body)
        with pytest.raises(TransportError, match="holds none"):
            current()


class TestAddress:
    """Nobody but this machine, and the endpoints of ECS and EKS, is told the token without TLS."""

    @pytest.mark.parametrize(
        "host", ["127.0.0.1:1", "localhost:1", "LOCALHOST:1", "[::1]:1", "169.254.170.2", "169.254.170.23"]
    )
    def test_hosts_that_are_asked(self, issuer: Issuer, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
        del issuer
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"http://{host}/v1")
        with pytest.raises(TransportError, match="no credentials"):
            current(0.01)

    @pytest.mark.parametrize(
        "address",
        ["http://169.254.169.254/v1", "http://example.com/v1", "http://127.0.0.1.example.com/", "http://10.0.0.1/"],
    )
    def test_others_are_not(self, issuer: Issuer, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
        del issuer
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", address)
        with pytest.raises(ValueError, match="may not be asked over http"):
            current()

    @pytest.mark.parametrize("address", ["127.0.0.1:9001/v1", "ftp://127.0.0.1/", f"http://a:{PLANTED}@127.0.0.1/"])
    def test_what_is_no_address(self, issuer: Issuer, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
        del issuer
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", address)
        with pytest.raises(ValueError, match=r"^AWS_CONTAINER_CREDENTIALS_FULL_URI is not a URL") as found:
            current()
        assert PLANTED not in str(found.value)

    def test_a_token_that_would_end_its_header(self, issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", f"{PLANTED}\r\nx: y")
        with pytest.raises(ValueError, match="AWS_CONTAINER_AUTHORIZATION_TOKEN holds characters") as found:
            current()
        assert PLANTED not in str(found.value)
        assert issuer.asked == []
