"""What holds for all tests of the scripts."""

from __future__ import annotations

from scripts import loopback


def pytest_configure() -> None:
    """Reach the servers that tests start on this machine without a proxy."""
    loopback.reach_directly()
