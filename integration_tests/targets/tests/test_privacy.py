"""A run that wrote down clients' data is red, although each of its tests has passed."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from integration_tests.harness import credentials
from integration_tests.load.tests.stages import running_stage
from integration_tests.targets.live import Live
from integration_tests.targets.privacy import EXCERPT, FAMILIAR_TEXT, SECRET, leaks, leaks_in_files
from scripts.local.deployment import Deployment
from scripts.repository import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path


HEADER, CLAIMS, SIGNATURE = "head-of-a-token", "claims-of-a-token", "signature-of-a-token"


@pytest.fixture
def lent_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let clients into the stage under test with a token."""
    monkeypatch.setenv(credentials.TOKEN, f"{HEADER}.{CLAIMS}.{SIGNATURE}")
    monkeypatch.setenv(credentials.STAGE, "wss://example.com/live")


@pytest.mark.parametrize(("place", "status"), [("", 0), ("log", 1), ("reports/run.html", 1)])
def test_run_that_writes_down_clients_data_is_red(tmp_path: Path, place: str, status: int) -> None:
    (tmp_path / "reports").mkdir()
    plugin = ["-p", "integration_tests.targets.tests.leaky", "-p", "no:cacheprovider", "--target", "leaky"]
    with running_stage() as url:
        run = subprocess.run(
            [sys.executable, "-m", "pytest", *plugin, "integration_tests/routes/test_whoami.py", "-m", "everywhere"],
            cwd=REPOSITORY,
            env={**os.environ, "LEAKY_DIRECTORY": str(tmp_path), "LEAKY_URL": url, "LEAKY_PLACE": place},
            capture_output=True,
            text=True,
            check=False,
        )

    assert " 2 passed" in run.stdout, run.stdout
    assert run.returncode == status
    assert ("clients' data was written down" in run.stdout) is bool(status)
    assert (f"{tmp_path / place}: " in run.stdout) is bool(status)


def test_files_of_any_content_are_searched(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_bytes(b"\xff fine\n" + b"x" * 1000 + f"{SECRET}\n{FAMILIAR_TEXT}\n".encode())

    (found,) = leaks_in_files([tmp_path / "nowhere", tmp_path, file])

    assert SECRET in found
    assert len(found) < 300


@pytest.mark.usefixtures("lent_token")
def test_the_token_of_the_clients_is_searched_for_and_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "log"
    for text in (f"{HEADER}.{CLAIMS}.{SIGNATURE}", f"signed {CLAIMS}", f"by {SIGNATURE}!"):
        file.write_text(f"{text}\n")
        assert (found := leaks_in_files([file]))
        assert [line for line in found if CLAIMS in line or SIGNATURE in line] == []
    file.write_text(f"{HEADER}.other.parts\n")
    assert leaks_in_files([file]) == []


@pytest.mark.usefixtures("lent_token")
def test_no_part_of_the_token_is_left_where_an_excerpt_begins_or_ends(tmp_path: Path) -> None:
    file = tmp_path / "log"
    distance = " " * (EXCERPT - 3)
    file.write_text(f"{SIGNATURE}{distance}{SECRET}{distance}{SIGNATURE}\n")
    found = [line.partition(": ")[2] for line in leaks_in_files([file]) if SECRET in line]
    assert found
    assert [line for line in found if SIGNATURE[-3:] in line or SIGNATURE[:3] in line] == []


class LogClient:
    """Log groups that hold one line each.

    Args:
        line: The line.
    """

    def __init__(self, line: str) -> None:
        self.line = line

    def get_paginator(self, operation: str) -> LogClient:
        """Return this object as the paginator of an operation."""
        assert operation == "filter_log_events"
        return self

    def paginate(self, **request: Any) -> list[dict[str, Any]]:
        """Return the one page."""
        return [{"events": [{"message": f"{request['logGroupName']} {self.line}"}]}]


WRITTEN = pytest.mark.parametrize(
    ("line", "number"),
    [("fan-out", 0), (f'{{"body":"{SECRET}"}}', 2), ("in roomcast-test-x", 2), (FAMILIAR_TEXT, 2), (CLAIMS, 2)],
    ids=["a line", "a body", "a room", "a text", "a token"],  # the reports name tests by these, and are searched, too
)


@WRITTEN
@pytest.mark.usefixtures("lent_token")
def test_files_of_a_targets_processes_are_searched_for_the_same(tmp_path: Path, line: str, number: int) -> None:
    files = [tmp_path / name for name in ("one", "two", "missing")]
    for file in files[:2]:
        file.write_text(f"REPORT\n{line}\n", encoding="utf-8")

    class Stage(Live):
        aws = None

        def __init__(self) -> None:
            pass

        def files(self) -> list[Path]:
            return files

    assert len(leaks(Stage(), 0)) == number


@WRITTEN
@pytest.mark.usefixtures("lent_token")
def test_log_groups_of_functions_and_the_access_log_are_searched(line: str, number: int) -> None:
    class Stage(Live):
        deployment = Deployment("wss://x", None, {"log_group_names": {"connect": "a"}, "access_log_group_name": "b"})

        def __init__(self) -> None:
            self.aws = type("Aws", (), {"logs": LogClient(line)})()

    assert len(leaks(Stage(), 0)) == number
