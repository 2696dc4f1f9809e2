"""Releases, made in scratch repositories: what speaks against one, what it holds, and how it is verified."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest

from scripts.release.__main__ import main
from scripts.release.consumers import address, sources
from scripts.release.git import Git, ReleaseError
from scripts.repository import REPOSITORY
from scripts.tests.trees import write_tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CHANGELOG = (
    "# Changelog\n\n## [Unreleased]\n\n## [1.2.3] - 2026-11-29\n\n- Rooms.\n\n## [1.2.2] - 2026-11-28\n\n- No rooms.\n"
)
PYPROJECT = '[project]\nname = "roomcast"\nversion = "1.2.3"\n'
ZIPS = "terraform/modules/zips/release"
RELEASED = ["connect.zip", "default.zip", "manifest.json"]


@pytest.fixture(scope="session")
def origin_and_clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small repository that could be released, and the bare repository that it was pushed to."""
    root = tmp_path_factory.mktemp("release")
    clone = write_tree(
        root / "clone",
        {
            "CHANGELOG.md": CHANGELOG,
            "LICENSE": "Take it.\n",
            "pyproject.toml": PYPROJECT,
            ".gitignore": "/build\n__pycache__/\n",
            ".gitattributes": "* text=auto eol=lf\n*.zip binary\n",
            "handlers/connect.py": "def handler(event, context): ...\n",
            "handlers/default.py": "def handler(event, context): ...\n",
            "terraform/main.tf": "# The root.\n",
            "terraform/examples/minimal/main.tf": 'module "chat" {\n  source = "../../modules/backend"\n}\n',
            "terraform/examples/release-consumer/main.tf": "# Fetches its modules.\n",
            "terraform/modules/backend/README.md": (
                "[zips](../zips), [example](../../examples/minimal/main.tf#a), [root](../../main.tf), [here](#b), "
                "[code](../../../handlers), [site](https://example.com/a)\n"
            ),
            "terraform/modules/backend/main.tf": 'module "zips" {\n  source = "../zips"\n}\n',
            "terraform/modules/zips/README.md": "[backend](../backend/main.tf), [backend](../backend)\n",
            "terraform/modules/zips/main.tf": 'locals {\n  folder = "${path.module}/release"\n}\n',
            "terraform/modules/zips/tests/built.zip": "not a zip\n",
        },
    )
    (clone / "scripts").mkdir()
    for file in (REPOSITORY / "scripts").glob("*.py"):
        shutil.copy(file, clone / "scripts" / file.name)
    with pytest.MonkeyPatch.context() as patch:
        settle(patch)
        (root / "origin.git").mkdir()
        Git(root / "origin.git").read("init", "--quiet", "--bare", "--initial-branch=main")
        git = Git(clone)
        git.read("init", "--quiet", "--initial-branch=main")
        git.read("add", ".")
        git.read("commit", "--quiet", "-m", "Everything")
    return root


def settle(patch: pytest.MonkeyPatch) -> None:
    """Give git a person, and none of this machine's settings."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        patch.delenv(name)
    for name, value in (
        ("GIT_CONFIG_GLOBAL", os.devnull),
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_AUTHOR_NAME", "A"),
        ("GIT_AUTHOR_EMAIL", "a@example.com"),
        ("GIT_COMMITTER_NAME", "A"),
        ("GIT_COMMITTER_EMAIL", "a@example.com"),
    ):
        patch.setenv(name, value)


@pytest.fixture
def git(origin_and_clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Git:
    """The git of such a repository."""
    settle(monkeypatch)
    shutil.copytree(origin_and_clone, tmp_path, dirs_exist_ok=True)
    git = Git(tmp_path / "clone")
    git.read("remote", "add", "origin", str(tmp_path / "origin.git"))
    git.read("push", "--quiet", "origin", "main")
    return git


@pytest.fixture
def release(git: Git, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Makes or verifies a release; returns exit status and output."""

    def run(task: str = "make", version: str = "1.2.3", checks: str = "true", *more: str) -> tuple[int, str, str]:
        options = ["--repository", str(git.folder), "--output", str(git.folder / "build"), "--checks", checks]
        status = main([task, version, *options, *more])
        return (status, *capsys.readouterr())

    return run


