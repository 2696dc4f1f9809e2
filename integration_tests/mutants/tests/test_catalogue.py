"""Every mutant still applies to the code, and the tests it names exist."""

from __future__ import annotations

import ast
import functools
from typing import TYPE_CHECKING

import pytest

from integration_tests.mutants.catalogue import MUTANTS, read
from integration_tests.mutants.mutant import Edit, Mutant
from integration_tests.mutants.patching import PatchError, applied, apply
from integration_tests.mutants.runs import FAILED, NOT_RUN, PASSED, without_case
from integration_tests.mutants.terraform_runs import names_in, only, read_results
from scripts.repository import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

NAMES = [mutant.name.replace(" ", "-") for mutant in MUTANTS]
RUNS = 'variables {\n}\n\nrun "one" {\n  assert {\n  }\n}\n\nrun "two" {\n}\n'
OUTPUT = """terraform test failed in terraform/modules/handler (exit status 1):
tests/handler.tftest.hcl... in progress
  run "one"... pass
  run "two"... fail

Error: Test assertion failed

  on tests/handler.tftest.hcl line 26, in run "two":
tests/handler.tftest.hcl... tearing down
tests/handler.tftest.hcl... fail
tests/validations.tftest.hcl... in progress
  run "one"... fail

Error: Unsupported argument

  run "two"... skip
tests/validations.tftest.hcl... tearing down
tests/validations.tftest.hcl... fail

Failure! 1 passed, 2 failed, 1 skipped.
"""


def copy_of(file: str, folder: Path) -> Path:
    """Copy one file of the repository and return the copy."""
    copy = folder / file
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_bytes((REPOSITORY / file).read_bytes())
    return copy


@functools.cache
def functions_of(file: str) -> set[str]:
    """Return the names of all functions in one file of the repository, those of classes as ``Class::function``."""
    tree = ast.parse((REPOSITORY / file).read_text(encoding="utf-8"))
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    scopes = [("", tree.body), *((f"{each.name}::", each.body) for each in classes)]
    return {
        f"{prefix}{node.name}"
        for prefix, body in scopes
        for node in body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


PARAGRAPHS = """\
# A comment, which is skipped.

forgets both
handlers/one.py
-    first
-    second
handlers/two.py
-old
-
+new
+
handlers/two.py
-, more
+
units a.py::test_one[with a space]
terraform b.tftest.hcl::run
units a.py::test_two
"""


def test_paragraph_is_a_mutant() -> None:
    assert [*read(PARAGRAPHS)] == [
        Mutant(
            "forgets both",
            (
                Edit("handlers/one.py", "    first\n    second\n", ""),
                Edit("handlers/two.py", "old\n", "new\n"),
                Edit("handlers/two.py", ", more", ""),
            ),
            units=("a.py::test_one[with a space]", "a.py::test_two"),
            terraform=("b.tftest.hcl::run",),
        )
    ]


@pytest.mark.parametrize(
    "text",
    [
        "no edit\nunits a.py::test_one",
        "no test\nhandlers/one.py\n-old\n+new",
        "no old text\nhandlers/one.py\n+new\nunits a.py::test_one",
        "another kind\nhandlers/one.py\n-old\n+new\nunit a.py::test_one",
        "stray line\nhandlers/one.py\n-old\nold\n+new\nunits a.py::test_one",
    ],
)
def test_paragraph_that_is_no_mutant_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no mutant"):
        list(read(text))


def test_no_two_mutants_have_one_name() -> None:
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize("mutant", MUTANTS, ids=NAMES)
def test_mutant_can_be_made(mutant: Mutant, tmp_path: Path) -> None:
    for file in {edit.file for edit in mutant.edits}:
        copy_of(file, tmp_path)
    for edit in mutant.edits:
        apply(tmp_path, edit)
    for file in {edit.file for edit in mutant.edits}:
        text = (tmp_path / file).read_text(encoding="utf-8")
        assert text != (REPOSITORY / file).read_text(encoding="utf-8")
        if file.endswith(".py"):
            ast.parse(text)


@pytest.mark.parametrize("mutant", MUTANTS, ids=NAMES)
def test_named_tests_exist(mutant: Mutant) -> None:
    for node_id in (*mutant.units, *mutant.sockets):
        file, _, name = without_case(node_id).partition("::")
        assert name in functions_of(file)
    for node_id in mutant.terraform:
        file, _, name = node_id.partition("::")
        assert name in names_in((REPOSITORY / file).read_text(encoding="utf-8"))


@pytest.mark.parametrize("old", ["no such text", "import"])
def test_code_that_has_changed_is_not_patched(tmp_path: Path, old: str) -> None:
    copy_of("handlers/sendmessage.py", tmp_path)
    with pytest.raises(PatchError, match="instead of once"):
        apply(tmp_path, Edit("handlers/sendmessage.py", old, ""))


def test_changes_are_taken_back(tmp_path: Path) -> None:
    file = copy_of("handlers/sendmessage.py", tmp_path)
    before = file.read_bytes()
    with applied(tmp_path, [Edit("handlers/sendmessage.py", "def handler(", "def handle(")]):
        assert file.read_bytes() != before
    assert file.read_bytes() == before


def test_only_some_runs_of_a_file_are_left() -> None:
    assert names_in(RUNS) == {"one", "two"}
    assert only(["two"], RUNS) == 'variables {\n}\n\n\nrun "two" {\n}\n'


def test_a_run_that_terraform_could_not_begin_has_noticed_nothing() -> None:
    assert list(read_results(OUTPUT)) == [
        ("tests/handler.tftest.hcl", "one", PASSED),
        ("tests/handler.tftest.hcl", "two", FAILED),
        ("tests/validations.tftest.hcl", "one", NOT_RUN),
        ("tests/validations.tftest.hcl", "two", NOT_RUN),
    ]
