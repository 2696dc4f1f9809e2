"""Fill the generated parts of the Markdown files.

A part is the text between two marker lines; the rest is prose::

    <!-- BEGIN GENERATED: errors -->
    <!-- END GENERATED -->

========== ==========================================================================================================
(no name)  inputs and outputs of the Terraform root or module that the README stands in, from its ``.tf`` files
routes     each function with links to its row, rights, handler and test, as ``check_routes`` finds them
costs      what deliveries and three stages cost, from the model of ``roomcast cost``
errors     the error codes of the wire protocol with fault and remedy, the halves of ``roomcast.protocol``'s messages
proofs     the text as it is, with a link for each test file that it names; each test that it names must exist
========== ==========================================================================================================

A part belongs to the file that holds its markers, so it moves with them. ``python -m scripts.module_docs`` writes the
parts; ``--check`` only reports outdated ones.
"""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from typing import TYPE_CHECKING

from scripts.generated_parts import PARTS
from scripts.markdown import DocumentationError
from scripts.repository import REPOSITORY, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

CONFIGURATION = "terraform"
DOCUMENTED = ("handlers", "integration_tests", "scripts", CONFIGURATION)
"""Folders in which Markdown files may hold generated parts, besides the root."""

END = "<!-- END GENERATED -->\n"
_MARKER = re.compile(r"<!-- (?:BEGIN GENERATED(?:: (\w+))?|END GENERATED) -->\n")

IN_SEVERAL = {"proofs"}
"""Parts that several files may hold, because the text is each file's own."""


def filled(document: Path) -> str:
    """Return the text that a Markdown file should have.

    Raises:
        DocumentationError: it does not exist, its markers do not alternate, or a part cannot be filled.
        ValueError: a Terraform file is not valid HCL.
    """
    if not document.is_file():
        raise DocumentationError(f"{shown(document)} must exist and hold the inputs and outputs of its module")
    text = document.read_text(encoding="utf-8")
    markers = list(_MARKER.finditer(text))
    begins, ends = markers[::2], markers[1::2]
    if len(begins) != len(ends) or any(each[0] == END for each in begins) or any(each[0] != END for each in ends):
        raise DocumentationError(f"{shown(document)} must hold a line {END.strip()} after each BEGIN GENERATED")
    pieces, position = [], 0
    for begin, end in zip(begins, ends, strict=True):
        part = PARTS.get(begin[1] or "")
        if part is None:
            raise DocumentationError(
                f"{shown(document)} has a generated part {begin[1]}; the parts are {', '.join(filter(None, PARTS))}"
            )
        pieces += [text[position : begin.end()], f"\n{part(document, text[begin.end() : end.start()])}\n\n"]
        position = end.start()
    return "".join([*pieces, text[position:]])


def parts_of(document: Path) -> list[str]:
    """Return the names of the parts that a Markdown file holds."""
    text = document.read_text(encoding="utf-8") if document.is_file() else ""
    return [match[1] or "" for match in _MARKER.finditer(text) if match[0] != END]


def documents() -> list[Path]:
    """Return the Markdown files that hold generated parts, and those that must: of the Terraform root and its modules.

    Raises:
        DocumentationError: a part stands nowhere, twice, or is missing in a module.
    """
    found = sorted(REPOSITORY.glob("*.md"))
    found += sorted(file for folder in DOCUMENTED for file in (REPOSITORY / folder).rglob("*.md"))
    of_modules = {file.parent / "README.md" for file in (REPOSITORY / CONFIGURATION).glob("modules/*/variables.tf")}
    of_modules.add(REPOSITORY / CONFIGURATION / "README.md")
    for document in sorted(of_modules):
        if parts_of(document).count("") != 1:
            raise DocumentationError(f"{shown(document)} must hold the lines {' and '.join(_markers())}, each once")
    named = [name for document in found for name in parts_of(document)]
    for name in PARTS:
        if name and named.count(name) != 1 and not (name in IN_SEVERAL and name in named):
            raise DocumentationError(f"the generated part {name} must stand in one file, between {_markers(name)}")
    return [document for document in found if parts_of(document)]


def _markers(name: str = "") -> tuple[str, str]:
    return f"<!-- BEGIN GENERATED{': ' if name else ''}{name} -->", END.strip()


def check(document: Path) -> None:
    """Raise DocumentationError with a difference if a file is out of date."""
    current = document.read_text(encoding="utf-8").splitlines(keepends=True)
    wanted = filled(document).splitlines(keepends=True)
    if difference := "".join(difflib.unified_diff(current, wanted, "as it is", "as it should be", n=0)):
        raise DocumentationError(f"{shown(document)} is out of date, run `make format`:\n{difference}")


def write(document: Path) -> None:
    """Bring a file up to date; raises DocumentationError if it cannot be filled."""
    text = filled(document)
    if text != document.read_text(encoding="utf-8"):
        document.write_text(text, encoding="utf-8")
        print(f"{shown(document)}: filled")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(description="Fill the generated parts of the Markdown files.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file is out of date")
    options = parser.parse_args(arguments)
    status = 0
    for sentence in _run(check if options.check else write):
        print(f"module_docs: {sentence}", file=sys.stderr)
        status = 1
    return status


def _run(act: Callable[[Path], None]) -> Iterator[str]:
    """Do something with each file; yield a sentence for each where that fails."""
    try:
        found = documents()
    except DocumentationError as error:
        yield str(error)
        return
    for document in found:
        try:
            act(document)
        except (DocumentationError, ValueError) as error:
            yield str(error)


if __name__ == "__main__":
    sys.exit(main())
