"""Directories and the error that all parts of this package share."""

from __future__ import annotations

import tempfile
from pathlib import Path

from scripts.repository import REPOSITORY

CONFIGURATION = REPOSITORY / "terraform"
GENERATED = REPOSITORY / "build" / "terraform"
WHOLE = "tests/whole"
"""Tests of the root that compare its complete result with a table."""


class TerraformError(Exception):
    """Terraform cannot run or has failed; the message is for the person who started it."""


def replace_file(file: Path, text: str) -> None:
    """Write a text file in one step, with a newline at its end.

    Readers see the old or the new text, and a failure leaves the old file alone.
    """
    with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False, encoding="utf-8") as temporary:
        try:
            temporary.write(text if text.endswith("\n") else f"{text}\n")
            temporary.close()
            Path(temporary.name).replace(file)
        except BaseException:
            Path(temporary.name).unlink(missing_ok=True)
            raise
