"""The scenes of the demo: connect, send, compare, disconnect."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

from integration_tests.demo.console import Console, can_print
from integration_tests.demo.outcomes import report, violations
from integration_tests.demo.room import LOOK_EVERY, TERMS, Room
from integration_tests.harness.table import ConnectionsTable
from integration_tests.targets.interface import TargetError
from scripts.waiting import scaled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from integration_tests.demo.console import Step
    from integration_tests.targets.local import Local

T = TypeVar("T")

ROOMS = {"lobby": 40, "kitchen": 30, "garden": 20, "attic": 10}
"""Members by room."""
HELLO = "hello world"
SPEAKERS = 2
"""Members of each room that send at the same time."""
MESSAGES_PER_SPEAKER = 10
ITEMS_PER_CLIENT = 2
"""In the table: one for the connection and one for its membership."""


async def perform(console: Console, target: Local) -> int:
    """Connect, send, compare, disconnect; return the number of violations."""
    assert target.aws is not None
    url = target.deployment.websocket_url
    table = ConnectionsTable.of_stage(target.aws.dynamodb, target.deployment.outputs)
    console.say(f"\n[bold]{url}[/]\n")
    run = f"demo-{secrets.token_hex(4)}"
    rooms = [Room(url, run, name, members) for name, members in ROOMS.items()]
    try:
        await connect(console, rooms)
        await greet(console, rooms)
        if any(sum(violations(room.verdict().total).values()) for room in rooms):
            console.say(f"{console.wrong} The first message did not arrive as it should, so no more are sent.")
        else:
            await converse(console, rooms)
        left = await disconnect(console, rooms, table)
    finally:
        await asyncio.gather(*(room.users.leave_all() for room in rooms))
        await asyncio.gather(*(room.users.finish() for room in rooms))
    if broken := sum(room.verdict().broken for room in rooms):
        console.say(f"{console.wrong} {broken} connections ended although their clients had not closed them.")
    outcomes = [room.outcome() for room in rooms]
    console.say()
    console.show(report(outcomes, lines=can_print("─", console.terminal.encoding)))
    return broken + left + sum(sum(violations(outcome.total).values()) for outcome in outcomes)


@asynccontextmanager
async def followed(step: Step, reached: Callable[[], int]) -> AsyncIterator[None]:
    """Move a step's bar during the context."""

    async def move() -> None:
        while True:
            step.reach(reached())
            await asyncio.sleep(LOOK_EVERY)

    moving = asyncio.create_task(move())
    try:
        yield
    finally:
        moving.cancel()


async def connect(console: Console, rooms: Sequence[Room]) -> None:
    """Connect all clients at the same time.

    Raises:
        TargetError: A handshake was refused.
    """
    count = sum(room.members for room in rooms)
    started = time.monotonic()
    with console.step(f"Connect {count} clients to {len(rooms)} rooms", count) as step:
        async with followed(step, lambda: sum(room.users.progress().joined for room in rooms)):
            refused = Counter(reason for reasons in await each(rooms, Room.join) for reason in reasons)
        if refused:
            reasons = ", ".join(f"{number} with {reason}" for reason, number in refused.items())
            raise TargetError(f"{refused.total()} of {count} handshakes failed: {reasons}")
        step.detail = f"{count / (time.monotonic() - started):.0f} handshakes a second, each through $connect"


async def greet(console: Console, rooms: Sequence[Room]) -> None:
    """Send ``HELLO`` and show the rooms that it reaches."""
    lobby = rooms[0]
    with console.step("Say hello in the lobby") as step:
        await lobby.send(1, HELLO)
        await each(rooms, Room.settle)
        step.detail = json.dumps({"action": "sendmessage", "data": HELLO, "id": "client-0.0"})
    for room in rooms:
        times = room.latency.total
        share = f"{times.count} of {room.members} members"
        first, last = times.at_percentiles([0, 100])
        when = f"received it after {first:.0f} to {last:.0f} ms" if times.count else "[dim]silence[/]"
        console.say(f"    {room.name:<8} {share:<17} {when}")


async def converse(console: Console, rooms: Sequence[Room]) -> None:
    """Let several members of every room send at the same time, again as soon as they have their receipts."""
    messages = SPEAKERS * MESSAGES_PER_SPEAKER
    deliveries = messages * sum(room.members for room in rooms)
    arrivals = deliveries + messages * len(rooms)  # with the receipts
    before = received(rooms)
    with console.step(f"Send {messages * len(rooms)} messages, {SPEAKERS} speakers a room", arrivals) as step:
        started = time.monotonic()
        async with followed(step, lambda: received(rooms) - before):
            await each(rooms, converse_in)
            seconds = time.monotonic() - started
            await each(rooms, Room.settle)
        step.detail = f"{deliveries:,} deliveries, {deliveries / seconds:,.0f} a second"


async def converse_in(room: Room) -> None:
    """Send all messages of one room."""
    for _ in range(MESSAGES_PER_SPEAKER):
        await room.send(SPEAKERS)


def received(rooms: Sequence[Room]) -> int:
    """Return how many messages and receipts have arrived."""
    return sum(room.users.progress().received for room in rooms)


async def disconnect(console: Console, rooms: Sequence[Room], table: ConnectionsTable) -> int:
    """Disconnect all clients, half of them as a crash does; return how many items are left in the table, or lacked."""
    count = sum(room.members for room in rooms)
    items = await table.size()
    lacking = max(0, ITEMS_PER_CLIENT * count - items)
    with console.step(f"Close half, cut half of {count} sockets", items) as step:
        await each(rooms, Room.leave)
        gone_at = time.monotonic()
        while (left := await table.size()) and time.monotonic() < gone_at + scaled(TERMS.patience):
            step.reach(items - left)
            await asyncio.sleep(LOOK_EVERY)
        seconds = time.monotonic() - gone_at
        step.detail = f"{items} items in the table, {left} of them {seconds:.1f} s later"
    if lacking:
        console.say(f"{console.wrong} {lacking} items of connected clients were not in the table.")
    return left + lacking


async def each(rooms: Sequence[Room], action: Callable[[Room], Awaitable[T]]) -> list[T]:
    """Do something in all rooms at the same time; return the results."""
    return await asyncio.gather(*map(action, rooms))
