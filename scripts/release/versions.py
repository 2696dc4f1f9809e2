"""Versions and their tags: ``v1.2.3`` with the zips, ``manifest/1.2.3`` without."""

from __future__ import annotations

import re

VERSION = re.compile(r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)")
TAG = re.compile(rf"v({VERSION.pattern})")


def tag_of(version: str) -> str:
    """Return the name of a release's tag."""
    return f"v{version}"


def manifest_tag_of(version: str) -> str:
    """Return the name of the tag that has the manifest and no zips: for zips in a bucket."""
    return f"manifest/{version}"


def order(version: str) -> tuple[int, ...]:
    """Return by which key versions are sorted."""
    return tuple(map(int, version.split(".")))
