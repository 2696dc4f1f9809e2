"""Imports go one way: integration tests import scripts, scripts import handlers."""

from __future__ import annotations

import ast
import re
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

import pytest

from scripts.repository import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

LAYERS = (
    "handlers",
    "scripts",
    "integration_tests.harness",
    "integration_tests.targets",
    "integration_tests.report",
    "integration_tests.load",
    "integration_tests",
)
"""From the bottom up: a module may import from its own layer and the layers below."""


STARTS = (REPOSITORY / "handlers", REPOSITORY / "scripts" / "client", REPOSITORY / "scripts" / "cli", REPOSITORY)
"""Where imports begin."""


def modules() -> dict[str, Path]:
    """Return every Python file of the repository by its module name."""
    found = {}
    for folder in ("handlers", "scripts", "integration_tests"):
        for path in sorted((REPOSITORY / folder).rglob("*.py")):
            start = next(start for start in STARTS if path.is_relative_to(start))
            found[".".join(path.relative_to(start).with_suffix("").parts).removesuffix(".__init__")] = path
    return found


def imported(source: str, known: set[str]) -> set[str]:
    """Return the modules that a source imports, including those for type checkers only."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= inner & known or {node.module}
    return names & known


def is_test(name: str, path: Path) -> bool:
    """Whether a module holds or only supports tests; such a module may import any other."""
    return "tests" in name.split(".") or path.name.startswith(("test_", "conftest"))


def layer(name: str, path: Path) -> int:
    """Return the number of a module's layer."""
    if path.is_relative_to(REPOSITORY / "handlers"):
        return 0
    if path.is_relative_to(REPOSITORY / "scripts"):
        return 1
    return next(number for number, prefix in enumerate(LAYERS) if f"{name}.".startswith(f"{prefix}."))


FILES = modules()
IMPORTS = {name: imported(path.read_text("utf-8"), set(FILES)) - {name} for name, path in FILES.items()}


def upward(imports: dict[str, set[str]]) -> list[str]:
    """Return the imports of a module from a layer above its own."""
    return [
        f"{name} imports {other}"
        for name, others in imports.items()
        for other in others
        if layer(name, FILES[name]) < layer(other, FILES[other]) and not is_test(name, FILES[name])
    ]


def test_no_module_imports_from_a_layer_above_its_own() -> None:
    assert upward(IMPORTS) == []


def test_no_scripts_test_imports_the_harness() -> None:
    tests = {name: others for name, others in IMPORTS.items() if name.startswith("scripts.")}

    assert [name for name, others in tests.items() if any("integration_tests" in other for other in others)] == []


def test_client_imports_nothing_else_of_the_repository() -> None:
    others = {name: {other for other in IMPORTS[name] if not other.startswith("roomcast_client")} for name in IMPORTS}

    assert {name: others[name] for name in IMPORTS if name.startswith("roomcast_client") and others[name]} == {}
    assert IMPORTS["roomcast_client.session"]
    of_cli = {other.partition(".")[0] for name in IMPORTS if name.startswith("roomcast_cli") for other in IMPORTS[name]}
    assert of_cli == {"roomcast_cli", "roomcast_client", "roomcast"}


def test_no_files_import_each_other_in_a_circle() -> None:
    TopologicalSorter(IMPORTS).prepare()


def test_circle_and_upward_import_would_be_seen() -> None:
    imports = {name: set(others) for name, others in IMPORTS.items()}
    imports["scripts.terraform"].add("integration_tests.harness.client")

    assert upward(imports) == ["scripts.terraform imports integration_tests.harness.client"]

    imports["scripts.waiting"].add("scripts.terraform")
    with pytest.raises(CycleError):
        TopologicalSorter(imports).prepare()


RUN_BY_ITS_PATH = "scripts.build_handlers"
"""It finds the modules that it imports by the folder."""


def test_one_module_knows_the_folder_of_the_repository() -> None:
    """Others would each have to be changed when they move."""
    finding = [
        name
        for name, path in FILES.items()
        if not path.is_relative_to(REPOSITORY / "handlers")
        for parents, number in re.findall(
            r"Path\(__file__\)(?:\.resolve\(\))?((?:\.parent\b)*)(?:\.parents\[(\d)\])?", path.read_text("utf-8")
        )
        if path.parents[int(number) if number else max(0, parents.count(".parent") - 1)] == REPOSITORY
    ]
    assert sorted(finding) == [RUN_BY_ITS_PATH, "scripts.repository"]
