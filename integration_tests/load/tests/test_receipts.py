"""Receipts of ``roomcast.v1``: each is matched with its message, which may have been sent several times."""

from __future__ import annotations

from typing import Any

import pytest

from integration_tests.harness.ledger import NO_COUNTS, Counts, Ledger, Number, Sender
from integration_tests.harness.quotes import LONGEST
from integration_tests.load.receipts import Receipts
from integration_tests.report.recovery import Recovery

ID = "00000000.client-1"
STORED: dict[str, Any] = {"type": "receipt", "id": ID, "room": "lobby", "epoch": "e", "seq": 7}
COUNTED = {**STORED, "delivered": 3, "gone": 0, "failed": 0}
DUPLICATE = {**STORED, "duplicate": True}
SENDING = {**STORED, "sending": True}


@pytest.fixture
def sender() -> Sender:
    """A sender of one message."""
    sender = Ledger("run").sender("lobby", "client-1")
    sender.attempt(0.0, 0.0)
    return sender


@pytest.fixture
def recovery() -> Recovery:
    """Counts copies."""
    return Recovery()


@pytest.fixture
def receipts(sender: Sender, recovery: Recovery) -> Receipts:
    """Expects the answer to the message."""
    receipts = Receipts(sender, recovery)
    assert receipts.expect(0) == ID
    assert receipts.unanswered == 1
    return receipts


def test_id_is_long_enough_for_every_sender() -> None:
    receipts = Receipts(Ledger("run").sender("lobby", "client-0"), Recovery())
    assert 16 <= len(receipts.expect(0)) <= 64


def test_first_receipt_counts(receipts: Receipts, sender: Sender) -> None:
    assert receipts.take(COUNTED, 1.0) is None
    assert (sender.answered_at[0], sender.counts[0], sender.said[0]) == (1.0, Counts(3, 0, 0), {Number("e", 7)})
    assert receipts.unanswered == 0
    assert not sender.queued


def test_receipt_of_a_queue_counts_nothing(receipts: Receipts, sender: Sender) -> None:
    receipts.take({**STORED, "queued": True}, 1.0)
    assert (sender.queued, sender.counts) == ({0}, {})


def test_receipt_without_counts_is_seen(receipts: Receipts, sender: Sender) -> None:
    receipts.take(STORED, 1.0)
    assert sender.counts[0] == NO_COUNTS


@pytest.mark.parametrize("answers", [[COUNTED, DUPLICATE], [DUPLICATE, COUNTED], [SENDING, COUNTED]])
def test_copies_are_answered_before_or_after(
    answers: list[dict[str, Any]], receipts: Receipts, sender: Sender, recovery: Recovery
) -> None:
    receipts.expect_copy(0)
    assert receipts.unanswered == 2
    for answer in answers:
        assert receipts.take(answer, 1.0) is None

    assert receipts.unanswered == 0
    assert (recovery.retries, recovery.retries_answered, receipts.retried) == (1, 1, {0})
    assert sender.counts[0] == Counts(3, 0, 0)
    assert not sender.receipts_repeated


def test_message_that_is_still_being_delivered_is_not_acknowledged(receipts: Receipts, sender: Sender) -> None:
    receipts.expect_copy(0)
    receipts.take(SENDING, 1.0)
    assert not sender.acknowledged(0)
    assert receipts.unanswered == 1


@pytest.mark.parametrize("answer", [DUPLICATE, SENDING])
def test_message_that_was_sent_once_is_no_copy(answer: dict[str, Any], receipts: Receipts, sender: Sender) -> None:
    assert receipts.take(answer, 1.0) is None
    assert (sender.answered_at[0], sender.counts[0]) == (1.0, NO_COUNTS)
    assert receipts.take(answer, 2.0) == "a receipt came twice"
    assert sender.receipts_repeated == {0: 1}


@pytest.mark.parametrize(("again", "answered_at"), [("end", 1.5), ("error", 1.5), ("in time", 36.0)])
def test_client_may_have_sent_a_message_again_by_itself(
    again: str, answered_at: float, receipts: Receipts, sender: Sender
) -> None:
    if again == "end":
        receipts.end(1.1)
    elif again == "error":
        receipts.expect_repetition({"id": ID, "code": "unavailable"})
    assert receipts.take(DUPLICATE, answered_at) is None
    assert (sender.answered_at[0], sender.counts) == (answered_at, {})


