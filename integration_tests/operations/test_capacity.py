"""``roomcast capacity`` beside the throttles of an emulator whose account has small quotas.

A quota of requests is a token bucket: ``burst`` at once, and ``rate`` a second. Who needs more empties it at the moment
``t`` at which the first request is refused, and by then has needed ``rate * t + burst``. That number is compared with
the model's, for as many messages, pings and handshakes as were sent by then: how busy this machine is does not matter.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest
from roomcast_cli import dated, model
from websockets.exceptions import InvalidStatus

from integration_tests.harness.client import Client
from integration_tests.harness.cloudwatch import Logs
from integration_tests.harness.reconfigured import reconfigured
from integration_tests.targets.local import Local
from scripts.waiting import eventually, scaled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from integration_tests.harness.client import Message

pytestmark = [pytest.mark.without_target, pytest.mark.timeout(scaled(240))]

REQUESTS, REQUESTS_BURST = 50, 200
HANDSHAKES, HANDSHAKES_BURST = 5, 20
"""AWS's quotas a two-hundredth and a hundredth, with buckets of four seconds. A stall of this machine that is shorter
than that loses no tokens for long."""
QUOTAS = {
    **dated.values(dated.entries("quotas")),
    "requests_per_second": REQUESTS,
    "handshakes_per_second": HANDSHAKES,
}
AGREEMENT = 0.1
"""Share by which model and emulator may differ."""
HEARTBEAT = 30
"""Seconds: the shortest that the model takes. A client here pings every second, and stands for so many."""
THROTTLED = 429
"""Status of a handshake."""
NEVER = 60.0
"""Seconds after which nothing was refused."""


@pytest.fixture(scope="module")
def small() -> Iterator[Local]:
    """A stage in an account with small quotas."""
    quotas = {
        "ROOMCAST_EMULATOR_REQUESTS": f"{REQUESTS}:{REQUESTS_BURST}",
        "ROOMCAST_EMULATOR_HANDSHAKES": f"{HANDSHAKES}:{HANDSHAKES_BURST}",
    }
    with Local(**quotas) as target:
        yield target


class Room:
    """Members of a room of the stage.

    Attributes:
        clients: The members.
        refused_at: Unix time at which a client was told that there were too many requests; infinite before.
        received: Other messages so far.
    """

    def __init__(self, target: Local, name: str) -> None:
        self._url, self._name = target.deployment.websocket_url, name
        self.clients: list[Client] = []
        self.refused_at = math.inf
        self.received = 0

    async def __aenter__(self) -> Room:
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*(client.abort() for client in self.clients))

    async def join(self) -> None:
        """Connect a client.

        Raises:
            InvalidStatus: The handshake is refused.
        """
        self.clients.append(await Client.connect(self._url, self._name, on_message=self._see))

    async def fill(self, count: int) -> None:
        """Connect clients until there are so many, however long the account lets them wait."""

        async def is_full() -> bool:
            try:
                while len(self.clients) < count:
                    await self.join()
            except InvalidStatus as refused:
                if refused.response.status_code != THROTTLED:
                    raise
            return len(self.clients) == count

        await eventually(is_full, True, within=NEVER, every=1 / HANDSHAKES, what=f"{count} members")

    async def warm_up(self) -> None:
        """Have as many environments of the functions as this many clients need at the same time."""
        for client in self.clients:
            await client.send("ping")
        for client in self.clients[: len(self.clients) // 2]:
            await client.say("hello")
        answers = len(self.clients) + len(self.clients) // 2 * len(self.clients)

        async def received() -> int:
            return self.received

        await eventually(received, answers, within=NEVER, what="the answers to the first messages")

    def _see(self, message: Message) -> None:
        if "Too Many Requests" in message.text:
            self.refused_at = min(self.refused_at, time.time())
        else:
            self.received += 1


async def at_rate(rate: float, step: Callable[[int], Any]) -> None:
    """Do something so many times a second until it is cancelled; what comes late is made up for."""
    began_at = asyncio.get_running_loop().time()
    number = 0
    while True:
        await asyncio.sleep(began_at + number / rate - asyncio.get_running_loop().time())
        await step(number)
        number += 1


async def throttled_since(target: Local, began_at: float) -> float:
    """Return the Unix time at which a fan-out began that was told of too many requests; infinite if none was."""
    assert target.aws is not None
    logs = Logs(target.aws.logs, [target.deployment.outputs["log_group_names"]["sendmessage"]])
    lines = [line for line in await logs.records(began_at, "fan-out") if line.get("throttled")]
    return min(((line["timestamp"] - line["fanout_ms"]) / 1_000 for line in lines), default=math.inf)


def first(usage: model.Usage) -> model.Quota:
    """Return the quota that a stage in this account reaches first, according to the model."""
    return model.capacity(usage, QUOTAS)[0]


@pytest.fixture
async def rooms() -> AsyncIterator[AsyncExitStack]:
    """Rooms, whose members leave in the end."""
    async with AsyncExitStack() as stack:
        yield stack


async def test_requests_are_used_up_as_the_model_says(small: Local, rooms: AsyncExitStack) -> None:
    """Two fifths by heartbeats, three by the messages of a room."""
    members, pings, messages = 10, 15, 4
    room = await rooms.enter_async_context(Room(small, "requests"))
    await room.fill(members)
    # Posts that wait for functions to start would come late, when the bucket is full and takes no more tokens.
    await room.warm_up()
    await asyncio.sleep(REQUESTS_BURST / REQUESTS)  # the buckets fill again, and nothing tells
    sent: list[tuple[float, str]] = []

    async def ping(number: int) -> None:
        sent.append((time.time(), "ping"))
        await room.clients[number % members].send("ping")

    async def say(number: int) -> None:
        sent.append((time.time(), "message"))
        await room.clients[number % members].say("hello")

    began_at = time.time()
    load = [asyncio.create_task(at_rate(pings, ping)), asyncio.create_task(at_rate(messages, say))]

    async def is_throttled() -> bool:
        return min(room.refused_at, await throttled_since(small, began_at)) < math.inf

    try:
        await eventually(is_throttled, True, within=NEVER, every=0.5, what="a throttled request")
    finally:
        for task in load:
            task.cancel()
        await asyncio.gather(*load, return_exceptions=True)

    seconds = min(room.refused_at, await throttled_since(small, began_at)) - began_at
    by_then = [kind for at, kind in sent if at <= began_at + seconds]
    usage = model.Usage(
        connections=by_then.count("ping") / seconds * HEARTBEAT,
        room_size=members,
        messages_per_second=by_then.count("message") / seconds,
        heartbeat=HEARTBEAT,
        spread=model.LONGEST_SPREAD,
    )
    quota = first(usage)
    assert quota.quota == "requests_per_second"
    assert quota.is_short
    shown = REQUESTS + REQUESTS_BURST / seconds
    print(f"requests a second: the model says {quota.used:.1f}, the emulator shows {shown:.1f} after {seconds:.1f} s")
    # The few handshakes by which clients replace their connections do not come in this time.
    assert quota.used - quota.parts["handshakes"] == pytest.approx(shown, rel=AGREEMENT)


async def test_handshakes_are_used_up_as_the_model_says(small: Local, rooms: AsyncExitStack) -> None:
    """All clients of a stage return at once, within their spread."""
    spread, clients = 6, 60
    room = await rooms.enter_async_context(Room(small, "handshakes"))
    await asyncio.sleep(HANDSHAKES_BURST / HANDSHAKES)  # the bucket fills again, and nothing tells
    begun: list[float] = []
    refused: list[float] = []

    async def join(begins_at: float) -> None:
        try:
            await room.join()
        except InvalidStatus as error:
            if error.response.status_code != THROTTLED:
                raise
            refused.append(begins_at)

    async def begin(number: int) -> None:
        begun.append(time.time())
        handshakes.create_task(join(begun[-1]))
        if number + 1 == clients or refused:
            raise asyncio.CancelledError

    began_at = time.time()
    async with asyncio.TaskGroup() as handshakes:
        with pytest.raises(asyncio.CancelledError):
            await at_rate(clients / spread, begin)

    seconds = min(refused) - began_at
    by_then = sum(at <= began_at + seconds for at in begun)
    quota = first(model.Usage(by_then, room_size=1, messages_per_second=0, heartbeat=0, spread=seconds))
    assert quota.quota == "handshakes_per_second"
    assert quota.is_short
    shown = HANDSHAKES + HANDSHAKES_BURST / seconds
    print(f"handshakes a second: the model says {quota.used:.1f}, the emulator shows {shown:.1f} after {seconds:.1f} s")
    assert quota.used == pytest.approx(shown, rel=AGREEMENT)


@pytest.mark.long
async def test_time_of_a_fan_out_is_used_up_as_the_model_says(small: Local, rooms: AsyncExitStack) -> None:
    """The function's time ends before the last member has its message."""
    pace, members = 2.0, 60
    assert small.aws is not None
    logs = Logs(small.aws.logs, [small.deployment.outputs["log_group_names"]["sendmessage"]])
    room = await rooms.enter_async_context(Room(small, "fan-out"))
    await room.fill(members)
    began_at = time.time()
    arn = small.deployment.outputs["sendmessage_function_arn"]
    with reconfigured(small.aws.functions, [arn], lambda _: {"ROOMCAST_PACE": str(pace)}):
        await room.clients[0].say("hello")

        async def ended() -> list[dict[str, Any]]:
            return await logs.records(began_at, "fan-out")

        async def count() -> int:
            return len(await ended())

        await eventually(count, 1, within=NEVER, every=0.5, what="the end of the fan-out")
    [line] = await ended()

    quota = first(
        model.Usage(members, members, messages_per_second=0.001, heartbeat=0, spread=model.LONGEST_SPREAD, pace=pace)
    )
    assert quota.quota == "fanout_seconds"
    assert quota.is_short
    assert line["failed"] > 0
    print(
        f"members: the model says {quota.limit * pace:.0f}, the emulator shows {line['delivered']}: {json.dumps(line)}"
    )
    assert quota.limit * pace == pytest.approx(line["delivered"], rel=AGREEMENT)
    assert room.received >= line["delivered"]
