"""What scenarios cannot say: loops, errors and options of the Python client."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import subprocess
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import roomcast_client
from roomcast_client import Closed, Kicked, Last, Recovered, Refused, RoomcastError, Since, Unauthorized, frames
from roomcast_client.addresses import Addresses
from roomcast_client.frames import Limits
from roomcast_client.sends import Pending

from integration_tests.client_kit import virtual
from integration_tests.client_kit.server import Server
from integration_tests.harness.clock import ScaledClock
from scripts import clients

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

SEED = 1
SECOND = 1.0


def virtually(test: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    """Let a test run on virtual time."""

    def run() -> None:
        virtual.run(test())  # type: ignore[arg-type]

    return run


@asynccontextmanager
async def serving(**settings: Any) -> AsyncIterator[Server]:
    """A fake server."""
    server = Server(SEED, SECOND, lambda: None)
    for name, value in settings.items():
        setattr(server.settings, name, value)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
        await asyncio.sleep(1)


def connect(server: Server, rooms: Any = ("lobby",), **options: Any) -> roomcast_client.Client:
    """Return a client of a fake server."""
    given = {"clock": ScaledClock(SECOND), "random": random.Random(SEED), **options}  # noqa: S311 - repeatable
    return roomcast_client.connect(server.url, rooms=rooms, **given)


async def take(stream: Any, count: int) -> list[Any]:
    """Return the next items."""
    return [await anext(stream) for _ in range(count)]


@virtually
async def test_messages_are_kept_for_the_first_loop() -> None:
    async with serving() as server:
        await server.say("lobby", 3)
        async with connect(server, {"lobby": Last(2)}) as client:
            await server.say("lobby", 1)
            await asyncio.sleep(1)

            assert [message.data for message in await take(aiter(client), 3)] == ["m2", "m3", "m4"]


@virtually
async def test_each_loop_has_its_own_copy_of_its_rooms() -> None:
    async with serving() as server, connect(server, ("a", "b")) as client:
        both, only = client.messages(), client.messages("a")
        await server.say("b")
        await server.say("a")

        assert [message.room for message in await take(both, 2)] == ["b", "a"]
        assert [message.room for message in await take(only, 1)] == ["a"]


@virtually
async def test_slow_loop_loses_nothing_where_there_is_history() -> None:
    async with serving() as server, connect(server) as client:
        stream, events = client.messages(), client.events()
        await server.say("lobby", 3_500)
        await asyncio.sleep(200)  # heartbeats and healing while nothing is taken
        quiet = len([frame for frame in server.wire.frames if frame["action"] == "join"])
        async with asyncio.timeout(30):
            found = await take(stream, 3_500)

        assert [message.seq for message in found] == [*range(1, 3_501)]
        assert quiet < 5
        assert not [event for event in [await anext(events)] if isinstance(event, Recovered)]
        assert client.positions == {"lobby": Since("lobby-1", 3_500)}


@virtually
async def test_slow_loop_that_is_left_holds_up_no_other() -> None:
    async with serving() as server, connect(server) as client:
        stream, slow = client.messages(), client.messages()
        await server.say("lobby", 1_500)
        assert len(await take(stream, 1_000)) == 1_000
        await asyncio.sleep(10)
        del slow

        assert [message.seq for message in await take(stream, 500)] == [*range(1_001, 1_501)]


@virtually
async def test_client_without_a_loop_takes_no_more_than_its_share() -> None:
    async with serving() as server, connect(server) as client:
        await server.say("lobby", 2_500)
        await asyncio.sleep(10)
        position = client.positions["lobby"]

        assert position is not None
        assert position.seq == 1_000
        assert [message.seq for message in await take(aiter(client), 2_500)] == [*range(1, 2_501)]


@virtually
async def test_slow_loop_loses_the_oldest_without_history_and_is_told() -> None:
    async with serving(unkept=["chat"]) as server, connect(server, ["chat"]) as client:
        stream, events = client.messages(), client.events()
        await server.say("chat", 1_100)
        await asyncio.sleep(1)

        assert (await anext(stream)).data == "m101"
        assert Recovered("chat", complete=False, reason="slow") in await take(events, 3)


@virtually
async def test_slow_loop_gets_each_message_once_in_any_order() -> None:
    async with serving() as server, connect(server, order=False) as client:
        stream = client.messages()
        await server.say("lobby", 10, "lost")
        await server.say("lobby", 2_500)
        await asyncio.sleep(60)

        assert sorted(message.seq for message in await take(stream, 2_510)) == [*range(1, 2_511)]


@virtually
async def test_more_than_a_thousand_above_a_gap_are_read_again() -> None:
    async with serving() as server, connect(server) as client:
        stream = client.messages()
        server.faults.add("post", "drop", times=2, where={"type": "messages"})
        await server.say("lobby", 1, "lost")
        await server.say("lobby", 1_500)

        assert max(len(room.held) for room in client._session.memberships.rooms.values()) < 1_000
        assert [message.seq for message in await take(stream, 1_501)] == [*range(1, 1_502)]


@virtually
async def test_loops_end_when_the_client_is_closed() -> None:
    async with serving() as server, connect(server) as client:
        stream = client.messages()
        await server.say("lobby")
        await asyncio.sleep(1)
        await client.close()

        assert [message.data async for message in stream] == ["m1"]
        with pytest.raises(Closed):
            await client.send("lobby", "late")
        with pytest.raises(Closed):
            await client.join("news")


@virtually
async def test_loops_raise_that_the_client_was_kicked() -> None:
    async with serving() as server, connect(server) as client:
        events = client.events()
        await server.post(server.open()[0], {"type": "kicked", "reason": "spam", "until": 5})
        with pytest.raises(Kicked, match="spam") as caught:
            await anext(aiter(client))

        assert (caught.value.reason, caught.value.until) == ("spam", 5)
        assert client.state is caught.value
        assert [event async for event in events][-1] is caught.value


@virtually
async def test_refused_handshake_is_raised() -> None:
    async with serving(token="good") as server:
        with pytest.raises(Refused) as caught:
            await connect(server).__aenter__()

        assert caught.value.status == 401


def test_a_program_that_logs_everything_logs_neither_token_nor_messages(caplog: pytest.LogCaptureFixture) -> None:
    async def token() -> str:
        return "a-good-token"

    async def talk() -> None:
        async with serving(token="a-good-token") as server, connect(server, token=token) as client:
            await client.send("lobby", "a-secret")
            await take(aiter(client), 1)
            with pytest.raises(Refused):
                await connect(server, token=refused).__aenter__()

    async def refused() -> str:
        return "a-bad-token"

    caplog.set_level(logging.DEBUG)
    virtual.run(talk())

    told = [(each.name, each.getMessage()) for each in caplog.records]
    by = [name for name, text in told if "token" in text or "secret" in text]
    assert set(by) == {"websockets.server"}  # which is the fake server, and shows that everything was logged


@virtually
async def test_own_error_of_the_token_function_is_raised() -> None:
    async def token() -> str:
        raise Unauthorized("signed out")

    async with serving() as server:
        with pytest.raises(Unauthorized, match="signed out"):
            await connect(server, token=token).__aenter__()


@virtually
async def test_failing_token_function_is_told_of() -> None:
    async def token() -> str:
        raise ZeroDivisionError

    async with serving() as server:
        client = connect(server, token=token, timeout=5)
        events = client.events()
        with pytest.raises(TimeoutError):
            await client.__aenter__()

        assert "ZeroDivisionError" in str([event async for event in events][1])


@pytest.mark.parametrize(
    ("proxy", "reason"),
    [
        ("socks5h://user:secret@127.0.0.1:9", "SOCKS proxy"),
        ("ftp://user:secret@127.0.0.1:9", "scheme ftp isn't supported"),
        ("http://user:secret@127.0.0.1:port", "Port could not be cast to integer value as 'port'"),
    ],
)
def test_proxy_that_cannot_be_used_is_told_of_without_its_password(
    monkeypatch: pytest.MonkeyPatch, proxy: str, reason: str
) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("https_proxy", proxy)

    async def talk() -> None:
        async with serving() as server:
            client = connect(server, timeout=5)
            events = client.events()
            with pytest.raises(TimeoutError):
                await client.__aenter__()

            _, told, *_ = [event async for event in events]
            assert isinstance(told, RoomcastError)
            assert told.code == "proxy"
            assert str(told).startswith("the proxy in this machine's settings cannot be used: ")
            assert reason in str(told)
            assert "secret" not in str(told)

    virtual.run(talk())


@virtually
async def test_errors_of_the_application_are_not_wrapped() -> None:
    async with serving() as server:
        with pytest.raises(ZeroDivisionError):
            async with connect(server):
                raise ZeroDivisionError
        await asyncio.sleep(5)

        assert server.open() == []


def test_fault_of_the_client_itself_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "presence", lambda _: 1 / 0)
    virtual.run(faulty_life())


async def faulty_life() -> None:
    async with serving() as server:
        with pytest.raises(BaseExceptionGroup) as caught:  # noqa: PT012 - it ends the block
            async with connect(server):
                await server.post(server.open()[0], {"type": "presence", "room": "lobby", "count": 1})
                await asyncio.sleep(60)
        await asyncio.sleep(1)

        assert isinstance(caught.value.exceptions[0], ZeroDivisionError)
        assert server.open() == []


@virtually
async def test_cancelled_client_is_closed() -> None:
    async def live() -> None:
        async with connect(server):
            await asyncio.Event().wait()

    async with serving() as server:
        task = asyncio.ensure_future(live())
        await asyncio.sleep(5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(1)

        assert server.open() == []


@virtually
async def test_cancelled_message_that_was_not_sent_is_taken_back() -> None:
    async with serving() as server, connect(server) as client:
        server.faults.add("action", "delay", seconds=5, where={"action": "sendmessage"})
        first, second = (asyncio.ensure_future(client.send("lobby", each)) for each in ("first", "second"))
        await asyncio.sleep(1)
        first.cancel()
        second.cancel()
        await asyncio.sleep(20)
        await client.send("lobby", "third")

        assert [item["data"] for item in server.log("lobby").life.items.values()] == ["first", "third"]


@virtually
async def test_cancelled_join_is_taken_back() -> None:
    async with serving() as server, connect(server) as client:
        server.faults.add("action", "delay", seconds=5, where={"action": "join", "room": "news"})
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.join("news"), 1)
        await asyncio.sleep(10)

        assert list(client.positions) == ["lobby"]
        assert server.open()[0].rooms == {"lobby"}


@virtually
async def test_only_json_is_sent() -> None:
    async with serving() as server, connect(server) as client:
        for data, error in (({1, 2}, TypeError), (float("nan"), ValueError), ("\ud800", ValueError)):
            with pytest.raises(error):
                await client.send("lobby", data)  # type: ignore[arg-type]
        await client.send("lobby", "\x00\u2028")


class JumpingClock(ScaledClock):
    """A clock that can jump, as after a sleep of the machine: the wall clock alone, or both."""

    def __init__(self) -> None:
        super().__init__(SECOND)
        self.monotonic = self.slept = 0.0

    def now(self) -> float:
        """Return monotonic seconds."""
        return super().now() + self.monotonic

    def wall(self) -> float:
        """Return seconds of the wall clock."""
        return super().now() + self.slept


@pytest.mark.parametrize("stops", [True, False], ids=["monotonic clock stops", "both clocks run"])
def test_after_a_sleep_the_socket_is_proved_and_nothing_else_happens(*, stops: bool) -> None:
    async def test() -> None:
        clock = JumpingClock()
        async with serving() as server, connect(server, clock=clock) as client:
            server.faults.add("action", "dies_after_put", where={"action": "sendmessage"})
            server.faults.add("action", "delay", seconds=3, where={"action": "ping"})
            sending = asyncio.ensure_future(client.send("lobby", "hi"))
            await asyncio.sleep(1)
            clock.slept += 300
            clock.monotonic += 0 if stops else 300
            await asyncio.sleep(30)

            actions = [frame["action"] for frame in server.wire.frames]
            assert actions[:3] == ["join", "sendmessage", "ping"]
            assert actions.count("sendmessage") == 1
            assert len(server.handshakes) == 1
            assert client.state == roomcast_client.Open()
            assert (await sending).seq == 1

    virtual.run(test())


@virtually
async def test_no_message_is_sent_8_minutes_after_its_first_attempt() -> None:
    clock = JumpingClock()
    async with serving() as server, connect(server, clock=clock) as client:
        server.faults.add("action", "ignore", times=1, where={"action": "sendmessage"})
        sending = asyncio.ensure_future(client.send("lobby", "hi"))
        await asyncio.sleep(1)
        clock.slept += 500
        with pytest.raises(roomcast_client.OutcomeUnknown):
            await sending

        assert len([frame for frame in server.wire.frames if frame["action"] == "sendmessage"]) == 1


@virtually
async def test_sockets_that_were_lost_leave_no_task_behind() -> None:
    async with serving() as server, connect(server) as client:
        counts, events = [], client.events()
        for _ in range(5):
            await asyncio.sleep(60)
            counts.append(len(asyncio.all_tasks()))
            [member] = server.open()
            server.cut(member)
            while not isinstance(await anext(events), roomcast_client.Waiting):
                continue

        assert len(set(counts)) == 1


@virtually
async def test_number_that_python_does_not_read_holds_up_no_room() -> None:
    async with serving() as server, connect(server) as client:
        head = '{"type":"message","room":"lobby","epoch":"lobby-1","from":"eve","at":1'
        await server.raw(server.open()[0], f'{head},"seq":1,"data":{"9" * 5_000}}}')
        await server.raw(server.open()[0], f'{head},"seq":2,"data":{"9" * 300}}}')

        assert [message.data for message in await take(aiter(client), 2)] == [float("inf"), int("9" * 300)]


HOSTILE: list[dict[str, Any]] = [
    {"type": "reconnect", "url": "ws://127.0.0.1:99999/"},
    {"type": "reconnect", "url": "ws://127.0.0.1:port/"},
    {"type": "reconnect", "url": "ws://a..example.test/"},
    {"type": "reconnect", "url": f"ws://{'a' * 64}.example.test/"},
    {"type": "reconnect", "url": "ws://[::1"},
    {"type": "reconnect", "url": "ws://127.0.0.1/#fragment"},
    {"type": "reconnect", "url": "ws://x\x00y.example.test/"},
    {"type": "presence", "room": "lobby", "count": 1, "joined": [[[1]], None], "left": [{}]},
    {"type": "pong", "rooms": {"lobby": {"epoch": [], "seq": True}, "x": 5}},
    {"type": "kicked ", "until": 10**400},
    {"type": "joined", "room": "lobby", "epoch": "e", "seq": 2**53 - 1, "head": 2**53 - 1, "recovered": True},
    {"type": "joined", "room": "lobby", "limits": {"heal": 10**400, "expires": float("nan"), "rooms": 1e400}},
    {"type": "messages", "room": "lobby", "epoch": "e", "messages": [None, [], {"seq": 1}, {"seq": -1, "data": 1}]},
    {"type": "error", "code": "rate_limited", "id": "unknown", "room": "lobby"},
    {"type": "receipt", "id": "unknown", "room": "lobby", "seq": 5},
    {"type": "left", "id": "unknown", "room": "lobby"},
]


@pytest.mark.parametrize("frame", HOSTILE, ids=[f"{at}-{frame['type']}" for at, frame in enumerate(HOSTILE)])
def test_no_frame_ends_a_client(frame: dict[str, Any]) -> None:
    async def test() -> None:
        async with serving() as server, connect(server, hosts=[".example.test"]) as client:
            await asyncio.sleep(31)
            for _ in range(2):
                await server.raw(server.open()[0], json.dumps(frame))
            await asyncio.sleep(200)
            async with asyncio.timeout(600):
                await client.send("lobby", "hi")

    virtual.run(test())


@virtually
async def test_ever_new_epochs_fill_no_memory() -> None:
    async with serving() as server, connect(server) as client:
        server.faults.add("action", "ignore", where={"action": "join"})
        for number in range(1_500):
            said = f'{{"type":"message","room":"lobby","epoch":"e{number}","seq":1,"from":"eve","at":1,"data":1}}'
            await server.raw(server.open()[0], said)
        await asyncio.sleep(1)

        assert len(client._session.memberships.rooms["lobby"].foreign) == 1_000


@virtually
async def test_message_under_the_id_of_another_one_is_not_own() -> None:
    async with serving() as server, connect(server) as client:
        await client.send("lobby", "mine", id="0123456789abcdef")
        said = {"type": "message", "room": "lobby", "epoch": "lobby-1", "from": "eve", "at": 1, "data": "hers"}
        await server.raw(server.open()[0], json.dumps({**said, "seq": 2, "id": "0123456789abcdef"}))

        assert [(each.data, each.own) for each in await take(aiter(client), 2)] == [("mine", True), ("hers", False)]


@pytest.mark.parametrize(
    "rooms",
    [
        ["lobby", "no room"],
        ["\ud800"],
        [""],
        ["a" * 65],
        [5],
        {"lobby": Last(101)},
        {"lobby": Last(-1)},
        {"lobby": Since("", 1)},
        {"lobby": Since("e", -1)},
        {"lobby": Since("e", 2**53)},
        {"lobby": Since("\ud800", 1)},
    ],
)
def test_what_the_stage_would_refuse_for_all_rooms_is_refused_at_once(rooms: Any) -> None:
    with pytest.raises(ValueError, match=r"no (name|number|position) of"):
        roomcast_client.connect("wss://a/live", rooms=rooms)


@virtually
async def test_impossible_room_leaves_the_client_as_it_is() -> None:
    async with serving() as server, connect(server) as client:
        with pytest.raises(ValueError, match="no name of a room"):
            await client.join("\ud800")
        await client.send("lobby", "hi")

        assert list(client.positions) == ["lobby"]


ERRORS = """
from roomcast_client import errors
for kind in vars(errors).values():
    if isinstance(kind, type) and issubclass(kind, errors.RoomcastError):
        print(f"{kind.__name__}: {kind()}")
