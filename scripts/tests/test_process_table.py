"""The process table is read without ``ps`` where ``/proc`` exists, and omits zombies."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from scripts import process_table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SLEEP = [sys.executable, "-X", "roomcast_mark=a name with spaces", "-c", "print(flush=True); input()"]


@pytest.fixture(params=["proc", "ps"])
def source(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """Each of the two sources of command lines, with the other one unavailable."""
    if request.param == "proc":
        if not (process_table.PROC / "self" / "cmdline").exists():
            pytest.skip("this system has no /proc")
        monkeypatch.setenv("PATH", str(tmp_path))
    else:
        if shutil.which("ps") is None:
            pytest.skip("ps is not on PATH")
        monkeypatch.setattr(process_table, "PROC", tmp_path)
    return str(request.param)


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """A process that runs until its standard input ends."""
    with subprocess.Popen(SLEEP, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as started:
        assert started.stdout is not None
        started.stdout.readline()
        yield started
        started.kill()


@pytest.mark.usefixtures("source")
def test_process_is_listed_with_its_arguments_until_it_ends(process: subprocess.Popen[bytes]) -> None:
    assert process_table.is_running(process.pid)
    assert f" {SLEEP[1]} {SLEEP[2]} " in process_table.command_lines()[process.pid]

    process.kill()
    process.wait()

    assert not process_table.is_running(process.pid)


@pytest.mark.usefixtures("source")
def test_zombie_is_no_running_process(process: subprocess.Popen[bytes]) -> None:
    assert process.stdout is not None
    process.kill()
    # End of file means that the process has ended; it stays a zombie until this test waits for it.
    assert process.stdout.read() == b""

    assert not process_table.is_running(process.pid)


def test_system_that_shows_no_processes_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(process_table, "PROC", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(OSError, match="'ps'"):
        process_table.command_lines()
