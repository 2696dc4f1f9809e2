"""The checks as `make lint` runs them: a fault is printed and is the exit status, and without one they are quiet."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from scripts.repository import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

CHECKS = {
    "check_routes": ("handlers/whoami.py", "def handler(", "def handle(", "must define a function `handler`"),
    "check_variables": ("terraform/main.tf", "= var.pace\n", "= var.shards_read\n", "pace"),
    "module_docs": ("terraform/modules/handler/variables.tf", "Days that CloudWatch keeps", "Days for", "README.md"),
}
"""By check: a file, a text in it, another one that is a fault, and a part of the sentence about it."""


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository."""
    root = tmp_path_factory.mktemp("copy") / "repository"
    ignored = shutil.ignore_patterns("__pycache__", ".*", "build")
    for folder in ("handlers", "integration_tests", "scripts", "terraform"):
        shutil.copytree(REPOSITORY / folder, root / folder, ignore=ignored)
    for file in (*REPOSITORY.glob("*.md"), REPOSITORY / "LICENSE"):
        shutil.copy(file, root)
    return root


def run(repository: Path, check: str) -> subprocess.CompletedProcess[str]:
    """Run a check in the copy."""
    options = ["--check"] if check == "module_docs" else []
    command = [sys.executable, "-m", f"scripts.{check}", *options]
    return subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("check", CHECKS)
def test_a_fault_is_told_and_is_the_exit_status(repository: Path, check: str) -> None:
    file, old, new, told = CHECKS[check]
    good = run(repository, check)
    assert (good.returncode, good.stderr) == (0, "")
    if check == "check_routes":
        assert "whoami" in good.stdout
        assert good.stdout.count("\n") >= 7  # headings, five routes and the worker

    text = (repository / file).read_text(encoding="utf-8")
    assert text.count(old) == 1
    (repository / file).write_text(text.replace(old, new), encoding="utf-8")
    bad = run(repository, check)
    (repository / file).write_text(text, encoding="utf-8")

    assert bad.returncode == 1
    assert bad.stderr.startswith(f"{check}: ")
    assert told in bad.stderr
    assert "Traceback" not in bad.stderr
