"""A function dies in the middle of a fan-out without a queue; guarantees/test_queued_delivery.py does it with one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from integration_tests.faults.faulty_run import injected
from integration_tests.harness.answers import receipt
from integration_tests.harness.crowd import expect_everywhere
from integration_tests.harness.faults.kinds import Timeout
from integration_tests.harness.faults.rule_book import Count
from integration_tests.harness.faults.rules import Rule
from integration_tests.targets.interface import Capability

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from integration_tests.faults.faulty_run import Site
    from integration_tests.harness.client import Client
    from integration_tests.harness.crowd import Crowd
    from integration_tests.targets.interface import Target

pytestmark = [pytest.mark.emulator_only, pytest.mark.long, pytest.mark.requires(Capability.DEATHS)]

MEMBERS = 30
UNSERVED = 10
"""Members with a post still under way when the function dies."""


async def test_sender_is_told_and_the_next_message_reaches_everybody(
    target: Target, crowd: Crowd, room: str, site: Site, tell: Callable[[str], None]
) -> None:
    members = await crowd.join_many(room, MEMBERS)
    sender, served = members[-1], members[UNSERVED:]
    site.faults.replace(await silence(members[:UNSERVED]))

    await sender.say("first", id="1")
    await expect_everywhere(served, "first")
    assert target.kill(target.deployment.outputs["sendmessage_function_arn"].rpartition(":")[2])
    tell(f"{len(served)} of {MEMBERS} served, 0 of them twice\n{unanswered(site.faults.replace())}")

    assert (await sender.receive_json())["message"] == "Internal server error"
    await sender.say("second", id="2")
    await expect_everywhere(members, "second")
    assert await sender.receive_json() == receipt("2", delivered=MEMBERS)


async def silence(victims: Sequence[Client]) -> list[Rule]:
    """Return rules by which no post to some members is answered, nor does it reach them."""
    connection_ids = [await victim.whoami() for victim in victims]
    return [
        Rule(f"management: no answer ({number})", Timeout(), service="management", connection_id=connection_id)
        for number, connection_id in enumerate(connection_ids, 1)
    ]


def unanswered(counts: Sequence[Count]) -> str:
    """Describe the effect of all rules of `silence`."""
    rule = Rule(f"management: no answer, {len(counts)} members", Timeout())
    struck, matched = sum(count.struck for count in counts), sum(count.matched for count in counts)
    return injected([rule], [Count(rule.name, rule.fault.kind, rule.when, matched, struck)])[0]
