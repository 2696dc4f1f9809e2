"""Lets programs of this repository import ``roomcast_client``, which teams install: importing this module is enough."""

from __future__ import annotations

import sys
from pathlib import Path

FOLDER = Path(__file__).parent / "client"

if str(FOLDER) not in sys.path:
    sys.path.append(str(FOLDER))
