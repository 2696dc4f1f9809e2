"""Watch the main job: build, start an emulator, apply, connect clients, send messages, clean up, tear down.

``python -m integration_tests.demo`` exits with 0 only if every message reached every member of its room and no other
client, once, in time and unchanged; if each message had one true receipt; if the table is empty afterwards; and if
nothing is left running. It exits with 1 after a violation of these, and with 2 if the demo could not run.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
import secrets
import sys
import time
from collections import Counter
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from botocore.exceptions import BotoCoreError, ClientError
from rich import box
from rich.markup import escape
from rich.table import Table

from integration_tests.console import Console, can_print
from integration_tests.harness.latency import Durations, Latency
from integration_tests.harness.ledger import Tally, Terms, Verdict
from integration_tests.harness.table import ConnectionsTable
from integration_tests.load.user_group import Arrival, Schedule, UserGroup
from integration_tests.load.virtual_user import CloseMode
from integration_tests.targets.interface import TargetError
from integration_tests.targets.local import Local
from scripts import build_handlers, command
from scripts.build_handlers import BuildError
from scripts.local import emulator, interpreters
from scripts.terraform import TerraformError
from scripts.waiting import scaled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence

    from integration_tests.console import Step

T = TypeVar("T")

ROOMS = {"lobby": 40, "kitchen": 30, "garden": 20, "attic": 10}
"""Members by room."""
HELLO = "hello world"
SPEAKERS = 2
"""Members of each room that send at the same time."""
MESSAGES_PER_SPEAKER = 10
TERMS = Terms(transit=1.0, late_after=15.0, patience=30.0)
"""Long times, because this machine, which may be busy, stands for all of AWS."""
ITEMS_PER_CLIENT = 2
"""In the table: one for the connection and one for its membership."""
COLUMNS = {
    "lost": ("lost", "missing", "unsent"),
    "twice": ("duplicated",),
    "leaked": ("unexpected",),
    "altered": ("altered",),
    "late": ("late",),
    "answers": ("failed", "receipts_wrong", "receipts_repeated", "receipts_unknown"),
}
"""Findings of the ledger by column of the table; a message without a receipt counts under ``answers``, too."""
LOOK_EVERY = 0.05
"""Seconds between two looks at the progress."""

UNUSABLE = 2


class Room:
    """One room and its clients.

    Args:
        url: The stage's WebSocket URL.
        run: Name of the demo's run.
        name: Name of the room.
        members: How many clients it has.
    """

    def __init__(self, url: str, run: str, name: str, members: int) -> None:
        self.name = name
        self.members = members
        self.latency = Latency()
        self.users = UserGroup(url, run, self.latency, TERMS)
        self._ended_at = math.inf

    async def join(self) -> list[str]:
        """Connect all clients at the same time; return why handshakes were refused."""
        now = time.monotonic()
        arrivals = [Arrival(seat, self.name, now) for seat in range(self.members)]
        return [*(await self.users.join(arrivals)).values()]

    async def send(self, messages: int, words: str = "") -> None:
        """Send from as many clients at the same time, and wait for their receipts; some words can be sent once."""
        await self.users.talk(Schedule(time.monotonic(), 0.0, messages, 0, words))
        await self.users.answered(scaled(TERMS.patience))

    async def settle(self) -> None:
        """Wait until every owed delivery has come, or patience ends, and nothing is on its way."""
        deadline = time.monotonic() + scaled(TERMS.patience)
        while self.verdict().total.outstanding:
            if time.monotonic() > deadline:
                break
            await asyncio.sleep(LOOK_EVERY)
        await self.users.quiet()

    async def leave(self) -> None:
        """Disconnect every second client with a closing handshake, and cut the others off."""
        self._ended_at = time.monotonic()
        seats = range(self.members)
        closing, cut = self.users.leave(seats[1::2], CloseMode.CLOSE), self.users.leave(seats[::2], CloseMode.ABORT)
        await asyncio.gather(closing, cut)

    def verdict(self) -> Verdict:
        """Judge the room until now, or until its clients left."""
        self.users.absent()  # notes connections that have ended
        ledger = self.users.ledger()
        ledger.ended_at = min(time.monotonic(), self._ended_at)
        return ledger.verdict()

    def outcome(self) -> Outcome:
        """Return the room's line of the final table."""
        return Outcome(self.name, self.members, self.verdict().total, self.latency.total)


