"""The folder of this repository, and how its files are named to people."""

from __future__ import annotations

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent


def shown(path: Path) -> str:
    """Return a path as a person in the current directory would write it."""
    # Links stay: the Python of an environment is one.
    absolute = Path(os.path.abspath(path))  # noqa: PTH100
    return str(absolute.relative_to(Path.cwd()) if absolute.is_relative_to(Path.cwd()) else absolute)
