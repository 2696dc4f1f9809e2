"""Merges the reports of runs that loaded one stage from several machines at the same time."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields
from datetime import datetime
from itertools import chain
from typing import TYPE_CHECKING, Any

from hdrh.codec import HdrCookieException, HdrHistogramSettingsException, HdrLengthException

from integration_tests.harness.latency import Durations
from integration_tests.harness.ledger import Tally, Verdict
from integration_tests.report.judgement import PARTS, DocumentError, differences
from integration_tests.report.metrics import METRICS
from integration_tests.report.model import (
    FORMAT,
    Connects,
    Departure,
    departures_of,
    invariants_of,
    latency_of,
    total_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from integration_tests.report.model import Document

NAME_SUFFIX = "-merged"
"""Keeps a merged report apart from the machine's own one in the same directory."""
ADDED = ("connections", "rooms", "messages", "rate", "connect_rate", "processes")
"""Parameters that are summed; all others must be equal."""
MERGED_PARTS = {
    **PARTS,
    "run": (*PARTS["run"], "host", "path", "duration_seconds"),
    "terms": (),
    "invariants": (*(each.name for each in fields(Tally)), "members", "broken", "rooms", "senders", "examples"),
    "latency": ("count", "saturated", "saturated_share", "histogram"),
    "connects": ("attempted", "succeeded", "refused", "late", "time"),
    "departures": ("items_lacking", "kinds"),
}
"""The parts that a report must have to be merged."""
DAMAGED = (
    *(AttributeError, KeyError, TypeError, ValueError),
    *(HdrCookieException, HdrHistogramSettingsException, HdrLengthException),
)
"""Errors that a part of the wrong form causes."""
WHOLE_RUN = 0.9
"""Share of the time in which all machines must run, or the report says for how long they did."""
EXAMPLES = 10
"""How many lines of the functions' logs a merged report shows, at most."""
NOT_SHOWN = (
    "Latency over time and handshakes per second of all machines together: the clocks of machines differ. "
    "The report of each machine shows its own."
)


def merge(documents: Sequence[Document], command: str = "") -> Document:
    """Return one document of the same form, which is not judged yet.

    Args:
        documents: Reports of one machine each, with all ``MERGED_PARTS``, judged or not.
        command: The command line, for the report.

    Raises:
        DocumentError: They are not of one load on one stage, or one of them is damaged.
    """
    if len(documents) < 2:
        raise DocumentError("a merge needs two reports or more")
    try:
        refuse_unrelated(documents)
        return merged_document(documents, command)
    except DocumentError:
        raise
    except DAMAGED as error:
        raise DocumentError(f"one of the reports is damaged: {error!r}") from None


def refuse_unrelated(documents: Sequence[Document]) -> None:
    """Refuse reports that are not of one load on one stage.

    Raises:
        DocumentError: The message names the difference.
    """
    first, *others = map(identity, documents)
    for other in others:
        for what, values in first.items():
            for key, mine, theirs in differences(values, other[what]):
                raise DocumentError(f"these reports are not of one load: {what} {key} is {mine!r} and {theirs!r}")
    if any(document.get("merged") for document in documents):
        raise DocumentError("one of these reports is merged already: give the machines' own reports, all at once")
    runs = Counter(document["run"]["id"] for document in documents)
    if twice := [run for run, count in runs.items() if count > 1]:
        raise DocumentError(f"the run {twice[0]} is in two of these reports")
    if any(document.get("faults") for document in documents):
        raise DocumentError("runs with injected faults cannot be merged: each had an emulator of its own")
    if common_seconds(documents) <= 0:
        raise DocumentError("these runs did not load the stage at the same time: one began after another had ended")


def identity(document: Document) -> dict[str, Mapping[str, Any]]:
    """Return the values that must be equal in all reports, by their kind."""
    run = document["run"]
    return {
        "stage": {key: run[key] for key in ("target", "host", "path")},
        "run": {"name": run["name"]},
        "version": {key: value for key, value in document["versions"].items() if key != "system"},
        "term": document["terms"],
        "parameter": {key: value for key, value in document["parameters"].items() if key not in ADDED},
    }


