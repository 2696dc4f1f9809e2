"""The layers of the handlers' library, as the table in README.md lists them."""

from __future__ import annotations

import ast
import re
from pathlib import Path

HANDLERS = Path(__file__).resolve().parent.parent
LIBRARY = HANDLERS / "roomcast"
TABLE = (HANDLERS / "README.md").read_text("utf-8").partition("## ")[0]
ROWS = re.findall(r"^\| (?!layer )(.+?) \| (.+?) \| (.+?) \|$", TABLE, re.MULTILINE)


def layers() -> dict[str, int]:
    """The number of each module's layer, from the top."""
    found: dict[str, int] = {}
    for number, (_, files, does) in enumerate(ROWS):
        for name in re.findall(r"`(?:roomcast/)?(\w+)\.py`", files + does):
            assert name not in found, f"{name} stands in two layers"
            found[name] = number
    return found


def imported(file: Path) -> set[str]:
    """Modules of the library that a file imports at run time."""
    tree = ast.parse(file.read_bytes())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "roomcast":
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("roomcast."):
            names.add((node.module or "").removeprefix("roomcast."))
    return names


def test_the_table_lists_each_module() -> None:
    modules = {file.stem for file in LIBRARY.glob("*.py")} - {"__init__"}
    assert set(layers()) == modules | {"fanout_worker", "kick", "publish", "sweeper"}


def test_a_module_imports_from_its_own_layer_and_those_below() -> None:
    order = layers()
    upward = [
        f"{file.name} imports {name}"
        for file in LIBRARY.glob("*.py")
        for name in imported(file)
        if order[name] < order.get(file.stem, 0)
    ]
    assert upward == []


def test_only_one_module_knows_each_table_and_only_the_engine_the_connections() -> None:
    assert {file.stem for file in LIBRARY.glob("*.py") if "@connections/" in file.read_text("utf-8")} == {"fanout"}
    knowing = {file.stem for file in LIBRARY.glob("*.py") if '"partition_key"' in file.read_text("utf-8")}
    assert knowing == {"history_items", "items"}
