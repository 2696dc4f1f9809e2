"""Input and result of the engine: messages, their recipients, and the reports."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from roomcast import protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence

    from roomcast.steps import Wait

    Callback = Callable[[Sequence["Recipient"]], None]
    Pages = Generator[Wait | list["Recipient"], bool, None]
    """Yields pages of recipients, and the waits for them; is sent whether a wait ended in time."""


class Recipient(NamedTuple):
    """A connection that receives the message.

    Attributes:
        connection_id: The id that API Gateway gave it.
        connected_at: When it connected, in milliseconds since 1970.
        shard: The engine ignores it; callbacks get it back with the recipient.
        protocol: Name of its wire protocol, which decides the body that it is sent.
    """

    connection_id: str
    connected_at: int
    shard: int = 0
    protocol: str = protocol.TEXT


class Source:
    """Recipients that the engine reads in its own loop, instead of waiting for an iterable."""

    def __iter__(self) -> Iterator[Recipient]:
        """Yield one recipient after the other."""
        raise NotImplementedError

    def reads(self) -> Iterable[Pages]:
        """Parts that can be read side by side."""
        raise NotImplementedError


class Stragglers(NamedTuple):
    """How a fan-out treats recipients that the others need not wait for.

    Attributes:
        on_late: Called, instead of ``on_failed``, with recipients that failed only because time was over.
        on_silent: Called, instead of ``on_late``, with recipients that may have the message: a post was not answered.
        presume_alone: Whether other recipients were reached before: then a refused recipient counts as refused alone,
            and no run waits for it longer than for any straggler.
        copies: Copies of the message that the recipients may have been sent before.
        on_untried: Called, instead of ``on_late``, with recipients for which time, or the pace, allowed no post at all.
        is_new: Whether the recipients, presumed alone or not, were not tried before.
        is_awaited: Whether a sender waits for the outcome: then a recipient that does not answer counts as failed after
            ``verdicts.SILENCE_SECONDS``, whatever copies are left.
        on_refused: Called, instead of ``on_failed``, with recipients that were refused for good, if no recipient of the
            message was reached: the trouble is not theirs, and may be over when another fan-out tries them.
    """

    on_late: Callback | None = None
    on_silent: Callback | None = None
    presume_alone: bool = False
    copies: int = 0
    on_untried: Callback | None = None
    is_new: bool = False
    is_awaited: bool = True
    on_refused: Callback | None = None

    @property
    def come_last(self) -> bool:
        """Whether the first posts to others come before the first ones to these."""
        return self.presume_alone and not self.is_new


NO_STRAGGLERS = Stragglers()


def always() -> bool:
    """No condition."""
    return True


class Message(NamedTuple):
    """One of the messages that a run of the engine serves side by side.

    Attributes:
        recipients: Read as they are needed; those of a ``Source`` while the engine posts.
        data: The message for recipients of text mode: UTF-8, at most 128 KB.
        on_gone: Called with recipients that are certainly dead.
        on_failed: Called with recipients that count as failed.
        stragglers: How to treat recipients that the others need not wait for.
        order: Messages of one order begin one after the other, as they are given; empty for none.
        may_leave: The next message of the order begins once at most so many recipients are left and others are
            reached. Those left receive it after this one.
        is_complete: Whether the recipients that were read are all there are; else the next one of the order does not
            begin.
        is_ready: A message of no order begins once this holds, which another message of the run brings about.
        others: Makes the message for recipients of other protocols, by their names, when the first of them is read. It
            gives ``None`` for a message that has no such form; they fail then, as do those of a protocol without one.
    """

    recipients: Iterable[Recipient]
    data: bytes
    on_gone: Callback | None = None
    on_failed: Callback | None = None
    stragglers: Stragglers = NO_STRAGGLERS
    order: str = ""
    may_leave: int = 0
    is_complete: Callable[[], bool] = always
    is_ready: Callable[[], bool] = always
    others: Mapping[str, Callable[[], bytes | None]] = MappingProxyType({})


class Report:
    """Result for one message; ``recipients`` is the sum of ``delivered``, ``gone`` and ``failed``.

    Attributes:
        recipients: Recipients of the message.
        delivered: API Gateway took the message for them.
        gone: Their connection does not exist: not any more, or not yet.
        failed: Not delivered, although they may be connected.
        late: Those of ``failed`` for which only time was over: another fan-out may reach them.
        handed_back: Those of ``failed`` that another fan-out tries, because a callback has taken them.
        slow: Those of ``failed`` that no callback has taken and that alone are refused, because they do not read.
        unsent: Recipients that were sent no post.
        retried: Posts that were sent again.
        throttled: Posts that were answered with 429.
        refused: Posts that were answered with a status that no retry can change.
        connections_opened: New connections to API Gateway, counted with the first message of a run.
        duration_ms: Wall time until the last recipient was served.
        cpu_ms: CPU time of the process; of a run of several messages, a share by recipients.
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
        "handed_back",
        "late",
        "recipients",
        "refused",
        "refused_status",
        "retried",
        "slow",
        "throttled",
        "transport_error",
        "unsent",
    )

    def __init__(self) -> None:
        self.recipients = 0
        self.delivered = 0
        self.gone = 0
        self.failed = 0
        self.late = 0
        self.handed_back = 0
        self.slow = 0
        self.unsent = 0
        self.retried = 0
        self.throttled = 0
        self.refused = 0
        self.connections_opened = 0
        self.duration_ms = 0.0
        self.cpu_ms = 0.0
        self.refused_status = 0
        self.transport_error = ""
        self.complete = True

    def note(self, error: str) -> None:
        """Keep the first error below HTTP."""
        self.transport_error = self.transport_error or error

    @property
    def given_up(self) -> int:
        """Those of ``failed`` that nothing will try again."""
        return self.failed - self.handed_back

    @property
    def posts(self) -> int:
        """Posts that were sent."""
        return self.recipients - self.unsent + self.retried


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


class Result(NamedTuple):
    """The outcome of one message of a run.

    Attributes:
        report: The counts.
        is_begun: Whether its turn has come; else no recipient was read.
        error: Exception of the iterable or of a callback. All recipients that had been read were served all the same.
    """

    report: Report
    is_begun: bool = True
    error: Exception | None = None
