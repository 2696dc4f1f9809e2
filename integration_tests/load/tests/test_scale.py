"""The client's cost of a socket, at a size that suits every machine; ``scale.py`` measures 10,000."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from integration_tests.harness.handshakes import ASYNCIO_READ_BUFFER, TLS_READ_BUFFER
from integration_tests.load.tests.stages import REPOSITORY
from scripts.waiting import scaled

CONNECTIONS = 1_000
ATTEMPTS = 3
"""Others on the machine only ever make it slower, so the best of a few is the measurement."""
BARE_PER_CPU_SECOND = 3_900
"""``Scale.bare_per_cpu_second`` of the machine that the bar was set for, with little else to do."""


def measure(*options: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "integration_tests.load.tests.scale", "--connections", str(CONNECTIONS), *options]
    result = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=scaled(120))
    assert result.returncode == 0, result.stderr
    measured: dict[str, Any] = json.loads(result.stdout)
    return measured


def test_socket_takes_25_kilobytes_and_1500_are_opened_per_second_of_cpu_time() -> None:
    measured = [measure() for _ in range(ATTEMPTS)]

    assert max(on_a_quiet_machine(scale) for scale in measured) >= 1_500, measured
    assert max(scale["kilobytes_each"] for scale in measured) <= 25, measured


def on_a_quiet_machine(scale: dict[str, Any]) -> float:
    """Return how many sockets a second of CPU time would open if the machine had as little else to do as that one."""
    return float(scale["per_cpu_second"] / scale["bare_per_cpu_second"] * BARE_PER_CPU_SECOND)


def test_encrypted_socket_does_without_asyncios_read_buffer() -> None:
    """OpenSSL's memory for each socket differs between its versions, so asyncio's default is measured beside ours."""
    ours, default = measure("--tls"), measure("--tls", "--asyncio-buffers")

    saved = default["kilobytes_each"] - ours["kilobytes_each"]
    assert saved >= 0.8 * (ASYNCIO_READ_BUFFER - TLS_READ_BUFFER) / 1024, (ours, default)
