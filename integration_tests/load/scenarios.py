"""The scenarios of load runs, from the first connection to the last message, one function each."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from integration_tests.load.user_group import GENERATIONS
from integration_tests.load.virtual_user import CloseMode
from integration_tests.report.subject import Subject
from scripts.waiting import scaled

if TYPE_CHECKING:
    from collections.abc import Awaitable, Collection, Mapping

    from integration_tests.load.workers import Workers
    from integration_tests.targets.interface import Changeable
    from scripts.local.deployment import Deployment

RECONNECTS = 6
"""How often a client that is refused tries again; its pauses double, so AWS's limit of new connections is outlasted."""
MISSED = 5
"""Messages that each room keeps at least while its clients are away: with fewer of them deleted, the times in the head
and in the item above might still prove that those numbers were never stored."""
LOOK_EVERY = 0.25
"""Seconds between two looks at what has been acknowledged."""
TOO_FEW = "the messages ended before, so there should be more of them"


async def steady(workers: Workers) -> None:
    """All clients connect; then they send."""
    await workers.assemble(workers.plan.seats)
    await workers.talk()


async def join_storm(workers: Workers) -> None:
    """One client in each room sends without pause while the others join; they send as soon as they are in."""
    early, late = workers.plan.seats[: workers.plan.rooms], workers.plan.seats[workers.plan.rooms :]
    subject = workers.subject = Subject("clients that joined while others sent", len(late))
    await workers.assemble(early)
    async with asyncio.TaskGroup() as group:
        talking = group.create_task(workers.talk())
        workers.mark("the join storm begins")
        subject.done = await connected_meanwhile(workers, talking, group.create_task(workers.join(late)))
        workers.mark("all clients are in" if not talking.done() else f"all clients are in; {TOO_FEW}")


async def reconnect_storm(workers: Workers) -> None:
    """While clients send, all are cut off at the same moment and reconnect as fast as AWS admits them."""
    seats = workers.plan.seats
    subject = workers.subject = Subject("clients that were cut off and came back before the last message", len(seats))
    await workers.assemble(seats)
    async with asyncio.TaskGroup() as group:
        talking = group.create_task(workers.talk())
        await asyncio.sleep(workers.plan.duration / 3)
        workers.mark("all clients are cut off")
        await workers.leave_early(seats, CloseMode.ABORT)
        subject.done = await connected_meanwhile(workers, talking, group.create_task(come_back(workers, seats)))
        workers.mark("all clients are back" if not talking.done() else f"all clients are back; {TOO_FEW}")


async def connected_meanwhile(workers: Workers, talking: asyncio.Task[None], connecting: asyncio.Task[Any]) -> int:
    """Wait until clients have connected; return how many came into their rooms before the last message was sent."""
    before = (await workers.progress()).arrived
    await asyncio.wait({talking, connecting}, return_when=asyncio.FIRST_COMPLETED)
    arrived = (await workers.progress()).arrived - before
    await connecting
    return arrived


async def resume_storm(workers: Workers, meanwhile: Callable[[], Awaitable[None]] | None = None) -> None:
    """All clients but one in each room are cut off at one moment; those who stay send, and the others return.

    Args:
        workers: The client processes.
        meanwhile: Called when each room has kept messages that all absent clients have missed.
    """
    plan = workers.plan
    stay, others = plan.seats[: plan.rooms], plan.seats[plan.rooms :]
    workers.subject, workers.counted = Subject("clients that came back to new messages", len(others)), "behind"
    await workers.assemble(plan.seats)
    async with asyncio.TaskGroup() as group:
        talking = group.create_task(workers.talk())
        await asyncio.sleep(plan.duration / 3)
        workers.mark("all clients but one in each room are cut off")
        await workers.leave_early(others, CloseMode.ABORT)
        await until_missed(workers, stay, talking)
        if meanwhile is not None:
            await meanwhile()
        workers.mark("the clients return")
        await come_back(workers, others)
        workers.mark("all clients are back" if not talking.done() else f"all clients are back; {TOO_FEW}")


