"""Commands that look into a stage and repair it: logs, leftovers, dead letters, numbers, queries, policies."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from roomcast import logs, sweeping, tasks
from roomcast.delivery import RoomMessage
from roomcast_cli import application, leftovers, log_groups, queries
from roomcast_cli.commands import stats, tail

from scripts.tests import stages
from scripts.tests.command_line import ended, of_json, on_terminal, run, start, terminal_of
from scripts.tests.fake_aws import ACCOUNT, REGION, WHO, FakeAws, Refusal, fake_aws
from scripts.waiting import scaled

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HASH = logs.room_hash(stages.TABLE, "lobby")
REQUEST = "3670b61f-68de-4048-8e7f-37f7fb8b87c1"
INVOCATION = "0f3c8c1e-aaaa-4048-8e7f-37f7fb8b87c1"
AT = 1_764_387_200_012
"""2025-11-29T03:33:20.012Z."""
GROUP = "/aws/lambda/roomcast-sendmessage"
DEAD = "roomcast-fanout-dead-letters"
WRITES = ("dynamodb:TransactWriteItems", "dynamodb:UpdateItem", "sqs:SendMessage")


def ago(seconds: float) -> int:
    """Return a time before now, epoch milliseconds."""
    return round((time.time() - seconds) * 1000)


class Account:
    """What the account has: rows, living connections, lines, messages.

    Attributes:
        aws: The account.
        rows: Of the table.
        alive: Ids of connections that exist.
        lines: Lines of each log group.
        letters: Bodies of the messages in the dead-letter queue.
        results: Rows of the next queries.
        alarms: As CloudWatch describes them.
        variables: Environment of the function ``disconnect``.
    """

    def __init__(self, aws: FakeAws) -> None:
        self.aws = aws
        self.rows: list[Any] = []
        self.alive: set[str] = set()
        self.lines: dict[str, list[Any]] = {}
        self.letters: list[str] = []
        self.results: list[list[dict[str, str]]] = []
        self.alarms = [{"AlarmName": "roomcast-posts-failed", "StateValue": "OK"}]
        self.variables: dict[str, str] = {}
        stages.serve(
            aws,
            fanout_queue_url=f"{stages.QUEUES}-fanout",
            fanout_dead_letter_queue_url=f"{stages.QUEUES}-fanout-dead-letters",
            management_endpoint=f"{aws.url}/live",
        )
        aws.answers |= {
            "dynamodb:Scan": lambda _: {"Items": self.rows, "Count": len(self.rows), "ScannedCount": len(self.rows)},
            "dynamodb:TransactWriteItems": lambda _: {},
            "execute-api:ManageConnections": self._connection,
            "logs:FilterLogEvents": self._lines,
            "logs:StartQuery": lambda _: {"queryId": "q"},
            "logs:GetQueryResults": self._results,
            "sqs:GetQueueAttributes": self._attributes,
            "sqs:ReceiveMessage": self._letters,
            "sqs:StartMessageMoveTask": lambda _: {"TaskHandle": "t"},
            "cloudwatch:GetMetricData": self._numbers,
            "cloudwatch:DescribeAlarms": lambda _: {"MetricAlarms": self.alarms},
            "dynamodb:UpdateItem": lambda _: {"Attributes": {}},
            "sqs:SendMessage": lambda _: {},
            "lambda:GET /2015-03-31/functions/roomcast-disconnect/configuration?Qualifier=live": lambda _: {
                "Environment": {"Variables": self.variables}
            },
        }

    def add(
        self, number: str, rooms: list[str], seconds: float = 600, *, alive: bool = False, left: float = 900
    ) -> None:
        """Add the rows of a connection."""
        self.rows += stages.connection(number, rooms, ago(seconds), round(time.time() + left))
        self.alive |= {number} if alive else set()

    def write(self, function: str, at: int, line: Any) -> None:
        """Add a line to the log of a function."""
        text = line if isinstance(line, str) else json.dumps(line)
        group = f"/aws/lambda/roomcast-{function}" if function != "access" else "/aws/apigateway/roomcast/live"
        lines = self.lines.setdefault(group, [])
        lines.append({"eventId": f"{len(lines)}", "timestamp": at, "message": text, "ingestionTime": at + 500})

    def deleted(self) -> list[str]:
        """Return the partition keys of the rows that were deleted."""
        written = [
            fields["TransactItems"] for action, fields in self.aws.asked if action == "dynamodb:TransactWriteItems"
        ]
        return [each["Delete"]["Key"]["partition_key"]["S"] for actions in written for each in actions]

    def _connection(self, fields: dict[str, Any]) -> Any:
        if fields["id"] not in self.alive:
            raise Refusal("GoneException", status=410)
        return {"connectedAt": "2026-11-28T01:41:10Z"}

    def _lines(self, fields: dict[str, Any]) -> Any:
        found = self.lines.get(fields["logGroupName"], [])
        return {"events": [each for each in found if each["timestamp"] >= fields["startTime"]]}

    def _results(self, _: dict[str, Any]) -> Any:
        rows = self.results.pop(0) if self.results else []
        found = [[{"field": name, "value": value} for name, value in row.items()] for row in rows]
        return {"status": "Complete", "results": found, "statistics": {"bytesScanned": 1e7}}

    def _attributes(self, _: dict[str, Any]) -> Any:
        number = str(len(self.letters))
        arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{DEAD}"
        retention = {"MessageRetentionPeriod": "1209600"}
        return {"Attributes": {"ApproximateNumberOfMessages": number, "QueueArn": arn, **retention}}

    def _letters(self, _: dict[str, Any]) -> Any:
        attributes = {"ApproximateReceiveCount": "5", "SentTimestamp": str(ago(7_500))}
        return {
            "Messages": [
                {"MessageId": str(number), "ReceiptHandle": "r", "Body": body, "Attributes": attributes}
                for number, body in enumerate(self.letters)
            ]
        }

    def _numbers(self, fields: dict[str, Any]) -> Any:
        values = {"delivered": 18_219.0, "lag_p99": 180.4, "failed": 0.0}
        found = [each["Id"] for each in fields["MetricDataQueries"]]
        return {
            "MetricDataResults": [{"Id": name, "Values": [values[name]] if name in values else []} for name in found]
        }


@pytest.fixture
def account() -> Iterator[Account]:
    """An account with one stage that has queued delivery."""
    with fake_aws() as aws:
        yield Account(aws)


def fan_out(at: int, **fields: Any) -> dict[str, Any]:
    """Return a line of a fan-out."""
    counts = {"posts": 40, "failed": 0, "lag_ms": 96.5, "outcome": "served"}
    return {
        "level": "INFO",
        "message": "fan-out",
        "timestamp": at,
        "request_id": REQUEST,
        "room": HASH,
        **counts,
        **fields,
    }


def test_tail_merges_logs_by_time(account: Account) -> None:
    first = ago(60)
    account.write("sendmessage", first + 2_000, fan_out(first))
    account.write("access", first + 1_000, {"request_id": REQUEST, "route": "sendmessage", "status": "200"})
    account.write("connect", first, f"REPORT RequestId: {INVOCATION}\tDuration: 9 ms")

    status, output, told = run("tail", "--since", "10m", "--no-follow", **account.aws.variables)

    rows = [line.split("\t") for line in output.splitlines()]
    assert (status, told) == (0, "")
    assert [row[1:3] for row in rows] == [["connect", ""], ["access", "200"], ["sendmessage", "INFO"]]
    assert rows[2][3:] == ["fan-out", "served  posts 40  failed 0  lag 96.5 ms", f"request {REQUEST}"]
    assert {len(row) for row in rows} == {6}


def test_tail_as_json_and_on_a_terminal(account: Account) -> None:
    account.write("sendmessage", ago(60), fan_out(ago(60)))
    status, output, _ = run("tail", "--since", "10m", "--no-follow", "--json", **account.aws.variables)
    found = json.loads(output)
    assert (status, found["v"], found["log"], found["posts"], found["message"]) == (0, 1, "sendmessage", 40, "fan-out")
    assert found["ingested_at"].endswith("Z")

    status, shown = on_terminal("tail", "--since", "10m", "--no-follow", COLUMNS="200", **account.aws.variables)
    assert (status, "sendmessage     INFO     fan-out  served  posts 40" in shown) == (0, True)


def test_lines_of_one_millisecond_stand_as_lambda_writes_them() -> None:
    texts = ["INIT_START Runtime Version: 3.13", "START RequestId: r", '{"message": "queued"}', "END RequestId: r"]
    lines = [log_groups.Line(AT, "sendmessage", text) for text in [*texts, "REPORT RequestId: r\tDuration: 3 ms"]]

    assert log_groups.by_time(reversed([*lines, log_groups.Line(AT + 1, "access", "later")]))[:5] == lines


def test_tail_of_errors_rooms_and_functions(account: Account) -> None:
    now = ago(60)
    account.write("sendmessage", now, fan_out(now))
    account.write("sendmessage", now + 1, fan_out(now, room="0" * 12, level="ERROR", error="DynamoDB: down"))
    account.write("connect", now + 2, "2026-11-28T03:33:20Z Task timed out after 29.00 seconds")
    command = ["tail", "--since", "10m", "--no-follow"]

    def found(*options: str) -> list[str]:
        status, output, told = run(*command, *options, **account.aws.variables)
        assert (status, told) == (0, "")
        return [line.split("\t")[1] for line in output.splitlines()]

    assert found("--errors") == ["sendmessage", "connect"]
    assert found("--room", "lobby") == ["sendmessage"]
    assert found("--function", "connect") == ["connect"]
    assert run(*command, "--function", "other", **account.aws.variables)[0] == 3


def test_what_a_client_wrote_does_not_reach_the_terminal_as_it_is(account: Account) -> None:
    account.write("sendmessage", ago(60), fan_out(ago(60), error="\x1b[2Jgone\u202e"))
    report = {"@message": f"REPORT RequestId: {INVOCATION}\tDuration: 9 ms\n\x1b[2J"}
    account.results = [[row("2025-11-29 03:33:20.012", GROUP, "") | report]]

    for shown in (run, on_terminal):
        lines = shown("tail", "--since", "10m", "--no-follow", **account.aws.variables)[1]
        assert (r"\x1b[2Jgone\u202e" in lines, "\x1b[2J" in lines) == (True, False)
    _, output, _ = run("query", "connection", "--id", REQUEST, **account.aws.variables)
    assert [len(line.split("\t")) for line in output.splitlines()] == [3, 3]
    assert r"Duration: 9 ms \x1b[2J" in output


def test_tail_goes_on_until_ctrl_c(account: Account, tmp_path: Path) -> None:
    """Lines that come later are printed once, however often CloudWatch gives them."""
    output, errors = tmp_path / "output", tmp_path / "errors"
    output.touch()
    errors.touch()
    account.write("sendmessage", ago(0), fan_out(ago(0)))
    process = start(
        "tail", "--since", "10m", "--function", "sendmessage", files=[os.devnull, str(output), str(errors)],
        **account.aws.variables,
    )  # fmt: skip
    until = time.monotonic() + scaled(60)
    while len([action for action, _ in account.aws.asked if action == "logs:FilterLogEvents"]) < 3:
        assert time.monotonic() < until
        if output.read_text().count("\n") == 1 and len(account.lines[GROUP]) == 1:
            account.write("sendmessage", ago(0), fan_out(ago(0), message="later"))
        time.sleep(0.05)
    os.kill(process.pid or 0, signal.SIGINT)

    assert ended(process) == 130
    assert [line.split("\t")[3] for line in output.read_text().splitlines() if line] == ["fan-out", "later"]
    assert errors.read_text().strip() == ""


def test_tail_reads_all_pages_and_asks_again_for_lines_that_come_late() -> None:
    first, second, late = (
        [{"eventId": name, "timestamp": ago(seconds), "message": name, "ingestionTime": ago(1)}]
        for name, seconds in (("one", 9), ("two", 8), ("late", 7))
    )
    pages = [{"events": first, "nextToken": "t"}, {"events": second}]
    reader = tail.Reader(_Pages(pages), {"connect": "g"}, ago(60))
    assert [line.text for line in reader.new()] == ["one", "two"]
    pages.append({"events": late})
    assert [line.text for line in reader.new()] == ["late"]
    assert reader.new() == []


class _Pages:
    """A client of CloudWatch Logs that has these pages."""

    def __init__(self, pages: list[Any]) -> None:
        self._pages = pages

    def get_paginator(self, _operation: str) -> Any:
        return self

    def paginate(self, startTime: int, **_: Any) -> Any:  # noqa: N803 - AWS's name
        for page in self._pages:
            yield {**page, "events": [each for each in page["events"] if each["timestamp"] >= startTime]}


def test_tail_begins_now_unless_told(account: Account) -> None:
    assert run("tail", "--no-follow", **account.aws.variables) == (0, "", "")


def test_log_that_may_not_be_read_is_left_out(account: Account) -> None:
    def lines(fields: dict[str, Any]) -> Any:
        if fields["logGroupName"] != GROUP:
            raise Refusal("AccessDeniedException", f"User: {WHO} is not authorized to perform: logs:FilterLogEvents")
        return {"events": [{"eventId": "1", "timestamp": ago(5), "message": "a line", "ingestionTime": ago(4)}]}

    account.aws.answers["logs:FilterLogEvents"] = lines
    status, output, told = run("tail", "--since", "1m", "--no-follow", **account.aws.variables)

    assert (status, output.count("\n")) == (0, 1)
    assert told.count("is left out: ") == len(stages.HANDLERS)
    assert "roomcast: access is left out: " in told


def test_leftovers(account: Account) -> None:
    account.add("alive=", ["lobby"], alive=True)
    account.add("gone=", ["lobby", "kitchen"], 4_200)
    account.add("young=", ["lobby"], 5)
    account.add("over=", ["lobby"], left=-5)
    account.add("lone=", ["garden"])
    del account.rows[-2]

    status, output, told = run("leftovers", **account.aws.variables)
    assert status == 1
    assert [line.split("\t") for line in output.splitlines()] == [
        ["kind", "rows", "example"],
        ["connection is gone", "1", "gone= in lobby, kitchen, 1 h 10 min old"],
        ["membership alone", "1", "lone= in garden, 10 min old"],
        ["expired, left to TTL", "2", ""],
    ]
    assert told == "checked 3 connections at 100 a second\n"
    assert account.deleted() == []
    assert of_json("leftovers", **account.aws.variables) == (
        1,
        {
            "v": 1,
            "stage": "roomcast/live",
            "gone": 1,
            "alone": 1,
            "expired": 2,
            "checked": 3,
            "alive": 1,
            "deleted": 0,
            "unanswered": 0,
        },
    )
    status, shown = on_terminal("leftovers", **account.aws.variables)
    assert (status, "connection is gone" in shown) == (1, True)


def test_no_leftovers(account: Account) -> None:
    account.add("alive=", ["lobby"], alive=True)

    assert run("leftovers", **account.aws.variables)[0] == 0


def fix(account: Account, monkeypatch: pytest.MonkeyPatch, *options: str) -> int:
    """Run leftovers --fix in this process, without the time between two questions."""
    monkeypatch.setattr(sweeping, "AGAIN_AFTER_SECONDS", 0.0)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    for name, value in account.aws.variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ROOMCAST_STAGE", "roomcast")
    return application.run(["leftovers", "--fix", *options])


def test_leftovers_are_deleted_by_the_handlers_rules(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    account.add("alive=", ["lobby"], alive=True)
    account.add("gone=", ["lobby", "kitchen"], 4_200)
    account.add("lone=", ["garden"])
    del account.rows[-2]

    assert fix(account, monkeypatch, "--yes") == 0
    assert account.deleted() == [
        "connection#gone=",
        "room#lobby#0",
        "room#kitchen#0",
        "connection#lone=",
        "room#garden#0",
    ]
    [first, *_] = [fields for action, fields in account.aws.asked if action == "dynamodb:TransactWriteItems"]
    assert "connected_at = :connected_at" in first["TransactItems"][0]["Delete"]["ConditionExpression"]


def test_members_are_told_of_those_whose_rows_were_deleted(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a sweep: rooms with presence are noted before, and marked after."""
    queue = f"{stages.QUEUES}-presence"
    stages.serve(
        account.aws, presence_queue_url=queue, presence_dead_letter_queue_url=f"{queue}-dead-letters",
        management_endpoint=f"{account.aws.url}/live",
    )  # fmt: skip
    account.variables = {
        "ROOMCAST_MANAGEMENT_ENDPOINT": "https://x", "ROOMCAST_TABLE_NAME": stages.TABLE,
        "ROOMCAST_PRESENCE_ROOMS": '["lob*"]', "ROOMCAST_PRESENCE_QUEUE_URL": queue,
        "ROOMCAST_PRESENCE_WINDOW_SECONDS": "7",
    }  # fmt: skip
    account.add("alive=", ["lobby"], alive=True)
    account.add("gone=", ["lobby", "kitchen"], 4_200)

    assert fix(account, monkeypatch, "--yes") == 0
    written = [(action, fields) for action, fields in account.aws.asked if action in WRITES]
    assert [action.partition(":")[2] for action, _ in written] == [
        "UpdateItem", "TransactWriteItems", "UpdateItem", "SendMessage",
    ]  # fmt: skip
    assert {fields["Key"]["partition_key"]["S"] for _, fields in written if "Key" in fields} == {"presence#lobby"}
    _, message = written[-1]
    assert (message["QueueUrl"], message["DelaySeconds"], json.loads(message["MessageBody"])["room"]) == (
        queue, 7, "lobby",
    )  # fmt: skip
    operate = json.loads(run("policy", "operate", **account.aws.variables)[1])
    assert actions(operate) >= {*WRITES} - {"dynamodb:TransactWriteItems"}


