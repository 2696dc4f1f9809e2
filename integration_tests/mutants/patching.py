"""Copies of the repository with a mutant's changes made in them."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.terraform import PERSONAL_FILES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from integration_tests.mutants.mutant import Edit

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDERS = ("handlers", "integration_tests", "scripts", "terraform")


class PatchError(Exception):
    """The code is not what an edit was written for; the message names file and text."""


def copy(folder: Path, edits: Iterable[Edit] = ()) -> Path:
    """Copy the repository, and make some changes.

    Args:
        folder: Where the copy is made.
        edits: The changes.

    Returns:
        The folder.

    Raises:
        PatchError: The text to be replaced is not there, or more than once.
    """
    ignored = shutil.ignore_patterns("__pycache__", *PERSONAL_FILES)
    for name in FOLDERS:
        shutil.copytree(REPOSITORY / name, folder / name, ignore=ignored)
    for file in REPOSITORY.iterdir():
        if file.is_file():
            shutil.copy(file, folder)
    for edit in edits:
        apply(folder, edit)
    return folder


def apply(folder: Path, edit: Edit) -> None:
    """Make one change in a copy.

    Raises:
        PatchError: The text to be replaced is not there, or more than once.
    """
    file = folder / edit.file
    text = file.read_text(encoding="utf-8")
    if (times := text.count(edit.old)) != 1:
        raise PatchError(f"{edit.file} holds this text {times} times instead of once: {edit.old!r}")
    file.write_text(text.replace(edit.old, edit.new), encoding="utf-8")


@contextmanager
def applied(folder: Path, edits: Iterable[Edit]) -> Iterator[None]:
    """Make some changes in a copy, and take them back when the context ends.

    Raises:
        PatchError: The text to be replaced is not there, or more than once.
    """
    edits = tuple(edits)
    before = {file: file.read_bytes() for file in {folder / edit.file for edit in edits}}
    try:
        for edit in edits:
            apply(folder, edit)
        yield
    finally:
        for file, content in before.items():
            file.write_bytes(content)
