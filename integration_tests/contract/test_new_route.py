"""A new route costs four edits: row, policy, handler and test. A new variable costs three, and the place that uses it.

All checks pass without another edit, once `make format` has written the generated parts of the Markdown files. The new
route begins as a copy of one that is there, as a team's would.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from integration_tests.mutants.patching import copy
from scripts.terraform import common
from scripts.waiting import scaled

if TYPE_CHECKING:
    from pathlib import Path

ROUTE = "wave_back"
ROW = """
    "{name}" = {{
      description            = "Waves back at the caller."
      memory_size            = 512
      timeout                = 20
      throttling_burst_limit = 5
      throttling_rate_limit  = 2.5
    }}
"""
ALIKE = ("whoami", "default")
"""Handlers that the new one is a copy of: one that serves a message of its own, and one that answers any other."""
LINT = (
    ("ruff", "check"),
    ("ruff", "format", "--check"),
    ("scripts.check_routes",),
    ("scripts.check_variables",),
    ("scripts.module_docs", "--check"),
    ("scripts.terraform", "fmt", "-check", "-recursive", "-diff", "terraform"),
)
ABOUT_EVERY_FUNCTION = ("handlers/tests/test_configuration.py", "scripts/tests/test_agreement.py")
"""Unit tests that look at each function."""
SECONDS = 300.0
LONG_SECONDS = 1_500.0
"""Time limits of a command: lint takes seconds on an idle machine, unit and Terraform tests a minute or two."""


def add_route(repository: Path, name: str, like: str) -> set[str]:
    """Add a route by four edits.

    Args:
        repository: A copy of the repository.
        name: The route's.
        like: The route that it copies handler and policy from.

    Returns:
        The files that were written.
    """
    backend = "terraform/modules/backend"
    rows = f"{backend}/routes.tf"
    table = (repository / rows).read_text(encoding="utf-8")
    texts = {
        rows: re.sub(r"(?m)^  routes = \{\n", lambda begin: begin[0] + ROW.format(name=name).lstrip("\n"), table),
        f"{backend}/policies/{name}.json.tftpl": read(repository, f"{backend}/policies/{like}.json.tftpl"),
        f"handlers/{name}.py": read(repository, f"handlers/{like}.py"),
        f"integration_tests/routes/test_{name}.py": read(repository, "integration_tests/routes/test_whoami.py"),
    }
    for file, text in texts.items():
        (repository / file).write_text(text, encoding="utf-8")
    return set(texts)


def read(repository: Path, file: str) -> str:
    """Return the text of a file."""
    return (repository / file).read_text(encoding="utf-8")


def run(repository: Path, module: str, *arguments: str, seconds: float = SECONDS) -> None:
    """Run a module of Python in a copy of the repository; fail with its output if it fails."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTEST_"))}
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=repository,
        env={
            **inherited,
            "PYTHONDONTWRITEBYTECODE": "1",
            "TF_PLUGIN_CACHE_DIR": str(common.GENERATED / "plugin-cache"),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=scaled(seconds),
    )
    assert done.returncode == 0, f"{module} {' '.join(arguments)}:\n{done.stdout}"


def digests(repository: Path) -> dict[str, str]:
    """Return the digest of each file of a copy."""
    return {
        file.relative_to(repository).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in repository.rglob("*")
        if file.is_file()
    }


@pytest.fixture(params=ALIKE)
def repository(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of the repository with one more route; its generated files are up to date."""
    copied = copy(tmp_path / "repository")
    before = digests(copied)
    written = add_route(copied, ROUTE, request.param)
    assert len(written) == 4
    assert {file for file, digest in digests(copied).items() if before.get(file) != digest} == written
    run(copied, "scripts.module_docs")
    generated = {file for file, digest in digests(copied).items() if before.get(file) != digest} - written
    assert generated == {"handlers/README.md"}
    run(copied, "scripts.build_handlers")
    return copied


@pytest.mark.without_target
def test_lint_and_the_tests_of_each_function_pass(repository: Path) -> None:
    for module, *arguments in LINT:
        run(repository, module, *arguments)
    run(repository, "pytest", "-q", "-p", "no:cacheprovider", *ABOUT_EVERY_FUNCTION)


@pytest.mark.without_target
def test_a_variable_costs_three_edits_and_the_place_that_uses_it(tmp_path: Path) -> None:
    copied = copy(tmp_path / "repository")
    variable = 'variable "patience" {\n  type = number\n  description = "Seconds."\n  default = 3\n  nullable = false\n'
    validation = (
        '  validation {\n    condition = var.patience > 0\n    error_message = "patience must be above 0."\n  }\n'
    )
    for file, old, new in (
        ("terraform/modules/backend/variables.tf", "", f"\n{variable}{validation}}}\n"),
        ("terraform/variables.tf", "", f"\n{variable}}}\n"),
        ("terraform/main.tf", "  pace ", "  patience = var.patience\n"),
        (
            "terraform/modules/backend/functions.tf",
            "    ROOMCAST_PACE ",
            "    ROOMCAST_PATIENCE = tostring(var.patience)\n",
        ),
        ("handlers/roomcast/settings.py", '    "pace": ', '    "patience": Variable("ROOMCAST_PATIENCE", int, 3),\n'),
        ("handlers/roomcast/settings.py", "    pace: float\n", "    patience: int\n"),
    ):
        text = read(copied, file)
        assert text.count(old) == 1 or not old
        (copied / file).write_text(text.replace(old, new + old) if old else text + new, encoding="utf-8")
    for tool in (("terraform", "fmt", "-recursive", "terraform"), ("module_docs",)):
        run(copied, f"scripts.{tool[0]}", *tool[1:])

    for module, *arguments in LINT:
        run(copied, module, *arguments)
    run(copied, "pytest", "-q", "-p", "no:cacheprovider", *ABOUT_EVERY_FUNCTION, "handlers/tests/test_settings.py")


@pytest.mark.without_target
@pytest.mark.long
@pytest.mark.timeout(scaled(LONG_SECONDS))
def test_all_unit_tests_pass(repository: Path) -> None:
    run(repository, "pytest", "-q", "-p", "no:cacheprovider", "handlers/tests", "scripts/tests", seconds=LONG_SECONDS)


@pytest.mark.without_target
@pytest.mark.long
@pytest.mark.timeout(scaled(LONG_SECONDS))
def test_terraform_tests_pass(repository: Path) -> None:
    directories = ("terraform", "terraform/modules/backend", "terraform/modules/zips")
    run(repository, "scripts.terraform", "check", *directories, seconds=LONG_SECONDS)
