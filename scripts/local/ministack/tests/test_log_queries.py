"""Queries of CloudWatch Logs Insights."""

from __future__ import annotations

import json
import secrets
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from scripts.local.ministack import insights
from scripts.local.ministack.insights import Moment
from scripts.local.ministack.tests.apis import client
from scripts.repository import REPOSITORY

QUERIES = {file.stem: file.read_text("utf-8") for file in (REPOSITORY / "terraform/modules/backend/queries").glob("*")}
NOON = 1_795_953_600_000  # 2026-11-29T12:00:00Z


def line(message: str | dict[str, Any], seconds: float = 0, log: str = "sendmessage") -> dict[str, Any]:
    """A line of a log, so long after noon."""
    text = message if isinstance(message, str) else json.dumps(message)
    own = {"@ptr": f"{seconds:g}", "@message": text, "@log": f"1:{log}", "@timestamp": Moment(NOON + seconds * 1_000)}
    return {**insights.fields_of(text), **own}


def found(query: str, *lines: dict[str, Any]) -> list[dict[str, str]]:
    """The rows of a query, without those columns that stand for a line."""
    return [{name: value for name, value in row.items() if name != "@ptr"} for row in insights.parse(query).run(lines)]


def test_every_query_of_the_backend_is_understood() -> None:
    assert len(QUERIES) >= 8
    named = {name: insights.parse(text).named for name, text in QUERIES.items()}

    assert named["errors"] == {"level", "message", "error", "@message", "@log", "@timestamp"}
    assert named["memory"] == {"@type", "@maxMemoryUsed", "@duration", "@initDuration", "@log"}
    assert named["room"] == {"room", "message", "posts", "failed", "lag_ms"}
    assert all(insights.parse(text).run([]) == [] for text in QUERIES.values())


def test_lines_are_found_by_field_and_by_pattern() -> None:
    lines = (
        line({"request_id": "a", "level": "INFO", "room": "r"}, 2),
        line({"request_id": "b", "level": "INFO"}, 1),
        line("REPORT RequestId: a\tDuration: 3.5 ms", 0),
        line({"lambda_request_id": "a"}, 3),
    )

    rows = found(QUERIES["follow"].replace("ID", "a"), *lines)

    assert [row["@timestamp"] for row in rows] == [f"2026-11-29 12:00:0{second}.000" for second in (0, 2, 3)]
    assert rows[1] == {
        "@timestamp": "2026-11-29 12:00:02.000",
        "@log": "1:sendmessage",
        "level": "INFO",
        "room": "r",
        "@message": lines[0]["@message"],
    }


@pytest.mark.parametrize(
    ("condition", "numbers"),
    [
        ('name = "x"', [1, 2]),
        ("name = 'x' and size = 5", [1]),
        ('name = "x" and size = "5"', [1]),
        ('name = "y" or name = "x" and size > 5', [2, 3]),
        ('(name = "y" or name = "x") and size > 5', [2]),
        ('name != "x"', [3]),
        ("size >= 6", [2]),
        ("size * 2 - 1 = 9", [1]),
        ("parts.kind.0 = 'first'", [3]),
        ("@message like /\\/path|nothing/", [2]),
        ("@message like /NAME/", []),
        ("@message like /NAME/i", [1, 2, 3]),
        ('hash = "0e2"', []),
        ("missing = 1", []),
    ],
)
def test_conditions(condition: str, numbers: list[int]) -> None:
    lines = (
        line({"number": 1, "name": "x", "size": 5, "hash": "0e1"}),
        line({"number": 2, "name": "x", "size": 6, "at": "/path"}),
        line({"number": 3, "name": "y", "parts": {"kind": ["first"]}}),
    )

    rows = found(f"fields number | filter {condition}", *lines)

    assert [int(row["number"]) for row in rows] == numbers


def test_lines_are_counted_in_groups() -> None:
    lines = [
        line({"room": "h", "message": "fan-out", "posts": 10, "failed": second % 2, "lag_ms": second}, second)
        for second in range(100)
    ]

    rows = found(QUERIES["room"].replace("HASH", "h"), *lines, line({"room": "other", "message": "fan-out"}))

    assert rows == [
        {"bin(1m)": f"2026-11-29 12:0{minute}:00.000", "sum(posts)": posts, "sum(failed)": failed, "pct(lag_ms, 99)": p}
        for minute, posts, failed, p in ((0, "600", "30", "59"), (1, "400", "20", "99"))
    ]


def test_errors_are_counted_by_cause_the_most_frequent_first() -> None:
    failing = {"level": "ERROR", "message": "the table failed", "error": "ThrottlingException"}
    lines = (
        line("2026-11-29T12:00:09Z 1 Task timed out after 3.00 seconds", 9),
        *(line(failing, second) for second in (5, 1, 3)),
        line({"level": "INFO", "message": "served"}),
    )

    assert found(QUERIES["errors"], *lines) == [
        {"@log": "1:sendmessage", **{name: failing[name] for name in ("message", "error")}, "n": "3"}
        | {"last": "2026-11-29 12:00:05.000"},
        {"@log": "1:sendmessage", "n": "1", "last": "2026-11-29 12:00:09.000"},
    ]


