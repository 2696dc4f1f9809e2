"""The display of a run: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Protocol

from rich import progress as rich
from rich.console import Console

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from integration_tests.load.plan import Plan
    from integration_tests.load.user_group import Progress
    from integration_tests.load.workers import Workers

BARS_EVERY = 0.5
LINES_EVERY = 5.0


class Display(Protocol):
    """Shows a run.

    Attributes:
        every: Seconds between two updates.
    """

    every: float

    def say(self, sentence: str) -> None:
        """Show a sentence."""

    def update(self, progress: Progress) -> None:
        """Show how far the run is."""


class Lines:
    """Plain lines on standard output, each with the seconds since the start.

    Args:
        plan: The plan of the run.
    """

    every = LINES_EVERY

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._began_at = time.monotonic()
        self._shown: Progress | None = None

    def say(self, sentence: str) -> None:
        """Print a line."""
        sys.stdout.write(f"{time.monotonic() - self._began_at:7.1f} s  {sentence}\n")
        sys.stdout.flush()

    def update(self, progress: Progress) -> None:
        """Print a line if anything has changed."""
        if progress != self._shown:
            self._shown = progress
            self.say(
                f"connected {progress.connected:,}/{self._plan.connections:,}, refused {progress.refused:,}, "
                f"sent {progress.attempted:,}/{self._plan.messages:,}, unanswered {progress.unanswered:,}, "
                f"received {progress.received:,}"
            )


class Bars:
    """Two bars and a few numbers that stay in place.

    Args:
        plan: The plan of the run.
        progress: Rich's display, already running.
    """

    every = BARS_EVERY

    def __init__(self, plan: Plan, progress: rich.Progress) -> None:
        self._progress = progress
        self._connected = progress.add_task("connected", total=plan.connections, detail="")
        self._sent = progress.add_task("sent", total=plan.messages, detail="")

    def say(self, sentence: str) -> None:
        """Print a line above the bars."""
        self._progress.console.print(sentence, highlight=False)

    def update(self, progress: Progress) -> None:
        """Move the bars."""
        self._progress.update(self._connected, completed=progress.connected, detail=f"{progress.refused:,} refused")
        detail = f"{progress.unanswered:,} unanswered, {progress.received:,} received"
        self._progress.update(self._sent, completed=progress.attempted, detail=detail)


def columns() -> list[rich.ProgressColumn]:
    """Return the columns of a line with a bar."""
    return [
        rich.TextColumn("{task.description:>9}"),
        rich.BarColumn(),
        rich.MofNCompleteColumn(),
        rich.TimeElapsedColumn(),
        rich.TextColumn("{task.fields[detail]}"),
    ]


@contextmanager
def display_of(plan: Plan) -> Iterator[Display]:
    """Choose the display that suits standard output, and clean up after it."""
    if not sys.stdout.isatty():
        yield Lines(plan)
        return
    with rich.Progress(*columns(), console=Console(file=sys.stdout)) as progress:
        yield Bars(plan, progress)


@asynccontextmanager
async def followed(workers: Workers, display: Display) -> AsyncIterator[None]:
    """Show the progress of a run for the length of the context."""

    async def follow() -> None:
        while True:
            display.update(await workers.progress())
            await asyncio.sleep(display.every)

    following = asyncio.create_task(follow())
    try:
        yield
    finally:
        following.cancel()
        # A process that failed makes the run fail, which says so.
        await asyncio.gather(following, return_exceptions=True)
