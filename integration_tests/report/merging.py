"""Merges the reports of runs that loaded one stage from several machines at the same time."""

from __future__ import annotations

from dataclasses import fields
from itertools import chain
from typing import TYPE_CHECKING, Any

from hdrh.codec import HdrCookieException, HdrHistogramSettingsException, HdrLengthException

from integration_tests.harness.ledger import Tally
from integration_tests.report.documents import DAMAGED, FORMAT, PARTS, DocumentError
from integration_tests.report.merged_parts import (
    connects,
    departures,
    functions,
    invariants,
    latency,
    recovery,
    subject,
    trusted,
)
from integration_tests.report.metrics import METRICS
from integration_tests.report.same_load import ADDED, common_seconds, refuse_unrelated, started_at, windows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from integration_tests.report.documents import Document

NAME_SUFFIX = "-merged"
"""Keeps a merged report apart from the machine's own one in the same directory."""
MERGED_PARTS = {
    **PARTS,
    "run": (*PARTS["run"], "host", "path"),
    "terms": (),
    "invariants": (*(each.name for each in fields(Tally)), "members", "broken", "rooms", "senders", "examples"),
    "latency": (*PARTS["latency"], "saturated_share", "histogram"),
    "connects": ("attempted", "succeeded", "refused", "late", "time"),
    "departures": ("items_lacking", "kinds"),
}
"""The parts that a report must have to be merged."""
WHOLE_RUN = 0.9
"""Share of the time in which all machines must run, or the report says for how long they did."""
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
    except (*DAMAGED, HdrCookieException, HdrHistogramSettingsException, HdrLengthException) as error:
        raise DocumentError(f"one of the reports is damaged: {error!r}") from None


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
        "recovery": recovery(documents),
        "subject": subject(documents),
        "departures": departures(documents),
        "faults": [],
        "injected": None,
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
