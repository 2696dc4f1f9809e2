"""The table of corrections, and the emulator's start."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scripts.local.emulator import ministack_python
from scripts.local.ministack.__main__ import MODULES, PINNED_VERSION
from scripts.repository import REPOSITORY
from scripts.waiting import scaled

if TYPE_CHECKING:
    from collections.abc import Mapping

HERE = Path(__file__).parent
README = (HERE.parent / "README.md").read_text(encoding="utf-8")
ROW = re.compile(
    r"^\| (?P<subject>[^|]+) \| [^|]+ \| [^|]+ \| \[(?P<module>\w+)\]\((?P=module)\.py\) \| [^|]+ "
    r"\| \[(?P<test>\w+)\]\(tests/(?P<file>\w+\.py)\) \|$",
    re.MULTILINE,
)
ROWS = [match.groupdict() for match in ROW.finditer(README)]
ANOTHER_VERSION = """
import importlib.metadata
importlib.metadata.version = lambda name: "9.9.9"
from scripts.local.ministack.__main__ import main
main()
"""


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["subject"])
def test_every_correction_has_a_module_and_a_proof(row: Mapping[str, str]) -> None:
    assert (HERE.parent / f"{row['module']}.py").is_file()
    assert re.search(rf"^(async )?def {row['test']}\(", (HERE / row["file"]).read_text(encoding="utf-8"), re.MULTILINE)


def test_no_row_is_of_another_form() -> None:
    assert README.count("\n|") == len(ROWS) + 2  # with head and rule


def test_every_installed_module_is_in_the_table() -> None:
    assert set(MODULES) - {"sessions"} <= {row["module"] for row in ROWS}


def test_the_table_is_about_the_pinned_version() -> None:
    assert {*re.findall(r"MiniStack ([0-9.]*[0-9])", README)} == {PINNED_VERSION}


def test_another_version_is_refused_with_a_sentence() -> None:
    start = subprocess.run(
        [str(ministack_python()), "-c", ANOTHER_VERSION],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=scaled(30),
        check=False,
    )
    assert start.returncode == 1
    assert start.stderr.startswith("ministack 9.9.9 is installed, but the corrections are made for")
