"""The table of corrections, and the emulator's start."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scripts.local.emulator import REPOSITORY, ministack_python
from scripts.local.ministack import corrections
from scripts.local.ministack.__main__ import MODULES
from scripts.local.ministack.corrections import CORRECTIONS
from scripts.waiting import scaled

if TYPE_CHECKING:
    from scripts.local.ministack.correction import Correction

HERE = Path(__file__).parent
ANOTHER_VERSION = """
import importlib.metadata
importlib.metadata.version = lambda name: "9.9.9"
from scripts.local.ministack.__main__ import main
main()
"""


def test_the_readme_is_what_the_table_says() -> None:
    assert corrections.README.read_text(encoding="utf-8") == corrections.readme(), (
        "run: python -m scripts.local.ministack.corrections"
    )


@pytest.mark.parametrize("correction", CORRECTIONS, ids=lambda correction: correction.name)
def test_every_correction_has_a_module_and_a_test(correction: Correction) -> None:
    file, _, function = correction.test.partition("::")
    assert (HERE.parent / f"{correction.module}.py").is_file()
    assert re.search(rf"^(async )?def {function}\(", (HERE / file).read_text(encoding="utf-8"), re.MULTILINE)


def test_every_installed_module_is_in_the_table() -> None:
    assert set(MODULES) - {"sessions"} <= {correction.module for correction in CORRECTIONS}


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
