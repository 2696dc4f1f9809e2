"""How commands answer: tables for people, tab-separated lines in a pipe, JSON; and what ends a command."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

DONE, NO, WRONG_USAGE, NOT_FOUND, NOT_ALLOWED, NOT_REACHABLE = 0, 1, 2, 3, 4, 5
"""Exit statuses: done; the answer is no; wrong usage; no such stage, or it lacks the feature; no credentials, or a
right is missing; not reachable."""
INTERRUPTED, READER_GONE = 130, 141
"""Exit statuses, as a shell has them for SIGINT and SIGPIPE."""


UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
"""Characters that move the cursor, or turn the direction of text: a client must not repaint an operator's terminal."""
NAMED = {"\n": r"\n", "\t": r"\t"}


class CommandError(Exception):
    """Ends a command with a sentence.

    Attributes:
        status: Exit status.
    """

    def __init__(self, sentence: str, status: int) -> None:
        super().__init__(sentence)
        self.status = status


def note(text: str) -> None:
    """Print a line that is no data, on stderr."""
    print(text, file=sys.stderr)


def document(fields: dict[str, Any]) -> None:
    """Print one JSON document."""
    print(json.dumps({"v": 1, **fields}))


def record(header: Sequence[str], cells: Sequence[str], sentence: str) -> None:
    """Print one result: as a sentence on a terminal, otherwise as a table of one row."""
    if sys.stdout.isatty():
        print(sentence)
    else:
        table(header, [cells], colour=False)


def counted(number: int, noun: str) -> str:
    """Return a number of things, such as ``1 task`` and ``2,000 tasks``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def visible(text: str) -> str:
    r"""Return a text with its control characters shown as escapes, such as ``\x1b``."""
    return UNSAFE.sub(lambda match: NAMED.get(match[0]) or _escape(ord(match[0])), text)


def _escape(number: int) -> str:
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"


def cell(text: str) -> str:
    """Return a text that stays in its cell: lines of Lambda's own have tabs and line ends."""
    return visible(re.sub(r"[\t\r\n]+", " ", text.rstrip()))


def amount(number: float, unit: str = "") -> str:
    """Return a quantity for people, with M for millions; of units only GB is named."""
    end = " GB" if unit == "GB" else ""
    if number >= 1e6:
        return f"{number / 1e6:,.{0 if number >= 1e8 else 1}f} M{end}"
    return f"{number:,.0f}{end}" if number >= 10 else f"{number:.2g}{end}"


def line(cells: Sequence[str]) -> None:
    """Print a line of a table, as a pipe gets it."""
    print("\t".join(map(cell, cells)))


def table(header: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = (), *, colour: bool) -> None:
    """Print a table: aligned on a terminal, otherwise tab-separated with the header first and every cell whole.

    Args:
        header: Names of the columns; a terminal shows those that are not empty.
        rows: Cells, as text.
        right: Columns of numbers, aligned to the right.
        colour: Whether a terminal may show the header in bold.
    """
    if not header:
        return
    if not sys.stdout.isatty():
        for row in (header, *rows):
            line(row)
        return
    # Only here, because it takes longer than all the rest.
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    shown = Table(box=None, pad_edge=False, header_style="bold")
    for number, name in enumerate(header):
        is_number = number in right
        shown.add_column(name, justify="right" if is_number else "left", no_wrap=is_number, overflow="fold")
    for row in rows:
        shown.add_row(*map(Text, map(cell, row)))
    plain = not colour or bool(os.environ.get("NO_COLOR"))
    width = shutil.get_terminal_size().columns  # rich takes a COLUMNS of 0 at its word
    Console(width=width, no_color=plain, color_system=None if plain else "auto", highlight=False).print(shown)
