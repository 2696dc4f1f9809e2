"""The minimal client of handlers/README.md, as it stands there, shows each message once."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from integration_tests.harness import v1
from integration_tests.targets.interface import Capability
from scripts.repository import REPOSITORY
from scripts.waiting import eventually, scaled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from websockets.asyncio.client import ClientConnection

    from integration_tests.harness.client import Client
    from integration_tests.harness.crowd import Crowd
    from integration_tests.targets.interface import Target

PAGE = REPOSITORY / "handlers" / "README.md"
MOST_LINES = 60


def printed() -> str:
    """Return the client as the page prints it."""
    [code] = re.findall(r"^### A minimal client\n.*?^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return str(code)


class Follower:
    """The client, while it follows a room.

    Attributes:
        shown: Data of the messages that it has shown.
        sockets: Its connections, the last one last.
    """

    def __init__(self) -> None:
        self.shown: list[Any] = []
        self.sockets: list[ClientConnection] = []
        self._code: dict[str, Any] = {}
        exec(printed(), self._code)  # noqa: S102 - what the page shows is what is tested
        self._code["connect"] = self._recorded(self._code["connect"])

    def _recorded(self, connect: Callable[..., Any]) -> Callable[..., Any]:
        @contextlib.asynccontextmanager
        async def recorded(*arguments: Any, **options: Any) -> AsyncIterator[ClientConnection]:  # noqa: ANN401
            async with connect(*arguments, **options) as socket:
                self.sockets.append(socket)
                yield socket

        return recorded

    @contextlib.asynccontextmanager
    async def following(self, url: str, room: str) -> AsyncIterator[None]:
        """Let it run."""
        task = asyncio.create_task(self._code["follow"](url, room, self._show, spread=0))
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def _show(self, message: dict[str, Any]) -> None:
        self.shown.append(message["data"])

    async def shows(self, *expected: object) -> None:
        """Wait until it has shown what is expected, and nothing else."""

        async def shown() -> list[Any]:
            return [*self.shown]

        await eventually(shown, [*expected], within=10, every=0.01, what="messages to be shown")


@pytest.mark.without_target
def test_it_is_short() -> None:
    assert len(printed().splitlines()) <= MOST_LINES


@pytest.mark.everywhere
@pytest.mark.requires(Capability.ANY_HANDSHAKE)
async def test_it_shows_what_is_said_and_comes_back(target: Target, crowd: Crowd, room: str) -> None:
    follower = Follower()
    async with follower.following(target.deployment.websocket_url, room):
        vera = await v1.connect(crowd, room)
        await say(vera, room, "one", follower)
        follower.sockets[-1].transport.abort()
        for text in ("two", "three"):
            await say(vera, room, text, follower)
    assert follower.shown == ["one", "two", "three"]
    assert len(follower.sockets) == 2


@pytest.mark.without_target
async def test_numbers_decide_what_is_new() -> None:
    """Frames overtake each other, come twice and are replayed; numbers of two epochs are others."""
    asked: list[dict[str, Any]] = []
    lives = [
        [joined("e", 41), message("e", 43), message("e", 42), message("e", 43), message("e", 45)],
        [replayed("e", 44, 45, void=46), joined("e", 46, recovered=True), message("e", 47)],
        [joined("f", 9, recovered=False), message("f", 10), {"type": "unknown"}, {"message": "Internal server error"}],
        [{"type": "error", "code": "unavailable"}],
        [message("f", 11), message("f", 10)],
    ]

    async def live(socket: ServerConnection) -> None:
        asked.append(json.loads(await socket.recv()))
        number = len(asked) - 1
        for frame in lives[number] if number < len(lives) else ():
            await socket.send(json.dumps(frame))
        if number >= len(lives) - 1:
            await socket.wait_closed()

    follower = Follower()
    async with serve(live, "127.0.0.1", 0, subprotocols=["roomcast.v1"]) as server:  # type: ignore[list-item]
        port = server.sockets[0].getsockname()[1]
        async with follower.following(f"ws://127.0.0.1:{port}", "lobby"):
            await follower.shows("e 43", "e 42", "e 45", "e 44", "e 47", "f 10", "f 11")
    assert [each.get("since") for each in asked] == [
        None,
        {"epoch": "e", "seq": 43},
        {"epoch": "e", "seq": 47},
        {"epoch": "f", "seq": 10},
        {"epoch": "f", "seq": 10},
    ]


@pytest.mark.without_target
async def test_it_shows_numbers_of_any_size() -> None:
    async def live(socket: ServerConnection) -> None:
        await socket.recv()
        for seq, digits in ((1, 5_000), (2, 100)):
            await socket.send(json.dumps({**message("e", seq), "data": 0})[:-2] + "9" * digits + "}")
        await socket.wait_closed()

    follower = Follower()
    async with serve(live, "127.0.0.1", 0, subprotocols=["roomcast.v1"]) as server:  # type: ignore[list-item]
        port = server.sockets[0].getsockname()[1]
        async with follower.following(f"ws://127.0.0.1:{port}", "lobby"):
            await follower.shows(float("inf"), int("9" * 100))


def joined(epoch: str, seq: int, **fields: object) -> dict[str, Any]:
    """Return the answer to a join."""
    return {"type": "joined", "room": "lobby", "epoch": epoch, "seq": seq, "head": seq, **fields}


def message(epoch: str, seq: int) -> dict[str, Any]:
    """Return a live message."""
    return {"type": "message", "room": "lobby", "epoch": epoch, "seq": seq, "data": f"{epoch} {seq}"}


def replayed(epoch: str, *numbers: int, void: int) -> dict[str, Any]:
    """Return messages that were missed, and a number that no message has."""
    messages = [{"seq": seq, "data": f"{epoch} {seq}"} for seq in numbers]
    return {"type": "messages", "room": "lobby", "epoch": epoch, "messages": [*messages, {"seq": void, "void": True}]}


async def say(client: Client, room: str, text: str, follower: Follower) -> None:
    """Send a message under one id until it is shown: the follower may not have joined yet."""
    message_id = v1.new_id()
    async with asyncio.timeout(scaled(60)):
        while text not in follower.shown:
            await client.send("sendmessage", room=room, id=message_id, data=text)
            while (await client.receive_json())["type"] != "receipt":
                pass
