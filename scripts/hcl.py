"""Reads Terraform files: blocks and attributes with their source text and line.

python-hcl2 alone returns only values. The table of routes needs lines, and the modules' READMEs show types and defaults
as written.
"""

from __future__ import annotations

import functools
import textwrap
from typing import TYPE_CHECKING, Any, NamedTuple

import hcl2
from lark import LarkError, Token, Tree

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_WITHOUT_QUOTES = hcl2.SerializationOptions(strip_string_quotes=True)


class Expression(NamedTuple):
    """The right-hand side of an attribute, or of one element of an object."""

    text: str
    """Source text; all lines but the first are moved left until the last one is not indented."""
    line: int
    """First line, counted from 1."""
    elements: dict[str, Expression]
    """Elements of a literal object by key without quotes; empty for any other expression."""

    @property
    def value(self) -> Any:  # noqa: ANN401 - an expression may be of any type
        """The Python value: a string without quotes and escapes, a number, a list, None ..."""
        if self.text.startswith("<<"):
            return textwrap.dedent("".join(self.text.splitlines(keepends=True)[1:-1]))
        value = hcl2.loads(f"value = {self.text}\n", serialization_options=_WITHOUT_QUOTES)["value"]
        return value.replace("$${", "${") if isinstance(value, str) else value


class Block(NamedTuple):
    """A block, for example ``variable "name" { ... }``."""

    kind: str
    labels: list[str]
    line: int
    attributes: dict[str, Expression]
    blocks: list[Block]
    """Nested blocks."""
    text: str
    """Source text of the whole block."""


def read_blocks(file: Path) -> list[Block]:
    """Return the top-level blocks of a Terraform file in order.

    Raises:
        ValueError: The file is not valid HCL.
    """
    try:
        return list(_blocks_of(file.read_text(encoding="utf-8")))
    except LarkError as error:
        raise ValueError(f"{file} is not valid HCL: {error}") from error


@functools.cache
def _blocks_of(text: str) -> tuple[Block, ...]:
    """Parse a text; cached, because parsing takes longer than the checks themselves."""
    document = hcl2.parses_to_tree(text if text.endswith("\n") else f"{text}\n")
    (body,) = _subtrees(document, "body")
    return tuple(_read_block(block, text) for block in _subtrees(body, "block"))


def _read_block(block: Tree[Token], text: str) -> Block:
    (body,) = _subtrees(block, "body")
    kind, *labels = (
        _slice(child, text).strip('"')
        for child in block.children
        if isinstance(child, Tree) and child.data in {"identifier", "string"}
    )
    attributes = {}
    for attribute in _subtrees(body, "attribute"):
        name, expression = _parts(attribute)
        attributes[_slice(name, text)] = _read_expression(expression, text)
    blocks = [_read_block(inner, text) for inner in _subtrees(body, "block")]
    return Block(kind, labels, block.meta.line, attributes, blocks, _slice(block, text))


def _read_expression(expression: Tree[Token], text: str) -> Expression:
    elements = {}
    for literal in _subtrees(expression, "object"):
        for element in _subtrees(literal, "object_elem"):
            key, value = _parts(element)
            elements[_slice(key, text).strip('"')] = _read_expression(value, text)
    first, newline, rest = _slice(expression, text).partition("\n")
    return Expression(first + newline + textwrap.dedent(rest), expression.meta.line, elements)


def _parts(assignment: Tree[Token]) -> tuple[Tree[Token], Tree[Token]]:
    left, right = (child for child in assignment.children if isinstance(child, Tree))
    return left, right


def _subtrees(tree: Tree[Token], kind: str) -> Iterator[Tree[Token]]:
    return (child for child in tree.children if isinstance(child, Tree) and child.data == kind)


def _slice(tree: Tree[Token], text: str) -> str:
    return text[tree.meta.start_pos : tree.meta.end_pos]
