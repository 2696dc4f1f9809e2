"""The module sources by which other configurations use a release."""

from __future__ import annotations

import re

from scripts.release.versions import tag_of

MODULE = "terraform/modules/backend"
EXAMPLE = "terraform/examples/release-consumer"
_SCP_LIKE = re.compile(r"(?:[^/@]+@)?([^/:]+):(?!//)(.+)")
_WITH_USER = re.compile(r"(?:https?|ssh|git)://(?:[^/@]*@)?([^/:]+)(?::[0-9]+)?/(.+)")


def address(remote: str) -> str:
    """Return the address of a remote repository as it is given to other people: over HTTPS, and without a user.

    Args:
        remote: The remote's URL, as git knows it; a path stays one.
    """
    found = _WITH_USER.fullmatch(remote) or _SCP_LIKE.fullmatch(remote)
    return f"https://{found[1]}/{found[2]}" if found else f"file://{remote.removeprefix('file://')}"


def sources(remote: str, version: str, checksum: str) -> tuple[str, str]:
    """Return a release's module sources: its tag, and its archive as GitHub serves what is attached to a release.

    Args:
        remote: The remote's URL, as git knows it.
        version: Version of the release.
        checksum: SHA-256 (hex) of the archive.
    """
    found, tag = address(remote), tag_of(version)
    attached = f"{found.removesuffix('.git')}/releases/download/{tag}/roomcast-{version}.zip"
    return (
        f"git::{found}//{MODULE}?ref={tag}&depth=1",
        f"{attached}//{MODULE}?checksum=sha256:{checksum}",
    )
