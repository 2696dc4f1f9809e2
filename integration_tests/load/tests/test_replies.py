"""Answers to one sender: each is matched with the message that it answers, and nothing else is taken for one."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from integration_tests.harness.ledger import NO_COUNTS, Counts, Ledger, Sender
from integration_tests.harness.quotes import LONGEST
from integration_tests.load.replies import STRANGE, Replies, Reply

COUNTS = {"delivered": 3, "gone": 1, "failed": 0}


@pytest.fixture
def sender() -> Sender:
    """A sender of three messages, which were sent at 0, 1 and 2 s."""
    sender = Ledger("run").sender("lobby", "user.1")
    for at in (0.0, 1.0, 2.0):
        sender.attempt(at, at)
    return sender


@pytest.fixture
def replies(sender: Sender) -> Replies:
    """Expects answers to all three."""
    replies = Replies(sender)
    assert [replies.expect(sequence) for sequence in range(3)] == ["user.1.0", "user.1.1", "user.1.2"]
    return replies


def receipt(message_id: object, **fields: object) -> str:
    """A receipt as the stage sends it."""
    return json.dumps({"receipt": {"id": message_id, **(fields or COUNTS)}})


def error(code: object) -> str:
    """An error as the stage sends it."""
    return json.dumps({"error": {"code": code}})


def acknowledged(sender: Sender) -> list[int]:
    """The messages that count as delivered."""
    return [sequence for sequence in range(len(sender.sent_at)) if sender.acknowledged(sequence)]


def test_a_receipt_answers_the_message_that_it_names(replies: Replies, sender: Sender) -> None:
    assert replies.take(receipt("user.1.1"), 5.0) == Reply(taken=True)

    assert (replies.unanswered, acknowledged(sender)) == (2, [1])
    assert sender.answered_at[1] == 5.0
    assert sender.counts == {1: Counts(3, 1, 0)}
    assert not sender.queued


def test_an_error_answers_the_oldest_message_without_an_answer(replies: Replies, sender: Sender) -> None:
    replies.take(receipt("user.1.0"), 5.0)

    assert replies.take(error("too_large"), 5.0) == Reply(taken=True, event="answer: too_large")
    assert (replies.unanswered, sender.failed, acknowledged(sender)) == (1, {1}, [0])
    assert sender.answered_at[1] == math.inf


def test_an_error_that_was_taken_for_the_answer_of_another_one_is_the_next_ones(
    replies: Replies, sender: Sender
) -> None:
    replies.take(error("too_large"), 5.0)

    assert replies.take(receipt("user.1.0"), 6.0) == Reply(taken=True)
    assert (replies.unanswered, sender.failed, acknowledged(sender)) == (1, {1}, [0])
    assert not sender.receipts_repeated
    assert replies.take(receipt("user.1.0"), 7.0).event == "a receipt came twice"
    assert sender.receipts_repeated == {0: 1}


def test_an_error_answers_no_message_when_all_have_their_answer(replies: Replies, sender: Sender) -> None:
    for sequence in range(3):
        replies.take(receipt(f"user.1.{sequence}"), 5.0)

    assert replies.take(error("too_large"), 6.0) == Reply(taken=False, event="answer: too_large")
    assert not sender.failed


def test_when_its_error_was_anothers_and_none_is_left_that_is_told(replies: Replies) -> None:
    replies.take(error("too_large"), 5.0)
    for sequence in (1, 2):
        replies.take(receipt(f"user.1.{sequence}"), 5.0)

    assert replies.take(receipt("user.1.0"), 6.0) == Reply(taken=False)


def test_a_receipt_that_names_failed_deliveries_is_a_failure(replies: Replies, sender: Sender) -> None:
    replies.take(receipt("user.1.0", delivered=2, gone=0, failed=1), 5.0)
    replies.take(receipt("user.1.1", delivered=3, gone=0, failed=0), 5.0)

    assert (sender.failed, acknowledged(sender)) == ({0}, [1])
    assert sender.counts == {0: Counts(2, 0, 1), 1: Counts(3, 0, 0)}


def test_a_receipt_of_a_queue_has_no_counts(replies: Replies, sender: Sender) -> None:
    replies.take(receipt("user.1.0", queued=True), 5.0)

    assert (sender.queued, sender.counts, acknowledged(sender)) == ({0}, {}, [0])


@pytest.mark.parametrize(
    ("fields", "counts"),
    [
        ({"queued": True, "delivered": 3}, NO_COUNTS),
        ({"queued": True, **COUNTS}, Counts(3, 1, 0)),
        ({"queued": False}, NO_COUNTS),
        ({"queued": 1}, NO_COUNTS),
        ({"queued": "true"}, NO_COUNTS),
        ({"delivered": 3, "gone": 1}, NO_COUNTS),
        ({**COUNTS, "delivered": "3"}, NO_COUNTS),
        ({**COUNTS, "delivered": 3.0}, NO_COUNTS),
        ({**COUNTS, "gone": True}, NO_COUNTS),
        ({**COUNTS, "gone": -1}, NO_COUNTS),
        ({**COUNTS, "failed": None}, NO_COUNTS),
        ({"delivered": 0, "gone": 0, "failed": 0}, Counts(0, 0, 0)),
        ({"failed": 0, "gone": 2, "delivered": 1, "more": 9}, Counts(1, 2, 0)),
    ],
    ids=str,
)
def test_counts_are_three_numbers_or_wrong(
    replies: Replies, sender: Sender, fields: dict[str, Any], counts: Counts
) -> None:
    replies.take(receipt("user.1.0", **fields), 5.0)

    assert sender.counts == {0: counts}
    assert not sender.queued


def test_a_second_receipt_is_counted_and_changes_nothing(replies: Replies, sender: Sender) -> None:
    replies.take(receipt("user.1.0"), 5.0)
    for _ in range(2):
        assert replies.take(receipt("user.1.0", delivered=9, gone=9, failed=9), 6.0).event == "a receipt came twice"

    assert sender.receipts_repeated == {0: 2}
    assert (sender.answered_at[0], sender.counts[0], sender.failed) == (5.0, Counts(3, 1, 0), set())


@pytest.mark.parametrize(
    "message_id",
    [
        *("", ".", "0", "user.1", "user.1.", "user.1.3", "user.1.-1", "user.1.00", "user.1.1.0", "user.2.0"),
        *("user.10", "USER.1.0", "user.1.0 ", " user.1.0", "user.1.\u0660", "user.1.²", f"user.1.{'9' * 5000}"),
    ],
    ids=lambda message_id: message_id[:30],
)
def test_a_receipt_for_a_message_that_was_never_sent_is_counted_as_such(
    replies: Replies, sender: Sender, message_id: str
) -> None:
    reply = replies.take(receipt(message_id), 5.0)

    assert reply == Reply(taken=True, event="a receipt for a message that was never sent")
    assert sender.receipts_unknown == {message_id[:LONGEST]: 1}
    assert (replies.unanswered, acknowledged(sender), +sender.receipts_repeated) == (3, [], {})


@pytest.mark.parametrize(
    "text",
    [
        *("", "hello", "[]", "{", '"{}"', "{}", "[" * 100_000, '{"a":' * 100_000, ' {"error":{"code":"x"}}'),
        *('{"receipt":"user.1.0"}', '{"receipt":[]}', '{"receipt":{}}', receipt(7), receipt(None), receipt([])),
        *('{"error":"x"}', '{"message":"Forbidden"}', '{"connectionId":"a","requestId":"b"}'),
    ],
    ids=lambda text: text[:30],
)
def test_another_text_is_no_answer(replies: Replies, sender: Sender, text: str) -> None:
    assert replies.take(text, 5.0) == STRANGE
    assert (replies.unanswered, sender.failed, acknowledged(sender)) == (3, set(), [])


def test_api_gateways_own_error_is_an_answer(replies: Replies, sender: Sender) -> None:
    text = '{"message": "Internal server error", "connectionId":"a", "requestId":"b"}'

    assert replies.take(text, 5.0) == Reply(taken=True, event="answer: Internal server error")
    assert sender.failed == {0}


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("x" * 81, "x" * 80),
        ("a\u001b[31m\nb", "a\\x1b[31m\\nb"),
        (None, "None"),
        (["ü"], "['ü']"),
    ],
)
def test_an_error_is_shown_short_and_printable(replies: Replies, code: object, shown: str) -> None:
    assert replies.take(error(code), 5.0).event == f"answer: {shown}"


def test_a_client_that_leaves_abandons_what_has_no_answer(replies: Replies, sender: Sender) -> None:
    replies.take(receipt("user.1.1"), 5.0)
    replies.abandon(7.0)
    assert sender.abandoned_at == {0: 7.0, 2: 7.0}
    assert replies.unanswered == 2
    replies.take(receipt("user.1.0"), 8.0)

    assert acknowledged(sender) == [0, 1]


def test_after_the_end_of_the_connection_nothing_is_expected(replies: Replies, sender: Sender) -> None:
    replies.take(error("too_large"), 5.0)
    replies.give_up()

    assert replies.unanswered == 0
    assert replies.take(error("too_large"), 6.0) == Reply(taken=False, event="answer: too_large")
    assert replies.take(receipt("user.1.0"), 6.0).event == "a receipt came twice"
    assert (sender.failed, acknowledged(sender)) == ({0}, [])
