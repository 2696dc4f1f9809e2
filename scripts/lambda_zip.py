"""Zips that are the same on every machine, and compiled code for them.

The bytes depend on the sources alone: entries are sorted, carry one fixed date and mode, and are stored without
compression, because deflate output differs between zlib versions and builds. The sources are a few tens of kilobytes,
so compression would save nothing that Lambda charges for.
"""

from __future__ import annotations

import importlib.util
import io
import marshal
import sys
import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

UNCHECKED_HASH = 0b01
"""Flag of a compiled file that Python trusts without a look at its source (PEP 552)."""

STABLE_MARSHAL = 2
"""The last format that writes equal objects alike with any references to them: later ones depend on the process."""

EARLIEST_ZIP_DATE = (1980, 1, 1, 0, 0, 0)
UNIX = 3
READABLE_FILE = 0o100644


def zip_bytes(contents: Mapping[str, bytes]) -> bytes:
    """Return a zip of files (content by path) that is the same on every machine, day and umask."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for path, content in sorted(contents.items()):
            entry = zipfile.ZipInfo(path, EARLIEST_ZIP_DATE)
            entry.create_system = UNIX
            entry.external_attr = READABLE_FILE << 16
            archive.writestr(entry, content)
    return buffer.getvalue()


def compiled(contents: Mapping[str, bytes]) -> dict[str, bytes]:
    """Compile sources (content by path) as the running Python reads them from beside the sources, by path."""
    files = {}
    for path, content in contents.items():
        if not path.endswith(".py"):
            continue
        folder, _, name = path.rpartition("/")
        code = compile(content, path, "exec", dont_inherit=True, optimize=0)
        cached = f"__pycache__/{name.removesuffix('.py')}.{sys.implementation.cache_tag}.pyc"
        head = importlib.util.MAGIC_NUMBER + UNCHECKED_HASH.to_bytes(4, "little")
        files[f"{folder}/{cached}" if folder else cached] = (
            head + importlib.util.source_hash(content) + marshal.dumps(code, STABLE_MARSHAL)
        )
    return files
