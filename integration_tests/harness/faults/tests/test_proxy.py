"""The proxy between a handler and an emulator, both played by these tests."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from integration_tests.harness.faults.control import FaultControl, running_proxy
from integration_tests.harness.faults.fields import RuleError
from integration_tests.harness.faults.kinds import Latency, LimitData, Reset, Sliced, SlowClose, Status, Timeout
from integration_tests.harness.faults.proxy import FaultProxy
from integration_tests.harness.faults.rule_book import Count
from integration_tests.harness.faults.rules import Rule
from integration_tests.harness.faults.wire import HangUpError, Message, read_message
from scripts.waiting import scaled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ANSWER = b"HTTP/1.1 200 OK\r\nServer: emulator\r\nContent-Length: 5\r\n\r\n"
ASKED = Message(["POST", "/", "HTTP/1.1"], {}, b"", b"", last=False)
SOON = 5.0


def post(number: int = 0, connection_id: str = "abc%3D") -> bytes:
    """Return a post to a connection as a handler signs and sends it."""
    head = (
        f"POST /_aws/execute-api/a1/live/@connections/{connection_id} HTTP/1.1\r\n"
        "Host: 127.0.0.1:4567\r\nAuthorization: AWS4-HMAC-SHA256 Credential=x\r\nContent-Length: 5\r\n\r\n"
    )
    return head.encode() + b"%05d" % number


def now() -> float:
    """Return the event loop's time, in seconds."""
    return asyncio.get_running_loop().time()


class Emulator:
    """Answers every request with its own body, and remembers the requests and their times."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.arrivals: list[float] = []
        self.connections = 0
        self.answer = ANSWER

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """Serve, and yield the base URL."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                request = await read_message(reader)
                self.requests.append(request.raw)
                self.arrivals.append(now())
                writer.write(self.answer + request.body)
                if b"Connection: close" in self.answer:
                    break
        except HangUpError:
            pass
        finally:
            writer.close()


