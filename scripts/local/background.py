"""An emulator in the background, which outlives the command that started it."""

from __future__ import annotations

import json
import subprocess
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from scripts.local import emulator, ending
from scripts.local.emulator import Emulator, EmulatorError
from scripts.local.ending import EndingError, Noted
from scripts.repository import REPOSITORY
from scripts.terraform.common import replace_file

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Background(Noted):
    """The noted process as an emulator."""

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

    def running(self) -> Background | None:
        """Return the emulator that an earlier command started here, if it still runs.

        One that was started in another folder is none: the clone was copied, or renamed, which took its files away.
        """
        found = ending.noted(self.folder)
        if found is None or found.folder not in {"", str(self.folder)}:
            return None
        background = Background(**asdict(found))
        return background if background.emulator.is_running() else None

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
                    [program[0], "-X", ending.mark(self.folder), *program[1:]],
                    cwd=REPOSITORY,
                    env=started.environment(temporary),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            background = Background(process.pid, started.port, started.account, str(self.folder))
            replace_file(self.folder / ending.NOTE, json.dumps(asdict(background)))
            return process

        emulator.start(launch, self.log)
        assert background is not None
        return background

    def end(self) -> None:
        """End the emulator and its functions, with SIGTERM first and then with SIGKILL.

        Raises:
            EmulatorError: They do not end.
        """
        try:
            ending.end(self.folder)
        except EndingError as error:
            raise EmulatorError(str(error)) from error
