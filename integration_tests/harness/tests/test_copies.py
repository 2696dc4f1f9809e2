"""The log lines that explain copies of messages, receipts that say failed, and refusals."""

from __future__ import annotations

import pytest

from integration_tests.harness.copies import doubted, explained, refused, repeated


def line(
    request_id: str, delivered: int, retried: int = 0, late: int = 0, message: str = "fan-out"
) -> dict[str, object]:
    """Return one line of a function's log, in which a number of trouble stands only above 0."""
    trouble = {name: number for name, number in (("retried", retried), ("late", late)) if number}
    return {"message": message, "request_id": request_id, "delivered": delivered, **trouble}


@pytest.mark.parametrize(
    ("lines", "repeats", "copies"),
    [
        ([], 0, 0),
        ([line("a", 5), line("b", 5)], 0, 0),
        ([line("a", 5, retried=2)], 2, 2),
        ([line("a", 3), line("a", 2)], 0, 0),
        ([line("a", 3, late=2), line("a", 2)], 2, 2),
        ([line("a", 5), line("a", 4)], 0, 4),
        ([line("a", 5), line("a", 4, retried=1), line("b", 1)], 1, 5),
        ([line("a", 5, retried=2, late=1, message="message")], 0, 0),
        ([{"message": "fan-out of another function"}, {}], 0, 0),
    ],
    ids=["none", "whole", "posted again", "in parts", "answered late", "served twice", "both", "other line", "foreign"],
)
def test_a_copy_needs_a_repeated_post_or_a_task_that_was_served_twice(
    lines: list[dict[str, object]], repeats: int, copies: int
) -> None:
    assert (repeated(lines), explained(lines, members=5)) == (repeats, copies)


@pytest.mark.parametrize(
    ("lines", "messages"),
    [
        ([], 0),
        ([line("a", 4, retried=3)], 0),
        ([line("a", 3, late=2)], 1),
        ([line("a", 3, late=1), line("a", 1, late=1), line("b", 4, late=1)], 2),
        ([line("a", 3, late=1, message="message")], 0),
        ([{"message": "fan-out of another function"}, {}], 0),
    ],
    ids=["none", "posted again", "two late", "two messages", "other line", "foreign"],
)
def test_a_failed_delivery_that_arrived_needs_a_late_answer(lines: list[dict[str, object]], messages: int) -> None:
    assert doubted(lines) == messages


@pytest.mark.parametrize(
    ("lines", "messages"),
    [
        ([], 0),
        ([{"level": "ERROR", "request_id": "a", "error": "GetItem failed: no answer from table: timed out"}], 1),
        (2 * [{"level": "ERROR", "request_id": "a", "error": "GetItem failed: no answer from table: timed out"}], 1),
        ([{"level": "WARNING", "request_id": "a", "error": "Query failed: no answer from table: timed out"}], 0),
        ([{"level": "ERROR", "request_id": "a", "error": "GetItem failed: AccessDeniedException"}], 0),
        ([line("a", 3, late=2)], 0),
    ],
    ids=["none", "one", "one twice", "tried again", "refused by AWS", "fan-out"],
)
def test_a_message_that_was_refused_needs_a_call_without_an_answer(
    lines: list[dict[str, object]], messages: int
) -> None:
    assert refused(lines) == messages
