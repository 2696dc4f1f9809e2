"""Measure the CPU time of the fan-out engine beside other clients: ``python -m scripts.bench cpu [--quick]``.

Every run starts a new process for the contender and one for the TLS sink. Contenders take turns; the report holds
medians. Writes ``build/bench/fanout.json`` and ``fanout.svg``, and prints the README's table.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

from scripts.bench import processes, report

if TYPE_CHECKING:
    from collections.abc import Sequence

CONTENDERS = ("roomcast", "roomcast_http2", "boto3_threads", "node_sdk3", "h2load")
SIZES = (100, 1_000, 10_000, 100_000)
QUICK_SIZES = (100, 1_000)
NETWORK_SECONDS = 0.015


class Bench:
    """One benchmark.

    Args:
        sizes: Numbers of recipients.
        reference: Number of recipients for the single figures.
        runs: Number of repetitions.
        contenders: Names of the contenders to measure.
    """

    def __init__(self, sizes: Sequence[int], reference: int, runs: int, contenders: Sequence[str]) -> None:
        self.sizes = sizes
        self.reference = reference
        self.runs = runs
        self.contenders = contenders
        self.series: dict[str, dict[int, list[processes.Run]]] = {name: {} for name in contenders}

    def measure_series(self) -> None:
        """Measure every contender at every size, in turns."""
        for size in self.sizes:
            failed: set[str] = set()
            for number in range(self.runs):
                for name in self.contenders:
                    if name not in failed and not self._measure(name, size, number):
                        failed.add(name)

    def _measure(self, name: str, size: int, number: int) -> bool:
        try:
            run, _ = processes.contend(name, size, {"http2": name == "roomcast_http2"})
        except subprocess.SubprocessError as error:
            say(f"{name:14} {size:7,} recipients: {error}")
            return False
        self.series[name].setdefault(size, []).append(run)
        cpu = run.cpu_s / size * 1e6
        say(f"{name:14} {size:7,} recipients, run {number + 1}: {cpu:7.1f} us CPU each, {run.wall_s:6.2f} s")
        return True

    def figures(self, handlers: Sequence[str]) -> dict[str, Any]:
        """Measure the single figures; return all figures for JSON."""
        invocation = [self._invocation(self.reference) for _ in range(self.runs)]
        distant = [self._distant() for _ in range(self.runs)]
        faults = self._faults()
        sizes = self.series["roomcast"]
        start_ups = start_up([*handlers, "boto3_handler"], self.runs)
        return {
            "recipients": self.reference,
            "cpu_us_per_message": {
                report.JSON_NAMES.get(name, name): report.cpu_us(runs[self.reference], self.reference)
                for name, runs in self.series.items()
                if self.reference in runs
            },
            "invocation_cpu_us_per_recipient": report.cpu_us(invocation, self.reference),
            f"wall_s_{self.reference}_at_15ms": round(statistics.median(run.wall_s for run in distant), 3),
            "connections_at_15ms": max(run.connections for run in distant),
            "peak_rss_mb": {
                str(size): report.medians(sizes[size])["peak_rss_mb"] for size in self.sizes if size in sizes
            },
            "startup_cpu_ms": {name: figures["cpu_ms"] for name, figures in start_ups.items()},
            "startup_rss_mb": {name: figures["rss_mb"] for name, figures in start_ups.items()},
            "faults": faults,
            "series": report.series_figures(self.series),
            "machine": {
                "cores": os.cpu_count(),
                "python": platform.python_version(),
                "system": f"{platform.system()} {platform.machine()}",
            },
        }

    def _invocation(self, recipients: int) -> processes.Run:
        with processes.server("table", members=recipients) as table:
            endpoint = {"AWS_ENDPOINT_URL_DYNAMODB": f"https://localhost:{table.port}"}
            run, _ = processes.contend("invocation", recipients, {}, **endpoint)
        say(f"invocation     {recipients:7,} recipients: {run.cpu_s / recipients * 1e6:.1f} us CPU each")
        return run

    def _distant(self) -> processes.Run:
        run, _ = processes.contend("roomcast", self.reference, {"delay": NETWORK_SECONDS})
        say(f"15 ms away     {self.reference:7,} recipients: {run.wall_s:.2f} s, {run.connections} connections")
        return run

    def _faults(self) -> dict[str, Any]:
        faults = {"delay": NETWORK_SECONDS, "throttled": 0.1, "dropped": 0.01, "keeps": True}
        run, accepted = processes.contend("roomcast", self.reference, faults)
        say(f"with faults    {self.reference:7,} recipients: {run.delivered:,} delivered in {run.wall_s:.2f} s")
        return {
            "recipients": self.reference,
            "delivered": run.delivered,
            "accepted_ids": len(set(accepted)),
            "accepted_twice": sum(count > 1 for count in Counter(accepted).values()),
            "wall_s": round(run.wall_s, 3),
            "requests": run.requests,
        }


def start_up(modules: Sequence[str], runs: int) -> dict[str, dict[str, float]]:
    """Measure CPU time and peak size of importing each module, in turns; return medians."""
    measured: dict[str, list[tuple[float, float]]] = {name: [] for name in modules}
    for _ in range(runs):
        for name in modules:
            measured[name].append(processes.start_up(name))
    figures = {
        name.removesuffix("_handler"): {
            "cpu_ms": round(statistics.median(cpu for cpu, _ in costs) * 1000, 1),
            "rss_mb": round(statistics.median(size for _, size in costs), 1),
        }
        for name, costs in measured.items()
    }
    for name, each in figures.items():
        say(f"start-up       {name}: {each['cpu_ms']:.0f} ms CPU, {each['rss_mb']:.0f} MB")
    return figures


def say(text: str) -> None:
    """Print progress to stderr, because stdout carries the table."""
    print(text, file=sys.stderr, flush=True)


def main(arguments: Sequence[str]) -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m scripts.bench cpu", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small numbers, for a quick check")
    parser.add_argument("--sizes", type=int, nargs="+", help="numbers of recipients (100 1000 10000 100000)")
    parser.add_argument("--runs", type=int, default=3, help="number of repetitions (3)")
    parser.add_argument("--only", nargs="+", choices=CONTENDERS, default=CONTENDERS, help="contenders to measure")
    options = parser.parse_args(arguments)
    processes.prepare()
    handlers = processes.unpack_handlers()
    absent = {name: reason for name in options.only if (reason := processes.missing(name))}
    for name, reason in absent.items():
        say(f"{name} does not take part: {reason}")
    sizes = options.sizes or (QUICK_SIZES if options.quick else SIZES)
    bench = Bench(
        sizes,
        reference=1_000 if options.quick else 10_000,
        runs=options.runs,
        contenders=[name for name in CONTENDERS if name == "roomcast" or (name in options.only and name not in absent)],
    )
    bench.measure_series()
    figures = bench.figures(handlers)

    target = processes.WORK / "fanout.json"
    target.write_text(json.dumps(figures, indent=2) + "\n")
    if importlib.util.find_spec("matplotlib"):
        report.plot(bench.series, target.with_suffix(".svg"))
    else:
        say("no plot: matplotlib is not installed")
    print(report.table(bench.series))
