"""One simulated client: which times it records, and how it handles the texts that it gets."""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Self, cast

import pytest

from integration_tests.harness.ledger import NO_QUESTION, Ledger
from integration_tests.load.listener import Listener
from integration_tests.load.recorder import Recorder
from integration_tests.load.replies import Replies
from integration_tests.load.terms import TERMS
from integration_tests.load.user_group import Schedule, UserGroup
from integration_tests.load.virtual_user import CloseMode, VirtualUser
from scripts.waiting import scaled

if TYPE_CHECKING:
    from collections.abc import Callable

URL = "wss://stage.example/live"


class FakeClient:
    """A connection that a test ends, and through which it says something to the client.

    Attributes:
        take: Called with each text and its time.
        close_code: As of ``Listener``.
        closing: Moments at which a close began.
    """

    close_code = 1006

    def __init__(self, take: Callable[[str, float], None]) -> None:
        self.take = take
        self.connected_at = time.monotonic()
        self.ended_at = math.inf
        self.closing: list[float] = []

    @classmethod
    async def connect(cls, _url: str, _room: str, on_message: Callable[[str, float], None], within: float) -> Self:
        """As ``Listener.connect``."""
        assert within > 0
        return cls(on_message)

    async def close(self) -> None:
        """As ``Listener.close``, and also as ``Listener.abort``."""
        self.closing.append(time.monotonic())
        await asyncio.sleep(0)
        self.ended_at = time.monotonic()

    abort = close


@pytest.fixture
def recorder() -> Recorder:
    return Recorder(Ledger("run"))


