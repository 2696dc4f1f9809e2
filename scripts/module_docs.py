"""Fill the tables of inputs and outputs in the README of the Terraform root and of every module.

The text between the two marker lines is generated from ``variables.tf`` and ``outputs.tf``; the rest is prose.
``python -m scripts.module_docs`` writes the tables; ``--check`` only reports outdated ones.
"""

from __future__ import annotations

import argparse
import difflib
import html
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.hcl import read_blocks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scripts.hcl import Block, Expression

REPOSITORY = Path(__file__).resolve().parent.parent
CONFIGURATION = REPOSITORY / "terraform"
BEGIN = "<!-- BEGIN GENERATED -->"
END = "<!-- END GENERATED -->"


class DocumentationError(Exception):
    """A README cannot be filled or is out of date; the message is a sentence."""


def tables(module: Path) -> str:
    """Return the generated part of a module's README: its inputs and outputs as Markdown.

    Raises:
        ValueError: ``variables.tf`` or ``outputs.tf`` is not valid HCL.
    """
    inputs = [_input_row(block) for block in _blocks(module / "variables.tf", "variable")]
    outputs = [(_code(block.labels[0]), _description(block)) for block in _blocks(module / "outputs.tf", "output")]
    return "\n\n".join(
        (
            "## Inputs",
            _table(("Name", "Description", "Type", "Default", "Required"), inputs),
            "## Outputs",
            _table(("Name", "Description"), outputs),
        )
    )


def filled(readme: Path) -> str:
    """Return the text that a module's README should have.

    Raises:
        DocumentationError: it does not exist, or does not hold each marker once, in order.
        ValueError: ``variables.tf`` or ``outputs.tf`` is not valid HCL.
    """
    if not readme.is_file():
        raise DocumentationError(f"{_shown(readme)} must exist and hold the lines {BEGIN} and {END}")
    text = readme.read_text(encoding="utf-8")
    before, begin, rest = text.partition(f"{BEGIN}\n")
    _, end, after = rest.partition(f"{END}\n")
    if not begin or not end or BEGIN in after or END in before:
        raise DocumentationError(f"{_shown(readme)} must hold the line {BEGIN} once and after it the line {END} once")
    return f"{before}{begin}\n{tables(readme.parent)}\n\n{end}{after}"


def modules(configuration: Path) -> list[Path]:
    """Return the directories of the generated READMEs: the root and its modules."""
    return [configuration, *sorted(file.parent for file in configuration.glob("modules/*/variables.tf"))]


def check(readme: Path) -> None:
    """Raise DocumentationError with a difference if a README is out of date."""
    current, wanted = (text.splitlines(keepends=True) for text in (_current(readme), filled(readme)))
    if difference := "".join(difflib.unified_diff(current, wanted, "as it is", "as it should be", n=0)):
        raise DocumentationError(f"{_shown(readme)} is out of date, run `make format`:\n{difference}")


def _current(readme: Path) -> str:
    return readme.read_text(encoding="utf-8") if readme.is_file() else ""


def write(readme: Path) -> None:
    """Bring a README up to date; raises DocumentationError if it cannot be filled."""
    text = filled(readme)
    if text != _current(readme):
        readme.write_text(text, encoding="utf-8")
        print(f"{_shown(readme)}: filled")


def _blocks(file: Path, kind: str) -> list[Block]:
    blocks = read_blocks(file) if file.is_file() else []
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


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return "None."
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _shown(path: Path) -> str:
    return str(path.relative_to(REPOSITORY) if path.is_relative_to(REPOSITORY) else path)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(description="Fill the input and output tables of the Terraform READMEs.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a README is out of date")
    options = parser.parse_args(arguments)
    act = check if options.check else write
    status = 0
    for module in modules(CONFIGURATION):
        try:
            act(module / "README.md")
        except (DocumentationError, ValueError) as error:
            print(f"module_docs: {error}", file=sys.stderr)
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
