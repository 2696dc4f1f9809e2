"""Fill the generated parts of the Markdown files.

A part is the text between two marker lines; the rest is prose::

    <!-- BEGIN GENERATED: errors -->
    <!-- END GENERATED -->

========== ==========================================================================================================
(no name)  inputs and outputs of the Terraform root or module that the README stands in, from its ``.tf`` files
routes     each function with links to its row, rights, handler and test, as ``check_routes`` finds them
errors     the error codes of the wire protocol with fault and remedy, the halves of ``roomcast.protocol``'s messages
proofs     the text as it is, with a link for each test file that it names; each test that it names must exist
========== ==========================================================================================================

A part belongs to the file that holds its markers, so it moves with them. ``python -m scripts.module_docs`` writes the
parts; ``--check`` only reports outdated ones.
"""

from __future__ import annotations

import argparse
import difflib
import html
import os
import re
import runpy
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.check_routes import HANDLERS, find_routes
from scripts.hcl import read_blocks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from scripts.hcl import Block, Expression

REPOSITORY = Path(__file__).resolve().parent.parent
CONFIGURATION = "terraform"
DOCUMENTED = ("handlers", "integration_tests", "scripts", CONFIGURATION)
"""Folders in which Markdown files may hold generated parts, besides the root."""
TESTED = ("handlers", "integration_tests", "scripts")

END = "<!-- END GENERATED -->\n"
_MARKER = re.compile(r"<!-- (?:BEGIN GENERATED(?:: (\w+))?|END GENERATED) -->\n")
_PROOF = re.compile(r"\[([\w/]*\btest_\w+\.py)(?:::(\w+))?\]\([^)]*\)|`([\w/]*\btest_\w+\.py)(?:::(\w+))?`")
"""A test file, or a test in it: a link, or code that is to become one."""


class DocumentationError(Exception):
    """A file cannot be filled or is out of date; the message is a sentence."""


def tables(readme: Path, _current: str = "") -> str:
    """Return the inputs and outputs of a Terraform module as Markdown.

    Args:
        readme: the module's README.

    Raises:
        ValueError: a ``.tf`` file of the module is not valid HCL.
    """
    module = readme.parent
    inputs = [_input_row(block) for block in _blocks(module, "variable")]
    outputs = [(_code(block.labels[0]), _description(block)) for block in _blocks(module, "output")]
    return "\n\n".join(
        (
            "## Inputs",
            _table(("Name", "Description", "Type", "Default", "Required"), inputs),
            "## Outputs",
            _table(("Name", "Description"), outputs),
        )
    )


def routes(document: Path, _current: str = "") -> str:
    """Return a row for each function with links to its parts.

    Raises:
        ValueError: the table of routes or of workers cannot be read.
    """
    rows = [
        (_code(row.key), *(_link(document, place) if place else "missing" for place in row[1:]))
        for row in find_routes(REPOSITORY).rows
    ]
    return _table(("Route", "Row", "Rights", "Handler", "Test"), rows)


def errors(_document: Path, _current: str = "") -> str:
    """Return a row for each error code of the wire protocol: the two halves of its message.

    Raises:
        DocumentationError: a message names no remedy.
    """
    messages = runpy.run_path(str(REPOSITORY / HANDLERS / "roomcast" / "protocol.py"))["ERRORS"]
    rows = [(_code(code), *message.split("; ")) for code, message in messages.items()]
    if unfit := [row[0] for row in rows if len(row) != 3]:
        raise DocumentationError(f"the message of {', '.join(unfit)} must be a fault, a semicolon, and what to do")
    return _table(("Error code", "Meaning", "What to do"), rows)


