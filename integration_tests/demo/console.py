"""The display of the demo: bars that move on a terminal, one line a step elsewhere."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import rich.console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.progress import ProgressColumn
    from rich.table import Table

TITLE_WIDTH = 40
WIDEST_TABLE = 120


class Step:
    """One step of the demo.

    Attributes:
        detail: The result, shown at the end of the step.
    """

    def __init__(self, progress: Progress, title: str, total: float | None) -> None:
        self.detail = ""
        self._progress = progress
        self._task = progress.add_task(title, total=total)

    def reach(self, done: int, total: int | None = None) -> None:
        """Move the bar, and set its length if it is known now."""
        self._progress.update(self._task, completed=done, total=total)


class Console:
    """Shows steps and tables.

    Attributes:
        terminal: Prints.
        right: Sign of success; a word if the terminal's encoding lacks the sign.
        wrong: Sign of failure.
    """

    def __init__(self) -> None:
        # A pipe has no width of its own: wide enough for the table.
        self.terminal = rich.console.Console(highlight=False, width=None if sys.stdout.isatty() else 100)
        signs = ("✓", "✗") if can_print("✓✗", self.terminal.encoding) else ("ok", "FAILED")
        self.right, self.wrong = f"[green]{signs[0]}[/]", f"[red]{signs[1]}[/]"

    def say(self, text: str = "") -> None:
        """Print a line; markup is rendered."""
        self.terminal.print(text, soft_wrap=True)

    def show(self, table: Table) -> None:
        """Print a table in its full width; on a narrow terminal lines wrap, and no figure is cut off."""
        rich.console.Console(file=self.terminal.file, highlight=False, width=WIDEST_TABLE).print(table)

    @contextmanager
    def step(self, title: str, total: float | None = None) -> Iterator[Step]:
        """Show a step during the context, and its result afterwards."""
        started = time.monotonic()
        spinner = SpinnerColumn("dots" if can_print("⠋", self.terminal.encoding) else "line")
        columns: list[ProgressColumn] = [spinner, TextColumn("{task.description}"), TimeElapsedColumn()]
        if total is not None:
            columns[2:2] = [BarColumn(), MofNCompleteColumn()]
        live = self.terminal.is_terminal
        with Progress(*columns, console=self.terminal, transient=True, disable=not live) as progress:
            step = Step(progress, title, total)
            yield step
        seconds = time.monotonic() - started
        self.say(f"{self.right} {title:<{TITLE_WIDTH}} {seconds:6.1f} s   [dim]{escape(step.detail)}[/]")


def can_print(text: str, encoding: str) -> bool:
    """Whether an encoding has all characters of a text."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True
