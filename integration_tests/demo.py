"""The main job, to watch: build, start an emulator, apply, connect clients, send, clean up, tear down.

``python -m integration_tests.demo`` exits with 0 only if every message reached every member of its room once and nobody
else, in time and as it was sent, each sender had one true receipt, no item was left in the table, and nothing was left
running; with 2 if it could not be shown at all.
"""

from __future__ import annotations

import asyncio
import json
import re
import statistics
import sys
import time
from collections import Counter
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from websockets.exceptions import WebSocketException

from integration_tests.harness.client import Client
from integration_tests.harness.crowd import settle
from integration_tests.harness.ledger import PROBE
from integration_tests.harness.table import ConnectionsTable
from integration_tests.targets.interface import TargetError
from integration_tests.targets.local import Local
from scripts import build_handlers, command
from scripts.build_handlers import BuildError
from scripts.local import emulator
from scripts.terraform import TerraformError
from scripts.waiting import scaled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from integration_tests.harness.client import Message

ROOMS = {"lobby": 40, "kitchen": 30, "garden": 20, "attic": 10}
"""Members by room."""
SPEAKERS = 2
"""Members of each room who talk at the same time."""
MESSAGES_PER_SPEAKER = 10
HELLO = "hello world"
PATIENCE_SECONDS = 30
LATE_SECONDS = 15
"""A delivery that takes longer is late; one machine, maybe a busy one, stands for all of AWS here."""
ITEMS_PER_CLIENT = 2
"""In the table: one of the connection and one of its membership."""
TITLE_WIDTH = 40
WIDEST_TABLE = 120
LOOK_EVERY = 0.05
"""Seconds between two looks for what has not arrived."""

UNUSABLE = 2


class Step:
    """One thing that takes a while.

    Attributes:
        detail: What came of it, shown when it is done.
    """

    def __init__(self, progress: Progress, title: str, total: float | None) -> None:
        self.detail = ""
        self._progress = progress
        self._task = progress.add_task(title, total=total)

    def expect(self, total: float) -> None:
        """Say how much there is to do."""
        self._progress.update(self._task, total=total)

    def advance(self, by: int = 1) -> None:
        """Say that some of it is done."""
        self._progress.advance(self._task, by)

    def reach(self, done: int) -> None:
        """Say how much of it is done."""
        self._progress.update(self._task, completed=done)


class Stage:
    """Where the demonstration is shown: bars that move in a terminal, one line a step elsewhere.

    Attributes:
        console: Prints.
        right: Stands before what went well; a word where the terminal's encoding lacks the sign.
        wrong: Stands before what did not.
    """

    def __init__(self) -> None:
        # A pipe has no width of its own: wide enough for the table.
        self.console = Console(highlight=False, width=None if sys.stdout.isatty() else 100)
        signs = ("✓", "✗") if can_print("✓✗", self.console.encoding) else ("ok", "FAILED")
        self.right, self.wrong = f"[green]{signs[0]}[/]", f"[red]{signs[1]}[/]"

    def say(self, text: str = "") -> None:
        """Print a line; markup is rendered."""
        self.console.print(text, soft_wrap=True)

    def show(self, table: Table) -> None:
        """Print a table as wide as its figures: where the terminal is narrower, lines wrap and no figure is cut off."""
        Console(file=self.console.file, highlight=False, width=WIDEST_TABLE).print(table)

    @contextmanager
    def step(self, title: str, total: float | None = None) -> Iterator[Step]:
        """Show a step while the context lasts, and what came of it afterwards."""
        started = time.monotonic()
        spinner = SpinnerColumn("dots" if can_print("⠋", self.console.encoding) else "line")
        columns: list[ProgressColumn] = [spinner, TextColumn("{task.description}"), TimeElapsedColumn()]
        if total is not None:
            columns[2:2] = [BarColumn(), MofNCompleteColumn()]
        live = self.console.is_terminal
        with Progress(*columns, console=self.console, transient=True, disable=not live) as progress:
            step = Step(progress, title, total)
            yield step
        seconds = time.monotonic() - started
        self.say(f"{self.right} {title:<{TITLE_WIDTH}} {seconds:6.1f} s   [dim]{escape(step.detail)}[/]")


