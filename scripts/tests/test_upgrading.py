"""UPGRADING.md has the way back over every move of a Terraform address."""

from __future__ import annotations

import re

from scripts.hcl import read_blocks
from scripts.repository import REPOSITORY

CALL = "module.roomcast."
"""The example's own call of the backend."""
MOVE = re.compile(r"^moved \{\n  from = (\S+)\n  to   = (\S+)\n\}$", re.MULTILINE)


def test_every_move_has_its_way_back() -> None:
    moves = [
        (block.attributes["from"].text, block.attributes["to"].text)
        for file in (REPOSITORY / "terraform" / "modules" / "backend").glob("*.tf")
        for block in read_blocks(file)
        if block.kind == "moved"
    ]
    back = MOVE.findall((REPOSITORY / "UPGRADING.md").read_text(encoding="utf-8"))

    assert moves
    # Also the other way round: a move that is left out later would replace users' objects.
    assert {(f"{CALL}{to}", f"{CALL}{origin}") for origin, to in moves} == set(back)
