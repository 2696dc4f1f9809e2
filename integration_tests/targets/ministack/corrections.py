"""THE table of what is corrected, in the order of installation; ``README.md`` is written from it.

Written with ``python -m integration_tests.targets.ministack.corrections``.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Correction:
    """One difference between MiniStack and AWS that is closed.

    Attributes:
        module: Module of this package that closes it.
        name: What it is about.
    """

    module: str
    name: str


CORRECTIONS = tuple(
    Correction(module, module)
    for module in (
        "frames",
        "headers",
        "workers",
        "identifiers",
        "events",
        "integrations",
        "routes",
        "throttling",
        "handshake",
        "replies",
        "lifetime",
        "management",
        "sessions",
    )
)
