"""`who` tells a client of roomcast.v1 who is in a room."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from integration_tests.harness import v1
from integration_tests.harness.answers import error

if TYPE_CHECKING:
    from integration_tests.harness.crowd import Crowd


@pytest.mark.everywhere
async def test_members_of_both_kinds_are_named(crowd: Crowd, room: str) -> None:
    vera, tom = await v1.connect(crowd, room), await crowd.join(room)
    ids = sorted([(await v1.ask(vera, "whoami"))["connectionId"], await tom.whoami()])

    assert await v1.ask(vera, "who", id="1", room=room) == {
        "type": "members",
        "id": "1",
        "room": room,
        "count": 2,
        "members": ids,
    }


@pytest.mark.everywhere
async def test_text_mode_has_no_such_answer(crowd: Crowd, room: str) -> None:
    tom = await crowd.join(room)

    await tom.send("who", room=room)

    answer = await tom.receive_json()
    assert answer == error("needs_v1", answer["error"]["message"])
