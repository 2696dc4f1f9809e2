"""A report names the points that its run does not show, and no others."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from integration_tests.harness.ledger import Tally, Verdict
from integration_tests.load.run import not_shown
from integration_tests.load.tests.test_scenarios import PLAN
from integration_tests.targets.interface import Capability, Caveat

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SHOWS_ALL = replace(PLAN, rooms=2, connections=4, ordered=True)
COUNTED = Tally(acknowledged=2, delivered=2, receipts_counted=1)
SENT, SILENT = Tally(attempted=1), Tally(expected=1)


def sentences(
    *,
    plan: Any = SHOWS_ALL,
    total: Tally = COUNTED,
    rooms: Sequence[Tally] = 2 * [SENT],
    senders: Sequence[Tally] = 4 * [SENT],
    unlogged: int = 0,
    lacks: Mapping[Any, str] | None = None,
) -> list[str]:
    """The sentences of a report on a target that lacks something."""
    by_room, by_sender = ({str(number): each for number, each in enumerate(tallies)} for tallies in (rooms, senders))
    verdict = Verdict(total, by_room, by_sender, members=4, broken=0, examples=[])
    return not_shown(plan, cast("Any", SimpleNamespace(lacks=lambda: lacks or {})), verdict, unlogged)


def test_a_run_that_shows_everything_says_nothing() -> None:
    assert sentences() == []


@pytest.mark.parametrize(
    ("limited", "said"),
    [
        ({"rooms": [SENT, SILENT]}, "Anything about 1 of 2 rooms: no message was sent in them"),
        ({"rooms": [SENT]}, "Anything about 1 of 2 rooms"),
        ({"senders": [SENT, SILENT, SENT]}, "Whether 2 of 4 clients can send: they have sent no message"),
        ({"plan": replace(SHOWS_ALL, rooms=1), "rooms": [SENT]}, "A message that leaks into another room"),
        ({"plan": replace(SHOWS_ALL, ordered=False)}, "The order of messages"),
        ({"unlogged": 3}, "Whether clients recover what they have missed: 3 returns were to rooms that keep no"),
        ({"total": Tally(acknowledged=2, delivered=2)}, "Whether receipts count right"),
        ({"lacks": {Capability.TABLE: "It is hidden."}}, "Whether clients leave items in the table. It is hidden."),
        ({"lacks": {Capability.LOGS: "They are hidden."}}, "Errors in the functions' logs. They are hidden."),
        ({"lacks": {Caveat.SPEED: "One machine."}}, "Latency on AWS"),
    ],
)
def test_each_limit_of_a_run_is_one_sentence(limited: dict[str, Any], said: str) -> None:
    [sentence] = sentences(**limited)

    assert sentence.startswith(said)
    for reason in limited.get("lacks", {}).values():
        assert sentence.endswith(f" {reason}")


def test_what_no_report_is_about_is_not_said() -> None:
    assert sentences(total=Tally()) == []
    assert sentences(lacks={Capability.SIZE_LIMITS: "It has none."}) == []
