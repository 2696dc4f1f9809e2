"""The command line: ``python -m scripts.release make|verify X.Y.Z``."""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from scripts import wheels
from scripts.build_output import write_atomically
from scripts.release import registry
from scripts.release.consumers import sources
from scripts.release.contents import archive, built, only_manifest
from scripts.release.git import Git, ReleaseError
from scripts.release.refusals import BRANCH, refusals
from scripts.release.tagging import commit, is_signing, sizes, tag
from scripts.release.verifying import faults
from scripts.release.versions import VERSION, manifest_tag_of, tag_of
from scripts.repository import REPOSITORY, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

MEGABYTE = 10**6


def make(git: Git, options: argparse.Namespace) -> None:
    """Make a release's tags and archive, and print what remains to be done.

    Raises:
        ReleaseError: Something speaks against it, the checks fail, or git refuses.
    """
    version: str = options.version
    in_registry = options.registry and Git(options.registry)
    reasons = list(refusals(git, version, options.remote))
    if in_registry:
        reasons += registry.refusals(in_registry, version)
    if reasons:
        raise ReleaseError("; ".join(reasons))
    print(f"checking: {options.checks}", flush=True)
    if subprocess.run(options.checks, shell=True, cwd=git.folder, check=False).returncode != 0:  # noqa: S602 - as given
        raise ReleaseError(f"the checks have failed: {options.checks}")
    files = built(git, "HEAD", version, options.wheels)
    whole, bare = (commit(git, each, version, parent="HEAD", base="HEAD") for each in (files, only_manifest(files)))
    remote = git.text("remote", "get-url", options.remote)
    for_registry = in_registry and registry.files(git, whole, version, remote)
    tag(git, tag_of(version), version, whole)
    tag(git, manifest_tag_of(version), version, bare)
    if in_registry and for_registry:
        registry.release(in_registry, for_registry, version)
    tell(git, version, options)


def tell(git: Git, version: str, options: argparse.Namespace) -> None:
    """Write the archive and print what remains to be done."""
    file, checksum = write_archive(git, version, options.output)
    whole, shallow = sizes(git, tag_of(version))
    print(f"{tag_of(version)}: {'signed' if is_signing(git) else 'not signed, because git knows no user.signingkey'}")
    print(f"{shown(file)}: SHA-256 {checksum}")
    print(f"the repository takes {whole / MEGABYTE:.1f} MB, a clone of depth 1 {shallow / MEGABYTE:.1f} MB")
    print(f"\nNothing is pushed yet:\n  git push {options.remote} {tag_of(version)} {manifest_tag_of(version)}")
    if options.registry is not None:
        print(f"  git -C {options.registry} push origin {BRANCH} {tag_of(version)}")
    print("\nOther configurations then use it by its tag, or by the archive once it is attached to the release:")
    for source in sources(git.text("remote", "get-url", options.remote), version, checksum):
        print(f'  source = "{source}"')


def write_archive(git: Git, version: str, output: Path) -> tuple[Path, str]:
    """Write a release's archive and its checksum, as ``sha256sum --check`` reads it; return its path and the checksum.

    Raises:
        ReleaseError: There is no such release.
    """
    content = archive(git, version)
    checksum = hashlib.sha256(content).hexdigest()
    file = output / f"roomcast-{version}.zip"
    output.mkdir(parents=True, exist_ok=True)
    write_atomically(file, content)
    write_atomically(file.with_name(f"{file.name}.sha256"), f"{checksum}  {file.name}\n".encode())
    return file, checksum


def verify(git: Git, options: argparse.Namespace) -> None:
    """Compare a release with what its commit's scripts build, and write its archive.

    Raises:
        ReleaseError: It differs, or does not exist.
    """
    if found := list(faults(git, options.version, options.wheels)):
        raise ReleaseError("; ".join(found))
    file, checksum = write_archive(git, options.version, options.output)
    print(f"{tag_of(options.version)} holds what its commit builds; {shown(file)}: SHA-256 {checksum}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(description="Make a release, or verify one.")
    parser.add_argument("task", choices=["make", "verify"])
    parser.add_argument("version", metavar="X.Y.Z")
    parser.add_argument("--checks", default="make test", help="command that must pass before (default: make test)")
    parser.add_argument("--remote", default="origin", help="repository that the release is pushed to (default: origin)")
    parser.add_argument("--registry", type=Path, help="bare clone of the repository that a Terraform registry reads")
    parser.add_argument("--repository", type=Path, default=REPOSITORY, help="repository (default: this one)")
    parser.add_argument("--output", type=Path, default=REPOSITORY / "build" / "release", help="folder of the archive")
    parser.add_argument("--wheels", type=Path, default=wheels.CACHE, help="folder of wheels (default: build/wheels/)")
    options = parser.parse_args(arguments)
    if not VERSION.fullmatch(options.version):
        print(f"release: {options.version!r} is no version: give VERSION=X.Y.Z", file=sys.stderr)
        return 1
    try:
        (make if options.task == "make" else verify)(Git(options.repository), options)
    except ReleaseError as error:
        print(f"release: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
