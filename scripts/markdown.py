"""Markdown: tables, code and links."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.repository import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Sequence


class DocumentationError(Exception):
    """A file cannot be filled or is out of date; the message is a sentence."""


def as_code(text: str) -> str:
    """Return a text as code, which may stand in a table."""
    return f"`{text}`".replace("|", "\\|")


def link_to(document: Path, place: str) -> str:
    """Return a link to a place ``file:line``; without the line, which any edit of the file would move."""
    file = REPOSITORY / place.rpartition(":")[0]
    return f"[{file.name}]({relative(document, file)})"


def relative(document: Path, file: Path) -> str:
    """Return the path of a file as a link in a document names it."""
    return Path(os.path.relpath(file, document.parent)).as_posix()


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; ``None.`` without a row."""
    if not rows:
        return "None."
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
