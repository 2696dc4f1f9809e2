"""`leave` ends one membership of a client of roomcast.v1 and keeps the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from integration_tests.harness import v1

if TYPE_CHECKING:
    from integration_tests.harness.crowd import Crowd
    from integration_tests.harness.table import ConnectionsTable


@pytest.mark.needs_table
async def test_left_room_is_heard_no_longer(crowd: Crowd, room: str, table: ConnectionsTable) -> None:
    kept = f"{room}.kept"
    vera, tom, tina = await v1.connect(crowd, room, kept), await crowd.join(room), await crowd.join(kept)

    assert await v1.ask(vera, "leave", room=room, id="1") == {"type": "left", "id": "1", "room": room}

    assert await table.members(room) == {await tom.whoami()}
    await tom.say("is she gone?")
    await tom.expect("is she gone?")
    await tina.say("she is here")
    await tina.expect("she is here")
    frame = await vera.receive_json()
    assert (frame["room"], frame["data"]) == (kept, "she is here")


@pytest.mark.everywhere
async def test_room_can_be_left_twice_and_joined_again(crowd: Crowd, room: str) -> None:
    vera = await v1.connect(crowd, room)

    for _ in range(2):
        assert await v1.ask(vera, "leave", room=room) == {"type": "left", "room": room}
    assert (await v1.ask(vera, "sendmessage", room=room, data="x"))["code"] == "not_joined"
    assert await v1.ask(vera, "join", room=room) == {"type": "joined", "room": room}
    assert (await v1.ask(vera, "sendmessage", room=room, data="x"))["data"] == "x"
