"""Install and start MiniStack in a Python environment of its own."""

from __future__ import annotations

import functools
import hashlib
import http.client
import os
import re
import secrets
import shutil
import socket
import subprocess
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError, ConnectionError, HTTPClientError  # noqa: A004 - botocore's name
from botocore.parsers import ResponseParserError

from scripts.descriptors import KEPT, allow_sockets
from scripts.local.aws import Aws
from scripts.local.interpreters import lambda_python
from scripts.local.turns import in_turn
from scripts.repository import REPOSITORY
from scripts.waiting import scaled

if TYPE_CHECKING:
    from collections.abc import Callable

BUILD = REPOSITORY / "build"
REQUIREMENTS = Path(__file__).with_name("ministack-requirements.txt")
PORT_ATTEMPTS = 5
"""Another program may take a free port at any moment; MiniStack then ends at once and is started on another one."""
START_SECONDS = 30
ENVIRONMENT_MEGABYTES = 100
"""MiniStack's environment takes 75 MB; the rest is reserve."""
SOCKETS = 900
"""The tests open 200 at a time; MiniStack holds the other ends, and three pipes for each process of a function."""

TROUBLE = re.compile(r' (?:WARNING|ERROR) \[|"level":"(?:WARNING|ERROR|CRITICAL)"|^\[ERROR\] ')
"""In a line of the log: MiniStack's own, the functions', and Lambda's about code that failed."""
SILENCE = (ConnectionError, HTTPClientError, ClientError, ResponseParserError, KeyError)
"""Errors of a request to an emulator that is gone, or whose port another program has taken."""


class EmulatorError(Exception):
    """The emulator cannot be installed, started or stopped; the message gives the reason and a remedy."""


@dataclass(frozen=True)
class Emulator:
    """A running MiniStack.

    Attributes:
        port: TCP port on 127.0.0.1.
        account: The 12-digit account id it was started with. It is random, so an answer with this id comes from this
            process and not from another one that has taken the port.
    """

    port: int
    account: str

    @property
    def url(self) -> str:
        """Endpoint of every emulated service."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def aws(self) -> Aws:
        """Access to the emulated account."""
        return Aws.of_emulator(self.url)

    def is_running(self) -> bool:
        """Whether this very process answers."""
        try:
            return answers(self.url) and self.aws.account() == self.account
        except SILENCE:
            return False

    def environment(self, temporary: Path) -> dict[str, str]:
        """Return the whole environment of the process, without this process's own, because functions see all of it.

        Args:
            temporary: The process's own temporary directory, into which it unpacks functions.
        """
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "TMPDIR": str(temporary),
            "PYTHONUTF8": "1",
            "GATEWAY_PORT": str(self.port),
            "BIND_HOST": "127.0.0.1",
            "MINISTACK_ACCOUNT_ID": self.account,
            "AUTH": "true",
            "IOT_MTLS_ENABLED": "0",
            "ROOMCAST_JWT_LOOPBACK": "true",  # for the functions: keys of tests come from this machine
            "SFTP_ENABLED": "0",
            "LOG_LEVEL": "INFO",
        }


def start(launch: Callable[[Emulator, list[str]], subprocess.Popen[bytes]], log: Path) -> Emulator:
    """Start MiniStack on a free port and wait until it answers.

    Args:
        launch: Starts the given command for the given emulator and returns its process.
        log: File with the command's output, which the error quotes.

    Raises:
        EmulatorError: MiniStack did not start; the message ends with the last lines of its log.
    """
    if (sockets := allow_sockets()) < SOCKETS:
        raise EmulatorError(
            f"a process may open {sockets + KEPT} files at once here, and {SOCKETS + KEPT} are needed: "
            "raise the hard limit on open files (`ulimit -Hn`)"
        )
    command = [str(ministack_python()), "-m", "scripts.local.ministack"]
    for _ in range(PORT_ATTEMPTS):
        emulator = Emulator(free_port(), f"{secrets.randbelow(9 * 10**11) + 10**11}")
        if came_up(emulator, launch(emulator, command), log):
            return emulator
    raise EmulatorError(f"MiniStack did not start; the end of {log}:\n{tail(log)}")


def came_up(emulator: Emulator, process: subprocess.Popen[bytes], log: Path) -> bool:
    """Wait until MiniStack answers or its process has ended; return whether it answers.

    Raises:
        EmulatorError: The process runs and does not answer.
    """
    deadline = time.monotonic() + scaled(START_SECONDS)
    while process.poll() is None:
        if emulator.is_running():
            return True
        if time.monotonic() > deadline:
            raise EmulatorError(
                f"MiniStack (process {process.pid}) runs, but {emulator.url} has not answered for "
                f"{scaled(START_SECONDS):g} s; the end of {log}:\n{tail(log)}"
            )
        time.sleep(0.05)
    return False


def answers(url: str) -> bool:
    """Whether any MiniStack answers at a URL."""
    try:
        with urllib.request.urlopen(f"{url}/_ministack/ready", timeout=scaled(5)):
            return True
    except (OSError, http.client.HTTPException):
        return False


def free_port() -> int:
    """Return a TCP port that is free on 127.0.0.1 now; another program may take it at any moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def tail(log: Path, lines: int = 30) -> str:
    """Return the last lines of a log file, or nothing if there is none."""
    return "\n".join(_lines(log)[-lines:])


