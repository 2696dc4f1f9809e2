"""A release's commit and tags, made beside branch, index and working tree."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scripts.release.git import Git


def commit(git: Git, files: Mapping[str, bytes], version: str, *, parent: str | None, base: str | None = None) -> str:
    """Make a commit of a release, which no branch has; return its id.

    Args:
        git: The repository.
        files: Files by path.
        version: Version of the release.
        parent: The commit's parent, if there is one.
        base: A commit whose files the new one has, too.

    Raises:
        ReleaseError: Git refuses.
    """
    with tempfile.TemporaryDirectory(prefix="roomcast-index-") as scratch:
        index = Path(scratch, "index")
        git.read("read-tree", base or "--empty", index=index)
        for path, content in files.items():
            blob = git.text("hash-object", "-w", "--stdin", given=content)
            git.read("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", index=index)
        tree = git.text("write-tree", index=index)
    return git.text("commit-tree", tree, *(["-p", parent] if parent else []), "-m", f"Release {version}")


def tag(git: Git, name: str, version: str, commit_id: str) -> None:
    """Tag a commit of a release, with a signature if git knows a key.

    Args:
        git: The repository.
        name: Name of the tag.
        version: Version of the release.
        commit_id: The commit.

    Raises:
        ReleaseError: Git refuses, for instance because the tag exists.
    """
    git.read("tag", "--sign" if is_signing(git) else "--annotate", "-m", f"Roomcast {version}", name, commit_id)


def is_signing(git: Git) -> bool:
    """Whether tags are signed: whether the maintainer has told git a key."""
    return bool(git.setting("user.signingkey"))


def sizes(git: Git, name: str) -> tuple[int, int]:
    """Return the compressed bytes of the repository, and of a clone of depth 1 at a tag."""
    counted = dict(line.split(": ") for line in git.lines("count-objects", "-v"))
    objects = git.read("rev-list", "--objects", "--no-walk", "--no-object-names", name)
    measured = git.text("cat-file", "--batch-check=%(objectsize:disk)", given=objects)
    return (int(counted["size"]) + int(counted["size-pack"])) * 1024, sum(map(int, measured.split()))
