"""The blocks of Roomcast's Terraform files, by the folder of their module."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from scripts.hcl import read_blocks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.hcl import Block

CONFIGURATION = Path("terraform")
BACKEND = CONFIGURATION / "modules" / "backend"


def read_modules(repository: Path) -> dict[Path, list[Block]]:
    """Return the blocks of each module, root and example, by their folder.

    Raises:
        ValueError: A file cannot be read.
    """
    return {
        folder: [block for file in sorted((repository / folder).glob("*.tf")) for block in read_blocks(file)]
        for folder in _folders(repository)
    }


def _folders(repository: Path) -> Iterator[Path]:
    for pattern in (CONFIGURATION, CONFIGURATION / "modules" / "*", CONFIGURATION / "examples" / "*"):
        for folder in sorted(repository.glob(str(pattern))):
            if any(folder.glob("*.tf")):
                yield folder.relative_to(repository)


def of_kind(blocks: list[Block], kind: str) -> list[Block]:
    """Return the blocks of a kind, for example ``variable``."""
    return [block for block in blocks if block.kind == kind]


def variables(blocks: list[Block]) -> dict[str, Block]:
    """Return the variables among some blocks, by name."""
    return {block.labels[0]: block for block in of_kind(blocks, "variable")}
