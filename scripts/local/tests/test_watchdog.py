"""The watchdog leaves nothing behind, even if the process that started it is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from scripts.local import watchdog
from scripts.process_table import is_running
from scripts.waiting import scaled

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# Writes the process ids of itself and of a child that ignores SIGTERM, then waits.
FAMILY = """
import os, subprocess, sys, time
stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
child = subprocess.Popen([sys.executable, "-c", stubborn])
open(sys.argv[1] + ".new", "w").write(f"{os.getpid()} {child.pid}")
os.rename(sys.argv[1] + ".new", sys.argv[1])
time.sleep(60)
"""
# Starts a watchdog as a target does, then waits to be killed.
OWNER = """
import subprocess, sys, time
watchdog = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, start_new_session=True)
time.sleep(60)
"""


def guarded(directory: Path, log: Path, note: Path) -> list[str]:
    """Return the command that runs the family under a watchdog."""
    return [sys.executable, watchdog.__file__, str(directory), str(log), sys.executable, "-c", FAMILY, str(note)]


def until(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + scaled(20)
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.02)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_owner_that_dies_takes_everything_with_it(tmp_path: Path, end: signal.Signals) -> None:
    directory, note = tmp_path / "run", tmp_path / "pids"
    directory.mkdir()
    command = [sys.executable, "-c", OWNER, *guarded(directory, tmp_path / "log", note)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as owner:
        until(note.exists)
        pids = [int(pid) for pid in note.read_text().split()]
        assert all(map(is_running, pids))

        owner.send_signal(end)
        owner.wait()

    until(lambda: not any(map(is_running, pids)))
    until(lambda: not directory.exists())


def test_closing_the_pipe_ends_the_command(tmp_path: Path) -> None:
    directory, note = tmp_path / "run", tmp_path / "pids"
    directory.mkdir()
    with subprocess.Popen(guarded(directory, tmp_path / "log", note), stdin=subprocess.PIPE) as process:
        until(note.exists)
        pids = [int(pid) for pid in note.read_text().split()]

        process.communicate()

    assert not any(map(is_running, pids))
    assert not directory.exists()


def test_command_that_ends_by_itself_ends_the_guard_with_its_status_and_output(tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = [sys.executable, "-c", "print('last words'); raise SystemExit(7)"]

    with subprocess.Popen(
        [sys.executable, watchdog.__file__, str(tmp_path / "run"), str(log), *command], stdin=subprocess.PIPE
    ) as process:
        assert process.wait(scaled(20)) == 7

    assert log.read_text() == "last words\n"


def test_guard_that_is_told_to_end_cleans_up_too(tmp_path: Path) -> None:
    directory, note = tmp_path / "run", tmp_path / "pids"
    directory.mkdir()
    with subprocess.Popen(guarded(directory, tmp_path / "log", note), stdin=subprocess.PIPE) as process:
        until(note.exists)
        os.kill(process.pid, signal.SIGTERM)
        process.wait(scaled(20))

    assert not any(is_running(int(pid)) for pid in note.read_text().split())
    assert not directory.exists()
