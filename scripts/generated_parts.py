"""The generated parts of the Markdown files, each made from its source."""

from __future__ import annotations

import html
import re
import runpy
from typing import TYPE_CHECKING

from scripts.check_routes import HANDLERS, find_routes
from scripts.cost_tables import costs
from scripts.hcl import read_blocks
from scripts.markdown import DocumentationError, as_code, link_to, relative, table
from scripts.repository import REPOSITORY, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from scripts.hcl import Block, Expression

TESTED = ("handlers", "integration_tests", "scripts")

_PROOF = re.compile(r"\[([\w/]*\btest_\w+\.py)(?:::(\w+))?\]\([^)]*\)|`([\w/]*\btest_\w+\.py)(?:::(\w+))?`")
"""A test file, or a test in it: a link, or code that is to become one."""


def tables(readme: Path, _current: str = "") -> str:
    """Return the inputs and outputs of a Terraform module as Markdown.

    Args:
        readme: the module's README.

    Raises:
        ValueError: a ``.tf`` file of the module is not valid HCL.
    """
    module = readme.parent
    inputs = [_input_row(block) for block in _blocks(module, "variable")]
    outputs = [(as_code(block.labels[0]), _description(block)) for block in _blocks(module, "output")]
    return "\n\n".join(
        (
            "## Inputs",
            table(("Name", "Description", "Type", "Default", "Required"), inputs),
            "## Outputs",
            table(("Name", "Description"), outputs),
        )
    )


def routes(document: Path, _current: str = "") -> str:
    """Return a row for each function with links to its parts.

    Raises:
        ValueError: the table of routes or of workers cannot be read.
    """
    rows = [
        (as_code(row.key), *(link_to(document, place) if place else "missing" for place in row[1:]))
        for row in find_routes(REPOSITORY).rows
    ]
    return table(("Route", "Row", "Rights", "Handler", "Test"), rows)


def errors(_document: Path, _current: str = "") -> str:
    """Return a row for each error code of the wire protocol: the two halves of its message.

    Raises:
        DocumentationError: a message names no remedy.
    """
    messages = runpy.run_path(str(REPOSITORY / HANDLERS / "roomcast" / "protocol.py"))["ERRORS"]
    rows = [(as_code(code), *message.split("; ")) for code, message in messages.items()]
    if unfit := [row[0] for row in rows if len(row) != 3]:
        raise DocumentationError(f"the message of {', '.join(unfit)} must be a fault, a semicolon, and what to do")
    return table(("Error code", "Meaning", "What to do"), rows)


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
            raise DocumentationError(f"{shown(document)} names {name}, and {len(found)} test files have this name")
        if test and not re.search(rf"^ *(?:async )?def {test}\(", found[0].read_text(encoding="utf-8"), re.MULTILINE):
            raise DocumentationError(f"{shown(document)} names {name}::{test}, which is no test")
        label = f"{name}::{test}" if test else name
        return f"[{label}]({relative(document, found[0])})"

    return _PROOF.sub(link, current).strip("\n")


PARTS: Mapping[str, Callable[[Path, str], str]] = {
    "": tables,
    "costs": costs,
    "errors": errors,
    "proofs": proofs,
    "routes": routes,
}
"""The function that fills a part, by the part's name; it gets the file and the present text of the part."""


def _blocks(module: Path, kind: str) -> list[Block]:
    blocks = [block for file in module.glob("*.tf") for block in read_blocks(file)]
    return sorted((block for block in blocks if block.kind == kind), key=lambda block: block.labels[0])


def _input_row(block: Block) -> tuple[str, ...]:
    default = block.attributes.get("default")
    kind = block.attributes.get("type")
    return (
        as_code(block.labels[0]),
        _description(block),
        _expression(kind) if kind else as_code("any"),
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
        return as_code(expression.text)
    escaped = html.escape(expression.text, quote=False).replace("|", "&#124;")
    return f"<pre>{escaped.replace(chr(10), '<br>')}</pre>"
