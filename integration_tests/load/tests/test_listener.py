"""The client of load runs against frames in every shape and split, and servers that misbehave."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import itertools
import json
import math
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.frames import Frame, Opcode

from integration_tests.load.frames import MAXIMUM_MESSAGE_BYTES
from integration_tests.load.listener import Listener
from integration_tests.load.tests.stage import WEBSOCKET_GUID, frame
from scripts.waiting import eventually, scaled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

WITHIN = 20.0


class Transport:
    """Collects the bytes that a listener writes."""

    def __init__(self) -> None:
        self.written = b""
        self.closed = False

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


class Heard:
    """A listener that is fed by the test."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.transport = Transport()
        self.listener = Listener(lambda text, _at: self.texts.append(text))
        self.listener._transport = cast("asyncio.Transport", self.transport)

    def feed(self, data: bytes, cuts: Sequence[int] = ()) -> None:
        places = [0, *sorted({cut % (len(data) + 1) for cut in cuts}), len(data)]
        for start, end in itertools.pairwise(places):
            if not self.transport.closed:
                self.listener.data_received(data[start:end])


def fragment(first: int, payload: bytes) -> bytes:
    return bytes((first,)) + frame(0, payload)[1:]


STREAMS: dict[str, tuple[bytes, list[str]]] = {
    "texts of every form of length": (
        frame(1, b"") + frame(1, b"a" * 125) + frame(1, b"b" * 126) + frame(1, b"c" * 70_000),
        ["", "a" * 125, "b" * 126, "c" * 70_000],
    ),
    "characters of several bytes": (frame(1, "é漢😀".encode()), ["é漢😀"]),
    "binary, and bytes that are no text": (frame(2, b"abc") + frame(2, b"\xff"), ["abc", "\\xff"]),
    "fragments with a ping between": (
        fragment(0x01, "h\u00e9".encode()[:2]) + frame(9, b"?") + fragment(0x00, b"\xa9l") + fragment(0x80, b"lo"),
        ["héllo"],
    ),
    "binary fragments": (fragment(0x02, b"a") + fragment(0x80, b"b") + frame(1, b"c"), ["ab", "c"]),
    "pongs": (frame(10, b"unasked") + frame(1, b"a"), ["a"]),
}
VIOLATIONS: dict[str, tuple[bytes, int]] = {
    "a masked frame": (Frame(Opcode.TEXT, b"a").serialize(mask=True), 1002),
    "a reserved bit": (fragment(0xC1, b"a"), 1002),
    "an unknown opcode": (fragment(0x83, b"a"), 1002),
    "an unknown control frame": (fragment(0x8B, b""), 1002),
    "a ping in fragments": (fragment(0x09, b""), 1002),
    "a long ping": (frame(9, b"a" * 126), 1002),
    "a continuation of nothing": (fragment(0x80, b"a"), 1002),
    "a text within a message": (fragment(0x01, b"a") + frame(1, b"b"), 1002),
    "a text that is none": (frame(1, b"\xff"), 1007),
    "fragments that are none": (fragment(0x01, b"\xff") + fragment(0x80, b""), 1007),
    "a frame too long": (b"\x81\x7f" + (MAXIMUM_MESSAGE_BYTES + 1).to_bytes(8, "big"), 1009),
    "fragments too long": (fragment(0x01, b"a" * MAXIMUM_MESSAGE_BYTES) + fragment(0x00, b"b"), 1009),
}


@pytest.mark.parametrize("name", STREAMS)
@given(cuts=st.lists(st.integers(0, 100_000), max_size=6))
def test_messages_are_heard_in_any_split(name: str, cuts: list[int]) -> None:
    heard = Heard()
    stream, texts = STREAMS[name]

    heard.feed(stream, cuts)

    assert heard.texts == texts
    assert not heard.transport.closed


@pytest.mark.parametrize("name", [name for name, (stream, _) in STREAMS.items() if len(stream) < 1_000])
def test_messages_are_heard_byte_by_byte(name: str) -> None:
    heard = Heard()
    stream, texts = STREAMS[name]

    heard.feed(stream, range(len(stream)))

    assert heard.texts == texts


