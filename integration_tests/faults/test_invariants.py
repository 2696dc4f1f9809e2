"""Under faults between the functions and AWS, no message is lost, none leaks, and no item is left."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from integration_tests.faults.faulty_run import faulty_run
from integration_tests.harness.faults.kinds import Fault, Latency, LimitData, Reset, Sliced, SlowClose, Status, Timeout
from integration_tests.harness.faults.rules import Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from integration_tests.faults.faulty_run import Outcome, Site

pytestmark = pytest.mark.emulator_only

MANAGEMENT, TABLE = "management", "dynamodb"


def both(name: str, fault: Fault, rate: float, when: str = "before", limit: int = 0) -> list[Rule]:
    """Return the same rule twice: for posts to connections and for the table."""
    return [
        Rule(f"{service}: {name}", fault, when=when, service=service, rate=rate, limit=limit)
        for service in (MANAGEMENT, TABLE)
    ]


BEFORE: dict[str, Sequence[Rule]] = {
    "throttled": [
        Rule("management: 429", Status(429), service=MANAGEMENT, rate=0.2),
        Rule("dynamodb: throughput exceeded", Status(400), service=TABLE, rate=0.2),
        Rule("dynamodb: throttled", Status(400, "ThrottlingException"), service=TABLE, rate=0.1),
    ],
    "server-errors": [*both("500", Status(500), 0.1), *both("503", Status(503), 0.1)],
    "latency": both("0.2 s, jitter 0.15 s", Latency(0.2, 0.15), 0.3),
    "reset": both("reset", Reset(), 0.05),
    "timeout": both("no answer", Timeout(), 0.05, limit=2),
    "slow-close": both("closes after 1 s", SlowClose(1.0), 0.1, "after"),
    "sliced": both("7 bytes at a time", Sliced(7), 0.3, "after"),
}
"""Faults that strike before any work is done, or spoil only how its answer looks: nothing excuses a second copy."""

AFTER: dict[str, Sequence[Rule]] = {
    "answer-reset": both("reset after the work", Reset(), 0.05, "after"),
    "answer-truncated": both("20 bytes of the answer", LimitData(20), 0.05, "after"),
    "answer-timeout": both("no answer after the work", Timeout(), 0.05, "after", limit=2),
}
"""Faults that hide finished work: a post may be made twice; a repeated write to the table makes no difference."""


@pytest.mark.long
@pytest.mark.parametrize("rules", BEFORE.values(), ids=BEFORE)
async def test_fault_is_ridden_out(site: Site, tell: Callable[[str], None], rules: Sequence[Rule]) -> None:
    outcome = await faulty_run(site, rules)
    tell(str(outcome))

    outcome.check()


@pytest.mark.long
@pytest.mark.parametrize("rules", AFTER.values(), ids=AFTER)
async def test_lost_answer_costs_at_most_a_second_copy(
    site: Site, tell: Callable[[str], None], rules: Sequence[Rule]
) -> None:
    outcome = await faulty_run(site, rules)
    tell(str(outcome))

    outcome.check(repeats=hidden_posts(outcome))


@pytest.mark.long
async def test_connection_that_is_answered_with_410_while_it_is_young_misses_nothing(
    site: Site, tell: Callable[[str], None]
) -> None:
    rule = Rule("management: 410", Status(410), service=MANAGEMENT, rate=0.1)

    outcome = await faulty_run(site, [rule])
    tell(str(outcome))

    # The sender of a message is connected, but a receipt that is answered with 410 is not tried again.
    outcome.check(unanswered=outcome.struck[rule.name])


async def test_everything_at_once(site: Site, tell: Callable[[str], None]) -> None:
    outcome = await faulty_run(site, [*mild(BEFORE.values()), *mild(AFTER.values())])
    tell(str(outcome))

    outcome.check(repeats=hidden_posts(outcome))


def mild(groups: Iterable[Sequence[Rule]]) -> list[Rule]:
    """Return the rules of several groups at rates at which each finds something left to strike."""
    return [replace(rule, rate=rule.rate / 4, limit=1 if rule.limit else 0) for group in groups for rule in group]


def hidden_posts(outcome: Outcome) -> int:
    """Return how many posts were done without an answer that said so."""
    hiding = {rule.name for group in AFTER.values() for rule in group if rule.service == MANAGEMENT}
    return sum(number for name, number in outcome.struck.items() if name in hiding)
