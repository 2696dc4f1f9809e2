"""Clients of ``roomcast.v1``: what they send, and frames without what no test can know beforehand."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from integration_tests.harness.client import Client
    from integration_tests.harness.crowd import Crowd

NAME = "roomcast.v1"


async def connect(crowd: Crowd, *rooms: str) -> Client:
    """Connect a client, which joins rooms."""
    client = await crowd.join(subprotocols=[NAME])
    assert client.connection.subprotocol == NAME
    if rooms:
        await client.send("join", rooms={room: {} for room in rooms})
        for room in rooms:
            frame = await client.receive_json()
            assert (frame["type"], frame["room"]) == ("joined", room)
    return client


async def ask(client: Client, action: str, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    """Send a frame and return the next one that comes."""
    await client.send(action, **fields)
    frame: dict[str, Any] = await client.receive_json()
    return frame


def new_id() -> str:
    """Return an id for a message."""
    return secrets.token_hex(16)


def known(frame: dict[str, Any]) -> dict[str, Any]:
    """Return a message without its time and its own id."""
    return {name: value for name, value in frame.items() if name not in {"at", "mid"}}