def troubles(log: Path, lines: int = 30, since: int = 0) -> str:
    """Return the last warnings and errors of a log file: those of MiniStack and those that the functions wrote.

    Args:
        log: The file.
        lines: As many at most.
        since: Bytes of the file that are not looked at.
    """
    return "\n".join([line for line in _lines(log, since) if TROUBLE.search(line)][-lines:])


def _lines(log: Path, since: int = 0) -> list[str]:
    return log.read_bytes()[since:].decode(errors="replace").splitlines() if log.exists() else []


def ministack_python() -> Path:
    """Return the interpreter of an environment that holds exactly the pinned MiniStack, making it if necessary.

    The environment's name is a hash of its contents, so a changed pin never disturbs a process that uses the old one.
    A lock lets one of several processes make it while the others wait.

    Raises:
        EmulatorError: The packages cannot be installed.
    """
    base = lambda_python()
    content = REQUIREMENTS.read_bytes() + str(base).encode()
    directory = BUILD / "ministack" / hashlib.sha256(content).hexdigest()[:12]
    python = directory / "bin" / "python"
    complete = directory / "complete"
    directory.parent.mkdir(parents=True, exist_ok=True)
    with in_turn(directory.with_suffix(".lock"), "MiniStack is being installed by another process"):
        if not complete.exists():
            shutil.rmtree(directory, ignore_errors=True)
            try:
                run([str(base), "-m", "venv", str(directory)])
                run([str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--requirement", str(REQUIREMENTS)])
                complete.touch()
            except BaseException:  # a full disk, no network, Ctrl-C: an incomplete environment is useless
                shutil.rmtree(directory, ignore_errors=True)
                raise
    return python


@functools.cache
def host_zips() -> Path:
    """Build the functions' zips with native libraries for this machine and the emulator's Python; return their folder.

    Raises:
        EmulatorError: The zips cannot be built.
    """
    directory = BUILD / "host"
    directory.parent.mkdir(parents=True, exist_ok=True)
    script = REPOSITORY / "scripts" / "build_handlers.py"
    with in_turn(directory.with_suffix(".lock"), "the zips for this machine are being built by another process"):
        run([str(lambda_python()), str(script), "--host", "--output", str(directory)])
    return directory


def run(command: list[str]) -> None:
    """Run a step of a preparation, quietly unless it fails."""
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        free = shutil.disk_usage(BUILD).free // 2**20
        note = f" ({free} MB of disk space are left in {BUILD})" if free < ENVIRONMENT_MEGABYTES else ""
        raise EmulatorError(f"`{' '.join(command)}` failed{note}:\n{result.stderr.strip()}")
