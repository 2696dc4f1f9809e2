"""Set-up for all tests of the scripts."""

from __future__ import annotations

from scripts import command, loopback


def pytest_configure() -> None:
    """Reach local servers without a proxy, and let tests interrupt the programs they start."""
    loopback.reach_directly()
    command.let_children_be_interrupted()
