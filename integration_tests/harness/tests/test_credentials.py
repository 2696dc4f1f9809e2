"""The token of the harness's clients goes to the stage under test, and is shown nowhere."""

from __future__ import annotations

import logging
import traceback
from typing import TYPE_CHECKING

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import InvalidStatus

from integration_tests.harness import credentials
from integration_tests.harness.client import Client
from integration_tests.load.listener import Listener
from integration_tests.targets.catalogue import create_target
from integration_tests.targets.interface import Capability, TargetError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from websockets.http11 import Request, Response

TOKEN = "planted.token-of.the_harness"
SEEN: list[dict[str, list[str]]] = []


@pytest.fixture
async def stage(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """The URL of a stage that notes the headers of handshakes, and lets all of them in."""
    SEEN.clear()
    monkeypatch.delenv(credentials.STAGE, raising=False)
    monkeypatch.delenv(credentials.PLACE, raising=False)
    monkeypatch.setenv(credentials.TOKEN, TOKEN)

    def note(connection: ServerConnection, request: Request) -> Response | None:
        names = ("Authorization", "Sec-WebSocket-Protocol")
        SEEN.append({name: request.headers.get_all(name) for name in names})
        return connection.respond(401, "no") if "refused" in request.path else None

    async def wait(connection: ServerConnection) -> None:
        await connection.wait_closed()

    async with serve(wait, "127.0.0.1", 0, process_request=note, select_subprotocol=lambda *_: None) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/live"


async def connect(url: str, room: str | None = "lobby", **options: object) -> dict[str, list[str]]:
    """Connect once; return the headers that the stage saw."""
    client = await Client.connect(url, room, **options)  # type: ignore[arg-type]
    await client.close()
    return SEEN[-1]


@pytest.mark.parametrize("room", ["lobby", None])
async def test_the_header_carries_it(stage: str, room: str | None) -> None:
    credentials.lend_to(stage)
    assert (await connect(stage, room))["Authorization"] == [f"Bearer {TOKEN}"]
    other = await connect(stage, room, headers={"Cookie": "a"}, subprotocols=["roomcast.text"])
    assert other == {"Authorization": [f"Bearer {TOKEN}"], "Sec-WebSocket-Protocol": ["roomcast.text"]}
    listener = await Listener.connect(stage, room, lambda *_: None, 10)
    await listener.close()
    assert SEEN[-1]["Authorization"] == [f"Bearer {TOKEN}"]


async def test_so_does_a_subprotocol(stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(credentials.PLACE, "subprotocol")
    credentials.lend_to(stage)
    for offered, expected in (([], "roomcast.text"), (["chat"], "chat")):
        seen = await connect(stage, subprotocols=offered)
        assert seen == {"Authorization": [], "Sec-WebSocket-Protocol": [f"{expected}, roomcast.bearer.{TOKEN}"]}


async def test_another_stage_gets_none(stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing: dict[str, list[str]] = {"Authorization": [], "Sec-WebSocket-Protocol": []}
    assert await connect(stage) == nothing
    credentials.lend_to(stage)
    assert await connect(f"{stage}2") == nothing
    monkeypatch.setenv(credentials.TOKEN, "")  # as of a workflow whose secret is not set
    credentials.lend_to(stage)
    assert await connect(stage) == nothing


@pytest.mark.parametrize("place", credentials.PLACES)
async def test_it_is_not_shown(
    stage: str, place: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(credentials.PLACE, place)
    credentials.lend_to(stage)
    caplog.set_level(logging.DEBUG)
    await connect(stage)
    with pytest.raises(InvalidStatus) as refusal:
        await connect(stage, "refused")
    assert SEEN[-1] != {"Authorization": [], "Sec-WebSocket-Protocol": []}

    logged = [each.getMessage() for each in caplog.records if each.name != "websockets.server"]
    shown = [*logged, str(refusal.value), repr(refusal.value)]
    found = traceback.TracebackException.from_exception(refusal.value, capture_locals=True)
    shown += [str(each) for frame in found.stack for each in (frame.locals or {}).values()]
    assert [each for each in shown if TOKEN in each] == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (credentials.TOKEN, f"{TOKEN} "),
        (credentials.TOKEN, f"{TOKEN}\n"),
        (credentials.TOKEN, "t\u00f6ken"),
        (credentials.PLACE, "query"),
    ],
)
def test_what_cannot_be_sent_is_refused_in_a_sentence(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(credentials.TOKEN, TOKEN)
    monkeypatch.setenv(name, value)
    with pytest.raises(TargetError, match=name) as refusal:
        create_target("live", "wss://abc123.execute-api.eu-central-1.amazonaws.com/live")
    assert TOKEN not in str(refusal.value)


def test_a_stage_with_a_token_shows_no_other_handshakes(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "wss://abc123.execute-api.eu-central-1.amazonaws.com/live"
    monkeypatch.delenv(credentials.TOKEN, raising=False)
    assert Capability.ANY_HANDSHAKE not in create_target("live", url).lacks()
    monkeypatch.setenv(credentials.TOKEN, TOKEN)
    assert Capability.ANY_HANDSHAKE in create_target("live", url).lacks()
    monkeypatch.delenv(credentials.STAGE)
