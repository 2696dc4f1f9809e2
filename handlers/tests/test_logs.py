"""The lines that functions print: one JSON object each, and metrics as CloudWatch reads them."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from roomcast import logs


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


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("recipients", "Count"),
        ("delivered", "Count"),
        ("gone", "Count"),
        ("failed", "Count"),
        ("retried", "Count"),
        ("duration_ms", "Milliseconds"),
        ("cpu_ms", "Milliseconds"),
    ],
)
def test_each_number_that_readme_names_is_a_metric(capsys: pytest.CaptureFixture[str], name: str, unit: str) -> None:
    logs.write_metrics("fan-out", {name: 1})

    [line] = printed(capsys)
    assert line["_aws"]["CloudWatchMetrics"][0]["Metrics"] == [{"Name": name, "Unit": unit}]
