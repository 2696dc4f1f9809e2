"""Wheels of a handler's third-party code, as its lock names them: pip downloads those that the cache lacks."""

from __future__ import annotations

import hashlib
import io
import re
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.machines import Machine, fits
from scripts.pip_download import WheelsError, pip
from scripts.repository import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.locks import Lock

CACHE = REPOSITORY / "build" / "wheels"


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
        raise WheelsError(f"{lock.file.name} has no wheel of {', '.join(missing)} for {machine}")
    return [found[name] for name in sorted(found)]


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
