"""Wheels of a handler's third-party code, as its lock names them: the same files on every machine.

A lock is a requirements file of pip with the hash of every file that may be installed, and a comment that lists the
modules that handlers may import: ``# imports: cryptography jwt``. pip downloads wheels that the cache
does not hold yet, from the index that its own settings name. `python3 -m scripts.renew_lock` writes locks.
"""

from __future__ import annotations

import hashlib
import io
import platform
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

CACHE = Path(__file__).resolve().parent.parent / "build" / "wheels"

GLIBC = ("2_28", "2_17")
"""Versions of the C library that wheels may need: Amazon Linux 2023, on which Lambda's runtimes run, has 2.34."""

_WHEEL = re.compile(r"(?P<name>[^-]+)-[^-]+(-[^-]+)?-(?P<python>[^-]+)-(?P<abi>[^-]+)-(?P<platform>[^-]+)\.whl")
_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)==(\S+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_IMPORTS = re.compile(r"^# imports: (.+)$", re.MULTILINE)


class WheelsError(Exception):
    """The wheels are not to be had; the message says why."""


class Lock(NamedTuple):
    """A lock.

    Attributes:
        file: The file.
        versions: Version of each package, by its name.
        hashes: SHA-256 of every wheel that may be used.
        imports: Modules that handlers may import.
    """

    file: Path
    versions: Mapping[str, str]
    hashes: frozenset[str]
    imports: frozenset[str]


class Machine(NamedTuple):
    """Where wheels will run.

    Attributes:
        python: Major and minor version of Python.
        system: ``manylinux`` or ``macosx``.
        architecture: As the system names it, for example ``aarch64``.
        is_this: Whether it is the running Python, for which pip needs no description.
    """

    python: tuple[int, int]
    system: str
    architecture: str
    is_this: bool = False


def this_machine() -> Machine:
    """The running Python."""
    system = "macosx" if sys.platform == "darwin" else "manylinux"
    return Machine(sys.version_info[:2], system, platform.machine(), is_this=True)


def read_lock(file: Path) -> Lock:
    """Read a lock."""
    text = file.read_text("utf-8")
    imports = _IMPORTS.search(text)
    return Lock(
        file,
        dict(_REQUIREMENT.findall(text)),
        frozenset(_HASH.findall(text)),
        frozenset(imports[1].split() if imports else ()),
    )


def contents(lock: Lock, machine: Machine, cache: Path = CACHE) -> dict[str, bytes]:
    """Return the files of a lock's packages for a machine, as content by path.

    Args:
        lock: The lock.
        machine: Where they will run.
        cache: Folder of wheels, by hash; wheels that are not there are downloaded into it.

    Raises:
        WheelsError: A wheel cannot be downloaded, or two of them have a file in common.
    """
    files: dict[str, bytes] = {}
    for wheel in wheels(lock, machine, cache):
        with zipfile.ZipFile(io.BytesIO(wheel.read_bytes())) as archive:
            for name in archive.namelist():
                if name.endswith("/"):
                    continue
                if name in files or ".data/" in name or name.startswith("/") or ".." in name.split("/"):
                    raise WheelsError(f"{wheel.name} holds {name}, which has no place of its own in a zip")
                files[name] = archive.read(name)
    return files


def wheels(lock: Lock, machine: Machine, cache: Path = CACHE) -> list[Path]:
    """Return the wheels of a lock's packages for a machine, in the cache.

    Raises:
        WheelsError: One of them cannot be downloaded.
    """
    found = dict(_cached(lock, machine, cache))
    if found.keys() != _names(lock):
        _download(lock, machine, cache)
        found = dict(_cached(lock, machine, cache))
    if missing := sorted(_names(lock) - found.keys()):
        raise WheelsError(f"{lock.file.name} has no wheel of {', '.join(missing)} for {_described(machine)}")
    return [found[name] for name in sorted(found)]


def fits(wheel: str, machine: Machine) -> bool:
    """Whether a wheel of this file name runs on a machine."""
    match = _WHEEL.fullmatch(wheel)
    if match is None:
        return False
    minor = machine.python[1]
    pythons, abi, platforms = match["python"].split("."), match["abi"], match["platform"].split(".")
    newest = max((int(tag.removeprefix("cp3")) for tag in pythons if re.fullmatch(r"cp3\d+", tag)), default=None)
    if newest is None:
        is_for_python = "py3" in pythons and abi == "none"
    else:
        is_for_python = newest <= minor if abi == "abi3" else newest == minor and abi == f"cp3{minor}"
    return is_for_python and any(_is_for_platform(each, machine) for each in platforms)


def _is_for_platform(tag: str, machine: Machine) -> bool:
    if tag == "any":
        return True
    architectures = [machine.architecture, *(["universal2"] if machine.system == "macosx" else [])]
    return tag.startswith(machine.system) and any(tag.endswith(f"_{each}") for each in architectures)


def _names(lock: Lock) -> set[str]:
    return {_normal(name) for name in lock.versions}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "_", name).lower()


def _cached(lock: Lock, machine: Machine, cache: Path) -> Iterator[tuple[str, Path]]:
    """Yield a package's name and its wheel, for each wheel that is in the cache, fits, and has not been changed."""
    for digest in sorted(lock.hashes):
        for wheel in sorted((cache / digest).glob("*.whl")):
            if fits(wheel.name, machine) and hashlib.sha256(wheel.read_bytes()).hexdigest() == digest:
                yield _normal(wheel.name.partition("-")[0]), wheel


def _download(lock: Lock, machine: Machine, cache: Path) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    # Within the cache, so that a file is moved into its place by a rename: another build may read it now.
    with tempfile.TemporaryDirectory(dir=cache) as directory:
        pip(machine, ["--require-hashes", "--requirement", str(lock.file)], directory)
        for wheel in Path(directory).glob("*.whl"):
            digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
            if digest not in lock.hashes:
                raise WheelsError(f"{wheel.name} is not the file that {lock.file.name} names")
            (cache / digest).mkdir(exist_ok=True)
            wheel.replace(cache / digest / wheel.name)


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
        versions = GLIBC if machine.system == "manylinux" else ("11_0",)
        options += [f"--platform={machine.system}_{version}_{machine.architecture}" for version in versions]
        options += [f"--python-version={'.'.join(map(str, machine.python))}", "--implementation=cp"]
    # pip is not imported: a Python without it builds everything else.
    command = [sys.executable, "-m", "pip", "download", *options, *requirements]
    result = subprocess.run(command, check=False, capture_output=True, text=True, errors="replace")
    if result.returncode != 0:
        lines = [line.removeprefix("ERROR: ") for line in result.stderr.splitlines() if line.strip()]
        errors = [line for line in lines if not line.startswith(("WARNING", "[notice]"))]
        raise WheelsError(f"pip says: {errors[-1] if errors else f'exit status {result.returncode}'}")


def _described(machine: Machine) -> str:
    return f"Python {machine.python[0]}.{machine.python[1]} on {machine.system}, {machine.architecture}"
