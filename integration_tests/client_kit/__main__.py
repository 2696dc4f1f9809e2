"""Plays the scenarios on a client and prints what was wrong; README.md explains it."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from typing import TYPE_CHECKING

from integration_tests.client_kit.players import play_through_driver, play_virtually
from integration_tests.client_kit.scenario import Scenario, read_scenarios
from scripts import event_loops, loopback

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Play what was asked for; returns the exit status, 1 if anything was wrong."""
    parser = argparse.ArgumentParser(prog="python -m integration_tests.client_kit", description=__doc__)
    parser.add_argument("--client", help="command of a driver (default: the Python client, on virtual time)")
    parser.add_argument("--only", default="", help="parts of names, separated by commas")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=3, help="drivers at the same time")
    parser.add_argument("--scale", type=float, default=0.1, help="real seconds of a protocol second")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args(arguments)
    loopback.reach_directly()
    parts = options.only.split(",")
    chosen = [scenario for scenario in read_scenarios() if any(part in scenario.name for part in parts)]
    if options.list:
        print("\n".join(f"{scenario.name:42} {scenario.says}" for scenario in chosen))
        return 0
    runs = [(scenario, seed) for scenario in chosen for seed in range(1, options.seeds + 1)]
    began_at = time.monotonic()
    if options.client:
        wrong = event_loops.run(_drive(runs, options.client, options.scale, options.jobs))
    else:
        wrong = sum(_show(scenario, seed, play_virtually(scenario, seed)) for scenario, seed in runs)
    print(f"{len(runs) - wrong} of {len(runs)} as they must be, {time.monotonic() - began_at:.0f} s")
    return 1 if wrong or not runs else 0


async def _drive(runs: Sequence[tuple[Scenario, int]], client: str, scale: float, jobs: int) -> int:
    gate = asyncio.Semaphore(jobs)

    async def play(scenario: Scenario, seed: int) -> bool:
        async with gate:
            return _show(scenario, seed, await play_through_driver(scenario, client, seed, scale))

    return sum(await asyncio.gather(*(play(*run) for run in runs)))


def _show(scenario: Scenario, seed: int, wrong: Sequence[str]) -> bool:
    """Print a result; whether anything was wrong."""
    lines = "".join(f"\n      {line}" for line in wrong)
    print(f"{'BAD' if wrong else 'ok '} {scenario.name} {seed}{lines}", flush=True)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
