"""Questions before a command changes something."""

from __future__ import annotations

import sys

from roomcast_cli.output import NO, WRONG_USAGE, CommandError


def confirm(question: str, command: str, *, yes: bool) -> None:
    """Ask on the terminal.

    Args:
        question: The question.
        command: What asks.
        yes: Whether the answer is known.

    Raises:
        CommandError: The answer is no, or there is no terminal to ask on.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise CommandError(f"{command} asks before it acts; say --yes", WRONG_USAGE)
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise CommandError("nothing was changed", NO)