@pytest.fixture
def user(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> VirtualUser:
    """A client that is not yet connected."""
    monkeypatch.setattr(Listener, "connect", FakeClient.connect)
    return VirtualUser(recorder, "lobby", "client-1")


async def joined(user: VirtualUser, due: float | None = None) -> FakeClient:
    """Connect; return the connection."""
    assert await user.join(URL, time.monotonic() if due is None else due) is None
    return cast("FakeClient", user._client)


async def test_handshake_is_timed_from_when_it_was_due(user: VirtualUser, recorder: Recorder) -> None:
    """Otherwise a stage that makes clients queue up would look fast."""
    await joined(user, due=time.monotonic() - 5)

    assert recorder.connects.times.percentiles().max_ms >= 4_990


async def test_handshake_is_late_by_its_own_time_alone(
    user: VirtualUser, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that was behind its schedule says nothing of the stage."""
    recorder.ledger.terms, late_after = TERMS, TERMS.late_after
    await joined(user, due=time.monotonic() - 2 * late_after)
    assert recorder.connects.late == 0

    class SlowClient(FakeClient):
        def __init__(self, take: Callable[[str, float], None]) -> None:
            super().__init__(take)
            self.connected_at += late_after + 1

    monkeypatch.setattr(Listener, "connect", SlowClient.connect)
    await joined(user)
    assert recorder.connects.late == 1


@pytest.mark.parametrize("mode", CloseMode)
async def test_close_begins_before_the_connection_is_gone(
    user: VirtualUser, recorder: Recorder, mode: CloseMode
) -> None:
    """A frame that comes while it closes is neither owed nor a fault, and its end is no broken connection."""
    client = await joined(user)
    await user.leave(mode)

    (member,) = recorder.ledger._room("lobby").members
    assert member.asked_at <= member.joined_at <= member.leaving_at <= client.closing[0] <= member.left_at < math.inf
    assert not member.broken
    assert recorder.ledger.verdict().broken == 0


async def test_end_that_the_client_did_not_want_is_a_broken_connection(user: VirtualUser, recorder: Recorder) -> None:
    client = await joined(user)
    client.ended_at = time.monotonic()
    await user.leave(CloseMode.CLOSE)

    assert recorder.ledger.verdict().broken == 1
    assert "close code 1006" in next(iter(recorder.events))


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ('{"error":{"code":"too_large"}}', NO_QUESTION),
        ('{"message": "Internal server error", "connectionId":"a", "requestId":"b"}', NO_QUESTION),
        ('{"whoami":{}}', "not a message of this run"),
        ("hello", "not a message of this run"),
        ("", "not a message of this run"),
    ],
)
async def test_text_that_nothing_asked_for_is_unexpected(
    user: VirtualUser, recorder: Recorder, text: str, origin: str
) -> None:
    (await joined(user)).take(text, time.monotonic())

    assert recorder.ledger.verdict().total.unexpected == 1
    assert recorder.ledger._room("lobby").strays == {origin: 1}
    assert recorder.messages == 1


async def test_text_that_cannot_be_recorded_is_unexpected(
    user: VirtualUser, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise KeyError("room")

    monkeypatch.setattr(Replies, "take", fail)

    (await joined(user)).take("{}", time.monotonic())

    assert recorder.ledger.verdict().total.unexpected == 1
    assert "it cannot be recorded: KeyError in fail, line " in recorder.ledger.verdict().examples[0]


async def test_messages_are_due_at_equal_distances_however_late_they_are_sent() -> None:
    """Latency counts from the moment that a message was due, or a stage that holds senders up would look fast."""
    said: list[tuple[float, int]] = []

    class Speaker:
        present = True
        unanswered = 0

        async def say(self, due: float, size: int, words: str) -> None:
            assert not words
            said.append((due, size))

    users = UserGroup(URL, "run")
    users._users[0] = cast("VirtualUser", Speaker())
    at = time.monotonic() - 60
    await users.talk(Schedule(at, 0.5, 4, 300))
    users._users.clear()
    await users.finish()

    assert said == [(at + number * 0.5, 300) for number in range(4)]


async def test_message_that_no_client_could_send_is_counted_and_marked() -> None:
    users = UserGroup(URL, "run", terms=replace(TERMS, patience=0.05))
    await users.talk(Schedule(time.monotonic(), 0.0, 3, 300))
    result = await users.finish()

    assert result.ledger.verdict().total.unsent == 3
    assert [*result.events] == ["no client was connected to send a message that was due"]


def test_arrivals_are_noted_and_marks_are_few(recorder: Recorder) -> None:
    """A stage may invent new errors without end, and more marks could not be told apart."""
    for number in range(1_000):
        recorder.received(float(number))
        recorder.first(f"answer: {number}")
    recorder.first("answer: 0")

    assert (recorder.messages, recorder.last_message_at) == (1_000, 999.0)
    labels = [event.label for event in recorder.events.values()]
    assert labels == [f"answer: {number}" for number in range(len(labels))]
    assert 10 <= len(labels) <= 100


@pytest.mark.parametrize("endless", [False, True])
async def test_quiet_begins_some_time_after_the_last_message_and_is_not_waited_for_without_end(endless: bool) -> None:
    users = UserGroup(URL, "run", terms=replace(TERMS, transit=0.05))
    transit, recorder = users._terms.transit, users._recorder

    async def arrive() -> None:
        while endless:
            recorder.received(time.monotonic())
            await asyncio.sleep(0.001)

    began_at = time.monotonic()
    recorder.received(began_at)
    arriving = asyncio.create_task(arrive())
    await asyncio.wait_for(users.quiet(), scaled(20))
    arriving.cancel()
    await users.finish()

    assert time.monotonic() - began_at >= (5 if endless else 1) * transit


async def test_connection_whose_other_side_never_closes_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    aborted: list[bool] = []
    monkeypatch.setattr("integration_tests.load.listener.CLOSE_SECONDS", 0.01)
    listener = Listener(lambda *_: None)
    transport = SimpleNamespace(write=lambda _: None, abort=lambda: aborted.append(True))
    listener._transport = cast("asyncio.Transport", transport)
    await listener.close()

    assert aborted == [True]
