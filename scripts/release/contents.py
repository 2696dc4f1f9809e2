"""The files that a release adds to its commit, and its archive."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from scripts import wheels
from scripts.build_output import MANIFEST
from scripts.lambda_zip import zip_bytes
from scripts.release.git import ReleaseError
from scripts.release.versions import tag_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scripts.release.git import Git

FOLDER = "terraform/modules/zips/release"
"""Within the module that reads them: a copy of ``terraform/`` alone has them, too."""

ARCHIVED = ("CHANGELOG.md", "LICENSE", "SECURITY.md", "UPGRADING.md")


def built(git: Git, commit: str, version: str, cache: Path = wheels.CACHE) -> dict[str, bytes]:
    """Build the zips of a commit, by its own scripts; return them and their manifest by path.

    Args:
        git: The repository.
        commit: The commit, whose code runs.
        version: Version of the release.
        cache: Folder of wheels.

    Raises:
        ReleaseError: They cannot be built.
    """
    with tempfile.TemporaryDirectory(prefix="roomcast-release-") as scratch:
        tree, output = Path(scratch, "tree"), Path(scratch, "zips")
        git.unpack(commit, tree)
        script = [sys.executable, str(tree / "scripts" / "build_handlers.py")]
        options = ["--output", str(output), "--release", version, "--wheels", str(cache)]
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run([*script, *options], env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ReleaseError(f"the zips cannot be built: {done.stderr.strip()}")
        return {f"{FOLDER}/{file.name}": file.read_bytes() for file in sorted(output.iterdir())}


def only_manifest(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the manifest alone."""
    return {f"{FOLDER}/{MANIFEST}": files[f"{FOLDER}/{MANIFEST}"]}


def archive(git: Git, version: str) -> bytes:
    """Return the archive of a release: the modules with their zips, the same bytes everywhere.

    Raises:
        ReleaseError: There is no such release.
    """
    found = {
        path: git.read("cat-file", "blob", blob)
        for path, blob in git.files(tag_of(version)).items()
        if path in ARCHIVED or (path.startswith("terraform/") and "/tests/" not in path)
    }
    return zip_bytes(found)
