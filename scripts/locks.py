"""Locks of handlers' third-party code.

A lock is a requirements file of pip with the hash of every file that may be installed, and a comment that lists the
modules that handlers may import: ``# imports: cryptography jwt``. `python3 -m scripts.renew_lock` writes locks.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)==(\S+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_IMPORTS = re.compile(r"^# imports: (.+)$", re.MULTILINE)


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
