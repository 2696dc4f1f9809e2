"""The emulator in the background: what it leaves running is found and ended."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from scripts.local import ending
from scripts.local.background import BackgroundEmulator
from scripts.repository import REPOSITORY
from scripts.tests.trees import write_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SLEEPING = [sys.executable, "-c", "import time; time.sleep(600)"]


@pytest.fixture
def emulator() -> Iterator[Callable[[Path], subprocess.Popen[bytes]]]:
    """Start a process with the command line of an emulator, and note it in the emulator's folder."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(folder: Path) -> subprocess.Popen[bytes]:
        processes.append(subprocess.Popen([SLEEPING[0], "-X", ending.mark(folder), *SLEEPING[1:]]))
        note = {"pid": processes[-1].pid, "port": 1, "account": "123456789012", "folder": str(folder)}
        write_tree(folder, {"process.json": json.dumps(note)})
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.wait()


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


def test_an_emulator_ends_with_its_functions_also_after_its_clone_was_renamed(
    tmp_path: Path,
    emulator: Callable[[Path], subprocess.Popen[bytes]],
    function: Callable[[Path], subprocess.Popen[bytes]],
) -> None:
    process, its_function = emulator(tmp_path / "stack"), function(tmp_path / "stack")
    (tmp_path / "stack").rename(tmp_path / "renamed")
    stack = BackgroundEmulator(tmp_path / "renamed")

    assert stack.running() is None
    stack.end()

    assert (process.poll(), its_function.poll()) == (-signal.SIGTERM, -signal.SIGTERM)


def test_a_renamed_clone_ends_its_own_emulator_and_not_the_one_that_was_started_in_its_first_place_since(
    tmp_path: Path,
    emulator: Callable[[Path], subprocess.Popen[bytes]],
    function: Callable[[Path], subprocess.Popen[bytes]],
) -> None:
    process = emulator(tmp_path / "stack")
    (tmp_path / "stack").rename(tmp_path / "renamed")
    other, its_function = emulator(tmp_path / "stack"), function(tmp_path / "stack")

    BackgroundEmulator(tmp_path / "renamed").end()

    assert process.poll() == -signal.SIGTERM
    assert (other.poll(), its_function.poll()) == (None, None)


def test_a_copied_clone_leaves_the_originals_emulator_alone(
    tmp_path: Path, emulator: Callable[[Path], subprocess.Popen[bytes]]
) -> None:
    process = emulator(tmp_path / "stack")
    shutil.copytree(tmp_path / "stack", tmp_path / "copied")

    BackgroundEmulator(tmp_path / "copied").end()

    assert process.poll() is None


def test_a_process_that_was_given_the_noted_number_is_left_alone_also_after_a_rename(
    tmp_path: Path, function: Callable[[Path], subprocess.Popen[bytes]]
) -> None:
    stranger = function(tmp_path / "other-stack")
    note = {"pid": stranger.pid, "port": 1, "account": "123456789012", "folder": str(tmp_path / "stack")}
    for there in ({}, {"stack/process.json": json.dumps(note | {"pid": 1})}):
        write_tree(tmp_path, {"renamed/process.json": json.dumps(note), **there})

        BackgroundEmulator(tmp_path / "renamed").end()

        assert stranger.poll() is None


def test_ending_needs_no_environment(tmp_path: Path, emulator: Callable[[Path], subprocess.Popen[bytes]]) -> None:
    """`-S` leaves out the packages of the environment."""
    process = emulator(tmp_path / "stack")

    subprocess.run(
        [sys.executable, "-S", "-m", "scripts.local.ending", str(tmp_path / "stack")], cwd=REPOSITORY, check=True
    )

    assert process.wait() == -signal.SIGTERM
