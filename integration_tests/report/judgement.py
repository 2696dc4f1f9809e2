"""Judges a run by limits from a TOML file and by a previous run, and explains the judgement in sentences."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from integration_tests.report.comparison import compare, is_partial
from integration_tests.report.documents import DAMAGED, FORMAT, DocumentError, load_document
from integration_tests.report.metrics import METRICS, Metric

if TYPE_CHECKING:
    from pathlib import Path

    from integration_tests.report.documents import Document
    from integration_tests.report.limits import Limit, Limits


def load_previous(path: Path, limits: Limits) -> Document:
    """Read an earlier report to compare a run with; a run of hours must not end in finding it damaged.

    Raises:
        OSError: The file cannot be read.
        DocumentError: It is not a report that can be compared, not even with itself.
    """
    document = load_document(path)
    try:
        judge(document, limits, document)
    except DAMAGED as error:
        raise DocumentError(f"{path} is not a whole report: {error!r}") from None
    return document


def judge(document: Document, limits: Limits, previous: Document | None = None) -> Document:
    """Return the document with its judgement: ``comparison``, ``checks`` and ``passed``.

    Raises:
        DocumentError: One of the documents is of another format.
    """
    for each in (document, previous or document):
        if each.get("format") != FORMAT:
            raise DocumentError(f"expected a report of format {FORMAT}, not {each.get('format')!r}")
    judged = {**document, "comparison": compare(document, previous, limits.regressions) if previous else None}
    asked = {path: limit for path, limit in limits.limits.items() if not (limit.optional and _is_foreign(path, judged))}
    checks = [_check(judged, METRICS[path], limit) for path, limit in asked.items()]
    return {**judged, "checks": checks, "passed": all(check["outcome"] != "failed" for check in checks)}


def _is_foreign(path: str, document: Document) -> bool:
    """Whether a run has nothing that a metric is about: no position to return to in text mode, for example."""
    in_text_mode = document["parameters"].get("protocol", "text") == "text" and document.get("recovery") is None
    foreign = {
        "recovery": in_text_mode,
        "subject": document.get("subject") is None,
        "injected": not document.get("faults"),
    }
    return foreign.get(path.partition(".")[0], False)


def _check(document: Document, metric: Metric, limit: Limit) -> Document:
    value = metric.read(document)
    partial = is_partial(metric, document)
    label = f"{metric.label[0].upper()}{metric.label[1:]}"
    if value is None or (partial and limit.holds(value)):
        outcome = "unmeasured" if limit.optional else "failed"
        by = " by every machine" if partial else ""
        sentence = f"{label}: not measured{by}; should be {limit.text(metric)}."
    elif limit.holds(value):
        outcome, sentence = "passed", f"{label}: {metric.text(value)}, {limit.text(metric)} as it should be."
    elif metric.of_the_clock and document["latency"]["saturated"]:
        outcome = "undecided"
        sentence = (
            f"{label}: {metric.text(value)} instead of {limit.text(metric)}, but the client was saturated, "
            "so this says nothing about the server."
        )
    else:
        outcome, sentence = "failed", f"{label}: {metric.text(value)} instead of {limit.text(metric)}."
    return {
        "metric": metric.path,
        "label": metric.label,
        "limit": asdict(limit),
        "value": value,
        "outcome": outcome,
        "sentence": sentence,
    }
