"""The third-party packages in a zip, read from the zip itself.

Each wheel leaves its ``dist-info`` there. A wheel with compiled code may list the libraries compiled in
(https://peps.python.org/pep-0770/); a zip is refused if its code holds an OpenSSL that no list names.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from email.parser import BytesHeaderParser
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from email.message import Message

_METADATA = re.compile(r"([^/]+)\.dist-info/METADATA")
_OPENSSL = re.compile(rb"OpenSSL ([0-9]+\.[0-9]+\.[0-9]+[a-z]?) [0-9]{1,2} [A-Z][a-z]{2} [0-9]{4}")
_COMPILED = (".so", ".dylib")


class InventoryError(Exception):
    """A zip holds something that is not listed; the message names it."""


class Part(NamedTuple):
    """Something compiled into a package.

    Attributes:
        name: Its name.
        version: Its version.
        purl: Its package URL; empty if the list has none.
    """

    name: str
    version: str
    purl: str


class Package(NamedTuple):
    """A package of Python in a zip.

    Attributes:
        name: Its name, normalized.
        version: Its version.
        licence: SPDX expression; empty if the package names none.
        parts: Libraries compiled into it.
    """

    name: str
    version: str
    licence: str
    parts: tuple[Part, ...]


def packages(content: bytes, locked: Mapping[str, str]) -> list[Package]:
    """Return the packages in a zip, by name.

    Args:
        content: The zip.
        locked: Version of each package that the lock names, by its name; empty without a lock.

    Raises:
        InventoryError: The zip holds other packages than the lock names, compiled code that belongs to no package, or
            an OpenSSL that no package lists.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    found = [_package(files, match[1]) for match in filter(None, map(_METADATA.fullmatch, files))]
    versions = {package.name: package.version for package in found}
    wanted = {normalized(name): version for name, version in locked.items()}
    if versions != wanted:
        raise InventoryError(f"the zip holds {versions or 'no packages'}, and its lock names {wanted or 'none'}")
    compiled = [name for name in files if name.endswith(_COMPILED)]
    if compiled and not found:
        raise InventoryError(f"{compiled[0]} belongs to no package")
    listed = {part.version for package in found for part in package.parts if part.name == "openssl"}
    held = {match.decode() for name in compiled for match in _OPENSSL.findall(files[name])}
    if held - listed:
        raise InventoryError(f"OpenSSL {', '.join(sorted(held - listed))} is compiled in and not listed")
    return sorted(found)


def normalized(name: str) -> str:
    """Return a package's name as registries compare it (https://packaging.python.org/specifications/name-normalization/)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _package(files: Mapping[str, bytes], stem: str) -> Package:
    metadata: Message = BytesHeaderParser().parsebytes(files[f"{stem}.dist-info/METADATA"])
    lists = [content for name, content in sorted(files.items()) if name.startswith(f"{stem}.dist-info/sboms/")]
    parts = {
        Part(each["name"], each.get("version", ""), each.get("purl", ""))
        for content in lists
        for each in json.loads(content).get("components", [])
    }
    return Package(
        normalized(metadata["Name"]), metadata["Version"], metadata.get("License-Expression", ""), tuple(sorted(parts))
    )
