"""Imports, which each cold start pays for: a handler's own modules, and few of the standard library."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.hostile_server import HostileServer, say, trusted_tls

HANDLERS = Path(__file__).resolve().parent.parent
ROUTES = sorted(file.stem for file in HANDLERS.glob("*.py") if file.stem != "authorizer")

ENOUGH = (
    "binascii bisect collections enum errno functools hashlib heapq hmac itertools json operator os random re select"
    " selectors socket ssl threading time typing"
)
"""The only modules of the standard library, with those that they import themselves, that the handlers need. Each of
``logging``, ``urllib``, ``http``, ``email``, ``datetime`` and ``dataclasses`` would add milliseconds to cold starts."""


def modules_after(first: str, then: str) -> list[str]:
    """Modules that a fresh interpreter has imported after the second statement, and not after the first one."""
    code = f"import sys\n{first}\nbefore = set(sys.modules)\n{then}\nprint('\\n'.join(set(sys.modules) - before))"
    environment = {
        **os.environ,
        "AWS_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "id",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "ROOMCAST_TABLE_NAME": "connections",
        "ROOMCAST_MANAGEMENT_ENDPOINT": "https://example.com/live",
        "ROOMCAST_QUEUE_URL": "https://example.com/1/queue",
    }
    # Without the packages of this environment, which may import more at each start.
    command = [sys.executable, "-S", "-c", code]
    result = subprocess.run(command, cwd=HANDLERS, env=environment, capture_output=True, text=True, check=True)
    return sorted(result.stdout.split())


@pytest.mark.parametrize("route", ROUTES)
def test_a_handler_imports_little_of_the_standard_library(route: str) -> None:
    enough = f"import __future__, {', '.join(ENOUGH.split())}"
    imported = modules_after(enough, f"import {route}")
    assert [name for name in imported if name.partition(".")[0] not in {"roomcast", *ROUTES}] == []


def test_a_first_request_imports_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as the codec for host names that are not ASCII: a first event would wait for it."""
    with HostileServer(lambda _: say(body=b"{}"), trusted_tls(tmp_path, monkeypatch)) as server:
        service = f"aws_json.Service({server.url!r}, 'dynamodb', 'DynamoDB', 'eu-west-1')"
        then = f"{service}.call('GetItem', {{}}, time.monotonic() + 60)"
        assert modules_after("import time; from roomcast import aws_json", then) == []
