"""Copies of the repository with a mutant's edits."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from scripts.repository import REPOSITORY
from scripts.terraform import PERSONAL_FILES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from integration_tests.mutants.mutant import Edit

FOLDERS = (".ci", "handlers", "integration_tests", "scripts", "terraform")


class PatchError(Exception):
    """The text that an edit replaces does not occur exactly once; the message names file and text."""


def copy(folder: Path, edits: Iterable[Edit] = ()) -> Path:
    """Copy the repository and apply edits to the copy.

    Args:
        folder: Root of the copy.
        edits: The edits.

    Returns:
        The folder.

    Raises:
        PatchError: A text to be replaced does not occur exactly once.
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
    """Apply one edit to a copy.

    Raises:
        PatchError: The text to be replaced does not occur exactly once.
    """
    file = folder / edit.file
    text = file.read_text(encoding="utf-8")
    if (times := text.count(edit.old)) != 1:
        raise PatchError(f"{edit.file} holds this text {times} times instead of once: {edit.old!r}")
    file.write_text(text.replace(edit.old, edit.new), encoding="utf-8")


@contextmanager
def applied(folder: Path, edits: Iterable[Edit]) -> Iterator[None]:
    """Apply edits to a copy, and restore the files when the context ends.

    Raises:
        PatchError: A text to be replaced does not occur exactly once.
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