@dataclass
class Room:
    """One room, who is in it, what was said in it and what came of that.

    Attributes:
        name: Its name.
        members: Connected clients.
        received: What each member received, in the order of ``members``.
        sent_at: When each text was sent, in seconds of ``time.monotonic()``.
        ids: The ``id`` of each text.
        answers: What each member was answered, in the order of ``members``: receipts and errors, as JSON objects.
        arrived: Messages received so far by all members together.
    """

    name: str
    members: list[Client] = field(default_factory=list)
    received: list[list[Message]] = field(default_factory=list)
    sent_at: dict[str, float] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    answers: list[list[dict[str, Any]]] = field(default_factory=list)
    arrived: int = 0
    _told: dict[str, asyncio.Event] = field(default_factory=dict)

    async def join(self, url: str) -> None:
        """Connect one more member."""
        messages: list[Message] = []
        answers: list[dict[str, Any]] = []

        def take(message: Message) -> None:
            if answer := answer_of(message.text):
                answers.append(answer)
                return
            messages.append(message)
            self.arrived += 1
            if told := self._told.get(message.text):
                told.set()

        client = await Client.connect(url, self.name, on_message=take)
        self.members.append(client)
        self.received.append(messages)
        self.answers.append(answers)

    async def say(self, speaker: int, text: str) -> None:
        """Let a member say something, and wait, not for ever, until the first member has received it."""
        self._told[text] = asyncio.Event()
        self.ids[text] = f"{speaker}-{len(self.sent_at)}"
        self.sent_at[text] = time.monotonic()
        await self.members[speaker].say(text, id=self.ids[text])
        with suppress(TimeoutError):
            await asyncio.wait_for(self._told[text].wait(), scaled(PATIENCE_SECONDS))

    async def everything(self) -> None:
        """Wait, not for ever, until all messages have arrived that must, and their receipts."""
        deadline = time.monotonic() + scaled(PATIENCE_SECONDS)
        while (self.lost or self.wrong_answers) and time.monotonic() < deadline:
            await settle(member for member in self.members if member.is_open)
            await asyncio.sleep(LOOK_EVERY)
        await settle(member for member in self.members if member.is_open)

    @property
    def due(self) -> int:
        """Deliveries that must take place."""
        return len(self.sent_at) * len(self.members)

    @property
    def lost(self) -> int:
        """Deliveries that did not take place."""
        return sum((Counter(self.sent_at.keys()) - texts).total() for texts in self._texts())

    @property
    def repeated(self) -> int:
        """Deliveries that took place again."""
        return sum(count - 1 for texts in self._texts() for text, count in texts.items() if text in self.sent_at)

    @property
    def leaked(self) -> int:
        """Messages that were not for this room."""
        return sum(count for texts in self._texts() for text, count in texts.items() if text not in self.sent_at)

    @property
    def late(self) -> int:
        """Deliveries that took too long."""
        return sum(each > 1000 * scaled(LATE_SECONDS) for each in self.milliseconds())

    @property
    def wrong_answers(self) -> int:
        """Receipts that did not come or are not true, and answers that should not have come."""
        due: list[list[str]] = [[] for _ in self.members]
        for message_id in self.ids.values():
            receipt = {"id": message_id, "delivered": len(self.members), "gone": 0, "failed": 0}
            due[int(message_id.partition("-")[0])].append(json.dumps({"receipt": receipt}, sort_keys=True))
        came = [[json.dumps(answer, sort_keys=True) for answer in answers] for answers in self.answers]
        return sum(
            ((Counter(a) - Counter(b)) + (Counter(b) - Counter(a))).total() for a, b in zip(due, came, strict=True)
        )

    @property
    def broken(self) -> int:
        """Connections that ended although nobody closed them; asked before anybody does."""
        return sum(not member.is_open for member in self.members)

    @property
    def faults(self) -> int:
        """Everything that should not have been, apart from broken connections."""
        return self.lost + self.repeated + self.leaked + self.late + self.wrong_answers

    def milliseconds(self) -> list[float]:
        """Return how long each delivery took, shortest first."""
        own = [message for messages in self.received for message in messages if message.text in self.sent_at]
        return sorted(1000 * (message.received_at - self.sent_at[message.text]) for message in own)

    def _texts(self) -> Iterator[Counter[str]]:
        for messages in self.received:
            yield Counter(message.text for message in messages)


def answer_of(text: str) -> dict[str, Any]:
    """Return a receipt or an error of the handlers or of API Gateway; an empty object if a text is something else."""
    if not text.startswith("{"):
        return {}
    try:
        answer: dict[str, Any] = json.loads(text)
    except ValueError:
        return {}
    return answer if answer.keys() & {"receipt", "error", "connectionId"} else {}


