"""Measures the cost of work in this process."""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

MESSAGE = "hello world"


def arguments() -> argparse.Namespace:
    """Parse a contender's command line: ``url`` (callback base URL) and ``recipients`` (their number)."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("recipients", type=int)
    return parser.parse_args()


def run(work: Callable[[], int]) -> None:
    """Do the work, which returns the number of delivered messages, and print its cost as JSON."""
    cpu, wall = time.process_time(), time.monotonic()
    delivered = work()
    cost = {
        "delivered": delivered,
        "cpu_s": time.process_time() - cpu,
        "wall_s": time.monotonic() - wall,
        "peak_rss_mb": peak_rss_mb(),
    }
    print(json.dumps(cost), flush=True)


def peak_rss_mb() -> float:
    """Peak size of this process, in MB.

    On Linux ``ru_maxrss`` is no measure: it starts at the parent's size.
    """
    status = Path("/proc/self/status")
    if status.exists():
        [line] = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1]) / 1024
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size / (1024 * 1024 if sys.platform == "darwin" else 1024)


def connection_ids(count: int) -> list[str]:
    """Connection ids like those of API Gateway."""
    return [f"BFHPhf{number:07}AM=" for number in range(count)]


def region() -> str:
    """Region to sign for."""
    return os.environ["AWS_REGION"]
