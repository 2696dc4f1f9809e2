"""``roomcast``: the entry point, which needs no package but the standard library."""

from __future__ import annotations

import sys
from importlib import util
from typing import TYPE_CHECKING

from roomcast_cli.output import INTERRUPTED, WRONG_USAGE, note

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status.

    What Python cannot raise is told at the end, unless Ctrl-C has ended the command: a signal can come between the
    making of an object and its ``__init__``, and Python would print the traceback of its ``__del__``.
    """
    held: list[sys.UnraisableHookArgs] = []
    hook, sys.unraisablehook = sys.unraisablehook, held.append
    status = None
    try:
        status = _main(arguments)
    finally:
        if status != INTERRUPTED:  # the interpreter's end deletes objects, too
            sys.unraisablehook = hook
            for unraisable in held:
                hook(unraisable)
    return status


def _main(arguments: Sequence[str] | None) -> int:
    try:
        if util.find_spec("typer") is None:
            note("roomcast: the package typer is missing; install roomcast[cli]")
            return WRONG_USAGE
        from roomcast_cli import application  # noqa: PLC0415 - it needs the package looked for above

        return application.run(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:  # while modules are loaded
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