class Outcome(NamedTuple):
    """The outcome of a room.

    Attributes:
        room: Its name.
        members: How many clients it had.
        total: Counts of the ledger.
        times: Delivery times.
    """

    room: str
    members: int
    total: Tally
    times: Durations


def violations(total: Tally) -> dict[str, int]:
    """Return by column of the table how much went wrong; every message needs a receipt that counts its deliveries."""
    found = {column: sum(getattr(total, finding) for finding in findings) for column, findings in COLUMNS.items()}
    return {**found, "answers": found["answers"] + total.attempted - total.receipts_counted}


def prepare(console: Console) -> None:
    """Build the zips and make the emulator's Python environment, which the first run installs."""
    with console.step("Build the Lambda zips") as step:
        changed = build_handlers.build()
        step.detail = f"changed: {', '.join(changed)}" if changed else "up to date, byte for byte"
    with console.step("Prepare the emulator") as step:
        python = emulator.ministack_python()
        version = interpreters.version_of(python) or ()
        step.detail = f"MiniStack in an environment of its own, Python {'.'.join(map(str, version))}"


@contextmanager
def applied(console: Console) -> Iterator[Local]:
    """Start the emulator and apply the root to it; end everything with the context."""
    target = Local()
    with ExitStack() as everything:
        with console.step("Start it and apply Terraform", total=1) as step:
            target.report = follow(step)
            everything.enter_context(target)
            step.detail = f"AWS at {target.aws.endpoint_url if target.aws else ''}, IAM enforced"
        try:
            yield target
        except BaseException:
            target.failed = True
            raise
        finally:
            with console.step("Tear it down") as step:
                with command.uninterrupted():
                    everything.close()
                step.detail = "emulator, functions, state and files are gone"


def follow(step: Step) -> Callable[[str], None]:
    """Return a function that reads Terraform's lines and moves a step's bar."""
    created = 0
    planned: int | None = None

    def read(line: str) -> None:
        nonlocal created, planned
        if plan := re.match(r"Plan: (\d+) to add", line):
            planned = int(plan[1])
        created += "Creation complete" in line
        step.reach(created, planned)

    return read


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


def report(outcomes: Sequence[Outcome], *, lines: bool = True) -> Table:
    """Return the final table, with a line below its head if the terminal can show one."""
    title = "Deliveries by room, and their times (ms)"
    head = box.SIMPLE_HEAD if lines else None
    table = Table(title=title, title_justify="left", box=head, collapse_padding=True, pad_edge=False)
    table.add_column("room", no_wrap=True)
    for heading in ("members", "messages", "deliveries", *COLUMNS, "median", "99 %", "max"):
        table.add_column(heading, justify="right", no_wrap=True)
    for room, members, total, times in outcomes:
        counts = [str(members), str(total.attempted), f"{total.expected:,}"]
        found = [f"[red]{number}[/]" if number else "0" for number in violations(total).values()]
        speed = times.percentiles()
        table.add_row(room, *counts, *found, *(f"{ms:.0f}" for ms in (speed.p50_ms, speed.p99_ms, speed.max_ms)))
    return table


def leftovers(target: Local) -> list[str]:
    """Return everything that is still there of a target that has been left."""
    assert target.aws is not None
    url = str(target.aws.endpoint_url)
    files = [str(target.directory)] if target.directory.exists() else []
    return [*files, f"an emulator at {url}"] if emulator.answers(url) else files


def show(console: Console) -> int:
    """Show everything; return the exit status."""
    started = time.monotonic()
    prepare(console)
    with applied(console) as target:
        found = asyncio.run(perform(console, target))
        target.failed = found > 0
    left = leftovers(target)
    if found or left:
        console.say(f"\n{console.wrong} {found} deliveries, answers, connections or items were wrong.")
        console.say(f"left behind: {', '.join(left) or 'nothing'}")
        console.say(escape(target.failure_report()))
        return 1
    verdict = "Every message reached every member of its room once and no other client; nothing is left."
    console.say(f"\n{console.right} {verdict} ({time.monotonic() - started:.0f} s)")
    return 0


def main() -> int:
    """Run the command line; return its exit status."""
    command.prepare()
    console = Console()
    try:
        return show(console)
    except (BuildError, TargetError, TerraformError, OSError, BotoCoreError, ClientError) as error:
        console.say(f"{console.wrong} {escape(str(error) or type(error).__name__)}")
        return UNUSABLE
    except KeyboardInterrupt:
        return command.interrupted("demo")


if __name__ == "__main__":
    sys.exit(main())
