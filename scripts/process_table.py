"""Lists the processes of this machine with their command lines, without ``ps``, which slim images lack.

This file needs only the standard library.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

PROC = Path("/proc")
"""Linux's own process table, see https://man7.org/linux/man-pages/man5/proc_pid_cmdline.5.html"""


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
            content = (folder / "cmdline").read_bytes()
        except OSError:  # the process has ended since the folder was listed
            continue
        if content:  # empty for a zombie and for the kernel's own threads
            found[int(folder.name)] = os.fsdecode(content.removesuffix(b"\0").replace(b"\0", b" ")) + " "
    return found


def _from_ps() -> dict[int, str]:
    command = ["ps", "-A", "-ww", "-o", "pid=,stat=,args="]
    listing = subprocess.run(command, capture_output=True, check=True).stdout
    rows = [row.split(maxsplit=2) for row in os.fsdecode(listing).splitlines()]
    return {int(row[0]): f"{row[2]} " for row in rows if len(row) == 3 and not row[1].startswith("Z")}
