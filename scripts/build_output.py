"""The folder of a build: compare it with what it should hold, and write its files."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MANIFEST = "manifest.json"


def differences(files: Mapping[str, bytes], output: Path) -> list[str]:
    """Return the names of files of a build that are missing in ``output``, differ there, or should be gone."""
    outdated = [name for name, content in files.items() if not _holds(output / name, content)]
    leftover = [name for name in _listed(output) if name not in files and (output / name).exists()]
    return sorted(outdated + leftover)


def _listed(output: Path) -> list[str]:
    """Return the zips that an earlier build wrote into a folder; other files there do not belong to the build."""
    try:
        entries = json.loads((output / MANIFEST).read_bytes())["handlers"].values()
        return [part["zip"] for entry in entries for part in entry.get("zips", {"": entry}).values()]
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return []


def _holds(file: Path, content: bytes) -> bool:
    return file.is_file() and file.read_bytes() == content


def write_atomically(file: Path, content: bytes) -> None:
    """Replace a file; another run in the same clone that reads it now sees the old bytes or the new ones."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        temporary.write_bytes(content)
        temporary.replace(file)
    except BaseException:  # a full disk, Ctrl-C: no part of a file stays behind
        temporary.unlink(missing_ok=True)
        raise
