"""The table of verdicts, row by row, and the evidence that decides between rows."""

from __future__ import annotations

from typing import NamedTuple
from unittest import mock

import pytest
from roomcast import backoff
from roomcast.judge import Judge
from roomcast.recipients import Recipient, Stragglers
from roomcast.shares import Post
from roomcast.verdicts import (
    MAXIMUM_COPIES,
    NOT_OPEN_RETRY_SECONDS,
    SILENCE_SECONDS,
    TABLE,
    TRIES_ALONE,
    Answer,
    Case,
    Outcome,
    always,
    answer_of,
    retry_after,
    row_of,
)

LONGEST_HANDSHAKE = 29.0
"""Seconds: API Gateway's integration timeout, which cannot be raised for WebSocket APIs."""

OTHER_STATUSES = [300, 301, 304, 307, 401, 402, 403, 404, 405, 409, 411, 412, 413, 414, 415, 418, 422, 426, 431, 451]
SERVER_ERRORS = [500, 501, 502, 503, 504, 505, 507, 508, 511, 599]


class Expected(NamedTuple):
    """A verdict as the fact sheet has it; ``pause`` is the upper end of a random one, in seconds."""

    statuses: list[int]
    case: Case
    outcome: Outcome
    pause: float = 0.0
    out_of_time: Outcome = Outcome.LATE


YOUNG, OLD = LONGEST_HANDSHAKE, LONGEST_HANDSHAKE + 10
FACTS = [
    # "id not in the expected format": do not retry; the room must survive an objection to the message.
    Expected([400], Case(), Outcome.MALFORMED),
    # "closed, never existed, or not open yet".
    Expected([410], Case(age=OLD), Outcome.DEAD),
    Expected([410], Case(age=OLD, tries=7, waited=1.0), Outcome.DEAD),
    Expected([410], Case(age=YOUNG), Outcome.AGAIN, 0.05, Outcome.ABSENT),
    Expected([410], Case(age=0.0, tries=3, waited=0.3), Outcome.AGAIN, 0.2, Outcome.ABSENT),
    Expected([410], Case(age=3.0, tries=9, waited=2.9), Outcome.AGAIN, 0.1, Outcome.ABSENT),
    Expected([410], Case(age=YOUNG, tries=9, waited=NOT_OPEN_RETRY_SECONDS), Outcome.ABSENT),
    # "too many calls, or the buffer of that WebSocket is full": back off with jitter, cap the tries per connection.
    Expected([429], Case(tries=1), Outcome.AGAIN, 0.05),
    Expected([429], Case(tries=2, alone=2.0), Outcome.AGAIN, 0.1),
    Expected([429], Case(tries=2, asked=3.0), Outcome.AGAIN, 3.0),
    Expected([429], Case(tries=500), Outcome.AGAIN, 1.0),
    Expected([429], Case(age=OLD, tries=12, alone=TRIES_ALONE), Outcome.FAILED, 0.0),
    # "transient: retry".
    Expected([408, *SERVER_ERRORS], Case(tries=1), Outcome.AGAIN, 0.05),
    Expected([408, *SERVER_ERRORS], Case(tries=3, asked=0.5), Outcome.AGAIN, 0.5),
    Expected([408, *SERVER_ERRORS], Case(tries=10, alone=TRIES_ALONE), Outcome.FAILED, 0.0),
    # "fail loudly" (403), "never retry" (413); AWS documents no other status.
    Expected(OTHER_STATUSES, Case(), Outcome.REFUSED),
    Expected(OTHER_STATUSES, Case(age=OLD, tries=3, asked=1.0), Outcome.REFUSED),
]
WITHOUT_STATUS = [
    (Answer.CLOSED, Case(), Outcome.AGAIN, 0.0),
    (Answer.BROKEN, Case(tries=1), Outcome.AGAIN, 0.05),
    (Answer.BROKEN, Case(tries=40), Outcome.AGAIN, 1.0),
    (Answer.BROKEN, Case(tries=10, alone=TRIES_ALONE), Outcome.FAILED, 0.0),
    (Answer.SILENT, Case(tries=1), Outcome.AGAIN, 0.05),
    (Answer.SILENT, Case(tries=MAXIMUM_COPIES), Outcome.FAILED, 0.0),
    (Answer.SILENT, Case(tries=1, waited=SILENCE_SECONDS), Outcome.FAILED, 0.0),
    (Answer.SILENT, Case(tries=2, waited=SILENCE_SECONDS - 0.1), Outcome.AGAIN, 0.1),
]


