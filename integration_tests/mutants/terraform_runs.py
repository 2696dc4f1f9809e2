"""Runs ``terraform test`` with a mutant's edits and reads the outcome of each run."""

from __future__ import annotations

import re
from collections import defaultdict
from threading import Lock
from typing import TYPE_CHECKING

from integration_tests.mutants.patching import applied
from integration_tests.mutants.runs import FAILED, NOT_RUN, PASSED
from scripts.asked_of_aws import differences
from scripts.repository import REPOSITORY
from scripts.terraform import CONFIGURATION, WHOLE, TerraformError, Workspace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from integration_tests.mutants.mutant import Edit
    from integration_tests.mutants.runs import Results

BLOCK = re.compile(r'^run "(\w+)" \{\n.*?^\}\n', re.MULTILINE | re.DOTALL)
"""One run, in a file as ``terraform fmt`` leaves it."""

FILE = re.compile(r"^(tests/\S+)\.\.\. in progress$", re.MULTILINE)
RESULT = re.compile(r'^  run "(\w+)"\.\.\. (\w+)$', re.MULTILINE)
WRONG = re.compile(r"^(?:\S+ )?Error: (?:Test assertion failed|Missing expected failure)$", re.MULTILINE)
"""Errors by which a run notices a mutant. Any other error, as of syntax, means that the run proves nothing."""


class TerraformTests:
    """Runs tests of Terraform modules, one at a time, in copies that are initialised once.

    Args:
        folder: Folder for the copies.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._workspaces: dict[Path, Workspace] = {}
        self._lock = Lock()

    def run(self, tests: Sequence[str], edits: Sequence[Edit] = ()) -> Results:
        """Run tests and return their outcomes.

        Args:
            tests: Runs, as ``<file>::<name of the run>``.
            edits: Edits to apply first.
        """
        by_folder: defaultdict[Path, defaultdict[Path, set[str]]] = defaultdict(lambda: defaultdict(set))
        for test in tests:
            file, _, name = test.partition("::")
            by_folder[(REPOSITORY / file).parent][REPOSITORY / file].add(name)
        results: Results = {}
        with self._lock:
            for folder, files in by_folder.items():
                workspace = self._workspace(
                    next(each.parent for each in (folder, *folder.parents) if each.name == "tests")
                )
                results |= self._run_folder(workspace, folder, files, edits)
        return results

    def _workspace(self, module: Path) -> Workspace:
        if module not in self._workspaces:
            workspace = Workspace(module, self._folder / str(len(self._workspaces)))
            workspace.init(backend=False)
            self._workspaces[module] = workspace
        return self._workspaces[module]

    @staticmethod
    def _run_folder(
        workspace: Workspace, folder: Path, files: Mapping[Path, set[str]], edits: Sequence[Edit]
    ) -> Results:
        copy = workspace.tree / folder.relative_to(REPOSITORY)
        for file in copy.glob("*.tftest.hcl"):
            file.unlink()
        for file, names in files.items():
            (copy / file.name).write_text(only(names, file.read_text(encoding="utf-8")), encoding="utf-8")
        with applied(workspace.tree, [edit for edit in edits if edit.file.startswith("terraform/")]):
            if folder == CONFIGURATION / WHOLE:
                [file] = files
                return {f"{file.relative_to(REPOSITORY)}::{name}": each for name, each in compared(workspace)}
            try:
                output = workspace.test()
            except TerraformError as error:
                output = str(error)
        module = workspace.directory.relative_to(REPOSITORY).as_posix()
        return {f"{module}/{file}::{name}": result for file, name, result in read_results(output)}


def compared(workspace: Workspace) -> Iterator[tuple[str, str]]:
    """Yield name and outcome of each run that is compared as a whole with a table.

    Raises:
        TerraformError: A run left no state.
    """
    for name, state in workspace.states(WHOLE).items():
        yield name, FAILED if differences(name, state) else PASSED


def only(names: Iterable[str], text: str) -> str:
    """Return the text of a test file with only the named runs."""
    kept = set(names)
    return BLOCK.sub(lambda block: block[0] if block[1] in kept else "", text)


def read_results(output: str) -> Iterator[tuple[str, str, str]]:
    """Yield file, name and outcome of each run in the output of ``terraform test``."""
    parts = FILE.split(output)
    for file, text in zip(parts[1::2], parts[2::2], strict=True):
        runs = RESULT.split(text)
        for name, outcome, remarks in zip(runs[1::3], runs[2::3], runs[3::3], strict=True):
            if outcome == "pass":
                yield file, name, PASSED
            else:
                yield file, name, FAILED if outcome == "fail" and WRONG.search(remarks) else NOT_RUN


def names_in(text: str) -> set[str]:
    """Return the names of the runs in a test file."""
    return {block[1] for block in BLOCK.finditer(text)}