"""


def test_errors_have_their_sentences_without_docstrings() -> None:
    """`python -OO` leaves docstrings out."""
    texts = [
        subprocess.run(
            [sys.executable, *options, "-c", ERRORS],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(clients.FOLDERS)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for options in ([], ["-OO"])
    ]

    assert texts[0] == texts[1]
    assert "QueueFull: 100 messages or 1 MB are on their way without proof; wait for some of them." in texts[0]
    assert "Attributes" not in texts[0]


def test_secrets_are_in_no_text_of_the_options() -> None:
    client = roomcast_client.connect("wss://a/live", headers={"x-api-key": "SECRET"})
    item = Pending("id", "lobby", "SECRET", None, is_message=True, size=6)  # type: ignore[arg-type]

    assert "SECRET" not in f"{client} {client._session._options} {item}"


@virtually
async def test_redirect_is_not_followed() -> None:
    async with serving() as server:
        server.faults.add("handshake", "refuse", status=301, times=2)
        async with connect(server):
            assert {handshake["path"] for handshake in server.handshakes} == {"/live"}


@pytest.mark.parametrize(
    "url", ["http://a/live", "", [], "wss://", ["wss://a", "x"], "wss://a:99999", "wss://a..b", "wss://a/#b"]
)
def test_address_that_is_none_is_refused(url: Any) -> None:
    with pytest.raises(ValueError, match="wss://"):
        roomcast_client.connect(url)


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("wss://a.example/other", True),
        ("wss://A.EXAMPLE:8443/live", True),
        ("ws://a.example/live", False),
        ("wss://b.example/live", False),
        ("wss://named.test/live", True),
        ("wss://x.named.test/live", False),
        ("wss://x.below.test/live", True),
        ("wss://below.test/live", False),
        ("wss://evilbelow.test/live", False),
        ("wss://a.example@evil.test/live", False),
        ("wss://a.example\\@evil.test/live", False),
        ("https://a.example/live", False),
        ("//a.example/live", False),
        ("wss://[::1/live", False),
        ("wss://a.example:99999/live", False),
        ("wss://a.example:port/live", False),
        ("wss://x..below.test/live", False),
        ("wss://a.example/live#fragment", False),
        ("", False),
    ],
)
async def test_stage_may_move_a_client_to_allowed_hosts_alone(url: str, *, allowed: bool) -> None:
    addresses = Addresses("wss://a.example/live", ["named.test", ".below.test"])
    await addresses.next([])

    assert addresses.may_move(url) is allowed


async def test_address_function_is_called_with_the_rooms() -> None:
    asked = []

    async def url(rooms: Any) -> str:
        asked.append(rooms)
        return "ws://a/live"

    assert await Addresses(url, ()).next(["lobby"]) == "ws://a/live"
    assert asked == [["lobby"]]


def test_limits_of_the_stage_have_bounds() -> None:
    assert Limits.read(
        {"heartbeat": 1, "heal": 10**9, "spread": -5, "frame": 10**9, "rooms": 0, "expires": 1}
    ) == Limits(heartbeat=30, heal=60, spread=0, frame=131_072, rooms=1, expires=60)
    assert Limits.read({"heartbeat": "x", "rooms": None, "heal": True}) == Limits()


@virtually
async def test_present_has_the_names_where_all_are_known() -> None:
    async with serving(watched=["lobby"]) as server, connect(server, ("lobby", "news")) as client:
        assert client.present == {"lobby": None}
        await asyncio.sleep(1)
        assert client.present == {"lobby": frozenset({"alice", "bob"})}
        await server.tell("lobby", server.attendance("lobby").change(["carol"], ["bob"]))
        await asyncio.sleep(1)
        assert client.present == {"lobby": frozenset({"alice", "carol"})}
        await server.tell("lobby", server.attendance("lobby").crowd(600))
        await asyncio.sleep(1)
        assert client.present == {"lobby": None}
        assert (await client.who("lobby")).count == 600
        assert client.present == {"lobby": None}
        await client.leave("lobby")
        assert client.present == {}


@virtually
async def test_odd_frames_about_presence_change_nothing() -> None:
    async with serving(watched=["lobby"]) as server, connect(server) as client:
        await asyncio.sleep(1)
        [member] = server.open()
        versions: tuple[object, ...] = (True, -1, 1.5, "9", 2**60, None, [], {})
        for version in versions:
            await server.post(member, {"type": "pong", "rooms": {"lobby": {"presence": version}, "x": 1}})
            for kind, more in (("presence", {"joined": ["eve"]}), ("members", {"id": "x", "members": ["eve"]})):
                if version is not None:
                    await server.post(member, {"type": kind, "room": "lobby", "version": version, "count": 1, **more})
        await asyncio.sleep(70)
        assert client.present == {"lobby": frozenset({"alice", "bob"})}
