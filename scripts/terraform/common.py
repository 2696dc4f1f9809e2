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
    """Write a text file in one step, with a newline at its end; where a link leads to it, the link stays.

    Readers see the old or the new text, and a failure leaves the old file alone. What is no regular file, such as
    ``/dev/stdout``, is written to.
    """
    content = text if text.endswith("\n") else f"{text}\n"
    if file.exists() and not file.is_file():
        file.write_text(content, encoding="utf-8")
        return
    target = file.resolve()
    with tempfile.NamedTemporaryFile("w", dir=target.parent, delete=False, encoding="utf-8") as temporary:
        try:
            temporary.write(content)
            temporary.close()
            Path(temporary.name).replace(target)
        except BaseException:
            Path(temporary.name).unlink(missing_ok=True)
            raise
