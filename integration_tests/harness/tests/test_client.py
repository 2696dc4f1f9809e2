"""The test client joins the room that it is told to, or none."""

from __future__ import annotations

import pytest

from integration_tests.harness.client import Client


@pytest.mark.parametrize("tail", ["?token=t", "?", "#part"])
async def test_client_does_not_join_another_room_than_asked_for(tail: str) -> None:
    with pytest.raises(ValueError, match="room cannot be added"):
        await Client.connect(f"wss://abc123.execute-api.eu-central-1.amazonaws.com/live{tail}", "lobby")
