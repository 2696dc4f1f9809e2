"""The table of the part ``waits``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from scripts.bench.waits import figures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scripts.bench.waits.contenders import Contender
    from scripts.bench.waits.rows import Row

COLUMNS = ("first", "p50", "p99", "last")
HEAD = "| ms | | first | p50 | p99 | last | / floor | receipt | invocation | CPU | |"


class Line(NamedTuple):
    """One line of the table.

    Attributes:
        row: The scenario.
        contender: Of which contender.
        summary: Its figures; ``None`` if it has none.
        failure: Why a turn failed; empty if none did.
    """

    row: Row
    contender: Contender
    summary: figures.Summary | None
    failure: str

    def cells(self) -> list[str]:
        """Return the cells, times in milliseconds."""
        if self.summary is None:
            return [self.row.name, self.contender.name, *["-"] * 8, self.failure.strip().rpartition("\n")[2]]
        times = self.summary.times
        return [
            self.row.name,
            self.contender.name,
            *(_milliseconds(times[name]) for name in COLUMNS),
            f"{self.summary.ratio:.1f}x",
            _milliseconds(times["receipt"]),
            (">" if self.summary.ended else "") + _milliseconds(times["invocation"]),
            _milliseconds(times["cpu"]),
            ", ".join(self._notes(self.summary)),
        ]

    def _notes(self, summary: figures.Summary) -> list[str]:
        notes = []
        if summary.missing:
            notes.append(f"{summary.missing} missing")
        if summary.twice:
            notes.append(f"{summary.twice} twice")
        if (init := summary.times["init"]) is not None:
            notes.append(f"import {_milliseconds(init)}")
        if self.row.ranks:
            notes.append(f"one member {summary.most_often_last} of {summary.turns} times in the last tenth")
        if self.failure:
            notes.append(self.failure.strip().rpartition("\n")[2])
        return notes

    def text(self) -> str:
        """Return the line as text, for a terminal."""
        name, contender, *cells = self.cells()
        return f"{name:26} {contender:20} " + " ".join(f"{cell:>8}" for cell in cells)

    def to_dict(self) -> dict[str, Any]:
        """Return the figures by name, times in seconds."""
        found = {} if self.summary is None else self.summary._asdict()
        row = self.row._asdict() | {"floor": self.row.floor}
        return {"row": row, "contender": self.contender.name, "failure": self.failure, **found}


def line(row: Row, contender: Contender, turns: Sequence[figures.Waits], failure: str) -> Line:
    """Return the line of a contender's turns; a row without any turn has failed."""
    if not turns:
        return Line(row, contender, None, failure or "nothing was measured")
    return Line(row, contender, figures.summary(turns, row.floor), failure)


def markdown(lines: Sequence[Line]) -> str:
    """Return the lines as a table in Markdown."""
    body = ["| " + " | ".join(each.cells()) + " |" for each in lines]
    return "\n".join([HEAD, "|---" * 11 + "|", *body])


def _milliseconds(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return f"{seconds * 1000:.1f}" if seconds < 0.01 else f"{seconds * 1000:,.0f}"
