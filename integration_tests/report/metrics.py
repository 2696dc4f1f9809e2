"""The numbers that limits and comparisons may name, and how each is written for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from integration_tests.report.documents import Document

Number = int | float


@dataclass(frozen=True)
class Metric:
    """One number of the document.

    Attributes:
        path: Keys of the document, joined by dots.
        label: Its name in sentences.
        unit: ``count``, ``ms``, ``seconds``, ``share`` (0 to 1) or ``per_second``.
        lower_is_better: Which direction is a regression.
        of_the_clock: Whether a saturated client makes it say nothing about the server.
    """

    path: str
    label: str
    unit: str
    lower_is_better: bool = True
    of_the_clock: bool = False

    def read(self, document: Document) -> Number | None:
        """Return the number, or None if the run did not measure it."""
        value: object = document
        for key in self.path.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        return value if isinstance(value, (int, float)) else None

    def text(self, value: Number) -> str:
        """Write a value of this metric for people."""
        return format_number(value, self.unit)


METRICS = {
    metric.path: metric
    for metric in (
        Metric("invariants.lost", "lost deliveries", "count"),
        Metric("invariants.missing", "missing deliveries", "count"),
        Metric("invariants.duplicated", "duplicated deliveries", "count"),
        Metric("invariants.unexpected", "unexpected deliveries", "count"),
        Metric("invariants.altered", "altered deliveries", "count"),
        Metric("invariants.late", "late deliveries and answers", "count"),
        Metric("invariants.reordered", "reordered deliveries", "count"),
        Metric("invariants.receipts_wrong", "wrong receipts", "count"),
        Metric("invariants.receipts_repeated", "repeated receipts", "count"),
        Metric("invariants.receipts_unknown", "receipts for unknown messages", "count"),
        Metric("invariants.unsent", "unsent messages", "count"),
        Metric("invariants.unanswered", "unanswered messages", "count"),
        Metric("invariants.failed", "failed messages", "count"),
        Metric("invariants.acknowledged", "acknowledged messages", "count", lower_is_better=False),
        Metric("invariants.delivered", "deliveries", "count", lower_is_better=False),
        Metric("invariants.broken", "broken connections", "count"),
        Metric("connects.success_ratio", "successful connects", "share", lower_is_better=False),
        Metric("connects.late", "late handshakes", "count"),
        Metric("connects.per_second", "connects per second", "per_second", lower_is_better=False, of_the_clock=True),
        Metric("connects.time.p50_ms", "connect time p50", "ms", of_the_clock=True),
        Metric("connects.time.p95_ms", "connect time p95", "ms", of_the_clock=True),
        Metric("connects.time.p99_ms", "connect time p99", "ms", of_the_clock=True),
        Metric("connects.time.max_ms", "longest connect time", "ms", of_the_clock=True),
        Metric("recovery.returns", "returns of clients", "count", lower_is_better=False),
        Metric("recovery.wrong", "returns with another answer than was due", "count"),
        Metric("recovery.healed", "healed gaps", "count"),
        Metric("recovery.doubles_dropped", "doubles that clients dropped", "count"),
        Metric("recovery.time.p50_ms", "time to recover p50", "ms", of_the_clock=True),
        Metric("recovery.time.p95_ms", "time to recover p95", "ms", of_the_clock=True),
        Metric("recovery.time.p99_ms", "time to recover p99", "ms", of_the_clock=True),
        Metric("recovery.time.max_ms", "longest time to recover", "ms", of_the_clock=True),
        Metric("subject.share", "share of what the scenario is about that took place", "share", lower_is_better=False),
        Metric("departures.items_lacking", "items of connected clients that the table lacked", "count"),
        Metric("departures.items_left", "items left in the table", "count"),
        Metric("departures.gone_max_ms", "longest time until a client's items were gone", "ms"),
        Metric("functions.errors", "errors in the functions' logs", "count"),
        Metric("functions.warnings", "warnings in the functions' logs", "count"),
        Metric("injected.struck", "strikes of injected faults", "count", lower_is_better=False),
        Metric("injected.unmatched", "fault rules that matched no request", "count"),
        Metric("latency.p50_ms", "delivery latency p50", "ms", of_the_clock=True),
        Metric("latency.p95_ms", "delivery latency p95", "ms", of_the_clock=True),
        Metric("latency.p99_ms", "delivery latency p99", "ms", of_the_clock=True),
        Metric("latency.max_ms", "longest delivery latency", "ms", of_the_clock=True),
        Metric("latency.saturated_share", "deliveries to a saturated client", "share"),
        Metric("run.duration_seconds", "duration", "seconds"),
        Metric("comparison.regressions", "regressions since the previous run", "count"),
    )
}


def format_number(value: Number, unit: str) -> str:
    """Write a number with its unit, with as many digits as people can use.

    >>> format_number(1234567, "count"), format_number(41.216, "ms"), format_number(0.99954, "share")
    ('1,234,567', '41.2 ms', '99.95 %')
    """
    match unit:
        case "ms":
            return _seconds(value / 1_000) if value >= 10_000 else f"{_three_digits(value)} ms"
        case "seconds":
            return _seconds(value)
        case "share":
            return f"{_percent(value)} %"
        case "per_second":
            return f"{_three_digits(value)}/s"
        case _:
            return f"{value:,.1f}".removesuffix(".0")


def _percent(share: Number) -> str:
    # With enough digits, a share close to 100 % or 0 % does not show as 100 % or 0 %.
    texts = [f"{100 * share:.{digits}f}" for digits in (2, 4, 6)]
    text = next((each for each in texts if float(each) not in {0.0, 100.0}), texts[0])
    return text.rstrip("0").rstrip(".")


def _three_digits(value: Number) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def _seconds(value: Number) -> str:
    if value < 120:
        return f"{value:.1f} s"
    minutes, seconds = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"
