"""A signal ends a program with an event loop, also where an exception would be dropped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from scripts import command
from scripts.repository import REPOSITORY

PROGRAM = """
import asyncio, signal, sys, weakref
from scripts import command, event_loops

class Thing:
    pass

def send(*_):
    # The interpreter drops exceptions of a weak reference's callback, and of a handler that is called in it.
    for number in sys.argv[1:]:
        signal.raise_signal(int(number))

async def main():
    thing = Thing()
    reference = weakref.ref(thing, send)
    try:
        del thing
        await asyncio.sleep(0)
        await asyncio.sleep({seconds})
    finally:
        await asyncio.sleep(0)
        print("cleaned up", flush=True)

command.heed_signals()
{run}
"""
OF_OTHERS = "signal.signal(signal.SIGTERM, event_loops.interrupt); asyncio.run(main())"
OWN = "event_loops.run(main())"


def ended(run: str, *numbers: signal.Signals, ignores: str = "- INT", seconds: int = 60) -> tuple[int, str, str]:
    """Run a loop that gets signals; return status, output and the last line of its errors."""
    program = [sys.executable, "-c", PROGRAM.format(run=run, seconds=seconds), *(str(int(each)) for each in numbers)]
    result = subprocess.run(
        ["sh", "-c", f'trap {ignores}; exec "$@"', "sh", *program],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        check=False,
        capture_output=True,
        text=True,
    )
    return result.returncode, result.stdout, "".join(result.stderr.splitlines()[-1:])


@pytest.mark.parametrize("number", command.ENDING)
def test_each_signal_ends_the_loop_and_lets_it_clean_up(number: signal.Signals) -> None:
    assert ended(OWN, number) == (-signal.SIGINT, "cleaned up\n", "KeyboardInterrupt")


def test_sigterm_ends_it_where_sigint_is_ignored() -> None:
    assert ended(OWN, signal.SIGINT, signal.SIGTERM, ignores='"" INT')[1:] == ("cleaned up\n", "KeyboardInterrupt")


def test_ignored_signal_ends_nothing() -> None:
    assert ended(OWN, signal.SIGHUP, ignores='"" HUP', seconds=0) == (0, "cleaned up\n", "")


def test_loop_that_others_run_is_ended() -> None:
    assert ended(OF_OTHERS, signal.SIGTERM)[1:] == ("cleaned up\n", "KeyboardInterrupt")
