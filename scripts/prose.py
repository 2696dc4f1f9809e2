"""Measure the prose of docstrings and comments: clauses and pronouns that make a sentence hard to read.

``python -m scripts.prose [--list] [FOLDER ...]`` prints a table, per 10,000 words of each folder, or lists the texts.
A yardstick for reviews, no gate: a sentence may have its reasons.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import sys
import tokenize
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FOLDERS = ("handlers", "scripts", "integration_tests")
PER_WORDS = 10_000

PATTERNS = {
    "what ...": re.compile(r"\bwhat\b(?![^.!?]*\?)", re.IGNORECASE),
    "everybody ...": re.compile(r"\b(?:every|some|no|any)body\b", re.IGNORECASE),
    "whoever ...": re.compile(r"\b(?:whoever|whatever|whose)\b", re.IGNORECASE),
}
"""What to count, by the column's name: "what" as a noun clause (not in a question), indefinite persons, and relative
pronouns that leave the subject open."""

WORD = re.compile(r"[A-Za-z][A-Za-z'-]*")
CODE = re.compile(r"``.*?``|`[^`\n]*`|https?://\S+", re.DOTALL)


class Count(NamedTuple):
    """Figures of some texts.

    Attributes:
        words: Words in all.
        found: Matches of each pattern, in the order of ``PATTERNS``.
    """

    words: int = 0
    found: tuple[int, ...] = (0,) * len(PATTERNS)

    def plus(self, other: Count) -> Count:
        """The figures of both."""
        return Count(self.words + other.words, tuple(map(sum, zip(self.found, other.found, strict=True))))

    def rates(self) -> list[float]:
        """Matches per ``PER_WORDS`` words."""
        return [each * PER_WORDS / max(1, self.words) for each in self.found]


def prose_of(source: str) -> Iterator[tuple[int, str]]:
    """Yield the docstrings of a Python file, those of constants included, and its comments, with their lines."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, node.value.value
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string.lstrip("#! ")


def count(text: str) -> Count:
    """Count words and matches in one text; code and addresses in it are left out."""
    plain = CODE.sub(" ", text)
    return Count(len(WORD.findall(plain)), tuple(len(pattern.findall(plain)) for pattern in PATTERNS.values()))


def measure(folders: Sequence[Path]) -> dict[Path, Count]:
    """Measure the Python files below some folders.

    Returns:
        The figures by folder: each one given, and each one directly below it that holds prose.
    """
    counts: defaultdict[Path, Count] = defaultdict(Count)
    for folder in folders:
        for file in sorted(folder.rglob("*.py")):
            below = folder / file.relative_to(folder).parts[0]
            for _, text in prose_of(file.read_text(encoding="utf-8")):
                for place in {folder, below if below.is_dir() else folder}:
                    counts[place] = counts[place].plus(count(text))
    return dict(sorted(counts.items()))


def print_texts(folders: Sequence[Path]) -> None:
    """Print each text with a match."""
    for file in sorted(file for folder in folders for file in folder.rglob("*.py")):
        for line, text in sorted(prose_of(file.read_text(encoding="utf-8"))):
            if any(count(text).found):
                print(f"{file}:{line}: {' '.join(text.split())}")


def print_table(folders: Sequence[Path]) -> None:
    """Print the figures of each folder."""
    counts = measure(folders)
    width = max(len(str(each)) for each in [*counts, Path("folder")])
    print(f"{'folder':{width}}  {'words':>7}", *(f"{name:>14}" for name in PATTERNS))
    for folder, figures in counts.items():
        print(f"{folder!s:{width}}  {figures.words:7,}", *(f"{rate:14.1f}" for rate in figures.rates()))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(description="Measure the prose of docstrings and comments.")
    parser.add_argument("folders", nargs="*", type=Path, default=[Path(name) for name in FOLDERS])
    parser.add_argument("--list", action="store_true", help="print the texts instead of a table")
    options = parser.parse_args(arguments)
    (print_texts if options.list else print_table)(options.folders)
    return 0


if __name__ == "__main__":
    sys.exit(main())