def commit(git: Git, files: dict[str, str], *, push: bool = True) -> None:
    """Commit files, and push them if not told otherwise."""
    write_tree(git.folder, files)
    git.read("add", ".")
    git.read("commit", "--quiet", "-m", "Something")
    if push:
        git.read("push", "--quiet", "origin", "HEAD")


def test_a_release_adds_zips_and_manifest_and_nothing_else(
    git: Git, release: Callable[..., tuple[int, str, str]]
) -> None:
    head = git.text("rev-parse", "HEAD")

    status, output, errors = release(checks="test -f CHANGELOG.md")

    assert status == 0, errors
    assert git.text("cat-file", "-t", "v1.2.3") == "tag"
    assert git.text("rev-parse", "v1.2.3^") == head == git.text("rev-parse", "main")
    assert git.lines("diff", "--name-only", "v1.2.3^", "v1.2.3") == [f"{ZIPS}/{name}" for name in RELEASED]
    assert git.lines("diff", "--name-only", "v1.2.3^", "manifest/1.2.3") == [f"{ZIPS}/manifest.json"]
    assert git.text("status", "--porcelain") == ""
    manifest = json.loads(git.text("show", f"v1.2.3:{ZIPS}/manifest.json"))
    assert manifest["release"] == "1.2.3"
    for name, entry in manifest["handlers"].items():
        assert entry["sha256"] == hashlib.sha256(git.read("show", f"v1.2.3:{ZIPS}/{name}.zip")).hexdigest()
    assert "git push origin v1.2.3 manifest/1.2.3" in output
    assert git.lines("ls-remote", "--tags", "origin") == []  # it is for the maintainer to push


def test_what_a_consumer_pastes_is_printed_with_the_archives_checksum(
    git: Git, release: Callable[..., tuple[int, str, str]]
) -> None:
    git.read("remote", "set-url", "--push", "origin", "unused")
    _, output, _ = release()

    archive = git.folder / "build" / "roomcast-1.2.3.zip"
    checksum = hashlib.sha256(archive.read_bytes()).hexdigest()
    lines = [line.strip() for line in output.splitlines() if "source = " in line]
    assert lines == [
        f'source = "{source}"' for source in sources(git.text("remote", "get-url", "origin"), "1.2.3", checksum)
    ]
    assert archive.with_name("roomcast-1.2.3.zip.sha256").read_text() == f"{checksum}  roomcast-1.2.3.zip\n"
    with zipfile.ZipFile(io.BytesIO(archive.read_bytes())) as files:
        released = [name for name in files.namelist() if name.startswith(f"{ZIPS}/")]
        assert released == [f"{ZIPS}/{name}" for name in RELEASED]
        assert {name.partition("/")[0] for name in files.namelist()} == {"CHANGELOG.md", "LICENSE", "terraform"}
        assert not [name for name in files.namelist() if "/tests/" in name]


@pytest.fixture
def registry(tmp_path: Path) -> Git:
    """The git of an empty repository for a Terraform registry."""
    (tmp_path / "terraform-aws-roomcast.git").mkdir()
    registry = Git(tmp_path / "terraform-aws-roomcast.git")
    registry.read("init", "--quiet", "--bare", "--initial-branch=main")
    return registry


def test_a_registrys_repository_has_the_backend_as_its_root(
    git: Git, registry: Git, release: Callable[..., tuple[int, str, str]]
) -> None:
    git.read("remote", "set-url", "origin", f"file://{git.folder.parent / 'origin.git'}")
    status, output, errors = release("make", "1.2.3", "true", "--registry", str(registry.folder))

    assert status == 0, errors
    assert f"git -C {registry.folder} push origin main v1.2.3" in output
    assert registry.text("rev-parse", "v1.2.3^{}") == registry.text("rev-parse", "main")
    assert registry.lines("ls-tree", "-r", "--name-only", "v1.2.3") == [
        "CHANGELOG.md",
        "LICENSE",
        "README.md",
        "examples/minimal/main.tf",
        "main.tf",
        "modules/zips/README.md",
        "modules/zips/main.tf",
        *(f"modules/zips/release/{name}" for name in RELEASED),
    ]
    shown = {path: registry.text("show", f"v1.2.3:{path}") for path in ("main.tf", "examples/minimal/main.tf")}
    assert shown["main.tf"] == 'module "zips" {\n  source = "./modules/zips"\n}'
    assert shown["examples/minimal/main.tf"] == 'module "chat" {\n  source = "../.."\n}'
    assert registry.text("show", "v1.2.3:modules/zips/main.tf") == 'locals {\n  folder = "${path.module}/release"\n}'
    elsewhere = f"file://{git.folder.parent}/origin/blob/v1.2.3"
    assert registry.text("show", "v1.2.3:README.md") == (
        f"[zips](modules/zips), [example](examples/minimal/main.tf#a), [root]({elsewhere}/terraform/main.tf), "
        f"[here](#b), [code]({elsewhere}/handlers), [site](https://example.com/a)"
    )
    assert registry.text("show", "v1.2.3:modules/zips/README.md") == "[backend](../../main.tf), [backend](../..)"
    for name in RELEASED:
        assert registry.read("show", f"v1.2.3:modules/zips/release/{name}") == git.read("show", f"v1.2.3:{ZIPS}/{name}")


