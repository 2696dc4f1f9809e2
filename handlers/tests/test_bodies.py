"""One body per protocol: made when its first recipient is read, and never for another protocol's."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from roomcast.fanout import Engine, Message, Recipient
from tests.hostile_server import PATIENCE_SECONDS, HostileServer, Request, say, trusted_tls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    Serve = Callable[..., tuple[list[Request], list[int]]]

TEXT = b"hello"
FRAME = b'{"type":"message"}'


class Maker:
    """Makes the body of ``roomcast.v1``, and counts how often."""

    def __init__(self, body: bytes | None = FRAME) -> None:
        self.body = body
        self.calls = 0

    def __call__(self) -> bytes | None:
        """Make it."""
        self.calls += 1
        return self.body


def members(texts: int, frames: int) -> list[Recipient]:
    """Recipients of both protocols, mixed."""
    plain = [Recipient(f"text-{number}=", 0) for number in range(texts)]
    others = [Recipient(f"v1-{number}=", 0, 0, "roomcast.v1") for number in range(frames)]
    return sorted(plain + others, key=lambda each: each.connection_id[::-1])


@pytest.fixture(params=["http/1.1", "h2"])
def served(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Serve:
    """Posts a message for each maker; gives the requests, and how many were delivered and failed."""
    tls = trusted_tls(tmp_path, monkeypatch, request.param)

    def serve(recipients: Iterable[Recipient], *makers: Maker) -> tuple[list[Request], list[int]]:
        server = HostileServer(lambda _: say(), tls)
        with server, contextlib.closing(Engine(server.url, "eu-west-1", http2=True)) as engine:
            results = engine.deliver_all(
                [Message([*recipients], TEXT, others={"roomcast.v1": make}) for make in makers],
                deadline=time.monotonic() + PATIENCE_SECONDS,
            )
        return server.requests, [number for each in results for number in (each.report.delivered, each.report.failed)]

    return serve


@pytest.mark.parametrize(("texts", "frames"), [(1, 1), (40, 3), (3, 40), (0, 5)])
def test_each_recipient_is_sent_its_own(served: Serve, texts: int, frames: int) -> None:
    make = Maker()
    requests, counts = served(members(texts, frames), make)
    assert counts == [texts + frames, 0]
    assert make.calls == 1
    for request in requests:
        assert request.body == (FRAME if "v1-" in request.target else TEXT)
        assert request.headers["content-length"] == str(len(request.body))


def test_without_such_a_recipient_nothing_is_made(served: Serve) -> None:
    make = Maker()
    requests, counts = served(members(20, 0), make)
    assert counts == [20, 0]
    assert (make.calls, {request.body for request in requests}) == (0, {TEXT})


def test_several_messages_have_bodies_of_their_own(served: Serve) -> None:
    requests, counts = served(members(3, 3), Maker(b"first"), Maker(b"second"))
    assert counts == [6, 0, 6, 0]
    assert Counter(request.body for request in requests) == {TEXT: 6, b"first": 3, b"second": 3}


@pytest.mark.parametrize("frames", [1, 200])
@pytest.mark.parametrize("texts", [0, 40])
def test_a_message_without_such_a_form_fails_for_its_recipients_alone(served: Serve, texts: int, frames: int) -> None:
    requests, counts = served(members(texts, frames), Maker(None))
    assert counts == [texts, frames]
    assert len(requests) == texts


def test_an_unknown_protocol_fails(served: Serve) -> None:
    requests, counts = served([*members(2, 0), Recipient("later=", 0, 0, "roomcast.v9")], Maker())
    assert counts == [2, 1]
    assert len(requests) == 2