def can_print(text: str, encoding: str) -> bool:
    """Whether an encoding has all characters of a text."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def prepare(stage: Stage) -> None:
    """Build the zips and make the emulator's Python environment, which the first run installs."""
    with stage.step("Build the Lambda zips") as step:
        changed = build_handlers.build()
        step.detail = f"changed: {', '.join(changed)}" if changed else "up to date, byte for byte"
    with stage.step("Prepare the emulator") as step:
        python = emulator.ministack_python()
        version = emulator.version_of(python) or ()
        step.detail = f"MiniStack in an environment of its own, Python {'.'.join(map(str, version))}"


@contextmanager
def applied(stage: Stage) -> Iterator[Local]:
    """Start the emulator and apply the root to it; end everything with the context."""
    target = Local()
    with ExitStack() as everything:
        with stage.step("Start it and apply Terraform", total=1) as step:
            target.report = follow(step)
            everything.enter_context(target)
            step.detail = f"AWS at {target.aws.endpoint_url if target.aws else ''}, IAM enforced"
        try:
            yield target
        except BaseException:
            target.failed = True
            raise
        finally:
            with stage.step("Tear it down") as step:
                with command.uninterrupted():
                    everything.close()
                step.detail = "emulator, functions, state and files are gone"


def follow(step: Step) -> Callable[[str], None]:
    """Return what reads Terraform's lines and moves a step's bar."""

    def read(line: str) -> None:
        if planned := re.match(r"Plan: (\d+) to add", line):
            step.expect(int(planned[1]))
        elif "Creation complete" in line:
            step.advance()

    return read


async def perform(stage: Stage, target: Local) -> int:
    """Connect, send, look, disconnect; return the number of things that went wrong."""
    assert target.aws is not None
    url = target.deployment.websocket_url
    table = ConnectionsTable.of_stage(target.aws.dynamodb, target.deployment.outputs)
    stage.say(f"\n[bold]{url}[/]\n")
    rooms = await connect(stage, url)
    await greet(stage, rooms)
    if any(room.faults for room in rooms):
        stage.say(f"{stage.wrong} Not even one message arrived as it should, so nobody says anything more.")
    else:
        await converse(stage, rooms)
    broken = sum(room.broken for room in rooms)
    if broken:
        stage.say(f"{stage.wrong} {broken} connections ended although nobody had closed them.")
    left = await disconnect(stage, rooms, table)
    stage.say()
    stage.show(report(rooms, lines=can_print("─", stage.console.encoding)))
    return broken + left + sum(room.faults for room in rooms)


async def connect(stage: Stage, url: str) -> list[Room]:
    """Connect everybody at the same time."""
    rooms = [Room(name) for name in ROOMS]
    count = sum(ROOMS.values())
    started = time.monotonic()
    with stage.step(f"Connect {count} clients to {len(rooms)} rooms", count) as step:

        async def join(room: Room) -> None:
            await room.join(url)
            step.advance()

        await asyncio.gather(*(join(room) for room in rooms for _ in range(ROOMS[room.name])))
        step.detail = f"{count / (time.monotonic() - started):.0f} handshakes a second, each through $connect"
    return rooms


async def greet(stage: Stage, rooms: Sequence[Room]) -> None:
    """Do what a person with wscat does, and show what each room hears of it."""
    lobby = rooms[0]
    with stage.step("Say hello in the lobby") as step:
        await lobby.say(0, HELLO)
        await lobby.everything()
        await settle(client for room in rooms for client in room.members if client.is_open)
        step.detail = json.dumps({"action": "sendmessage", "data": HELLO, "id": lobby.ids[HELLO]})
    for room in rooms:
        times = [messages[0].received_at - lobby.sent_at[HELLO] for messages in room.received if messages]
        share = f"{len(times)} of {len(room.members)} members"
        when = f"{HELLO!r} after {1000 * min(times):.0f} to {1000 * max(times):.0f} ms" if times else "[dim]silence[/]"
        stage.say(f"    {room.name:<8} {share:<17} {when}")


async def converse(stage: Stage, rooms: Sequence[Room]) -> None:
    """Let several members of every room talk at the same time, each once it has been heard."""
    messages = SPEAKERS * MESSAGES_PER_SPEAKER
    deliveries = sum(len(room.members) * messages for room in rooms)
    with stage.step(f"Send {messages * len(rooms)} messages, {SPEAKERS} speakers a room", deliveries) as step:
        before = sum(room.arrived for room in rooms)
        started = time.monotonic()
        watching = asyncio.create_task(watch(step, rooms, before))
        await asyncio.gather(*(speak(room, speaker) for room in rooms for speaker in range(SPEAKERS)))
        await asyncio.gather(*(room.everything() for room in rooms))
        step.detail = f"{deliveries:,} deliveries, {deliveries / (time.monotonic() - started):,.0f} a second"
        watching.cancel()


