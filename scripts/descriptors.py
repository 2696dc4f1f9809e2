"""How many sockets this process may hold."""

from __future__ import annotations

import resource

KEPT = 100
"""Descriptors that the process needs besides its sockets: logs, pipes, the event loop's own."""


UNLIMITED = 10_240
"""Descriptors taken where the hard limit is infinite: macOS then refuses more than this (``OPEN_MAX``)."""


def allow_sockets() -> int:
    """Raise the soft limit on open files to the hard one; return how many sockets fit now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max(soft, UNLIMITED) if hard == resource.RLIM_INFINITY else hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted - KEPT
