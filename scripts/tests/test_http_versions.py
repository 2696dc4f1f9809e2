"""`scripts.http_versions` names the version of HTTP that a server chooses."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
import trustme
from roomcast import fanout

from scripts import http_versions

if TYPE_CHECKING:
    from collections.abc import Iterator

SPEAKS = {"h2": ["h2", "http/1.1"], "http/1.1": ["http/1.1"], "": []}


@pytest.fixture(params=SPEAKS)
def server(request: pytest.FixtureRequest) -> Iterator[tuple[str, ssl.SSLContext, str]]:
    """The URL of a server, a client's settings that trust it, and the version that it prefers."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    if SPEAKS[request.param]:
        context.set_alpn_protocols(SPEAKS[request.param])
    trusted = ssl.create_default_context()
    authority.configure_trust(trusted)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            # The client hangs up when its side of the handshake is done, and the server may have more to send.
            with suppress(ConnectionError), context.wrap_socket(connection, server_side=True) as encrypted:
                encrypted.recv(1)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"wss://localhost:{listener.getsockname()[1]}/live", trusted, request.param
        thread.join()


def test_the_servers_choice_is_found(server: tuple[str, ssl.SSLContext, str]) -> None:
    url, trusted, preferred = server

    assert http_versions.chosen(url, trusted) == (preferred or "http/1.1")


def test_the_choice_is_told_in_one_sentence() -> None:
    told = http_versions.sentence("https://abc.execute-api.eu-central-1.amazonaws.com/live", "h2")

    assert told == ("abc.execute-api.eu-central-1.amazonaws.com chose HTTP/2, being offered HTTP/2 and HTTP/1.1")


def test_a_host_is_offered_what_the_functions_offer_it() -> None:
    engine = fanout.Engine("https://abc.execute-api.eu-central-1.amazonaws.com/live", "eu-central-1", http2=True)

    assert tuple(engine._endpoint._protocols) == http_versions.OFFERED
