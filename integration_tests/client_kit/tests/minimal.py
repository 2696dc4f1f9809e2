"""The minimal client of the documentation, behind the kit's interface."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from integration_tests.guarantees.test_minimal_client import printed

if TYPE_CHECKING:
    from collections.abc import Callable


class MinimalDriver:
    """Drives it; of the commands it knows those for listening in one room."""

    def __init__(self, heard: Callable[[dict[str, Any]], None]) -> None:
        self._heard = heard
        self._running: asyncio.Task[None] | None = None

    async def command(self, command: dict[str, Any]) -> None:
        """Carry out a command, if the client can."""
        if command["do"] == "connect":
            [room, *_] = command["rooms"]
            self._running = asyncio.ensure_future(self._follow(command["url"], room))
        elif command["do"] == "close":
            await self.finish()
            self._heard({"on": "state", "state": "closed"})

    async def _follow(self, url: str, room: str) -> None:
        code: dict[str, Any] = {}
        exec(printed(), code)  # noqa: S102 - what the page shows is what is tested
        take = code["Room"].take

        def take_and_tell(self_: Any, frame: dict[str, Any]) -> Any:
            new = take(self_, frame)
            if frame["type"] == "joined":
                self._heard({"on": "state", "state": "open"})
            return new if frame["type"] == "message" else [{**frame, **each} for each in new]

        code["Room"].take = take_and_tell
        await code["follow"](url, room, lambda message: self._show(room, message))

    def _show(self, room: str, message: dict[str, Any]) -> None:
        facts: dict[str, Any] = {name: message[name] for name in ("epoch", "seq", "mid", "id") if name in message}
        self._heard({"on": "message", "room": room, "data": message["data"], **facts})

    async def finish(self) -> None:
        """End the client, which may have crashed."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])
        loop: Any = asyncio.get_running_loop()
        for transport in loop.transports:
            transport.abort()
