"""One load run from the first connection to the last item gone."""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from integration_tests.harness.faults.control import running_proxy
from integration_tests.harness.faults.through_proxy import routed_through_proxy
from integration_tests.harness.table import ROOM_PREFIX, ConnectionsTable
from integration_tests.load.departures import NOBODY, Items, depart
from integration_tests.load.function_logs import logs_of
from integration_tests.load.kept_messages import KeptMessages
from integration_tests.load.plan import V1
from integration_tests.load.progress import followed
from integration_tests.load.scenarios import SCENARIOS, redeploy, resume_storm
from integration_tests.load.versions import versions
from integration_tests.load.workers import NoConnectionError, started_workers
from integration_tests.report.model import Run
from integration_tests.targets.interface import Capability, Caveat

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from integration_tests.harness.faults.control import FaultControl
    from integration_tests.harness.ledger import Verdict
    from integration_tests.load.plan import Plan
    from integration_tests.load.progress import Display
    from integration_tests.load.scenarios import Scenario
    from integration_tests.load.workers import Workers
    from integration_tests.targets.interface import Target
    from scripts.local.deployment import Deployment

INTERVALS = 300
"""How many points in time the report can tell apart, at most."""


async def run(plan: Plan, target: Target, display: Display, command: str = "") -> Run:
    """Carry out a plan against a target that is ready.

    Args:
        plan: The plan of the run.
        target: Holds the stage.
        display: Shows the run.
        command: The command line, for the report; it holds no secret.

    Raises:
        integration_tests.load.worker_process.WorkerError: A client process failed.
        integration_tests.load.workers.NoConnectionError: No stage was there to connect to.
    """
    with stage_for(plan, target) as (stage, scenario), faults_for(plan, target, stage) as faults:
        display.say(
            f"{plan.scenario} on {target.name}: {plan.connections:,} clients in {plan.rooms:,} rooms, {plan.run}"
        )
        started_at, began_at = datetime.now(UTC), time.monotonic()
        items = items_of(plan, target, stage)
        if items is not None:
            await items.count()  # a table that cannot be read is named before the run, not after it
        interval = max(1.0, plan.duration / INTERVALS)
        async with started_workers(plan, stage.websocket_url, interval, display.say) as workers:
            workers.look = items.remember if items is not None else None
            async with followed(workers, display):
                await perform(scenario, workers)
                display.say("waiting for the last answers")
                await workers.settle()
                departures = await depart(workers, items, display.say)
            result = await workers.finish()
        counts = faults.replace() if faults else []
        last = items.last if items is not None else NOBODY
        functions = await logs_of(target, stage, started_at, display, last)
    url = urlsplit(stage.websocket_url)
    result.ledger.began_at = began_at
    verdict = result.ledger.verdict()
    return Run(
        name=f"load-{plan.scenario}",
        id=plan.run,
        target=target.name,
        started_at=started_at,
        began_at=began_at,
        duration_seconds=time.monotonic() - began_at,
        parameters=plan.parameters(),
        versions=versions(),
        verdict=verdict,
        latency=result.ledger.latency,
        connects=result.connects,
        recovery=result.recovery if plan.protocol == V1 else None,
        subject=workers.subject,
        departures=departures,
        items_lacking=items.lacking if items is not None else None,
        faults=counts,
        functions=functions,
        events=result.timeline(),
        command=command,
        host=url.netloc.rpartition("@")[2],
        path=url.path,
        terms=result.ledger.terms,
        not_shown=not_shown(plan, target, verdict, result.recovery.unlogged),
    )


async def perform(scenario: Scenario, workers: Workers) -> None:
    """Carry out a scenario; on a stage that refuses all clients, every message counts as unsent.

    Raises:
        integration_tests.load.workers.NoConnectionError: No stage was there to connect to.
    """
    try:
        await scenario(workers)
    except NoConnectionError as error:
        if not error.refused:
            raise
        workers.unsent = workers.plan.messages
        workers.mark(str(error))


