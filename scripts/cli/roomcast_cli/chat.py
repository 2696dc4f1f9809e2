"""A chat in one room: what comes is printed, and lines are sent."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import roomcast_client
from roomcast_client import Closed, Kicked, Left, NotAllowed, Open, Presence, Refused, RoomcastError, Waiting

from roomcast_cli import lines, sources, tokens
from roomcast_cli.output import DONE, NOT_ALLOWED, NOT_REACHABLE, visible
from roomcast_cli.output import NO as FAILED

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MOST_PENDING, MOST_BYTES = 100, 150_000
"""Messages without proof, and bytes of their lines, above which no further line is read; the client refuses more than
100 messages or 1 MB, and JSON writes some characters with six bytes."""
LOST_SECONDS = 480.0
"""A command that sends from a pipe waits so long for a lost connection: as long as the client tries a message."""


@dataclass(frozen=True, slots=True)
class Options:
    """As typed; see ``--help``."""

    url: str
    room: str
    token_command: str | None
    token_file: str | None
    last: int
    json: bool
    timeout: float
    send_only: bool
    receive_only: bool


async def run(options: Options) -> int:
    """Chat until the end of the input; returns the exit status."""
    chat = Chat(options)
    try:
        return await chat.run()
    except TimeoutError:
        chat.tell("not reachable", error="not_reachable")
        return NOT_REACHABLE
    except NotAllowed as error:
        chat.tell(visible(str(error)), error=error.code)
        return NOT_ALLOWED
    except Refused:
        return NOT_ALLOWED  # told as an event, as the next one
    except (Kicked, RemovedError):
        return FAILED
    except RoomcastError as error:
        chat.tell(visible(str(error)), error=error.code)
        return FAILED


class RemovedError(Exception):
    """The stage took this client out of the room."""


class Chat:
    """One chat."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._on_terminal = sys.stdin.isatty() and sys.stdout.isatty() and not options.receive_only
        self._in_colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and not options.json
        self._sending: set[asyncio.Task[None]] = set()
        self._bytes = 0
        self._failed = self._sends_from_pipe = False

    async def run(self) -> int:
        """Chat until the end of the input.

        Raises:
            TimeoutError: The stage was not reached in time, at first or again.
            RoomcastError: The stage refused, or removed this client.
            RemovedError: Likewise, from the room.
        """
        options = self._options
        client = roomcast_client.connect(options.url, token=self._token())
        messages, events = client.messages(), client.events()
        async with AsyncExitStack() as stack:
            source = self._source(stack)
            self._sends_from_pipe = source is not None and not self._on_terminal
            watching = asyncio.ensure_future(self._watch(events))
            stack.push_async_callback(asyncio.wait, [watching])  # it ends after the client's last event
            async with asyncio.timeout(options.timeout):
                await stack.enter_async_context(client)
                await client.join(options.room, last=options.last or None)
            working = {asyncio.ensure_future(self._print(messages))}
            if source is not None:
                working.add(asyncio.ensure_future(self._send(client, source)))
            for task in working:
                stack.push_async_callback(_ended, task)
            done, _ = await asyncio.wait({*working, watching}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        return FAILED if self._failed else DONE

    def _token(self) -> Any:  # noqa: ANN401 - a function
        if self._options.token_command:
            return tokens.from_command(self._options.token_command)
        return tokens.from_file(self._options.token_file) if self._options.token_file else None

    def _source(self, stack: AsyncExitStack) -> AsyncIterator[str] | None:
        if self._options.receive_only:
            return None
        if self._on_terminal and sources.has_line_editing():
            stack.enter_context(sources.above_the_prompt())
            return sources.edited_lines()
        if self._on_terminal:
            self.tell("no line editing here; install roomcast[chat] for it")
        return sources.lines_of(sys.stdin.fileno())

    # What comes

    async def _print(self, messages: AsyncIterator[roomcast_client.Message]) -> None:
        async for message in messages:
            if self._options.json and not self._options.send_only:
                print(lines.json_of(message), flush=True)
            elif not self._options.send_only:
                on_terminal = sys.stdout.isatty()
                print(lines.line_of(message, on_terminal=on_terminal, in_colour=self._in_colour), flush=True)

    async def _watch(self, events: AsyncIterator[roomcast_client.Event]) -> None:
        async with asyncio.timeout(None) as patience:
            async for event in events:
                if isinstance(event, Open):
                    patience.reschedule(None)
                elif isinstance(event, Waiting) and self._sends_from_pipe and patience.when() is None:
                    patience.reschedule(asyncio.get_running_loop().time() + LOST_SECONDS)
                self._tell_of(event)

    def _tell_of(self, event: roomcast_client.Event) -> None:
        if isinstance(event, Presence) and not (self._options.json or sys.stdout.isatty()):
            return
        text, facts = lines.sentence(event), lines.facts(event)
        if isinstance(event, Closed) or (text is None and not self._options.json) or facts is None:
            return
        self.tell(text or "", **facts)
        if isinstance(event, Left):
            raise RemovedError

    def tell(self, text: str, **facts: Any) -> None:  # noqa: ANN401 - JSON values
        """Tell what belongs to no message, on stderr."""
        known = {name: fact for name, fact in facts.items() if fact is not None}
        if self._options.json:
            print(json.dumps({"v": 1, **(known or {"note": text})}), file=sys.stderr, flush=True)
        else:
            print(f"roomcast: {text}", file=sys.stderr, flush=True)

    # What is sent

    async def _send(self, client: roomcast_client.Client, source: AsyncIterator[str]) -> None:
        async for line in source:
            if self._on_terminal and not line.strip():
                continue
            if isinstance(line, sources.LongLine):
                self._fail(line, f"a line has {sources.LONGEST:,} bytes at most", "too_large")
                continue
            while len(self._sending) >= MOST_PENDING or (self._sending and self._bytes > MOST_BYTES):
                await asyncio.wait(self._sending, return_when=asyncio.FIRST_COMPLETED)
            self._bytes += len(line)
            task = asyncio.ensure_future(self._send_line(client, line))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)
        while self._sending:
            await asyncio.wait(self._sending)

    async def _send_line(self, client: roomcast_client.Client, line: str) -> None:
        try:
            data = json.loads(line) if self._options.json and line.startswith("{") else line
            await client.send(self._options.room, data)
        except (ValueError, RecursionError) as error:
            self._fail(line, str(error), "not_json")
        except (Closed, Kicked, Refused):
            self._failed = True  # it is told once, for the client
        except RoomcastError as error:
            self._fail(line, str(error), error.code)
        finally:
            self._bytes -= len(line)

    def _fail(self, line: str, reason: str, code: str) -> None:
        self._failed = True
        self.tell(f"not sent: {visible(reason)}: {visible(line[:80])}", error=code, message=reason)


async def _ended(task: asyncio.Task[None]) -> None:
    """Wait for the end of a task that is not needed any more."""
    task.cancel()
    await asyncio.wait([task])
