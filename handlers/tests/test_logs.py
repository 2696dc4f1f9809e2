"""The lines that functions print: one JSON object each, and metrics as CloudWatch reads them."""

from __future__ import annotations

import io
import json
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from roomcast import aws_json, fanout, logs
from roomcast.delivery import PRUNE_BATCH
from tests.fakes import FakeConnections, FakeContext, FakeTable, event, handshake, message

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A function's name, and no level."""
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "chat-sendmessage")
    monkeypatch.delenv("ROOMCAST_LOG_LEVEL", raising=False)


def printed(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """The lines that were printed."""
    output = capsys.readouterr()
    assert not output.err
    assert not output.out or output.out.endswith("\n")
    return [json.loads(line) for line in output.out.splitlines()]


def is_now(timestamp: int) -> bool:
    """Whether a timestamp is of this minute, in milliseconds since 1970."""
    return abs(timestamp - time.time() * 1000) < 60_000


def test_a_line_says_when_how_bad_what_and_about_whom(capsys: pytest.CaptureFixture[str]) -> None:
    logs.write("ERROR", "it failed", request_id="r-1", members=3)

    [line] = printed(capsys)
    assert is_now(line.pop("timestamp"))
    assert line == {"level": "ERROR", "message": "it failed", "request_id": "r-1", "members": 3}


def test_a_line_names_the_release(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for version in ("1.2.3", ""):  # a working tree's functions have no version
        monkeypatch.setenv("ROOMCAST_VERSION", version)
        logs.write("INFO", "something")
        logs.write_metrics("fan-out", {"delivered": 2})

    assert [line.get("version") for line in printed(capsys)] == ["1.2.3", "1.2.3", None, None]


def test_a_line_stays_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.write("INFO", "two\nlines", text="a\r\nb\u2028c")

    assert [line["text"] for line in printed(capsys)] == ["a\r\nb\u2028c"]


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        (None, ["INFO", "WARNING", "ERROR"]),
        ("DEBUG", ["DEBUG", "INFO", "WARNING", "ERROR"]),
        ("INFO", ["INFO", "WARNING", "ERROR"]),
        ("WARNING", ["WARNING", "ERROR"]),
        ("ERROR", ["ERROR"]),
    ],
)
def test_what_is_below_the_level_is_not_printed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, level: str | None, expected: list[str]
) -> None:
    if level is not None:
        monkeypatch.setenv("ROOMCAST_LOG_LEVEL", level)
    for each in ("DEBUG", "INFO", "WARNING", "ERROR"):
        logs.write(each, "something")

    assert [line["level"] for line in printed(capsys)] == expected


def test_metrics_are_in_the_embedded_format(capsys: pytest.CaptureFixture[str]) -> None:
    logs.write_metrics("fan-out", {"delivered": 2, "duration_ms": 1.5, "transport_error": ""}, request_id="r-1")

    [line] = printed(capsys)
    assert isinstance(line["_aws"]["Timestamp"], int)
    assert is_now(line["_aws"].pop("Timestamp"))
    assert is_now(line.pop("timestamp"))
    assert line == {
        "_aws": {
            "CloudWatchMetrics": [
                {
                    "Namespace": "Roomcast",
                    "Dimensions": [["FunctionName"]],
                    "Metrics": [
                        {"Name": "delivered", "Unit": "Count"},
                        {"Name": "duration_ms", "Unit": "Milliseconds"},
                    ],
                }
            ]
        },
        "FunctionName": "chat-sendmessage",
        "level": "INFO",
        "message": "fan-out",
        "request_id": "r-1",
        "delivered": 2,
        "duration_ms": 1.5,
        "transport_error": "",
    }


