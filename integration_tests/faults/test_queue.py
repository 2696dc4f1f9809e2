"""Queued delivery while the queue fails: acknowledged messages reach every member."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from integration_tests.conftest import table_of
from integration_tests.faults.faulty_run import CLIENTS, ROOMS, Site, faulty_run
from integration_tests.harness.faults.kinds import Latency, LimitData, Reset, Status
from integration_tests.harness.faults.rules import Rule
from integration_tests.harness.faults.through_proxy import routed_through_proxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from integration_tests.harness.faults.control import FaultControl
    from integration_tests.targets.interface import Target

pytestmark = [pytest.mark.emulator_only, pytest.mark.long]

QUEUE = "sqs"


@pytest.fixture(scope="module")
def queued(target: Target, faults: FaultControl) -> Iterator[Site]:
    """An instance with queued delivery, behind the proxy."""
    assert target.aws is not None
    deployment = target.deploy_to_stay("queued", queued_delivery={"enabled": True})
    table = table_of(target, deployment)
    with routed_through_proxy(target.aws, deployment, faults.url):
        yield Site(deployment.websocket_url, table, faults)


async def test_queue_that_fails_is_ridden_out(queued: Site, tell: Callable[[str], None]) -> None:
    outcome = await faulty_run(
        queued,
        [
            Rule("sqs: throttled", Status(400), service=QUEUE, rate=0.2),
            Rule("sqs: 500", Status(500), service=QUEUE, rate=0.1),
            Rule("sqs: reset", Reset(), service=QUEUE, rate=0.1),
            Rule("sqs: 0.2 s, jitter 0.15 s", Latency(0.2, 0.15), service=QUEUE, rate=0.3),
            Rule("management: 429", Status(429), service="management", rate=0.1),
        ],
    )
    tell(str(outcome))

    outcome.check()


async def test_lost_answer_of_the_queue_costs_at_most_a_second_round(queued: Site, tell: Callable[[str], None]) -> None:
    outcome = await faulty_run(
        queued,
        [
            Rule("sqs: reset after the work", Reset(), when="after", service=QUEUE, rate=0.1),
            Rule("sqs: 20 bytes of the answer", LimitData(20), when="after", service=QUEUE, rate=0.1),
        ],
    )
    tell(str(outcome))

    outcome.check(repeats=sum(outcome.struck.values()) * CLIENTS // ROOMS)
