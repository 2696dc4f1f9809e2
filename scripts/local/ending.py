"""End the emulator of ``make up`` and its functions: ``python -m scripts.local.ending FOLDER``.

FOLDER is the stack's. This file needs the standard library only, so that ``make clean`` works without any environment.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts import process_table
from scripts.waiting import scaled

NOTE = "process.json"


class EndingError(Exception):
    """Processes do not end; the message names them."""


@dataclass(frozen=True)
class Noted:
    """The emulator's process, noted in a file for later commands.

    Attributes:
        pid: Its process id.
        port: TCP port on 127.0.0.1.
        account: Account id that identifies it.
        folder: The stack's folder when it was started; empty in notes of earlier versions.
    """

    pid: int
    port: int
    account: str
    folder: str = ""


def noted(folder: Path) -> Noted | None:
    """Return the process that is noted in a stack's folder, running or not; None without a readable note."""
    try:
        content: dict[str, Any] = json.loads((folder / NOTE).read_text(encoding="utf-8"))
        return Noted(**content)
    except (FileNotFoundError, NotADirectoryError, ValueError, TypeError):
        return None


def mark(folder: Path | str) -> str:
    """Return the mark on an emulator's command line, because the system may give its process id to another process."""
    return f"roomcast_stack={folder}"


def end(folder: Path) -> None:
    """End a stack's emulator and its functions, with SIGTERM first and then with SIGKILL.

    Raises:
        EndingError: They do not end.
    """
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + scaled(5)
        while time.monotonic() < deadline:
            remaining = processes(folder)
            for pid in remaining:
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
            if not remaining:
                return
            time.sleep(0.1)
    raise EndingError(f"the emulator does not end; its processes: {', '.join(map(str, processes(folder)))}")


def processes(folder: Path) -> list[int]:
    """Return the process ids of a stack's emulator and of the functions that it runs, which may outlive it.

    Their command lines name the folder in which they were started. A clone that was renamed since has another one, and
    the note tells of the first; the note of a copied clone is about a process of the original, which stays.
    """
    started = noted(folder)
    folders, pid = [str(folder)], None
    if started is not None and started.folder not in {"", str(folder)}:
        there = noted(Path(started.folder))
        if there is None:
            folders.append(started.folder)
        elif there.pid != started.pid:  # another stack has been started in the first place since
            pid = started.pid
    marks = [text for each in folders for text in (f" {mark(each)} ", f" {Path(each, 'tmp', 'ministack-lambda-')}")]
    found = process_table.command_lines()
    ours = [each for each, line in found.items() if any(text in line for text in marks)]
    if pid is not None and started is not None and f" {mark(started.folder)} " in found.get(pid, ""):
        ours.append(pid)
    return ours


def main(folder: str) -> int:
    """End what runs of the stack in a folder; return an exit status."""
    try:
        end(Path(folder).resolve())
    except EndingError as error:
        print(f"stack: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
