"""Let commands that must not run at the same time take turns."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def in_turn(lock: Path, situation: str) -> Iterator[None]:
    """Hold a lock; print a line if another process holds it first.

    The system releases the lock when its holder ends for any reason, so a lock file that remains is no lock.

    Args:
        lock: Its file.
        situation: Begins the line: the reason why another process holds the lock.
    """
    held = FileLock(lock)
    try:
        held.acquire(timeout=0)
    except Timeout:
        print(f"{situation}: waiting for it to finish (it holds {lock})", file=sys.stderr, flush=True)
        held.acquire()
    try:
        yield
    finally:
        held.release()
