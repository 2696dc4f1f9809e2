"""Closes a connection after 10 idle minutes, and after 2 hours at the latest."""
# ruff: noqa: ANN401 - MiniStack is untyped and has no other hook

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ministack.services import apigateway

from scripts.local.ministack.sessions import current
from scripts.local.ministack.settings import LIMITS_FACTOR
from scripts.local.ministack.wrapping import replaces

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from scripts.local.ministack.sessions import Message, Receive, Send, Session

IDLE_SECONDS = 600 * LIMITS_FACTOR
LIFETIME_SECONDS = 7200 * LIMITS_FACTOR


class Timers:
    """The two timers of one connection."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.loop = asyncio.get_running_loop()
        self.started_at = self.active_at = self.loop.time()
        self.next = self.loop.call_later(min(IDLE_SECONDS, LIFETIME_SECONDS), self.check)

    def touch(self) -> None:
        """Restart the idle timer, because data was sent or received."""
        self.active_at = self.loop.time()

    def check(self) -> None:
        """Close the connection if a limit is reached, else schedule the next check."""
        end = min(self.active_at + IDLE_SECONDS, self.started_at + LIFETIME_SECONDS)
        if self.loop.time() >= end:
            self.session.end(1001, "Going away")
        else:
            self.next = self.loop.call_at(end, self.check)

    def cancel(self) -> None:
        """Cancel the next check."""
        self.next.cancel()


@replaces(apigateway, "handle_websocket")
async def handle_websocket(
    original: Callable[..., Awaitable[None]],
    scope: dict[str, Any],
    receive: Receive,
    send: Send,
    *arguments: Any,
    **keywords: Any,
) -> None:
    """Run the connection with its timers, which start when it opens."""
    timers: Timers | None = None

    async def timed_receive() -> Message:
        message = await receive()
        if timers:
            timers.touch()
        return message

    async def timed_send(message: Message) -> None:
        nonlocal timers
        await send(message)
        if message["type"] == "websocket.accept":
            timers = Timers(current.get())
        elif message["type"] == "websocket.send" and timers:
            timers.touch()

    try:
        await original(scope, timed_receive, timed_send, *arguments, **keywords)
    finally:
        if timers:
            timers.cancel()
