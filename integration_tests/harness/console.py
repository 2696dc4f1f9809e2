"""wscat from npm, a client independent of this repository, in a terminal as a person has it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import shutil
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock

from scripts.repository import REPOSITORY
from scripts.waiting import scaled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

PACKAGE = "wscat@6.1.0"
FOLDER = REPOSITORY / "build" / "wscat"


async def installed_wscat() -> Path:
    """Return the pinned wscat, installed into build/ if it is not there yet; skip the test without node and npm."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("node and npm are not on PATH, so wscat cannot be run")
    FOLDER.mkdir(parents=True, exist_ok=True)
    executable = FOLDER / "node_modules" / ".bin" / "wscat"
    with FileLock(FOLDER.with_suffix(".lock")):
        if not executable.exists():
            install = await asyncio.create_subprocess_exec(
                "npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(FOLDER), PACKAGE
            )
            assert await install.wait() == 0, f"npm could not install {PACKAGE}"
    return executable


class Console:
    """A pseudo-terminal in which wscat runs.

    Args:
        terminal: File descriptor of this test's side.
        screen: The output of wscat.
    """

    def __init__(self, terminal: int, screen: asyncio.StreamReader) -> None:
        self._terminal = terminal
        self._screen = screen

    @classmethod
    @contextlib.asynccontextmanager
    async def running(cls, wscat: Path, *arguments: str) -> AsyncIterator[Console]:
        """Start wscat with arguments and wait until it says that it is connected; end it with the context."""
        ours, its = pty.openpty()
        screen = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(screen), os.fdopen(ours, "rb", buffering=0)
        )
        process = await asyncio.create_subprocess_exec(str(wscat), *arguments, stdin=its, stdout=its, stderr=its)
        os.close(its)
        try:
            console = cls(ours, screen)
            await console.expect("Connected")
            yield console
        finally:
            transport.close()  # first: a read from a terminal without a process raises an error
            process.terminate()
            await process.wait()

    def type(self, line: str) -> None:
        """Type a line and press Enter."""
        os.write(self._terminal, line.encode() + b"\r")

    async def expect(self, text: str) -> None:
        """Wait until ``text`` appears on the screen.

        Raises:
            AssertionError: The text did not appear in time; the message shows the screen.
        """
        shown = ""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(scaled(20)):
                while text not in shown and (more := await self._screen.read(4096)):
                    shown += more.decode()
        assert text in shown, f"wscat did not show {text!r}, but {shown!r}"
