"""A target that writes down clients' data, in a file of its own or among the reports.

A plugin of pytest (``-p integration_tests.targets.tests.leaky``), which adds it to the targets.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Self

from integration_tests import conftest
from integration_tests.targets.catalogue import TARGETS
from integration_tests.targets.interface import Target
from integration_tests.targets.privacy import SECRET
from scripts.local.deployment import Deployment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from integration_tests.targets.interface import Capability, Caveat


class Leaky(Target):
    """A miniature stage with the log ``log`` and reports below ``reports``."""

    name = "leaky"
    default_connections = 2

    def __init__(self) -> None:
        self.directory = Path(os.environ["LEAKY_DIRECTORY"])
        self.deployment = Deployment(os.environ["LEAKY_URL"], None, {})
        conftest.REPORTS = self.directory / "reports"

    def __enter__(self) -> Self:
        if place := os.environ["LEAKY_PLACE"]:
            (self.directory / place).write_text(f"REPORT\n{{'body': '{SECRET}'}}\n", encoding="utf-8")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def lacks(self) -> Mapping[Capability | Caveat, str]:
        """Return nothing, because the tests need no capability."""
        return {}

    def files(self) -> Sequence[Path]:
        """Return the file that stands for an emulator's log."""
        return (self.directory / "log",)


TARGETS[Leaky.name] = Leaky
