"""Why a release cannot be made now."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING

from scripts.release.versions import TAG, manifest_tag_of, order, tag_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.release.git import Git

BRANCH = "main"


def refusals(git: Git, version: str, remote: str) -> Iterator[str]:
    """Yield a sentence for each reason against a release of the present commit.

    Args:
        git: The repository.
        version: Version of the release.
        remote: Name of the remote repository.

    Raises:
        ReleaseError: The remote repository does not answer.
    """
    if changed := git.lines("status", "--porcelain"):
        yield f"the working tree has changes ({len(changed)} files): commit them first"
    branch = git.text("rev-parse", "--abbrev-ref", "HEAD")
    if branch != BRANCH:
        yield f"the branch is {branch}: releases are made of {BRANCH}"
    yield from _refusals_of_remote(git, version, remote)
    yield from _refusals_of_changelog(git.text("show", "HEAD:CHANGELOG.md"), version)
    if (named := tomllib.loads(git.text("show", "HEAD:pyproject.toml"))["project"]["version"]) != version:
        yield f"pyproject.toml has version {named}, which `roomcast --version` prints: set it to {version}"


def _refusals_of_remote(git: Git, version: str, remote: str) -> Iterator[str]:
    listed = (line.split("\t") for line in git.lines("ls-remote", remote))
    pushed = {name: commit for commit, name in listed}
    if pushed.get(f"refs/heads/{BRANCH}") != git.text("rev-parse", "HEAD"):
        yield f"the commit is not the last one of {remote}'s {BRANCH}: push it, or pull"
    names = {name.removeprefix("refs/tags/") for name in pushed} | set(git.lines("tag", "--list"))
    released = {found[1] for name in names if (found := TAG.fullmatch(name))}
    if taken := names & {tag_of(version), manifest_tag_of(version)}:
        yield f"the tag {max(taken)} exists"
    elif released and order(version) < order(last := max(released, key=order)):
        yield f"{version} is not above {last}, the last release"


def _refusals_of_changelog(text: str, version: str) -> Iterator[str]:
    sections = dict(re.findall(r"^## \[([^]]+)\].*\n((?:(?!## ).*\n?)*)", text, re.MULTILINE))
    if not sections.get(version, "").strip():
        yield f"CHANGELOG.md has no section [{version}]: move what is in [Unreleased] there"
    if sections.get("Unreleased", "").strip():
        yield "the section [Unreleased] of CHANGELOG.md is not empty"
