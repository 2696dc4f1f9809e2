"""How many sockets this process may hold."""

from __future__ import annotations

import resource

KEPT = 100
"""Descriptors that the process needs besides its sockets: logs, pipes, the event loop's own."""


def allow_sockets() -> int:
    """Raise the soft limit on open files to the hard one; return how many sockets fit now."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard - KEPT
