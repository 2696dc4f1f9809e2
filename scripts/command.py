"""What the commands that make starts have in common: how they are interrupted, what they print, how they fail.

``python -m scripts.command MODULE [ARGUMENT ...]`` runs a module as ``python -m MODULE`` does, with these additions:

- SIGINT, SIGTERM and SIGHUP end it with one sentence and status 130, at whatever moment they come;
- a machine that has no disk space, memory or file descriptors left ends it with a sentence and status 1;
- a character that the terminal's encoding lacks is replaced, and a reader that has gone ends it quietly;
- programs on this machine are reached without a proxy.

This file needs the standard library only.
"""

from __future__ import annotations

import errno
import os
import runpy
import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from scripts import loopback

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

INTERRUPTED = 130
"""Exit status, as a shell has it for SIGINT."""
READER_GONE = 141
"""Exit status, as a shell has it for SIGPIPE."""
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
EXHAUSTED = {
    errno.EACCES,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOMEM,
    errno.ENOSPC,
    errno.EROFS,
}
"""Errors of the machine that a person can do something about, and that are no fault of the program."""


def prepare() -> None:
    """Let signals end this process as Ctrl-C does, let it print anything, and let it reach this machine directly."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    for number in ENDING:
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup and shells ignore some for what runs in the background
            signal.signal(number, signal.default_int_handler)
    loopback.reach_directly()


def let_children_be_interrupted() -> None:
    """Have programs that this one starts end by signals that it ignores, as a shell's background jobs ignore SIGINT.

    A signal that is ignored is so in every child, too; one with a handler, which does nothing here, is not.
    """
    for number in ENDING:
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let no signal interrupt the context, which removes what must not be left behind and ends by itself."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def interrupted(name: str) -> int:
    """Say that a command was interrupted, and return its exit status; one more signal ends this process at once."""
    for number in ENDING:
        signal.signal(number, signal.SIG_DFL)
    print(f"{name}: interrupted", file=sys.stderr)
    return INTERRUPTED


def main(arguments: Sequence[str]) -> int:
    """Run a module with its arguments; return its exit status."""
    module = arguments[0]
    name = module.rpartition(".")[2]
    sys.argv = [*arguments]
    try:
        prepare()
        status = run(module)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return interrupted(name)
    except BrokenPipeError:
        discard_output()
        return READER_GONE
    except OSError as error:
        if error.errno not in EXHAUSTED:
            raise
        discard_output()
        print(f"{name}: {error.strerror}{f': {error.filename}' if error.filename else ''}", file=sys.stderr)
        return 1
    return status


def run(module: str) -> int:
    """Run a module as the main program and return the status that it exits with."""
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
            return 1
        return end.code or 0
    return 0


def discard_output() -> None:
    """Send what is still to be printed nowhere: the interpreter would fail again when it flushes at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