def test_a_registrys_next_release_follows_the_one_before(
    git: Git, registry: Git, release: Callable[..., tuple[int, str, str]]
) -> None:
    release("make", "1.2.3", "true", "--registry", str(registry.folder))
    new = {"CHANGELOG.md": CHANGELOG.replace("1.2.3", "1.2.4"), "terraform/modules/zips/main.tf": "# New.\n"}
    commit(git, {**new, "pyproject.toml": PYPROJECT.replace("1.2.3", "1.2.4")})

    status, _, errors = release("make", "1.2.4", "true", "--registry", str(registry.folder))

    assert status == 0, errors
    assert registry.text("rev-parse", "v1.2.4^") == registry.text("rev-parse", "v1.2.3^{}")


def test_a_registry_without_a_module_that_is_needed_is_refused_before_anything_is_made(
    git: Git, registry: Git, release: Callable[..., tuple[int, str, str]]
) -> None:
    commit(git, {"terraform/modules/backend/main.tf": 'module "root" {\n  source = "../../"\n}\n'})

    status, _, errors = release("make", "1.2.3", "true", "--registry", str(registry.folder))

    assert status == 1
    assert errors == (
        "release: terraform/modules/backend/main.tf needs ../../, which a registry's repository would not have\n"
    )
    assert git.lines("tag", "--list") == registry.lines("tag", "--list") == []


