"""A function dies in the middle of a fan-out: who misses the message, and who gets it twice."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

import pytest

from integration_tests.faults.detour import detour
from integration_tests.faults.rules import Count, Latency, LimitData, Reset, Rule, Status, Timeout
from integration_tests.faults.trial import CLIENTS, ROOMS, Site, injected, trial
from integration_tests.harness.answers import receipt
from integration_tests.harness.crowd import Crowd, expect_everywhere
from integration_tests.harness.table import ConnectionsTable
from integration_tests.targets.interface import Capability

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from integration_tests.faults.control import FaultControl
    from integration_tests.harness.client import Client
    from integration_tests.targets.interface import Target

pytestmark = [pytest.mark.emulator_only, pytest.mark.long]

MEMBERS = 30
UNSERVED = 10
"""Members whose posts are still under way when the function dies."""
VISIBILITY_SECONDS = 12
"""A worker's timeout of 10 s and a little: what a dead worker held is tried again after so long."""


class Queued(NamedTuple):
    """A stage with queued delivery, behind the fault proxy."""

    site: Site
    worker: str


@pytest.fixture(scope="module")
def queued(target: Target, faults: FaultControl) -> Iterator[Queued]:
    """A second instance, with queued delivery, behind the proxy; what a dead worker held comes back soon."""
    assert target.aws is not None
    with target.deploy("queued", queued_delivery={"enabled": True, "worker_timeout": 10}) as instance:
        deployment = instance.deployment()
        sqs = target.aws.session.client("sqs", endpoint_url=target.aws.endpoint_url)
        sqs.set_queue_attributes(
            QueueUrl=deployment.outputs["fanout_queue_url"], Attributes={"VisibilityTimeout": str(VISIBILITY_SECONDS)}
        )
        table = ConnectionsTable(target.aws.dynamodb, deployment.outputs["connections_table_name"])
        with detour(target.aws, deployment, faults.url):
            yield Queued(
                Site(deployment.websocket_url, table, faults), deployment.outputs["fanout_worker_function_arn"]
            )


@pytest.mark.requires(Capability.DEATHS)
async def test_without_a_queue_the_sender_is_told_and_the_next_message_reaches_everybody(
    target: Target, crowd: Crowd, room: str, site: Site, tell: Callable[[str], None]
) -> None:
    members = await crowd.join_many(room, MEMBERS)
    sender, served = members[-1], members[UNSERVED:]
    site.faults.replace(await silence(members[:UNSERVED]))

    await sender.say("first", id="1")
    await expect_everywhere(served, "first")
    assert target.kill(name_of(target.deployment.outputs["sendmessage_function_arn"]))
    tell(f"{len(served)} of {MEMBERS} served, 0 of them twice\n{unanswered(site.faults.replace())}")

    assert (await sender.receive_json())["message"] == "Internal server error"
    await sender.say("second", id="2")
    await expect_everywhere(members, "second")
    assert await sender.receive_json() == receipt("2", delivered=MEMBERS)


@pytest.mark.requires(Capability.DEATHS)
async def test_with_a_queue_nobody_misses_the_message_and_those_served_get_it_twice(
    target: Target, queued: Queued, room: str, tell: Callable[[str], None]
) -> None:
    crowd = Crowd(queued.site.url)
    members = await crowd.join_many(room, MEMBERS)
    sender, served = members[-1], members[UNSERVED:]
    queued.site.faults.replace(await silence(members[:UNSERVED]))

    await sender.say("first")
    await expect_everywhere(served, "first")
    assert target.kill(name_of(queued.worker))
    counts = queued.site.faults.replace()

    await asyncio.gather(*(member.expect("first", within=2 * VISIBILITY_SECONDS) for member in members))
    await crowd.finish()
    tell(f"{MEMBERS} of {MEMBERS} served, {len(served)} of them twice\n{unanswered(counts)}")


async def test_queue_that_fails_is_ridden_out(queued: Queued, tell: Callable[[str], None]) -> None:
    outcome = await trial(
        queued.site,
        [
            Rule("sqs: throttled", Status(400), service="sqs", rate=0.2),
            Rule("sqs: 500", Status(500), service="sqs", rate=0.1),
            Rule("sqs: reset", Reset(), service="sqs", rate=0.1),
            Rule("sqs: 0.2 s, jitter 0.15 s", Latency(0.2, 0.15), service="sqs", rate=0.3),
            Rule("management: 429", Status(429), service="management", rate=0.1),
        ],
    )
    tell(str(outcome))

    outcome.check()


async def test_lost_answer_of_the_queue_costs_at_most_a_second_round(
    queued: Queued, tell: Callable[[str], None]
) -> None:
    outcome = await trial(
        queued.site,
        [
            Rule("sqs: reset after the work", Reset(), when="after", service="sqs", rate=0.1),
            Rule("sqs: 20 bytes of the answer", LimitData(20), when="after", service="sqs", rate=0.1),
        ],
    )
    tell(str(outcome))

    outcome.check(repeats=sum(outcome.struck.values()) * CLIENTS // ROOMS)


async def silence(victims: Sequence[Client]) -> list[Rule]:
    """Return rules by which no post to some members is answered, nor does it reach them."""
    connection_ids = [await victim.whoami() for victim in victims]
    return [
        Rule(f"management: no answer ({number})", Timeout(), service="management", connection_id=connection_id)
        for number, connection_id in enumerate(connection_ids, 1)
    ]


def unanswered(counts: Sequence[Count]) -> str:
    """Describe what the rules of `silence` did together."""
    rule = Rule(f"management: no answer, {len(counts)} members", Timeout())
    struck, matched = sum(count.struck for count in counts), sum(count.matched for count in counts)
    return injected([rule], [Count(rule.name, rule.fault.kind, rule.when, matched, struck)])[0]


def name_of(function_arn: str) -> str:
    """Return the name in a function's ARN."""
    return function_arn.rpartition(":")[2]
