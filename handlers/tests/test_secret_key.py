"""The shared secret from Secrets Manager."""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import serialization
from roomcast import kept
from roomcast.kept import UnavailableError
from roomcast.secret_key import SecretKey
from tests.fakes import PLANTED
from tests.hostile_server import PATIENCE_SECONDS, HostileServer, Reply, Request, say
from tests.issuers import rsa_key

if TYPE_CHECKING:
    from collections.abc import Callable

ARN = "arn:aws:secretsmanager:eu-central-1:444455556666:secret:jwt-AbCdEf"
OLD, NEW = "0123456789abcdef" * 2, "fedcba9876543210" * 2
MISSING = {"__type": "com.amazonaws.secretsmanager#ResourceNotFoundException", "Message": f"no {PLANTED}"}


def stages(current: dict[str, Any], previous: dict[str, Any] | None = None) -> Callable[[Request], Reply]:
    """A secret with these versions."""
    versions = {"AWSCURRENT": current, "AWSPREVIOUS": previous or MISSING}

    def serve(request: Request) -> Reply:
        version = versions[json.loads(request.body)["VersionStage"]]
        return say(400 if "__type" in version else 200, json.dumps(version).encode())

    return serve


@pytest.fixture(autouse=True)
def few_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roomcast.aws_json.MAXIMUM_ATTEMPTS", 2)


def secret_at(server: HostileServer, monkeypatch: pytest.MonkeyPatch, stale_seconds: float = 3600) -> SecretKey:
    url = server.url.replace("localhost", "127.0.0.1").removesuffix("/live")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", url)
    return SecretKey(ARN, "amazonaws.com", stale_seconds)


def find(secret: SecretKey) -> list[object]:
    return [key.key for key in secret.find("any", time.monotonic() + PATIENCE_SECONDS)]


def test_both_versions_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    binary = {"SecretBinary": base64.b64encode(bytes(range(200, 250))).decode()}
    with HostileServer(stages({"SecretString": NEW}, binary)) as server:
        secret = secret_at(server, monkeypatch)
        assert [find(secret) for _ in range(3)] == [[NEW.encode(), bytes(range(200, 250))]] * 3

    assert [json.loads(request.body) for request in server.requests] == [
        {"SecretId": ARN, "VersionStage": "AWSCURRENT"},
        {"SecretId": ARN, "VersionStage": "AWSPREVIOUS"},
    ]
    headers = server.requests[0].headers
    assert headers["x-amz-target"] == "secretsmanager.GetSecretValue"
    assert headers["content-type"] == "application/x-amz-json-1.1"
    assert "/eu-central-1/secretsmanager/aws4_request" in headers["authorization"]
    assert server.connections == 1


def test_a_secret_may_have_one_version(monkeypatch: pytest.MonkeyPatch) -> None:
    with HostileServer(stages({"SecretString": "Schlüssel" * 8})) as server:
        assert find(secret_at(server, monkeypatch)) == [("Schlüssel" * 8).encode()]


PEM = "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA\n-----END PUBLIC KEY-----\n"


