"""The table of the part ``waits``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from scripts.bench.waits import figures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scripts.bench.waits.contenders import Contender
    from scripts.bench.waits.rows import Row

COLUMNS = ("first", "p50", "p99", "last", "/ floor", "receipt", "invocation", "CPU")


COMPARED = (
    *("p50", "p99", "receipt"),
    *("calls", "in a row before the first post", "in a row before the receipt", ""),
)


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
        """Return the figures in the order of ``COLUMNS``, times in milliseconds, and notes."""
        if self.summary is None:
            return [*["-"] * len(COLUMNS), _last_line(self.failure)]
        times = {name: _milliseconds(value) for name, value in self.summary.times.items()}
        return [
            *(times[name] for name in ("first", "p50", "p99")),
            self._at_least + times["last"],
            f"{self._at_least}{self.summary.ratio:.1f}x",
            times["receipt"],
            (">" if self.summary.ended else "") + times["invocation"],
            times["cpu"],
            ", ".join(self._notes(self.summary)),
        ]

    def short(self) -> str:
        """Return the last living member's wait, in milliseconds, and how many were missed."""
        if self.summary is None:
            return "-"
        missing = f" ({self.summary.missing} missing)" if self.summary.missing else ""
        return self._at_least + _milliseconds(self.summary.times["last"]) + missing

    @property
    def is_fault(self) -> bool:
        """Whether a turn failed without which the table says nothing."""
        return bool(self.failure) and (self.contender.is_ours or self.row.compares)

    def compared(self) -> list[str]:
        """Return the figures in the order of ``COMPARED``, times in milliseconds."""
        if self.summary is None:
            return [*["-"] * (len(COMPARED) - 1), _last_line(self.failure)]
        times = {name: _milliseconds(value) for name, value in self.summary.times.items()}
        counts = ["-"] * 3 if self.summary.counts is None else [_count(each) for each in self.summary.counts]
        return [*(times[name] for name in ("p50", "p99", "receipt")), *counts, ", ".join(self._notes(self.summary))]

    @property
    def _at_least(self) -> str:
        """A sign before the last wait: while members are missing, the last one has not been seen."""
        return ">" if self.summary and self.summary.missing else ""

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
            notes.append(_last_line(self.failure))
        return notes

    def text(self) -> str:
        """Return the line as text, for a terminal."""
        return f"{self.row.name:26} {self.contender.name:20} " + " ".join(f"{cell:>10}" for cell in self.cells())

    def to_dict(self) -> dict[str, Any]:
        """Return the figures by name, times in seconds."""
        found = {} if self.summary is None else self.summary._asdict()
        if self.summary is not None and self.summary.counts is not None:
            found["counts"] = self.summary.counts._asdict()
        row = self.row._asdict() | {"floor": self.row.floor}
        return {"row": row, "contender": self.contender.name, "failure": self.failure, **found}


def line(row: Row, contender: Contender, turns: Sequence[figures.Waits], failure: str) -> Line:
    """Return the line of a contender's turns; a row without any turn has failed."""
    if not turns:
        return Line(row, contender, None, failure or "nothing was measured")
    return Line(row, contender, figures.summary(turns, row.floor), failure)


def all_of(lines: Sequence[Line]) -> list[str]:
    """Return the tables in Markdown: that of the rows, and that of those that compare the modes of sending."""
    compared = [each for each in lines if each.row.compares]
    others = [each for each in lines if not each.row.compares]
    tables = [markdown(others)] if others else []
    return [*tables, comparison(compared)] if compared else tables


def comparison(lines: Sequence[Line]) -> str:
    """Return a table in Markdown with a row for each contender."""
    head = ["ms", "", *COMPARED]
    rows = [[each.row.name, each.contender.name, *each.compared()] for each in lines]
    return _table([head, ["---"] * len(head), *rows])


def markdown(lines: Sequence[Line]) -> str:
    """Return a table in Markdown: the figures of the first contender, and the last member's wait of each other one."""
    names = list(dict.fromkeys(each.contender.name for each in lines))
    first, *others = names
    found = {(each.row.name, each.contender.name): each for each in lines}
    head = [f"{first}, ms", *COLUMNS, "", *(f"{name}: last" for name in others)]
    body = [head, ["---"] * len(head)]
    for row in dict.fromkeys(each.row.name for each in lines):
        shorts = [found[row, name].short() if (row, name) in found else "" for name in others]
        body.append([row, *found[row, first].cells(), *shorts])
    return _table(body)


def _table(rows: Sequence[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(cells) + " |" for cells in rows)


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2]


def _count(number: int | None) -> str:
    return "-" if number is None else str(number)


def _milliseconds(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return f"{seconds * 1000:.1f}" if seconds < 0.01 else f"{seconds * 1000:,.0f}"
