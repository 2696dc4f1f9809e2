"""The number of sockets that this process may open."""

from __future__ import annotations

import resource

KEPT = 100
"""Descriptors for other uses: logs, pipes, the event loop."""


UNLIMITED = 10_240
"""Soft limit where the hard limit is infinite, because macOS refuses more than this (``OPEN_MAX``)."""


def allow_sockets() -> int:
    """Raise the soft limit on open files to the hard one; return the number of sockets it allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max(soft, UNLIMITED) if hard == resource.RLIM_INFINITY else hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted - KEPT
