"""Driver of the Python client: one JSON command a line on stdin, one JSON event a line on stdout.

    python -m integration_tests.client_kit.driver [--bearer subprotocol]

README.md beside this file lists commands and events.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import traceback
from typing import TYPE_CHECKING, Any

import roomcast_client
from roomcast_client import sockets
from roomcast_client.values import Connecting, Left, Presence, Recovered, Waiting
from websockets.typing import Subprotocol

from integration_tests.harness.clock import ScaledClock
from scripts import loopback

if TYPE_CHECKING:
    from collections.abc import Callable


class Driver:
    """Runs commands on one client.

    Args:
        heard: Called with each event.
    """

    def __init__(self, heard: Callable[[dict[str, Any]], None]) -> None:
        self._heard = heard
        self._tasks: set[asyncio.Task[None]] = set()
        self._client: roomcast_client.Client | None = None
        self._closed = asyncio.Event()

    def tell(self, on: str, **facts: Any) -> None:  # noqa: ANN401 - any JSON value
        """Tell an event, without what is not there."""
        self._heard({"on": on, **drop(facts)})

    def spawn(self, work: Any) -> None:  # noqa: ANN401 - a coroutine
        """Run a coroutine beside others; its failure is a crash of the client."""

        async def run() -> None:
            try:
                await work
            except Exception:  # noqa: BLE001 - the kit is told
                self.tell("crash", message=traceback.format_exc(limit=-4))

        task = asyncio.ensure_future(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def command(self, command: dict[str, Any]) -> None:
        """Carry out one command."""
        do = command.pop("do")
        if do == "connect":
            self._connect(**command)
            return
        client = self._client
        assert client is not None, "the first command is connect"
        if do == "send":
            self.spawn(self._send(client, command["n"], command["room"], command["data"], command.get("id")))
        elif do == "join":
            self.spawn(self._call(command.get("n"), client.join(command["room"])))
        elif do == "leave":
            self.spawn(self._call(command.get("n"), client.leave(command["room"])))
        elif do == "who":
            self.spawn(self._who(client, command["n"], command["room"]))
        elif do == "signal":
            client.check()
            if command["name"] in {"visible", "retry"}:
                client.retry()
        elif do == "close":
            await client.close()

    def _connect(
        self, *, url: str, rooms: dict[str, Any], tokens: list[str], scale: float, seed: int, options: dict[str, Any]
    ) -> None:
        wishes: dict[str, Any] = {}
        for name, wish in rooms.items():
            since, last = wish.get("since"), wish.get("last")
            wishes[name] = roomcast_client.Since(**since) if since else roomcast_client.Last(last) if last else None
        options["lifetime"] = tuple(options.pop("life", (5400.0, 6600.0)))
        self._client = roomcast_client.connect(
            url,
            rooms=wishes,
            token=self._token(list(tokens)) if tokens else None,
            clock=ScaledClock(scale),
            random=random.Random(seed),  # noqa: S311 - repeatable
            **options,
        )
        # Both are there before anything comes.
        messages, events = self._client.messages(), self._client.events()
        self.spawn(self._messages(messages))
        self.spawn(self._events(events))
        self.spawn(self._live(self._client))

    def _token(self, tokens: list[str]) -> Any:  # noqa: ANN401 - a function
        async def token() -> str | None:
            self.tell("token")
            given = tokens.pop(0) if len(tokens) > 1 else tokens[0]
            if given == "!hang":
                await asyncio.Event().wait()
            if given == "!throw":
                raise OSError("the token server is gone")
            if given == "!unauthorized":
                raise roomcast_client.Unauthorized
            return given

        return token

    async def _live(self, client: roomcast_client.Client) -> None:
        try:
            async with client:
                await self._closed.wait()
        except (roomcast_client.Refused, roomcast_client.Closed, roomcast_client.Kicked):
            return

    async def _messages(self, messages: Any) -> None:  # noqa: ANN401 - an iterator
        try:
            async for each in messages:
                facts = {"room": each.room, "epoch": each.epoch, "seq": each.seq, "mid": each.mid, "id": each.id}
                more = {"replayed": each.replayed, "own": each.own, "from": each.sender}
                self._heard({"on": "message", "data": each.data, **drop(facts), **more})
        except (roomcast_client.Refused, roomcast_client.Kicked):
            return

    async def _events(self, events: Any) -> None:  # noqa: ANN401 - an iterator
        async for each in events:
            if isinstance(each, Recovered):
                self.tell("recovered", room=each.room, complete=each.complete, reason=each.reason)
            elif isinstance(each, Left):
                self.tell("left", room=each.room, reason=each.reason, until=each.until)
            elif isinstance(each, Presence):
                self.tell("presence", room=each.room, joined=list(each.joined), left=list(each.left), count=each.count)
            elif hasattr(each, "name"):
                self.tell("state", state=each.name, **of_state(each))
                if each.name in {"closed", "kicked", "refused"}:
                    self._closed.set()
            else:
                self.tell("error", code=each.code, room=each.room)

    async def _send(self, client: roomcast_client.Client, n: int, room: str, data: Any, number: str | None) -> None:  # noqa: ANN401 - any JSON value
        try:
            receipt = await client.send(room, data, id=number)
        except roomcast_client.RoomcastError as error:
            self.tell("result", n=n, error=type(error).__name__)
        else:
            facts = {name: getattr(receipt, name) for name in receipt.__dataclass_fields__}
            self.tell("result", n=n, receipt=drop(facts))

    async def _who(self, client: roomcast_client.Client, n: int, room: str) -> None:
        try:
            found = await client.who(room)
        except roomcast_client.RoomcastError as error:
            self.tell("result", n=n, error=type(error).__name__)
        else:
            self.tell("result", n=n, members=list(found.members), count=found.count)

    async def _call(self, n: int | None, call: Any) -> None:  # noqa: ANN401 - an awaitable
        try:
            await call
        except roomcast_client.RoomcastError as error:
            self.tell("result", n=n, error=type(error).__name__)
        else:
            self.tell("result", n=n, done=True)

    async def finish(self) -> None:
        """End what still runs."""
        if self._client is not None:
            await self._client.close()
        while self._tasks:
            await asyncio.wait(self._tasks)


def drop(facts: dict[str, Any]) -> dict[str, Any]:
    """Return facts without what is not there."""
    return {name: fact for name, fact in facts.items() if fact is not None}


def of_state(state: object) -> dict[str, Any]:
    """Return what belongs to a state."""
    if isinstance(state, Connecting):
        return {"attempt": state.attempt}
    if isinstance(state, Waiting):
        return {"retryIn": state.retry_in * 1000, "attempt": state.attempt, "reason": state.reason}
    return {name: getattr(state, name, None) for name in ("reason", "until", "status")}


def offer_as_subprotocol() -> None:
    """Offer tokens as browsers do too, for servers that look for them there alone."""
    dial = sockets.dial

    async def with_offer(url: str, token: str | None, headers: Any, ssl: Any) -> Any:  # noqa: ANN401 - as of dial
        sockets.SUBPROTOCOLS[1:] = [] if token is None else [Subprotocol(f"roomcast.bearer.{token}")]
        return await dial(url, token, headers, ssl)

    sockets.dial = with_offer


async def main() -> None:
    """Read commands until the end of the input."""

    def heard(event: dict[str, Any]) -> None:
        print(json.dumps(event), flush=True)

    loop, driver = asyncio.get_running_loop(), Driver(heard)
    reader = asyncio.StreamReader(limit=2**24)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    heard({"on": "ready"})
    while line := await reader.readline():
        await driver.command(json.loads(line))
    await driver.finish()
    heard({"on": "end"})


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--bearer", choices=["header", "subprotocol"], default="header")
    loopback.reach_directly()
    if parser.parse_args().bearer == "subprotocol":
        offer_as_subprotocol()
    asyncio.run(main())
