"""`whoami` answers only its caller, with the caller's connection id and room."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from integration_tests.harness import credentials

if TYPE_CHECKING:
    from integration_tests.harness.crowd import Crowd
    from integration_tests.harness.table import ConnectionsTable


@pytest.mark.everywhere
async def test_caller_alone_is_answered_with_its_room(crowd: Crowd, room: str) -> None:
    caller, _other = await crowd.join(room), await crowd.join(room)

    await caller.send("whoami")

    answer = await caller.receive_json()
    # With a token, its subject.
    own = ["connectionId", *(["identity"] if credentials.are_lent() else [])]
    assert answer == {"whoami": {**{name: answer["whoami"][name] for name in own}, "room": room}}


@pytest.mark.everywhere
async def test_every_connection_has_an_id_of_its_own(crowd: Crowd, room: str) -> None:
    clients = await crowd.join_many(room, 5)

    connection_ids = {await client.whoami() for client in clients}

    assert len(connection_ids) == len(clients)


@pytest.mark.needs_table
async def test_id_is_the_one_in_the_table(crowd: Crowd, room: str, table: ConnectionsTable) -> None:
    caller = await crowd.join(room)

    connection_id = await caller.whoami()

    assert await table.members(room) == {connection_id}
    assert await table.connections([connection_id]) == {connection_id}
