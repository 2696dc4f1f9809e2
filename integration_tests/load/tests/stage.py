"""A stage in miniature: Roomcast's wire protocol at the speed of an echo server, in a process of its own.

It stands for the system under test where the load tool itself is tested: it costs almost nothing, so that tests measure
the client, and it makes mistakes on command, which a run must notice.

    python -m integration_tests.load.tests.stage [--tls CERTIFICATE_FILE] [--lose N] [--repeat N] [--leak N] ...

It prints its port, and ends when standard input does, so it never outlives the process that started it.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import itertools
import json
import ssl
import sys
from asyncio.sslproto import SSLProtocol
from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from scripts.descriptors import allow_sockets

if TYPE_CHECKING:
    from collections.abc import Sequence

WEBSOCKET_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
LONGEST_SHORT_PAYLOAD = 125


class Faults(NamedTuple):
    """Mistakes at every n-th time, never where n is 0.

    Attributes:
        lose: A delivery does not take place.
        repeat: A delivery takes place twice.
        leak: A delivery goes to another room too.
        drop: A member that just received a message is disconnected.
        refuse: A handshake is answered with status 429.
        queue: Not how often, but for how many seconds messages are queued before they are delivered.
    """

    lose: int = 0
    repeat: int = 0
    leak: int = 0
    drop: int = 0
    refuse: int = 0
    queue: int = 0


class Stage:
    """The connected clients, by room."""

    def __init__(self, faults: Faults) -> None:
        self.rooms: defaultdict[str, set[Session]] = defaultdict(set)
        self.faults = faults
        self.connection_ids = itertools.count()
        self._deliveries = itertools.count(1)
        self._handshakes = itertools.count(1)

    def admits(self) -> bool:
        """Whether the next handshake is accepted."""
        return not _falls_on(next(self._handshakes), self.faults.refuse)

    def publish(self, room: str, text: str) -> int:
        """Send a message to everyone in a room, as well as the faults allow; return to how many."""
        members = [*self.rooms[room]]
        message = frame(TEXT, text.encode())
        if not any(self.faults):
            for member in members:
                member.write(message)
        else:
            for member in members:
                self._deliver(room, member, message)
        return len(members)

    def _deliver(self, room: str, member: Session, message: bytes) -> None:
        number = next(self._deliveries)
        if not _falls_on(number, self.faults.lose):
            member.write(message)
        if _falls_on(number, self.faults.repeat):
            member.write(message)
        if _falls_on(number, self.faults.leak):
            elsewhere = next((each for each in self.rooms if each != room and self.rooms[each]), None)
            if elsewhere is not None:
                next(iter(self.rooms[elsewhere])).write(message)
        if _falls_on(number, self.faults.drop):
            member.close()


class Session(asyncio.Protocol):
    """One connection."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.connection_id = f"{next(stage.connection_ids):015d}="
        self.room: str | None = None
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport's methods."""
        assert isinstance(transport, asyncio.Transport)
        self.write, self.close = transport.write, transport.close

    def connection_lost(self, exception: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Leave the room."""
        if self.room is not None:
            self.stage.rooms[self.room].discard(self)

    def data_received(self, data: bytes) -> None:
        """Take in the handshake, then frames."""
        self._received += data
        if self.room is None:
            self._open()
        while self.room is not None and (parsed := parse_frame(self._received)):
            opcode, payload, length = parsed
            self._received = self._received[length:]
            self._frame(opcode, payload)

    def _open(self) -> None:
        head, end, rest = self._received.partition(b"\r\n\r\n")
        if not end:
            return
        if not self.stage.admits():
            self.write(b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            self.close()
            return
        self._received = rest
        request, *lines = head.split(b"\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
        digest = hashlib.sha1(headers[b"sec-websocket-key"] + WEBSOCKET_GUID, usedforsecurity=False).digest()
        self.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
            + base64.b64encode(digest)
            + b"\r\n\r\n"
        )
        query = parse_qs(urlsplit(request.split(b" ")[1].decode()).query)
        self.room = query.get("room", ["default"])[0]
        self.stage.rooms[self.room].add(self)

    def _frame(self, opcode: int, payload: bytes) -> None:
        if opcode == TEXT:
            self._message(json.loads(payload))
        elif opcode == PING:
            self.write(frame(PONG, payload))
        elif opcode == CLOSE:
            self.write(frame(CLOSE, payload[:2]))
            self.close()

    def _message(self, message: dict[str, Any]) -> None:
        assert self.room is not None
        if message["action"] == "whoami":
            self._answer({"whoami": {"connectionId": self.connection_id, "room": self.room}})
            return
        if queue := self.stage.faults.queue:
            asyncio.get_running_loop().call_later(queue, self.stage.publish, self.room, message["data"])
            outcome: dict[str, int] = {"queued": True}
        else:
            outcome = {"delivered": self.stage.publish(self.room, message["data"]), "gone": 0, "failed": 0}
        if "id" in message:
            self._answer({"receipt": {"id": message["id"], **outcome}})

    def _answer(self, answer: dict[str, Any]) -> None:
        self.write(frame(TEXT, json.dumps(answer, separators=(",", ":")).encode()))


def frame(opcode: int, payload: bytes) -> bytes:
    """Build an unmasked frame, as servers send it (RFC 6455, section 5.2)."""
    if len(payload) <= LONGEST_SHORT_PAYLOAD:
        return bytes((0x80 | opcode, len(payload))) + payload
    if len(payload) < 1 << 16:
        return bytes((0x80 | opcode, 126)) + len(payload).to_bytes(2, "big") + payload
    return bytes((0x80 | opcode, 127)) + len(payload).to_bytes(8, "big") + payload


def parse_frame(data: bytes) -> tuple[int, bytes, int] | None:
    """Take apart a client's frame, which is masked and, from our client, never a fragment.

    Returns:
        Opcode, payload and the frame's length in bytes, or None if it is not complete yet.
    """
    if len(data) < 6:
        return None
    size, start = data[1] & 0x7F, 2
    if size > LONGEST_SHORT_PAYLOAD:
        start = 4 if size == 126 else 10
        size = int.from_bytes(data[2:start], "big")
    end = start + 4 + size
    if len(data) < end:
        return None
    mask = data[start : start + 4] * (size // 4 + 1)
    payload = int.from_bytes(data[start + 4 : end], "big") ^ int.from_bytes(mask[:size], "big")
    return data[0] & 0x0F, payload.to_bytes(size, "big"), end


def _falls_on(number: int, every: int) -> bool:
    return every > 0 and number % every == 0


async def serve(faults: Faults, tls: ssl.SSLContext | None) -> None:
    """Serve on a free port of 127.0.0.1, say which, and stop at the end of standard input."""
    stage = Stage(faults)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Session(stage), "127.0.0.1", 0, backlog=4096, ssl=tls)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="stage")
    parser.add_argument("--tls", metavar="FILE", help="serve wss:// with this certificate chain and key (PEM)")
    for fault in Faults._fields:
        parser.add_argument(f"--{fault}", type=int, default=0, metavar="N", help=f"{fault} every N-th time")
    options = parser.parse_args(arguments)
    tls = None
    if options.tls:
        SSLProtocol.max_size = 16 * 1024  # asyncio allocates as much for each connection
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(options.tls)
    allow_sockets()
    asyncio.run(serve(Faults(*(getattr(options, fault) for fault in Faults._fields)), tls))


if __name__ == "__main__":
    main()
