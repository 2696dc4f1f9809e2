"""The command: its output and its exit status."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from integration_tests.report.__main__ import main
from integration_tests.report.tests.examples import example

if TYPE_CHECKING:
    from pathlib import Path

    from integration_tests.report.documents import Document


def saved(path: Path, document: Document) -> str:
    """Write a document and return where."""
    path.write_text(json.dumps(document))
    return str(path)


@pytest.fixture
def limits(tmp_path: Path) -> str:
    """A limits file that the good example keeps."""
    path = tmp_path / "limits.toml"
    path.write_text(
        '[limits]\n"invariants.lost" = { at_most = 0 }\n"comparison.regressions" = { at_most = 0, optional = true }\n'
        '[regressions]\n"latency.p99_ms" = { share = 0.25 }\n'
    )
    return str(path)


def test_a_good_run_exits_0(tmp_path: Path, limits: str, capsys: pytest.CaptureFixture[str]) -> None:
    run = saved(tmp_path / "run.json", example())
    assert main([run, "--limits", limits, "--directory", str(tmp_path)]) == 0
    report = tmp_path / "scale-local.html"
    *told, outcome, where = capsys.readouterr().out.splitlines()
    assert [outcome, where] == ["scale on local: passed", f"report: {report}"]
    assert told[1:] == [
        (
            "3 returns: 3 complete within 200 ms (p99 300 ms), 0 unanswered; 1 gaps healed, 2 doubles dropped, "
            "4 rollovers, 5 of 6 retries answered"
        ),
        "the scenario took place for 3 of 3 clients that came back to new messages",
        "injected: throttled (status before), struck 3 of 30",
        "injected: answer lost (reset after), struck 1 of 30",
        "not measured: regressions since the previous run",
        "not shown: Latency on AWS: the times of this run say nothing about it. One process stands for all of AWS.",
    ]
    assert told[0] == (
        "10 of 10 messages acknowledged, 30 of 30 deliveries: "
        "0 lost, 0 missing, 0 duplicated, 0 unexpected, 1 items left"
    )
    assert report.exists()


def test_messages_about_which_nothing_is_concluded_are_told(
    tmp_path: Path, limits: str, capsys: pytest.CaptureFixture[str]
) -> None:
    document = example()
    document["invariants"]["abandoned"] = 3
    assert main([saved(tmp_path / "run.json", document), "--limits", limits, "--directory", str(tmp_path)]) == 0
    assert "0 unexpected, 3 abandoned, 1 items left\n" in capsys.readouterr().out


def test_a_broken_limit_exits_1(tmp_path: Path, limits: str, capsys: pytest.CaptureFixture[str]) -> None:
    run = saved(tmp_path / "run.json", example(lose=True))
    assert main([run, "--limits", limits, "--directory", str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert "failed: Lost deliveries: 10 instead of at most 0.\n" in out
    assert "scale on local: FAILED\n" in out


def test_a_regression_exits_1_and_is_named(tmp_path: Path, limits: str, capsys: pytest.CaptureFixture[str]) -> None:
    run, previous = saved(tmp_path / "run.json", example(slow=2.0)), saved(tmp_path / "before.json", example())
    assert main([run, "--limits", limits, "--previous", previous, "--directory", str(tmp_path)]) == 1
    assert "worse: Delivery latency p99 rose from 49.0 ms to 98.0 ms (+100 %)" in capsys.readouterr().out


def test_a_judged_document_can_be_judged_again(tmp_path: Path, limits: str) -> None:
    run = saved(tmp_path / "run.json", example())
    assert main([run, "--limits", limits, "--directory", str(tmp_path)]) == 0
    judged = str(tmp_path / "scale-local.json")
    assert main([judged, "--limits", limits, "--previous", judged, "--directory", str(tmp_path)]) == 0


@pytest.mark.parametrize(("content", "sentence"), [("{", "is not JSON"), ('{"format": 7}', "expected format 1, not 7")])
def test_an_unusable_file_exits_2(
    tmp_path: Path, limits: str, content: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.json"
    path.write_text(content)
    assert main([str(path), "--limits", limits, "--directory", str(tmp_path)]) == 2
    assert sentence in capsys.readouterr().err
    assert main([str(tmp_path / "absent.json")]) == 2


@pytest.mark.parametrize(
    "content",
    [
        *(b"no JSON", b"\xff", b"[]", b"5", b"{}", b'{"format": 1}', b"[" * 100_000),
        *(b'{"format": 1, "run": {}, "parameters": {}, "versions": {}, "latency": {}}', b'{"format": 1, "run": 5}'),
    ],
)
def test_a_file_that_is_no_report_is_refused_in_a_sentence(
    content: bytes, tmp_path: Path, limits: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run, other = saved(tmp_path / "run.json", example()), tmp_path / "other.json"
    other.write_bytes(content)

    for arguments in ([str(other)], [run, "--previous", str(other)]):
        assert main([*arguments, "--limits", limits, "--directory", str(tmp_path)]) == 2
        assert capsys.readouterr().err.startswith(f"{other} is not ")
