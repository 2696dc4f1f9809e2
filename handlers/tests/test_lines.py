"""One message in the lines of all functions that it goes through: the same names, and metrics of each fan-out."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from roomcast import aws_json, delivery, fanout, logs, marks, tasks
from tests.fakes import FakeConnections, FakeContext, FakeTable, handshake, message
from tests.test_fanout_worker import FakeQueueService, make_queue, service, worker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.v1 import Clients

    Load = Callable[[str], Any]

__all__ = ["make_queue", "service", "worker"]

LOBBY = logs.room_hash("connections", "lobby")
SENT_AGO = 2_000
"""Milliseconds between a message and its worker."""


@pytest.fixture(autouse=True)
def level(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Terraform sets it."""
    monkeypatch.setenv("ROOMCAST_LOG_LEVEL", "INFO")


def printed(capsys: pytest.CaptureFixture[str], text: str = "") -> list[dict[str, Any]]:
    """The lines that were printed, or those with one text as their ``message``."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [line for line in lines if line["message"] == text or not text]


def metrics(line: Mapping[str, Any]) -> set[str]:
    """Names of a line's metrics."""
    return {each["Name"] for part in line.get("_aws", {}).get("CloudWatchMetrics", []) for each in part["Metrics"]}


def queue_message(body: str, attempt: int = 1, name: str = "m-1", **attributes: str) -> dict[str, Any]:
    """A message as SQS hands it to a function."""
    return {
        "messageId": name,
        "body": body,
        "attributes": {"ApproximateReceiveCount": str(attempt), **attributes},
    }


