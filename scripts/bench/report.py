"""Reports a benchmark as JSON, as a table and as a plot."""

from __future__ import annotations

import importlib
import statistics
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from scripts.bench.processes import Run

    Series = Mapping[str, Mapping[int, Sequence[Run]]]

LABELS = {
    "roomcast": "Roomcast",
    "roomcast_http2": "Roomcast over HTTP/2",
    "boto3_threads": "boto3, 32 threads",
    "node_sdk3": "Node SDK v3, Promise.all",
    "h2load": "h2load (C, unsigned)",
}
JSON_NAMES = {"boto3_threads": "boto3"}


def medians(runs: Sequence[Run]) -> dict[str, float | int | None]:
    """Return the median of each figure over several runs."""
    sizes = [run.peak_rss_mb for run in runs if run.peak_rss_mb is not None]
    return {
        "runs": len(runs),
        "delivered": min(run.delivered for run in runs),
        "cpu_s": round(statistics.median(run.cpu_s for run in runs), 4),
        "wall_s": round(statistics.median(run.wall_s for run in runs), 4),
        "peak_rss_mb": round(statistics.median(sizes), 1) if sizes else None,
        "connections": int(statistics.median(run.connections for run in runs)),
    }


def cpu_us(runs: Sequence[Run], recipients: int) -> float:
    """Return the CPU time per message, in microseconds: the median over several runs."""
    return round(statistics.median(run.cpu_s for run in runs) / recipients * 1e6, 1)


def series_figures(series: Series) -> dict[str, Any]:
    """Return all medians by contender, then by number of recipients."""
    return {
        JSON_NAMES.get(name, name): {
            str(size): {**medians(runs), "cpu_us_per_message": cpu_us(runs, size)} for size, runs in sizes.items()
        }
        for name, sizes in series.items()
    }


def table(series: Series) -> str:
    """Return a Markdown table of CPU time per message, peak size and connections."""
    sizes = sorted({size for runs in series.values() for size in runs})
    lines = [
        "| CPU per message (peak memory, connections) | " + " | ".join(f"{size:,}" for size in sizes) + " |",
        "|---" * (len(sizes) + 1) + "|",
    ]
    for name, runs in series.items():
        cells = [_cell(runs[size], size) if size in runs else "-" for size in sizes]
        lines.append(f"| {LABELS[name]} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(runs: Sequence[Run], size: int) -> str:
    figures = medians(runs)
    memory = "" if figures["peak_rss_mb"] is None else f"{figures['peak_rss_mb']:.0f} MB, "
    return f"{cpu_us(runs, size):,.0f} us ({memory}{figures['connections']})"


def plot(series: Series, path: Path) -> None:
    """Plot the CPU time per message over the number of recipients."""
    importlib.import_module("matplotlib").use("Agg")
    pyplot = importlib.import_module("matplotlib.pyplot")
    figure, axes = pyplot.subplots(figsize=(7, 4.5), layout="constrained")
    for name, sizes in series.items():
        ordered = sorted(sizes)
        axes.plot(ordered, [cpu_us(sizes[size], size) for size in ordered], marker="o", label=LABELS[name])
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("recipients")
    axes.set_ylabel("CPU per message (µs)")
    axes.grid(visible=True, which="both", alpha=0.3)
    axes.legend()
    figure.savefig(path)
    pyplot.close(figure)
