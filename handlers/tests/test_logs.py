"""The lines that functions print: one JSON object each, and metrics as CloudWatch reads them."""

from __future__ import annotations

import hashlib
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
    """A backend's name, and no level."""
    monkeypatch.setenv("ROOMCAST_BACKEND", "chat")
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
        logs.write("INFO", "fan-out", {"delivered": 2})

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
        ("", ["INFO", "WARNING", "ERROR"]),
        ("TRACE", ["INFO", "WARNING", "ERROR"]),
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
    logs.write("INFO", "fan-out", {"delivered": 2, "fanout_ms": 1.5}, request_id="r-1", retried=3)

    [line] = printed(capsys)
    assert isinstance(line["_aws"]["Timestamp"], int)
    assert is_now(line["_aws"].pop("Timestamp"))
    assert is_now(line.pop("timestamp"))
    assert line == {
        "_aws": {
            "CloudWatchMetrics": [
                {
                    "Namespace": "Roomcast",
                    "Dimensions": [["Backend"]],
                    "Metrics": [
                        {"Name": "delivered", "Unit": "Count"},
                        {"Name": "fanout_ms", "Unit": "Milliseconds"},
                    ],
                }
            ]
        },
        "Backend": "chat",
        "level": "INFO",
        "message": "fan-out",
        "request_id": "r-1",
        "retried": 3,
        "delivered": 2,
        "fanout_ms": 1.5,
    }


@pytest.mark.parametrize("name", [None, ""])
def test_without_a_name_the_backend_is_the_one_that_terraform_makes_by_default(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str | None
) -> None:
    if name is None:
        monkeypatch.delenv("ROOMCAST_BACKEND")
    else:
        monkeypatch.setenv("ROOMCAST_BACKEND", name)
    logs.write("INFO", "fan-out", {"delivered": 2})

    assert [line["Backend"] for line in printed(capsys)] == ["roomcast"]


