"""Run a command while no other one of this clone holds the same lock.

``python scripts/alone.py LOCK COMMAND [ARGUMENT ...]``: two runs of tox in one clone would make, use and remove the
same environments and reports at the same time, so the second one waits for the first and says so. The lock belongs to
the process that becomes the command; the system releases it when that process ends, however that happens, so a lock
file alone locks nothing.

This file needs the standard library only.
"""

from __future__ import annotations

import fcntl
import os
import sys
from pathlib import Path

INTERRUPTED = 130
"""Exit status, as a shell has it for SIGINT."""


def main(lock: str, command: list[str]) -> int:
    """Wait for the lock and become the command; return an exit status if that is not possible."""
    try:
        Path(lock).parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"another make is at work in this clone: waiting for it to finish (it holds {lock})", file=sys.stderr)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.set_inheritable(descriptor, True)
        return become(command)
    except OSError as error:
        print(f"make: {error.strerror}: {error.filename or lock}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("make: interrupted", file=sys.stderr)
        return INTERRUPTED


def become(command: list[str]) -> int:
    """Become a command; return an exit status if that is not possible."""
    try:
        os.execvp(command[0], command)  # noqa: S606 - no shell is wanted
    except OSError as error:
        print(f"make: {error.strerror}: {command[0]}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
