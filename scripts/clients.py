"""Lets programs of this repository import the packages that teams install: importing this module is enough."""

from __future__ import annotations

import sys

from scripts.repository import REPOSITORY

FOLDERS = [str(REPOSITORY / name) for name in ("scripts/client", "scripts/cli", "handlers")]

sys.path += [folder for folder in FOLDERS if folder not in sys.path]
