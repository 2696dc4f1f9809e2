"""``roomcast chat URL ROOM``: talk in a room from a terminal or a pipe.

Exit status: 0 everything sent, 1 something failed or the stage removed this client, 2 wrong usage, 4 refused, 5 not
reachable, 130 Ctrl-C, 141 the reader of the output is gone.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import sys
from importlib import metadata, util
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

INTERRUPTED, READER_GONE = 130, 141
MOST_LAST = 100
LONGEST_TIMEOUT = 86_400.0


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    top = argparse.ArgumentParser(prog="roomcast", description="Commands for stages of Roomcast.")
    top.add_argument("--version", action="version", version=_version())
    commands = top.add_subparsers(dest="command", required=True)
    chat = commands.add_parser(
        "chat",
        help="talk in a room",
        description="Talk in a room. In a pipe each line of the input is a message; at its end, the command waits "
        "until all are stored.",
    )
    chat.add_argument("url", help="the stage's address: wss://...")
    chat.add_argument("room")
    token = chat.add_mutually_exclusive_group()
    token.add_argument(
        "--token-command", metavar="CMD", help="a shell command that prints the token, run for each connection"
    )
    token.add_argument("--token-file", metavar="FILE", help="a file that holds the token, read for each connection")
    chat.add_argument(
        "--last", type=_count, default=20, metavar="N", help="messages of before to show (0 to 100; default: 20)"
    )
    chat.add_argument(
        "--json", action="store_true", help="messages as JSON, one a line; states, comings and errors too, on stderr"
    )
    chat.add_argument(
        "--timeout", type=_seconds, default=30.0, metavar="S", help="seconds to connect at first (default: 30)"
    )
    direction = chat.add_mutually_exclusive_group()
    direction.add_argument("--send-only", action="store_true", help="show no messages")
    direction.add_argument("--receive-only", action="store_true", help="read no input")
    return top


def _version() -> str:
    try:
        version = metadata.version("roomcast")
    except metadata.PackageNotFoundError:
        version = "(not installed)"
    return f"roomcast {version}, Python {sys.version.split()[0]}"


def _count(text: str) -> int:
    if text.isascii() and text.isdigit() and int(text) <= MOST_LAST:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to {MOST_LAST}")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if 0 < seconds <= LONGEST_TIMEOUT:
        return seconds
    raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    top = parser()
    options: Any = top.parse_args(arguments)
    if util.find_spec("websockets") is None:
        top.exit(2, "roomcast: the package websockets is missing; install roomcast[client]\n")
    from roomcast_cli import chat, sources  # noqa: PLC0415 - they need the package looked for above

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        status = asyncio.run(chat.run(options))
        sys.stdout.flush()
    except (KeyboardInterrupt, sources.InterruptedChatError):
        return INTERRUPTED
    except BrokenPipeError:
        # The interpreter flushes at its end, and would fail once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE
    except ValueError as error:
        top.exit(2, f"roomcast: {error}\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