def test_a_registrys_repository_that_is_none_is_refused(
    git: Git, registry: Git, release: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    refused = [release("make", "1.2.3", "true", "--registry", str(git.folder))[2]]
    refused.append(release("make", "1.2.3", "true", "--registry", str(tmp_path / "nowhere"))[2])
    release("make", "1.2.3", "true", "--registry", str(registry.folder))
    git.read("tag", "--delete", "v1.2.3", "manifest/1.2.3")
    refused.append(release("make", "1.2.3", "true", "--registry", str(registry.folder))[2])

    assert refused[0].startswith(f"release: {git.folder} is no bare repository: give REGISTRY=<path>, made by")
    assert refused[1].startswith("release: `git rev-parse --is-bare-repository` failed: ")
    assert refused[2] == f"release: the tag v1.2.3 exists in {registry.folder}\n"


@pytest.mark.parametrize(
    ("remote", "expected"),
    [
        ("git@github.com:org/roomcast.git", "https://github.com/org/roomcast.git"),
        ("ssh://git@git.example.com:2222/org/roomcast", "https://git.example.com/org/roomcast"),
        ("https://alice:secret@github.com/org/roomcast.git", "https://github.com/org/roomcast.git"),
        ("/srv/git/roomcast.git", "file:///srv/git/roomcast.git"),
        ("file:///srv/git/roomcast.git", "file:///srv/git/roomcast.git"),
    ],
)
def test_a_remote_is_named_as_other_people_reach_it(remote: str, expected: str) -> None:
    assert address(remote) == expected


def test_sources_are_pinned_by_tag_and_by_checksum() -> None:
    tag, archive = sources("git@github.com:org/roomcast.git", "1.2.3", "ab")
    assert tag == "git::https://github.com/org/roomcast.git//terraform/modules/backend?ref=v1.2.3&depth=1"
    attached = "https://github.com/org/roomcast/releases/download/v1.2.3/roomcast-1.2.3.zip"
    assert archive == f"{attached}//terraform/modules/backend?checksum=sha256:ab"


def dirty(git: Git) -> None:
    """Leave a file that is not committed."""
    write_tree(git.folder, {"handlers/new.py": ""})


def on_a_branch(git: Git) -> None:
    """Be on another branch."""
    git.read("checkout", "--quiet", "-b", "mine")


def not_pushed(git: Git) -> None:
    """Commit without a push."""
    commit(git, {"handlers/new.py": ""}, push=False)


def above(git: Git) -> None:
    """Have later releases; the last one is not the last of their names in alphabetical order."""
    for version in ("1.9.0", "1.10.0"):
        git.read("tag", f"v{version}")


def above_elsewhere(git: Git) -> None:
    """Have a later release in the remote repository alone."""
    above(git)
    git.read("push", "--quiet", "origin", "v1.10.0")
    git.read("tag", "--delete", "v1.10.0")


def tagged(git: Git) -> None:
    """Have the same release."""
    git.read("tag", "v1.2.3")


def tagged_without_zips(git: Git) -> None:
    """Have the release's manifest."""
    git.read("tag", "manifest/1.2.3")


def without_section(git: Git) -> None:
    """Say nothing of the release."""
    commit(git, {"CHANGELOG.md": CHANGELOG.replace("1.2.3", "1.2.4")})


def with_an_empty_section(git: Git) -> None:
    """Say nothing in the release's section."""
    commit(git, {"CHANGELOG.md": CHANGELOG.replace("- Rooms.", "")})


def unreleased(git: Git) -> None:
    """Say that something is unreleased."""
    commit(git, {"CHANGELOG.md": CHANGELOG.replace("## [Unreleased]", "## [Unreleased]\n\n- More.")})


def of_another_version(git: Git) -> None:
    """Have a Python package with the version of the release before."""
    commit(git, {"pyproject.toml": PYPROJECT.replace("1.2.3", "1.2.2")})


def without_remote(git: Git) -> None:
    """Have no remote repository any more."""
    git.read("remote", "set-url", "origin", "nowhere")


def not_buildable(git: Git) -> None:
    """Have a handler that cannot be built."""
    commit(git, {"handlers/new.py": "import nothing_that_exists\n"})


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (dirty, "the working tree has changes (1 files): commit them first"),
        (on_a_branch, "the branch is mine: releases are made of main"),
        (not_pushed, "the commit is not the last one of origin's main: push it, or pull"),
        (above, "1.2.3 is not above 1.10.0, the last release"),
        (above_elsewhere, "1.2.3 is not above 1.10.0, the last release"),
        (tagged, "the tag v1.2.3 exists"),
        (tagged_without_zips, "the tag manifest/1.2.3 exists"),
        (without_section, "CHANGELOG.md has no section [1.2.3]: move what is in [Unreleased] there"),
        (with_an_empty_section, "CHANGELOG.md has no section [1.2.3]: move what is in [Unreleased] there"),
        (unreleased, "the section [Unreleased] of CHANGELOG.md is not empty"),
        (of_another_version, "pyproject.toml has version 1.2.2, which `roomcast --version` prints: set it to 1.2.3"),
        (without_remote, "`git ls-remote nowhere` failed: "),
        (not_buildable, "the zips cannot be built: "),
    ],
)
def test_a_release_is_refused_with_a_sentence(
    git: Git, release: Callable[..., tuple[int, str, str]], spoil: Callable[[Git], None], sentence: str
) -> None:
    spoil(git)
    before = git.lines("tag", "--list")

    status, _, errors = release()

    assert status == 1
    assert errors.startswith(f"release: {sentence.replace('nowhere', 'origin')}")
    assert git.lines("tag", "--list") == before


@pytest.mark.parametrize("version", ["1.2", "v1.2.3", "1.2.3-rc1", "1.02.3", "1.2.3\n", ""])
def test_another_form_of_version_is_refused(release: Callable[..., tuple[int, str, str]], version: str) -> None:
    status, _, errors = release(version=version)

    assert (status, errors) == (1, f"release: {version!r} is no version: give VERSION=X.Y.Z\n")


def test_checks_that_fail_end_the_release(git: Git, release: Callable[..., tuple[int, str, str]]) -> None:
    status, _, errors = release(checks="exit 3")

    assert (status, errors) == (1, "release: the checks have failed: exit 3\n")
    assert git.lines("tag", "--list") == []


