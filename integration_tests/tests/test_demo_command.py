"""`make demo` on terminals of all kinds, and interrupted."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from rich import console as rich

from integration_tests.demo.console import Console, can_print
from integration_tests.demo.outcomes import Outcome, report
from integration_tests.harness.latency import Durations
from integration_tests.harness.ledger import Tally
from scripts import command
from scripts.local.emulator import BUILD
from scripts.process_table import command_lines
from scripts.repository import REPOSITORY
from scripts.waiting import scaled

if TYPE_CHECKING:
    from collections.abc import Iterable

SLOW_SECONDS = 123.456
"""Six figures in milliseconds: more than a terminal of 80 columns has place for."""


def slow_room() -> Outcome:
    """Return the outcome of a room with one slow message."""
    times = Durations()
    times.record(SLOW_SECONDS)
    return Outcome("lobby", 1, Tally(attempted=1, acknowledged=1, expected=1, delivered=1), times)


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "iso-8859-1"])
def test_narrow_terminal_of_any_encoding_shows_every_figure(encoding: str) -> None:
    screen = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console()
    console.terminal = rich.Console(file=screen, width=80)

    console.show(report([slow_room()], lines=can_print("─", encoding)))

    screen.seek(0)
    shown = screen.read()
    assert shown.count(f"{slow_room().times.percentiles().max_ms:.0f}") == 3
    assert ("─" in shown) == (encoding == "utf-8")


@pytest.mark.parametrize("signals", [1, 2])
def test_interrupted_demo_leaves_nothing(signals: int) -> None:
    before = {*runs()}
    with subprocess.Popen(
        [sys.executable, "-m", "scripts.command", "integration_tests.demo"],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        ours = until_it_runs(before)
        for _ in range(signals):
            process.send_signal(signal.SIGINT)
        _, error = process.communicate()

    assert (process.returncode, error) == (command.INTERRUPTED, "demo: interrupted\n")
    deadline = time.monotonic() + scaled(20)  # a second signal leaves the cleaning up to the watchdog
    while any(run in line for run in ours for line in command_lines().values()) or ours & {*runs()}:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def until_it_runs(before: Iterable[str]) -> set[str]:
    """Wait for the directory of a new run with a process in it, and return its name; others may start runs too."""
    deadline = time.monotonic() + scaled(60)
    while time.monotonic() < deadline:
        if started := {run for run in {*runs()} - {*before} if any(run in line for line in command_lines().values())}:
            return started
        time.sleep(0.05)
    raise AssertionError("no emulator was started")


def runs() -> list[str]:
    """Return the directories of the runs that there are."""
    folder = BUILD / "runs"
    return [str(run) for run in folder.iterdir()] if folder.exists() else []
