"""The scenarios of load runs, from the first connection to the last message, one function each."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from integration_tests.load.virtual_user import CloseMode

if TYPE_CHECKING:
    from collections.abc import Awaitable, Collection, Mapping

    from integration_tests.load.workers import Workers
    from integration_tests.targets.interface import Changeable
    from scripts.local.deployment import Deployment

RECONNECTS = 6
"""How often a client that is refused tries again; its pauses double, so AWS's limit of new connections is outlasted."""
TOO_FEW = "the messages ended before, so there should be more of them"


async def steady(workers: Workers) -> None:
    """All clients connect; then they send."""
    await workers.assemble(workers.plan.seats)
    await workers.talk()


async def join_storm(workers: Workers) -> None:
    """One client in each room sends without pause while the others join; they send as soon as they are in."""
    early, late = workers.plan.seats[: workers.plan.rooms], workers.plan.seats[workers.plan.rooms :]
    await workers.assemble(early)
    async with asyncio.TaskGroup() as group:
        talking = group.create_task(workers.talk())
        workers.mark("the join storm begins")
        await workers.join(late)
        workers.mark("all clients are in" if not talking.done() else f"all clients are in; {TOO_FEW}")


async def reconnect_storm(workers: Workers) -> None:
    """While clients send, all are cut off at the same moment and reconnect as fast as AWS admits them."""
    await workers.assemble(workers.plan.seats)
    async with asyncio.TaskGroup() as group:
        talking = group.create_task(workers.talk())
        await asyncio.sleep(workers.plan.duration / 3)
        workers.mark("all clients are cut off")
        await workers.leave(workers.plan.seats, CloseMode.ABORT)
        await come_back(workers, workers.plan.seats)
        workers.mark("all clients are back" if not talking.done() else f"all clients are back; {TOO_FEW}")


async def soak(workers: Workers) -> None:
    """All clients send while some leave at random, in either way, and reconnect."""
    await workers.assemble(workers.plan.seats)
    async with asyncio.TaskGroup() as group:
        talking = group.create_task(workers.talk())
        away: set[int] = set()
        while not talking.done():
            await asyncio.sleep(random.expovariate(workers.plan.connections / workers.plan.lifetime))
            seat = random.choice(workers.plan.seats)  # noqa: S311 - no secret
            if seat not in away:
                away.add(seat)
                group.create_task(replace(workers, seat, away))


async def replace(workers: Workers, seat: int, away: set[int]) -> None:
    """Disconnect a client in either way and reconnect it; it is ``away`` meanwhile."""
    await workers.leave([seat], random.choice([*CloseMode]))  # noqa: S311 - no secret
    await come_back(workers, [seat])
    away.remove(seat)


async def redeploy(workers: Workers, instance: Changeable) -> None:
    """All clients send, again and again, until the stage has been deployed with another route."""
    await workers.assemble(workers.plan.seats)
    routes = {"whoami-again": whoami_again(instance.deployment())}
    workers.mark("redeployment begins")
    async with asyncio.TaskGroup() as group:
        deploying = group.create_task(asyncio.to_thread(instance.apply, additional_routes=routes))
        while not deploying.done():
            await workers.talk()
    workers.mark("redeployment is over")


def whoami_again(stage: Deployment) -> dict[str, str]:
    """Return a further route of a stage, served by the function behind ``whoami``."""
    arn = stage.outputs["whoami_function_arn"]
    _, partition, _, region, *_ = arn.split(":")
    invocation = f"arn:{partition}:apigateway:{region}:lambda:path/2015-03-31/functions/{arn}/invocations"
    return {"function_name": arn.rpartition(":")[2], "invoke_arn": invocation}


async def come_back(workers: Workers, seats: Collection[int]) -> None:
    """Reconnect clients as real ones do: a refused one waits, longer each time, and tries again."""
    missing = {*seats}
    for attempt in range(RECONNECTS):
        missing = {*await workers.join(sorted(missing))}
        if not missing:
            return
        await asyncio.sleep(random.uniform(0.5, 1) * 2**attempt)  # noqa: S311 - spreads the load


Scenario = Callable[["Workers"], "Awaitable[None]"]
SCENARIOS: Mapping[str, Scenario] = {
    "steady": steady,
    "join-storm": join_storm,
    "reconnect-storm": reconnect_storm,
    "soak": soak,
}
REDEPLOY = "redeploy"
"""The one scenario that needs a stage that may be changed."""
