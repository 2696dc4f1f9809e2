"""All mutants, read from the files beside this one, one for each part of the repository that they break.

A mutant is a paragraph: its name, its edits and its tests, as :class:`Mutant` explains them. Each edit is the path of a
file, the text to be replaced after ``-`` and the replacement after ``+``, line by line; whole lines without a
replacement are removed. A paragraph that begins with ``#`` is a comment. Texts stand here as they stand in their files,
so a search for a text finds the mutants that name it::

    repeats a post without an answer without limit
    handlers/roomcast/verdicts.py
    -MAXIMUM_COPIES = 2
    +MAXIMUM_COPIES = 20
    units handlers/tests/test_fanout.py::TestConnections::test_a_post_without_an_answer_is_repeated_once
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from integration_tests.mutants.mutant import Edit, Mutant

if TYPE_CHECKING:
    from collections.abc import Iterator

EDIT = r"[\w./-]+\n(?:-.*\n)+(?:\+.*\n)*"
TEST = r"(?:units|sockets|terraform) .+\n"
MUTANT = re.compile(rf"(.+)\n((?:{EDIT})+)((?:{TEST})+)")


def read(text: str) -> Iterator[Mutant]:
    """Yield the mutants of a file.

    Raises:
        ValueError: A paragraph is neither a mutant nor a comment.
    """
    for paragraph in text.strip("\n").split("\n\n"):
        if paragraph.startswith("#"):
            continue
        if (match := MUTANT.fullmatch(f"{paragraph}\n")) is None:
            raise ValueError(f"this is no mutant:\n{paragraph}")
        name, edits, tests = match.groups()
        by_kind: dict[str, tuple[str, ...]] = {}
        for kind, _, test in (line.partition(" ") for line in tests.splitlines()):
            by_kind[kind] = (*by_kind.get(kind, ()), test)
        yield Mutant(name, tuple(map(_edit, re.findall(EDIT, edits))), **by_kind)


def _edit(text: str) -> Edit:
    file, *lines = text.splitlines()
    old, new = ([line[1:] for line in lines if line[0] == sign] for sign in "-+")
    return Edit(file, "\n".join(old), "\n".join(new)) if new else Edit(file, "\n".join([*old, ""]), "")


FILES = sorted(Path(__file__).parent.glob("*.mutants"))
# Those with sockets come first, because the tests of the others run at the same time and need no emulator.
MUTANTS = sorted(
    (mutant for file in FILES for mutant in read(file.read_text(encoding="utf-8"))),
    key=lambda mutant: not mutant.sockets,
)
