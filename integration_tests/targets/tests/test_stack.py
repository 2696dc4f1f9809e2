"""`make up`, `make plan`, `make down`: a stack that stays until it is told to go."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from integration_tests.harness.client import Client
from integration_tests.targets.emulator import REPOSITORY
from scripts.stack import NOT_RUNNING

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """
import pathlib, sys
from scripts.stack import Stack
sys.exit(getattr(Stack(pathlib.Path(sys.argv[1])), sys.argv[2])())
"""


async def test_stack_stays_between_commands_and_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "stack"
    assert command(folder, "plan").returncode == NOT_RUNNING
    try:
        printed = command(folder, "up", expected=0).stdout
        environment = exports(folder / "env")
        url = environment["ROOMCAST_WEBSOCKET_URL"]
        assert f"npx wscat -c '{url}?room=lobby'" in printed
        assert "No changes" in command(folder, "plan", expected=0).stdout
        client = await Client.connect(url, "lobby")
        await client.say("hello world")
        await client.expect("hello world")
        await client.close()
        outputs = json.loads((folder / "outputs.json").read_text())
        assert outputs["api_id"]["value"] in environment["ROOMCAST_MANAGEMENT_ENDPOINT"]
        pid = json.loads((folder / "process.json").read_text())["pid"]
    finally:
        command(folder, "down", expected=0)
    assert not folder.exists()
    with pytest.raises(ProcessLookupError):
        os.killpg(pid, 0)
    assert command(folder, "status").returncode == NOT_RUNNING


def command(folder: Path, name: str, expected: int | None = None) -> subprocess.CompletedProcess[str]:
    """Run one of the commands in a process of its own, as `make` does, on another folder than `make`'s."""
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder), name], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert expected in {None, result.returncode}, result.stdout + result.stderr
    return result


def exports(file: Path) -> dict[str, str]:
    """Read a file of `export NAME=value` lines as a shell does."""
    words = [shlex.split(line) for line in file.read_text().splitlines()]
    assert all(word[0] == "export" and len(word) == 2 for word in words)
    return dict(word[1].split("=", 1) for word in words)
