"""Build one zip per Lambda handler, with the handler, its imports, the licence, and nothing else.

Every ``handlers/<name>.py`` becomes ``build/handlers/<name>.zip``, and ``build/handlers/manifest.json`` records the
SHA-256 of each zip and of each source in it, so that Terraform can refuse at plan a zip of other sources. With
``--release X.Y.Z`` the manifest names the release, in which Terraform compares no sources, and every handler is built.

A handler with a lock beside it, ``handlers/<name>.lock``, has third-party code in its zip, and so one zip for each of
Lambda's architectures. Where its wheels are neither in ``build/wheels`` nor to be downloaded, everything else is built.
``--host`` builds its zips for the running Python, as the embedded target needs them, and fails without them.

With ``--compiled``, the zips hold compiled code beside each source, which halves the CPU time of a cold start. Only the
runtime's minor version of Python reads it; any other one uses the sources.

This file needs the standard library only: ``python3 scripts/build_handlers.py`` works before anything is installed.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

if not __package__:
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run by its path

from scripts import wheels
from scripts.build_output import MANIFEST, differences, write_atomically
from scripts.handler_sources import LOCK_SUFFIX, BuildError, find_sources
from scripts.lambda_zip import compiled, zip_bytes
from scripts.locks import read_lock
from scripts.machines import Machine, this_machine
from scripts.pip_download import WheelsError
from scripts.repository import REPOSITORY, shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Unpack

SOURCES = REPOSITORY / "handlers"
OUTPUT = REPOSITORY / "build" / "handlers"
LICENCE = REPOSITORY / "LICENSE"
"""Goes into each zip, because copies of the code must carry it. The manifest does not list it among the sources, which
Terraform reads in the folder of the handlers."""

MANIFEST_FORMAT = 2
"""Format 2 has each zip's digest in base64, too, because Terraform cannot convert it, and the version of a release."""

LAMBDA_ARCHITECTURES = {"arm64": "aarch64", "x86_64": "x86_64"}
"""Names of Linux for the architectures as Lambda names them."""

HANDLER_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,22}")
"""A function is named after its backend and its handler: 40 characters, a hyphen and these are Lambda's 64."""

RUNTIME = (3, 13)
"""The Python of Lambda's runtime: the default of ``runtime`` in the module ``handler``."""

INTERRUPTED = 130
"""Exit status, as a shell has it for SIGINT."""


class Kind(TypedDict, total=False):
    """What a build is for, as :func:`render` has it."""

    is_compiled: bool
    is_host: bool
    cache: Path | None
    release: str | None


def source_digest(sources: Mapping[str, str]) -> str:
    """Return the SHA-256 (hex) of the output of ``sha256sum`` for these files, given as SHA-256 (hex) by path."""
    listing = "".join(f"{digest}  {path}\n" for path, digest in sorted(sources.items()))
    return hashlib.sha256(listing.encode()).hexdigest()


def render(
    sources: Path,
    *,
    is_compiled: bool = False,
    is_host: bool = False,
    cache: Path | None = wheels.CACHE,
    release: str | None = None,
) -> dict[str, bytes]:
    """Return every file of a build, as content by file name: a zip for each handler, and the manifest.

    A handler whose wheels are not to be had is left out, with a sentence on standard error; a release and a build for
    the running Python fail instead.

    Args:
        sources: Folder with one file per handler and the packages they share.
        is_compiled: Whether the zips hold compiled code, too.
        is_host: Whether third-party code is for the running Python instead of Lambda's.
        cache: Folder of wheels; ``None`` to leave out handlers with third-party code, and download nothing.
        release: Version of the release that the zips are for; ``None`` for those of a working tree.

    Raises:
        BuildError: There is no handler, one of them cannot be built, or this Python cannot compile for the runtime.
        OSError: A file cannot be read.
    """
    if is_compiled and sys.version_info[:2] != RUNTIME:
        ours, theirs = (".".join(map(str, version)) for version in (sys.version_info[:2], RUNTIME))
        raise BuildError(f"Lambda's runtime is Python {theirs}, and this is {ours}, whose compiled code it cannot read")
    handlers = sorted(file.stem for file in sources.glob("*.py"))
    if not handlers:
        raise BuildError(f"{shown(sources)} holds no handler: expected one <route>.py per route")
    files: dict[str, bytes] = {}
    entries: dict[str, Any] = {}
    for handler in handlers:
        if reason := _unfit_name(handler, sources):
            raise BuildError(f"{shown(sources)}/{handler}.py {reason}; name the route differently")
        contents = find_sources(handler, sources)
        try:
            libraries = _libraries(sources / f"{handler}{LOCK_SUFFIX}", cache, is_host=is_host)
            zips = _zips(handler, contents, libraries, is_compiled=is_compiled)
        except WheelsError as error:
            if release is not None or is_host:
                which = "a release" if release is not None else "an emulator"
                raise BuildError(f"{which} needs every handler, but {handler} cannot be built: {error}") from error
            if cache is not None:
                print(f"build_handlers: {handler} is not built, because {error}", file=sys.stderr)
            continue
        files |= dict(zips.values())
        entries[handler] = _entry(contents, zips)
    manifest = {"format": MANIFEST_FORMAT, **({} if release is None else {"release": release}), "handlers": entries}
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
    lock = read_lock(lock_file)
    if is_host:
        return dict.fromkeys(LAMBDA_ARCHITECTURES, wheels.contents(lock, this_machine(), cache))
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
        own = {**contents, LICENCE.name: LICENCE.read_bytes()}
        if overlap := sorted(own.keys() & library.keys()):
            raise BuildError(f"{handler}: the packages of its lock would replace {', '.join(overlap)}")
        files = {**own, **library}
        archive = zip_bytes({**files, **(compiled(files) if is_compiled else {})})
        zips[architecture] = (f"{handler}-{architecture}.zip" if architecture else f"{handler}.zip", archive)
    return zips


