"""An HTTP/1.1 reverse proxy that injects faults between the handlers and the emulator's AWS endpoints.

The handlers do not know of the proxy; configuration points them here:

- DynamoDB and SQS: the environment variable ``AWS_ENDPOINT_URL`` of the functions. MiniStack hands its own one on to
  every function, so the emulator is started with ``AWS_ENDPOINT_URL=<proxy>``.
- ``@connections``: the Terraform variable ``management_endpoint``, set to
  ``<proxy>/_aws/execute-api/{api_id}/{stage_name}``. That path names API and stage, so no special ``Host`` is needed.

The proxy passes requests on byte by byte, ``Host`` included. The handlers sign the proxy's host and port and the
emulator sees the same ones, so signatures stay valid where it checks them (``AUTH=true``).

Every connection of a handler has one connection of its own to the emulator, and pipelined requests are answered in
order. So the handler sees the emulator's own use of connections (kept alive, closed after the 1,000th request).

``PUT /_faults`` with ``{"seed": 7, "rules": [...]}`` (:meth:`FaultPlan.loads`) replaces the rules at run time without
disturbing a connection; ``GET /_faults`` answers with the rules and their counts, ``DELETE /_faults`` drops the rules.
PUT and DELETE answer with the counts of the rules they replaced.

Run ``python -m integration_tests.harness.faults.proxy --upstream http://127.0.0.1:4566`` for a process of its own: it
prints its URL on the first line.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import socket
import struct
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from integration_tests.harness.faults.fields import RuleError
from integration_tests.harness.faults.kinds import Latency, LimitData, Reset, Sliced, SlowClose, Status, Timeout
from integration_tests.harness.faults.requests import Request
from integration_tests.harness.faults.rule_book import RuleBook
from integration_tests.harness.faults.rules import NO_FAULTS, FaultPlan
from integration_tests.harness.faults.wire import (
    LARGEST_HEAD,
    HangUpError,
    Message,
    error_answer,
    json_answer,
    read_message,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from integration_tests.harness.faults.kinds import Fault
    from integration_tests.harness.faults.rule_book import Count
    from integration_tests.harness.faults.rules import Rule

CONTROL_PATH = "/_faults"


class FaultProxy:
    """The proxy, in the running event loop.

    Args:
        upstream: Base URL of the emulator, ``http://host:port``.
        rules: The rules to begin with.
        seed: Of their dice.

    Raises:
        ValueError: The upstream is not such a URL.
        RuleError: Two rules have the same name.

    Attributes:
        url: Base URL to give to handlers instead of the emulator's, once started.
    """

    def __init__(self, upstream: str, rules: Sequence[Rule] = (), seed: int = 0) -> None:
        parts = urlsplit(upstream)
        if parts.scheme != "http" or parts.hostname is None:
            raise ValueError(f"the upstream must be http://host:port, not {upstream}")
        self._upstream = (parts.hostname, parts.port or 80)
        self._book = RuleBook(rules, seed)
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self.url = ""

    async def start(self) -> None:
        """Listen on a free port of the loopback interface."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=LARGEST_HEAD)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        """Stop listening and cut every connection."""
        if self._server is not None:
            self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections)

    @property
    def counts(self) -> list[Count]:
        """Matches and strikes of each rule since it came into force."""
        return self._book.counts()

    def replace(self, rules: Sequence[Rule] = (), seed: int = 0) -> list[Count]:
        """Put other rules in force and return the counts of the old ones.

        Raises:
            RuleError: Two rules have the same name.
        """
        new, old = RuleBook(rules, seed), self._book
        self._book = new
        return old.counts()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        handler, upstream = _Handler(reader, writer), _Upstream(*self._upstream)
        try:
            # Either side may vanish at any moment; then the other one loses its connection, as without a proxy.
            with contextlib.suppress(HangUpError, OSError):
                while True:
                    await self._serve(await read_message(reader), handler, upstream)
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            self._connections.discard(task)
            writer.close()
            upstream.close()

    async def _serve(self, request: Message, handler: _Handler, upstream: _Upstream) -> None:
        method, path, _ = request.words
        if path == CONTROL_PATH:
            await handler.write(self._control(method, request.body))
            return
        about = Request.read(method, path, request.headers)
        exchange = _Exchange(request, upstream)
        rule = self._book.strike(about)
        if rule is None:
            await handler.send(await exchange.answer())
            return
        if rule.when == "after":
            await exchange.answer()
        await self._play(rule.fault, about, exchange, handler)

    async def _play(self, fault: Fault, about: Request, exchange: _Exchange, handler: _Handler) -> None:
        match fault:
            case Status():
                await handler.write(error_answer(about, fault))
            case Latency():
                await asyncio.sleep(fault.seconds + self._book.dice.uniform(-fault.jitter, fault.jitter))
                await handler.send(await exchange.answer())
            case Reset():
                handler.reset()
            case Timeout():
                await handler.stay_silent(fault.seconds)
            case SlowClose():
                await handler.write((await exchange.answer()).raw)
                await handler.stay_silent(fault.seconds)
            case Sliced():
                await handler.send(await exchange.answer(), fault.size, fault.delay)
            case LimitData():
                await handler.write((await exchange.answer()).raw[: fault.size])
                raise HangUpError

    def _control(self, method: str, body: bytes) -> bytes:
        try:
            if method == "GET":
                rules = [rule.to_json() for rule in self._book.rules]
                return json_answer(200, {"rules": rules, "counts": [asdict(count) for count in self.counts]})
            plan = FaultPlan.loads(body) if method == "PUT" else NO_FAULTS
            counts = self.replace(plan.rules, plan.seed)
            return json_answer(200, {"counts": [asdict(count) for count in counts]})
        except RuleError as error:
            return json_answer(400, {"message": str(error)})


class _Handler:
    """Answers on the connection that a handler opened."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def write(self, raw: bytes) -> None:
        """Send some bytes."""
        self._writer.write(raw)
        await self._writer.drain()

    async def send(self, answer: Message, size: int | None = None, delay: float = 0.0) -> None:
        """Send an answer, perhaps in pieces of ``size`` bytes ``delay`` seconds apart; hang up if it is the last."""
        for start in range(0, len(answer.raw), size or len(answer.raw)):
            if start:
                await asyncio.sleep(delay)
            await self.write(answer.raw[start : start + size] if size else answer.raw)
        if answer.last:
            raise HangUpError

    async def stay_silent(self, seconds: float) -> None:
        """Read without answering until the handler gives up, or so many seconds (0: without end) have passed."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds or None):
                while await self._reader.read(LARGEST_HEAD):
                    pass
        raise HangUpError

    def reset(self) -> None:
        """Send a TCP RST, by closing a socket that does not linger."""
        connection = self._writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()
        raise HangUpError


class _Upstream:
    """The connection to the emulator that belongs to one connection of a handler; opened when first needed."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: Message) -> Message:
        """Pass a request on and return the answer; a connection that the emulator ended meanwhile is replaced."""
        if self._streams is None or self._streams[0].at_eof():
            self.close()
            self._streams = await asyncio.open_connection(*self._address, limit=LARGEST_HEAD)
        reader, writer = self._streams
        writer.write(request.raw)
        return await read_message(reader, asked=request)

    def close(self) -> None:
        """Hang up."""
        if self._streams is not None:
            self._streams[1].close()


class _Exchange:
    """A request and, once it is needed, the emulator's answer."""

    def __init__(self, request: Message, upstream: _Upstream) -> None:
        self._request = request
        self._upstream = upstream
        self._answer: Message | None = None

    async def answer(self) -> Message:
        """Return the answer, asking the emulator once."""
        if self._answer is None:
            self._answer = await self._upstream.ask(self._request)
        return self._answer


async def main(arguments: Sequence[str] | None = None) -> None:
    """Run a proxy until SIGTERM or SIGINT; its URL is the first line printed."""
    parser = argparse.ArgumentParser(prog="python -m integration_tests.harness.faults.proxy", description=main.__doc__)
    parser.add_argument("--upstream", required=True, help="base URL of the emulator, http://host:port")
    options = parser.parse_args(arguments)
    proxy, stop = FaultProxy(options.upstream), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await proxy.start()
    sys.stdout.write(f"{proxy.url}\n")
    sys.stdout.flush()
    await stop.wait()
    await proxy.close()


if __name__ == "__main__":
    asyncio.run(main())