def test_nothing_is_deleted_where_presence_cannot_be_marked(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = f"{stages.QUEUES}-presence"
    stages.serve(account.aws, presence_queue_url=queue, management_endpoint=f"{account.aws.url}/live")
    account.add("alive=", ["lobby"], alive=True)
    account.add("gone=", ["lobby"])

    assert fix(account, monkeypatch, "--yes") == 4
    account.variables = {
        "ROOMCAST_MANAGEMENT_ENDPOINT": "https://x", "ROOMCAST_TABLE_NAME": stages.TABLE,
        "ROOMCAST_PRESENCE_ROOMS": '["*"]',
    }  # fmt: skip
    account.aws.withheld = {"dynamodb:UpdateItem"}
    assert fix(account, monkeypatch, "--yes") == 4
    assert account.deleted() == []


def test_membership_of_a_newer_connection_stays(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    account.add("alive=", ["lobby"], alive=True)
    account.add("lone=", ["garden"])
    del account.rows[-2]
    tried: list[int] = []

    def refuse(fields: dict[str, Any]) -> Any:
        actions = len(fields["TransactItems"])
        tried.append(actions)
        raise Refusal(
            "TransactionCanceledException", CancellationReasons=[{"Code": "ConditionalCheckFailed"}] * actions
        )

    account.aws.answers["dynamodb:TransactWriteItems"] = refuse
    assert fix(account, monkeypatch, "--yes") == 0
    assert len(tried) == 1


def test_connection_that_answers_the_second_time_stays(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    account.add("alive=", ["lobby"], alive=True)
    account.add("slow=", ["lobby"])
    asked: list[str] = []

    def connection(fields: dict[str, Any]) -> Any:
        asked.append(fields["id"])
        if fields["id"] == "slow=" and asked.count("slow=") == 1:
            raise Refusal("GoneException", status=410)
        return {}

    account.aws.answers["execute-api:ManageConnections"] = connection
    assert fix(account, monkeypatch, "--yes") == 0
    assert (asked.count("slow="), account.deleted()) == (2, [])


def test_nothing_is_deleted_where_no_connection_is_alive(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    account.add("gone=", ["lobby"])

    assert fix(account, monkeypatch, "--yes") == 1
    assert account.deleted() == []


def test_young_connection_proves_that_it_is_the_right_stage(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    account.add("gone=", ["lobby"])
    account.add("young=", ["lobby"], 5, alive=True)
    account.add("younger=", ["lobby"], 110)

    assert fix(account, monkeypatch, "--yes") == 0
    assert account.deleted() == ["connection#gone=", "room#lobby#0"]


@pytest.mark.parametrize("status", [404, 429, 500, 503])
def test_connection_about_which_there_is_no_answer_stays(status: int) -> None:
    questions = leftovers.Questions(_Connections({"a=": 200, "b=": status, "c=": 400, "d=": 410}))

    assert questions.gone(["a=", "b=", "c=", "d="]) == {"c=", "d="}
    assert questions.alive == 1
    assert questions.unanswered == {"b=": status}


def test_connection_that_is_answered_in_the_end_is_known() -> None:
    statuses = {"a=": 429, "b=": 429, "c=": 429}
    questions = leftovers.Questions(_Connections(statuses), a_second=1e9)
    questions.gone([*statuses])
    statuses |= {"a=": 200, "b=": 410}

    assert questions.gone([*statuses]) == {"b="}
    assert questions.unanswered == {"c=": 429}


@pytest.mark.parametrize("answer", [404, 429, 503])
@pytest.mark.parametrize(
    ("others", "status", "told"),
    [
        ({}, 5, "1 of 1 connections"),
        ({"alive=": True}, 5, "1 of 2 connections"),
        ({"alive=": True, "gone=": False}, 1, "1 of 3 connections"),
    ],
    ids=["alone", "alive", "gone"],
)
def test_connections_without_an_answer_are_no_sign_that_nothing_is_left(  # noqa: PLR0917 - a table of cases
    account: Account,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    answer: int,
    others: dict[str, bool],
    status: int,
    told: str,
) -> None:
    account.add("asked=", ["lobby"])
    for number, alive in others.items():
        account.add(number, ["lobby"], alive=alive)
    statuses = {"asked=": answer, **{number: 200 if alive else 410 for number, alive in others.items()}}
    questions = leftovers.Questions(_Connections(statuses), a_second=1e9)
    monkeypatch.setattr(leftovers, "Questions", lambda *_: questions)
    for name, value in account.aws.variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ROOMCAST_STAGE", "roomcast")

    assert application.run(["leftovers", "--json"]) == status
    shown = capsys.readouterr()
    assert json.loads(shown.out)["unanswered"] == 1
    assert f"has not told of {told} whether they are gone (HTTP {answer}); try again" in shown.err


def test_questions_are_paced(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    leftovers.Questions(_Connections({}), a_second=0.01).gone(["a=", "b=", "c="])
    assert waits[0] == 0
    assert [round(wait, -1) for wait in waits[1:]] == [100, 200]


class _Connections:
    """A client of the management API that answers with statuses by connection."""

    def __init__(self, statuses: dict[str, int]) -> None:
        self._statuses = statuses

    def get_connection(self, ConnectionId: str) -> None:  # noqa: N803 - AWS's name
        if (status := self._statuses.get(ConnectionId, 410)) != 200:
            raise ClientError({"Error": {}, "ResponseMetadata": {"HTTPStatusCode": status}}, "GetConnection")  # type: ignore[typeddict-item]


def test_wrong_stage_ends_the_command(account: Account) -> None:
    account.add("a=", ["lobby"])
    account.aws.withheld = {"execute-api:ManageConnections"}

    assert run("leftovers", **account.aws.variables)[0] == 4


def test_fix_asks(account: Account) -> None:
    account.add("alive=", ["lobby"], alive=True)
    account.add("gone=", ["lobby"])

    status, _, told = run("leftovers", "--fix", **account.aws.variables)
    assert (status, told) == (2, "roomcast: --fix asks before it acts; say --yes\n")
    with terminal_of("leftovers", "--fix", **account.aws.variables) as (terminal, process):
        terminal.expect_exact("Delete the rows of 1 connections of roomcast/live? [y/N] ")
        terminal.write("n\n")
        assert ended(process) == 1
    assert account.deleted() == []


def letter(room: str = "lobby") -> str:
    """Return a task that was given up."""
    return tasks.Task(RoomMessage(room, "a=", "hello", REQUEST), 0).to_json()


def test_dead_letters(account: Account) -> None:
    account.letters = [letter(), "not a task"]

    status, output, told = run("dead-letters", **account.aws.variables)
    header, *rows = [line.split("\t") for line in output.splitlines()]
    assert (status, header) == (1, ["queue", "room hash", "request", "attempts", "size"])
    assert rows[0][:4] == ["fanout", HASH, REQUEST, "5"]
    assert rows[1][:4] == ["fanout", "", "", "5"]
    assert told.startswith("2 tasks given up, oldest 2 h 5 min; kept until ")
    assert "--redrive" in told
    assert "hello" not in output + told

    status, found = of_json("dead-letters", **account.aws.variables)
    assert (status, found["number"], found["letters"][0]["request_id"]) == (1, 2, REQUEST)
    status, shown = on_terminal("dead-letters", COLUMNS="120", **account.aws.variables)
    assert (status, HASH in shown) == (1, True)


def test_no_dead_letters_and_no_queue(account: Account) -> None:
    assert run("dead-letters", **account.aws.variables) == (0, "", "no dead letters\n")
    stages.serve(account.aws)
    status, output, told = run("dead-letters", **account.aws.variables)
    assert (status, output) == (3, "")
    assert told.startswith(
        "roomcast: roomcast/live has no dead letters: queued_delivery.enabled and publish_queue_enabled"
    )


def test_dead_letters_of_every_queue(account: Account) -> None:
    account.letters = [letter()]
    urls = {f"{name}_dead_letter_queue_url": f"{stages.QUEUES}-{name}-dead" for name in ("presence", "publish")}
    stages.serve(account.aws, **urls)

    _, output, told = run("dead-letters", **account.aws.variables)
    assert [line.split("\t")[0] for line in output.splitlines()] == ["queue", "presence", "publish"]
    assert told.startswith("2 tasks given up, ")
    assert run("dead-letters", "--redrive", "--yes", **account.aws.variables)[0] == 0
    assert [action for action, _ in account.aws.asked].count("sqs:StartMessageMoveTask") == 2


def test_dead_letters_stay_visible_and_are_counted_while_they_are_read(account: Account) -> None:
    account.aws.answers["sqs:GetQueueAttributes"] = lambda _: {
        "Attributes": {
            "ApproximateNumberOfMessages": "11",
            "ApproximateNumberOfMessagesNotVisible": "2",
            "QueueArn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{DEAD}",
            "MessageRetentionPeriod": "864000",
        }
    }
    looks = iter([range(10), range(10, 11), range(0)])

    def letters(fields: dict[str, Any]) -> Any:
        assert fields["VisibilityTimeout"] == 0
        sent = {"ApproximateReceiveCount": "5"}
        return {
            "Messages": [
                {"MessageId": f"m{number}", "ReceiptHandle": "r", "Body": letter(),
                 "Attributes": {**sent, "SentTimestamp": f"{AT + number * 86_400_000}"}}
                for number in next(looks)
            ]
        }  # fmt: skip

    account.aws.answers["sqs:ReceiveMessage"] = letters
    status, found = of_json("dead-letters", **account.aws.variables)
    assert (status, found["number"], len(found["letters"])) == (1, 13, 11)
    assert (found["oldest"], found["kept_until"]) == ("2025-11-29T03:33:20Z", "2025-12-09T03:33:20Z")


def test_queue_without_dead_letters_is_not_redriven(account: Account) -> None:
    urls = {f"{name}_dead_letter_queue_url": f"{stages.QUEUES}-{name}-dead" for name in ("presence", "publish")}
    stages.serve(account.aws, **urls)
    account.aws.answers["sqs:GetQueueAttributes"] = lambda fields: {
        "Attributes": {
            "ApproximateNumberOfMessages": str(fields["QueueUrl"].count("publish")),
            "QueueArn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{fields['QueueUrl'].rpartition('/')[2]}",
            "MessageRetentionPeriod": "864000",
        }
    }
    assert run("dead-letters", "--redrive", "--yes", **account.aws.variables)[0] == 0
    moved = [fields for action, fields in account.aws.asked if action == "sqs:StartMessageMoveTask"]
    assert moved == [{"SourceArn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:roomcast-publish-dead"}]


def test_redrive(account: Account) -> None:
    account.letters = [letter()]

    assert run("dead-letters", "--redrive", **account.aws.variables)[0] == 2
    assert "sqs:StartMessageMoveTask" not in account.aws.actions
    assert run("dead-letters", "--redrive", "--yes", **account.aws.variables)[0] == 0
    assert account.aws.asked[-1] == (
        "sqs:StartMessageMoveTask",
        {"SourceArn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{DEAD}"},
    )


def row(at: str, group: str, message: Any, **fields: str) -> dict[str, str]:
    """Return a row of a query."""
    return {"@timestamp": at, "@log": f"{ACCOUNT}:{group}", "@message": json.dumps(message), **fields, "@ptr": "x"}


def test_follow_finds_lambdas_own_lines_by_a_second_query(account: Account) -> None:
    sent = row("2025-11-29 03:33:20.012", GROUP, fan_out(AT), lambda_request_id=INVOCATION)
    report = row("2025-11-29 03:33:20.100", GROUP, 0) | {"@message": f"REPORT RequestId: {INVOCATION}"}
    account.results = [[sent], [sent, report]]

    status, output, told = run("follow", REQUEST, **account.aws.variables)
    lines = [line.split("\t") for line in output.splitlines()]
    assert (status, len(lines)) == (0, 3)
    assert lines[1][:4] == ["03:33:20.012Z", "sendmessage", "INFO", "fan-out"]
    assert lines[2][3] == f"REPORT RequestId: {INVOCATION}"
    assert told == "read 0.02 GB of logs (0.0001 USD)\n"
    asked = [fields["queryString"] for action, fields in account.aws.asked if action == "logs:StartQuery"]
    assert [REQUEST in asked[0], INVOCATION in asked[1], "ID" in asked[0]] == [True, True, False]

    account.results = [[sent], [sent, report]]
    status, found = of_json("follow", REQUEST, **account.aws.variables)
    assert (status, [event["log"] for event in found["events"]]) == (0, ["sendmessage", "sendmessage"])
    account.results = [[sent], []]
    status, shown = on_terminal("follow", REQUEST, COLUMNS="200", **account.aws.variables)
    assert (status, "03:33:20.012Z" in shown) == (0, True)


def test_follow_asks_about_each_invocation(account: Account) -> None:
    """And not about what the access log writes where no function was invoked."""
    sent = [
        row(f"2025-11-29 03:33:2{number}.012", GROUP, fan_out(AT), lambda_request_id=name)
        for number, name in enumerate((INVOCATION, "b-2", "-"))
    ]
    account.results = [sent]
    assert run("follow", REQUEST, "--since", "2d", **account.aws.variables)[0] == 0
    asked = [fields for action, fields in account.aws.asked if action == "logs:StartQuery"]
    assert [INVOCATION in asked[1]["queryString"], "b-2" in asked[2]["queryString"], len(asked)] == [True, True, 3]
    assert asked[0]["startTime"] == pytest.approx(time.time() - 2 * 86_400, abs=scaled(60))
    assert [name in asked[0]["logGroupNames"] for name in (GROUP, "/aws/apigateway/roomcast/live")] == [True, True]


def test_follow_that_finds_nothing(account: Account) -> None:
    status, _, told = run("follow", REQUEST, **account.aws.variables)
    assert (status, told) == (1, f"nothing about {REQUEST}; read 0.01 GB of logs (0.0001 USD)\n")
    assert run("follow", 'x" or 1=1', **account.aws.variables)[0] == 2


def test_query_errors(account: Account) -> None:
    found = {"@log": f"{ACCOUNT}:{GROUP}", "message": "the table failed", "error": "down", "n": "12"}
    account.results = [[found], []]

    status, output, _ = run("query", "errors", **account.aws.variables)
    assert (status, output) == (1, "log\tmessage\terror\tn\nsendmessage\tthe table failed\tdown\t12\n")
    status, output, told = run("query", "errors", **account.aws.variables)
    assert (status, output, told) == (0, "", "read 0.01 GB of logs (0.0001 USD)\n")
    account.results = [[found]]
    status, document = of_json("query", "slowest", **account.aws.variables)
    assert (status, document["rows"][0]["log"], document["gb_read"]) == (0, "sendmessage", 0.01)
    account.results = [[found]]
    status, shown = on_terminal("query", "errors", **account.aws.variables)
    assert (status, "the table failed" in shown) == (1, True)


def test_query_errors_finds_the_lines_that_tail_does() -> None:
    assert f"/{log_groups.LAMBDA.pattern}/" in queries.text("errors")


def test_id_with_a_slash_stays_within_its_pattern() -> None:
    assert queries.about('like /ID/ or id = "ID"', "a/b=") == 'like /a\\/b=/ or id = "a/b="'


def test_queries_are_listed_and_printed_without_a_stage(account: Account) -> None:
    status, output, _ = run("query")
    assert (status, [line.split("\t")[0] for line in output.splitlines()[1:]]) == (0, [*queries.ABOUT])
    for name in queries.ABOUT:
        assert run("query", name, "--print")[:2] == (0, queries.text(name))
    assert run("query", "room", "--room", "lobby", "--print", **account.aws.variables)[1].count(HASH) == 1
    assert run("query", "connection", "--id", "a/b=", "--print")[1].count('"a/b="') == 1
    for arguments in (["other"], ["connection"], ["room"], ["connection", "--id", 'a"']):
        assert run("query", *arguments, **account.aws.variables)[0] == 2


def test_query_that_fails(account: Account) -> None:
    account.aws.answers["logs:GetQueryResults"] = lambda _: {"status": "Timeout", "results": []}

    assert run("query", "errors", **account.aws.variables) == (
        5, "", "roomcast: the query ended as Timeout; ask for less time by --since\n",
    )  # fmt: skip


def test_stats(account: Account) -> None:
    status, output, _ = run("stats", **account.aws.variables)

    lines = dict(line.split("\t", 1) for line in output.splitlines())
    assert status == 0
    assert lines["roomcast/live"] == "last 1 h\tthe 1 h before"
    assert lines["connections now"] == "-\t-"
    assert lines["messages in / delivered"] == "- / 18,219\t- / 18,219"
    assert lines["failed / slow / throttled"] == "0 / - / -\t0 / - / -"
    status, found = of_json("stats", "--since", "10m", **account.aws.variables)
    assert (status, found["seconds"], found["last"]["delivered"], found["last"]["connections"]) == (
        0,
        600,
        18_219,
        None,
    )
    asked = [fields for action, fields in account.aws.asked if action == "cloudwatch:GetMetricData"][-1]
    queried = {each["Id"]: each["MetricStat"] for each in asked["MetricDataQueries"]}
    assert queried["lag_p99"]["Metric"] == {
        "Namespace": "Roomcast", "MetricName": "lag_ms", "Dimensions": [{"Name": "Backend", "Value": "roomcast"}],
    }  # fmt: skip
    assert queried["dead_letters_fanout"]["Metric"]["Dimensions"] == [{"Name": "QueueName", "Value": DEAD}]
    assert queried["connections"]["Period"] == 300  # of the youngest census, and not of all the time
    assert queried["delivered"]["Period"] == 600
    assert (lines["alarms"], found["alarms"]) == ("all OK (1)\t", [{"name": "posts-failed", "state": "OK"}])
    status, shown = on_terminal("stats", **account.aws.variables, NO_COLOR="1")
    assert (status, "18,219" in shown) == (0, True)


def test_stats_tell_the_alarms_that_ring(account: Account) -> None:
    states = {"posts-failed": "ALARM", "unavailable": "ALARM", "dead-letters-fanout": "INSUFFICIENT_DATA", "x": "OK"}
    stages.serve(account.aws, alarms=dict.fromkeys([*states, "queue-age"], ""))
    account.alarms = [{"AlarmName": f"roomcast-{name}", "StateValue": state} for name, state in states.items()]
    account.alarms.append({"AlarmName": "roomcast-test-posts-failed", "StateValue": "ALARM"})  # another stage's

    _, output, _ = run("stats", **account.aws.variables)
    told = "ALARM: posts-failed, unavailable; 1 without data, 1 OK, 1 missing"
    assert output.splitlines()[-1] == f"alarms\t{told}\t"
    stages.serve(account.aws, alarms={})
    assert run("stats", **account.aws.variables)[1].splitlines()[-1] == "alarms\t-\t"


def test_stats_of_all_queues(account: Account) -> None:
    urls = {f"{name}_queue_url": f"{stages.QUEUES}-{name}" for name in ("fanout", "presence", "publish")}
    dead = {f"{name}_dead_letter_queue_url": f"{stages.QUEUES}-{name}-dead" for name in ("presence", "publish")}
    stages.serve(account.aws, **urls, **dead)
    values = {
        "queue_age_fanout": [3.0], "queue_age_presence": [], "queue_age_publish": [7.0, 6.0],
        "dead_letters_presence": [1.0], "dead_letters_publish": [2.0, 4.0],
    }  # fmt: skip
    account.aws.answers["cloudwatch:GetMetricData"] = lambda _: {
        "MetricDataResults": [{"Id": name, "Values": found} for name, found in values.items()]
    }

    _, found = of_json("stats", **account.aws.variables)
    assert (found["last"]["queue_age"], found["last"]["dead_letters"]) == (7, 5)


def test_stats_of_a_time_that_is_cut_into_two_tell_the_worse_lag(account: Account) -> None:
    names = ("lag_p50", "lag_p95", "lag_p99")
    account.aws.answers["cloudwatch:GetMetricData"] = lambda _: {
        "MetricDataResults": [{"Id": name, "Values": [40.0, 70.0, 60.0]} for name in names]
    }

    _, found = of_json("stats", **account.aws.variables)
    assert [found["last"][name] for name in names] == [70, 70, 70]


def test_stats_ask_for_two_times_one_after_the_other(account: Account) -> None:
    of_json("stats", "--since", "10m", **account.aws.variables)
    last, before = [fields for action, fields in account.aws.asked if action == "cloudwatch:GetMetricData"]
    assert last["EndTime"] - last["StartTime"] == before["EndTime"] - before["StartTime"] == 600
    assert before["EndTime"] == last["StartTime"]
    assert last["EndTime"] > time.time() - scaled(60) - 60


def test_statistics_are_those_of_their_names() -> None:
    """Counts are summed, percentiles are what they are called, and a fan-out is one sample."""
    for name, number in stats.NUMBERS.items():
        if name.startswith("lag_"):
            assert number.statistic == name.removeprefix("lag_")
        elif number.namespace == logs.NAMESPACE and name not in {"connections", "messages"}:
            assert (number.metric, number.statistic) == (name, "Sum")
    assert stats.NUMBERS["messages"][1:3] == ("posts", "SampleCount")
    assert stats.NUMBERS["handshakes_refused"].of == ("ApiId", "Stage")
    assert {number.statistic for number in stats.NUMBERS.values() if number.namespace == "AWS/SQS"} == {"Maximum"}


def test_own_metrics_of_stats_exist() -> None:
    own = {number.metric for number in stats.NUMBERS.values() if number.namespace == logs.NAMESPACE}
    assert own - logs.METRICS.keys() <= {"connections"}  # that of the census


def test_policies(account: Account) -> None:
    status, output, _ = run("policy", "read", **account.aws.variables)
    read = json.loads(output)
    _, output, _ = run("policy", "operate", "--json", **account.aws.variables)
    operate = json.loads(output)

    assert status == 0
    assert read["Version"] == "2012-10-17"
    assert operate["Statement"][: len(read["Statement"])] == read["Statement"]
    assert actions(read) - OF_DOCTOR_ALONE == {
        "cloudwatch:DescribeAlarms", "cloudwatch:GetMetricData", "dynamodb:DescribeTable", "dynamodb:Scan",
        "execute-api:ManageConnections",
        "kms:Decrypt", "logs:FilterLogEvents", "logs:GetQueryResults", "logs:StartQuery", "sqs:GetQueueAttributes",
        "sqs:ReceiveMessage", "ssm:GetParametersByPath",
    }  # fmt: skip
    assert actions(operate) - actions(read) == {
        "dynamodb:DeleteItem", "kms:GenerateDataKey", "lambda:InvokeFunction", "sqs:DeleteMessage", "sqs:SendMessage",
        "sqs:StartMessageMoveTask",
    }  # fmt: skip
    status, shown = on_terminal("policy", "read", COLUMNS="200", **account.aws.variables)
    assert (status, json.loads(shown)) == (0, read)
    assert run("policy", "write", **account.aws.variables)[0] == 2


def test_policies_are_for_one_stage_alone(account: Account) -> None:
    """What can be limited is: a resource, or a service that asks for a key."""
    policy = json.loads(run("policy", "operate", **account.aws.variables)[1])
    of = {each["Sid"]: each for each in policy["Statement"]}
    everywhere = {sid for sid, each in of.items() if each["Resource"] == "*"}
    assert everywhere == {"ReadQueries", "ReadMetrics", "UseKeys", "UseKeysOfQueues", "SeeAccount"}
    at = f"{REGION}:{ACCOUNT}"
    hosts = [f"{service}.{REGION}.amazonaws.com" for service in ("dynamodb", "sqs")]
    assert of["UseKeys"]["Condition"] == {"StringEquals": {"kms:ViaService": hosts}}
    assert of["UseKeysOfQueues"]["Condition"] == {"StringEquals": {"kms:ViaService": hosts[1]}}
    table = f"arn:aws:dynamodb:{at}:table/{stages.TABLE}"
    queue = f"arn:aws:sqs:{at}:roomcast-fanout"
    assert {sid: each["Resource"] for sid, each in of.items() if sid not in everywhere} == {
        "FindStages": [f"arn:aws:ssm:{at}:parameter/roomcast", f"arn:aws:ssm:{at}:parameter/roomcast/*"],
        "ReadTable": table,
        "ReadLogs": sorted(
            f"arn:aws:logs:{at}:log-group:{name}{end}"
            for name in ("/aws/apigateway/roomcast/live", *(f"/aws/lambda/roomcast-{each}" for each in stages.HANDLERS))
            for end in ("", ":*")
        ),
        "SeeConnections": f"arn:aws:execute-api:{at}:768b2390/live/GET/@connections/*",
        "ReadQueues": [queue, f"{queue}-dead-letters"],
        "SeeApi": [
            f"arn:aws:apigateway:{REGION}::{path}"
            for path in ("/account", "/apis/768b2390", "/apis/768b2390/*", "/domainnames/*")
        ],
        "SeeFunctions": f"arn:aws:lambda:{at}:function:roomcast-*",
        "SeeInvokers": f"arn:aws:lambda:{at}:function:*",
        "SeeRoles": f"arn:aws:iam::{ACCOUNT}:role/*roomcast-*",
        "SeeTable": table,
        "SeeSchedule": f"arn:aws:scheduler:{at}:schedule/default/roomcast-*",
        "DeleteLeftovers": table,
        "InvokeFunctions": [f"arn:aws:lambda:{at}:function:roomcast-{name}:live" for name in ("publish", "kick")],
        "MoveDeadLetters": [f"{queue}-dead-letters"],
        "TakeDeadLetters": [queue],
    }


OF_DOCTOR_ALONE = {
    "acm:DescribeCertificate", "apigateway:GET", "dynamodb:DescribeTimeToLive",
    "dynamodb:GetItem", "ec2:DescribeRouteTables", "ec2:DescribeVpcEndpoints", "iam:GetRole",
    "iam:ListAttachedRolePolicies", "iam:ListRolePolicies", "iam:SimulatePrincipalPolicy", "kms:DescribeKey",
    "lambda:GetAccountSettings", "lambda:GetFunctionConcurrency", "lambda:GetFunctionConfiguration",
    "lambda:GetFunctionRecursionConfig", "lambda:GetPolicy", "lambda:ListEventSourceMappings",
    "logs:DescribeLogGroups", "scheduler:GetSchedule", "servicequotas:GetServiceQuota", "sns:GetTopicAttributes",
    "sqs:ListQueues",
}  # fmt: skip
"""Rights of ``roomcast doctor``, which reads no data."""


def actions(policy: Any) -> set[str]:
    """Return the actions that a policy allows."""
    return {action for statement in policy["Statement"] for action in statement["Action"]}


COMMANDS = {
    "tail": (["tail", "--since", "1m", "--no-follow"], {"logs:FilterLogEvents"}),
    "leftovers": (["leftovers"], {"dynamodb:Scan", "execute-api:ManageConnections"}),
    "dead-letters": (["dead-letters"], {"sqs:GetQueueAttributes", "sqs:ReceiveMessage"}),
    "redrive": (["dead-letters", "--redrive", "--yes"], {"sqs:GetQueueAttributes", "sqs:StartMessageMoveTask"}),
    "stats": (["stats"], {"cloudwatch:DescribeAlarms", "cloudwatch:GetMetricData"}),
    "follow": (["follow", REQUEST], {"logs:StartQuery", "logs:GetQueryResults"}),
    "query": (["query", "errors"], {"logs:StartQuery", "logs:GetQueryResults"}),
    "policy": (["policy", "read"], set()),
}
"""Commands, and the rights that each needs beside that to find the stage."""


@pytest.mark.parametrize("name", COMMANDS)
def test_command_needs_its_rights_and_no_other(account: Account, name: str) -> None:
    account.letters = [letter()]
    account.add("alive=", ["lobby"], alive=True)
    arguments, rights = COMMANDS[name]
    rights = {*rights, "ssm:GetParametersByPath"}

    run(*arguments, **account.aws.variables)
    assert account.aws.actions == rights
    for action in rights:
        account.aws.withheld = {action}
        status, output, told = run(*arguments, **account.aws.variables)
        assert (status, output) == (4, "")
        assert f"roomcast: {WHO} may not {action} on arn:aws:x:::it; `roomcast policy " in told.splitlines()[-1]


@pytest.mark.parametrize("name", COMMANDS)
def test_no_credentials(account: Account, name: str) -> None:
    variables = {key: value for key, value in account.aws.variables.items() if "KEY" not in key}

    assert run(*COMMANDS[name][0], **variables)[0] == 4


@pytest.mark.parametrize("name", COMMANDS)
def test_reader_that_is_gone_and_ctrl_c(account: Account, name: str, tmp_path: Path) -> None:
    """Each comes while the command waits for AWS."""
    arguments, rights = COMMANDS[name]
    account.letters = [letter()]
    account.add("alive=", ["lobby"], alive=True)
    account.write("sendmessage", ago(5), fan_out(ago(5)))
    account.results = [[row("2025-11-29 03:33:20.012", GROUP, fan_out(AT))]]
    held = max(rights or {"ssm:GetParametersByPath"})
    pipe, errors = tmp_path / "pipe", tmp_path / "errors"
    os.mkfifo(pipe)
    errors.touch()
    for is_interrupted in (False, True):
        account.aws.held[held] = threading.Event()
        account.aws.arrived.clear()
        reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        process = start(*arguments, files=[os.devnull, str(pipe), str(errors)], **account.aws.variables)
        assert account.aws.arrived.wait(scaled(60))
        if is_interrupted:
            os.kill(process.pid or 0, signal.SIGINT)
            assert ended(process) == 130
        os.close(reading)
        account.aws.held.pop(held).set()
        if not is_interrupted:
            # What prints nothing does not notice it.
            assert ended(process) == (0 if name == "redrive" else 141)
    assert "Traceback" not in errors.read_text()
