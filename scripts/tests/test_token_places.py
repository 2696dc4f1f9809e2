"""The longest token in each place, found on a server with known limits."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from scripts import token_places

if TYPE_CHECKING:
    from collections.abc import Iterator

HEADER, URL = 5_000, 2_000
GOOD = "x.y.z"


class Stage(BaseHTTPRequestHandler):
    """Reads headers and URLs of limited length, finds a token under one name, and hangs up on a long subprotocol."""

    def do_GET(self) -> None:
        """Answer a handshake."""
        token = self.headers.get("Authorization", "")
        if len(self.headers.get("Sec-WebSocket-Protocol", "")) > HEADER:
            self.connection.close()
            return
        spelled = "Authorization" in self.headers.keys()  # noqa: SIM118 - the other one knows no case
        status = 431 if len(token) > HEADER else 414 if len(self.path) > URL else 401
        self.send_response(101 if token == f"Bearer {GOOD}" and spelled else status)
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Keep quiet."""


@pytest.fixture
def url() -> Iterator[str]:
    """The URL of such a stage."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Stage) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"ws://127.0.0.1:{server.server_port}/live"
        server.shutdown()
        thread.join()


def test_the_longest_token_of_each_place_is_found(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert token_places.main([url], GOOD) == 0

    prefix = len("roomcast.text, roomcast.bearer.")
    assert capsys.readouterr().out.splitlines() == [
        f"header: read up to {HEADER - len('Bearer ')} characters, then 431",
        f"subprotocol: read up to {HEADER - prefix} characters, then closed without a status",
        f"query: read up to {URL - len('/live?token=')} characters, then 414",
        "Authorization: 101",
        "authorization: 401",
        "AUTHORIZATION: 401",
    ]


def test_a_stage_that_reads_all_is_said_to(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_places, "LONGEST", 1_000)
    assert token_places.longest(url, "header") == (1_000, 401)


def test_a_stage_without_tokens_is_told(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(token_places, "UNAUTHORIZED", 403)
    assert token_places.main([url]) == 1
    assert "the status is 401 and not 403" in capsys.readouterr().err


def test_a_host_that_is_not_there_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Stage) as server:
        port = server.server_port
    assert token_places.main([f"ws://127.0.0.1:{port}/live"]) == 1
    assert "refused" in capsys.readouterr().err
    assert token_places.main([]) == 2
    assert token_places.main(["wss://a..b.com/live"]) == 2
    assert "names no host" in capsys.readouterr().err
