"""The command ``roomcast``: its commands, and how each ends.

Exit status: 0 done, 1 the answer is no, 2 wrong usage, 3 no such stage, or it lacks the feature, 4 no credentials, or a
right is missing, 5 not reachable, 130 Ctrl-C, 141 the reader of the output is gone.
"""

from __future__ import annotations

import io
import os
import signal
import sys
from importlib import metadata
from typing import TYPE_CHECKING, Annotated

import typer

from roomcast_cli import aws
from roomcast_cli.commands import (
    capacity,
    chat,
    cost,
    dead_letters,
    doctor,
    follow,
    hash_,
    kick,
    leftovers,
    outputs,
    policy,
    query,
    rooms,
    send,
    stages,
    stats,
    tail,
)
from roomcast_cli.model import UsageError
from roomcast_cli.output import DONE, INTERRUPTED, NO, READER_GONE, WRONG_USAGE, CommandError, note

if TYPE_CHECKING:
    from collections.abc import Sequence

APP = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
for _command in (
    chat.chat,
    cost.cost,
    capacity.capacity,
    stages.stages,
    outputs.outputs,
    rooms.rooms,
    stats.stats,
    send.send,
    kick.kick,
    tail.tail,
    follow.follow,
    query.query,
    leftovers.leftovers,
    dead_letters.dead_letters,
    doctor.doctor,
    policy.policy,
):
    APP.command()(_command)
APP.command(name="hash")(hash_.hash_)


def _version(asked: bool) -> None:
    if asked:
        try:
            version = metadata.version("roomcast")
        except metadata.PackageNotFoundError:
            version = "(not installed)"
        print(f"roomcast {version}, Python {sys.version.split()[0]}")
        raise typer.Exit


@APP.callback(
    help="Plan, use and operate stages of Roomcast. Is one healthy: roomcast doctor. How is it doing: roomcast stats."
)
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
        sys.stdout.flush()
    except typer.Abort:  # of Ctrl-C, after a line end
        return INTERRUPTED
    except (BrokenPipeError, SystemExit):  # where the signal is ignored; typer makes the second of the first
        # The interpreter flushes at its end, and would fail once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE
    except Exception as error:
        told = _explained(error, arguments)
        if told is None and "--debug" in arguments:
            raise
        told = told or CommandError(f"unexpected: {type(error).__name__}: {error}; --debug shows where", NO)
        note(f"roomcast: {told}")
        return told.status
    return status if isinstance(status, int) else DONE


def _explained(error: Exception, arguments: Sequence[str]) -> CommandError | None:
    """Return the sentence and the exit status of an error that was expected; None for any other."""
    if isinstance(error, CommandError):
        return error
    if isinstance(error, UsageError):
        return CommandError(str(error), WRONG_USAGE)
    if isinstance(error, typer.TyperException):
        sentence, context = error.format_message().rstrip("."), getattr(error, "ctx", None)
        path = context.command_path if context else "roomcast"
        return CommandError(f"{sentence[:1].lower()}{sentence[1:]}; see `{path} --help`", WRONG_USAGE)
    return None if "--debug" in arguments else aws.explained(error, _profile_in(arguments))


def _profile_in(arguments: Sequence[str]) -> str | None:
    """Return the profile that a command line names."""
    for name, value in zip(arguments, [*arguments[1:], ""], strict=True):
        if name.startswith("--profile"):
            return name.partition("=")[2] or value
    return None
