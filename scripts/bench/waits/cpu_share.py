"""Gives processes a share of one CPU, as Lambda does in proportion to a function's memory."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PERIOD_SECONDS = 0.02
"""Within each period a process gets its share and then pauses. Lambda's is of the same length."""

CGROUPS = Path("/sys/fs/cgroup")
NAME = f"roomcast-bench-{os.getpid()}"
POLL_SECONDS = 0.001
CPU_CLOCK_OF_PROCESS = 2
"""Linux: the clock of a process's CPU time is the complement of its number, shifted by three bits, and this."""


@contextlib.contextmanager
def group(share: float) -> Iterator[Path | None]:
    """Make a control group with that share of a CPU; gives its file of processes, or ``None`` if that is impossible."""
    quota, period = int(share * PERIOD_SECONDS * 1e6), int(PERIOD_SECONDS * 1e6)
    # The quota is the limit: within it, other programs on the machine shall not take the share away.
    settings = {
        CGROUPS / "cpu" / NAME: {
            "cpu.cfs_period_us": f"{period}",
            "cpu.cfs_quota_us": f"{quota}",
            "cpu.shares": "262144",
        },
        CGROUPS / NAME: {"cpu.max": f"{quota} {period}", "cpu.weight": "10000"},
    }
    for folder, files in settings.items():
        try:
            folder.mkdir()
        except OSError:
            continue
        try:
            for name, text in files.items():
                # The system makes these files; where it has not, this folder is no control group.
                with (folder / name).open("r+") as setting:
                    setting.write(text)
        except OSError:
            folder.rmdir()
            continue
        try:
            yield folder / "cgroup.procs"
        finally:
            folder.rmdir()
        return
    yield None


def means() -> str:
    """Return how a process gets its share here, in words."""
    with group(0.5) as processes:
        return "signals that stop and continue the process" if processes is None else "a quota of its control group"


def in_group(processes: Path, command: Sequence[str]) -> list[str]:
    """Return the command that runs a command in a control group from its first instruction."""
    return ["sh", "-c", 'echo $$ > "$0" && exec "$@"', str(processes), *command]


@contextlib.contextmanager
def paused(pid: int, share: float) -> Iterator[None]:
    """Stop and continue a process in turns: the way where no control group can be made."""
    ended = threading.Event()
    thread = threading.Thread(target=_pause_in_turns, args=(pid, share, ended), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _pause_in_turns(pid: int, share: float, ended: threading.Event) -> None:
    clock = (~pid << 3) | CPU_CLOCK_OF_PROCESS
    with contextlib.suppress(ProcessLookupError, OSError):
        while not ended.is_set():
            until, used = time.monotonic() + PERIOD_SECONDS, time.clock_gettime(clock)
            while (left := until - time.monotonic()) > 0:
                if time.clock_gettime(clock) - used >= share * PERIOD_SECONDS:
                    os.kill(pid, signal.SIGSTOP)
                    time.sleep(left)
                    os.kill(pid, signal.SIGCONT)
                    break
                time.sleep(min(left, POLL_SECONDS))
