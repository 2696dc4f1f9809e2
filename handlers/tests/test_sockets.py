"""Waiting for sockets, with either of the system's means."""

from __future__ import annotations

import select
import selectors
import socket
import ssl
import time
from typing import TYPE_CHECKING, Any, cast

import pytest
from roomcast import sockets
from roomcast.addresses import Endpoint
from roomcast.connection import Connection
from tests.hostile_server import PATIENCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator


class End:
    """One end of a pair of sockets, as a connection."""

    def __init__(self) -> None:
        self.near, self.far = socket.socketpair()
        self.interest = selectors.EVENT_READ

    def fileno(self) -> int:
        return self.near.fileno()


@pytest.fixture
def ends() -> Iterator[tuple[Any, Any]]:
    made = (End(), End())
    yield made
    for end in made:
        end.near.close()
        end.far.close()


@pytest.fixture(params=["epoll", "poll"])
def waiting(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[sockets.Sockets[Any]]:
    if request.param == "poll":
        monkeypatch.setattr(sockets, "_POLLER", select.poll)
        monkeypatch.setattr(sockets, "_UNITS", 1000)
        monkeypatch.delattr(select, "epoll")  # as on a system without it
    made: sockets.Sockets[Any] = sockets.Sockets()
    yield made
    made.close()


def test_lines_and_reads_are_told_apart(waiting: sockets.Sockets[Any], ends: tuple[Any, Any]) -> None:
    line, database = ends
    read = cast("Any", object())
    waiting.add(line)
    waiting.watch_read(database, read)
    assert (waiting.wait(0), waiting.reads_ready) == ([], [])
    database.far.send(b"x")
    assert (waiting.wait(PATIENCE_SECONDS), waiting.reads_ready) == ([], [read])
    line.far.send(b"x")
    assert (waiting.wait(PATIENCE_SECONDS), waiting.reads_ready) == ([line], [read])
    waiting.unwatch_read(database)
    assert (waiting.wait(PATIENCE_SECONDS), waiting.reads_ready) == ([line], [])
    waiting.remove(line)
    assert waiting.wait(0) == []


def test_the_interest_decides(waiting: sockets.Sockets[Any], ends: tuple[Any, Any]) -> None:
    line, _ = ends
    waiting.add(line)
    assert waiting.wait(0) == []
    line.interest = selectors.EVENT_READ | selectors.EVENT_WRITE
    waiting.change(line)
    assert waiting.wait(PATIENCE_SECONDS) == [line]


@pytest.mark.parametrize("seconds", [-1.0, -1e-9, 0.0])
def test_no_time_left_is_no_wait(waiting: sockets.Sockets[Any], ends: tuple[Any, Any], seconds: float) -> None:
    waiting.add(ends[0])
    began = time.monotonic()
    assert waiting.wait(seconds) == []
    assert time.monotonic() - began < PATIENCE_SECONDS


def test_a_wait_lasts_as_many_seconds_as_asked(waiting: sockets.Sockets[Any], ends: tuple[Any, Any]) -> None:
    waiting.add(ends[0])
    began = time.monotonic()
    assert waiting.wait(0.05) == []
    assert time.monotonic() - began >= 0.05


def test_what_was_closed_can_be_opened(waiting: sockets.Sockets[Any], ends: tuple[Any, Any]) -> None:
    waiting.close()
    waiting.open()
    waiting.open()
    waiting.add(ends[0])
    ends[0].far.send(b"x")
    assert waiting.wait(PATIENCE_SECONDS) == [ends[0]]


def test_a_closed_connection_reads_nothing_of_the_next_owner_of_its_descriptor() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        connection = Connection(Endpoint(f"http://127.0.0.1:{server.getsockname()[1]}/live"))
        connection.close()
        for use in (connection.read, lambda: connection.write(b"x")):
            with pytest.raises(ConnectionError, match="closed"):
                use()


def test_pythons_tls_has_the_object_that_connections_read_from() -> None:
    # Else each post costs four Python functions more: look for the new name.
    near, far = socket.socketpair()
    with (
        near,
        far,
        ssl.create_default_context().wrap_socket(near, server_hostname="a", do_handshake_on_connect=False) as encrypted,
    ):
        assert hasattr(encrypted, "_sslobj")
