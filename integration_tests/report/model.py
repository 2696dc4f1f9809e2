"""A run's result and its JSON document, format 1 (every field is explained in README.md)."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from integration_tests.harness.latency import SATURATED_SHARE, Durations
from integration_tests.harness.ledger import Terms
from integration_tests.report.clients import Connects, Departure, departures_of
from integration_tests.report.documents import FORMAT, Document
from integration_tests.report.timeline import timeline

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from integration_tests.harness.faults.rule_book import Count
    from integration_tests.harness.latency import Latency
    from integration_tests.harness.ledger import Verdict
    from integration_tests.report.recovery import Recovery
    from integration_tests.report.subject import Subject


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
        recovery: Returns of clients, and what the rooms had kept for them; None in text mode.
        subject: What the scenario is about; None if it takes place in any case.
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
    recovery: Recovery | None = None
    subject: Subject | None = None
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
            "timeline": timeline(self.latency, self.began_at),
            "connects": self.connects.document(),
            "recovery": self.recovery.document() if self.recovery else None,
            "subject": self.subject.document() if self.subject else None,
            "departures": departures_of(self.departures, self.items_lacking),
            "faults": [asdict(count) for count in self.faults],
            "injected": injected_of(self.faults),
            "functions": asdict(self.functions) if self.functions else None,
            "events": [{"second": round(each.at - self.began_at, 3), "label": each.label} for each in self.events],
        }


def injected_of(faults: Sequence[Count]) -> Document | None:
    """Return ``injected`` of the document: the sums of ``faults``, None without any rule."""
    if not faults:
        return None
    return {
        "struck": sum(count.struck for count in faults),
        "unmatched": sum(not count.matched for count in faults),
    }


def invariants_of(verdict: Verdict) -> Document:
    """Return ``invariants`` of the document; counts that were not looked for are null."""
    found = verdict.total.receipts_wrong or None  # a receipt that counts nothing may name a wrong number
    return {
        **asdict(verdict.total),
        "reordered": verdict.total.reordered if verdict.ordered else None,
        "receipts_wrong": verdict.total.receipts_wrong if verdict.total.receipts_counted else found,
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
