"""A release of this tree, made and pushed to a bare repository, and an emulator of its own."""

from __future__ import annotations

import functools
import os
import shutil
import threading
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from integration_tests.targets.local import Local
from scripts.local.deployment import EmulatorAccess, access_of
from scripts.release.__main__ import main
from scripts.release.consumers import MODULE
from scripts.release.git import Git
from scripts.repository import REPOSITORY
from scripts.terraform import PERSONAL_FILES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VERSION = "0.9.1"
CHANGELOG = f"# Changelog\n\n## [Unreleased]\n\n## [{VERSION}] - 2026-11-29\n\n- Everything.\n"


@dataclass(frozen=True)
class Released:
    """A release.

    Attributes:
        git: The git of its bare repository.
        registry: The git of the bare repository that a Terraform registry reads.
        archives: Folder of its archive.
        checksum: SHA-256 (hex) of the archive.
    """

    git: Git
    registry: Git
    archives: Path
    checksum: str

    def source(self, reference: str) -> str:
        """Return the module source for a reference, with its further parameters."""
        return f"git::file://{self.git.folder}//{MODULE}?ref={reference}"


@pytest.fixture(scope="session")
def released(tmp_path_factory: pytest.TempPathFactory) -> Released:
    """A release of this tree, without the authorizer, whose zips take 30 MB each time that they are fetched."""
    root = tmp_path_factory.mktemp("released")
    clone, origin, registry, archives = (root / name for name in ("clone", "origin.git", "registry.git", "archives"))
    ignored = shutil.ignore_patterns(*PERSONAL_FILES, "__pycache__", "tests")
    for folder in ("handlers", "scripts", "terraform"):
        shutil.copytree(REPOSITORY / folder, clone / folder, ignore=ignored)
    for file in (clone / "handlers").glob("authorizer.*"):
        file.unlink()
    for name in (".gitattributes", ".gitignore", "LICENSE"):
        shutil.copy(REPOSITORY / name, clone / name)
    (clone / "CHANGELOG.md").write_text(CHANGELOG, encoding="utf-8")
    (clone / "pyproject.toml").write_text(f'[project]\nversion = "{VERSION}"\n', encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
        for role in ("AUTHOR", "COMMITTER"):
            patch.setenv(f"GIT_{role}_NAME", "A")
            patch.setenv(f"GIT_{role}_EMAIL", "a@example.com")
        for bare in (origin, registry):
            bare.mkdir()
            Git(bare).read("init", "--quiet", "--bare", "--initial-branch=main")
        git = Git(clone)
        git.read("init", "--quiet", "--initial-branch=main")
        git.read("remote", "add", "origin", str(origin))
        git.read("add", ".")
        git.read("commit", "--quiet", "-m", "Everything")
        git.read("push", "--quiet", "origin", "main")
        places = ["--repository", str(clone), "--registry", str(registry), "--output", str(archives)]
        assert main(["make", VERSION, *places, "--checks", "true"]) == 0
        git.read("push", "--quiet", "origin", "--tags")
    checksum = (archives / f"roomcast-{VERSION}.zip.sha256").read_text().split()[0]
    return Released(Git(origin), Git(registry), archives, checksum)


@pytest.fixture(scope="session")
def archive(released: Released) -> Iterator[str]:
    """Module source of the release's archive, served over HTTP."""
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(released.archives))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/roomcast-{VERSION}.zip//{MODULE}?checksum=sha256:{released.checksum}"
        server.shutdown()


@pytest.fixture(scope="session")
def access() -> Iterator[EmulatorAccess]:
    """An emulator of its own, without a stage."""
    with Local().running() as emulator:
        yield access_of(emulator.aws)
