"""What other configurations name stays: folders of modules, variables with their types and defaults, outputs, imports.

`interfaces/` holds the interface of each earlier release. To keep one more, unpack the release and run
`python -m integration_tests.contract.test_interface FOLDER > integration_tests/contract/interfaces/X.Y.Z.json`.
"""

from __future__ import annotations

import importlib
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from scripts.repository import REPOSITORY
from scripts.terraform_files import of_kind, read_modules, variables

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from scripts.hcl import Block

    Interface = Mapping[str, Mapping[str, Any]]

pytestmark = pytest.mark.without_target

KEPT = Path(__file__).parent / "interfaces"
CHANGED: Mapping[tuple[str, str], str] = {}
"""Folder and variable or output that changed, and the line of CHANGELOG.md's `Changed` that says so.

Such a change needs another major version, or another minor version below 1.0."""
ANY = "any type"
"""Of a variable without a type."""
REQUIRED = "required"
"""In place of a default."""


def interface(repository: Path) -> dict[str, dict[str, Any]]:
    """Return the variables, as type and default, and the outputs of the root and each module, by folder."""
    return {
        str(folder): {
            "variables": {
                name: [_text(block, "type", ANY), _text(block, "default", REQUIRED)] for name, block in found
            },
            "outputs": sorted(block.labels[0] for block in of_kind(blocks, "output")),
        }
        for folder, blocks in read_modules(repository).items()
        if "examples" not in folder.parts
        for found in [sorted(variables(blocks).items())]
    }


def _text(block: Block, attribute: str, instead: str) -> str:
    return " ".join(block.attributes[attribute].text.split()) if attribute in block.attributes else instead


def broken(before: Interface, after: Interface) -> Iterator[tuple[str, str]]:
    """Yield folder and name of each variable or output by which a configuration for the earlier interface fails."""
    for folder, old in before.items():
        new = after.get(folder, {"variables": {}, "outputs": []})
        yield from ((folder, name) for name in old["outputs"] if name not in new["outputs"])
        for name, (kind, default) in old["variables"].items():
            found = new["variables"].get(name)
            # A variable that was required may get a default.
            if found is None or found[0] != kind or default not in (found[1], REQUIRED):
                yield folder, name
        added = new["variables"].keys() - old["variables"].keys()
        yield from ((folder, name) for name in sorted(added) if new["variables"][name][1] == REQUIRED)


@pytest.mark.parametrize("release", sorted(file.stem for file in KEPT.iterdir()))
def test_a_configuration_for_an_earlier_release_is_one_for_this(release: str) -> None:
    before = json.loads((KEPT / f"{release}.json").read_text(encoding="utf-8"))
    changelog = " ".join((REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8").split())

    assert set(broken(before, interface(REPOSITORY))) == CHANGED.keys()
    assert [line for line in CHANGED.values() if line not in changelog] == []


def test_each_kind_of_change_is_noticed() -> None:
    def of(outputs: list[str], **variables: list[str]) -> Interface:
        return {"m": {"outputs": outputs, "variables": variables}}

    before = of(["a"], b=["string", "null"], c=["number", REQUIRED])
    for after, expected in (
        (of(["a", "z"], b=["string", "null"], c=["number", "1"], d=["string", "null"]), []),
        (of([], b=["string", "null"], c=["number", REQUIRED]), ["a"]),
        (of(["a"], c=["number", REQUIRED]), ["b"]),
        (of(["a"], b=["string", '"x"'], c=["number", REQUIRED]), ["b"]),
        (of(["a"], b=["string", "null"], c=["string", REQUIRED]), ["c"]),
        (of(["a"], b=["string", "null"], c=["number", REQUIRED], d=["string", REQUIRED]), ["d"]),
        ({}, ["a", "b", "c"]),
    ):
        assert [name for _, name in broken(before, after)] == expected


def test_what_readme_imports_can_be_imported() -> None:
    promised = re.findall(r"`from (roomcast[.\w]*) import (\w+)`", (REPOSITORY / "README.md").read_text("utf-8"))

    assert promised
    assert [name for module, name in promised if not hasattr(importlib.import_module(module), name)] == []


if __name__ == "__main__":
    print(json.dumps(interface(Path(sys.argv[1])), indent=1))
