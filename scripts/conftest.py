"""What holds for all tests of the scripts."""

from __future__ import annotations

from scripts import command, loopback


def pytest_configure() -> None:
    """Reach the servers that tests start on this machine without a proxy, and let tests interrupt what they start."""
    loopback.reach_directly()
    command.let_children_be_interrupted()
