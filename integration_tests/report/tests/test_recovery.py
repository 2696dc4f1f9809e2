"""Returns of clients: each has the answer that was due, or is counted as wrong."""

from __future__ import annotations

from collections import Counter

import pytest

from integration_tests.report.__main__ import returns
from integration_tests.report.judgement import judge
from integration_tests.report.limits import Limits
from integration_tests.report.merging import merge
from integration_tests.report.recovery import COMPLETE, TOO_OLD, Recovery
from integration_tests.report.tests.examples import durations, example, example_run
from integration_tests.report.tests.test_merging import machine
from integration_tests.report.write import html_text


@pytest.mark.parametrize(
    ("expected", "answers", "unanswered", "wrong"),
    [
        (COMPLETE, {}, 0, 0),
        (COMPLETE, {COMPLETE: 3}, 0, 0),
        (COMPLETE, {COMPLETE: 3}, 2, 2),
        (COMPLETE, {COMPLETE: 3, "epoch_changed": 1, TOO_OLD: 2}, 1, 4),
        (TOO_OLD, {TOO_OLD: 3}, 0, 0),
        (TOO_OLD, {TOO_OLD: 3, COMPLETE: 1}, 0, 1),
    ],
)
def test_another_answer_than_was_due_is_wrong(
    expected: str, answers: dict[str, int], unanswered: int, wrong: int
) -> None:
    assert Recovery(expected, Counter(answers), unanswered).wrong == wrong


def test_document_is_read_as_it_was_written() -> None:
    recovery = Recovery(TOO_OLD, Counter({COMPLETE: 1, TOO_OLD: 2}), 1, unlogged=3, behind=2, retries=4)
    document = recovery.document()

    assert Recovery.read(document) == recovery
    assert (document["returns"], document["wrong"]) == (7, 2)
    del document["unlogged"]  # as in reports before there was that count
    assert Recovery.read(document).unlogged == 0


def test_processes_and_machines_are_summed() -> None:
    total = Recovery(answers=Counter({COMPLETE: 2}), healed=1, times=durations([0.1, 0.2]))
    total.merge(Recovery(answers=Counter({COMPLETE: 1, "ahead": 1}), healed=2, times=durations([0.3])))

    assert (total.answers, total.healed, total.times.count) == ({COMPLETE: 3, "ahead": 1}, 3, 3)
    merged = merge([machine(1), machine(2)])["recovery"]
    assert (merged["returns"], merged["complete"], merged["time"]["count"]) == (6, 6, 6)
    assert merged["retries_answered"] == 10


def test_merge_of_text_runs_has_none() -> None:
    one, two = machine(1), machine(2)
    for document in (one, two):
        document["recovery"] = None
    assert merge([one, two])["recovery"] is None


def test_line_and_page_show_reasons() -> None:
    run = example_run()
    assert run.recovery is not None
    run.recovery.answers["epoch_changed"] = 2
    document = run.document()

    assert returns(document["recovery"]) == (
        "5 returns: 3 complete within 200 ms (p99 300 ms), 2 epoch_changed, 0 unanswered; 1 gaps healed, "
        "2 doubles dropped, 4 rollovers, 5 of 6 retries answered"
    )
    page = html_text(judge(document, Limits({})))
    assert "not recovered: epoch_changed" in page
    assert "to rooms that keep no messages" not in page
    document["recovery"]["unlogged"] = 2
    assert "3 complete within 200 ms (p99 300 ms), 2 epoch_changed, 2 to rooms that keep no messages" in returns(
        document["recovery"]
    )
    assert "to rooms that keep no messages" in html_text(judge(document, Limits({})))
    text = example()
    text["recovery"] = None
    assert "Returns and repetitions" not in html_text(judge(text, Limits({})))
