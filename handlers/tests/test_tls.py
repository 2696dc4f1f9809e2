"""Every connection that a function opens is TLS 1.2 or later, to a server with a verified name and certificate."""

from __future__ import annotations

import ast
import ssl
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from roomcast import addresses, authorities
from roomcast.addresses import TransportError, tls_context
from roomcast.aws_http import Client
from roomcast.fanout import Engine, Recipient
from tests.hostile_server import PATIENCE_SECONDS, HostileServer, say, trusted_tls

if TYPE_CHECKING:
    from collections.abc import Callable

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


@pytest.mark.parametrize("use", [call, post])
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

    with HostileServer(lambda _: say(), tls) as server:
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
