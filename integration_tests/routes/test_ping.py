"""`ping` is answered, and tells a client of roomcast.v1 which of its rooms it is in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from integration_tests.harness import v1

if TYPE_CHECKING:
    from integration_tests.harness.crowd import Crowd
    from integration_tests.harness.table import ConnectionsTable


@pytest.mark.everywhere
async def test_rooms_of_the_caller(crowd: Crowd, room: str) -> None:
    vera = await v1.connect(crowd, room)

    answer = await v1.ask(vera, "ping", id="1", rooms={room: {}, "elsewhere": {"epoch": "k3f9x2ab", "seq": 44}})

    assert answer == {"type": "pong", "id": "1", "rooms": {room: {}, "elsewhere": None}}


@pytest.mark.everywhere
async def test_text_mode(crowd: Crowd, room: str) -> None:
    tom = await crowd.join(room)

    await tom.send("ping")

    await tom.expect('{"pong":{}}')


@pytest.mark.needs_table
async def test_client_without_items_is_told_to_come_back(crowd: Crowd, room: str, table: ConnectionsTable) -> None:
    vera = await v1.connect(crowd, room)
    connection_id = (await v1.ask(vera, "whoami"))["connectionId"]
    await table.remove_member(room, connection_id)

    answer = await v1.ask(vera, "ping", rooms={room: {}})

    assert (answer["type"], answer["code"]) == ("error", "reconnect")
