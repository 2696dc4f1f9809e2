"""The idle timeout and the lifetime of a connection, 10 minutes and 2 hours shortened to fractions of a minute."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError
from websockets.exceptions import ConnectionClosed

from scripts.local.ministack.tests.apis import RECORD_EVENTS, Api, deploy
from scripts.local.ministack.tests.conftest import CORRECTED, running
from scripts.waiting import eventually, scaled

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from websockets.asyncio.client import ClientConnection

FACTOR = 0.001 * scaled(1)
IDLE = 600 * FACTOR
LIFETIME = 7200 * FACTOR
GOING_AWAY = (1001, "Going away")


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a corrected MiniStack with short limits."""
    with running(CORRECTED, tmp_path_factory.mktemp("impatient"), ROOMCAST_EMULATOR_LIMITS_FACTOR=str(FACTOR)) as url:
        yield url


async def closed(socket: ClientConnection, within: float) -> tuple[int, str]:
    """Return the server's close code and reason."""
    with pytest.raises(ConnectionClosed) as closed:
        await asyncio.wait_for(socket.recv(), within)
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code, closed.value.rcvd.reason


async def test_an_idle_connection_is_closed(impatient: str, tmp_path: Path) -> None:
    api = deploy(impatient, tmp_path, RECORD_EVENTS, routes=["$disconnect"])
    loop = asyncio.get_running_loop()
    before = loop.time()
    async with api.connect() as socket:
        connected = loop.time()
        assert await closed(socket, within=LIFETIME + scaled(5)) == GOING_AWAY
        ended = loop.time()
    assert ended - before >= IDLE
    # A busy machine may be late, but not by the rest of a whole lifetime.
    assert ended - connected < LIFETIME
    await eventually(api.number_recorded, 1, within=10)
    context = api.events()[0]["requestContext"]
    assert (context["disconnectStatusCode"], context["disconnectReason"]) == GOING_AWAY


async def test_a_connection_in_use_lives_on_to_its_lifetime(impatient: str, tmp_path: Path) -> None:
    for _ in range(5):
        lived, longest_silence = await lifetime_of_a_talker(deploy(impatient, tmp_path, RECORD_EVENTS))
        if lived >= LIFETIME:
            return
        # On a busy machine the client may have been silent too long; then the idle time-out is right.
        assert longest_silence > IDLE / 2, (
            f"closed after {lived:g} s, never silent for longer than {longest_silence:g} s"
        )
    pytest.fail("this machine is too busy to keep a connection in use")


async def lifetime_of_a_talker(api: Api) -> tuple[float, float]:
    """Keep a connection in use until the server closes it; return its lifetime and its longest silence, in seconds."""
    loop = asyncio.get_running_loop()
    async with api.connect() as socket:
        spoke_at = [loop.time()]
        (event,) = api.events("CONNECT")
        talking = asyncio.create_task(talk(api, socket, event["requestContext"]["connectionId"], spoke_at))
        assert await closed_after_messages(socket) == GOING_AWAY
        talking.cancel()
        with suppress(asyncio.CancelledError, ConnectionClosed, ClientError):
            await talking
    times = [*spoke_at, loop.time()]
    return times[-1] - times[0], max(later - earlier for earlier, later in itertools.pairwise(times))


async def talk(api: Api, socket: ClientConnection, connection_id: str, spoke_at: list[float]) -> None:
    """Keep a connection in use, in one direction for the first half of its lifetime, then in the other.

    Args:
        api: The API.
        socket: The connection.
        connection_id: Its id.
        spoke_at: Receives the times of sending, in seconds of the event loop.
    """
    management = api.management()
    loop = asyncio.get_running_loop()
    half = loop.time() + LIFETIME / 2
    while True:
        if loop.time() < half:
            await socket.send("still here")
        else:
            await asyncio.to_thread(management.post_to_connection, ConnectionId=connection_id, Data=b"still here")
        spoke_at.append(loop.time())
        await asyncio.sleep(IDLE / 10)


async def closed_after_messages(socket: ClientConnection) -> tuple[int, str]:
    """Receive until the server closes; return its code and reason."""
    async with asyncio.timeout(LIFETIME + scaled(5)):
        async for _ in socket:
            pass
    assert socket.close_code is not None
    assert socket.close_reason is not None
    return socket.close_code, socket.close_reason