def _entry(contents: Mapping[str, bytes], zips: Mapping[str, tuple[str, bytes]]) -> dict[str, Any]:
    """Return a handler's part of the manifest."""
    digests = {path: hashlib.sha256(content).hexdigest() for path, content in contents.items()}
    found = {
        architecture: {"zip": name, "sha256": digest.hex(), "digest": base64.b64encode(digest).decode()}
        for architecture, (name, archive) in zips.items()
        for digest in [hashlib.sha256(archive).digest()]
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


def build(sources: Path = SOURCES, output: Path = OUTPUT, **kind: Unpack[Kind]) -> list[str]:
    """Bring ``output`` up to date with ``sources``; up-to-date files stay untouched.

    Args:
        sources: Folder with one file per handler and the packages they share.
        output: Folder for the zips and the manifest, made when missing.
        **kind: What the build is for.

    Returns:
        Names of the files that were written or removed, sorted.

    Raises:
        BuildError: A handler cannot be built; ``output`` is unchanged.
        OSError: A file cannot be written; the manifest names no missing zip.
    """
    files = render(sources, **kind)
    changed = differences(files, output)
    output.mkdir(parents=True, exist_ok=True)
    # The manifest comes last, so that it never names a zip that is not there yet.
    for name in sorted(changed, key=lambda name: name == MANIFEST):
        if name in files:
            write_atomically(output / name, files[name])
        else:
            (output / name).unlink(missing_ok=True)
    return changed


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(description="Build one reproducible zip per Lambda handler, and a manifest.")
    parser.add_argument("--sources", type=Path, default=SOURCES, help="folder of the handlers (default: handlers/)")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="folder of the zips (default: build/handlers/)")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if what is built does not match")
    parser.add_argument("--compiled", action="store_true", help="put code compiled for Lambda's runtime into the zips")
    parser.add_argument("--host", action="store_true", help="third-party code for the running Python; needs --output")
    parser.add_argument("--wheels", type=Path, default=wheels.CACHE, help="folder of wheels (default: build/wheels/)")
    parser.add_argument("--release", metavar="X.Y.Z", help="version of the release that the zips are for")
    options = parser.parse_args(arguments)
    if options.host and options.output.resolve() == OUTPUT.resolve():
        parser.error("--host needs --output: Terraform would take zips for this machine to Lambda")
    kind: Kind = {
        "is_compiled": options.compiled,
        "is_host": options.host,
        "cache": options.wheels,
        "release": options.release,
    }
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
    print(f"{shown(options.output)}: {'changed ' + ', '.join(changed) if changed else 'up to date'}")
    return 0


def _check(sources: Path, output: Path, **kind: Unpack[Kind]) -> list[str]:
    if wrong := differences(render(sources, **kind), output):
        raise BuildError(f"{shown(output)} does not match the sources ({', '.join(wrong)}): run `make build`")
    return []


if __name__ == "__main__":
    sys.exit(main())
