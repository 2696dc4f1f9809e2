"""Install tox into its own virtual environment: ``python scripts/install_tox.py DIRECTORY``.

This file needs only the standard library. Without ``ensurepip``, as in Debian's ``python3``, it names the package to
install.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

TOX = "tox>=4.25,<5"
INTERRUPTED = 130
"""Exit status: a shell's for SIGINT."""


def main(directory: str) -> int:
    """Install tox unless it is installed; return an exit status."""
    if Path(directory, "bin", "tox").exists():  # another make installed it while this one waited
        return 0
    if missing := [name for name in ("venv", "ensurepip") if importlib.util.find_spec(name) is None]:
        print(
            f"make: {sys.executable} cannot make environments, because it has no module {' and no '.join(missing)}: "
            "install it (on Debian and Ubuntu: apt-get install python3-venv)",
            file=sys.stderr,
        )
        return 1
    print(f"installing tox into {directory}", flush=True)
    python = str(Path(directory, "bin", "python"))
    commands = [[sys.executable, "-m", "venv", directory], [python, "-m", "pip", "install", "--quiet", TOX]]
    try:
        return next((status for command in commands if (status := subprocess.run(command, check=False).returncode)), 0)
    except KeyboardInterrupt:
        print("make: interrupted", file=sys.stderr)
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
