"""Tokens from a command or a file, never from an argument: every user of a machine sees command lines."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from roomcast_client import Unauthorized

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def from_command(command: str) -> Callable[[], Awaitable[str]]:
    """Return a token function that runs a shell command."""

    async def token() -> str:
        pipe, none = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_shell(command, stdin=none, stdout=pipe)
        try:
            output, _ = await process.communicate()
        except BaseException:
            process.kill()
            await process.wait()
            raise
        if process.returncode or not output.strip():
            raise Unauthorized(f"the token command printed no token (status {process.returncode})")
        return output.decode("ascii", "replace").strip()

    return token


def from_file(name: str) -> Callable[[], Awaitable[str]]:
    """Return a token function that reads a file."""

    async def token() -> str:
        try:
            text = await asyncio.to_thread(Path(name).read_text, "utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise Unauthorized(f"the token file cannot be read: {error}") from error
        return text.strip()

    return token
