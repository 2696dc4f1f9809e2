"""Runs of the command ``roomcast``, in a pipe and on a pseudo-terminal.

A server that has loaded the command's modules forks a process for each run: loading them takes longer than all else.
"""

from __future__ import annotations

import fcntl
import json
import multiprocessing
import os
import signal
import struct
import sys
import tempfile
import termios
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pexpect
from pexpect import fdpexpect

from scripts import clients
from scripts.waiting import scaled

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.process import BaseProcess

COMMAND = [sys.executable, "-m", "roomcast_cli"]
WITHIN = 60.0
NOT_KEPT = ("AWS_", "NO_COLOR", "ROOMCAST_")
NO_AWS = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
"""No settings of this machine's, and no search for credentials in the network."""

FORKING = multiprocessing.get_context("forkserver")
FORKING.set_forkserver_preload(["scripts.tests.loaded", "scripts.tests.command_line"])


def environment(**variables: str) -> dict[str, str]:
    """What a command finds: no network is needed, and no AWS account."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(NOT_KEPT)}
    paths = os.pathsep.join(clients.FOLDERS)
    return {**kept, **NO_AWS, "PYTHONPATH": paths, "TERM": "xterm", "LC_ALL": "C.UTF-8", **variables}


def start(*arguments: str, files: list[str], **variables: str) -> BaseProcess:
    """Start a command in a folder without a stack.

    Args:
        arguments: Of the command.
        files: Paths of its input, output and stderr.
        variables: Of its environment, besides the usual ones.
    """
    environ = environment(**variables)
    process = FORKING.Process(target=_serve, args=([*arguments], environ, files), daemon=True)
    process.start()
    return process


def ended(process: BaseProcess) -> int:
    """Wait for a command; returns its status, below 0 for a signal."""
    process.join(scaled(WITHIN))
    if process.exitcode is None:
        process.kill()
        raise AssertionError("the command does not end")
    return process.exitcode


def _serve(arguments: list[str], environ: dict[str, str], files: list[str]) -> None:
    """Be the command."""
    os.setsid()  # so that a terminal that is opened controls it
    os.environ.clear()
    os.environ.update(environ)
    os.chdir(tempfile.gettempdir())
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, path in enumerate(files):
        os.dup2(os.open(path, os.O_WRONLY if number else os.O_RDONLY), number)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - of descriptors, and never closed
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False, buffering=1)  # noqa: SIM115
    from roomcast_cli.__main__ import main  # noqa: PLC0415 - loaded by the server that forks

    status = main(arguments)
    sys.stdout.flush()
    os._exit(status)


def run(*arguments: str, given: str = "", **variables: str) -> tuple[int, str, str]:
    """Run a command in a pipe; returns its status, what it printed on stdout, and on stderr."""
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in ("given", "output", "errors")]
        for file in files:
            file.write_text(given if file.name == "given" else "", encoding="utf-8")
        status = ended(start(*arguments, files=[*map(str, files)], **variables))
        output, errors = (file.read_text("utf-8") for file in files[1:])
    assert "Traceback" not in errors
    return status, output, errors


@contextmanager
def terminal_of(*arguments: str, **variables: str) -> Iterator[tuple[Any, BaseProcess]]:
    """Start a command on a pseudo-terminal of COLUMNS, else 100; gives the other end, of pexpect, and the process."""
    columns = int(variables.get("COLUMNS", "100"))
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    process = start(*arguments, files=[os.ttyname(theirs)] * 3, **variables)
    try:
        yield fdpexpect.fdspawn(ours, timeout=scaled(WITHIN), encoding="utf-8"), process
    finally:
        process.kill()
        process.join()
        os.close(theirs)
        os.close(ours)


def on_terminal(*arguments: str, **variables: str) -> tuple[int, str]:
    """Run a command on a pseudo-terminal; returns its status and all that it shows."""
    with terminal_of(*arguments, **variables) as (terminal, process):
        status = ended(process)
        # All of it waits in the terminal, which stays open here.
        shown = ""
        while True:
            try:
                shown += terminal.read_nonblocking(65_536, timeout=0)
            except pexpect.TIMEOUT:
                return status, shown.replace("\r\n", "\n")


def of_json(*arguments: str, **variables: str) -> tuple[int, Any]:
    """Run a command with --json; returns its status and its only document."""
    status, output, _ = run(*arguments, "--json", **variables)
    assert output.count("\n") == 1
    return status, json.loads(output)
