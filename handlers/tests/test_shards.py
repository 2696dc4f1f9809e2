"""Members are spread over a growing number of shards: readers cover writers at every moment of a deployment."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from roomcast import settings
from roomcast.members import Connection
from roomcast.rooms import Rooms

if TYPE_CHECKING:
    from tests.fakes import FakeTable

LATER = time.monotonic() + 3600


def rooms_of(table: FakeTable, monkeypatch: pytest.MonkeyPatch, **environment: object) -> Rooms:
    """The table as a function with that environment sees it."""
    with monkeypatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, str(value))
        made = Rooms(settings.from_environment())
    made._database = table  # type: ignore[assignment]
    return made


def join_all(rooms: Rooms, count: int) -> set[str]:
    """Has so many clients join the lobby; gives their connection ids."""
    ids = {f"client-{number}" for number in range(count)}
    for connection_id in ids:
        rooms.join(Connection(connection_id, int(time.time() * 1000), {}), "lobby", LATER)
    return ids


def members(rooms: Rooms) -> set[str]:
    return {recipient.connection_id for recipient in rooms.members("lobby", LATER)}


@pytest.mark.parametrize(
    ("reader", "writer"),
    [
        # The first apply raises the shards read, the second those written: in any order of functions within each.
        ({}, {"ROOMCAST_SHARDS_READ": 4}),
        ({"ROOMCAST_SHARDS_READ": 4}, {}),
        ({"ROOMCAST_SHARDS_READ": 4}, {"ROOMCAST_SHARDS_READ": 4, "ROOMCAST_SHARDS_PER_ROOM": 4}),
        ({"ROOMCAST_SHARDS_READ": 4, "ROOMCAST_SHARDS_PER_ROOM": 4}, {"ROOMCAST_SHARDS_READ": 4}),
        ({"ROOMCAST_SHARDS_PER_ROOM": 4}, {"ROOMCAST_SHARDS_READ": 4, "ROOMCAST_SHARDS_PER_ROOM": 4}),
    ],
)
def test_nobody_is_missed_while_the_number_of_shards_grows(
    table: FakeTable, monkeypatch: pytest.MonkeyPatch, reader: dict[str, int], writer: dict[str, int]
) -> None:
    joined = join_all(rooms_of(table, monkeypatch, **writer), 40)

    assert members(rooms_of(table, monkeypatch, **reader)) == joined


def test_who_is_dead_is_deleted_from_the_shard_that_it_joined(
    table: FakeTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    join_all(rooms_of(table, monkeypatch), 40)
    raised = rooms_of(table, monkeypatch, ROOMCAST_SHARDS_READ=4, ROOMCAST_SHARDS_PER_ROOM=4)
    dead = list(raised.members("lobby", LATER))
    raised.leave(dead[0].connection_id, dead[0].connected_at, LATER)
    raised.prune("lobby", dead[1:], LATER)

    assert table.items == {}


def test_members_are_written_to_no_more_shards_than_configured(
    table: FakeTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    join_all(rooms_of(table, monkeypatch, ROOMCAST_SHARDS_READ=4, ROOMCAST_SHARDS_PER_ROOM=2), 40)

    assert {key[0] for key in table.items if key[0].startswith("room#")} == {"room#lobby#0", "room#lobby#1"}
