"""Runs against a deployed stage send the token of the environment, and show it nowhere.

Each run is a process of its own, as `make` starts it; the token carries a planted marker.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
import time
from typing import TYPE_CHECKING

import pytest

from integration_tests.harness import credentials
from integration_tests.harness.cloudwatch import Logs
from scripts.local.aws import emulator_environment
from scripts.process_table import command_lines
from scripts.repository import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from integration_tests.security.conftest import Guarded
    from integration_tests.targets.interface import Target

pytestmark = pytest.mark.emulator_only

LOAD = ["-m", "integration_tests.load"]
SIZE = ["--connections", "12", "--rooms", "2", "--messages", "12", "--processes", "2", "--late-after", "60"]
PYTEST = ["-m", "pytest", "-vv", "--showlocals", "--log-level=DEBUG", "-p", "no:cacheprovider"]
TESTS = [
    "integration_tests/routes/test_sendmessage.py::test_message_reaches_the_room_and_its_sender",
    "integration_tests/routes/test_connect.py",
]


class Run:
    """A command against the guarded instance, as a stage that is named by its outputs.

    Args:
        target: Holds the instance.
        guarded: The instance.
        folder: For the run's files.
    """

    def __init__(self, target: Target, guarded: Guarded, folder: Path) -> None:
        assert target.aws is not None
        assert target.aws.endpoint_url is not None
        self.folder = folder
        self.token = guarded.token(sub=f"planted-{secrets.token_hex(8)}", exp=int(time.time()) + 3600)
        self.shown: list[str] = []
        outputs = folder / "outputs.json"
        outputs.write_text(json.dumps({name: {"value": value} for name, value in guarded.deployment.outputs.items()}))
        self._stage = ["--target", "live", "--websocket-url", guarded.url, "--outputs", str(outputs)]
        inherited = {name: value for name, value in os.environ.items() if name != credentials.STAGE}
        self._environment = {**inherited, **emulator_environment(target.aws.endpoint_url)}

    async def start(self, command: Sequence[str], place: str, token: str | None = None) -> int:
        """Run a command to its end; note its output and every command line of the machine meanwhile."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *command,
            *self._stage,
            cwd=REPOSITORY,
            env={**self._environment, credentials.TOKEN: token or self.token, credentials.PLACE: place},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        reading = asyncio.create_task(process.communicate())
        while not reading.done():
            self.shown += command_lines().values()
            await asyncio.wait({reading}, timeout=0.5)
        output, _ = await reading
        self.shown.append(output.decode())
        assert process.returncode is not None
        return process.returncode

    def check_shown(self) -> None:
        """Check that neither output, nor command lines, nor the run's files hold the token or a part of it."""
        files = {file.name: file.read_text() for file in self.folder.rglob("*") if file.is_file()}
        parts = [self.token, *self.token.split(".")[1:]]  # the first part is that of every token
        assert [name for name, text in files.items() if any(part in text for part in parts)] == []
        assert [text for text in self.shown if any(part in text for part in parts)] == []


@pytest.fixture
def run(target: Target, guarded: Guarded, tmp_path: Path) -> Run:
    return Run(target, guarded, tmp_path)


@pytest.mark.parametrize("place", credentials.PLACES)
async def test_a_load_run_is_let_in(run: Run, place: str, target: Target, guarded: Guarded) -> None:
    assert target.aws is not None
    began_at = time.time()
    status = await run.start([*LOAD, "run", *SIZE, "--report-dir", str(run.folder)], place)

    report = json.loads((run.folder / "load-steady-live.json").read_text())
    assert status == 0, report["checks"]
    assert report["invariants"]["acknowledged"] == 12
    run.check_shown()
    logs = Logs(target.aws.logs, [*guarded.deployment.outputs["log_group_names"].values()])
    assert await logs.lines(began_at, run.token) == []


async def test_so_are_tests_and_benchmark(run: Run) -> None:
    place, report = "header", run.folder / "report.xml"
    assert await run.start([*PYTEST, f"--junit-xml={report}", *TESTS], place) == 0, run.shown[-1]
    assert "passed" in run.shown[-1]
    bench = [*LOAD, "bench", "--sizes", "5", "--messages", "2", "--output", str(run.folder / "bench.json")]
    assert await run.start(bench, place) == 0, run.shown[-1]
    run.check_shown()


@pytest.mark.parametrize("place", credentials.PLACES)
async def test_a_token_that_is_refused_is_not_shown_either(run: Run, guarded: Guarded, place: str) -> None:
    """Without the right to join, and altered: each ends the run with a sentence."""
    for claims, status, sentence in (({"rooms": ["lobby"]}, 4, "must allow join"), ({"aud": "other"}, 4, "not good")):
        run.token = guarded.token(sub=f"planted-{secrets.token_hex(8)}", **claims)
        assert await run.start([*PYTEST, *TESTS], place) == status, run.shown[-1]
        assert sentence in run.shown[-1]
        run.check_shown()
