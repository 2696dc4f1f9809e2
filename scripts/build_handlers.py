"""Build one zip per Lambda handler, with the handler and its imports and nothing else.

Every ``handlers/<name>.py`` becomes ``build/handlers/<name>.zip``, and ``build/handlers/manifest.json`` records the
SHA-256 of each zip and of each source in it, so that Terraform can refuse at plan a zip of other sources.

The bytes depend on the sources alone: entries are sorted, carry one fixed date and mode, and are stored without
compression, because deflate output differs between zlib versions and builds. The sources are a few tens of kilobytes,
so compression would save nothing that Lambda charges for.

A handler with a lock beside it, ``handlers/<name>.lock``, has third-party code in its zip, and so one zip for each of
Lambda's architectures. Where its wheels are neither in ``build/wheels`` nor to be downloaded, everything else is built.
``--host`` builds its zips for the running Python, as the embedded target needs them.

With ``--compiled``, the zips hold compiled code beside each source, which halves the CPU time of a cold start. Only the
runtime's minor version of Python reads it; any other one uses the sources.

The build follows imports without running any code. It skips imports under ``if TYPE_CHECKING:`` and does not see those
made by name at run time (``importlib``).

This file needs the standard library only: ``python3 scripts/build_handlers.py`` works before anything is installed.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import importlib.util
import io
import json
import marshal
import os
import re
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

REPOSITORY = Path(__file__).resolve().parent.parent
if not __package__:
    sys.path.insert(0, str(REPOSITORY))  # run by its path

from scripts import wheels  # noqa: E402
from scripts.wheels import Machine, WheelsError  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SOURCES = REPOSITORY / "handlers"
OUTPUT = REPOSITORY / "build" / "handlers"
MANIFEST = "manifest.json"
MANIFEST_FORMAT = 1
LOCK_SUFFIX = ".lock"
LAMBDA_ARCHITECTURES = {"arm64": "aarch64", "x86_64": "x86_64"}
"""Names of Linux for the architectures as Lambda names them."""

TESTS = "tests"
"""Folder beside the handlers that no zip holds."""
HANDLER_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,22}")
"""A function is named after its backend and its handler: 40 characters, a hyphen and these are Lambda's 64."""

RUNTIME = (3, 13)
"""The Python of Lambda's runtime: the default of ``runtime`` in the module ``handler``."""

UNCHECKED_HASH = 0b01
"""Flag of a compiled file that Python trusts without a look at its source (PEP 552)."""

STABLE_MARSHAL = 2
"""The last format that writes equal objects alike with any references to them: later ones depend on the process."""

INTERRUPTED = 130
"""Exit status, as a shell has it for SIGINT."""

EARLIEST_ZIP_DATE = (1980, 1, 1, 0, 0, 0)
UNIX = 3
READABLE_FILE = 0o100644


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
        third_party = wheels.read_lock(lock).imports
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
        tree = ast.parse(content)
    except SyntaxError as error:
        raise BuildError(f"{_shown(file)}:{error.lineno}: not valid Python: {error.msg}") from error
    imports = _Imports(package=".".join(file.parent.relative_to(sources).parts))
    imports.visit(tree)
    for line, module, name in imports.found:
        if module.partition(".")[0] in sys.stdlib_module_names | third_party:
            continue
        if module.partition(".")[0] == TESTS:
            raise BuildError(f"{_shown(file)}:{line}: imports {module}; tests are not shipped to Lambda")
        chain = _module_chain(module, sources)
        if chain is None:
            raise BuildError(
                f"{_shown(file)}:{line}: imports {module or name}, which is neither in the standard library nor in "
                f"{_shown(sources)}; third-party code is shipped to Lambda only as a handler's lock lists it"
            )
        yield from chain
        if name is not None:
            yield from _module_chain(f"{module}.{name}", sources) or []


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


