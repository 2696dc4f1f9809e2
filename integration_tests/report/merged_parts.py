"""The measurements of several reports as one: sums, and merged histograms."""

from __future__ import annotations

from dataclasses import fields
from itertools import chain
from typing import TYPE_CHECKING, Any

from integration_tests.harness.latency import Durations
from integration_tests.harness.ledger import Tally, Verdict
from integration_tests.report.clients import Connects, Departure, departures_of, total_of
from integration_tests.report.model import invariants_of, latency_of
from integration_tests.report.recovery import Recovery
from integration_tests.report.subject import Subject

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from integration_tests.report.documents import Document

EXAMPLES = 10
"""How many lines of the functions' logs a merged report shows, at most."""


def invariants(documents: Sequence[Document]) -> Document:
    """Return the sums of the counts of messages, deliveries and receipts."""
    parts = [document["invariants"] for document in documents]
    verdict = Verdict(
        sum(map(tally_of, parts), Tally()),
        tallies_of([part["rooms"] for part in parts]),
        tallies_of([part["senders"] for part in parts]),
        sum(part["members"] for part in parts),
        sum(part["broken"] for part in parts),
        [example for part in parts for example in part["examples"]],
        ordered=any(part.get("reordered") is not None for part in parts),
    )
    return invariants_of(verdict)


def tallies_of(parts: Sequence[Mapping[str, Document]]) -> dict[str, Tally]:
    """Return the sums of counts by name."""
    sums: dict[str, Tally] = {}
    for name, counts in chain(*(part.items() for part in parts)):
        sums[name] = sums.get(name, Tally()) + tally_of(counts)
    return sums


def tally_of(counts: Mapping[str, Any]) -> Tally:
    """Return the counts of a document; null is a count that was not looked for."""
    return Tally(**{each.name: counts.get(each.name) or 0 for each in fields(Tally)})


def latency(documents: Sequence[Document]) -> Document:
    """Return the latency of the deliveries to trusted clocks, and the saturated share of all deliveries."""
    parts = [document["latency"] for document in documents]
    count = sum(part["count"] for part in parts)
    share = sum(part["saturated_share"] * part["count"] for part in parts) / count if count else 0.0
    times = durations_of([document["latency"] for document in trusted(documents)])
    return {**latency_of(times, share), "saturated": all(part["saturated"] for part in parts)}


def trusted(documents: Sequence[Document]) -> Sequence[Document]:
    """Return the reports of unsaturated clients, or all: times of saturated ones say nothing about the server."""
    return [document for document in documents if not document["latency"]["saturated"]] or documents


def connects(documents: Sequence[Document]) -> Document:
    """Return all handshakes."""
    total = Connects(per_second=None)
    for part in (document["connects"] for document in documents):
        total.merge(Connects(part["attempted"], part["succeeded"], part["refused"], late=part["late"]))
    total.times = durations_of([document["connects"]["time"] for document in trusted(documents)])
    return total.document()


def recovery(documents: Sequence[Document]) -> Document | None:
    """Return all returns of clients; None of runs in text mode."""
    parts = [found for document in documents if (found := document.get("recovery"))]
    if not parts:
        return None
    total = Recovery()
    for part in parts:
        total.merge(Recovery.read(part))
    total.times = durations_of([found["time"] for each in trusted(documents) if (found := each.get("recovery"))])
    return total.document()


def subject(documents: Sequence[Document]) -> Document | None:
    """Return what the scenario is about, on all machines; None if it takes place in any case."""
    parts = [Subject.read(found) for document in documents if (found := document.get("subject"))]
    if not parts:
        return None
    return Subject(parts[0].what, sum(part.due for part in parts), sum(part.done for part in parts)).document()


def departures(documents: Sequence[Document]) -> Document:
    """Return all departures, by their kind."""
    kinds: dict[str, list[Document]] = {}
    for kind in chain(*(document["departures"]["kinds"] for document in documents)):
        kinds.setdefault(kind["kind"], []).append(kind)
    merged = [
        Departure(
            kind,
            sum(part["connections"] for part in parts),
            total_of([part["items_left"] for part in parts]),
            durations_of([part["gone"] for part in parts]),
        )
        for kind, parts in kinds.items()
    ]
    return departures_of(merged, total_of([document["departures"]["items_lacking"] for document in documents]))


def functions(documents: Sequence[Document]) -> Document | None:
    """Return the errors and warnings that machines read; each counts once for every machine that read it."""
    parts = [found for document in documents if (found := document.get("functions"))]
    if not parts:
        return None
    counts = {name: sum(part[name] for part in parts) for name in ("errors", "warnings")}
    return {**counts, "examples": [*dict.fromkeys(chain(*(part["examples"] for part in parts)))][:EXAMPLES]}


def durations_of(parts: Sequence[Document | None]) -> Durations:
    """Return the histograms of all parts as one."""
    total = Durations()
    for part in parts:
        if part is not None:
            total.add(Durations.decode(part["histogram"]))
    return total
