"""``roomcast``: the entry point, which needs no package but the standard library."""

from __future__ import annotations

import sys
from importlib import util
from typing import TYPE_CHECKING

from roomcast_cli.output import INTERRUPTED, WRONG_USAGE, note

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
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
