"""Settings from the environment. Each variable is removed once read, because functions inherit the environment."""

from __future__ import annotations

import os

CONCURRENCY = int(os.environ.pop("ROOMCAST_EMULATOR_CONCURRENCY", "10"))
LIMITS_FACTOR = float(os.environ.pop("ROOMCAST_EMULATOR_LIMITS_FACTOR", "1"))
REQUESTS = os.environ.pop("ROOMCAST_EMULATOR_REQUESTS", "")
HANDSHAKES = os.environ.pop("ROOMCAST_EMULATOR_HANDSHAKES", "")
