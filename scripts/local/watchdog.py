"""Run one command and end it, children included, as soon as the process that started the watchdog is gone.

The watchdog is a script; its standard input is a pipe that the starting process keeps open. End of input means that
this process has finished, failed or was killed. The watchdog then ends the command's process group and removes the
run's directory. The dying process has to do nothing, so not even SIGKILL leaves anything behind.

    python watchdog.py DIRECTORY LOG COMMAND [ARGUMENT ...]
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

GRACE = 5.0
"""Seconds between SIGTERM and SIGKILL."""
CANNOT_RUN = 126
"""Exit status, as a shell has it."""


def main(directory: str, log: str, *command: str) -> int:
    """Run ``command`` until it ends by itself or standard input does; return its exit status."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    try:
        return run(log, command)
    except OSError as error:
        sys.stderr.write(f"{command[0]} cannot be run: {error}\n")
        return CANNOT_RUN
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def run(log: str, command: Sequence[str]) -> int:
    """Run ``command`` until it or standard input ends; return its exit status, or raise OSError if it cannot run."""
    with Path(log).open("ab") as output:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        while child.poll() is None:
            if select.select([sys.stdin], [], [], 0.2)[0]:
                break
    finally:
        end_group(child)
    return child.returncode


def end_group(child: subprocess.Popen[bytes]) -> None:
    """End the process group that ``child`` leads, with SIGTERM first and then with SIGKILL."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(child.pid, number)
        except (ProcessLookupError, PermissionError):  # macOS: all that is left of the group are zombies
            break
        try:
            child.wait(GRACE)
        except subprocess.TimeoutExpired:
            continue
    child.wait()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
