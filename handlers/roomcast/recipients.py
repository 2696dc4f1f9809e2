"""Input and result of a fan-out: its recipients, and the report."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Callback = Callable[[Sequence["Recipient"]], None]


class Recipient(NamedTuple):
    """A connection that receives the message.

    Attributes:
        connection_id: The id that API Gateway gave it.
        connected_at: When it connected, in milliseconds since 1970.
        shard: The engine ignores it; callbacks get it back with the recipient.
    """

    connection_id: str
    connected_at: int
    shard: int = 0


class Stragglers(NamedTuple):
    """How a fan-out treats recipients that the others need not wait for.

    Attributes:
        on_late: Called, instead of ``on_failed``, with recipients that failed only because time was over.
        on_silent: Called, instead of ``on_late``, with recipients that may have the message: a post was not answered.
        patience: When the others have been reached, seconds to wait for the last few, which are late then; ``None`` to
            wait until the deadline.
        presume_alone: Whether other recipients were reached before: then a refused recipient counts as refused alone.
        copies: Copies of the message that the recipients may have been sent before.
        on_untried: Called, instead of ``on_late``, with recipients for which time, or the pace, allowed no post at all.
    """

    on_late: Callback | None = None
    on_silent: Callback | None = None
    patience: float | None = None
    presume_alone: bool = False
    copies: int = 0
    on_untried: Callback | None = None


NO_STRAGGLERS = Stragglers()


class Report:
    """Result of a fan-out; ``recipients`` is the sum of ``delivered``, ``gone`` and ``failed``.

    Attributes:
        recipients: Recipients of the message.
        delivered: API Gateway took the message for them.
        gone: Their connection does not exist: not any more, or not yet.
        failed: Not delivered, although they may be connected.
        late: Those of ``failed`` for which only time was over: another fan-out may reach them.
        retried: Posts that were sent again.
        throttled: Posts that were answered with 429.
        connections_opened: New connections to API Gateway.
        duration_ms: Wall time.
        cpu_ms: CPU time of the process.
        refused_status: The first status that no retry can change, such as 403; 0 if there was none.
        transport_error: The first error below HTTP; empty if there was none.
        complete: Whether all recipients were read; those that were not are not counted.
    """

    __slots__ = (
        "complete",
        "connections_opened",
        "cpu_ms",
        "delivered",
        "duration_ms",
        "failed",
        "gone",
        "late",
        "recipients",
        "refused_status",
        "retried",
        "throttled",
        "transport_error",
    )

    def __init__(self) -> None:
        self.recipients = 0
        self.delivered = 0
        self.gone = 0
        self.failed = 0
        self.late = 0
        self.retried = 0
        self.throttled = 0
        self.connections_opened = 0
        self.duration_ms = 0.0
        self.cpu_ms = 0.0
        self.refused_status = 0
        self.transport_error = ""
        self.complete = True

    def to_dict(self) -> dict[str, int | float | str | bool]:
        """The report as plain values by name."""
        return {name: getattr(self, name) for name in self.__slots__}


class DeliveryInterruptedError(Exception):
    """The caller's iterable or callback raised an exception, which is the cause of this one.

    All recipients that had been read were served all the same.

    Args:
        report: Result for the recipients that were read.
    """

    def __init__(self, report: Report) -> None:
        super().__init__(
            f"the caller's code failed during the fan-out; it reached {report.delivered} of {report.recipients} "
            "recipients"
        )
        self.report = report
