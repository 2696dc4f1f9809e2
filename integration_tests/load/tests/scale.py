"""Measures one client process: the memory of a socket, how fast sockets open, and the CPU time of a message heard.

    python -m integration_tests.load.tests.scale [--connections 10000] [--tls] [--output build/bench/client.json]

The other side is the stage in miniature, in a process of its own; on two cores, each has one. Memory is the growth of
this process's resident set, divided by the sockets; that of the interpreter and the code is there before.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import platform
import ssl
import sys
import tempfile
import time
from asyncio.sslproto import SSLProtocol
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

import uvloop

from integration_tests.harness.handshakes import ASYNCIO_READ_BUFFER
from integration_tests.load.tests.stages import running_stage, running_tls_stage
from integration_tests.load.user_group import Arrival, Schedule, UserGroup
from integration_tests.load.virtual_user import CloseMode
from integration_tests.load.worker_process import prepare_process

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOMS = 20
BARE_CONNECTIONS = 300
BARE_REQUEST = (
    b"GET /live HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
MESSAGES = 200
MESSAGE_CHARACTERS = 100
WARMED_UP = 50
"""Sockets opened beforehand, so that one-time costs are not measured."""


@dataclass(frozen=True)
class Scale:
    """The measurements.

    Attributes:
        connections: Sockets open at the same time.
        tls: Whether they are encrypted.
        kilobytes_each: Resident memory for each (1 KB = 1024 bytes).
        per_second: Sockets opened in each second.
        per_cpu_second: Sockets opened in each second of this process's CPU time: ``per_second`` on a machine
            without other work.
        bare_per_cpu_second: The same of asyncio's connections with the least handshake that there is and no
            client, measured before and after: the speed of this machine, with all its other work.
        microseconds_heard: CPU time of this process for each message that a client heard, the ledger's work included.
        python: Version of the interpreter.
    """

    connections: int
    tls: bool
    kilobytes_each: float
    per_second: float
    per_cpu_second: float
    bare_per_cpu_second: float
    microseconds_heard: float
    python: str = platform.python_version()


async def measure(url: str, connections: int) -> Scale:
    """Open that many sockets as fast as possible.

    Raises:
        RuntimeError: Some were refused.
    """
    users = UserGroup(url, "scale")
    await users.join(arrivals(range(WARMED_UP)))
    seats = range(WARMED_UP, WARMED_UP + connections)
    bare_before = await bare_per_cpu_second(url)
    before, began_at, cpu = resident_bytes(), time.monotonic(), time.process_time()
    await users.join(arrivals(seats))
    seconds, cpu_seconds = time.monotonic() - began_at, time.process_time() - cpu
    each = (resident_bytes() - before) / connections
    if absent := users.absent():
        raise RuntimeError(f"{len(absent)} of {connections} sockets could not be opened: {users.progress()}")
    heard = await microseconds_heard(users, connections)
    await users.leave(seats, CloseMode.ABORT)
    await users.finish()
    return Scale(
        connections,
        url.startswith("wss"),
        round(each / 1024, 1),
        round(connections / seconds),
        round(connections / cpu_seconds),
        round((bare_before + await bare_per_cpu_second(url)) / 2),
        round(heard, 1),
    )


async def microseconds_heard(users: UserGroup, connections: int) -> float:
    """Return the CPU time for each message heard.

    Raises:
        RuntimeError: Some messages were not heard.
    """
    members = (WARMED_UP + connections) // ROOMS
    received, cpu = users.progress().received, time.process_time()
    await users.talk(Schedule(time.monotonic(), 0.01, MESSAGES, MESSAGE_CHARACTERS))
    await users.settle()
    cpu_seconds = time.process_time() - cpu
    heard = users.progress().received - received
    if heard < MESSAGES * members:
        raise RuntimeError(f"{heard} of {MESSAGES * members} messages were heard")
    return cpu_seconds / heard * 1e6


def arrivals(seats: range) -> list[Arrival]:
    """Let these seats join now, spread over the rooms."""
    return [Arrival(seat, f"room-{seat % ROOMS}", time.monotonic()) for seat in seats]


class BareConnection(asyncio.Protocol):
    """The least that a WebSocket handshake takes: one request written, anything received."""

    def __init__(self, answered: asyncio.Future[None]) -> None:
        self._answered = answered

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Write the request."""
        cast("asyncio.Transport", transport).write(BARE_REQUEST)

    def data_received(self, data: bytes) -> None:  # noqa: ARG002 - asyncio's signature
        """Accept any answer."""
        self._answered.set_result(None)


async def bare_per_cpu_second(url: str) -> float:
    """Return how many bare connections a second of this process's CPU time opens, one after the other."""
    parts, loop = urlsplit(url), asyncio.get_running_loop()
    assert parts.hostname is not None
    assert parts.port is not None
    tls = ssl.create_default_context() if parts.scheme == "wss" else None
    began_at = time.process_time()
    for _ in range(BARE_CONNECTIONS):
        answered = loop.create_future()
        transport, _ = await loop.create_connection(
            partial(BareConnection, answered), parts.hostname, parts.port, ssl=tls
        )
        await answered
        transport.abort()
    return BARE_CONNECTIONS / (time.process_time() - began_at)


def resident_bytes() -> int:
    """Return this process's memory that is in use, without garbage."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def stage(*, tls: bool) -> Iterator[str]:
    """Run a stage and, if it is encrypted, trust it."""
    if not tls:
        with running_stage() as url:
            yield url
        return
    with tempfile.TemporaryDirectory() as scratch, running_tls_stage(Path(scratch)) as (url, authority):
        os.environ["SSL_CERT_FILE"] = str(authority)
        yield url


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(prog="scale", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--connections", type=int, default=10_000, metavar="N")
    parser.add_argument("--tls", action="store_true", help="wss instead of ws")
    parser.add_argument("--asyncio", action="store_true", help="asyncio's event loop instead of uvloop's")
    parser.add_argument("--asyncio-buffers", action="store_true", help="read buffers of the size that asyncio chooses")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the JSON there too")
    options = parser.parse_args(arguments)
    prepare_process()
    if options.asyncio_buffers:
        SSLProtocol.max_size = ASYNCIO_READ_BUFFER
    run = asyncio.run if options.asyncio else uvloop.run
    with stage(tls=options.tls) as url:
        text = json.dumps(asdict(run(measure(url, options.connections)))) + "\n"
    sys.stdout.write(text)
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
