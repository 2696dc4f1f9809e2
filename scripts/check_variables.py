"""Find variables and outputs that get lost, swapped or replaced between Terraform modules.

These are faults:

- a variable that its module does not use;
- a variable of the root that the backend does not have, or has with another type, default or description, and vice
  versa;
- a variable of the root with a validation, because the backend validates it;
- an output of the root that is not the backend's output of the same name;
- the faults of module calls that ``handed_on`` finds, and those of the order of objects that ``terraform_order`` finds.

The calls in examples are left out, because the variables of an example are its own.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.handed_on import badly_handed_on
from scripts.repository import REPOSITORY
from scripts.terraform_files import BACKEND, CONFIGURATION, of_kind, read_modules, variables
from scripts.terraform_order import different_order, lost_references

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.hcl import Block

EXAMPLES = CONFIGURATION / "examples"
BACKEND_ALONE = {"handler_sources_directory"}
"""Variables of the backend that the root lacks, because the sources' folder is fixed in this repository."""


def find_faults(repository: Path) -> list[str]:
    """Return a sentence for each fault.

    Args:
        repository: The root of a checkout.

    Raises:
        ValueError: A Terraform file cannot be read.
    """
    modules = read_modules(repository)
    faults = [fault for folder, blocks in modules.items() for fault in _unused(folder, blocks)]
    for folder, blocks in modules.items():
        if folder.parent == EXAMPLES:
            continue
        for call in of_kind(blocks, "module"):
            source = call.attributes["source"].value
            if source.startswith("."):  # no module of a release
                module = modules[Path(os.path.normpath(folder / source))]
                faults += badly_handed_on(folder, blocks, call, module)
    faults += _different_variables(modules[CONFIGURATION], modules[BACKEND])
    faults += _different_outputs(modules[CONFIGURATION], modules[BACKEND])
    faults += different_order(modules)
    faults += lost_references(modules)
    return faults


def _unused(folder: Path, blocks: list[Block]) -> Iterator[str]:
    used = {
        reference.partition(".")[0]
        for block in blocks
        if block.kind != "variable"
        for reference in re.findall(r"\bvar\.([a-z0-9_.]+)", block.text)
    }
    for name in sorted(variables(blocks).keys() - used):
        yield f"{folder}: variable {name} is used by nothing"


def _different_variables(root: list[Block], backend: list[Block]) -> Iterator[str]:
    own, theirs = variables(root), variables(backend)
    for name in sorted(own.keys() ^ (theirs.keys() - BACKEND_ALONE)):
        yield f"{CONFIGURATION}: variable {name} is one of the root or of the backend alone"
    for name in sorted(own.keys() & theirs.keys()):
        for attribute in ("type", "description", "default", "nullable"):
            one, other = (blocks[name].attributes.get(attribute) for blocks in (own, theirs))
            if (one and one.text) != (other and other.text):
                yield f"{CONFIGURATION}: variable {name} has another {attribute} than the backend's"
        if own[name].blocks:
            yield f"{CONFIGURATION}: variable {name} has a validation, which belongs into {BACKEND}"


def _different_outputs(root: list[Block], backend: list[Block]) -> Iterator[str]:
    own = {block.labels[0]: block.attributes["value"].text for block in of_kind(root, "output")}
    theirs = {block.labels[0] for block in of_kind(backend, "output")}
    for name in sorted(own.keys() ^ theirs):
        yield f"{CONFIGURATION}: output {name} is one of the root or of the backend alone"
    for name, text in own.items():
        if text != f"module.backend.{name}":
            yield f"{CONFIGURATION}: output {name} is {text}, and not module.backend.{name}"


def main() -> int:
    """Print the faults; return the exit status."""
    try:
        faults = find_faults(REPOSITORY)
    except (OSError, ValueError, KeyError) as error:
        print(f"check_variables: {error}", file=sys.stderr)
        return 1
    for fault in faults:
        print(f"check_variables: {fault}", file=sys.stderr)
    if not faults:
        print("check_variables: every variable of every module is used and handed on under its own name")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
