"""Who is told who comes and goes: clients of ``roomcast.v1`` with the right ``presence``, and others learn nothing."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from roomcast import rooms
from roomcast.delivery import Delivery
from tests.fakes import FakeConnections, FakeContext, FakeQueue, FakeTable, event
from tests.v1 import Clients, code

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

FAR = int(time.time()) + 3600
LISTENER = {"lobby": ["join", "send", "history"]}
WATCHER = {"lobby": ["join", "presence"]}


def context(rights: object, subject: str) -> dict[str, str]:
    """An authorizer's context."""
    return {"principalId": subject, "rooms": json.dumps(rights), "exp": str(FAR)}


@pytest.fixture
def guarded(
    clients: Clients, load: Callable[[str], Any], table: FakeTable, looks: FakeQueue, monkeypatch: pytest.MonkeyPatch
) -> Clients:
    """Clients that need a token, where the lobby tells who comes and goes."""

    def load_handler(name: str) -> ModuleType:
        module: ModuleType = load(name)
        chosen = module.SETTINGS._replace(authorization="JWT", presence_rooms=("lobby",))
        fresh = rooms.Rooms(chosen)
        for place in (fresh, fresh.marks):
            monkeypatch.setattr(place, "_database", table)
        monkeypatch.setattr(fresh.marks, "_queue", looks)
        monkeypatch.setattr(module, "SETTINGS", chosen)
        monkeypatch.setattr(module, "ROOMS", fresh)
        if hasattr(module, "DELIVERY"):
            monkeypatch.setattr(module, "DELIVERY", Delivery(module.ENGINE, fresh))
        return module

    clients.load = load_handler
    return clients


def enter(clients: Clients, name: str, rights: object, subject: str) -> dict[str, Any]:
    """A client with a token joins the lobby; gives the answer."""
    clients.authorizer = context(rights, subject)
    assert clients.connect(name)["statusCode"] == 200
    [answer] = clients.ask(name, "join", room="lobby")
    return answer


def look(clients: Clients, looks: FakeQueue, connections: FakeConnections) -> list[tuple[str, Any]]:
    """Let the worker have all messages that wait; gives the frames that members were posted."""
    worker: Any = clients.load("presence")
    bodies, looks.waiting[:] = [body for body, _ in looks.waiting], []
    connections.posts.clear()
    records = [{"messageId": "m", "body": body} for body in bodies]
    assert worker.handler({"Records": records}, FakeContext()) == {"batchItemFailures": []}
    return [(name, json.loads(text)) for name, text in connections.posts]


def test_a_client_without_the_right_is_shown_and_told_nothing(
    guarded: Clients, looks: FakeQueue, connections: FakeConnections
) -> None:
    assert enter(guarded, "vera=", WATCHER, "vera")["presence"] == 0
    assert "presence" not in enter(guarded, "viktor=", LISTENER, "viktor")
    [(name, frame)] = look(guarded, looks, connections)
    assert (name, frame["joined"]) == ("vera=", ["vera", "viktor"])

    guarded.authorizer = context(LISTENER, "viktor")
    assert guarded.ask("viktor=", "ping", rooms={"lobby": {}})[0]["rooms"] == {"lobby": {}}
    assert code(guarded.ask("viktor=", "who", room="lobby")) == "not_allowed"
    guarded.authorizer = context(WATCHER, "vera")
    assert guarded.ask("vera=", "ping", rooms={"lobby": {}})[0]["rooms"] == {"lobby": {"presence": 1}}


@pytest.mark.parametrize(("rights", "told"), [(WATCHER, ["anna="]), (LISTENER, [])], ids=["right", "no right"])
def test_the_same_holds_for_the_room_of_a_handshake(
    guarded: Clients, looks: FakeQueue, connections: FakeConnections, rights: object, told: list[str]
) -> None:
    guarded.authorizer = context(rights, "anna")
    assert guarded.connect("anna=", "lobby")["statusCode"] == 200
    assert [name for name, _ in look(guarded, looks, connections)] == told


def test_a_second_connection_of_a_client_changes_nothing(
    guarded: Clients, looks: FakeQueue, connections: FakeConnections
) -> None:
    """As in a rollover, and when the first connection has gone."""
    enter(guarded, "vera=", WATCHER, "vera")
    look(guarded, looks, connections)
    assert enter(guarded, "again=", WATCHER, "vera")["presence"] == 1
    assert look(guarded, looks, connections) == []
    guarded.load("disconnect").handler(event("DISCONNECT", "vera="), FakeContext())
    assert look(guarded, looks, connections) == []
    guarded.load("disconnect").handler(event("DISCONNECT", "again="), FakeContext())
    enter(guarded, "anna=", WATCHER, "anna")
    [(_, frame)] = look(guarded, looks, connections)
    assert (frame["joined"], frame["left"]) == (["anna"], ["vera"])
