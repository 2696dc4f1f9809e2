"""The clients that talk while an instance is changed."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from integration_tests.load.tests.miniatures import miniature
from integration_tests.recover import talk
from integration_tests.recover.talk import MESSAGES, UNANSWERED, Talk
from scripts.waiting import eventually, scaled

if TYPE_CHECKING:
    import pytest

    from scripts.local.deployment import AppliedRoot

INSTANCE = SimpleNamespace(variables={"name": "chat"}, access=SimpleNamespace(aws=SimpleNamespace(logs=None)))


async def test_clients_do_not_bury_a_stage_that_is_slow_to_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(talk, "INTERVAL", 0.001)
    monkeypatch.setattr(talk, "STAGE_TERMS", replace(talk.STAGE_TERMS, patience=3.0))
    with miniature("mute") as url:
        talking = Talk(cast("AppliedRoot", INSTANCE), url)
        await talking.begin()

        async def sent() -> int:
            return talking.attempted

        await eventually(sent, expected=UNANSWERED + MESSAGES, within=10, what="as many messages as may wait")
        await asyncio.sleep(scaled(0.1))  # a hundred messages take as long
        assert await sent() == UNANSWERED + MESSAGES
        await talking.end()
