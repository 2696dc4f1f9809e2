"""Functions that begin from one snapshot (SnapStart): each is restored with what the import of its module has left."""

from __future__ import annotations

import importlib
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from roomcast import aws_json, pacing, reading, rooms, settings

if TYPE_CHECKING:
    from collections.abc import Callable

HANDLERS = Path(__file__).resolve().parent.parent
FUNCTIONS = sorted(file.stem for file in HANDLERS.glob("*.py"))

IMPORTS = """
import os, random, socket, ssl, sys, threading

def forbid(name):
    def refuse(*_, **__):
        raise AssertionError(f"{name} at import")
    return refuse

for owner, name in (
    (socket, "socket"), (socket, "getaddrinfo"), (socket, "create_connection"), (os, "urandom"), (random, "random"),
    (random, "seed"), (threading.Thread, "start"), (random.SystemRandom, "random"),
):
    setattr(owner, name, forbid(name))
__import__(sys.argv[1])
"""


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_import_connects_looks_a_host_up_or_draws(function: str) -> None:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "AWS_REGION": "eu-west-1",
        "ROOMCAST_TABLE_NAME": "connections",
        "ROOMCAST_HISTORY_TABLE_NAME": "history",
        "ROOMCAST_MANAGEMENT_ENDPOINT": "https://example.com/live",
        "ROOMCAST_QUEUE_URL": "https://example.com/1/queue",
        "ROOMCAST_JWT_JWKS_URL": "https://example.com/keys",
        "ROOMCAST_JWT_ISSUER": '["https://example.com/"]',
        "ROOMCAST_JWT_AUDIENCE": '["chat"]',
    }
    command = [sys.executable, "-c", IMPORTS, function]
    result = subprocess.run(command, cwd=HANDLERS, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def orders_of_shards() -> list[Any]:
    """The order in which a room's partitions are read."""
    members = rooms.Rooms(settings.from_environment()._replace(shards_per_room=16, shards_read=16)).members
    return [list(members("lobby", time.monotonic() + 1)._shards) for _ in range(3)]


@pytest.mark.parametrize(
    "draw",
    [
        lambda: [aws_json.pause_seconds(10) for _ in range(5)],
        lambda: [pacing.pause(10) for _ in range(5)],
        lambda: [next(reading._starts()) for _ in range(5)],
        orders_of_shards,
    ],
    ids=["pauses of calls", "pauses of posts", "starts in pages", "orders of partitions"],
)
def test_functions_that_were_restored_from_one_snapshot_do_not_draw_the_same(draw: Callable[[], list[Any]]) -> None:
    state = random.getstate()
    first = draw()
    random.setstate(state)
    assert draw() != first


def test_credentials_are_not_read_at_import() -> None:
    assert importlib.import_module("roomcast.credentials")._container._held is None