class Handler:
    """One kept-alive connection of a handler to the proxy, which it takes for AWS."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, *requests: bytes) -> None:
        """Send requests without waiting for answers."""
        self.writer.write(b"".join(requests))

    async def answer(self) -> Message:
        """Return the next answer."""
        async with asyncio.timeout(scaled(SOON)):
            return await read_message(self.reader, asked=ASKED)

    async def ask(self, request: bytes) -> Message:
        """Send one request and return its answer."""
        self.send(request)
        return await self.answer()

    async def rest(self) -> bytes:
        """Return everything until the connection ends."""
        async with asyncio.timeout(scaled(SOON)):
            return await self.reader.read()


@pytest.fixture
def emulator() -> Emulator:
    """The emulator behind the proxy."""
    return Emulator()


@pytest.fixture
async def proxy(emulator: Emulator) -> AsyncIterator[FaultProxy]:
    """A proxy without rules, in this process."""
    async with emulator.listening() as upstream:
        proxy = FaultProxy(upstream)
        await proxy.start()
        yield proxy
        await proxy.close()


@asynccontextmanager
async def connected(proxy: FaultProxy | FaultControl) -> AsyncIterator[Handler]:
    """Open a connection to the proxy."""
    address = urlsplit(proxy.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    yield Handler(reader, writer)
    writer.close()


@pytest.fixture
async def handler(proxy: FaultProxy) -> AsyncIterator[Handler]:
    """A connection to the proxy."""
    async with connected(proxy) as handler:
        yield handler


async def test_requests_and_answers_pass_unchanged(handler: Handler, emulator: Emulator) -> None:
    answer = await handler.ask(post(7))
    assert answer.raw == ANSWER + b"00007"
    assert emulator.requests == [post(7)]


async def test_pipelined_requests_are_answered_in_order(handler: Handler, emulator: Emulator) -> None:
    handler.send(*(post(number) for number in range(50)))
    bodies = [(await handler.answer()).body for _ in range(50)]
    assert bodies == [b"%05d" % number for number in range(50)]
    assert emulator.connections == 1


async def test_an_answer_of_the_proxy_keeps_its_place_among_pipelined_ones(proxy: FaultProxy, handler: Handler) -> None:
    proxy.replace([Rule("gone", Status(410), connection_id="dead=")])
    handler.send(post(1), post(2, "dead%3D"), post(3))
    assert [(await handler.answer()).words[1] for _ in range(3)] == ["200", "410", "200"]


async def test_the_emulator_closing_its_connection_closes_the_handlers(handler: Handler, emulator: Emulator) -> None:
    emulator.answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\n"
    handler.send(post(1))
    assert await handler.rest() == emulator.answer + b"00001"


async def test_a_replaced_last_answer_leaves_the_handlers_connection_usable(
    proxy: FaultProxy, handler: Handler, emulator: Emulator
) -> None:
    emulator.answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\n"
    proxy.replace([Rule("throttled", Status(429), "after", limit=2)])
    assert [(await handler.ask(post(number))).words[1] for number in range(3)] == ["429", "429", "200"]
    assert emulator.connections == 3


async def test_an_emulator_that_is_down_looks_down() -> None:
    proxy = FaultProxy("http://127.0.0.1:1")
    await proxy.start()
    async with connected(proxy) as handler:
        handler.send(post())
        assert await handler.rest() == b""
    await proxy.close()


def test_an_upstream_must_be_an_http_url() -> None:
    with pytest.raises(ValueError, match="must be http://host:port"):
        FaultProxy("https://example.com")


@pytest.mark.parametrize(("when", "reached"), [("before", 0), ("after", 1)])
async def test_status_before_or_after_the_work_is_done(
    proxy: FaultProxy, handler: Handler, emulator: Emulator, when: str, reached: int
) -> None:
    proxy.replace([Rule("throttled", Status(429), when)])
    answer = await handler.ask(post())
    assert answer.words[1] == "429"
    assert answer.headers["x-amzn-errortype"] == "LimitExceededException"
    assert len(emulator.requests) == reached


@pytest.mark.parametrize("when", ["before", "after"])
async def test_latency_holds_the_request_or_its_answer_back(
    proxy: FaultProxy, handler: Handler, emulator: Emulator, when: str
) -> None:
    proxy.replace([Rule("slow", Latency(0.2, jitter=0.1), when)])
    sent_at = now()
    assert (await handler.ask(post(1))).body == b"00001"
    [arrived_at] = emulator.arrivals
    held_back = arrived_at - sent_at if when == "before" else now() - arrived_at
    assert held_back >= 0.09


@pytest.mark.parametrize(("when", "reached"), [("before", 0), ("after", 1)])
async def test_reset_is_a_reset(
    proxy: FaultProxy, handler: Handler, emulator: Emulator, when: str, reached: int
) -> None:
    proxy.replace([Rule("reset", Reset(), when)])
    handler.send(post())
    with pytest.raises(ConnectionResetError):
        await handler.rest()
    assert len(emulator.requests) == reached


@pytest.mark.parametrize(("when", "reached"), [("before", 0), ("after", 1)])
async def test_timeout_answers_nothing_and_closes_in_the_end(
    proxy: FaultProxy, handler: Handler, emulator: Emulator, when: str, reached: int
) -> None:
    proxy.replace([Rule("silent", Timeout(0.1), when)])
    began = now()
    handler.send(post(1), post(2))
    assert await handler.rest() == b""
    assert now() - began >= 0.09
    assert len(emulator.requests) == reached


async def test_timeout_without_end_lasts_until_the_handler_gives_up(proxy: FaultProxy, handler: Handler) -> None:
    proxy.replace([Rule("silent", Timeout())])
    handler.send(post())
    handler.writer.write_eof()
    assert await handler.rest() == b""


async def test_slow_close_answers_once_and_lingers(proxy: FaultProxy, handler: Handler, emulator: Emulator) -> None:
    proxy.replace([Rule("lingers", SlowClose(0.2), "after")])
    began = now()
    assert (await handler.ask(post(1))).body == b"00001"
    handler.send(post(2))
    assert await handler.rest() == b""
    assert now() - began >= 0.19
    assert len(emulator.requests) == 1


async def test_sliced_answers_come_whole_but_in_pieces(proxy: FaultProxy, handler: Handler) -> None:
    proxy.replace([Rule("sliced", Sliced(size=20, delay=0.02), "after")])
    handler.send(post(1), post(2))
    pieces = [await handler.reader.read(1000) for _ in range(3)]
    assert [len(piece) for piece in pieces] == [20, 20, 20]
    whole = ANSWER + b"00001" + ANSWER + b"00002"
    assert b"".join(pieces) + await handler.reader.readexactly(len(whole) - 60) == whole


async def test_limit_data_cuts_the_answer_off(proxy: FaultProxy, handler: Handler, emulator: Emulator) -> None:
    proxy.replace([Rule("truncated", LimitData(len(ANSWER) + 2), "after")])
    handler.send(post(1))
    assert await handler.rest() == ANSWER + b"00"
    assert len(emulator.requests) == 1


async def test_rules_change_under_an_open_connection(proxy: FaultProxy, handler: Handler) -> None:
    statuses = []
    for rules in ([], [Rule("gone", Status(410))], []):
        proxy.replace(rules)
        statuses.append((await handler.ask(post())).words[1])
    assert statuses == ["200", "410", "200"]


async def test_the_control_endpoint_replaces_rules_and_tells_counts(proxy: FaultProxy) -> None:
    async with connected(proxy) as control, connected(proxy) as handler:
        rules = [{"name": "gone", "fault": {"kind": "status", "status": 410}, "rate": 1.0, "limit": 2}]
        assert await call(control, "PUT", {"seed": 7, "rules": rules}) == {"counts": []}
        statuses = [(await handler.ask(post())).words[1] for _ in range(3)]
        assert statuses == ["410", "410", "200"]
        counts = [{"rule": "gone", "fault": "status", "when": "before", "matched": 3, "struck": 2}]
        told = await call(control, "GET")
        assert told["counts"] == counts
        assert [Rule.read(rule) for rule in told["rules"]] == [Rule("gone", Status(410), limit=2)]
        assert await call(control, "DELETE") == {"counts": counts}
        assert await call(control, "GET") == {"rules": [], "counts": []}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"rules": [{"name": "r", "fault": {"kind": "explode"}}]}, "kind must be one of"),
        ({"rules": 7}, "expected a JSON object"),
        ([], "expected a JSON object"),
    ],
)
async def test_rules_that_make_no_sense_change_nothing(proxy: FaultProxy, content: object, sentence: str) -> None:
    proxy.replace([Rule("stays", Reset())])
    async with connected(proxy) as control:
        assert sentence in (await call(control, "PUT", content))["message"]
    assert [count.rule for count in proxy.counts] == ["stays"]


async def call(control: Handler, method: str, content: object = None) -> Any:
    """Call the control endpoint and return its answer."""
    body = b"" if content is None else json.dumps(content).encode()
    head = f"{method} /_faults HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    return json.loads((await control.ask(head.encode() + body)).body)


async def test_a_proxy_in_a_process_of_its_own(emulator: Emulator) -> None:
    async with emulator.listening() as upstream:
        with running_proxy(upstream) as control:
            async with connected(control) as handler:
                assert (await handler.ask(post(1))).body == b"00001"
                assert control.replace([Rule("gone", Status(410))]) == []
                assert (await handler.ask(post(2))).words[1] == "410"
            assert control.counts == [Count("gone", "status", "before", 1, 1)]
            with pytest.raises(RuleError, match="name of its own"):
                control.replace([Rule("twice", Reset()), Rule("twice", Reset())])
            assert control.replace() == [Count("gone", "status", "before", 1, 1)]
            assert control.counts == []
