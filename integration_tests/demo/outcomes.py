"""The outcome of each room: violations of the guarantees, and the final table."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rich import box
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from integration_tests.harness.latency import Durations
    from integration_tests.harness.ledger import Tally

COLUMNS = {
    "lost": ("lost", "missing", "unsent"),
    "twice": ("duplicated",),
    "leaked": ("unexpected",),
    "altered": ("altered",),
    "late": ("late",),
    "answers": ("failed", "receipts_wrong", "receipts_repeated", "receipts_unknown"),
}
"""Findings of the ledger by column of the table; a message without a receipt counts under ``answers``, too."""


class Outcome(NamedTuple):
    """The outcome of a room.

    Attributes:
        room: Its name.
        members: How many clients it had.
        total: Counts of the ledger.
        times: Delivery times.
    """

    room: str
    members: int
    total: Tally
    times: Durations


def violations(total: Tally) -> dict[str, int]:
    """Return by column of the table how much went wrong; every message needs a receipt that counts its deliveries."""
    found = {column: sum(getattr(total, finding) for finding in findings) for column, findings in COLUMNS.items()}
    return {**found, "answers": found["answers"] + total.attempted - total.receipts_counted}


def report(outcomes: Sequence[Outcome], *, lines: bool = True) -> Table:
    """Return the final table, with a line below its head if the terminal can show one."""
    title = "Deliveries by room, and their times (ms)"
    head = box.SIMPLE_HEAD if lines else None
    table = Table(title=title, title_justify="left", box=head, collapse_padding=True, pad_edge=False)
    table.add_column("room", no_wrap=True)
    for heading in ("members", "messages", "deliveries", *COLUMNS, "median", "99 %", "max"):
        table.add_column(heading, justify="right", no_wrap=True)
    for room, members, total, times in outcomes:
        counts = [str(members), str(total.attempted), f"{total.expected:,}"]
        found = [f"[red]{number}[/]" if number else "0" for number in violations(total).values()]
        speed = times.percentiles()
        table.add_row(room, *counts, *found, *(f"{ms:.0f}" for ms in (speed.p50_ms, speed.p99_ms, speed.max_ms)))
    return table
