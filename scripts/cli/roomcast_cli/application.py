"""The command ``roomcast``: its commands, and how each ends.

Exit status: 0 done, 1 the answer is no, 2 wrong usage, 4 a right is missing, 5 not reachable, 130 Ctrl-C, 141 the
reader of the output is gone.
"""

from __future__ import annotations

import io
import signal
import sys
from importlib import metadata
from typing import TYPE_CHECKING, Annotated

import typer

from roomcast_cli.commands import capacity, chat, cost
from roomcast_cli.model import UsageError
from roomcast_cli.output import DONE, INTERRUPTED, NO, WRONG_USAGE, CommandError, note

if TYPE_CHECKING:
    from collections.abc import Sequence

APP = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
APP.command()(chat.chat)
APP.command()(cost.cost)
APP.command()(capacity.capacity)


def _version(asked: bool) -> None:
    if asked:
        try:
            version = metadata.version("roomcast")
        except metadata.PackageNotFoundError:
            version = "(not installed)"
        print(f"roomcast {version}, Python {sys.version.split()[0]}")
        raise typer.Exit


@APP.callback(help="Commands for stages of Roomcast.")
def _common(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print version and Python, and exit.")
    ] = False,
) -> None:
    """Options before the command."""


def run(arguments: Sequence[str]) -> int:
    """Run a command; returns its exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    # A closed pipe ends commands as it ends cat: typer would exit with 1.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        status = APP(list(arguments), prog_name="roomcast", standalone_mode=False)
    except typer.Abort:  # of Ctrl-C, after a line end
        return INTERRUPTED
    except CommandError as error:
        note(f"roomcast: {error}")
        return error.status
    except UsageError as error:
        note(f"roomcast: {error}")
        return WRONG_USAGE
    except typer.TyperException as error:
        sentence, context = error.format_message().rstrip("."), getattr(error, "ctx", None)
        path = context.command_path if context else "roomcast"
        note(f"roomcast: {sentence[:1].lower()}{sentence[1:]}; see `{path} --help`")
        return WRONG_USAGE
    except Exception as error:
        if "--debug" in arguments:
            raise
        note(f"roomcast: unexpected: {type(error).__name__}: {error}; --debug shows where")
        return NO
    return status if isinstance(status, int) else DONE
