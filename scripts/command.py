"""Common behaviour of the commands that make starts: interruption, output and failure.

``python -m scripts.command MODULE [ARGUMENT ...]`` runs a module as ``python -m MODULE`` does, with these additions:

- SIGINT, SIGTERM and SIGHUP end it at any moment with one sentence and status 130, without tracebacks of objects that
  they left half made;
- a lack of disk space, memory or file descriptors ends it with a sentence and status 1;
- characters that the terminal's encoding lacks are replaced, and a closed pipe ends it quietly;
- it reaches programs on this machine without a proxy.

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
"""Errors of the machine, which its user can remedy; the program has no fault."""


def prepare() -> None:
    """Let signals end this process as Ctrl-C does, let it print any character, and bypass proxies to this machine."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    heed_signals()
    loopback.reach_directly()


def heed_signals() -> None:
    """Let signals end this process as Ctrl-C does; event loops need ``event_loops`` for it."""
    for number in ENDING:
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup and shells ignore some for background jobs
            signal.signal(number, signal.default_int_handler)


def let_children_be_interrupted() -> None:
    """Let child processes end by signals that this process ignores, as a shell's background jobs ignore SIGINT.

    Children inherit an ignored signal, but not a handler; the handler set here does nothing.
    """
    for number in ENDING:
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ignore signals in the context, which cleans up and ends by itself."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def interrupted(name: str) -> int:
    """Print that a command was interrupted and return its exit status; a further signal ends this process at once."""
    for number in ENDING:
        signal.signal(number, signal.SIG_DFL)
    print(f"{name}: interrupted", file=sys.stderr)
    return INTERRUPTED


def main(arguments: Sequence[str]) -> int:
    """Run a module with its arguments; return its exit status."""
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


def _main(arguments: Sequence[str]) -> int:
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
    """Run a module as the main program and return its exit status."""
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
            return 1
        return end.code or 0
    return 0


def discard_output() -> None:
    """Discard buffered output, because the interpreter would fail again when it flushes at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
