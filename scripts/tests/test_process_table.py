"""The process table is read without ``ps`` where ``/proc`` exists, and omits zombies."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from scripts import process_table
from scripts.tests.trees import write_tree

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


@pytest.mark.skipif(not process_table.PROC.joinpath("self").exists(), reason="this system has no /proc")
def test_process_that_begins_another_program_is_running(tmp_path: Path) -> None:
    """Linux shows no arguments of it for a moment."""
    program = tmp_path / "again"
    program.write_text('#!/bin/sh\nexec "$0"\n')
    program.chmod(0o755)
    with subprocess.Popen([program]) as process:
        try:
            lines = [process_table.command_lines().get(process.pid) for _ in range(100)]
        finally:
            process.kill()

    assert all(line is not None and str(program) in line for line in lines), lines


def test_process_that_overwrites_its_arguments_is_running(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(process_table, "PROC", tmp_path)
    monkeypatch.setattr(process_table, "EXEC_SECONDS", 0.0)
    state = "(a name) of (it)) R 1 1 1 0 -1 4194304 {} 0 0 0 1 1 0 0 20 0 1 0 1000 {} 100 0"
    for pid, size in ((os.getpid(), 4096), (7, 4096), (8, 0)):
        write_tree(tmp_path, {f"{pid}/cmdline": "", f"{pid}/stat": f"{pid} {state.format(120, size)}"})

    assert process_table.command_lines() == {os.getpid(): " ", 7: " "}


def test_system_that_shows_no_processes_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(process_table, "PROC", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(OSError, match="'ps'"):
        process_table.command_lines()
