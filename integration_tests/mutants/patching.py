"""Copies of the handlers with a mutant's changes made in them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from integration_tests.mutants.catalogue import Edit

REPOSITORY = Path(__file__).resolve().parents[2]


class PatchError(Exception):
    """The handlers are not what an edit was written for; the message names file and text."""


def copy(folder: Path, edits: Iterable[Edit] = ()) -> Path:
    """Copy the handlers with their tests, and make some changes.

    Args:
        folder: Where ``handlers/`` is made, with the settings of pytest beside it.
        edits: The changes.

    Returns:
        The copy of ``handlers/``.

    Raises:
        PatchError: The text to be replaced is not there, or more than once.
    """
    handlers = folder / "handlers"
    shutil.copytree(REPOSITORY / "handlers", handlers, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "pyproject.toml", folder)
    for edit in edits:
        apply(handlers, edit)
    return handlers


def apply(handlers: Path, edit: Edit) -> None:
    """Make one change in a copy of the handlers.

    Raises:
        PatchError: The text to be replaced is not there, or more than once.
    """
    file = handlers / edit.file
    text = file.read_text(encoding="utf-8")
    if (times := text.count(edit.old)) != 1:
        raise PatchError(f"handlers/{edit.file} holds this text {times} times instead of once: {edit.old!r}")
    file.write_text(text.replace(edit.old, edit.new), encoding="utf-8")
