"""Amazon's certificate authorities come first, and the system's where they do not know a certificate's issuer."""

from __future__ import annotations

import hashlib
import re
import ssl
import time
from typing import TYPE_CHECKING

import pytest
import trustme
from roomcast import addresses, authorities
from roomcast.addresses import TransportError, tls_context
from roomcast.aws_http import Client
from roomcast.fanout import Engine
from roomcast.signing_keys import SigningKeys
from tests.hostile_server import PATIENCE_SECONDS, HostileServer, authority, say, server_tls
from tests.issuers import key_set, rsa_entry
from tests.test_aws_http import call
from tests.test_fanout import counts, deliver, members

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FINGERPRINTS = {
    "8ecde6884f3d87b1125ba31ac3fcb13d7016de7f57cc904fe1cb97c6ae98196e",  # Amazon Root CA 1
    "1ba5b2aa8c65401a82960118f80bec4f62304d83cec4713a19c39c011ea46db4",  # Amazon Root CA 2
    "18ce6cfe7bf14e60b2e347b8dfe868cb31d02ebb3ada271569f50343b46db3a4",  # Amazon Root CA 3
    "e35d28419ed02025cfa69038cd623962458da5c695fbdea3c22b0bfb25897092",  # Amazon Root CA 4
    "568d6905a2c88708a4b3025190edcfedb1974a606a13c6e5290fcb2ae63edab5",  # Starfield Services Root CA - G2
}
"""SHA-256, as https://www.amazontrust.com/repository/ gives them."""


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bool]]:
    """For each reading of authorities, whether it was the system's, which the test's authority replaces."""
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    made: list[bool] = []
    original = ssl.create_default_context

    def create(*, cafile: str | None, cadata: str | None) -> ssl.SSLContext:
        made.append(cadata is None)
        if cadata is None and cafile is None:
            cadata = authority().cert_pem.bytes().decode()
        return original(cafile=cafile, cadata=cadata)

    monkeypatch.setattr(ssl, "create_default_context", create)
    addresses._tls_context.cache_clear()
    yield made
    addresses._tls_context.cache_clear()


def trust(monkeypatch: pytest.MonkeyPatch, ca: trustme.CA) -> None:
    """Let an authority stand for Amazon's."""
    monkeypatch.setattr(authorities, "AMAZON", ca.cert_pem.bytes().decode())


def test_they_are_amazons() -> None:
    certificates = re.findall("-----BEGIN.*?-----END CERTIFICATE-----", authorities.AMAZON, re.DOTALL)

    assert {hashlib.sha256(ssl.PEM_cert_to_DER_cert(each)).hexdigest() for each in certificates} == FINGERPRINTS
    assert len(certificates) == 5


def test_they_alone_are_read_when_they_know_the_issuer(reads: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
    trust(monkeypatch, authority())
    with HostileServer(lambda _: say(), server_tls(authority())) as server:
        client, engine = Client(server.url, "dynamodb", "eu-west-1"), Engine(server.url, "eu-west-1")
        assert call(client).status == 200
        assert counts(deliver(engine, members(3))) == (3, 0, 0)
        client.close()
        engine.close()
    assert reads == [False]


def test_a_call_falls_back_on_the_systems(reads: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
    trust(monkeypatch, trustme.CA())
    with HostileServer(lambda _: say(), server_tls(authority())) as server:
        client = Client(server.url, "dynamodb", "eu-west-1")
        for _ in range(3):
            assert call(client).status == 200
            client.close()
        assert len(server.requests) == 3
    assert reads == [False, True]


def test_a_fan_out_falls_back_on_the_systems(reads: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
    trust(monkeypatch, trustme.CA())
    with HostileServer(lambda _: say()._replace(delay=0.01), server_tls(authority())) as server:
        engine = Engine(server.url, "eu-west-1")
        report = deliver(engine, members(100))
        engine.close()
        assert len(server.requests) == 100
    assert counts(report) == (100, 0, 0)
    assert report.connections_opened > 1
    assert not report.transport_error
    assert reads == [False, True]


def test_an_identity_provider_has_a_certificate_of_the_systems_at_once(
    reads: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its host may have any authority, and a handshake waits for it: no connection is made that is bound to fail."""
    trust(monkeypatch, trustme.CA())
    with HostileServer(lambda _: say(200, key_set(rsa_entry())), server_tls(authority())) as server:
        keys = SigningKeys(f"{server.url}/keys", 0)
        assert reads == [True]  # when the function starts
        assert keys.find("rsa", time.monotonic() + PATIENCE_SECONDS)
    assert reads == [True]


@pytest.mark.parametrize("names", [(), ("another.example",)], ids=["another authority", "another host"])
def test_what_neither_verifies_is_refused(
    reads: list[bool], monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...]
) -> None:
    trust(monkeypatch, authority())
    with HostileServer(lambda _: say(), server_tls(authority() if names else trustme.CA(), *names)) as server:
        client, engine = Client(server.url, "dynamodb", "eu-west-1"), Engine(server.url, "eu-west-1")
        with pytest.raises(TransportError, match="certificate verify failed"):
            call(client)
        report = deliver(engine, members(3))
        assert not server.requests
    assert counts(report) == (0, 0, 3)
    assert "certificate verify failed" in report.transport_error
    # The system's authorities cannot make up for another name.
    assert reads == ([False] if names else [False, True])


@pytest.mark.parametrize("variable", ["AWS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_named_authorities_are_the_only_ones(
    reads: list[bool], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str
) -> None:
    trust(monkeypatch, trustme.CA())
    bundle = tmp_path / "authority.pem"
    authority().cert_pem.write_to_path(str(bundle))
    monkeypatch.setenv(variable, str(bundle))

    assert tls_context() is tls_context(is_wide=True)
    assert reads == [True]
