"""Lets programs of this repository import the packages that teams install: importing this module is enough."""

from __future__ import annotations

import sys
from pathlib import Path

FOLDERS = [str(Path(__file__).parent / name) for name in ("client", "cli")]

sys.path += [folder for folder in FOLDERS if folder not in sys.path]
