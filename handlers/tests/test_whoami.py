"""``whoami``: the caller learns its connection id and room."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.fakes import FakeConnections, FakeContext, FakeTable, error_code, handshake, message

if TYPE_CHECKING:
    from collections.abc import Callable


def test_the_caller_learns_who_it_is(load: Callable[[str], Any], connections: FakeConnections) -> None:
    load("connect").handler(handshake("alice=", "lobby"), FakeContext())

    load("whoami").handler(message("alice=", {"action": "whoami"}, "whoami"), FakeContext())

    assert connections.received("alice=") == ['{"whoami":{"connectionId":"alice=","room":"lobby"}}']


def test_a_connection_without_a_room_is_told_so(load: Callable[[str], Any], connections: FakeConnections) -> None:
    load("whoami").handler(message("alice=", {"action": "whoami"}, "whoami"), FakeContext())

    assert [error_code(text) for text in connections.received("alice=")] == ["not_joined"]


def test_a_table_that_fails_is_told_too(
    load: Callable[[str], Any], connections: FakeConnections, table: FakeTable
) -> None:
    table.failing.add("GetItem")

    load("whoami").handler(message("alice=", {"action": "whoami"}, "whoami"), FakeContext())

    assert [error_code(text) for text in connections.received("alice=")] == ["unavailable"]