async def speak(room: Room, speaker: int) -> None:
    """Let one member say its messages."""
    for number in range(MESSAGES_PER_SPEAKER):
        await room.say(speaker, f"{room.name}: message {number} of speaker {speaker}{PROBE}")


async def watch(step: Step, rooms: Sequence[Room], before: int) -> None:
    """Move the bar while messages arrive."""
    while True:
        step.reach(sum(room.arrived for room in rooms) - before)
        await asyncio.sleep(0.1)


async def disconnect(stage: Stage, rooms: Sequence[Room], table: ConnectionsTable) -> int:
    """Let everybody go, half of them without a goodbye; return how many items are left in the table, or lacked."""
    clients = [client for room in rooms for client in room.members]
    items = await table.size()
    lacking = max(0, ITEMS_PER_CLIENT * len(clients) - items)
    with stage.step(f"Close half, cut half of {len(clients)} sockets", items) as step:
        await asyncio.gather(*(leave(client, number) for number, client in enumerate(clients)))
        gone_at = time.monotonic()
        while (left := await table.size()) and time.monotonic() < gone_at + scaled(PATIENCE_SECONDS):
            step.reach(items - left)
            await asyncio.sleep(0.05)
        seconds = time.monotonic() - gone_at
        step.detail = f"{items} items in the table, {left} of them {seconds:.1f} s later"
    if lacking:
        stage.say(f"{stage.wrong} {lacking} items of connected clients were not in the table.")
    return left + lacking


async def leave(client: Client, number: int) -> None:
    """Say goodbye, or crash."""
    await (client.close() if number % 2 else client.abort())


def report(rooms: Sequence[Room], *, lines: bool = True) -> Table:
    """Return the final table, with a line below its head if the terminal can show one."""
    title = "What arrived where, and how fast (ms)"
    head = box.SIMPLE_HEAD if lines else None
    table = Table(title=title, title_justify="left", box=head, collapse_padding=True, pad_edge=False)
    table.add_column("room", no_wrap=True)
    for heading in (
        "members",
        "messages",
        "deliveries",
        "lost",
        "twice",
        "leaked",
        "late",
        "answers",
        "median",
        "99 %",
        "max",
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    for room in rooms:
        times = room.milliseconds() or [0.0]
        slow = statistics.quantiles(times, n=100)[98] if len(times) > 1 else times[0]
        counts = [str(len(room.members)), str(len(room.sent_at)), f"{room.due:,}"]
        found = (room.lost, room.repeated, room.leaked, room.late, room.wrong_answers)
        faults = [f"[red]{number}[/]" if number else "0" for number in found]
        speeds = [f"{value:.0f}" for value in (statistics.median(times), slow, times[-1])]
        table.add_row(room.name, *counts, *faults, *speeds)
    return table


def leftovers(target: Local) -> list[str]:
    """Return what is still there of a target that has been left."""
    assert target.aws is not None
    url = str(target.aws.endpoint_url)
    files = [str(target.directory)] if target.directory.exists() else []
    return [*files, f"an emulator at {url}"] if emulator.answers(url) else files


def show(stage: Stage) -> int:
    """Show everything; return the exit status."""
    started = time.monotonic()
    prepare(stage)
    with applied(stage) as target:
        faults = asyncio.run(perform(stage, target))
        target.failed = faults > 0
    left = leftovers(target)
    seconds = time.monotonic() - started
    if faults or left:
        stage.say(f"\n{stage.wrong} {faults} deliveries, answers, connections or items were wrong.")
        stage.say(f"left behind: {', '.join(left) or 'nothing'}")
        stage.say(escape(target.failure_report()))
        return 1
    verdict = "Every message reached every member of its room once and nobody else, with a receipt; nothing is left."
    stage.say(f"\n{stage.right} {verdict} ({seconds:.0f} s)")
    return 0


def main() -> int:
    """Run the command line; return its exit status."""
    command.prepare()
    stage = Stage()
    try:
        return show(stage)
    except (BuildError, TargetError, TerraformError, OSError, BotoCoreError, ClientError, WebSocketException) as error:
        stage.say(f"{stage.wrong} {escape(str(error) or type(error).__name__)}")
        return UNUSABLE
    except KeyboardInterrupt:
        return command.interrupted("demo")


if __name__ == "__main__":
    sys.exit(main())