def test_a_release_is_verified_by_a_second_build_of_its_commit(
    git: Git, release: Callable[..., tuple[int, str, str]]
) -> None:
    release()
    before = (git.folder / "build" / "roomcast-1.2.3.zip").read_bytes()
    commit(git, {"handlers/connect.py": "def handler(event, context): return 1\n"})

    status, output, errors = release("verify")

    assert status == 0, errors
    assert output.startswith("v1.2.3 holds what its commit builds; ")
    assert (git.folder / "build" / "roomcast-1.2.3.zip").read_bytes() == before


def forge(git: Git, files: dict[str, str]) -> None:
    """Move the release's tag to a commit with other files."""
    parent = git.text("rev-parse", "v1.2.3^")
    git.read("checkout", "--quiet", "--merge", "v1.2.3^{}")
    write_tree(git.folder, files)
    git.read("add", "--force", *files)
    tree = git.text("write-tree")
    forged = git.text("commit-tree", tree, "-p", parent, "-m", "Release 1.2.3")
    git.read("tag", "--force", "--annotate", "-m", "Roomcast 1.2.3", "v1.2.3", forged)


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        (f"{ZIPS}/connect.zip", f"{ZIPS}/connect.zip is another one than "),
        (f"{ZIPS}/evil.zip", f"{ZIPS}/evil.zip is not built from "),
        ("terraform/main.tf", "terraform/main.tf differs from the commit that was tested"),
        ("terraform/added.tf", "terraform/added.tf differs from the commit that was tested"),
    ],
)
def test_a_release_that_its_commit_does_not_build_is_a_fault(
    git: Git, release: Callable[..., tuple[int, str, str]], path: str, sentence: str
) -> None:
    release()
    forge(git, {path: "evil\n"})

    status, _, errors = release("verify")

    assert status == 1
    assert errors.startswith(f"release: {sentence}")


def test_a_release_that_takes_a_file_away_is_a_fault(git: Git, release: Callable[..., tuple[int, str, str]]) -> None:
    commit(git, {f"{ZIPS}/kept.txt": "It was there.\n"})
    release()
    git.read("checkout", "--quiet", "v1.2.3^{}")
    git.read("rm", "--quiet", f"{ZIPS}/kept.txt")
    forge(git, {"terraform/modules/zips/release/connect.zip": "evil\n"})

    assert f"{ZIPS}/kept.txt differs from the commit that was tested" in release("verify")[2]


def test_a_release_that_lacks_a_zip_is_a_fault(git: Git, release: Callable[..., tuple[int, str, str]]) -> None:
    release()
    git.read("tag", "--force", "--annotate", "-m", "Roomcast 1.2.3", "v1.2.3", "manifest/1.2.3^{}")

    _, _, errors = release("verify")

    assert errors == f"release: {ZIPS}/connect.zip is missing; {ZIPS}/default.zip is missing\n"


def test_a_tag_that_is_no_release_is_refused(git: Git, release: Callable[..., tuple[int, str, str]]) -> None:
    with pytest.raises(ReleaseError, match="failed"):
        git.read("rev-parse", "v1.2.3^")
    assert release("verify")[0] == 1

    git.read("tag", "v1.2.3")
    status, _, errors = release("verify")
    assert (status, errors) == (
        1,
        "release: v1.2.3 has 0 parents, and a release has one: the commit that was tested\n",
    )


def test_a_tag_is_signed_if_git_knows_a_key(git: Git, release: Callable[..., tuple[int, str, str]]) -> None:
    assert "v1.2.3: not signed, because git knows no user.signingkey" in release()[1]

    signer = git.folder.parent / "signer"
    signer.write_text(
        f"#!{sys.executable}\nimport sys\nsys.stdin.read()\n"
        "print('\\n[GNUPG:] SIG_CREATED ', file=sys.stderr)\nprint('-----BEGIN PGP SIGNATURE-----')\n"
    )
    signer.chmod(0o755)
    git.read("tag", "--delete", "v1.2.3", "manifest/1.2.3")
    for name, value in (("user.signingkey", "mine"), ("gpg.program", str(signer))):
        git.read("config", name, value)

    status, output, errors = release()

    assert status == 0, errors
    assert "v1.2.3: signed" in output
    assert "BEGIN PGP SIGNATURE" in git.text("cat-file", "tag", "v1.2.3")