def test_reports_of_lambda_have_fields() -> None:
    report = "REPORT RequestId: a\tDuration: 3.5 ms\tBilled Duration: 4 ms\tMemory Size: 256 MB\tMax Memory Used: {} MB"
    lines = (line(f"{report.format(61)}\tInit Duration: 90.1 ms"), line(report.format(58)), line("END RequestId: a"))

    assert found(QUERIES["memory"], *lines) == [{"@log": "1:sendmessage", "mb": "61", "ms": "3.5", "cold": "1"}]


def test_bytes_are_summed_by_log() -> None:
    lines = (line("x" * 1_000), line("y" * 500), line("z" * 2_000_000, log="access"))

    assert found(QUERIES["bytes"], *lines) == [
        {"@log": "1:access", "mb": "2", "lines": "1"},
        {"@log": "1:sendmessage", "mb": "0.0015", "lines": "2"},
    ]


def test_the_largest_come_first_and_no_more_than_wanted() -> None:
    lines = [line({"message": "fan-out", "lag_ms": lag}, lag) for lag in range(30)]

    rows = found(QUERIES["slowest"], *lines, line({"message": "fan-out"}))

    assert [int(row["lag_ms"]) for row in rows] == [*range(29, 9, -1)]


def test_messages_that_members_missed_are_found_however_fast_they_were() -> None:
    slow = [line({"message": "fan-out", "lag_ms": 9_000 + index, "posts": 3}, index) for index in range(30)]
    missed = line({"message": "fan-out", "lag_ms": 8, "posts": 3, "failed": 2}, 40)
    given_up = line({"message": "a task is given up", "failed": 7}, 50)

    rows = found(QUERIES["failed"], *slow, missed, given_up)

    assert [(row["message"], row["failed"]) for row in rows] == [("a task is given up", "7"), ("fan-out", "2")]
    assert all("failed" not in row for row in found(QUERIES["slowest"], *slow, missed))


@pytest.mark.parametrize(
    "query",
    [
        "",
        "fields",
        "fields a b",
        "fields a |",
        "parse @message /x/",
        "dedup a",
        "filter a in [1, 2]",
        "filter a not like /x/",
        "filter a like 'x'",
        "filter a like /(/",
        'filter a = "open',
        "filter a",
        "stats avg(a)",
        "stats count(*) by b | stats count(*)",
        "stats count(*) by b | fields a",
        "stats pct(a, b)",
        "stats count(*) by bin(5 minutes)",
        "sort a, b",
        "limit some",
        "limit 1.5",
        "display a",
    ],
)
def test_what_is_not_understood_is_an_error(query: str) -> None:
    with pytest.raises(insights.QueryError, match=r" at "):
        insights.parse(query)


def asked(endpoint: str, group: str, query: str) -> list[dict[str, str]]:
    """The rows of a query of a log group."""
    logs = client("logs", endpoint)
    now = int(time.time())
    started = logs.start_query(logGroupName=group, startTime=now - 3_600, endTime=now + 60, queryString=query)
    answer = logs.get_query_results(queryId=started["queryId"])
    assert answer["status"] == "Complete"
    return [{each["field"]: each["value"] for each in row} for row in answer["results"]]


def written(endpoint: str, *lines: dict[str, Any]) -> str:
    """Write lines to a new log group; return its name."""
    logs = client("logs", endpoint)
    group = f"probe-{secrets.token_hex(4)}"
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="stream")
    now = int(time.time() * 1_000)
    events = [{"timestamp": now, "message": json.dumps(each)} for each in lines]
    logs.put_log_events(logGroupName=group, logStreamName="stream", logEvents=events)
    return group


def test_a_query_runs_with_all_of_its_commands(corrected: str, plain: str) -> None:
    query = 'filter level = "ERROR" | stats count(*) as n by message | sort n desc | limit 1'
    lines = [
        {"level": level, "message": message}
        for level, message in (("ERROR", "x"), ("INFO", "x"), ("ERROR", "y"), ("ERROR", "y"))
    ]

    assert asked(corrected, written(corrected, *lines), query) == [{"message": "y", "n": "2"}]
    assert "n" not in asked(plain, written(plain, *lines), query)[0]


def test_a_query_that_is_not_understood_is_refused(corrected: str) -> None:
    with pytest.raises(ClientError, match=r"MalformedQueryException.*'parse @message"):
        asked(corrected, written(corrected, {}), "fields a | parse @message /x/")


def test_the_log_is_named_with_its_account(corrected: str) -> None:
    group = written(corrected, {"a": 1})

    [row] = asked(corrected, group, "fields @log, a")

    assert row["@log"].endswith(f":{group}")
    assert len(row["@log"].removesuffix(group)) == 13
    assert {*row} == {"@log", "a", "@ptr"}


def test_no_other_group_may_be_asked(corrected: str) -> None:
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        asked(corrected, "missing", "fields a")