def windows(documents: Sequence[Document]) -> list[tuple[float, float]]:
    """Return when each run began and ended, in seconds of the wall clock."""
    runs = [document["run"] for document in documents]
    return [(started_at(run), started_at(run) + run["duration_seconds"]) for run in runs]


def started_at(run: Document) -> float:
    """Return when a run began, in seconds of the wall clock."""
    return datetime.fromisoformat(run["started_at"]).timestamp()


def common_seconds(documents: Sequence[Document]) -> float:
    """Return for how long all machines ran together; at most 0 if they never did."""
    begins, ends = zip(*windows(documents), strict=True)
    return float(min(ends) - max(begins))


def merged_document(documents: Sequence[Document], command: str) -> Document:
    """Return the document without checks of the parts' origin."""
    runs, first = [document["run"] for document in documents], documents[0]
    begins, ends = zip(*windows(documents), strict=True)
    earliest = min(runs, key=started_at)
    seconds = round(max(ends) - min(begins), 3)
    merged = {
        "format": FORMAT,
        "run": {
            **earliest,
            "name": f"{earliest['name']}{NAME_SUFFIX}",
            "id": f"{earliest['id']} and {len(runs) - 1} more",
            "duration_seconds": seconds,
            "command": command,
        },
        "merged": {"runs": runs, "partial": []},
        "not_shown": not_shown(documents, seconds),
        "terms": first["terms"],
        "parameters": parameters(documents),
        "versions": versions(documents),
        "invariants": invariants(documents),
        "latency": latency(documents),
        "timeline": [],
        "connects": connects(documents),
        "departures": departures(documents),
        "faults": [],
        "functions": functions(documents),
        "events": events(documents, min(begins)),
    }
    merged["merged"]["partial"] = partial(documents, merged)
    return merged


def not_shown(documents: Sequence[Document], seconds: float) -> list[str]:
    """Return ``not_shown`` of all reports, and the sentences about the merge."""
    sentences = [NOT_SHOWN]
    if (common := common_seconds(documents)) < WHOLE_RUN * seconds:
        sentences.append(f"The whole load: all machines ran together for {common:.0f} s of {seconds:.0f} s.")
    if untrusted := len(documents) - len(trusted(documents)):
        sentences.append(f"Times on {untrusted} of {len(documents)} machines, because their clients were saturated.")
    if any(document.get("functions") for document in documents):
        sentences.append("How often functions logged something: every machine counted the lines of the whole stage.")
    return [*dict.fromkeys(chain(*(document.get("not_shown", []) for document in documents), sentences))]


def versions(documents: Sequence[Document]) -> dict[str, str]:
    """Return the equal versions, and the systems of all machines."""
    systems = dict.fromkeys(each["versions"]["system"] for each in documents if "system" in each["versions"])
    return {**documents[0]["versions"], **({"system": ", ".join(systems)} if systems else {})}


def parameters(documents: Sequence[Document]) -> dict[str, Any]:
    """Return the equal parameters, the sums of the others, and the number of machines."""
    each = [document["parameters"] for document in documents]
    sums = {name: sum(given[name] for given in each) for name in ADDED if name in each[0]}
    if any(given.get("connect_rate") == 0 for given in each):
        sums["connect_rate"] = 0  # all at once
    return {**each[0], **sums, "machines": len(documents)}


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
        ordered=documents[0]["terms"]["ordered"],
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


def events(documents: Sequence[Document], began_at: float) -> list[Document]:
    """Return all marks of the timelines, counted from the start of the first run."""
    marks = []
    for document in documents:
        offset = started_at(document["run"]) - began_at
        marks += [{**mark, "second": round(mark["second"] + offset, 3)} for mark in document.get("events", [])]
    return sorted(marks, key=lambda mark: mark["second"])


def partial(documents: Sequence[Document], merged: Document) -> list[str]:
    """Return the metrics that some reports measured and others did not: they can break a limit, and never keep one."""
    return [
        path
        for path, metric in METRICS.items()
        if metric.read(merged) is not None and any(metric.read(document) is None for document in documents)
    ]


def durations_of(parts: Sequence[Document | None]) -> Durations:
    """Return the histograms of all parts as one."""
    total = Durations()
    for part in parts:
        if part is not None:
            total.add(Durations.decode(part["histogram"]))
    return total
