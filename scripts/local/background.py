"""An emulator in the background, which outlives the command that started it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from scripts import process_table
from scripts.local import emulator
from scripts.local.emulator import Emulator, EmulatorError
from scripts.repository import REPOSITORY
from scripts.terraform.common import replace_file
from scripts.waiting import scaled

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Background:
    """The emulator's process, noted in a file for later commands.

    Attributes:
        pid: Its process id.
        port: TCP port on 127.0.0.1.
        account: Account id that identifies it.
    """

    pid: int
    port: int
    account: str

    @property
    def emulator(self) -> Emulator:
        """The emulator of this process."""
        return Emulator(self.port, self.account)


@dataclass(frozen=True)
class BackgroundEmulator:
    """Starts the emulator, finds it again and ends it.

    Attributes:
        folder: Directory of its note, its log and its functions' files.
    """

    folder: Path

    @property
    def log(self) -> Path:
        """File with the emulator's output."""
        return self.folder / "ministack.log"

    @property
    def _note(self) -> Path:
        return self.folder / "process.json"

    @property
    def _mark(self) -> str:
        """Mark on the emulator's command line, because the system may give its process id to another process."""
        return f"roomcast_stack={self.folder}"

    def running(self) -> Background | None:
        """Return the emulator that an earlier command started, if it still runs."""
        background = self._remembered()
        return background if background and background.emulator.is_running() else None

    def _remembered(self) -> Background | None:
        """Return the emulator that an earlier command started, running or not; None without a readable note."""
        try:
            return Background(**json.loads(self._note.read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def start(self) -> Background:
        """Start an emulator that outlives this process.

        Raises:
            EmulatorError: It does not start.
        """
        background: Background | None = None

        def launch(started: Emulator, program: list[str]) -> subprocess.Popen[bytes]:
            nonlocal background
            temporary = self.folder / "tmp"
            temporary.mkdir(parents=True, exist_ok=True)
            with self.log.open("ab") as log:
                process = subprocess.Popen(
                    [program[0], "-X", self._mark, *program[1:]],
                    cwd=REPOSITORY,
                    env=started.environment(temporary),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            background = Background(process.pid, started.port, started.account)
            replace_file(self._note, json.dumps(asdict(background)))
            return process

        emulator.start(launch, self.log)
        assert background is not None
        return background

    def end(self) -> None:
        """End the emulator and its functions, with SIGTERM first and then with SIGKILL.

        Raises:
            EmulatorError: They do not end.
        """
        for number in (signal.SIGTERM, signal.SIGKILL):
            deadline = time.monotonic() + scaled(5)
            while time.monotonic() < deadline:
                remaining = self._processes()
                for pid in remaining:
                    with suppress(ProcessLookupError):
                        os.kill(pid, number)
                if not remaining:
                    return
                time.sleep(0.1)
        raise EmulatorError(f"the emulator does not end; its processes: {', '.join(map(str, self._processes()))}")

    def _processes(self) -> list[int]:
        """Return the process ids of the emulator and of the functions that it runs, which may outlive it."""
        marks = (f" {self._mark} ", f" {self.folder / 'tmp' / 'ministack-lambda-'}")
        return [pid for pid, line in process_table.command_lines().items() if any(mark in line for mark in marks)]
