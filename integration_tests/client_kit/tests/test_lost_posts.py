"""Invariant I8: a connected client that loses posts has everything at the latest one heartbeat and one healing later.

The posts are those of live messages. A fifth of them is lost, and so is the last one, which no later message betrays.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from integration_tests.client_kit.members import Settings
from integration_tests.client_kit.players import play_virtually
from integration_tests.client_kit.scenario import Scenario
from integration_tests.client_kit.tests.minimal import MinimalDriver

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MESSAGES = 40
LOST = 0.2
LONGEST_PAUSE = 4.0
"""Seconds between two messages: gaps are healed while others open."""
LIMITS = Settings().limits
WITHIN = (1.1 * LIMITS["heartbeat"] + 1000 + LIMITS["heal"]) / 1000 + 1
"""Seconds from the last message on: pings come up to a tenth later, and frames take some time."""


def scenario_of(seed: int) -> Scenario:
    """Return a scenario in which posts are lost at random."""
    return Scenario("lost-posts", "whatever is lost is there one heartbeat later", list(steps_of(random.Random(seed))))  # noqa: S311 - an order that can be played again


def steps_of(dice: random.Random) -> Iterator[Mapping[str, Any]]:
    """Yield the steps."""
    yield {"connect": {}}
    yield {"await": {"on": "state", "state": "open"}, "within": 30}
    for _ in range(MESSAGES):
        yield {"say": "lobby", **({"how": "lost"} if dice.random() < LOST else {})}
        yield {"sleep": dice.random() * LONGEST_PAUSE}
    yield {"say": "lobby", "how": "lost"}
    yield {"whole": "lobby", "within": WITHIN}


@pytest.mark.parametrize("seed", range(1, 31))
def test_client_has_everything_one_heartbeat_later(seed: int) -> None:
    assert play_virtually(scenario_of(seed), seed) == []


def test_client_that_does_not_heal_is_noticed() -> None:
    assert play_virtually(scenario_of(1), 1, MinimalDriver) != []
