"""Install tox into its own virtual environment: ``python scripts/install_tox.py [--check] DIRECTORY [ENVIRONMENTS]``.

An environment works only in the place where it was made, and with the Python that made it. One that does not work is
made again, and so are those that its tox has made, in the folder ENVIRONMENTS. With ``--check``, the exit status says
whether it works.

This file needs only the standard library. Without ``ensurepip``, as in Debian's ``python3``, it names the package to
install.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

TOX = "tox>=4.25,<5"
FIND = "import importlib.util, sys; sys.exit(importlib.util.find_spec('tox') is None)"
INTERRUPTED = 130
"""Exit status: a shell's for SIGINT."""


def main(directory: str, environments: str | None = None) -> int:
    """Install tox unless it is installed.

    Args:
        directory: The environment of tox.
        environments: Folder of those that its tox has made, which is removed if that tox works no longer.

    Returns:
        An exit status.
    """
    program = Path(directory, "bin", "tox")
    if works(program):  # another make installed it while this one waited
        return 0
    if missing := [name for name in ("venv", "ensurepip") if importlib.util.find_spec(name) is None]:
        print(
            f"make: {sys.executable} cannot make environments, because it has no module {' and no '.join(missing)}: "
            "install it (on Debian and Ubuntu: apt-get install python3-venv)",
            file=sys.stderr,
        )
        return 1
    if program.exists():
        which = directory if environments is None else f"{directory} and {environments}"
        print(f"{which} cannot be used any more: the clone was moved, or their Python removed", flush=True)
        shutil.rmtree(directory)
        if environments is not None:
            shutil.rmtree(environments, ignore_errors=True)
    print(f"installing tox into {directory}", flush=True)
    python = str(Path(directory, "bin", "python"))
    commands = [[sys.executable, "-m", "venv", directory], [python, "-m", "pip", "install", "--quiet", TOX]]
    try:
        return next((status for command in commands if (status := subprocess.run(command, check=False).returncode)), 0)
    except KeyboardInterrupt:
        print("make: interrupted", file=sys.stderr)
        return INTERRUPTED


def works(program: Path) -> bool:
    """Whether an environment's tox can run, and belongs to this place, whose Python its first lines name."""
    python = program.absolute().with_name("python")
    try:
        lines = program.read_text(encoding="utf-8")
        if str(python) not in lines:
            return False
        return subprocess.run([python, "-c", FIND], check=False, capture_output=True).returncode == 0
    except OSError:
        return False


if __name__ == "__main__":
    if sys.argv[1] == "--check":
        sys.exit(not works(Path(sys.argv[2], "bin", "tox")))
    sys.exit(main(*sys.argv[1:]))
