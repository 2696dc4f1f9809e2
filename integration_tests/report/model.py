"""A run's result and its JSON document, format 1 (every field is explained in README.md)."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from integration_tests.harness.latency import SATURATED_SHARE, Durations
from integration_tests.harness.ledger import Terms

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from integration_tests.harness.faults.rule_book import Count
    from integration_tests.harness.latency import Interval, Latency
    from integration_tests.harness.ledger import Verdict

FORMAT = 1
TIMELINE_POINTS = 240
"""More could not be told apart on a screen."""

Document = dict[str, Any]


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
            "time": _times(self.times),
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
            "gone": _times(self.gone),
        }


@dataclass(frozen=True)
class Event:
    """Something that happened at a moment of the run, shown on its timeline: ``redeploy``, ``faults on`` ...

    Attributes:
        at: Monotonic seconds.
        label: Its name.
    """

    at: float
    label: str


@dataclass(frozen=True)
class FunctionLogs:
    """Lines that the stage's functions logged during the run, also for other users of the stage.

    Attributes:
        errors: Lines about errors: logged by a handler, or an invocation that failed or ran out of time.
        warnings: Lines with warnings.
        examples: The first of them.
    """

    errors: int
    warnings: int
    examples: Sequence[str] = ()


@dataclass
class Run:
    """Everything measured in one run.

    Attributes:
        name: Of the kind of run, for example ``scale``: runs of one name are compared.
        id: Unique name of this run.
        target: ``local``, ``localstack`` or ``live``.
        started_at: Wall-clock time of the start, with its time zone.
        began_at: The same moment on the monotonic clock, which all other times are read from.
        duration_seconds: How long it took.
        parameters: The options of the run: sockets, rooms, rate ... Runs with other parameters are not compared.
        versions: Of the client: commit, Python, libraries, system.
        verdict: The verdict of the ledger.
        latency: Delivery times and the client's own state.
        connects: Handshakes.
        departures: By kind.
        items_lacking: Items of connected clients that the table did not hold before the departures; None if unknown.
        faults: The effect of each fault rule.
        functions: Errors and warnings in the functions' logs; None where the logs cannot be read.
        events: Marks on the timeline.
        command: The command line that started it, without secrets.
        host: Host and port of the stage's URL.
        path: Path of the stage's URL.
        terms: The times that the stage was granted.
        not_shown: Sentences about the limits of the run's evidence, each with the reason.
    """

    name: str
    id: str
    target: str
    started_at: datetime
    began_at: float
    duration_seconds: float
    parameters: Mapping[str, str | int | float | bool]
    versions: Mapping[str, str]
    verdict: Verdict
    latency: Latency
    connects: Connects = field(default_factory=Connects)
    departures: Sequence[Departure] = ()
    items_lacking: int | None = None
    faults: Sequence[Count] = ()
    functions: FunctionLogs | None = None
    events: Sequence[Event] = ()
    command: str = ""
    host: str = ""
    path: str = ""
    terms: Terms = field(default_factory=Terms)
    not_shown: Sequence[str] = ()

    def document(self) -> Document:
        """Return the run as JSON, without judgement."""
        return {
            "format": FORMAT,
            "run": {
                "name": self.name,
                "id": self.id,
                "target": self.target,
                "started_at": self.started_at.isoformat(timespec="seconds"),
                "duration_seconds": round(self.duration_seconds, 3),
                "command": self.command,
                "host": self.host,
                "path": self.path,
            },
            "merged": None,
            "not_shown": list(self.not_shown),
            "terms": {name: None if value == math.inf else value for name, value in asdict(self.terms).items()},
            "parameters": dict(self.parameters),
            "versions": dict(self.versions),
            "invariants": invariants_of(self.verdict),
            "latency": latency_of(self.latency.total, self.latency.saturated_share),
            "timeline": self._timeline(),
            "connects": self.connects.document(),
            "departures": departures_of(self.departures, self.items_lacking),
            "faults": [asdict(count) for count in self.faults],
            "functions": asdict(self.functions) if self.functions else None,
            "events": [{"second": round(each.at - self.began_at, 3), "label": each.label} for each in self.events],
        }

    def _timeline(self) -> list[Document]:
        numbers = sorted(self.latency.intervals)
        if not numbers:
            return []
        width = -(-(numbers[-1] - numbers[0] + 1) // TIMELINE_POINTS)
        groups: dict[int, list[Interval]] = {}
        for number in numbers:
            groups.setdefault((number - numbers[0]) // width, []).append(self.latency.intervals[number])
        seconds = self.latency.interval * width
        start = numbers[0] * self.latency.interval - self.began_at
        return [_point(start + group * seconds, seconds, members) for group, members in groups.items()]


def invariants_of(verdict: Verdict) -> Document:
    """Return ``invariants`` of the document; counts that were not looked for are null."""
    return {
        **asdict(verdict.total),
        "reordered": verdict.total.reordered if verdict.ordered else None,
        "receipts_wrong": verdict.total.receipts_wrong if verdict.total.receipts_counted else None,
        "members": verdict.members,
        "broken": verdict.broken,
        "rooms": {name: asdict(tally) for name, tally in sorted(verdict.rooms.items())},
        "senders": {name: asdict(tally) for name, tally in sorted(verdict.senders.items()) if not tally.clean},
        "examples": verdict.examples,
    }


def latency_of(total: Durations, saturated_share: float) -> Document:
    """Return ``latency`` of the document."""
    return {
        **asdict(total.percentiles()),
        "saturated_share": round(saturated_share, 6),
        "saturated": saturated_share >= SATURATED_SHARE,
        "distribution": [list(point) for point in total.distribution()],
        "histogram": total.encode(),
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


def _point(second: float, seconds: float, intervals: Sequence[Interval]) -> Document:
    durations = Durations.decode(intervals[0].encoded)
    for interval in intervals[1:]:
        durations.add(Durations.decode(interval.encoded))
    return {
        "second": round(max(0.0, second), 3),
        "seconds": seconds,
        **asdict(durations.percentiles()),
        "cpu": round(max(interval.cpu for interval in intervals), 4),
        "lag_ms": round(1_000 * max(interval.lag for interval in intervals), 3),
        "saturated": any(interval.saturated for interval in intervals),
    }


def _times(durations: Durations) -> Document | None:
    return {**asdict(durations.percentiles()), "histogram": durations.encode()} if durations.count else None


def total_of(counts: Sequence[int | None]) -> int | None:
    """Return the sum of the counts that are known; None if none is."""
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