def zip_bytes(contents: Mapping[str, bytes]) -> bytes:
    """Return a zip of files (content by path) that is the same on every machine, day and umask."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for path, content in sorted(contents.items()):
            entry = zipfile.ZipInfo(path, EARLIEST_ZIP_DATE)
            entry.create_system = UNIX
            entry.external_attr = READABLE_FILE << 16
            archive.writestr(entry, content)
    return buffer.getvalue()


def compiled(contents: Mapping[str, bytes]) -> dict[str, bytes]:
    """Compile sources (content by path) as the running Python reads them from beside the sources, by path."""
    files = {}
    for path, content in contents.items():
        if not path.endswith(".py"):
            continue
        folder, _, name = path.rpartition("/")
        code = compile(content, path, "exec", dont_inherit=True, optimize=0)
        cached = f"__pycache__/{name.removesuffix('.py')}.{sys.implementation.cache_tag}.pyc"
        head = importlib.util.MAGIC_NUMBER + UNCHECKED_HASH.to_bytes(4, "little")
        files[f"{folder}/{cached}" if folder else cached] = (
            head + importlib.util.source_hash(content) + marshal.dumps(code, STABLE_MARSHAL)
        )
    return files


def source_digest(sources: Mapping[str, str]) -> str:
    """Return the SHA-256 (hex) of the output of ``sha256sum`` for these files, given as SHA-256 (hex) by path."""
    listing = "".join(f"{digest}  {path}\n" for path, digest in sorted(sources.items()))
    return hashlib.sha256(listing.encode()).hexdigest()


def render(
    sources: Path, *, is_compiled: bool = False, is_host: bool = False, cache: Path | None = wheels.CACHE
) -> dict[str, bytes]:
    """Return every file of a build, as content by file name: a zip for each handler, and the manifest.

    A handler whose wheels are not to be had is left out, with a sentence on standard error.

    Args:
        sources: Folder with one file per handler and the packages they share.
        is_compiled: Whether the zips hold compiled code, too.
        is_host: Whether third-party code is for the running Python instead of Lambda's.
        cache: Folder of wheels; ``None`` to leave out handlers with third-party code, and download nothing.

    Raises:
        BuildError: There is no handler, one of them cannot be built, or this Python cannot compile for the runtime.
    """
    if is_compiled and sys.version_info[:2] != RUNTIME:
        ours, theirs = (".".join(map(str, version)) for version in (sys.version_info[:2], RUNTIME))
        raise BuildError(f"Lambda's runtime is Python {theirs}, and this is {ours}, whose compiled code it cannot read")
    handlers = sorted(file.stem for file in sources.glob("*.py"))
    if not handlers:
        raise BuildError(f"{_shown(sources)} holds no handler: expected one <route>.py per route")
    files: dict[str, bytes] = {}
    entries: dict[str, Any] = {}
    for handler in handlers:
        if reason := _unfit_name(handler, sources):
            raise BuildError(f"{_shown(sources)}/{handler}.py {reason}; name the route differently")
        contents = find_sources(handler, sources)
        try:
            libraries = _libraries(sources / f"{handler}{LOCK_SUFFIX}", cache, is_host=is_host)
            zips = _zips(handler, contents, libraries, is_compiled=is_compiled)
        except WheelsError as error:
            if cache is not None:
                print(f"build_handlers: {handler} is not built, because {error}", file=sys.stderr)
            continue
        files |= dict(zips.values())
        entries[handler] = _entry(contents, zips)
    manifest = {"format": MANIFEST_FORMAT, "handlers": entries}
    files[MANIFEST] = (json.dumps(manifest, indent=2) + "\n").encode()
    return files


def _libraries(lock_file: Path, cache: Path | None, *, is_host: bool) -> dict[str, dict[str, bytes]]:
    """Return the third-party files of a handler by architecture, or by an empty text if it has no lock.

    Raises:
        WheelsError: They are not to be had, or not wanted.
    """
    if not lock_file.is_file():
        return {"": {}}
    if cache is None:
        raise WheelsError("third-party code is left out")
    lock = wheels.read_lock(lock_file)
    if is_host:
        return dict.fromkeys(LAMBDA_ARCHITECTURES, wheels.contents(lock, wheels.this_machine(), cache))
    return {
        architecture: wheels.contents(lock, Machine(RUNTIME, "manylinux", name), cache)
        for architecture, name in LAMBDA_ARCHITECTURES.items()
    }


def _zips(
    handler: str, contents: Mapping[str, bytes], libraries: Mapping[str, Mapping[str, bytes]], *, is_compiled: bool
) -> dict[str, tuple[str, bytes]]:
    """Return name and bytes of a handler's zips, by architecture."""
    zips = {}
    for architecture, library in libraries.items():
        if overlap := sorted(contents.keys() & library.keys()):
            raise BuildError(f"{handler}: the packages of its lock would replace {', '.join(overlap)}")
        files = {**contents, **library}
        archive = zip_bytes({**files, **(compiled(files) if is_compiled else {})})
        zips[architecture] = (f"{handler}-{architecture}.zip" if architecture else f"{handler}.zip", archive)
    return zips


def _entry(contents: Mapping[str, bytes], zips: Mapping[str, tuple[str, bytes]]) -> dict[str, Any]:
    """Return a handler's part of the manifest."""
    digests = {path: hashlib.sha256(content).hexdigest() for path, content in contents.items()}
    found = {
        architecture: {"zip": name, "sha256": hashlib.sha256(archive).hexdigest()}
        for architecture, (name, archive) in zips.items()
    }
    own = {"source_digest": source_digest(digests), "sources": digests}
    return {**found[""], **own} if "" in found else {"zips": found, **own}


