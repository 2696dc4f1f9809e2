"""Write the lock of the authorizer's third-party code: the newest versions, and the hash of each wheel to be used.

``python3 -m scripts.renew_lock`` downloads the wheels for Lambda's two architectures, and for the Pythons and systems
that the embedded target runs on. Read the packages' changelogs, then commit the lock.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from pathlib import Path

from scripts.build_handlers import RUNTIME, SOURCES
from scripts.machines import Machine
from scripts.pip_download import WheelsError, pip

LOCK = SOURCES / "authorizer.lock"
REQUIREMENTS = ("PyJWT>=2.15,<3", "cryptography", "cffi", "pycparser")
"""PyJWT, and cryptography with all that it imports."""

LAMBDA = [Machine(RUNTIME, "manylinux", architecture) for architecture in ("aarch64", "x86_64")]
PYTHONS = ((3, 11), (3, 12), (3, 13), (3, 14))
OTHERS = [
    Machine(python, system, architecture)
    for python in PYTHONS
    for system, architecture in (
        ("manylinux", "aarch64"),
        ("manylinux", "x86_64"),
        ("macosx", "arm64"),
    )
]
HEAD = """\
# Third-party code in the zip of the authorizer, and in no other one. Written by: python3 -m scripts.renew_lock
# imports: cryptography jwt
"""


def main() -> int:
    """Write the lock; return the exit status."""
    try:
        found = _found(LAMBDA[0], REQUIREMENTS)
        pinned = [f"{name}=={version}" for name, version, _ in sorted(found)]
        for machine in [*LAMBDA, *OTHERS]:
            found |= _found(machine, pinned)
    except WheelsError as error:
        print(f"renew_lock: {error}", file=sys.stderr)
        return 1
    LOCK.write_text(HEAD + "".join(_entry(requirement, found) for requirement in pinned), "utf-8")
    print("\n".join([f"{LOCK.name}:", *pinned]))
    return 0


def _found(machine: Machine, requirements: tuple[str, ...] | list[str]) -> set[tuple[str, str, str]]:
    """Name, version and hash of the wheels that pip chooses for a machine."""
    with tempfile.TemporaryDirectory() as directory:
        pip(machine, requirements, directory)
        files = list(Path(directory).glob("*.whl"))
        return {(*file.name.split("-")[:2], hashlib.sha256(file.read_bytes()).hexdigest()) for file in files}  # type: ignore[misc]


def _entry(requirement: str, found: set[tuple[str, str, str]]) -> str:
    hashes = sorted(digest for name, version, digest in found if requirement == f"{name}=={version}")
    return " \\\n".join([requirement, *(f"    --hash=sha256:{digest}" for digest in hashes)]) + "\n"


if __name__ == "__main__":
    sys.exit(main())
