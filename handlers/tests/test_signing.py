"""Signatures against botocore's, which AWS accepts."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from unittest import mock

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from hypothesis import given
from hypothesis import strategies as st
from roomcast.signing import Credentials, SignedRequests, Signer, quote

if TYPE_CHECKING:
    from collections.abc import Iterator

CREDENTIALS = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "AQoDYXdzEPT//////////wEXAMPLE==")
NOW = 1_731_333_546  # 2024-11-11T13:59:06Z

# A path of dots alone is no id, and botocore resolves it as a relative path.
ids = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40).filter(lambda text: text.strip("."))
tokens = st.none() | st.text("ABCabc019/+=", min_size=1, max_size=60)
header_values = st.text("abc XYZ019_.:;=", min_size=1, max_size=30).filter(lambda text: text == text.strip())


def sign(requests: SignedRequests, connection_id: str, now: int = NOW) -> tuple[str, dict[str, str]]:
    """Request line and headers as signed at a moment of Unix time."""
    with mock.patch("time.time", return_value=now + 0.5):
        head, _, _ = requests.request(connection_id).partition(b"\r\n\r\n")
    start_line, *lines = head.decode().split("\r\n")
    return start_line, dict(line.split(": ", 1) for line in lines)


def botocore_authorization(  # noqa: PLR0917 - a request has that many parts
    credentials: Credentials, url: str, headers: dict[str, str], body: bytes, service: str, region: str, now: int = NOW
) -> str:
    """The Authorization header that botocore makes."""
    request = AWSRequest("POST", url, data=body, headers=headers)
    signer = botocore.auth.SigV4Auth(BotocoreCredentials(*credentials), service, region)
    with mock.patch("botocore.auth.get_current_datetime", return_value=datetime.fromtimestamp(now, UTC)):
        signer.add_auth(request)
    authorization: str = request.headers["Authorization"]
    return authorization


@given(
    connection_id=ids,
    body=st.binary(max_size=100),
    token=tokens,
    host=st.sampled_from(["a1b2.execute-api.eu-west-1.amazonaws.com", "localhost:4566", "[::1]:8443", "chat.example"]),
    stage=st.sampled_from(["/live", "", "/a/b-c_d.~", "/_aws/execute-api/a1b2/live"]),
)
def test_a_post_is_signed_as_botocore_signs_it(
    connection_id: str, body: bytes, token: str | None, host: str, stage: str
) -> None:
    credentials = CREDENTIALS._replace(session_token=token)
    signer = Signer("execute-api", "eu-west-1")
    requests = SignedRequests(signer, credentials, "POST", host, f"{stage}/@connections/", {}, body)

    start_line, headers = sign(requests, connection_id)

    target = f"{stage}/@connections/{quote(connection_id).decode()}"
    assert start_line == f"POST {target} HTTP/1.1"
    assert headers["Host"] == host
    assert headers["Content-Length"] == str(len(body))
    assert headers.get("X-Amz-Security-Token") == token
    assert headers["Authorization"] == botocore_authorization(
        credentials, f"https://{host}{target}", {}, body, "execute-api", "eu-west-1"
    )


@given(target=header_values, content_type=header_values, region=st.sampled_from(["us-gov-west-1", "cn-north-1"]))
def test_further_headers_are_signed_as_botocore_signs_them(target: str, content_type: str, region: str) -> None:
    extra = {"x-amz-target": target, "content-type": content_type}
    host = "dynamodb.example"
    requests = SignedRequests(Signer("dynamodb", region), CREDENTIALS, "POST", host, "/", extra, b"{}")

    _, headers = sign(requests, "")

    assert headers["Authorization"] == botocore_authorization(
        CREDENTIALS, f"https://{host}/", extra, b"{}", "dynamodb", region
    )
    assert {name: headers[name] for name in extra} == extra


def test_an_id_of_api_gateway_is_quoted_on_the_wire() -> None:
    requests = SignedRequests(
        Signer("execute-api", "eu-west-1"), CREDENTIALS, "POST", "example", "/prod/@connections/", {}, b""
    )
    start_line, _ = sign(requests, "BFHPhfCWIAMCKlQ=")
    assert start_line == "POST /prod/@connections/BFHPhfCWIAMCKlQ%3D HTTP/1.1"


def test_a_slash_or_a_line_break_in_an_id_cannot_leave_its_path_segment() -> None:
    assert quote("a/b\r\nHost: evil") == b"a%2Fb%0D%0AHost%3A%20evil"


def test_the_signature_follows_the_clock_and_the_credentials() -> None:
    signer = Signer("execute-api", "eu-west-1")
    renewed = CREDENTIALS._replace(secret_access_key="another")
    made = [(CREDENTIALS, NOW), (CREDENTIALS, NOW + 1), (CREDENTIALS, NOW + 86_400), (renewed, NOW + 86_400)]
    for credentials, now in made:
        requests = SignedRequests(signer, credentials, "POST", "example", "/live/@connections/", {}, b"hello")
        expected = botocore_authorization(
            credentials, "https://example/live/@connections/a", {}, b"hello", "execute-api", "eu-west-1", now
        )
        assert sign(requests, "a", now)[1]["Authorization"] == expected


def test_one_set_of_requests_is_good_for_longer_than_a_second() -> None:
    requests = SignedRequests(Signer("execute-api", "eu-west-1"), CREDENTIALS, "POST", "example", "/", {}, b"")
    assert sign(requests, "a", NOW)[1]["X-Amz-Date"] == "20241111T135906Z"
    assert sign(requests, "a", NOW + 54)[1]["X-Amz-Date"] == "20241111T140000Z"


@pytest.fixture
def half_a_day_ahead(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A user may give a function an environment variable ``TZ``."""
    monkeypatch.setenv("TZ", "Roomcast-12")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("half_a_day_ahead")
def test_a_signature_carries_the_time_of_greenwich_in_every_time_zone() -> None:
    requests = SignedRequests(Signer("execute-api", "eu-west-1"), CREDENTIALS, "POST", "example", "/", {}, b"")

    _, headers = sign(requests, "a")

    assert headers["X-Amz-Date"] == "20241111T135906Z"
    assert headers["Authorization"] == botocore_authorization(
        CREDENTIALS, "https://example/a", {}, b"", "execute-api", "eu-west-1"
    )


def test_credentials_are_those_of_the_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "first")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    assert Credentials.from_environment() == ("first", "secret", None)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "second")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    assert Credentials.from_environment() == ("second", "secret", "token")
