"""Find the interpreter that runs the functions: Lambda's Python version, if this machine has it."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.waiting import scaled

if TYPE_CHECKING:
    from collections.abc import Iterator

LAMBDA_PYTHON = (3, 13)
"""The Python of the functions' runtime. MiniStack runs every function with its own interpreter."""


@functools.cache
def lambda_python() -> Path:
    """Return an interpreter of Lambda's Python version if this machine has one, else the running interpreter."""
    for candidate in python_candidates():
        if version_of(candidate) == LAMBDA_PYTHON and can_make_environments(candidate):
            return candidate
    return Path(sys.executable)


def can_make_environments(python: Path) -> bool:
    """Whether an interpreter can make environments; Debian's cannot until ``python3-venv`` is installed."""
    command = [str(python), "-c", "import ensurepip, venv"]
    return subprocess.run(command, capture_output=True, check=False, timeout=scaled(30)).returncode == 0


def python_candidates() -> Iterator[Path]:
    """Yield the running interpreter, the one on PATH, and those that pyenv keeps off PATH."""
    yield Path(sys.executable)
    name = ".".join(map(str, LAMBDA_PYTHON))
    if on_path := shutil.which(f"python{name}"):
        yield Path(on_path)
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from sorted(pyenv.glob(f"versions/{name}.*/bin/python{name}"), reverse=True)


def version_of(python: Path) -> tuple[int, int] | None:
    """Return major and minor version of an interpreter; None if it does not run (pyenv's shims may not)."""
    command = [str(python), "-c", "import sys; print(*sys.version_info[:2])"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=scaled(30)).stdout.split()
    except (OSError, subprocess.SubprocessError):
        return None
    return int(answer[0]), int(answer[1])
