"""The client in 60 lines of the documentation, behind the kit's interface."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

from scripts.repository import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = REPOSITORY / "scripts" / "client" / "README.md"
BLOCK = re.compile(r"<!-- minimal client: .*? -->\n```python\n(.*?)```", re.DOTALL)


def source() -> str:
    """Return the client's text in the documentation."""
    match = BLOCK.search(PAGE.read_text("utf-8"))
    assert match, "the documentation has no minimal client"
    return match[1]


def load() -> Any:
    """Return the client's class."""
    names: dict[str, Any] = {}
    exec(compile(source(), str(PAGE), "exec"), names)  # noqa: S102 - the documentation's own code
    return names["MinimalClient"]


class MinimalDriver:
    """Drives it; of the commands it knows those for one room."""

    def __init__(self, heard: Callable[[dict[str, Any]], None]) -> None:
        self._heard = heard
        self._client: Any = None
        self._running: asyncio.Task[None] | None = None

    async def command(self, command: dict[str, Any]) -> None:
        """Carry out a command, if the client can."""
        if command["do"] == "connect":
            [room, *_] = command["rooms"]
            self._client = client = load()(command["url"], room, lambda frame: self._show(room, frame))
            take = client.take

            def take_and_tell(frame: dict[str, Any]) -> None:
                take(frame)
                if frame.get("type") == "joined":
                    self._heard({"on": "state", "state": "open"})

            client.take = take_and_tell
            self._running = asyncio.ensure_future(client.run())
        elif command["do"] == "send":
            await self._client.say("sendmessage", data=command["data"])
        elif command["do"] == "close":
            if self._client.socket is not None:
                await self._client.socket.close()
            await self.finish()
            self._heard({"on": "state", "state": "closed"})

    def _show(self, room: str, frame: dict[str, Any]) -> None:
        facts: dict[str, Any] = {name: frame[name] for name in ("epoch", "seq", "mid", "id") if name in frame}
        self._heard({"on": "message", "room": room, "data": frame["data"], **facts})

    async def finish(self) -> None:
        """End the client, which may have crashed."""
        if self._client is not None and self._client.socket is not None:
            self._client.socket.transport.abort()
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])