@pytest.fixture(autouse=True)
def longest_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random pauses take their upper ends."""
    monkeypatch.setattr(backoff.RANDOM, "random", lambda: 1.0)


@pytest.mark.parametrize("fact", FACTS)
def test_each_status_has_the_consequence_that_aws_documents(fact: Expected) -> None:
    for status in fact.statuses:
        row = row_of(answer_of(status), fact.case)
        assert row.outcome is fact.outcome
        if row.outcome is Outcome.AGAIN:
            assert row.pause(fact.case) == pytest.approx(fact.pause)
            assert row.out_of_time is fact.out_of_time


@pytest.mark.parametrize(("answer", "case", "outcome", "pause"), WITHOUT_STATUS)
def test_a_lost_connection_has_its_consequence(answer: Answer, case: Case, outcome: Outcome, pause: float) -> None:
    row = row_of(answer, case)
    assert row.outcome is outcome
    if outcome is Outcome.AGAIN:
        assert row.pause(case) == pytest.approx(pause)
        assert row.out_of_time is Outcome.LATE


def test_the_facts_reach_every_row() -> None:
    reached = [row_of(answer_of(status), fact.case) for fact in FACTS for status in fact.statuses]
    reached += [row_of(answer, case) for answer, case, _, _ in WITHOUT_STATUS]
    assert [row for row in TABLE if row not in reached] == []


def test_each_answer_ends_with_a_row_without_a_condition() -> None:
    last = {row.answer: row.condition for row in TABLE}
    assert set(last) == set(Answer)
    assert set(last.values()) == {always}
    assert {answer_of(status) for status in range(300, 600)} <= set(last)


@pytest.mark.parametrize(
    ("value", "seconds"), [("3", 3.0), ("0", 0.0), ("", 0.0), ("-1", 0.0), ("1.5", 0.0), ("²", 0.0), ("Wed, 21", 0.0)]
)
def test_only_a_number_of_seconds_is_a_pause_that_is_asked_for(value: str, seconds: float) -> None:
    assert retry_after({"retry-after": value}) == seconds


def test_a_server_that_asks_for_nothing_gets_no_pause() -> None:
    assert retry_after({}) == 0.0


def post_to(recipient: Recipient, copies: int = 0) -> Post:
    """The post of a message."""
    share = mock.Mock(stragglers=Stragglers(copies=copies))
    return Post(recipient, share)


class TestEvidence:
    """Which recipients are refused alone."""

    def test_one_that_alone_is_refused_is_given_up(self) -> None:
        judge, post = Judge(), post_to(Recipient("slow=", 0))
        outcomes = [judge.judge(post, Answer.THROTTLED, 100 * number, 0.0)[0].outcome for number in range(1, 11)]
        assert outcomes == [Outcome.AGAIN] * (TRIES_ALONE - 1) + [Outcome.FAILED]

    def test_none_is_given_up_while_throttling_is_general(self) -> None:
        judge = Judge()
        refused = [post_to(Recipient(f"id-{number}", 0)) for number in range(100)]
        for round_ in range(1, 50):
            rows = [judge.judge(post, Answer.THROTTLED, 10 * round_, 0.0)[0] for post in refused]
            assert {row.outcome for row in rows} == {Outcome.AGAIN}

    def test_one_kind_of_refusal_says_nothing_about_another(self) -> None:
        judge, post = Judge(), post_to(Recipient("unlucky=", 0))
        for number in range(1, 2 * TRIES_ALONE - 1):
            answer = Answer.THROTTLED if number % 2 else Answer.BROKEN
            assert judge.judge(post, answer, 100 * number, 0.0)[0].outcome is Outcome.AGAIN

    def test_a_settled_recipient_no_longer_counts_as_refused(self) -> None:
        judge, slow = Judge(), post_to(Recipient("slow=", 0))
        for number in range(1, TRIES_ALONE):
            others = [post_to(Recipient(f"id-{number}-{each}", 0)) for each in range(100)]
            for post in others:
                judge.judge(post, Answer.ERROR, 40 * number, 0.0)
                judge.settle(post)
            assert judge.judge(slow, Answer.ERROR, 40 * number, 0.0)[0].outcome is Outcome.AGAIN
        assert judge.judge(slow, Answer.ERROR, 40 * TRIES_ALONE, 0.0)[0].outcome is Outcome.FAILED

    def test_a_kept_connection_that_closes_costs_a_pause_the_second_time(self) -> None:
        judge, post = Judge(), post_to(Recipient("alice=", 0))
        pauses = [judge.judge(post, Answer.CLOSED, 0, 0.0)[1] for _ in range(3)]
        assert pauses == [0.0, 0.05, 0.1]

    def test_copies_of_an_earlier_fan_out_count(self) -> None:
        judge, post = Judge(), post_to(Recipient("alice=", 0), copies=MAXIMUM_COPIES - 1)
        assert judge.judge(post, Answer.SILENT, 0, 0.0)[0].outcome is Outcome.FAILED

    def test_an_absent_connection_is_tried_for_as_long_as_a_handshake_may_need(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("time.time", lambda: 1_000.0)
        judge, post = Judge(), post_to(Recipient("new=", 999_000))
        now = 50.0
        while (verdict := judge.judge(post, Answer.GONE, 0, now))[0].outcome is Outcome.AGAIN:
            assert verdict[1] > 0
            now += verdict[1]
        assert now == pytest.approx(50.0 + NOT_OPEN_RETRY_SECONDS)
        assert verdict[0].outcome is Outcome.ABSENT
