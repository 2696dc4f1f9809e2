"""A release as a Terraform registry serves it: a repository whose root is the module ``backend``.

A registry takes one module from a repository named ``terraform-<provider>-<name>``: its root, with nested modules in
``modules/`` and examples in ``examples/``, each version as a tag
(https://developer.hashicorp.com/terraform/registry/modules/publish).
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from scripts.release.consumers import EXAMPLE, MODULE, address
from scripts.release.contents import ARCHIVED
from scripts.release.git import ReleaseError
from scripts.release.refusals import BRANCH
from scripts.release.tagging import commit, tag
from scripts.release.versions import tag_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from scripts.release.git import Git

_FOLDERS = ((f"{MODULE}/", ""), ("terraform/modules/", "modules/"), ("terraform/examples/", "examples/"))
_SOURCE = re.compile(r'(?<=")\.\.?/[^"$]*(?=")')
_LINK = re.compile(r"(?<=\]\()(?![a-z]+:)([^)#]+)(#[^)]*)?(?=\))")


def refusals(registry: Git, version: str) -> Iterator[str]:
    """Yield a sentence for each reason against a release in the registry's repository.

    Args:
        registry: The repository, bare or not checked out.
        version: Version of the release.

    Raises:
        ReleaseError: There is no repository.
    """
    if registry.text("rev-parse", "--is-bare-repository") != "true":
        yield f"{registry.folder} is no bare repository: give REGISTRY=<path>, made by `git clone --bare`"
    if tag_of(version) in registry.lines("tag", "--list"):
        yield f"the tag {tag_of(version)} exists in {registry.folder}"


def release(registry: Git, made: Mapping[str, bytes], version: str) -> None:
    """Commit a release to the registry's repository, and tag it.

    Args:
        registry: The registry's bare repository.
        made: What :func:`files` has returned.
        version: Version of the release.

    Raises:
        ReleaseError: Git refuses.
    """
    head = registry.text("for-each-ref", "--format=%(objectname)", f"refs/heads/{BRANCH}")
    commit_id = commit(registry, made, version, parent=head or None)
    registry.read("update-ref", f"refs/heads/{BRANCH}", commit_id)
    tag(registry, tag_of(version), version, commit_id)


def files(git: Git, commit_id: str, version: str, remote: str) -> dict[str, bytes]:
    """Return the files of a release as a registry's repository has them, by path.

    What refers to another file is written anew: sources of modules, and links in documents. A link to a file that the
    registry's repository lacks leads to the release.

    Args:
        git: The repository.
        commit_id: The release's commit.
        version: Version of the release.
        remote: URL of the repository that the release is pushed to.

    Raises:
        ReleaseError: A module's source is not in the registry's repository.
    """
    blobs = git.files(commit_id)
    placed = {path: place for path in blobs if (place := place_of(path)) is not None}
    elsewhere = f"{address(remote).removesuffix('.git')}/blob/{tag_of(version)}"
    made = {}
    for path, place in placed.items():
        content = git.read("cat-file", "blob", blobs[path])
        if path.endswith(".tf"):
            content = _with_sources(content.decode(), path, place).encode()
        elif path.endswith(".md"):
            content = _with_links(content.decode(), path, placed, elsewhere).encode()
        made[place] = content
    return made


def place_of(path: str) -> str | None:
    """Return the path of a release's file in the registry's repository; None if it is not there."""
    if path in ARCHIVED:
        return path
    if "/tests/" in path or path.startswith(f"{EXAMPLE}/"):
        return None
    return next((there + path.removeprefix(here) for here, there in _FOLDERS if path.startswith(here)), None)


def _with_sources(text: str, path: str, place: str) -> str:
    def there(found: re.Match[str]) -> str:
        folder = place_of(f"{posixpath.normpath(posixpath.join(posixpath.dirname(path), found[0]))}/")
        if folder is None:
            raise ReleaseError(f"{path} needs {found[0]}, which a registry's repository would not have")
        relative = posixpath.relpath(folder or ".", posixpath.dirname(place) or ".")
        return relative if relative.startswith("..") else f"./{relative}"

    return _SOURCE.sub(there, text)


def _with_links(text: str, path: str, placed: Mapping[str, str], elsewhere: str) -> str:
    def there(found: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(path), found[1]))
        anchor = found[2] or ""
        folder = place_of(f"{target}/")
        if target in placed:
            place = placed[target]
        elif folder is not None and any(each.startswith(f"{target}/") for each in placed):
            place = folder.rstrip("/") or "."
        else:
            return f"{elsewhere}/{target}{anchor}"
        return posixpath.relpath(place, posixpath.dirname(placed[path]) or ".") + anchor

    return _LINK.sub(there, text)
