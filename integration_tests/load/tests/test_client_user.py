"""One simulated client of ``roomcast.v1``: what it does when its handshakes and its orders meet."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest
from roomcast_client import Refused, attempts
from roomcast_client.sockets import Socket

from integration_tests.harness.ledger import Ledger
from integration_tests.load.client_user import ClientUser
from integration_tests.load.manner import Manner
from integration_tests.load.recorder import Recorder
from integration_tests.load.tests.miniatures import served
from integration_tests.load.tests.remembering import Remembering
from integration_tests.load.virtual_user import CloseMode
from scripts.waiting import eventually, scaled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from roomcast_client.addresses import Addresses
    from roomcast_client.options import Options
    from roomcast_client.timers import Timers
    from websockets.asyncio.client import ClientConnection


@pytest.fixture
def url() -> Iterator[str]:
    """A correct stage."""
    with served(Remembering()) as address:
        yield address


class Meeting:
    """The second handshake ends while the first socket is being closed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked, self.accepted, self.may_end = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._connect, self._close, self._abort = attempts.connect, Socket.close, Socket.abort
        self._handshakes = 0
        monkeypatch.setattr(attempts, "connect", self.connect)
        monkeypatch.setattr(Socket, "close", lambda socket: self.close(socket))  # noqa: PLW0108 - binds the socket
        monkeypatch.setattr(Socket, "abort", lambda socket: self.abort(socket))  # noqa: PLW0108 - binds the socket

    async def connect(
        self, options: Options, addresses: Addresses, rooms: list[str], timers: Timers, *, is_first: bool
    ) -> ClientConnection:
        """As ``attempts.connect``; the second one waits."""
        self._handshakes += 1
        connection = await self._connect(options, addresses, rooms, timers, is_first=is_first)
        if self._handshakes == 2:
            self.asked.set()
            await self.may_end.wait()
            self.accepted.set()
        return connection

    async def close(self, socket: Socket) -> None:
        """As ``Socket.close``, after the second handshake."""
        self.may_end.set()
        await self.accepted.wait()
        await asyncio.sleep(0)  # so that the session takes it
        await self._close(socket)

    def abort(self, socket: Socket) -> None:
        """As ``Socket.abort``; the client notices it after the second handshake."""
        self.may_end.set()
        self._abort(socket)


@pytest.mark.parametrize("mode", CloseMode)
async def test_client_that_is_told_to_leave_closes_the_socket_of_a_handshake_under_way(
    mode: CloseMode, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder, meeting = Recorder(Ledger("run")), Meeting(monkeypatch)
    user = ClientUser(recorder, "lobby", "client-1", Manner(speaks_v1=True, lifetime=60))
    assert await user.join(url, time.monotonic()) is None
    assert user._session is not None
    user._session._roll()
    async with asyncio.timeout(scaled(10)):
        await meeting.asked.wait()

        await user.leave(mode)

    assert user._session.sockets == []
    assert not user.present
    await user.finish()


async def test_rollover_closes_a_socket_that_still_drains_since_the_one_before(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = ClientUser(Recorder(Ledger("run")), "lobby", "client-1", Manner(speaks_v1=True, lifetime=60))
    assert await user.join(url, time.monotonic()) is None
    session = user._session
    assert session is not None
    monkeypatch.setattr(session.outbox, "is_used", lambda _: True)  # an answer is late

    async def seen() -> tuple[int, int]:
        return user.generation, len(user._links)

    for generation in (2, 3):
        session._roll()
        await eventually(seen, (generation, 2), within=10, what="two sockets, the next one in use")

    await user.leave(CloseMode.ABORT)

    assert user._links == {}
    await user.finish()


async def test_client_that_is_refused_in_the_middle_has_not_left_by_itself(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object, **__: object) -> None:
        raise Refused

    recorder = Recorder(Ledger("run"))
    user = ClientUser(recorder, "lobby", "client-1", Manner(speaks_v1=True, lifetime=60))
    assert await user.join(url, time.monotonic()) is None
    assert user._session is not None
    monkeypatch.setattr(attempts, "connect", refuse)
    user._session._roll()

    async def present() -> bool:
        return user.present

    await eventually(present, expected=False, within=10, what="the end of the client")
    await user.finish()

    assert recorder.ledger.verdict().broken == 1


@pytest.mark.parametrize("method", ["heard", "joined", "posted", "handed_over"])
async def test_frame_that_cannot_be_recorded_is_unexpected(
    method: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KeyError("room")

    recorder = Recorder(Ledger("run"))
    user = ClientUser(recorder, "lobby", "client-1", Manner(speaks_v1=True, lifetime=60))
    monkeypatch.setattr(user, method, fail)

    refused = await user.join(url, time.monotonic())
    await user.say(time.monotonic(), size=0)
    await user.finish()

    assert refused == ("not in the room" if method == "joined" else None)
    assert recorder.ledger.verdict().total.unexpected > 0
    assert "it cannot be recorded: KeyError in fail, line " in recorder.ledger.verdict().examples[0]