def test_error_that_names_no_message_lets_the_client_repeat_none(receipts: Receipts, sender: Sender) -> None:
    receipts.expect_repetition({"code": "unavailable"})
    receipts.take(DUPLICATE, 1.0)
    assert sender.counts[0] == NO_COUNTS


def test_second_receipt_of_the_first_copy_is_one_too_many(receipts: Receipts, sender: Sender) -> None:
    receipts.expect_copy(0)
    receipts.take(COUNTED, 1.0)
    assert receipts.take(COUNTED, 2.0) == "a receipt came twice"
    assert sender.receipts_repeated == {0: 1}
    assert receipts.unanswered == 0


@pytest.mark.parametrize(
    "message_id",
    [
        *("", "00000001.client-1", "00000000.client-2", "0.client-1", "x"),
        "\N{ARABIC-INDIC DIGIT ZERO}" * 8 + ".client-1",
        "1" * 5_000 + ".client-1",
    ],
)
def test_receipt_for_a_message_that_was_never_sent(message_id: str, receipts: Receipts, sender: Sender) -> None:
    assert receipts.take({**COUNTED, "id": message_id}, 1.0) == "a receipt for a message that was never sent"
    assert sender.receipts_unknown == {message_id[:LONGEST]: 1}
    assert not sender.acknowledged(0)


def test_failed_deliveries_matter_where_the_room_keeps_nothing(receipts: Receipts, sender: Sender) -> None:
    failed = {"id": ID, "delivered": 2, "gone": 0, "failed": 1}
    receipts.take({**STORED, **failed}, 1.0)
    assert sender.acknowledged(0)
    other = Receipts(sender, Recovery())
    other.expect(0)
    other.take(failed, 1.0)
    assert not sender.acknowledged(0)


@pytest.mark.parametrize(("at", "excused"), [(5.0, {0}), (5.1, set())])
def test_end_of_a_connection_excuses_the_wait_for_an_answer_that_was_not_late(
    at: float, excused: set[int], receipts: Receipts, sender: Sender
) -> None:
    receipts.expect_copy(0)
    receipts.interrupt(at, late_after=5.0)
    assert (sender.interrupted, receipts.unanswered) == (excused, 1)


def test_message_that_the_client_gave_up_is_failed(receipts: Receipts, sender: Sender) -> None:
    receipts.fail(0)
    assert (sender.failed, receipts.unanswered) == ({0}, 0)


def test_error_that_names_no_message_answers_one_that_has_none(receipts: Receipts, sender: Sender) -> None:
    sender.attempt(2.0, 2.0)
    receipts.expect(1)
    receipts.blame("an error", 1.0)
    assert receipts.unasked() == []
    receipts.take(COUNTED, 1.5)
    assert receipts.unasked() == [("an error", 1.0)]  # the other message was sent only later
    assert receipts.unasked() == []


def test_error_that_names_no_message_may_answer_a_copy(receipts: Receipts) -> None:
    receipts.expect_copy(0)
    receipts.blame("an error", 1.0)
    receipts.take(COUNTED, 1.5)
    assert receipts.unasked() == []


@pytest.mark.parametrize(("ended", "answered_at"), [(True, 1.5), (False, 36.0)])
def test_message_that_was_sent_again_may_have_had_an_error_for_an_answer(
    ended: bool, answered_at: float, receipts: Receipts
) -> None:
    receipts.blame("an error", 1.0)
    if ended:
        receipts.end(1.1)
    receipts.take(COUNTED, answered_at)
    assert receipts.unasked() == []
    assert receipts.take_error({"id": ID})


def test_error_for_a_message_that_has_its_answer_answers_a_copy_or_nothing(receipts: Receipts) -> None:
    receipts.expect_copy(0)
    receipts.take(COUNTED, 1.0)
    assert receipts.take_error({"id": ID})
    assert not receipts.take_error({"id": ID})
    assert not receipts.take_error({"id": "another"})
    assert not receipts.take_error({})
    assert receipts.unanswered == 0
