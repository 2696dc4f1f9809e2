"""Every connection that a function opens is TLS 1.2 or later, to a server with a verified name and certificate."""

from __future__ import annotations

import ast
import ssl
import time
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trustme
from roomcast import addresses, authorities
from roomcast.addresses import TransportError, tls_context
from roomcast.aws_http import Client
from roomcast.fanout import Engine, Recipient
from roomcast.kept import UnavailableError
from roomcast.signing_keys import SigningKeys
from tests.hostile_server import PATIENCE_SECONDS, HostileServer, authority, say, server_tls, trusted_tls
from tests.issuers import key_set, rsa_entry

if TYPE_CHECKING:
    from collections.abc import Callable

GOOD_KEYS = key_set(rsa_entry())
"""A key set, and to other callers an answer like any."""
HANDLERS = Path(__file__).resolve().parent.parent
SOURCES = [*HANDLERS.glob("*.py"), *(HANDLERS / "roomcast").glob("*.py")]
OPENERS = {"asyncio", "ftplib", "http", "imaplib", "poplib", "smtplib", "socketserver", "urllib.request", "xmlrpc"}
"""Modules of the standard library that open connections under TLS settings of their own."""
SETTINGS = {
    "CERT_NONE",
    "_create_unverified_context",
    "check_hostname",
    "create_default_context",
    "get_server_certificate",
    "maximum_version",
    "minimum_version",
    "set_ciphers",
    "verify_mode",
    "wrap_bio",
    "wrap_socket",
}
"""Names in ``ssl`` that make connections, or decide which servers and versions they accept."""
HERE = {"create_default_context", "minimum_version", "wrap_socket"}
"""Those that ``addresses`` uses, the only module that makes TLS settings."""


def call(server: HostileServer) -> str:
    """Call an AWS service; return why there was no answer, or nothing."""
    client = Client(server.url, "dynamodb", "eu-west-1")
    try:
        client.request("POST", "/", {}, b"", deadline=time.monotonic() + PATIENCE_SECONDS)
    except TransportError as error:
        return str(error)
    finally:
        client.close()
    return ""


def post(server: HostileServer) -> str:
    """Post a message to one member; return why it did not arrive, or nothing."""
    engine = Engine(server.url, "eu-west-1")
    try:
        report = engine.deliver([Recipient("one", 0, 0)], b"x", deadline=time.monotonic() + PATIENCE_SECONDS / 10)
    finally:
        engine.close()
    return report.transport_error


def fetch(server: HostileServer) -> str:
    """Read the authorizer's signing keys; return why there were none, or nothing."""
    keys = SigningKeys(server.url.replace("localhost", "127.0.0.1") + "/keys", 0, is_loopback_allowed=True)
    try:
        keys.find("rsa", time.monotonic() + PATIENCE_SECONDS)
    except UnavailableError as error:
        return str(error)
    return ""


def of_another_authority() -> ssl.SSLContext:
    return server_tls(trustme.CA())


def for_another_name() -> ssl.SSLContext:
    return server_tls(authority(), "another.example")


def expired() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    now = datetime.now(UTC)
    names = ("localhost", "127.0.0.1", "::1")
    found = authority().issue_cert(*names, not_before=now - timedelta(days=2), not_after=now - timedelta(days=1))
    found.configure_cert(context)
    return context


@pytest.mark.parametrize("use", [call, post, fetch])
@pytest.mark.parametrize("certificate", [of_another_authority, for_another_name, expired])
def test_a_server_that_cannot_prove_its_name_gets_no_request(
    use: Callable[[HostileServer], str],
    certificate: Callable[[], ssl.SSLContext],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trusted_tls(tmp_path, monkeypatch)
    with HostileServer(lambda _: say(200, GOOD_KEYS), certificate()) as server:
        assert use(server)
        assert server.requests == []


@pytest.mark.parametrize("use", [call, post, fetch])
@pytest.mark.parametrize(
    ("newest", "is_taken"), [("TLSv1_1", False), ("TLSv1_2", True), ("TLSv1_3", True)], ids=["1.1", "1.2", "1.3"]
)
def test_a_server_without_tls_1_2_is_refused(
    use: Callable[[HostileServer], str],
    newest: str,
    is_taken: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tls = trusted_tls(tmp_path, monkeypatch)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of versions before 1.2
        tls.minimum_version = ssl.TLSVersion.TLSv1
        tls.maximum_version = ssl.TLSVersion[newest]
        tls.set_ciphers("DEFAULT:@SECLEVEL=0")

    with HostileServer(lambda _: say(200, GOOD_KEYS), tls) as server:
        refused = use(server)

    assert len(server.requests) == is_taken
    assert bool(refused) == (not is_taken), refused


@pytest.mark.parametrize("is_wide", [False, True])
@pytest.mark.parametrize("variable", [None, "AWS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_no_setting_of_the_process_lowers_the_limits(
    variable: str | None,
    is_wide: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trusted_tls(tmp_path, monkeypatch)
    monkeypatch.delenv("AWS_CA_BUNDLE")
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    if variable:
        monkeypatch.setenv(variable, str(tmp_path / "authority.pem"))

    def lax(*, cafile: str | None, cadata: str | None) -> ssl.SSLContext:
        """Stand for a Python whose default is an older version."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = ssl.TLSVersion.TLSv1
        context.load_verify_locations(cafile=cafile, cadata=cadata or (None if cafile else authorities.AMAZON))
        return context

    monkeypatch.setattr(ssl, "create_default_context", lax)
    addresses._tls_context.cache_clear()
    context = tls_context(is_wide=is_wide)
    addresses._tls_context.cache_clear()

    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname


def names(file: Path) -> set[str]:
    """Return every attribute and name that a source uses, and every module that it imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names} | {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {alias.name for alias in node.names}
            found |= {node.module or "", (node.module or "").partition(".")[0]}
    return found


@pytest.mark.parametrize("file", SOURCES, ids=[file.name for file in SOURCES])
def test_no_other_module_opens_connections_or_makes_settings(file: Path) -> None:
    used = names(file)

    assert used & OPENERS == set()
    assert used & SETTINGS <= (HERE if file.stem == "addresses" else set())
    assert "SSLContext(" not in file.read_text(encoding="utf-8")