@pytest.mark.parametrize("name", VIOLATIONS)
@given(cuts=st.lists(st.integers(0, 100_000), max_size=3))
def test_violation_ends_the_connection_and_is_named(name: str, cuts: list[int]) -> None:
    heard = Heard()
    stream, code = VIOLATIONS[name]

    heard.feed(stream, cuts)

    assert heard.transport.closed
    assert heard.listener.close_code == code
    assert heard.texts == []
    assert sent(heard.transport.written) == [(Opcode.CLOSE, code.to_bytes(2, "big"))]


def test_ping_is_answered_with_its_payload() -> None:
    heard = Heard()

    heard.feed(frame(9, b"are you there"))

    assert sent(heard.transport.written) == [(Opcode.PONG, b"are you there")]


@pytest.mark.parametrize(("payload", "code"), [(b"\x03\xe9going away", 1001), (b"", 1005)])
def test_close_of_the_server_is_answered_and_nothing_after_it_is_heard(payload: bytes, code: int) -> None:
    heard = Heard()

    heard.feed(frame(8, payload) + frame(1, b"late"))

    assert heard.transport.closed
    assert heard.listener.close_code == code
    assert heard.texts == []
    assert sent(heard.transport.written) == [(Opcode.CLOSE, payload[:2])]


def sent(data: bytes) -> list[tuple[int, bytes]]:
    """The frames in it, which are all masked, as a client's must be."""
    frames = []
    while data:
        assert data[1] & 0x80
        length, start = data[1] & 0x7F, 2
        if length > 125:
            start = 4 if length == 126 else 10
            length = int.from_bytes(data[2:start], "big")
        mask, end = data[start : start + 4], start + 4 + length
        frames.append((data[0] & 0x0F, bytes(b ^ mask[i % 4] for i, b in enumerate(data[start + 4 : end]))))
        data = data[end:]
    return frames


@asynccontextmanager
async def serving(behave: Callable[[ServerConnection], Awaitable[None]]) -> AsyncIterator[str]:
    async with serve(behave, "127.0.0.1", 0) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def connected(url: str, texts: asyncio.Queue[str] | None = None, room: str | None = "r") -> Listener:
    heard: asyncio.Queue[str] = texts or asyncio.Queue()
    return await Listener.connect(url, room, lambda text, _at: heard.put_nowait(text), WITHIN)


async def test_messages_go_both_ways() -> None:
    asked: list[Any] = []

    async def echo(connection: ServerConnection) -> None:
        assert connection.request is not None
        asked.append(connection.request.path)
        async for message in connection:
            asked.append(json.loads(message))
            await connection.send(json.loads(message)["data"])

    texts: asyncio.Queue[str] = asyncio.Queue()
    async with serving(echo) as url:
        began = time.monotonic()
        listener = await connected(url, texts, "a room")
        assert began < listener.connected_at < time.monotonic()
        await listener.say("hello world", id="7")
        await listener.say("x" * 100_000, id="8")
        assert [await heard(texts), await heard(texts)] == ["hello world", "x" * 100_000]
        assert listener.is_open
        await listener.close()

    assert asked[:2] == ["/?room=a%20room", {"action": "sendmessage", "data": "hello world", "id": "7"}]
    assert began < listener.ended_at < math.inf
    assert listener.close_code == 1000
    with pytest.raises(ConnectionClosedError):
        await listener.say("late", id="9")


async def heard(texts: asyncio.Queue[str]) -> str:
    return await asyncio.wait_for(texts.get(), scaled(WITHIN))


async def gone(listener: Listener) -> None:
    async def is_open() -> bool:
        return listener.is_open

    await eventually(is_open, expected=False, within=WITHIN)


async def fill(listener: Listener) -> None:
    """Send until the system takes no more."""
    with suppress(TimeoutError):
        while True:
            await asyncio.wait_for(listener.say("x" * 1_000_000, id="1"), 0.5)


async def test_end_by_the_server_is_noted() -> None:
    async def leave(connection: ServerConnection) -> None:
        await connection.close(4001)

    async with serving(leave) as url:
        listener = await connected(url)
        await gone(listener)

    assert listener.close_code == 4001


