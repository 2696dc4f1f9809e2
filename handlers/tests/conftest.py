"""The environment that Terraform gives every function, and the backend's two neighbours as fakes."""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from roomcast import early, logs, rooms
from roomcast.delivery import Delivery
from tests.fakes import PLANTED, FakeConnections, FakeQueue, FakeTable, spellings
from tests.history_table import HistoryTable
from tests.v1 import Clients, context

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping
    from types import ModuleType

os.environ.update(
    AWS_REGION="eu-west-1",
    AWS_ACCESS_KEY_ID="AKIDEXAMPLE",
    AWS_SECRET_ACCESS_KEY="wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    ROOMCAST_TABLE_NAME="connections",
    ROOMCAST_HISTORY_TABLE_NAME="history",
    ROOMCAST_MANAGEMENT_ENDPOINT="https://abcde12345.execute-api.eu-west-1.amazonaws.com/live",
)

# How long an example takes says something about the machine, which may be busy with something else.
settings.register_profile("roomcast", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("roomcast")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test that printed the planted secret; output that the test has read and checked itself is not here."""
    report = yield
    if report.when == "call" and PLANTED in report.capstdout + report.capstderr:
        report.outcome = "failed"
        report.longrepr = "the planted secret was printed"
    return report


@pytest.fixture(autouse=True)
def logged(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail a test whose handlers log the secret, at any level, also as Base64 as in queue messages and tokens."""
    monkeypatch.setenv("ROOMCAST_LOG_LEVEL", "DEBUG")
    logs.begin("")
    lines: list[str] = []
    write = logs._print

    def note(line: Mapping[str, object]) -> None:
        lines.append(str(line))
        write(line)

    monkeypatch.setattr(logs, "_print", note)
    yield
    assert [line for line in lines if any(each in line for each in spellings(PLANTED))] == []


@pytest.fixture
def table() -> FakeTable:
    """An empty connections table."""
    return FakeTable()


@pytest.fixture
def history_table() -> HistoryTable:
    """An empty history table."""
    return HistoryTable()


@pytest.fixture
def connections() -> FakeConnections:
    """The API's connections; all are open until a test closes some."""
    return FakeConnections()


@pytest.fixture
def closed() -> FakeConnections:
    """Closes the API's connections, and notes which; those that are gone, or fail, are in its sets."""
    return FakeConnections()


@pytest.fixture
def named(load: Callable[[str], Any], table: FakeTable, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """As ``load``, where clients have names, are listed by them, and may be kept out; some rooms keep messages."""

    def load_handler(name: str) -> ModuleType:
        module: ModuleType = load(name)
        chosen = module.SETTINGS._replace(authorization="JWT", lists_users=True, may_deny=True)
        fresh = rooms.Rooms(chosen)
        monkeypatch.setattr(fresh, "_database", table)
        monkeypatch.setattr(module, "SETTINGS", chosen)
        monkeypatch.setattr(module, "ROOMS", fresh)
        if hasattr(module, "DELIVERY"):
            monkeypatch.setattr(module, "DELIVERY", Delivery(module.ENGINE, fresh))
        if hasattr(module, "HISTORY"):
            monkeypatch.setattr(module.HISTORY, "_patterns", ("logged*",))
            monkeypatch.setattr(module.HISTORY._sealer, "_seen", {})
        return module

    return load_handler


@pytest.fixture
def people(named: Callable[[str], Any], connections: FakeConnections) -> Clients:
    """Clients with names in the room ``lobby``: ``alice`` twice, in both protocols, and ``bob``."""
    clients = Clients(named, connections)
    for name, subject, offers in (
        ("alice-1=", "alice", "roomcast.v1"),
        ("alice-2=", "alice", ""),
        ("bob=", "bob", "roomcast.v1"),
    ):
        clients.authorizer = context(subject)
        assert clients.connect(name, "lobby", offers=offers)["statusCode"] == 200
    return clients


@pytest.fixture
def load(
    table: FakeTable,
    history_table: HistoryTable,
    connections: FakeConnections,
    closed: FakeConnections,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[str], Any]:
    """Loads a handler module by the name of its route, wired to the fakes."""

    def load_handler(name: str) -> ModuleType:
        module = importlib.import_module(name)
        monkeypatch.setattr(module, "ENGINE", connections)
        if hasattr(module, "CLOSER"):
            monkeypatch.setattr(module, "CLOSER", closed)
        if hasattr(module, "ROOMS"):
            monkeypatch.setattr(module.ROOMS, "_database", table)
            monkeypatch.setattr(module.ROOMS, "_readers", [])
            monkeypatch.setattr(module.ROOMS, "_is_lent", False)
            monkeypatch.setattr(module.ROOMS, "senders", early.Senders())
            monkeypatch.setattr(module.ROOMS.marks, "_database", table)
            monkeypatch.setattr(module.ROOMS.marks, "versions", {})
        if hasattr(module, "HISTORY"):
            monkeypatch.setattr(module.HISTORY._table, "_database", history_table)
        if hasattr(module, "DELIVERY"):
            monkeypatch.setattr(module, "DELIVERY", Delivery(connections, module.ROOMS))  # type: ignore[arg-type]
        return module

    return load_handler


@pytest.fixture
def remembering(clients: Clients, load: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> Clients:
    """Clients of both protocols, where the room ``lobby`` keeps its messages."""

    def load_handler(name: str) -> ModuleType:
        module: ModuleType = load(name)
        if hasattr(module, "HISTORY"):
            monkeypatch.setattr(module.HISTORY, "_patterns", ("lobby",))
            monkeypatch.setattr(module.HISTORY._sealer, "_seen", {})
            monkeypatch.setattr(module, "SETTINGS", module.SETTINGS._replace(history_rooms=("lobby",)))
        return module

    clients.load = load_handler
    return clients


@pytest.fixture
def looks() -> FakeQueue:
    """The queue of rooms that the presence worker must look at."""
    return FakeQueue()


@pytest.fixture
def watching(
    clients: Clients, load: Callable[[str], Any], looks: FakeQueue, monkeypatch: pytest.MonkeyPatch
) -> Clients:
    """Clients of both protocols, where rooms whose names begin with ``lobby`` tell of their presence."""

    def load_handler(name: str) -> ModuleType:
        module: ModuleType = load(name)
        monkeypatch.setattr(module.ROOMS.marks, "_patterns", ("lobby*",))
        monkeypatch.setattr(module.ROOMS.marks, "_queue", looks)
        return module

    clients.load = load_handler
    return clients


@pytest.fixture
def clients(load: Callable[[str], Any], connections: FakeConnections) -> Clients:
    """Clients of both protocols."""
    return Clients(load, connections)
