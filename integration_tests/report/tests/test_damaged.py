"""A report that lacks something, or holds numbers to calculate nothing with, is refused in a sentence, before a run."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from integration_tests.load.__main__ import main as load
from integration_tests.report.__main__ import main as report
from integration_tests.report.documents import LISTS, PARTS
from integration_tests.report.tests.examples import example

if TYPE_CHECKING:
    from pathlib import Path

Change = tuple[tuple[str, ...], Any]
GONE = object()
BEYOND = {"NaN": "NaN", "Infinity": "Infinity", "-Infinity": "-Infinity", "1e999": "1e999", "digits": "9" * 400}
MISSING: list[Change] = [
    *(((part,), GONE) for part in (*PARTS, *LISTS)),
    *(((part, key), GONE) for part, keys in PARTS.items() for key in keys),
]
WRONG: list[Change] = [
    *(((part,), 5) for part in (*PARTS, *LISTS)),
    (("merged",), 5),
    (("merged",), [1]),
    (("merged",), {"runs": []}),
    (("run", "name"), "../../escape"),
    (("run", "name"), ""),
]
WRONG_IN_THE_RUN: list[Change] = [
    (("invariants", "lost"), "0"),
    (("invariants", "attempted"), None),
    (("invariants", "delivered"), []),
    (("run", "started_at"), 5),
    (("connects", "refused"), 5),
    (("latency", "distribution"), [[1]]),
    (("timeline",), [5]),
    (("faults",), [{}]),
]


def changed(change: Change) -> str:
    """Return a report with one part changed, as JSON."""
    document = example()
    (*path, last), value = change
    part = document
    for key in path:
        part = part[key]
    if value is GONE:
        del part[last]
    else:
        part[last] = value
    return json.dumps(document)


def with_number(text: str) -> str:
    """Return a report with a number as this text."""
    return re.sub(r'"p99_ms": [0-9.]+', f'"p99_ms": {text}', json.dumps(example()))


def file_of(folder: Path, content: str) -> str:
    """Write a file and return where."""
    path = folder / "report.json"
    path.write_text(content)
    return str(path)


UNUSABLE = pytest.mark.parametrize(
    "content",
    [
        *(pytest.param(with_number(text), id=name) for name, text in BEYOND.items()),
        *(pytest.param(changed(each), id=" ".join(each[0])) for each in (*MISSING, *WRONG)),
    ],
)


@UNUSABLE
def test_load_run_refuses_it_before_anything_connects(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    previous = file_of(tmp_path, content)
    target = ["--target", "live", "--websocket-url", "ws://127.0.0.1:9/live", "--report-dir", str(tmp_path / "reports")]

    assert load(["run", *target, "--previous", previous]) == 2

    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith(f"{previous} is not ")
    assert output.err.count("\n") == 1
    assert not (tmp_path / "reports").exists()


@UNUSABLE
def test_report_refuses_it(content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = file_of(tmp_path, content)

    assert report([given, "--output", str(tmp_path)]) == 2

    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("change", WRONG_IN_THE_RUN, ids=lambda change: f"{'.'.join(change[0])} {change[1]}")
def test_report_of_a_damaged_run_ends_in_a_sentence(
    change: Change, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report([file_of(tmp_path, changed(change)), "--output", str(tmp_path)]) == 2

    assert capsys.readouterr().err.startswith("the report of scale is damaged: ")
