"""Run a command while holding a lock file: ``python scripts/alone.py LOCK COMMAND [ARGUMENT ...]``.

Two runs of tox in one clone would change the same environments and reports, so the second one prints a line and waits
for the first. The system releases the lock when the command's process ends for any reason. A lock file left behind
does not block.

This file needs the standard library only.
"""

from __future__ import annotations

import fcntl
import os
import sys
from pathlib import Path

INTERRUPTED = 130
"""Exit status: a shell's for SIGINT."""


def main(lock: str, command: list[str]) -> int:
    """Take the lock and replace this process with the command; on failure return an exit status."""
    try:
        Path(lock).parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"another make is at work in this clone: waiting for it to finish (it holds {lock})", file=sys.stderr)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.set_inheritable(descriptor, True)  # the command holds the lock through this descriptor
        return become(command)
    except OSError as error:
        print(f"make: {error.strerror}: {error.filename or lock}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("make: interrupted", file=sys.stderr)
        return INTERRUPTED


def become(command: list[str]) -> int:
    """Replace this process with a command; on failure return an exit status."""
    try:
        os.execvp(command[0], command)  # noqa: S606 - no shell is wanted
    except OSError as error:
        print(f"make: {error.strerror}: {command[0]}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
