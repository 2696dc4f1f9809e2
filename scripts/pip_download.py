"""Download wheels with pip, from the index that its own settings name."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scripts.machines import Machine


class WheelsError(Exception):
    """The wheels are not to be had; the message says why."""


def pip(machine: Machine, requirements: Sequence[str], directory: str) -> None:
    """Have pip download wheels for a machine.

    Args:
        machine: Where they will run.
        requirements: Arguments of pip.
        directory: Folder for the wheels.

    Raises:
        WheelsError: pip could not.
    """
    options = ["--quiet", "--no-input", "--no-deps", "--only-binary=:all:", "--retries=1", f"--dest={directory}"]
    if not machine.is_this:
        options += [f"--platform={each}" for each in machine.platforms]
        options += [f"--python-version={'.'.join(map(str, machine.python))}", "--implementation=cp"]
    # pip is not imported: a Python without it builds everything else.
    command = [sys.executable, "-m", "pip", "download", *options, *requirements]
    result = subprocess.run(command, check=False, capture_output=True, text=True, errors="replace")
    if result.returncode != 0:
        lines = [line.removeprefix("ERROR: ") for line in result.stderr.splitlines() if line.strip()]
        errors = [line for line in lines if not line.startswith(("WARNING", "[notice]"))]
        raise WheelsError(f"pip says: {errors[-1] if errors else f'exit status {result.returncode}'}")