def test_metrics_are_printed_at_every_level(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROOMCAST_LOG_LEVEL", "ERROR")
    logs.write_metrics("fan-out", {"delivered": 2})

    assert len(printed(capsys)) == 1


README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
DOCUMENTED = re.findall(r"^\| `(\w+)` \| (Count|Milliseconds) \|", README, re.MULTILINE)


def test_readme_names_every_metric() -> None:
    assert dict(DOCUMENTED) == logs.METRIC_UNITS


@pytest.mark.parametrize(("name", "unit"), DOCUMENTED)
def test_each_number_that_readme_names_is_a_metric(capsys: pytest.CaptureFixture[str], name: str, unit: str) -> None:
    logs.write_metrics("fan-out", {name: 1})

    [line] = printed(capsys)
    assert line["_aws"]["CloudWatchMetrics"][0]["Metrics"] == [{"Name": name, "Unit": unit}]


class TestLinesOfHandlers:
    """Log lines of each event: one line with its ids and its outcome, and one more for a failure."""

    @pytest.fixture(autouse=True)
    def lobby(self, load: Callable[[str], Any], capsys: pytest.CaptureFixture[str]) -> None:
        """Two members of a room."""
        for name in ("alice=", "bob="):
            load("connect").handler(handshake(name, "lobby"), FakeContext())
        capsys.readouterr()

    @pytest.mark.parametrize(
        ("route", "body", "outcome"),
        [
            ("sendmessage", {"data": "hello"}, "served"),
            ("sendmessage", {"data": "hello", "id": "1"}, "served"),
            ("sendmessage", {"data": ""}, "missing_data"),
            ("whoami", {}, "served"),
            ("default", {"action": "fly"}, "unknown_action"),
            ("connect", {"action": "$connect"}, "unknown_action"),
        ],
    )
    def test_of_a_message(
        self, load: Callable[[str], Any], capsys: pytest.CaptureFixture[str], route: str, body: object, outcome: str
    ) -> None:
        load(route).handler(message("alice=", body, route), FakeContext())

        [line] = [line for line in printed(capsys) if line["message"] == "message"]
        assert line["level"] == "INFO"
        assert (line["route_key"], line["outcome"]) == (route, outcome)
        assert (line["connection_id"], line["request_id"]) == ("alice=", "request-1")

    @pytest.mark.parametrize(("rooms", "status"), [(("lobby",), 200), (("a b",), 400)])
    def test_of_a_handshake(
        self, load: Callable[[str], Any], capsys: pytest.CaptureFixture[str], rooms: tuple[str], status: int
    ) -> None:
        load("connect").handler(handshake("carol=", *rooms), FakeContext())

        [line] = printed(capsys)
        assert (line["level"], line["message"], line["status"]) == ("INFO", "connect", status)
        assert (line["connection_id"], line["request_id"]) == ("carol=", "request-1")

    @pytest.mark.parametrize(("connection_id", "left"), [("alice=", True), ("nobody=", False)])
    def test_of_a_departure(
        self, load: Callable[[str], Any], capsys: pytest.CaptureFixture[str], connection_id: str, left: bool
    ) -> None:
        load("disconnect").handler(event("DISCONNECT", connection_id), FakeContext())

        [line] = printed(capsys)
        assert (line["level"], line["message"], line["left"]) == ("INFO", "disconnect", left)
        assert (line["connection_id"], line["request_id"]) == (connection_id, "request-1")

    @pytest.mark.parametrize(
        ("route", "operation"), [("connect", "TransactWriteItems"), ("whoami", "GetItem"), ("sendmessage", "GetItem")]
    )
    def test_of_a_table_that_fails(
        self,
        load: Callable[[str], Any],
        capsys: pytest.CaptureFixture[str],
        table: FakeTable,
        route: str,
        operation: str,
    ) -> None:
        table.failing.add(operation)
        happening = handshake("alice=", "lobby") if route == "connect" else message("alice=", {"data": "hello"}, route)
        load(route).handler(happening, FakeContext())

        [line] = [line for line in printed(capsys) if line["level"] == "ERROR"]
        assert line["request_id"] == "request-1"
        assert line["error"] == f"{operation} failed: InternalServerError"
        assert line["message"] == ("the table failed" if route == "connect" else "the table or the queue failed")

    def test_of_a_room_that_cannot_be_read(
        self, load: Callable[[str], Any], capsys: pytest.CaptureFixture[str], table: FakeTable
    ) -> None:
        table.failing.add("Query")
        load("sendmessage").handler(message("alice=", {"data": "hello"}), FakeContext())

        [line] = [line for line in printed(capsys) if line["level"] == "ERROR"]
        assert (line["message"], line["request_id"]) == ("the members could not be read", "request-1")
        assert line["error"] == "Query failed: InternalServerError"

    @pytest.mark.parametrize("batches", [0, 1, 2])
    def test_of_the_dead_who_cannot_be_deleted(
        self,
        load: Callable[[str], Any],
        capsys: pytest.CaptureFixture[str],
        table: FakeTable,
        connections: FakeConnections,
        monkeypatch: pytest.MonkeyPatch,
        *,
        batches: int,
    ) -> None:
        """Those count who are still there, not those of the batches before."""
        dead = [f"dead-{number:03}=" for number in range(2 * PRUNE_BATCH + 10)]
        for each in dead:
            load("connect").handler(handshake(each, "lobby"), FakeContext())
        connections.gone.update(dead)
        transact, calls = table._transact, iter(range(1_000))

        def fail_later(parameters: Any) -> Any:
            if next(calls) >= batches:
                raise aws_json.ServiceError("TransactWriteItems", "InternalServerError", {}, transient=True)
            return transact(parameters)

        monkeypatch.setattr(table, "_transact", fail_later)
        capsys.readouterr()
        load("sendmessage").handler(message("alice=", {"data": "hello"}), FakeContext())

        [line] = [line for line in printed(capsys) if line["level"] == "WARNING"]
        assert line["message"] == "dead members stay for now"
        assert line["error"] == "TransactWriteItems failed: InternalServerError"
        assert line["members"] == len(dead) - batches * PRUNE_BATCH
        assert next(calls) == batches + 1  # a table in trouble is not asked for more

    def test_of_posts_that_no_try_would_change(
        self,
        load: Callable[[str], Any],
        capsys: pytest.CaptureFixture[str],
        connections: FakeConnections,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """It names the status: 403 is a missing permission, 413 a text that is too long."""
        deliver = connections.deliver

        def refuse(*call: Any, **options: Any) -> fanout.Report:
            report = deliver(*call, **options)
            report.refused_status = 403
            return report

        monkeypatch.setattr(connections, "deliver", refuse)
        load("sendmessage").handler(message("alice=", {"data": "hello"}), FakeContext())

        [line] = [line for line in printed(capsys) if line["level"] == "ERROR"]
        assert (line["message"], line["status"], line["request_id"]) == ("posts are refused", 403, "request-1")


def test_a_line_is_out_before_lambda_freezes_the_function(monkeypatch: pytest.MonkeyPatch) -> None:
    class Buffered(io.StringIO):
        """Keeps flushed text."""

        flushed = ""

        def flush(self) -> None:
            self.flushed = self.getvalue()

    stream = Buffered()
    monkeypatch.setattr(sys, "stdout", stream)
    logs.write("INFO", "something")

    assert stream.flushed.endswith("\n")
