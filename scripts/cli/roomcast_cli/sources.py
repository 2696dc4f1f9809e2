"""Where lines come from: an input that is no terminal, or a terminal with line editing."""

from __future__ import annotations

import asyncio
import os
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

CHUNK = 65_536
"""Bytes of input read at once."""
LONGEST = 1_000_000
"""Bytes of a line that are kept: a stage takes frames of 131,072 bytes, and JSON writes some characters with six."""


class LongLine(str):
    """The beginning of a line that is longer than ``LONGEST`` bytes; the rest of it is dropped."""

    __slots__ = ()


class InterruptedChatError(Exception):
    """Ctrl-C in a line that is being edited."""


async def lines_of(descriptor: int) -> AsyncIterator[str]:
    """Yield the lines of an input, long ones as ``LongLine``; the next is read when the one before has been taken.

    A thread reads, because an event loop cannot wait for files. It is a daemon, and uses no buffer of Python's, whose
    lock would hang the interpreter's end while the input is silent.
    """
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[str | None] = asyncio.Queue(maxsize=1)

    def put(line: str | None) -> None:
        asyncio.run_coroutine_threadsafe(queue.put(line), loop).result()

    def read() -> None:
        with suppress(RuntimeError):  # the event loop has ended
            for line in _split(descriptor):
                put(line)
            put(None)

    threading.Thread(target=read, daemon=True).start()
    while (line := await queue.get()) is not None:
        yield line


def _split(descriptor: int) -> Iterator[str]:
    rest = b""
    while chunk := os.read(descriptor, CHUNK):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield _text(line)
        rest = rest[: LONGEST + 1]
    if rest:
        yield _text(rest)


def _text(line: bytes) -> str:
    if len(line) > LONGEST:
        return LongLine(line[:LONGEST].decode("utf-8", "replace"))
    return line.decode("utf-8", "replace").removesuffix("\r")


def has_line_editing() -> bool:
    """Whether prompt_toolkit is there, and the terminal can do it."""
    if os.environ.get("TERM", "dumb") == "dumb":
        return False
    try:
        import prompt_toolkit  # noqa: F401, PLC0415 - an extra
    except ImportError:
        return False
    return True


async def edited_lines() -> AsyncIterator[str]:
    """Yield lines that are edited at the bottom of a terminal, until Ctrl-D; what is printed meanwhile stands above.

    Raises:
        InterruptedChatError: Ctrl-C.
    """
    from prompt_toolkit import PromptSession  # noqa: PLC0415 - an extra
    from prompt_toolkit.history import FileHistory  # noqa: PLC0415 - an extra

    class History(FileHistory):  # whose file may be lost, or its disk be full, while the chat goes on
        def load_history_strings(self) -> Iterable[str]:
            try:
                return [*super().load_history_strings()]
            except OSError:
                return []

        def store_string(self, string: str) -> None:
            with suppress(OSError):
                super().store_string(string)

    file = history()
    session: Any = PromptSession(history=History(str(file)) if file else None, erase_when_done=True)
    while True:
        try:
            yield await session.prompt_async("> ")
        except EOFError:
            return
        except KeyboardInterrupt:  # as such it would end the event loop in the middle of its work
            raise InterruptedChatError from None


@contextmanager
def above_the_prompt() -> Iterator[None]:
    """Print above the line that is being edited."""
    from prompt_toolkit.patch_stdout import patch_stdout  # noqa: PLC0415 - an extra

    with patch_stdout(raw=True):
        yield


def history() -> Path | None:
    """Return the file of lines that were typed, which its owner alone can read; None where none can be written."""
    try:
        folder = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "roomcast"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = folder / "history"
        os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
        file.chmod(0o600)
    except (OSError, RuntimeError):  # the second without a home
        return None
    return file
