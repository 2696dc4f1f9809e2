"""Sizes that ``roomcast cost`` reckons with, as the handlers make them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from roomcast_cli.model import Measured
from tests.fakes import FakeContext, event

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from tests.fakes import FakeTable
    from tests.v1 import Clients

ALICE, BOB = "L0SM9cOFvHcCIhw=", "N0SM9cOFvHcCIhw="
"""Ids of connections, as long as those of API Gateway."""
ROOM = "kitchen"
REQUEST = "3670b61f-68de-4048-8e7f-37f7fb8b87c1"
LAMBDA = (
    f"START RequestId: {REQUEST} Version: $LATEST\n"
    f"END RequestId: {REQUEST}\n"
    f"REPORT RequestId: {REQUEST}\tDuration: 42.01 ms\tBilled Duration: 43 ms\tMemory Size: 1024 MB\t"
    "Max Memory Used: 61 MB\t\n"
)
"""What Lambda itself writes about an invocation, in text format."""
ACCESS = 330
"""Bytes of a line of the access log, with an IPv4 address and without an error."""
AROUND = len(LAMBDA) + ACCESS
MEASURED = Measured()


@pytest.fixture
def clients(people: Clients, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Clients:
    """Clients of whom one is in a room."""
    monkeypatch.setenv("ROOMCAST_LOG_LEVEL", "INFO")
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "roomcast-sendmessage")
    people.join(ALICE, ROOM)
    capsys.readouterr()
    return people


def test_frames(clients: Clients) -> None:
    """Names of people and rooms are of other lengths: the model's are a little above those here."""
    [(_, frame)] = clients.send(ALICE, "sendmessage", room=ROOM, data="hello")
    assert 100 < len(frame) - len("hello") <= MEASURED.envelope

    [(_, pong)] = clients.send(ALICE, "ping", rooms={ROOM: {}})
    assert len(pong) <= MEASURED.pong


def test_item_of_a_member(clients: Clients, table: FakeTable) -> None:
    """Without a token it has two attributes less. DynamoDB counts names and values; two digits of a number take a byte.

    (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html)
    """
    clients.connect(BOB, ROOM)
    [item] = [item for key, item in table.items.items() if key[0].startswith(f"room#{ROOM}") and key[1] == BOB]

    assert size_of(item) == pytest.approx(MEASURED.member_bytes, rel=0.4), json.dumps(item)


def test_items_of_a_connection(clients: Clients, table: FakeTable) -> None:
    """A census reads all of them: two, and with a token a third one and more attributes."""
    clients.connect(BOB, ROOM)
    found = [item for key, item in table.items.items() if BOB in key[0] or key[1] == BOB]
    of_token = {"token_ends_at", "subject", "listed"}
    without = [
        {name: value for name, value in item.items() if name not in of_token}
        for item in found
        if not item["partition_key"]["S"].startswith("user#")
    ]
    sizes = [sum(map(size_of, each)) for each in (without, found)]

    assert sizes[0] == pytest.approx(MEASURED.connection_bytes, rel=0.15), json.dumps(without)
    assert sizes[1] == pytest.approx(MEASURED.connection_bytes + MEASURED.token_bytes, rel=0.15), json.dumps(found)


def size_of(item: Mapping[str, Any]) -> int:
    """Bytes of an item."""
    return sum(len(name) + _size(value) for name, value in item.items())


def _size(value: Mapping[str, Any]) -> int:
    [(kind, content)] = value.items()
    if kind == "N":
        return len(content) // 2 + 2
    if kind == "M":
        return 3 + sum(len(name) + 1 + _size(each) for name, each in content.items())
    return 1 if kind == "BOOL" else len(content)


def test_log_lines(clients: Clients, capsys: pytest.CaptureFixture[str]) -> None:
    """Ids of people and errors make lines longer, so the model is right within 15 %."""

    def printed() -> int:
        return len(capsys.readouterr().out.replace("request-1", REQUEST))

    clients.send(ALICE, "sendmessage", room=ROOM, data="hello")
    assert printed() + AROUND == pytest.approx(MEASURED.send_log, rel=0.15)

    clients.send(ALICE, "ping", rooms={ROOM: {}})
    assert printed() + AROUND == pytest.approx(MEASURED.ping_log, rel=0.15)

    clients.connect(BOB, ROOM)
    clients.load("disconnect").handler(event("DISCONNECT", BOB), FakeContext())
    assert printed() + 2 * AROUND == pytest.approx(MEASURED.handshake_log, rel=0.15)