async def test_connection_that_breaks_is_noted_as_abnormal() -> None:
    async def drop(connection: ServerConnection) -> None:
        connection.transport.abort()

    async with serving(drop) as url:
        try:
            listener = await connected(url)
        except ConnectionClosedError:
            return  # it was gone with the handshake
        await gone(listener)

    assert listener.close_code == 1006


async def test_abort_is_a_reset_without_a_close_frame() -> None:
    ended: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()

    async def listen(connection: ServerConnection) -> None:
        await connection.wait_closed()
        ended.set_result(connection.close_code)

    async with serving(listen) as url:
        listener = await connected(url)
        await listener.abort()
        assert not listener.is_open
        assert await asyncio.wait_for(ended, scaled(WITHIN)) == 1006


REFUSAL = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 8\r\n\r\nslow\r\n\r\n"
REFUSALS_HEAD = len(REFUSAL) - 8


@pytest.mark.parametrize("stays_open", [False, True])
@pytest.mark.parametrize("cut", [10, REFUSALS_HEAD - 1, REFUSALS_HEAD, REFUSALS_HEAD + 3, len(REFUSAL)])
async def test_refusal_is_raised_with_its_status_wherever_its_segments_end(cut: int, *, stays_open: bool) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(REFUSAL[:cut])
        await writer.drain()
        await asyncio.sleep(0.01)  # a pause, so that the rest is a piece of its own; nothing depends on its length
        writer.write(REFUSAL[cut:])
        if stays_open:
            await asyncio.Event().wait()
        writer.close()

    async with raw_server(refuse) as url:
        with pytest.raises(InvalidStatus) as refusal:
            await connected(url)

    assert (refusal.value.response.status_code, refusal.value.response.body) == (429, b"slow\r\n\r\n")


@pytest.mark.parametrize("cut", [*range(-8, 9), 1_000])
async def test_message_that_comes_with_the_handshakes_answer_is_heard(cut: int) -> None:
    """The answer's head and the frames behind it arrive in two pieces, cut anywhere around the seam."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await answer(reader)
        data = head + frame(1, b"first") + frame(1, b"second")
        writer.write(data[: len(head) + cut])
        await writer.drain()
        await asyncio.sleep(0.01)  # a pause, so that the rest is a piece of its own; nothing depends on its length
        writer.write(data[len(head) + cut :])
        await reader.read()
        writer.close()

    texts: asyncio.Queue[str] = asyncio.Queue()
    async with raw_server(behave) as url:
        listener = await connected(url, texts)
        assert [await heard(texts), await heard(texts)] == ["first", "second"]
        await listener.abort()


async def test_sender_waits_while_the_server_reads_nothing() -> None:
    may_read = asyncio.Event()

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await answer(reader))
        await may_read.wait()
        await reader.read()
        writer.close()

    async with raw_server(behave) as url:
        listener = await connected(url)
        await fill(listener)
        assert listener.is_open
        waiting = asyncio.create_task(listener.say("x", id="2"))
        may_read.set()
        await asyncio.wait_for(waiting, scaled(WITHIN))
        await listener.abort()


async def test_sender_that_waits_learns_of_the_end() -> None:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await answer(reader))
        await asyncio.Event().wait()

    async with raw_server(behave) as url:
        listener = await connected(url)
        await fill(listener)
        waiting = asyncio.create_task(listener.say("x", id="2"))
        await asyncio.sleep(0)
        await listener.abort()
        with pytest.raises(ConnectionClosedError):
            await asyncio.wait_for(waiting, scaled(WITHIN))


async def answer(reader: asyncio.StreamReader) -> bytes:
    """Read a request; return the answer that accepts it."""
    head = await reader.readuntil(b"\r\n\r\n")
    key = next(line.split(b": ")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key"))
    digest = hashlib.sha1(key + WEBSOCKET_GUID, usedforsecurity=False).digest()
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
        + base64.b64encode(digest)
        + b"\r\n\r\n"
    )


@asynccontextmanager
async def raw_server(
    behave: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[str]:
    tasks: set[asyncio.Task[Any]] = set()

    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(cast("asyncio.Task[Any]", asyncio.current_task()))
        try:
            await behave(reader, writer)
        finally:
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()

    server = await asyncio.start_server(run, "127.0.0.1", 0)
    try:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
