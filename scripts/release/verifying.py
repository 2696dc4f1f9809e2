"""Whether a release is what its commit's scripts build."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts import wheels
from scripts.release.contents import FOLDER, built
from scripts.release.git import ReleaseError
from scripts.release.versions import tag_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scripts.release.git import Git


def faults(git: Git, version: str, cache: Path = wheels.CACHE) -> Iterator[str]:
    """Build a release's zips again, from its parent commit, and yield a sentence for each difference.

    Args:
        git: The repository.
        version: Version of the release.
        cache: Folder of wheels.

    Raises:
        ReleaseError: There is no such release, or its zips cannot be built.
    """
    tag = tag_of(version)
    if git.text("cat-file", "-t", f"refs/tags/{tag}") != "tag":
        yield f"{tag} is no annotated tag"
    parents = git.text("rev-list", "--parents", "--max-count=1", tag).split()[1:]
    if len(parents) != 1:
        raise ReleaseError(f"{tag} has {len(parents)} parents, and a release has one: the commit that was tested")
    [parent] = parents
    for line in git.lines("diff", "--no-renames", "--name-status", parent, tag):
        status, path = line.split("\t")
        if status != "A" or not path.startswith(f"{FOLDER}/"):
            yield f"{path} differs from the commit that was tested"
    released = {path: blob for path, blob in git.files(tag).items() if path.startswith(f"{FOLDER}/")}
    rebuilt = {
        path: git.text("hash-object", "--stdin", given=content)
        for path, content in built(git, parent, version, cache).items()
    }
    for path in sorted(released.keys() | rebuilt.keys()):
        if path not in released:
            yield f"{path} is missing"
        elif path not in rebuilt:
            yield f"{path} is not built from {parent}"
        elif released[path] != rebuilt[path]:
            yield f"{path} is another one than {parent} builds"
