"""What a piece of work costs the process that does it."""

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
    """What every contender is told: ``url`` (callback base URL) and ``recipients`` (how many)."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("recipients", type=int)
    return parser.parse_args()


def run(work: Callable[[], int]) -> None:
    """Do the work, which gives the number of messages delivered, and print its cost as JSON."""
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
    """The largest this process has been, in MB.

    On Linux ``ru_maxrss`` does not do: it begins with the size of the process that started this one.
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
