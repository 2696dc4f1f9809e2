"""The emulator in the background: what it leaves running is found and ended."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from scripts.local.background import BackgroundEmulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SLEEPING = [sys.executable, "-c", "import time; time.sleep(600)"]


@pytest.fixture
def function() -> Iterator[Callable[[Path], subprocess.Popen[bytes]]]:
    """Start a process with the arguments of a function of an emulator, given the emulator's folder."""
    with subprocess.Popen(SLEEPING) as unrelated:
        processes = [unrelated]

        def start(folder: Path) -> subprocess.Popen[bytes]:
            processes.append(subprocess.Popen([*SLEEPING, str(folder / "tmp" / "ministack-lambda-chat-connect-1")]))
            return processes[-1]

        yield start
        for process in processes:
            process.kill()
            process.wait()


def test_functions_that_outlive_their_emulator_end_with_it_and_no_other(
    tmp_path: Path, function: Callable[[Path], subprocess.Popen[bytes]]
) -> None:
    ours, others = function(tmp_path / "stack"), function(tmp_path / "other-stack")

    BackgroundEmulator(tmp_path / "stack").end()

    assert ours.poll() == -signal.SIGTERM
    assert others.poll() is None
