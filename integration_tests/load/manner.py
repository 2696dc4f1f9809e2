"""How the clients of a load run behave."""

from __future__ import annotations

import math
from typing import NamedTuple

from scripts.waiting import scaled

PLANNED_LIFETIME = 6_000.0
"""Seconds after which a client replaces a socket, on average, by the clock by which it plans that."""
SPREAD = 0.1
"""Share of the lifetime by which it may be longer or shorter, so that clients do not all roll over at one moment."""


class Manner(NamedTuple):
    """How the clients of a run behave.

    Attributes:
        speaks_v1: Whether they speak ``roomcast.v1``.
        lifetime: Seconds until a client replaces its socket; infinite for never.
        copies: How often a message is sent again under its id, at most.
    """

    speaks_v1: bool = False
    lifetime: float = math.inf
    copies: int = 0

    @property
    def pace(self) -> float:
        """Real seconds of a second on the clock by which a client plans to replace its sockets."""
        return 1.0 if self.lifetime == math.inf else scaled(self.lifetime) / PLANNED_LIFETIME
