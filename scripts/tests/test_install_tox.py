"""tox in an environment of its own, which is made again when it cannot run."""

from __future__ import annotations

import subprocess
import sys
import venv
from typing import TYPE_CHECKING, Any

import pytest

from scripts import install_tox
from scripts.tests.trees import write_tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A tox that prints nothing, in an environment of its own."""
    venv.create(tmp_path / "clone" / "build" / "tox", symlinks=True)
    tox = tmp_path / "clone" / "build" / "tox" / "bin" / "tox"
    write_tree(tox.parent, {"tox": f"#!{tox.with_name('python')}\n"})
    [packages] = tox.parents[1].glob("lib/python*/site-packages")
    write_tree(packages, {"tox.py": ""})
    return tox


def removed_python(program: Path) -> Path:
    """Have the environment's Python removed; return its tox."""
    for python in program.parent.glob("python*"):
        python.unlink()
        python.symlink_to("/nowhere/python3")
    return program


def other_python(program: Path) -> Path:
    """Have the environment's Python replaced by one of another version, which looks for packages elsewhere."""
    [library] = program.parents[1].glob("lib/python*")
    library.rename(library.with_name("python3.1"))
    return program


def renamed(program: Path) -> Path:
    """Have the clone renamed; return its tox."""
    clone = program.parents[3]
    return clone.rename(clone.with_name("renamed")) / program.relative_to(clone)


def test_tox_that_works_stays(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert install_tox.works(program)

    monkeypatch.chdir(program.parents[3])

    assert install_tox.main("build/tox") == 0
    assert program.exists()


@pytest.mark.parametrize("broken", [removed_python, other_python, renamed])
def test_tox_that_cannot_run_is_installed_again_and_its_environments_go(
    program: Path,
    broken: Callable[[Path], Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    program = broken(program)
    clone = program.parents[3]
    write_tree(clone, {".tox/harness/bin/python": ""})
    monkeypatch.chdir(clone)
    commands: list[Any] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[bytes]:
        commands.append(command)
        return subprocess.CompletedProcess(command, 0)

    assert not install_tox.works(program)
    monkeypatch.setattr(install_tox, "works", lambda _: False)
    monkeypatch.setattr(subprocess, "run", run)

    assert install_tox.main("build/tox", ".tox") == 0
    assert commands[0] == [sys.executable, "-m", "venv", "build/tox"]
    assert not program.exists()
    assert not (clone / ".tox").exists()
    assert capsys.readouterr().out.startswith("build/tox and .tox cannot be used any more: ")


def test_no_other_folder_goes(
    program: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clone = removed_python(program).parents[3]
    write_tree(clone, {".tox/harness/bin/python": ""})
    monkeypatch.chdir(clone)
    monkeypatch.setattr(install_tox, "works", lambda _: False)
    monkeypatch.setattr(subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 0))

    assert install_tox.main("build/tox") == 0
    assert (clone / ".tox/harness/bin/python").exists()
    assert capsys.readouterr().out.startswith("build/tox cannot be used any more: ")


def test_nothing_is_said_to_work_no_longer_at_the_first_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 0))

    assert install_tox.main("build/tox") == 0
    assert capsys.readouterr().out == "installing tox into build/tox\n"
