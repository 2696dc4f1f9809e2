"""Handshakes and departures of a run's clients."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from integration_tests.harness.latency import Durations

if TYPE_CHECKING:
    from collections.abc import Sequence

    from integration_tests.report.documents import Document


@dataclass
class Connects:
    """Handshakes.

    Attributes:
        attempted: How many were begun.
        succeeded: How many ended with an open connection.
        refused: The others by the reason that the client saw, for example ``429`` or ``timeout``.
        times: How long the successful ones took, from their intended start.
        per_second: Successful handshakes per second while connecting; None if that was not measured.
        late: Of the successful ones, how many took longer, from their real start, than an answer may take.
    """

    attempted: int = 0
    succeeded: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    times: Durations = field(default_factory=Durations)
    per_second: float | None = 0.0
    late: int = 0

    def merge(self, other: Connects) -> None:
        """Add the handshakes of another process; ``per_second`` is left to the caller."""
        self.attempted += other.attempted
        self.succeeded += other.succeeded
        self.late += other.late
        self.times.add(other.times)
        for reason, count in other.refused.items():
            self.refused[reason] = self.refused.get(reason, 0) + count

    def document(self) -> Document:
        """Return this part of the document."""
        return {
            "attempted": self.attempted,
            "succeeded": self.succeeded,
            "success_ratio": self.succeeded / self.attempted if self.attempted else None,
            "refused": self.refused,
            "per_second": self.per_second,
            "late": self.late,
            "time": times_of(self.times),
        }


@dataclass
class Departure:
    """All connections that went in one way.

    Attributes:
        kind: The way: ``closed``, ``aborted``, ``$disconnect lost`` ...
        connections: How many went so.
        items_left: Of their items in the table, those still there at the deadline; None where it cannot be read.
        gone: How long the others' items stayed.
    """

    kind: str
    connections: int
    items_left: int | None = None
    gone: Durations = field(default_factory=Durations)

    def document(self) -> Document:
        """Return this part of the document."""
        return {
            "kind": self.kind,
            "connections": self.connections,
            "items_left": self.items_left,
            "gone": times_of(self.gone),
        }


def departures_of(departures: Sequence[Departure], items_lacking: int | None) -> Document:
    """Return ``departures`` of the document."""
    gone = [each.gone.percentiles().max_ms for each in departures if each.gone.count]
    return {
        "items_left": total_of([each.items_left for each in departures]),
        "items_lacking": items_lacking,
        "gone_max_ms": max(gone, default=None),
        "kinds": [each.document() for each in departures],
    }


def times_of(durations: Durations) -> Document | None:
    """Return percentiles and histogram; None if nothing was measured."""
    return {**asdict(durations.percentiles()), "histogram": durations.encode()} if durations.count else None


def total_of(counts: Sequence[int | None]) -> int | None:
    """Return the sum of the counts that are known; None if none is."""
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