def _unfit_name(handler: str, sources: Path) -> str | None:
    """Return why Lambda could not run a handler of this name, or None if it can."""
    if handler in sys.stdlib_module_names:
        return f"would hide the standard library's module {handler} in Lambda"
    if (sources / handler).is_dir():
        return f"would be hidden in Lambda by the folder {handler} beside it"
    if not HANDLER_NAME.fullmatch(handler):
        return "is not named by a letter and at most 22 more letters, digits, underscores or hyphens"
    return None


def differences(files: Mapping[str, bytes], output: Path) -> list[str]:
    """Return the names of files of a build that are missing in ``output``, differ there, or should be gone."""
    outdated = [name for name, content in files.items() if not _holds(output / name, content)]
    leftover = [name for name in _listed(output) if name not in files and (output / name).exists()]
    return sorted(outdated + leftover)


def build(
    sources: Path = SOURCES,
    output: Path = OUTPUT,
    *,
    is_compiled: bool = False,
    is_host: bool = False,
    cache: Path | None = wheels.CACHE,
) -> list[str]:
    """Bring ``output`` up to date with ``sources``; up-to-date files stay untouched.

    Args:
        sources: Folder with one file per handler and the packages they share.
        output: Folder for the zips and the manifest, made when missing.
        is_compiled: Whether the zips hold compiled code, too.
        is_host: Whether third-party code is for the running Python instead of Lambda's.
        cache: Folder of wheels; ``None`` to leave out handlers with third-party code.

    Returns:
        Names of the files that were written or removed, sorted.

    Raises:
        BuildError: A handler cannot be built; ``output`` is unchanged.
        OSError: A file cannot be written; the manifest names no missing zip.
    """
    files = render(sources, is_compiled=is_compiled, is_host=is_host, cache=cache)
    changed = differences(files, output)
    output.mkdir(parents=True, exist_ok=True)
    # The manifest comes last, so that it never names a zip that is not there yet.
    for name in sorted(changed, key=lambda name: name == MANIFEST):
        if name in files:
            _write_atomically(output / name, files[name])
        else:
            (output / name).unlink(missing_ok=True)
    return changed


def _listed(output: Path) -> list[str]:
    """Return the zips that an earlier build wrote into a folder; other files there do not belong to the build."""
    try:
        entries = json.loads((output / MANIFEST).read_bytes())["handlers"].values()
        return [part["zip"] for entry in entries for part in entry.get("zips", {"": entry}).values()]
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return []


def _holds(file: Path, content: bytes) -> bool:
    return file.is_file() and file.read_bytes() == content


def _write_atomically(file: Path, content: bytes) -> None:
    # Another run in the same clone may read or write this file now: it sees the old bytes or the new ones.
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        temporary.write_bytes(content)
        temporary.replace(file)
    except BaseException:  # a full disk, Ctrl-C: no part of a file stays behind
        temporary.unlink(missing_ok=True)
        raise


def _shown(path: Path) -> str:
    """Return a path as a person in the current directory would write it."""
    absolute = path.resolve()
    return str(absolute.relative_to(Path.cwd()) if absolute.is_relative_to(Path.cwd()) else absolute)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(description="Build one reproducible zip per Lambda handler, and a manifest.")
    parser.add_argument("--sources", type=Path, default=SOURCES, help="folder of the handlers (default: handlers/)")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="folder of the zips (default: build/handlers/)")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if what is built does not match")
    parser.add_argument("--compiled", action="store_true", help="put code compiled for Lambda's runtime into the zips")
    parser.add_argument("--host", action="store_true", help="third-party code for the running Python, not for Lambda's")
    parser.add_argument("--wheels", type=Path, default=wheels.CACHE, help="folder of wheels (default: build/wheels/)")
    options = parser.parse_args(arguments)
    kind = {"is_compiled": options.compiled, "is_host": options.host, "cache": options.wheels}
    try:
        changed = (_check if options.check else build)(options.sources, options.output, **kind)
    except BuildError as error:
        print(f"build_handlers: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"build_handlers: {error.strerror}: {error.filename or options.output}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("build_handlers: interrupted", file=sys.stderr)
        return INTERRUPTED
    print(f"{_shown(options.output)}: {'changed ' + ', '.join(changed) if changed else 'up to date'}")
    return 0


def _check(sources: Path, output: Path, **kind: Any) -> list[str]:  # noqa: ANN401 - as `render` has them
    if wrong := differences(render(sources, **kind), output):
        raise BuildError(f"{_shown(output)} does not match the sources ({', '.join(wrong)}): run `make build`")
    return []


if __name__ == "__main__":
    sys.exit(main())