class TestThroughTheQueue:
    """A message that workers deliver."""

    def test_it_is_followed_by_the_senders_id(
        self,
        worker: Any,
        load: Load,
        service: FakeQueueService,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        sendmessage = load("sendmessage")
        monkeypatch.setattr(sendmessage, "QUEUE", worker.QUEUE)
        happening = message("alice=", {"data": "hello"})
        happening["requestContext"] |= {
            "requestId": "request-7",
            "requestTimeEpoch": int(time.time() * 1000) - SENT_AGO,
        }
        capsys.readouterr()
        sendmessage.handler(happening, FakeContext())

        [line] = printed(capsys)
        assert (line["message"], line["outcome"], line["tasks"], line["room"]) == ("queued", "served", 1, LOBBY)
        assert (line["request_id"], line["connection_id"], line["lambda_request_id"]) == (
            "request-7",
            "alice=",
            "invocation-1",
        )
        assert metrics(line) == set()

        [[entry]] = service.batches
        context = FakeContext()
        context.aws_request_id = "invocation-2"
        worker.handler({"Records": [queue_message(entry["MessageBody"], attempt=2)]}, context)
        [line] = printed(capsys)
        assert (line["message"], line["outcome"], line["room"], line["recipients"]) == ("fan-out", "served", LOBBY, 3)
        assert (line["request_id"], line["connection_id"], line["lambda_request_id"]) == (
            "request-7",
            "alice=",
            "invocation-2",
        )
        assert (line["task_id"], line["attempt"]) == ("m-1", 2)
        assert SENT_AGO <= line["lag_ms"] < SENT_AGO + 60_000
        assert metrics(line) == {"posts", "delivered", "fanout_ms", "lag_ms"}

    @pytest.mark.parametrize("fifo", [False, True])
    def test_a_tasks_line_has_its_own_queue_message(
        self,
        worker: Any,
        make_queue: Callable[..., tasks.Queue],
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
        *,
        fifo: bool,
    ) -> None:
        monkeypatch.setattr(worker, "QUEUE", make_queue(fifo=fifo))
        monkeypatch.setattr(worker, "SETTINGS", worker.SETTINGS._replace(queue_is_fifo=fifo))
        sent = [delivery.RoomMessage("lobby", "alice=", "hello", f"r-{number}") for number in range(3)]
        records = [
            queue_message(tasks.Task(each, 0).to_json(), name=f"m-{number}", MessageGroupId="lobby.0")
            for number, each in enumerate(sent)
        ]
        capsys.readouterr()
        worker.handler({"Records": records}, FakeContext())

        lines = printed(capsys, "fan-out")
        assert [(line["request_id"], line["task_id"]) for line in lines] == [(f"r-{n}", f"m-{n}") for n in range(3)]

    def test_a_task_of_an_earlier_release_has_no_lag(
        self,
        worker: Any,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        body = tasks.Task(delivery.RoomMessage("lobby", "alice=", "hello", "r"), 0).to_json()
        assert "taken_at" not in json.loads(body)
        capsys.readouterr()
        worker.handler({"Records": [queue_message(body)]}, FakeContext())

        [line] = printed(capsys)
        assert "lag_ms" not in line
        assert metrics(line) == {"posts", "delivered", "fanout_ms"}

    def test_the_rounds_of_those_that_do_not_read_are_no_lag_of_the_backend(
        self,
        worker: Any,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """Any client could raise an alarm otherwise."""
        sent = delivery.RoomMessage("lobby", "alice=", "hello", "r", taken_at=int(time.time() * 1000) - SENT_AGO)
        task = tasks.Task(sent, 0, recipients=[fanout.Recipient("bob=", 0)], rounds=2)
        capsys.readouterr()
        worker.handler({"Records": [queue_message(task.to_json())]}, FakeContext())

        [line] = printed(capsys)
        assert line["lag_ms"] >= SENT_AGO
        assert metrics(line) == {"posts", "delivered", "fanout_ms"}

    @pytest.mark.parametrize(("rounds", "metric"), [(0, "failed"), (3, "slow")])
    def test_what_becomes_a_dead_letter_counts(
        self,
        worker: Any,
        capsys: pytest.CaptureFixture[str],
        rounds: int,
        metric: str,
    ) -> None:
        sent = delivery.RoomMessage("lobby", "alice=", "hello", "r-1")
        named = [fanout.Recipient(name, 0) for name in ("bob=", "carol=")]
        task = tasks.Task(sent, 0, recipients=named, rounds=rounds)
        capsys.readouterr()
        worker.handler({"Records": [queue_message(task.to_json(), attempt=tasks.MAXIMUM_RECEIVES)]}, FakeContext())

        [line] = printed(capsys)
        assert (line["level"], line["message"], line["given_up"]) == ("ERROR", "a task is given up", 2)
        assert (line["task_id"], line["attempt"], line["request_id"]) == ("m-1", tasks.MAXIMUM_RECEIVES, "r-1")
        assert (metrics(line), line[metric]) == ({metric}, 2)


class TestSummary:
    """Numbers of a fan-out as metrics."""

    @staticmethod
    def summary(*, taken_at: int = 1_000, error: Exception | None = None, **counts: int) -> delivery.Summary:
        """The summary of a report with some numbers, that began at 1,500 and took 250.4 ms."""
        report = fanout.Report()
        report.duration_ms = 250.4
        for name, value in counts.items():
            setattr(report, name, value)
        sent = delivery.RoomMessage("lobby", "alice=", "hello", "r", taken_at=taken_at)
        result = fanout.Result(report, error=error)
        return delivery.summary_of(sent, result, 1_500.0, "connections", is_aside=False)

    def test_of_trouble_of_each_kind(self) -> None:
        made = self.summary(
            recipients=20,
            delivered=9,
            gone=2,
            failed=9,
            handed_back=3,
            slow=1,
            unsent=4,
            retried=7,
            throttled=6,
            refused=5,
        )
        assert made.metrics == {
            "posts": 23,
            "delivered": 9,
            "fanout_ms": 250.4,
            "failed": 5,
            "slow": 1,
            "gone": 2,
            "throttled": 6,
            "refused": 5,
        }
        assert (made.fields["given_up"], made.fields["retried"], made.fields["recipients"]) == (6, 7, 20)

    def test_of_lag(self) -> None:
        assert self.summary().metrics["lag_ms"] == 750
        # The clocks of API Gateway and of the function differ.
        assert self.summary(taken_at=9_000).metrics["lag_ms"] == 0
        assert "lag_ms" not in {**self.summary(taken_at=0).metrics, **self.summary(taken_at=0).fields}

    def test_one_client_that_does_not_read_makes_no_lag(self) -> None:
        made = self.summary(recipients=2, delivered=1, failed=1, slow=1)
        assert "lag_ms" not in made.metrics
        assert made.fields["lag_ms"] == 750

    @pytest.mark.parametrize(
        ("error", "is_complete", "outcome"),
        [(None, True, "served"), (None, False, "incomplete"), (ValueError(), False, "unavailable")],
    )
    def test_of_the_outcome(self, error: Exception | None, *, is_complete: bool, outcome: str) -> None:
        assert self.summary(error=error, complete=is_complete).fields["outcome"] == outcome

    def test_each_metric_is_on_the_list(self) -> None:
        assert self.summary().metrics.keys() <= logs.METRICS.keys()


class TestPublished:
    """Messages of backends."""

    def test_each_has_one_line(self, people: Clients, capsys: pytest.CaptureFixture[str]) -> None:
        capsys.readouterr()
        wanted = [{"room": "lobby", "data": "x"}, {"room": "no room", "data": "x"}, {"user": "alice", "data": "x"}]
        people.load("publish").handler({"messages": wanted}, FakeContext())

        refused, to_room, to_user = printed(capsys)
        assert (refused["message"], refused["request_id"]) == ("publish", "invocation-1.1")
        assert refused["outcome"] not in {"served", "unavailable"}
        assert (to_room["message"], to_room["outcome"], to_room["room"]) == ("fan-out", "served", LOBBY)
        assert (to_room["request_id"], to_room["lambda_request_id"]) == ("invocation-1.0", "invocation-1")
        assert metrics(to_room) == {"posts", "delivered", "fanout_ms", "lag_ms"}
        assert (to_user["recipients"], to_user["request_id"]) == (2, "invocation-1.2")
        assert "room" not in to_user
        assert "alice" not in json.dumps(to_user).replace("alice-", "")

    def test_lag_includes_their_queue(self, people: Clients, capsys: pytest.CaptureFixture[str]) -> None:
        sent = str(int(time.time() * 1000) - SENT_AGO)
        record = queue_message('{"room":"lobby","data":"x"}', attempt=3, SentTimestamp=sent)
        capsys.readouterr()
        people.load("publish").handler({"Records": [record]}, FakeContext())

        [line] = printed(capsys)
        assert (line["task_id"], line["attempt"], line["message"]) == ("m-1", 3, "fan-out")
        assert line["lag_ms"] >= SENT_AGO

    def test_of_a_table_that_fails(self, people: Clients, table: FakeTable, capsys: pytest.CaptureFixture[str]) -> None:
        table.failing.update({"GetItem", "Query"})
        capsys.readouterr()
        people.load("publish").handler({"messages": [{"user": "alice", "data": "x"}]}, FakeContext())

        error, *_ = printed(capsys)
        assert (error["level"], error["message"], error["unavailable"]) == ("ERROR", "the table failed", 1)
        assert error["request_id"] == "invocation-1.0"


class TestKicked:
    """Clients that are thrown out."""

    def test_a_kick_names_nobody(self, people: Clients, capsys: pytest.CaptureFixture[str]) -> None:
        capsys.readouterr()
        people.load("kick").handler({"user": "alice"}, FakeContext())

        [line] = printed(capsys)
        assert (line["message"], line["outcome"], line["closed"]) == ("kick", "served", 2)
        assert line["lambda_request_id"] == "invocation-1"
        assert "alice" not in json.dumps(line)
        assert metrics(line) == set()

    def test_one_that_is_refused_says_why(self, people: Clients, capsys: pytest.CaptureFixture[str]) -> None:
        capsys.readouterr()
        people.load("kick").handler({}, FakeContext())

        [line] = printed(capsys)
        assert (line["level"], line["message"]) == ("WARNING", "kick")
        assert line["outcome"] != "served"


def test_an_announcement_of_presence_has_the_metrics_of_a_fan_out(
    watching: Clients, looks: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """But no lag: it has no sender."""
    watching.connect("alice=", "lobby", offers="roomcast.v1")
    worker = watching.load("presence")
    [(body, _)] = looks.waiting
    capsys.readouterr()
    worker.handler({"Records": [queue_message(body, attempt=1)]}, FakeContext())

    [line] = printed(capsys)
    assert (line["message"], line["room"], line["presence"]) == ("fan-out", LOBBY, 1)
    assert (line["task_id"], line["attempt"], line["lambda_request_id"]) == ("m-1", 1, "invocation-1")
    assert metrics(line) == {"posts", "delivered", "fanout_ms"}


def test_a_look_that_fails_is_a_call_that_failed(
    watching: Clients, table: FakeTable, capsys: pytest.CaptureFixture[str]
) -> None:
    worker = watching.load("presence")
    table.failing.add("UpdateItem")
    body = marks.Task("lobby", 1).to_json()
    answer = worker.handler({"Records": [queue_message(body)]}, FakeContext())

    assert answer == {"batchItemFailures": [{"itemIdentifier": "m-1"}]}
    [line] = printed(capsys, "a room was not looked at")
    assert (line["level"], line["unavailable"], line["task_id"]) == ("ERROR", 1, "m-1")


@pytest.mark.parametrize("route", ["join", "leave", "who"])
def test_a_line_of_a_route_names_its_room(clients: Clients, capsys: pytest.CaptureFixture[str], route: str) -> None:
    clients.connect("alice=", "lobby", offers="roomcast.v1")
    capsys.readouterr()
    body: dict[str, object] = {"rooms": {"lobby": {}}} if route == "join" else {"room": "lobby"}
    clients.load(route).handler(message("alice=", {"action": route, **body}, route), FakeContext())

    assert [line["room"] for line in printed(capsys, "message")] == [LOBBY]


def test_rooms_are_named_by_nothing_else(
    load: Load, connections: FakeConnections, table: FakeTable, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where something fails."""
    room = "a-telling-name"
    for name in ("alice=", "bob="):
        load("connect").handler(handshake(name, room), FakeContext())
    connections.refusing.add("bob=")
    load("sendmessage").handler(message("alice=", {"data": "x"}), FakeContext())
    table.failing.update({"Query", "TransactWriteItems"})
    load("sendmessage").handler(message("alice=", {"data": "x"}), FakeContext())
    load("connect").handler(handshake("carol=", room), FakeContext())

    output = capsys.readouterr().out
    assert room not in output
    assert output.count(logs.room_hash("connections", room)) == 5


def test_who_may_not_be_told_is_unavailable_for_all_kinds() -> None:
    """A service that refuses, throttles or is down; see also the conditions in ``test_logs``."""
    for code in ("AccessDeniedException", "ThrottlingException", "timed out", "TransactionCanceledException"):
        assert aws_json.ServiceError("Query", code, {}, transient=True).is_unavailable
