"""``$disconnect``: a client that has gone leaves no items behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from roomcast.aws_json import ServiceError
from tests.fakes import CONNECTED_AT, FakeConnections, FakeContext, FakeTable, error_code, event, handshake, message

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def disconnect(load: Callable[[str], Any]) -> Any:
    """The handler module, with alice and bob in the lobby."""
    connect = load("connect")
    for name in ("alice=", "bob="):
        connect.handler(handshake(name, "lobby"), FakeContext())
    return load("disconnect")


def test_only_the_leaving_clients_items_go(disconnect: Any, table: FakeTable) -> None:
    assert disconnect.handler(event("DISCONNECT", "alice="), FakeContext()) == {"statusCode": 200}

    assert table.keys() == {("connection#bob=", "connection"), ("room#lobby#0", "bob=")}


def test_nobody_ever_sees_half_a_member(disconnect: Any, table: FakeTable, monkeypatch: pytest.MonkeyPatch) -> None:
    call = table.call
    seen: list[set[str]] = []

    def watch(*arguments: Any) -> dict[str, Any]:
        answer = call(*arguments)
        seen.append(table.halves())
        return answer

    monkeypatch.setattr(table, "call", watch)
    disconnect.handler(event("DISCONNECT", "alice="), FakeContext())

    assert len(table.items) == 2
    assert seen
    assert not any(seen)


def test_a_second_time_changes_nothing(disconnect: Any, table: FakeTable) -> None:
    for _ in range(2):
        assert disconnect.handler(event("DISCONNECT", "alice="), FakeContext()) == {"statusCode": 200}

    assert len(table.items) == 2


def test_an_unknown_connection_is_no_error(disconnect: Any, table: FakeTable) -> None:
    assert disconnect.handler(event("DISCONNECT", "nobody="), FakeContext()) == {"statusCode": 200}

    assert len(table.items) == 4


def test_a_newer_connection_of_the_same_id_stays(disconnect: Any, table: FakeTable) -> None:
    late = event("DISCONNECT", "alice=")
    late["requestContext"]["connectedAt"] = CONNECTED_AT - 1

    assert disconnect.handler(late, FakeContext()) == {"statusCode": 200}
    assert len(table.items) == 4


def test_a_table_that_fails_fails_the_invocation(disconnect: Any, table: FakeTable) -> None:
    table.failing.add("GetItem")

    with pytest.raises(ServiceError):
        disconnect.handler(event("DISCONNECT", "alice="), FakeContext())


def test_a_message_that_names_the_route_disconnects_nobody(
    disconnect: Any, table: FakeTable, connections: FakeConnections
) -> None:
    disconnect.handler(message("alice=", {"action": "$disconnect"}, "$disconnect"), FakeContext())

    assert [error_code(text) for text in connections.received("alice=")] == ["unknown_action"]
    assert len(table.items) == 4
