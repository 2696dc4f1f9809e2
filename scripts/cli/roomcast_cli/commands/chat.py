"""``roomcast chat URL ROOM``: talk in a room from a terminal or a pipe."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from importlib import util
from typing import TYPE_CHECKING, Annotated

import typer

from roomcast_cli.commands.options import Debug  # noqa: TC001 - typer reads it
from roomcast_cli.output import INTERRUPTED, READER_GONE, WRONG_USAGE, CommandError

if TYPE_CHECKING:
    from roomcast_cli.chat import Options

MOST_LAST = 100
"""Messages that a stage replays at most to a client that asks for the last ones."""
LONGEST_TIMEOUT = 86_400.0


def _seconds(text: str | float) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if 0 < seconds <= LONGEST_TIMEOUT:
        return seconds
    raise typer.BadParameter(f"{text!r} is not a number of seconds")


def chat(  # noqa: PLR0913 - of the command line
    url: Annotated[str, typer.Argument(help="The stage's address: wss://...")],
    room: Annotated[str, typer.Argument(help="Its name.")],
    *,
    token_command: Annotated[
        str | None,
        typer.Option(metavar="CMD", help="A shell command that prints the token, run for each connection."),
    ] = None,
    token_file: Annotated[
        str | None, typer.Option(metavar="FILE", help="A file that holds the token, read for each connection.")
    ] = None,
    last: Annotated[int, typer.Option(min=0, max=MOST_LAST, metavar="N", help="Messages of before to show.")] = 20,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Messages as JSON, one a line; states, comings and errors too, on stderr."),
    ] = False,
    timeout: Annotated[float, typer.Option(parser=_seconds, metavar="S", help="Seconds to connect at first.")] = 30.0,
    send_only: Annotated[bool, typer.Option("--send-only", help="Show no messages.")] = False,
    receive_only: Annotated[bool, typer.Option("--receive-only", help="Read no input.")] = False,
    _debug: Debug = False,
) -> int:
    """Talk in a room.

    In a pipe each line of the input is a message; at its end, the command waits until all are stored.
    """
    if token_command and token_file:
        raise typer.BadParameter("--token-command and --token-file exclude each other")
    if send_only and receive_only:
        raise typer.BadParameter("--send-only and --receive-only exclude each other")
    if util.find_spec("websockets") is None:
        raise CommandError("the package websockets is missing; install roomcast[client]", WRONG_USAGE)
    from roomcast_cli import chat as talk  # noqa: PLC0415 - it needs the package looked for above

    return _talk(talk.Options(url, room, token_command, token_file, last, as_json, timeout, send_only, receive_only))


def _talk(options: Options) -> int:
    from roomcast_cli import chat as talk  # noqa: PLC0415 - it needs the package that the caller has looked for
    from roomcast_cli import sources  # noqa: PLC0415

    # Sockets that the stage has closed must not end the process.
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    try:
        status = asyncio.run(talk.run(options))
        sys.stdout.flush()
    except (KeyboardInterrupt, sources.InterruptedChatError):
        return INTERRUPTED
    except BrokenPipeError:
        # The interpreter flushes at its end, and would fail once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE
    except ValueError as error:
        raise CommandError(str(error), WRONG_USAGE) from error
    return status