async def until_missed(workers: Workers, stay: Collection[int], talking: asyncio.Task[None]) -> None:
    """Wait for the outage to end, and until the clients that stay have stored some messages each."""
    before, began_at = await workers.acknowledged(), time.monotonic()
    await asyncio.sleep(workers.plan.outage)
    deadline = began_at + scaled(workers.plan.patience)
    while not talking.done() and time.monotonic() < deadline:
        now = await workers.acknowledged()
        if all(now.get(seat, 0) - before.get(seat, 0) >= MISSED for seat in stay):
            return
        await asyncio.sleep(LOOK_EVERY)


async def rollover(workers: Workers) -> None:
    """All clients send, again and again, until each has replaced its socket twice, as before API Gateway's 2 hours."""
    workers.subject = Subject(f"clients that used {GENERATIONS} sockets, one after the other", workers.plan.connections)
    workers.counted = "in_third_generation"
    await workers.assemble(workers.plan.seats)
    deadline = time.monotonic() + scaled(2 * GENERATIONS * workers.plan.lifetime + workers.plan.patience)
    while await workers.generation() < GENERATIONS and time.monotonic() < deadline:
        await workers.talk()
    workers.mark(f"each client has used {await workers.generation()} sockets, one after the other, or more")


async def retry_storm(workers: Workers) -> None:
    """All clients send each message up to three times under the same id."""
    workers.subject = Subject("messages that were sent again and answered again", workers.plan.messages)
    workers.counted = "retried"
    await workers.assemble(workers.plan.seats)
    await workers.talk()


async def soak(workers: Workers) -> None:
    """All clients send while some leave at random, in either way, and reconnect."""
    subject = workers.subject = Subject("clients that left while others sent, and came back", 1)
    await workers.assemble(workers.plan.seats)
    async with asyncio.TaskGroup() as group:
        talking = group.create_task(workers.talk())
        away: set[int] = set()
        left = 0
        while not await ends(talking, random.expovariate(workers.plan.connections / workers.plan.lifetime)):
            seat = random.choice(workers.plan.seats)  # noqa: S311 - no secret
            if seat not in away:
                away.add(seat)
                subject.due = left = left + 1
                group.create_task(replace(workers, seat, away, subject))


async def ends(task: asyncio.Task[None], within: float) -> bool:
    """Wait until a task ends, or for some seconds; return whether it has ended."""
    ended, _ = await asyncio.wait({task}, timeout=within)
    return bool(ended)


async def replace(workers: Workers, seat: int, away: set[int], subject: Subject) -> None:
    """Disconnect a client in either way and reconnect it; it is ``away`` meanwhile."""
    await workers.leave_early([seat], random.choice([*CloseMode]))  # noqa: S311 - no secret
    missing = await come_back(workers, [seat])
    subject.done += not missing
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


async def come_back(workers: Workers, seats: Collection[int]) -> set[int]:
    """Reconnect clients as real ones do: a refused one waits, longer each time, and tries again.

    Returns:
        The seats of those that were refused to the end.
    """
    missing = {*seats}
    for attempt in range(RECONNECTS):
        missing = {*await workers.join(sorted(missing))}
        if not missing:
            break
        await asyncio.sleep(random.uniform(0.5, 1) * 2**attempt)  # noqa: S311 - spreads the load
    return missing


Scenario = Callable[["Workers"], "Awaitable[None]"]
RESUME_STORM = "resume-storm"
SCENARIOS: Mapping[str, Scenario] = {
    "steady": steady,
    "join-storm": join_storm,
    "reconnect-storm": reconnect_storm,
    "soak": soak,
    RESUME_STORM: resume_storm,
    "rollover": rollover,
    "retry-storm": retry_storm,
}
SCENARIOS_OF_V1 = {RESUME_STORM, "rollover", "retry-storm"}
"""The scenarios that clients of text mode cannot take part in."""
REDEPLOY = "redeploy"
"""The one scenario that needs a stage that may be changed."""
