"""One load run from the first connection to the last item gone."""

from __future__ import annotations

import asyncio
import platform
import subprocess
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from integration_tests.harness.cloudwatch import Logs
from integration_tests.harness.faults.control import running_proxy
from integration_tests.harness.faults.through_proxy import routed_through_proxy
from integration_tests.harness.table import ConnectionsTable
from integration_tests.load.departures import Items, depart
from integration_tests.load.progress import followed
from integration_tests.load.scenarios import REDEPLOY, SCENARIOS, redeploy
from integration_tests.load.workers import NoConnectionError, started_workers
from integration_tests.report.model import FunctionLogs, Run
from integration_tests.targets.interface import Capability, Caveat
from scripts.waiting import scaled

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from integration_tests.harness.faults.control import FaultControl
    from integration_tests.harness.ledger import Tally
    from integration_tests.load.plan import Plan
    from integration_tests.load.progress import Display
    from integration_tests.load.scenarios import Scenario
    from integration_tests.load.workers import Workers
    from integration_tests.targets.interface import Target
    from scripts.local.deployment import Deployment

INTERVALS = 300
"""How many points in time the report can tell apart, at most."""
LOGGED_WITHIN = 60.0
"""Seconds in which CloudWatch shows a line; some take that long."""
LOOK_EVERY = 1.0
"""Seconds between two looks for it."""
EXAMPLES = 10
"""How many lines of the functions' logs the report shows, at most."""


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
            async with followed(workers, display):
                await perform(scenario, workers)
                display.say("waiting for the last answers")
                await workers.settle()
                departures = await depart(workers, items, display.say)
            result = await workers.finish()
        counts = faults.replace() if faults else []
        known = items.connection_ids if items is not None else []
        functions = await logs_of(target, stage, started_at, display, known)
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
        departures=departures,
        items_lacking=items.lacking if items is not None else None,
        faults=counts,
        functions=functions,
        events=result.timeline(),
        command=command,
        host=url.netloc.rpartition("@")[2],
        path=url.path,
        terms=result.ledger.terms,
        not_shown=not_shown(plan, target, verdict.total),
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


def not_shown(plan: Plan, target: Target, total: Tally) -> list[str]:
    """Return sentences about the limits of a run's evidence, each with the reason."""
    lacks = target.lacks()
    sentences = []
    if plan.rooms == 1:
        sentences.append("A message that leaks into another room: all clients were in one room (see --rooms).")
    if not plan.ordered:
        sentences.append("The order of messages: it is promised by FIFO queues only (see --ordered).")
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
    """Return the stage and the scenario: the target's own stage, or one that is deployed to be changed."""
    if plan.scenario != REDEPLOY:
        yield target.deployment, SCENARIOS[plan.scenario]
        return
    with target.deploy("load") as instance:
        yield instance.deployment(), partial(redeploy, instance=instance)


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


async def logs_of(
    target: Target, stage: Deployment, since: datetime, display: Display, known: Sequence[str] = ()
) -> FunctionLogs | None:
    """Return errors and warnings in the functions' logs since a moment, or None where the logs cannot be read.

    Logs without an error count only if they are this stage's, and have come so far: they must name a client of the run.

    Args:
        target: Gives access to the logs.
        stage: Its outputs name the log groups.
        since: When the run began.
        display: Shows why there are none.
        known: Connection ids of the run.
    """
    groups = stage.outputs.get("log_group_names", {}).values()
    if target.aws is None or not groups:
        return None
    logs = Logs(target.aws.logs, [*groups])
    try:
        named = await names_one(logs, since.timestamp(), known)
        errors, warnings = await logs.errors(since.timestamp()), await logs.warnings(since.timestamp())
    except (BotoCoreError, ClientError) as error:
        display.say(f"the functions' logs cannot be read: {error}")
        return None
    if not named and not errors:
        display.say("the functions' logs name no client of this run, so that they hold no error proves nothing")
        return None
    return FunctionLogs(len(errors), len(warnings), [*errors, *warnings][:EXAMPLES])


async def names_one(logs: Logs, since: float, known: Sequence[str]) -> bool:
    """Wait until the logs of ``$connect`` or ``$disconnect`` name one of the run's clients; return whether they do."""
    deadline = time.monotonic() + scaled(LOGGED_WITHIN)
    while known:
        if await logs.lines(since, known[-1]):
            return True
        if time.monotonic() > deadline:
            break
        await asyncio.sleep(LOOK_EVERY)
    return False


def versions() -> dict[str, str]:
    """Return the versions on the client's side."""
    return {
        "commit": commit(),
        "python": platform.python_version(),
        "websockets": metadata.version("websockets"),
        "system": platform.platform(terse=True),
    }


def commit() -> str:
    """Return the commit that is checked out, with a plus sign if files differ from it; ``unknown`` outside a clone."""
    command = ["git", "describe", "--always", "--dirty=+", "--exclude=*"]
    try:
        result = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    except OSError:  # a machine without git has a copy of the repository, not a clone
        return "unknown"
    return result.stdout.strip() or "unknown"
