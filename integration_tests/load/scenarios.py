"""What happens in a load run between its first connection and its last message, one function a scenario."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from integration_tests.load.participant import Farewell

if TYPE_CHECKING:
    from collections.abc import Awaitable, Collection, Mapping

    from integration_tests.load.team import Team
    from integration_tests.targets.interface import Changeable
    from scripts.local.deployment import Deployment

RECONNECTS = 6
"""How often a client that is refused tries again; its pauses double, so AWS's limit of new connections is outlasted."""
TOO_FEW = "the messages ended before, so there should be more of them"


async def steady(team: Team) -> None:
    """Everybody connects; then everybody talks."""
    await team.assemble(team.plan.seats)
    await team.talk()


async def join_storm(team: Team) -> None:
    """One client a room talks without pause while everybody else comes in, and talks as soon as it is in."""
    early, late = team.plan.seats[: team.plan.rooms], team.plan.seats[team.plan.rooms :]
    await team.assemble(early)
    async with asyncio.TaskGroup() as group:
        talking = group.create_task(team.talk())
        team.mark("the join storm begins")
        await team.join(late)
        team.mark("everybody is in" if not talking.done() else f"everybody is in; {TOO_FEW}")


async def reconnect_storm(team: Team) -> None:
    """While everybody talks, everybody is cut off at the same moment and comes back as fast as it may."""
    await team.assemble(team.plan.seats)
    async with asyncio.TaskGroup() as group:
        talking = group.create_task(team.talk())
        await asyncio.sleep(team.plan.duration / 3)
        team.mark("everybody is cut off")
        await team.leave(team.plan.seats, Farewell.ABORT)
        await come_back(team, team.plan.seats)
        team.mark("everybody is back" if not talking.done() else f"everybody is back; {TOO_FEW}")


async def soak(team: Team) -> None:
    """Everybody talks while clients leave in every way, at random, and come back."""
    await team.assemble(team.plan.seats)
    async with asyncio.TaskGroup() as group:
        talking = group.create_task(team.talk())
        away: set[int] = set()
        while not talking.done():
            await asyncio.sleep(random.expovariate(team.plan.connections / team.plan.lifetime))
            seat = random.choice(team.plan.seats)  # noqa: S311 - no secret
            if seat not in away:
                away.add(seat)
                group.create_task(replace(team, seat, away))


async def replace(team: Team, seat: int, away: set[int]) -> None:
    """Let a client go in one way or the other and come back; it is ``away`` meanwhile."""
    await team.leave([seat], random.choice([*Farewell]))  # noqa: S311 - no secret
    await come_back(team, [seat])
    away.remove(seat)


async def redeploy(team: Team, instance: Changeable) -> None:
    """Everybody talks, as often as the plan says and again, until the stage has been deployed with another route."""
    await team.assemble(team.plan.seats)
    routes = {"whoami-again": whoami_again(instance.deployment())}
    team.mark("redeployment begins")
    async with asyncio.TaskGroup() as group:
        deploying = group.create_task(asyncio.to_thread(instance.apply, additional_routes=routes))
        while not deploying.done():
            await team.talk()
    team.mark("redeployment is over")


def whoami_again(stage: Deployment) -> dict[str, str]:
    """Return a further route of a stage, served by the function behind ``whoami``."""
    arn = stage.outputs["whoami_function_arn"]
    _, partition, _, region, *_ = arn.split(":")
    invocation = f"arn:{partition}:apigateway:{region}:lambda:path/2015-03-31/functions/{arn}/invocations"
    return {"function_name": arn.rpartition(":")[2], "invoke_arn": invocation}


async def come_back(team: Team, seats: Collection[int]) -> None:
    """Connect clients again as real ones do: whoever is refused waits, longer each time, and tries again."""
    missing = {*seats}
    for attempt in range(RECONNECTS):
        missing = {*await team.join(sorted(missing))}
        if not missing:
            return
        await asyncio.sleep(random.uniform(0.5, 1) * 2**attempt)  # noqa: S311 - spreads the load


Scenario = Callable[["Team"], "Awaitable[None]"]
SCENARIOS: Mapping[str, Scenario] = {
    "steady": steady,
    "join-storm": join_storm,
    "reconnect-storm": reconnect_storm,
    "soak": soak,
}
REDEPLOY = "redeploy"
"""The one scenario that needs more than clients: a stage that may be changed."""
