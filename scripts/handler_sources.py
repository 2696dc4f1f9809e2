"""Find the files that a handler needs.

The build follows imports without running any code. It skips imports under ``if TYPE_CHECKING:`` and does not see those
made by name at run time (``importlib``).
"""

from __future__ import annotations

import ast
import functools
import sys
from typing import TYPE_CHECKING

from scripts.locks import read_lock
from scripts.repository import shown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOCK_SUFFIX = ".lock"

TESTS = "tests"
"""Folder beside the handlers that no zip holds."""


class BuildError(Exception):
    """The handlers cannot be built; the message is a sentence for the user."""


class _Imports(ast.NodeVisitor):
    """Collects a module's imports at run time, as (line, module, name imported from it or None)."""

    def __init__(self, package: str) -> None:
        self.package = package
        self.found: list[tuple[int, str, str | None]] = []

    def visit_Import(self, node: ast.Import) -> None:
        self.found += [(node.lineno, alias.name, None) for alias in node.names]

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = node.module or ""
        if node.level:
            parents = self.package.split(".")[: 1 - node.level or None]
            module = ".".join([*parents, *filter(None, [module])])
        self.found += [(node.lineno, module, alias.name) for alias in node.names]

    def visit_If(self, node: ast.If) -> None:
        only_for_types = ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}
        for statement in node.orelse if only_for_types else [*node.body, *node.orelse]:
            self.visit(statement)


def find_sources(handler: str, sources: Path) -> dict[str, bytes]:
    """Find every file that a handler needs, itself and its lock included.

    Args:
        handler: The handler's name; its file is ``<handler>.py``.
        sources: Folder that becomes the root of the zip.

    Returns:
        File contents, as they are on disk, by path relative to ``sources`` (with ``/``), sorted by path.

    Raises:
        BuildError: A file is no valid Python, or imports a module outside the standard library and ``sources``.
    """
    contents: dict[str, bytes] = {}
    lock = sources / f"{handler}{LOCK_SUFFIX}"
    third_party: frozenset[str] = frozenset()
    if lock.is_file():
        contents[lock.name] = lock.read_bytes()
        third_party = read_lock(lock).imports
    waiting = [sources / f"{handler}.py"]
    while waiting:
        file = waiting.pop()
        path = file.relative_to(sources).as_posix()
        if path not in contents:
            contents[path] = file.read_bytes()
            waiting += _imported_files(file, contents[path], sources, third_party)
    return dict(sorted(contents.items()))


def _imported_files(file: Path, content: bytes, sources: Path, third_party: frozenset[str]) -> Iterator[Path]:
    """Yield the files below ``sources`` that running one file imports."""
    try:
        found = _imports(".".join(file.parent.relative_to(sources).parts), content)
    except SyntaxError as error:
        raise BuildError(f"{shown(file)}:{error.lineno}: not valid Python: {error.msg}") from error
    for line, module, name in found:
        if module.partition(".")[0] in sys.stdlib_module_names | third_party:
            continue
        if module.partition(".")[0] == TESTS:
            raise BuildError(f"{shown(file)}:{line}: imports {module}; tests are not shipped to Lambda")
        chain = _module_chain(module, sources)
        if chain is None:
            raise BuildError(
                f"{shown(file)}:{line}: imports {module or name}, which is neither in the standard library nor in "
                f"{shown(sources)}; third-party code is shipped to Lambda only as a handler's lock lists it"
            )
        yield from chain
        if name is not None:
            yield from _module_chain(f"{module}.{name}", sources) or []


@functools.lru_cache(maxsize=256)  # every handler needs the library, which has some fifty files
def _imports(package: str, content: bytes) -> tuple[tuple[int, str, str | None], ...]:
    imports = _Imports(package)
    imports.visit(ast.parse(content))
    return tuple(imports.found)


def _module_chain(module: str, sources: Path) -> list[Path] | None:
    """Return the files that importing a dotted name runs, outermost package first; None if there is no such module."""
    chain = []
    parts = module.split(".")
    for depth in range(1, len(parts) + 1):
        location = sources.joinpath(*parts[:depth])
        candidates = (location / "__init__.py", location.with_suffix(".py"))
        file = next((candidate for candidate in candidates if candidate.is_file()), None)
        if file is None:
            return None
        chain.append(file)
    return chain
