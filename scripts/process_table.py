"""Lists the processes of this machine with their command lines, without ``ps``, which slim images lack.

This file needs only the standard library.
"""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

PROC = Path("/proc")
"""Linux's own process table, see https://man7.org/linux/man-pages/man5/proc_pid_cmdline.5.html"""
SIZE_OF_MEMORY = 20
"""Place of ``vsize`` behind the name, see https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html"""
EXEC_SECONDS = 1.0
"""How long a process may take to begin another program: milliseconds, unless the machine is busy."""


def command_lines() -> dict[int, str]:
    """Return the command line of every running process by process id, each argument followed by a space.

    Linux provides ``/proc``; other systems, such as macOS, have ``ps``. Zombies (ended processes for which their parent
    has not waited) are left out.

    Raises:
        OSError: There is neither ``/proc`` nor ``ps``.
    """
    return _from_proc() if Path(PROC, str(os.getpid()), "cmdline").exists() else _from_ps()


def is_running(pid: int) -> bool:
    """Whether a process runs; a zombie does not.

    Raises:
        OSError: There is neither ``/proc`` nor ``ps``.
    """
    return pid in command_lines()


def _from_proc() -> dict[int, str]:
    found = {}
    for folder in PROC.iterdir():
        if not folder.name.isdigit():
            continue
        try:
            content = _arguments(folder)
        except OSError:  # the process has ended since the folder was listed
            continue
        if content is not None:
            found[int(folder.name)] = os.fsdecode(content.removesuffix(b"\0").replace(b"\0", b" ")) + " "
    return found


def _arguments(folder: Path) -> bytes | None:
    """Return the arguments of a process; None for a zombie and for the kernel's own threads, which have no memory.

    A process has none yet while it begins to run another program. They are waited for, but not for ever: a process may
    overwrite its own.
    """
    deadline = time.monotonic() + EXEC_SECONDS
    while not (content := (folder / "cmdline").read_bytes()):
        size = int((folder / "stat").read_bytes().rpartition(b")")[2].split()[SIZE_OF_MEMORY])
        if size == 0:
            return None
        if time.monotonic() > deadline:
            break
        time.sleep(0.001)
    return content


def _from_ps() -> dict[int, str]:
    command = ["ps", "-A", "-ww", "-o", "pid=,stat=,args="]
    listing = subprocess.run(command, capture_output=True, check=True).stdout
    rows = [row.split(maxsplit=2) for row in os.fsdecode(listing).splitlines()]
    return {int(row[0]): f"{row[2]} " for row in rows if len(row) == 3 and not row[1].startswith("Z")}
