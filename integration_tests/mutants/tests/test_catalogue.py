"""Every mutant still fits the handlers, and the tests that are named for it exist."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

from integration_tests.mutants.catalogue import MUTANTS, Edit, Mutant
from integration_tests.mutants.patching import REPOSITORY, PatchError, copy
from integration_tests.mutants.runs import without_case
from scripts.build_handlers import render

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name.replace(" ", "-") for mutant in MUTANTS])
def test_mutant_can_be_made(mutant: Mutant, tmp_path: Path) -> None:
    assert render(copy(tmp_path, mutant.edits)) != render(REPOSITORY / "handlers")


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name.replace(" ", "-") for mutant in MUTANTS])
def test_named_tests_exist(mutant: Mutant) -> None:
    for node_id in (*mutant.units, *mutant.sockets):
        file, *_, name = without_case(node_id).split("::")
        tree = ast.parse((REPOSITORY / file).read_text(encoding="utf-8"))
        functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
        assert name in functions


@pytest.mark.parametrize("old", ["no such text", "import"])
def test_handlers_that_have_changed_are_not_patched(tmp_path: Path, old: str) -> None:
    with pytest.raises(PatchError, match="instead of once"):
        copy(tmp_path, [Edit("sendmessage.py", old, "")])
