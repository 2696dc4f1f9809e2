"""All message routes: the caller hears how it went, also when a service hangs."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from roomcast import aws_json, fanout, serving, tasks
from tests.fakes import FakeConnections, FakeContext, FakeTable, error_code, handshake, message

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from roomcast.steps import Steps

BUDGETS = (8_000, 3_000, 1_500)
"""Milliseconds left of an invocation."""


class HangingService:
    """A table or a queue; an operation that hangs takes all the time that it is given, and fails then."""

    def __init__(self, table: FakeTable | None, hangs: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.table, self.hangs = table, hangs
        self.now = time.monotonic()
        monkeypatch.setattr(time, "monotonic", lambda: self.now)

    def call(self, operation: str, parameters: Mapping[str, Any], deadline: float) -> dict[str, Any]:
        """As ``aws_json.Service.call``."""
        if operation == self.hangs:
            self.now = max(self.now, deadline)
            raise aws_json.ServiceError(operation, "timed out", {}, transient=True)
        assert self.table is not None
        return self.table.call(operation, parameters, deadline)

    def steps(self, operation: str, parameters: Mapping[str, Any], deadline: float) -> Steps[dict[str, Any]]:
        """As ``aws_json.Service.steps``."""
        yield from ()
        return self.call(operation, parameters, deadline)


class Deadlines(FakeConnections):
    """Notes by when a post must be done."""

    def __init__(self) -> None:
        super().__init__()
        self.left: list[float] = []

    def deliver(self, recipients: Any, data: bytes, *, deadline: float, **options: Any) -> fanout.Report:
        """As ``fanout.Engine.deliver``."""
        report = super().deliver(recipients, data, deadline=deadline, **options)
        self.left.append(deadline - time.monotonic())
        return report


@pytest.fixture
def connections() -> Deadlines:
    return Deadlines()


def check_answer(connections: Deadlines, end: float, budget: int) -> None:
    """The caller has heard that the service was unavailable, in time and with time left."""
    received = [text for text in connections.received("alice=") if text != "hello"]
    assert [error_code(text) for text in received] == ["unavailable"]
    # A new TLS connection and a post take some hundredths of a second; a connection that fails takes one.
    assert connections.left[-1] >= min(1.5, budget / 6_000)
    assert end - (time.monotonic() + connections.left[-1]) >= 0.1, "the function has to end in time, too"


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize(
    ("route", "operation"), [("sendmessage", "GetItem"), ("sendmessage", "Query"), ("whoami", "GetItem")]
)
def test_a_table_that_hangs_leaves_time_for_the_answer(
    load: Callable[[str], Any],
    table: FakeTable,
    connections: Deadlines,
    monkeypatch: pytest.MonkeyPatch,
    *,
    route: str,
    operation: str,
    budget: int,
) -> None:
    load("connect").handler(handshake("alice=", "lobby"), FakeContext())
    module = load(route)
    service = HangingService(table, operation, monkeypatch)
    monkeypatch.setattr(module.ROOMS, "_database", service)
    end = service.now + budget / 1000
    module.handler(message("alice=", {"action": route, "data": "hello", "id": "1"}), FakeContext(budget))

    check_answer(connections, end, budget)


@pytest.mark.parametrize("budget", BUDGETS)
def test_a_queue_that_hangs_leaves_time_for_the_answer(
    load: Callable[[str], Any], connections: Deadlines, monkeypatch: pytest.MonkeyPatch, *, budget: int
) -> None:
    load("connect").handler(handshake("alice=", "lobby"), FakeContext())
    module = load("sendmessage")
    made = tasks.Queue(module.SETTINGS._replace(queue_url="https://sqs.eu-west-1.amazonaws.com/123456789012/fan-out"))
    service = HangingService(None, "SendMessageBatch", monkeypatch)
    made._service = service  # type: ignore[assignment]
    monkeypatch.setattr(module, "QUEUE", made)
    end = service.now + budget / 1000
    module.handler(message("alice=", {"action": "sendmessage", "data": "hello"}), FakeContext(budget))

    check_answer(connections, end, budget)


def test_time_is_kept_back_on_every_message_route() -> None:
    """Also on the routes of other teams: it is the route's part that has less time."""
    given: list[float] = []

    def serve(_: object, deadline: float) -> str:
        given.append(deadline - time.monotonic())
        return "answer"

    connections = Deadlines()
    serving.serve_message(message("alice=", {}), FakeContext(8_000), connections, serve, mock.Mock())  # type: ignore[arg-type]
    assert connections.left[0] - given[0] >= 1.5
    assert given[0] >= 4


def test_a_caller_that_has_gone_is_waited_for_once(connections: Deadlines) -> None:
    """Each answer may take seconds while its connection may still open."""
    connections.gone = {"alice="}
    serving.serve_message(message("alice=", {}), FakeContext(), connections, lambda *_: ["one", "two"], mock.Mock())  # type: ignore[arg-type]
    assert len(connections.left) == 1


class Unanswering(FakeConnections):
    """No post goes out."""

    def __init__(self, outcome: Mapping[str, Any]) -> None:
        super().__init__()
        self.outcome = outcome

    def deliver(self, *_: object, **__: object) -> fanout.Report:
        """As ``fanout.Engine.deliver``."""
        report = fanout.Report()
        for name, value in self.outcome.items():
            setattr(report, name, value)
        return report


@pytest.mark.parametrize(
    ("outcome", "is_error"),
    [
        ({"recipients": 1, "failed": 1, "transport_error": "timed out"}, True),
        ({"recipients": 1, "failed": 1, "refused_status": 403}, True),
        ({"complete": False}, True),
        ({"recipients": 1, "gone": 1}, False),
        ({"recipients": 1, "delivered": 1}, False),
    ],
)
def test_an_answer_that_did_not_go_out_is_an_error_in_the_logs(
    load: Callable[[str], Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    outcome: dict[str, Any],
    is_error: bool,
) -> None:
    module = load("default")
    monkeypatch.setattr(module, "ENGINE", Unanswering(outcome))
    module.handler(message("alice=", "hello"), FakeContext())

    errors = [line for line in map(json.loads, capsys.readouterr().out.splitlines()) if line["level"] == "ERROR"]
    assert [error["message"] for error in errors] == ["the caller got no answer"] * is_error
    for error in errors:
        assert (error["request_id"], error["connection_id"]) == ("request-1", "alice=")
        assert error["error"] == outcome.get("transport_error", "")
        assert error["status"] == outcome.get("refused_status", 0)
