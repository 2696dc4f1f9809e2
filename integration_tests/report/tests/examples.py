"""Runs to report on, small and made up."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from integration_tests.harness.faults.rule_book import Count
from integration_tests.harness.latency import Durations
from integration_tests.harness.ledger import Counts, Ledger, Terms
from integration_tests.report.clients import Connects, Departure
from integration_tests.report.model import Event, FunctionLogs, Run
from integration_tests.report.recovery import COMPLETE, Recovery
from integration_tests.report.subject import Subject

if TYPE_CHECKING:
    from collections.abc import Iterable

    from integration_tests.report.documents import Document

BEGAN_AT = 1_000.0
TRICKY_ROOM = "attic/<b>~1"


def durations(seconds: Iterable[float]) -> Durations:
    """Return a histogram of these times."""
    recorded = Durations()
    for each in seconds:
        recorded.record(each)
    return recorded


def example_run(*, lose: bool = False, slow: float = 1.0, busy: bool = False) -> Run:
    """Return a run of ten messages to three members, with every part of the document filled.

    Args:
        lose: Whether one member gets nothing, one message comes twice, and one leaks into another room.
        slow: Factor on all times.
        busy: Whether the client was saturated.
    """
    ledger = Ledger("run", BEGAN_AT, Terms(ordered=True))
    members = [ledger.member("lobby", f"client-{number}") for number in range(3)]
    spy = ledger.member(TRICKY_ROOM, "<spy>")
    for member in (*members, spy):
        member.joined_at = BEGAN_AT
    sender = ledger.sender("lobby", "client-0")
    for number in range(10):
        at = BEGAN_AT + number
        attempt = sender.attempt(at, at)
        for place, member in enumerate(members[: 2 if lose else 3]):
            ledger.receive(member, attempt.text, at + slow * (0.02 + 0.01 * place + 0.001 * number))
        sender.acknowledge(attempt.sequence, at + slow * 0.05, Counts(3, 0, 0))
        if lose and number == 0:
            ledger.receive(members[0], attempt.text, at + 0.5)
            ledger.receive(spy, attempt.text, at + 0.5)
        if number != 4:  # an interval that was not closed: a gap on the timeline
            ledger.latency.close_interval(at + 0.9, cpu=0.97 if busy else 0.3, lag=0.002)
    return Run(
        name="scale",
        id="scale-1",
        target="local",
        started_at=datetime(2026, 11, 24, 12, 0, tzinfo=UTC),
        began_at=BEGAN_AT,
        duration_seconds=12.5,
        parameters={"sockets": 4, "rooms": 2, "tls": False},
        versions={"python": "3.11.7", "commit": "0a1b2c3"},
        verdict=ledger.verdict(),
        latency=ledger.latency,
        connects=Connects(5, 4, {"429": 1}, durations(slow * each for each in (0.01, 0.02, 0.03, 0.04)), 80.0),
        recovery=Recovery(
            answers=Counter({COMPLETE: 3}),
            behind=3,
            healed=1,
            doubles_dropped=2,
            rollovers=4,
            retries=6,
            retries_answered=5,
            times=durations(slow * each for each in (0.1, 0.2, 0.3)),
        ),
        subject=Subject("clients that came back to new messages", 3, 3),
        departures=[
            Departure("closed", 3, 0, durations([0.1, 0.2, 0.4])),
            Departure("aborted", 1, 1),
            Departure("seen by nobody", 0),
        ],
        items_lacking=0,
        faults=[Count("throttled", "status", "before", 30, 3), Count("answer lost", "reset", "after", 30, 1)],
        command="python -m integration_tests.load run --websocket-url wss://stage.example/live",
        host="stage.example",
        path="/live",
        terms=ledger.terms,
        not_shown=["Latency on AWS: the times of this run say nothing about it. One process stands for all of AWS."],
        functions=FunctionLogs(2 if lose else 0, 1, ['{"level":"WARNING","message":"<dead> members stay"}']),
        events=[Event(BEGAN_AT + 3, "redeploy"), Event(BEGAN_AT + 8, "<faults> on")],
    )


def example(*, lose: bool = False, slow: float = 1.0, busy: bool = False) -> Document:
    """Return that run's document, not yet judged."""
    return example_run(lose=lose, slow=slow, busy=busy).document()