@pytest.mark.parametrize(
    ("version", "rule"),
    [
        ({"SecretString": OLD[:31]}, "32 bytes"),
        ({"SecretString": ""}, "32 bytes"),
        ({}, "32 bytes"),
        ({"SecretBinary": base64.b64encode(b"x" * 31).decode()}, "32 bytes"),
        ({"SecretString": json.dumps({"key": OLD})}, "JSON object"),
        ({"SecretString": f"  {json.dumps({'key': OLD}, indent=2)}\n"}, "JSON object"),
        ({"SecretBinary": base64.b64encode(json.dumps({"key": OLD}).encode()).decode()}, "JSON object"),
        ({"SecretBinary": "no Base64!" * 10}, "neither"),
        ({"SecretString": "\ud800" * 40}, "neither"),
        ({"SecretString": PEM}, "public key"),
        ({"SecretString": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPlanted"}, "public key"),
        (MISSING, "no value"),
    ],
)
def test_a_secret_that_breaks_a_rule_is_no_secret(
    version: dict[str, Any], rule: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with HostileServer(stages(version)) as server, pytest.raises(UnavailableError, match=rule):
        find(secret_at(server, monkeypatch))
    output = capsys.readouterr().out
    assert OLD[:31] not in output
    assert "Planted" not in output
    assert PLANTED not in output


@pytest.mark.parametrize("version", [{"SecretString": "short"}, {"SecretString": json.dumps({"key": OLD})}])
def test_a_last_version_that_broke_a_rule_is_ignored(
    version: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with HostileServer(stages({"SecretString": NEW}, version)) as server:
        assert find(secret_at(server, monkeypatch)) == [NEW.encode()]
    line = json.loads(capsys.readouterr().out)
    assert (line["level"], line["message"], bool(line["error"])) == ("WARNING", "previous_secret_ignored", True)


@pytest.mark.parametrize(
    "reply",
    [
        say(400, b'{"__type":"AccessDeniedException","Message":"User is not authorized"}'),
        say(500, b"{}"),
        say(200, b"<html>"),
        say(200, b"[]"),
        Reply(close=True),
    ],
)
def test_a_service_that_fails_gives_no_secret(reply: Reply, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "RETRY_WITHOUT_SECONDS", 3600)
    with HostileServer(lambda _: reply) as server:
        secret = secret_at(server, monkeypatch)
        for _ in range(3):
            with pytest.raises(UnavailableError, match="GetSecretValue failed"):
                find(secret)
    assert len(server.requests) <= 2


def test_a_known_secret_is_used_while_the_service_fails_and_rotated_when_it_works(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    moved = [0.0]
    clock = time.time
    monkeypatch.setattr("time.time", lambda: clock() + moved[0])
    with HostileServer(stages({"SecretString": OLD})) as server:
        secret = secret_at(server, monkeypatch)
        assert find(secret) == [OLD.encode()]
        server.script = lambda _: say(500, b"{}")
        moved[0] = 600
        assert find(secret) == [OLD.encode()]
        server.script = stages({"SecretString": NEW}, {"SecretString": OLD})
        moved[0] = 660
        assert find(secret) == [NEW.encode(), OLD.encode()]


def denied_of(stage: str, serve: Callable[[Request], Reply]) -> Callable[[Request], Reply]:
    """A service that fails for one version: its key was disabled, for example."""
    denied = {"__type": "DecryptionFailure", "Message": f"{PLANTED} is disabled"}

    def answer(request: Request) -> Reply:
        if json.loads(request.body)["VersionStage"] == stage:
            return say(400, json.dumps(denied).encode())
        return serve(request)

    return answer


def test_a_last_version_that_cannot_be_read_takes_nothing_from_the_current_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = [0.0]
    clock = time.time
    monkeypatch.setattr("time.time", lambda: clock() + moved[0])
    works = stages({"SecretString": NEW}, {"SecretString": OLD})
    with HostileServer(denied_of("AWSPREVIOUS", works)) as server:
        secret = secret_at(server, monkeypatch)
        assert [find(secret) for _ in range(5)] == [[NEW.encode()]] * 5
        assert len(server.requests) == 2
        line = json.loads(capsys.readouterr().out)
        assert (line["level"], line["message"]) == ("WARNING", "keys_not_read")
        server.script = works
        moved[0] = 59
        assert find(secret) == [NEW.encode()]
        moved[0] = 60
        assert find(secret) == [NEW.encode(), OLD.encode()]


def test_a_new_secret_counts_while_the_last_version_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    moved = [0.0]
    clock = time.time
    monkeypatch.setattr("time.time", lambda: clock() + moved[0])
    oldest = "0011223344556677" * 2
    with HostileServer(stages({"SecretString": OLD}, {"SecretString": oldest})) as server:
        secret = secret_at(server, monkeypatch)
        assert find(secret) == [OLD.encode(), oldest.encode()]
        server.script = denied_of("AWSPREVIOUS", stages({"SecretString": NEW}, {"SecretString": OLD}))
        moved[0] = 600
        assert find(secret) == [NEW.encode(), oldest.encode()]
        # The stale time holds for it as well.
        moved[0] = 3600
        assert find(secret) == [NEW.encode()]


def test_a_last_version_alone_is_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    works = stages({"SecretString": NEW}, {"SecretString": OLD})
    with HostileServer(denied_of("AWSCURRENT", works)) as server, pytest.raises(UnavailableError):
        find(secret_at(server, monkeypatch))


def test_a_service_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roomcast.secret_key.READ_SECONDS", 0.3)
    with HostileServer(lambda _: Reply()) as server, pytest.raises(UnavailableError, match="GetSecretValue failed"):
        find(secret_at(server, monkeypatch))


@pytest.mark.parametrize(
    ("arn", "dns_suffix", "host"),
    [
        (ARN, "amazonaws.com", "secretsmanager.eu-central-1.amazonaws.com"),
        (
            "arn:aws-cn:secretsmanager:cn-north-1:444455556666:secret:a/b-AbCdEf",
            "amazonaws.com.cn",
            "secretsmanager.cn-north-1.amazonaws.com.cn",
        ),
    ],
)
def test_the_secret_lies_where_its_arn_says(
    arn: str, dns_suffix: str, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", raising=False)
    client = SecretKey(arn, dns_suffix, 0)._service._client

    assert client._endpoint.host == host
    assert client._signer.region == arn.split(":")[3]


@pytest.mark.parametrize("arn", ["", "jwt", "arn:aws:s3:::bucket", ARN.replace("444455556666", ""), f"{ARN} "])
def test_other_arns_are_refused(arn: str) -> None:
    with pytest.raises(ValueError, match="ROOMCAST_JWT_SECRET_ARN"):
        SecretKey(arn, "amazonaws.com", 0)


def test_a_private_key_is_no_secret_either(monkeypatch: pytest.MonkeyPatch) -> None:
    pem = rsa_key().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with HostileServer(stages({"SecretString": pem.decode()})) as server, pytest.raises(UnavailableError):
        find(secret_at(server, monkeypatch))
