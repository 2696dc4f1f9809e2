"""Versions on the client's side of a load run."""

from __future__ import annotations

import platform
import subprocess
from importlib import metadata
from pathlib import Path


def versions() -> dict[str, str]:
    """Return the versions on the client's side."""
    return {
        "commit": commit(),
        "python": platform.python_version(),
        "websockets": metadata.version("websockets"),
        "system": platform.platform(terse=True),
    }


def commit() -> str:
    """Return the commit that is checked out, with a plus sign if files differ from it; ``unknown`` outside a clone."""
    command = ["git", "describe", "--always", "--dirty=+", "--exclude=*"]
    try:
        result = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    except OSError:  # a machine without git has a copy of the repository, not a clone
        return "unknown"
    return result.stdout.strip() or "unknown"