def not_shown(plan: Plan, target: Target, verdict: Verdict, unlogged: int = 0) -> list[str]:
    """Return sentences about the limits of a run's evidence, each with the reason.

    Args:
        plan: The run's plan.
        target: Where it took place.
        verdict: Its verdict.
        unlogged: Returns of clients to rooms that keep no messages.
    """
    lacks, total = target.lacks(), verdict.total
    heard_of, senders = (
        sum(tally.attempted > 0 for tally in tallies.values()) for tallies in (verdict.rooms, verdict.senders)
    )
    sentences = []
    if plan.rooms == 1:
        sentences.append("A message that leaks into another room: all clients were in one room (see --rooms).")
    if silent := max(0, plan.rooms - heard_of):
        sentences.append(
            f"Anything about {silent:,} of {plan.rooms:,} rooms: no message was sent in them (see --messages)."
        )
    if silent := max(0, plan.connections - senders):
        clients = f"{silent:,} of {plan.connections:,} clients"
        sentences.append(f"Whether {clients} can send: they have sent no message (see --messages).")
    if not (plan.ordered or verdict.ordered):
        sentences.append(
            "The order of messages: it is promised by FIFO queues (see --ordered) and by rooms that keep messages."
        )
    if unlogged:
        returns = f"{unlogged:,} returns were to rooms that keep no messages (see history_rooms)"
        sentences.append(f"Whether clients recover what they have missed: {returns}.")
    if total.acknowledged and not total.receipts_counted:
        sentences.append("Whether receipts count right: they said only that the messages were queued.")
    for capability, what in (
        (Capability.TABLE, "Whether clients leave items in the table"),
        (Capability.LOGS, "Errors in the functions' logs"),
        (Caveat.SPEED, "Latency on AWS: the times of this run say nothing about it"),
    ):
        if capability in lacks:
            sentences.append(f"{what}. {lacks[capability]}")
    return sentences


@contextmanager
def stage_for(plan: Plan, target: Target) -> Iterator[tuple[Deployment, Scenario]]:
    """Return the stage and the scenario: the target's own stage, or one that is deployed with what the run needs."""
    scenario = SCENARIOS.get(plan.scenario)
    if scenario is None:
        with target.deploy("load") as instance:
            yield instance.deployment(), partial(redeploy, instance=instance)
    elif plan.protocol == V1 and Capability.DEPLOYMENT not in target.lacks():
        with target.deploy("load", history_rooms=[f"{ROOM_PREFIX}*"]) as instance:
            stage = instance.deployment()
            yield stage, partial(resume_storm, meanwhile=forgetting(plan, target, stage)) if plan.expired else scenario
    else:
        yield target.deployment, scenario


def forgetting(plan: Plan, target: Target, stage: Deployment) -> Callable[[], Awaitable[None]]:
    """Return a function that deletes what the rooms of a run have kept."""
    assert target.aws is not None
    kept = KeptMessages(target.aws.dynamodb, stage.outputs["history_table_name"])
    return partial(asyncio.to_thread, kept.expire, plan.room_names)


@contextmanager
def faults_for(plan: Plan, target: Target, stage: Deployment) -> Iterator[FaultControl | None]:
    """Inject the plan's faults between the stage's functions and AWS; give their control, or None without faults."""
    if not plan.faults.rules:
        yield None
        return
    assert target.aws is not None
    assert target.aws.endpoint_url is not None
    with running_proxy(target.aws.endpoint_url) as faults, routed_through_proxy(target.aws, stage, faults.url):
        faults.replace(plan.faults.rules, plan.faults.seed)
        yield faults


def items_of(plan: Plan, target: Target, stage: Deployment) -> Items | None:
    """Return the items of a run's clients, or None where the table cannot be read."""
    if target.aws is None or Capability.TABLE in target.lacks():
        return None
    table = ConnectionsTable.of_stage(target.aws.dynamodb, stage.outputs)
    return Items(table, plan.room_names, alone=target.owns_table)