def proofs(document: Path, current: str) -> str:
    """Return a text with a link for every test file that it names.

    Raises:
        DocumentationError: a file or a test is not there, or a name fits several files.
    """
    files = [file for folder in TESTED for file in sorted((REPOSITORY / folder).rglob("test_*.py"))]

    def link(match: re.Match[str]) -> str:
        name, test = match[1] or match[3], match[2] or match[4]
        found = [file for file in files if file.as_posix().endswith(f"/{name}")]
        if len(found) != 1:
            raise DocumentationError(f"{_shown(document)} names {name}, and {len(found)} test files have this name")
        if test and not re.search(rf"^ *(?:async )?def {test}\(", found[0].read_text(encoding="utf-8"), re.MULTILINE):
            raise DocumentationError(f"{_shown(document)} names {name}::{test}, which is no test")
        label = f"{name}::{test}" if test else name
        return f"[{label}]({_relative(document, found[0])})"

    return _PROOF.sub(link, current).strip("\n")


PARTS: Mapping[str, Callable[[Path, str], str]] = {"": tables, "errors": errors, "proofs": proofs, "routes": routes}
"""The function that fills a part, by the part's name; it gets the file and the present text of the part."""
IN_SEVERAL = {"proofs"}
"""Parts that several files may hold, because the text is each file's own."""


def filled(document: Path) -> str:
    """Return the text that a Markdown file should have.

    Raises:
        DocumentationError: it does not exist, its markers do not alternate, or a part cannot be filled.
        ValueError: a Terraform file is not valid HCL.
    """
    if not document.is_file():
        raise DocumentationError(f"{_shown(document)} must exist and hold the inputs and outputs of its module")
    text = document.read_text(encoding="utf-8")
    markers = list(_MARKER.finditer(text))
    begins, ends = markers[::2], markers[1::2]
    if len(begins) != len(ends) or any(each[0] == END for each in begins) or any(each[0] != END for each in ends):
        raise DocumentationError(f"{_shown(document)} must hold a line {END.strip()} after each BEGIN GENERATED")
    pieces, position = [], 0
    for begin, end in zip(begins, ends, strict=True):
        part = PARTS.get(begin[1] or "")
        if part is None:
            raise DocumentationError(
                f"{_shown(document)} has a generated part {begin[1]}; the parts are {', '.join(filter(None, PARTS))}"
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
            raise DocumentationError(f"{_shown(document)} must hold the lines {' and '.join(_markers())}, each once")
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
        raise DocumentationError(f"{_shown(document)} is out of date, run `make format`:\n{difference}")


def write(document: Path) -> None:
    """Bring a file up to date; raises DocumentationError if it cannot be filled."""
    text = filled(document)
    if text != document.read_text(encoding="utf-8"):
        document.write_text(text, encoding="utf-8")
        print(f"{_shown(document)}: filled")


def _blocks(module: Path, kind: str) -> list[Block]:
    blocks = [block for file in module.glob("*.tf") for block in read_blocks(file)]
    return sorted((block for block in blocks if block.kind == kind), key=lambda block: block.labels[0])


def _input_row(block: Block) -> tuple[str, ...]:
    default = block.attributes.get("default")
    kind = block.attributes.get("type")
    return (
        _code(block.labels[0]),
        _description(block),
        _expression(kind) if kind else _code("any"),
        _expression(default) if default else "",
        "no" if default else "yes",
    )


def _description(block: Block) -> str:
    description = block.attributes.get("description")
    text = str(description.value).strip() if description else ""
    paragraphs = [" ".join(paragraph.split()) for paragraph in text.split("\n\n")]
    return "<br><br>".join(paragraphs).replace("|", "\\|")


def _expression(expression: Expression) -> str:
    """Return an expression as a table cell, which has to be one line."""
    if "\n" not in expression.text:
        return _code(expression.text)
    escaped = html.escape(expression.text, quote=False).replace("|", "&#124;")
    return f"<pre>{escaped.replace(chr(10), '<br>')}</pre>"


def _code(text: str) -> str:
    return f"`{text}`".replace("|", "\\|")


def _link(document: Path, place: str) -> str:
    """Return a link to a place ``file:line``; without the line, which any edit of the file would move."""
    file = REPOSITORY / place.rpartition(":")[0]
    return f"[{file.name}]({_relative(document, file)})"


def _relative(document: Path, file: Path) -> str:
    return Path(os.path.relpath(file, document.parent)).as_posix()


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return "None."
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _shown(path: Path) -> str:
    return str(path.relative_to(REPOSITORY) if path.is_relative_to(REPOSITORY) else path)


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
