"""Print where each route is declared, permitted, handled and tested, and fail on a gap.

A route has one name, its key without ``$``, found in four places:

========= ===========================================================================================
declared  a row of ``local.routes`` in ``terraform/modules/backend/routes.tf``
permitted ``terraform/modules/backend/policies/<route>.json.tftpl``
handled   a function ``handler`` in ``handlers/<route>.py``
tested    a test in ``integration_tests/routes/test_<route>.py``
========= ===========================================================================================

A function that serves no route (a queue worker, for example) is declared by a row of ``local.workers`` in
``functions.tf`` beside it, permitted and handled like a route, and tested in ``handlers/tests/``.

A policy, handler or test that belongs to neither is a gap as well, and so is a handler that ``make build`` refuses.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from scripts import build_handlers
from scripts.handler_sources import BuildError
from scripts.hcl import read_blocks
from scripts.repository import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Function = ast.FunctionDef | ast.AsyncFunctionDef

BACKEND = Path("terraform", "modules", "backend")
POLICIES = BACKEND / "policies"
POLICY_SUFFIX = ".json.tftpl"
HANDLERS = Path("handlers")
HANDLER_TESTS = HANDLERS / "tests"
ROUTE_TESTS = Path("integration_tests", "routes")

MISSING = "MISSING"
NO_ROUTE = "(no route)"
HEADINGS = ("route", "declared", "permitted", "handled", "tested")
FOLDERS = ("", f"{BACKEND}/", f"{BACKEND}/", f"{HANDLERS}/", f"{ROUTE_TESTS}/")


class Row(NamedTuple):
    """One function, with the place of each of its parts as ``file:line``, or None where the part is missing."""

    key: str
    declared: str
    permitted: str | None
    handled: str | None
    tested: str | None


class Routes(NamedTuple):
    """The functions and gaps of a repository."""

    rows: list[Row]
    gaps: list[str]
    """A sentence for each gap."""


def find_routes(repository: Path) -> Routes:
    """Read the four places.

    Args:
        repository: the root of a checkout.

    Raises:
        ValueError: the table of routes or of workers, or the file that holds it, cannot be read.
    """
    rows: list[Row] = []
    gaps = [*_refused_by_the_build(repository)]
    declarations = [
        *_declared(repository, "routes.tf", "routes"),
        *_declared(repository, "functions.tf", "workers", NO_ROUTE),
    ]
    names = [name for _, name, _ in declarations]
    gaps += [f"{name} is declared more than once" for name in sorted({each for each in names if names.count(each) > 1})]
    for key, name, declared in declarations:
        tests = HANDLER_TESTS if key.endswith(NO_ROUTE) else ROUTE_TESTS
        permitted = POLICIES / f"{name}{POLICY_SUFFIX}"
        handled = HANDLERS / f"{name}.py"
        tested = tests / f"test_{name}.py"
        row = Row(
            key,
            declared,
            f"{permitted}:1" if (repository / permitted).is_file() else None,
            _first_function(repository, handled, _is_entry_point),
            _first_function(repository, tested, lambda function: function.name.startswith("test_")),
        )
        rows.append(row)
        wanted = [
            (row.permitted, f"{permitted} must exist and say what it may do"),
            (row.handled, f"{handled} must define a function `handler`"),
            (row.tested, f"{tested} must hold a test"),
        ]
        gaps += [f"{row.key} is declared in {declared}: {sentence}" for place, sentence in wanted if place is None]
    gaps += _orphans(repository, set(names))
    return Routes(rows, gaps)


def _refused_by_the_build(repository: Path) -> Iterator[str]:
    """Yield the error of ``make build``, if it refuses the handlers."""
    try:
        build_handlers.render(repository / HANDLERS, cache=None)
    except BuildError as error:
        yield str(error)


def _declared(repository: Path, file: str, table: str, remark: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield (key, name, place) of each row of a table.

    Args:
        repository: the root of a checkout.
        file: Terraform file of the backend.
        table: name of the local value that is the table.
        remark: follows each key.

    Raises:
        ValueError: the file holds no such table.
    """
    place = BACKEND / file
    tables = [block.attributes[table] for block in read_blocks(repository / place) if table in block.attributes]
    if len(tables) != 1 or not tables[0].text.startswith("{"):
        raise ValueError(f"{place} must hold the table of {table}: one `locals` block with a literal map `{table}`")
    for key, row in tables[0].elements.items():
        yield f"{key} {remark}".rstrip(), key.removeprefix("$"), f"{place}:{row.line}"


def _is_entry_point(function: Function) -> bool:
    # Lambda awaits nothing.
    return isinstance(function, ast.FunctionDef) and function.name == "handler"


def _first_function(repository: Path, file: Path, is_wanted: Callable[[Function], bool]) -> str | None:
    """Return ``file:line`` of a module's first function that is wanted, or None."""
    if not (repository / file).is_file():
        return None
    try:
        body = ast.parse((repository / file).read_bytes(), str(file)).body
    except SyntaxError:
        return None
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and is_wanted(node):
            return f"{file}:{node.lineno}"
    return None


def _orphans(repository: Path, names: set[str]) -> Iterator[str]:
    """Yield a sentence for each policy, handler and route test that nothing declares."""
    for folder, prefix, suffix in ((POLICIES, "", POLICY_SUFFIX), (HANDLERS, "", ".py"), (ROUTE_TESTS, "test_", ".py")):
        for file in sorted((repository / folder).glob(f"{prefix}*{suffix}")):
            name = file.name.removeprefix(prefix).removesuffix(suffix)
            if name not in names and name != "__init__":
                yield f"{folder / file.name} belongs to nothing that is declared: {BACKEND / 'routes.tf'} has no {name}"


def render(rows: list[Row]) -> str:
    """Return the rows as a table; a place is relative to the folder under its column's heading when it is in there."""
    places = [
        tuple((cell or MISSING).removeprefix(folder) for cell, folder in zip(row, FOLDERS, strict=True)) for row in rows
    ]
    table = [HEADINGS, FOLDERS, *places]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in table
    )


def main() -> int:
    """Print the table and the gaps; return the exit status."""
    try:
        routes = find_routes(REPOSITORY)
    except (OSError, ValueError) as error:
        print(f"check_routes: {error}", file=sys.stderr)
        return 1
    print(render(routes.rows))
    for gap in routes.gaps:
        print(f"check_routes: {gap}", file=sys.stderr)
    return 1 if routes.gaps else 0


if __name__ == "__main__":
    sys.exit(main())
