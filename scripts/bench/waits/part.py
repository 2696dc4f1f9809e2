"""Measure how long a member waits: ``python -m scripts.bench waits [--quick]``.

A wait begins when a function has its event and ends when the post has arrived whole. DynamoDB, SQS and
``@connections`` answer after fixed delays. Contenders take turns, one message each. Writes ``build/bench/waits.json``
and prints the README's table.
The status is 1 when a row of Roomcast measured nothing, or any of those that compare the modes of sending.
"""

from __future__ import annotations

import argparse
import contextlib
import fnmatch
import json
import subprocess
import sys
import time
from collections import defaultdict
from typing import TYPE_CHECKING

from scripts.bench import processes
from scripts.bench.waits import contenders, cpu_share, figures, table
from scripts.bench.waits.rows import QUICK, ROWS, Row
from scripts.bench.waits.stage import Services, Stage
from scripts.repository import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scripts.bench.waits.contenders import Contender

TURNS_SECONDS = 6.0
"""A contender that has used so much time in a row takes no further turn in it."""

QUICK_TURNS_SECONDS = 1.0
"""The same in a quick check."""


def measure(services: Services, row: Row, taking_part: Sequence[Contender], turns_seconds: float) -> list[table.Line]:
    """Measure one row: contenders take turns, each round beginning with another one.

    Args:
        services: Servers in place of AWS's services.
        row: The row.
        taking_part: The contenders.
        turns_seconds: A contender that has used so much time takes no further turn.
    """
    turns: dict[str, list[figures.Waits]] = defaultdict(list)
    failures: dict[str, str] = {}
    used: dict[str, float] = defaultdict(float)
    with contextlib.closing(Stage(services, row)) as stage:
        for number in range(row.rounds):
            start = number % len(taking_part)
            for contender in (*taking_part[start:], *taking_part[:start]):
                name = contender.name
                if name in failures or used[name] >= turns_seconds:
                    continue
                began = time.monotonic()
                try:
                    turns[name].append(stage.turn(contender))
                except (figures.NothingMeasuredError, subprocess.SubprocessError) as error:
                    failures[name] = str(error)
                used[name] += time.monotonic() - began
    return [table.line(row, each, turns[each.name], failures.get(each.name, "")) for each in taking_part]


def main(arguments: Sequence[str]) -> None:
    """Run the benchmark.

    Raises:
        SystemExit: An option is wrong, or a row of Roomcast measured nothing.
    """
    parser = argparse.ArgumentParser(prog="python -m scripts.bench waits", description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"few rows, for a quick check: {', '.join(QUICK)}")
    parser.add_argument("--rows", nargs="+", metavar="PATTERN", help="rows to measure, such as 'warm-*' (all)")
    parser.add_argument("--list", action="store_true", help="print the names of the rows")
    parser.add_argument("--handlers", action="append", metavar="FOLDER", help="handlers: a folder or a Git revision")
    parser.add_argument("--ours", action="store_true", help="without boto3")
    options = parser.parse_args(arguments)
    patterns = options.rows or (QUICK if options.quick else ["*"])
    rows = [row for row in ROWS if any(fnmatch.fnmatchcase(row.name, pattern) for pattern in patterns)]
    if not rows:
        parser.error(f"no row is named {' or '.join(patterns)}; --list names them")
    if options.list:
        print("\n".join(row.name for row in rows))
        return
    processes.prepare()
    everyone = contenders.ours(options.handlers or [str(REPOSITORY / "handlers")])
    if not options.ours:
        usual = contenders.boto3()
        if not usual:
            print("boto3 does not take part: it is not installed", file=sys.stderr)
        everyone += usual
    lines = run(rows, everyone, quick=options.quick)
    target = processes.WORK / "waits.json"
    target.write_text(json.dumps([line.to_dict() for line in lines], indent=2) + "\n")
    print("\n\n".join(table.all_of(lines)))
    if faults := [f"{line.row.name}, {line.contender.name}: {line.failure}" for line in lines if line.is_fault]:
        raise SystemExit("\n".join(faults))


def run(rows: Sequence[Row], everyone: Sequence[Contender], *, quick: bool) -> list[table.Line]:
    """Measure rows, and print each to stderr, because stdout carries the table."""
    lines = []
    seconds = QUICK_TURNS_SECONDS if quick else TURNS_SECONDS
    with (
        processes.server("sink") as sink,
        processes.server("history") as database,
        processes.server("sqs") as queue,
    ):
        for row in rows:
            taking_part = [each for each in everyone if each.takes_part(row, quick=quick)]
            if row.compares:
                taking_part = [mode for each in taking_part for mode in each.in_modes()]
            measured = measure(Services(sink, database, queue), row, taking_part, seconds)
            for line in measured:
                print(line.text(), file=sys.stderr, flush=True)
            lines += measured
    print(f"A share of a CPU is given by {cpu_share.means()}.", file=sys.stderr)
    return lines