def test_metrics_are_printed_at_every_level(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROOMCAST_LOG_LEVEL", "ERROR")
    logs.write("INFO", "fan-out", {"delivered": 2})
    logs.write("INFO", "connect", {"join_failed": 0})

    assert [line["message"] for line in printed(capsys)] == ["fan-out"]


TROUBLE = [name for name, metric in logs.METRICS.items() if metric.is_trouble]


@pytest.mark.parametrize("name", TROUBLE)
def test_a_metric_that_counts_trouble_is_written_only_above_0(capsys: pytest.CaptureFixture[str], name: str) -> None:
    """CloudWatch bills a metric for the hours in which it is sent."""
    logs.write("INFO", "something", {name: 0})
    logs.write("INFO", "something", {name: 0, "posts": 0})
    logs.write("INFO", "something", {name: 3})

    plain, with_others, counted = printed(capsys)
    assert not {"_aws", "Backend", name} & plain.keys()
    assert metrics_of(with_others) == {"posts": (0, "Count")}
    assert name not in with_others
    assert metrics_of(counted) == {name: (3, "Count")}


def test_what_is_no_metric_is_not_taken_for_one() -> None:
    with pytest.raises(KeyError):
        logs.write("INFO", "something", {"recipients": 0})


def metrics_of(line: dict[str, Any]) -> dict[str, tuple[float, str]]:
    """Value and unit of each metric of a line, which must be of the backend."""
    [definition] = line["_aws"]["CloudWatchMetrics"] if "_aws" in line else [{"Metrics": []}]
    if "_aws" in line:
        assert (definition["Namespace"], definition["Dimensions"], line["Backend"]) == (
            "Roomcast",
            [["Backend"]],
            "chat",
        )
    return {each["Name"]: (line[each["Name"]], each["Unit"]) for each in definition["Metrics"]}


README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `(\w+)` \| (Count|Milliseconds|Percent) \| (.+?) \| (.+?) \|", README, re.MULTILINE)


def test_readme_names_every_metric() -> None:
    """When it is written, and by which functions."""
    documented = {name: (unit, written, re.findall(r"`(\w+)`", by)) for name, unit, written, by in ROWS}
    assert documented == {
        name: (metric.unit, "above 0" if metric.is_trouble else "always", [*metric.by])
        for name, metric in logs.METRICS.items()
    }


def test_each_function_that_writes_metrics_exists() -> None:
    handlers = {file.stem for file in Path(__file__).parents[1].glob("*.py")}
    assert {name for metric in logs.METRICS.values() for name in metric.by} <= handlers


def test_a_room_is_named_by_its_digest() -> None:
    """The command line tool computes the same one: it must never change."""
    assert logs.room_hash("chat-connections", "lobby") == hashlib.sha256(b"chat-connections\0lobby").hexdigest()[:12]
    assert logs.room_hash("a", "blobby") != logs.room_hash("ab", "lobby")


def test_lines_of_an_invocation_name_it(capsys: pytest.CaptureFixture[str]) -> None:
    logs.begin("i-1", request_id="r-1", connection_id="")
    logs.note(room="7f")
    logs.note("fan-out", {"posts": 2, "gone": 0}, outcome="served", request_id="r-2")
    logs.write("WARNING", "something")
    logs.end("INFO", "message", outcome="not_delivered")
    logs.begin("i-2")
    logs.end("INFO", "message")

    warning, fan_out, other = printed(capsys)
    assert {name: warning[name] for name in warning if name.endswith("id")} == {
        "lambda_request_id": "i-1",
        "request_id": "r-1",
    }
    assert (fan_out["message"], fan_out["lambda_request_id"], fan_out["request_id"]) == ("fan-out", "i-1", "r-2")
    assert (fan_out["outcome"], fan_out["room"], fan_out["posts"]) == ("not_delivered", "7f", 2)
    assert other.keys() == {"level", "message", "timestamp", "lambda_request_id"}


def test_what_was_noted_for_an_invocation_that_did_not_end_is_not_told_of_the_next(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As when its time-out ends it before its line."""
    logs.begin("i-1")
    logs.note("fan-out", {"posts": 2}, outcome="served")
    logs.begin("i-2")
    logs.end("INFO", "message")

    [line] = printed(capsys)
    assert line.keys() == {"level", "message", "timestamp", "lambda_request_id"}
    assert line["message"] == "message"


LOBBY = logs.room_hash("connections", "lobby")


def ids_of(line: dict[str, Any]) -> tuple[str, str, str]:
    """The names by which a line is found."""
    return line["connection_id"], line["request_id"], line["lambda_request_id"]


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

        [line] = printed(capsys)
        posts = outcome == "served" and route == "sendmessage"
        assert (line["level"], line["message"]) == ("INFO", "fan-out" if posts else "message")
        assert (line["route"], line["outcome"]) == (route, outcome)
        assert ids_of(line) == ("alice=", "request-1", "invocation-1")
        assert line.get("room") == (LOBBY if route == "sendmessage" and posts else None)

    def test_of_a_fan_out(
        self, load: Callable[[str], Any], capsys: pytest.CaptureFixture[str], connections: FakeConnections
    ) -> None:
        """The one line of the invocation says how it went, with exactly these metrics."""
        for name in ("carol=", "dora=", "erin="):
            load("connect").handler(handshake(name, "lobby"), FakeContext())
        connections.gone.add("carol=")
        connections.refusing.add("dora=")
        capsys.readouterr()
        load("sendmessage").handler(message("alice=", {"data": "hello", "id": "1"}), FakeContext())

        warning, line = printed(capsys)
        assert (warning["level"], warning["message"], warning["members"]) == ("WARNING", "members are given up", 1)
        assert {name: value for name, (value, _) in metrics_of(line).items() if not name.endswith("_ms")} == {
            "posts": 5,
            "delivered": 3,
            "failed": 1,
            "gone": 1,
        }
        assert {name: unit for name, (_, unit) in metrics_of(line).items() if name.endswith("_ms")} == {
            "fanout_ms": "Milliseconds",
            "lag_ms": "Milliseconds",
        }
        assert (line["message"], line["outcome"], line["route"]) == ("fan-out", "served", "sendmessage")
        assert (line["recipients"], line["given_up"], line["room"]) == (5, 1, LOBBY)
        assert ids_of(line) == ("alice=", "request-1", "invocation-1")

    def test_of_a_fan_out_that_is_refused(
        self, load: Callable[[str], Any], capsys: pytest.CaptureFixture[str], connections: FakeConnections
    ) -> None:
        """The sender is told so, and the outcome says it, too."""
        connections.refusing.add("bob=")
        load("sendmessage").handler(message("alice=", {"data": "hello"}), FakeContext())

        line = printed(capsys)[-1]
        assert (line["message"], line["outcome"], line["failed"]) == ("fan-out", "not_delivered", 1)

    def test_of_a_ping(self, load: Callable[[str], Any], capsys: pytest.CaptureFixture[str], table: FakeTable) -> None:
        """None if it went well: heartbeats are most of a quiet stage's invocations."""
        load("ping").handler(message("alice=", {"action": "ping"}, "ping"), FakeContext())
        assert printed(capsys) == []

        load("ping").handler(message("nobody=", {"action": "ping"}, "ping"), FakeContext())
        [line] = printed(capsys)
        assert (line["message"], line["outcome"]) == ("message", "not_joined")

        table.failing.add("GetItem")
        load("ping").handler(message("alice=", {"action": "ping"}, "ping"), FakeContext())
        assert [line["message"] for line in printed(capsys)] == ["the table or the queue failed", "message"]

    @pytest.mark.parametrize(("rooms", "status"), [(("lobby",), 200), (("a b",), 400)])
    def test_of_a_handshake(
        self, load: Callable[[str], Any], capsys: pytest.CaptureFixture[str], rooms: tuple[str], status: int
    ) -> None:
        load("connect").handler(handshake("carol=", *rooms), FakeContext())

        [line] = printed(capsys)
        assert (line["level"], line["message"], line["status"]) == ("INFO", "connect", status)
        assert line["outcome"] == ("served" if status == 200 else "refused")
        assert line.get("room") == (LOBBY if status == 200 else None)
        assert ids_of(line) == ("carol=", "request-1", "invocation-1")
        assert metrics_of(line) == {}

    @pytest.mark.parametrize(("connection_id", "left"), [("alice=", True), ("nobody=", False)])
    def test_of_a_departure(
        self, load: Callable[[str], Any], capsys: pytest.CaptureFixture[str], connection_id: str, left: bool
    ) -> None:
        load("disconnect").handler(event("DISCONNECT", connection_id), FakeContext())

        [line] = printed(capsys)
        assert (line["level"], line["message"], line["left"]) == ("INFO", "disconnect", left)
        assert ids_of(line) == (connection_id, "request-1", "invocation-1")

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

        line, last = printed(capsys)
        assert line["level"] == "ERROR"
        assert ids_of(line) == ids_of(last) == ("alice=", "request-1", "invocation-1")
        assert line["error"] == f"{operation} failed: InternalServerError"
        assert line["message"] == ("the table failed" if route == "connect" else "the table or the queue failed")
        assert metrics_of(line) == {"unavailable": (1, "Count")}
        assert last["outcome"] == "unavailable"
        assert metrics_of(last) == ({"join_failed": (1, "Count")} if route == "connect" else {})

    @pytest.mark.parametrize("name", ["disconnect", "kick"])
    def test_of_an_invocation_that_ends_with_an_error(
        self, load: Callable[[str], Any], capsys: pytest.CaptureFixture[str], table: FakeTable, name: str
    ) -> None:
        """Lambda has it run again, or its caller does."""
        table.failing.update({"GetItem", "Query", "TransactWriteItems", "UpdateItem"})
        happening = event("DISCONNECT", "alice=") if name == "disconnect" else {"connection": "alice="}
        with pytest.raises(aws_json.ServiceError):
            load(name).handler(happening, FakeContext())

        [line] = printed(capsys)
        assert (line["level"], line["message"]) == ("ERROR", "the table failed")
        assert line["lambda_request_id"] == "invocation-1"
        assert metrics_of(line) == {"unavailable": (1, "Count")}

    @pytest.mark.parametrize("code", ["ConditionalCheckFailedException", "TransactionCanceledException"])
    def test_of_a_condition_that_does_not_hold(self, capsys: pytest.CaptureFixture[str], code: str) -> None:
        """The table has answered."""
        reasons = {"CancellationReasons": [{"Code": "None"}, {"Code": "ConditionalCheckFailed"}]}
        details = reasons if code == "TransactionCanceledException" else {}
        aws_json.tell("ERROR", "it failed", aws_json.ServiceError("UpdateItem", code, details, transient=False))

        [line] = printed(capsys)
        assert (line["level"], line["error"]) == ("ERROR", f"UpdateItem failed: {code}")
        assert metrics_of(line) == {}

    def test_of_a_room_that_cannot_be_read(
        self, load: Callable[[str], Any], capsys: pytest.CaptureFixture[str], table: FakeTable
    ) -> None:
        table.failing.add("Query")
        load("sendmessage").handler(message("alice=", {"data": "hello"}), FakeContext())

        [line] = [line for line in printed(capsys) if line["level"] == "ERROR"]
        assert (line["message"], line["request_id"]) == ("the members could not be read", "request-1")
        assert line["error"] == "Query failed: InternalServerError"
        assert metrics_of(line) == {"unavailable": (1, "Count")}

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
