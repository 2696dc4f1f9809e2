"""Download wheels with pip, from the index that its own settings name."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from scripts.machines import Machine

ANYWHERE = {"PIP_REQUIRE_VENV": "0", "PIP_REQUIRE_VIRTUALENV": "0"}
"""Both names of the setting by which pip runs in virtual environments alone; a download installs nothing."""


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
    with _python_with_pip() as python:
        command = [python, "-m", "pip", "download", *options, *requirements]
        environment = {**os.environ, **ANYWHERE}
        result = subprocess.run(command, env=environment, check=False, capture_output=True, text=True, errors="replace")
    if result.returncode != 0:
        raise WheelsError(f"pip says: {_last_error(result)}")


@contextmanager
def _python_with_pip() -> Iterator[str]:
    """Yield this Python, or one of its environments for the moment: Debian has pip in a package of its own.

    pip is not imported, because a Python without it builds everything else.

    Raises:
        WheelsError: This Python has no pip and makes no environments.
    """
    if importlib.util.find_spec("pip") is not None:
        yield sys.executable
        return
    if missing := [name for name in ("venv", "ensurepip") if importlib.util.find_spec(name) is None]:
        raise WheelsError(
            f"{sys.executable} has no pip and no module {' and no '.join(missing)}, which would bring one: "
            "install it (on Debian and Ubuntu: apt-get install python3-venv)"
        )
    with tempfile.TemporaryDirectory(prefix="roomcast-pip-") as directory:
        command = [sys.executable, "-m", "venv", directory]
        result = subprocess.run(command, check=False, capture_output=True, text=True, errors="replace")
        if result.returncode != 0:
            raise WheelsError(f"{sys.executable} has no pip and makes no environment with one: {_last_error(result)}")
        yield str(Path(directory, "bin", "python"))


def _last_error(result: subprocess.CompletedProcess[str]) -> str:
    lines = [line.removeprefix("ERROR: ") for line in result.stderr.splitlines() if line.strip()]
    errors = [line for line in lines if not line.startswith(("WARNING", "[notice]"))]
    return errors[-1] if errors else f"exit status {result.returncode}"
