"""Compare a run with a previous one, metric by metric."""

from __future__ import annotations

from typing import TYPE_CHECKING

from integration_tests.report.documents import differences
from integration_tests.report.metrics import METRICS, Metric, Number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from integration_tests.report.documents import Document
    from integration_tests.report.limits import Tolerance


def compare(document: Document, previous: Document, tolerances: Mapping[str, Tolerance]) -> Document:
    """Return the ``comparison`` of a document with a previous one."""
    incomparable = [
        f"{what} {key} was {before!r} and is {now!r}"
        for what, part in (("run", "run"), ("parameter", "parameters"))
        for key, before, now in differences(previous[part], document[part])
        if what == "parameter" or key in {"name", "target"}
    ]
    changes = [] if incomparable else _changes(document, previous, tolerances)
    return {
        "previous": previous["run"],
        "not_comparable": incomparable,
        "versions": [
            {"name": name, "before": before, "now": now}
            for name, before, now in differences(previous["versions"], document["versions"])
        ],
        "changes": changes,
        "regressions": sum(change["outcome"] == "worse" for change in changes) if changes else None,
    }


def _changes(document: Document, previous: Document, tolerances: Mapping[str, Tolerance]) -> list[Document]:
    busy = document["latency"]["saturated"] or previous["latency"]["saturated"]
    changes = []
    for path, tolerance in tolerances.items():
        metric = METRICS[path]
        before, now = metric.read(previous), metric.read(document)
        whole = not is_partial(metric, previous) and not is_partial(metric, document)
        if before is not None and now is not None and whole:
            changes.append(_change(metric, before, now, tolerance, undecided=busy and metric.of_the_clock))
    return changes


def _change(metric: Metric, before: Number, now: Number, tolerance: Tolerance, *, undecided: bool) -> Document:
    worse_by = now - before if metric.lower_is_better else before - now
    allowed = max(abs(before) * tolerance.share, tolerance.least)
    outcome = "worse" if worse_by > allowed else "better" if -worse_by > allowed else "same"
    how = "rose" if now > before else "fell" if now < before else "stayed"
    course = (
        f"{how} from {metric.text(before)} to {metric.text(now)}" if now != before else f"is {metric.text(now)} again"
    )
    share = f" ({100 * (now - before) / before:+.0f} %)" if before and now != before else ""
    sentence = f"{metric.label[0].upper()}{metric.label[1:]} {course}{share}"
    if undecided and outcome != "same":
        outcome, sentence = (
            "undecided",
            f"{sentence}, but a client was saturated, so this says nothing about the server",
        )
    elif outcome == "worse":
        sentence += f", which is {metric.text(worse_by - allowed)} more than allowed"
    return {
        "metric": metric.path,
        "label": metric.label,
        "before": before,
        "now": now,
        "outcome": outcome,
        "sentence": f"{sentence}.",
    }


def is_partial(metric: Metric, document: Document) -> bool:
    """Whether only some of the merged reports measured a metric, so that its value keeps no limit."""
    return metric.path in (document.get("merged") or {"partial": ()})["partial"]
