"""The messages of a run, their posts, and the answers to each post so far."""

from __future__ import annotations

import operator
import time
from itertools import islice, repeat
from typing import TYPE_CHECKING, NamedTuple

from roomcast.protocol import TEXT
from roomcast.reading import Reading
from roomcast.recipients import Source
from roomcast.verdicts import Outcome

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable, Iterator

    from roomcast.outcomes import Outcomes
    from roomcast.reading import Watch
    from roomcast.recipients import Message, Recipient
    from roomcast.signing import SignedRequests

REFUSALS_TO_STOP = 150
"""After so many refusals that no retry can change, such as 403, and nothing else, the others would be refused too."""


class Body(NamedTuple):
    """What recipients of one protocol are sent.

    Attributes:
        requests: Makes the head of each post.
        data: The message.
    """

    requests: SignedRequests
    data: bytes


class Post:
    """A message for one recipient.

    Attributes:
        recipient: The recipient.
        body: The message in its protocol.
        sent_at: When it was sent last, in seconds of ``time.monotonic``.
        share: The message, with its data and its report.
        history: The answers so far, or ``None`` before the first one that is not a delivery.
        is_behind: Whether it has waited behind an earlier message for the same recipient.
    """

    __slots__ = ("body", "history", "is_behind", "recipient", "sent_at", "share")

    def __init__(self, recipient: Recipient, share: Share) -> None:
        self.recipient = recipient
        self.body = share.body if recipient.protocol == TEXT else share.other_body(recipient.protocol)
        self.sent_at = 0.0
        self.share = share
        self.history: History | None = None
        self.is_behind = False

    def silence(self, now: float) -> float:
        """Seconds without an answer, over all copies, that the sender has waited; 0 if it does not wait."""
        stragglers = self.share.stragglers
        if stragglers.on_late is not None or not stragglers.is_awaited:
            return 0.0
        return now - self.sent_at + (self.history.silence if self.history is not None else 0.0)

    @property
    def copies(self) -> int | None:
        """How many copies the recipient may have been sent without an answer; ``None`` if it had no turn at all."""
        if self.history is not None:
            return self.history.copies
        return self.share.stragglers.copies if self.is_behind else None

    @property
    def is_slow(self) -> bool:
        """Whether the recipient alone was refused because of too many posts: its client does not read."""
        return self.history is not None and self.history.throttled.alone >= 1


class History:
    """The answers for one recipient so far, each kind counted by itself: one says nothing about another.

    Attributes:
        copies: Copies of the message that the recipient may have been sent without an answer.
        silence: How many seconds these went without an answer.
    """

    __slots__ = ("absences", "absent_since", "closed", "copies", "errors", "silence", "throttled")

    def __init__(self, copies: int) -> None:
        self.absences = 0
        self.absent_since = 0.0
        self.closed = False
        self.copies = copies
        self.silence = 0.0
        self.errors = Refusals()
        self.throttled = Refusals()


class Refusals:
    """Refusals of one recipient.

    Attributes:
        tries: All of them.
        alone: Those in a row that hit it alone; less certain ones count half.
        before: Deliveries of the run up to the first one.
        delivered: Those up to the last one.
        suspect: Whether the last one with deliveries before it hit the recipient alone.
    """

    __slots__ = ("alone", "before", "delivered", "suspect", "tries")

    def __init__(self) -> None:
        self.alone = 0.0
        self.before = self.delivered = 0
        self.suspect = False
        self.tries = 0


UNFIT: Body = Body(None, b"")  # type: ignore[arg-type]
"""Stands for the body of a message that a protocol has no form for; it is never sent."""


class Share:
    """One message of a run, and how far its recipients have been served.

    Args:
        message: The message.
        signed: Makes the requests that carry a body.
        outcomes: Counts their outcomes.

    Attributes:
        body: What recipients of text mode are sent.
        stragglers: As of the message.
        open: Recipients that were read and are not settled.
        read: Recipients read so far.
        refused: Recipients that were refused for good.
        is_begun: Whether its turn has come.
        exhausted: Whether no further recipient will be read.
        complete: Whether those read so far are, or may still be followed by, all there are.
        error: The exception that reading raised.
        settled_at: When the last recipient was settled, in seconds of ``time.monotonic``; 0 before.
    """

    def __init__(self, message: Message, signed: Callable[[bytes], SignedRequests], outcomes: Outcomes) -> None:
        self.body = Body(signed(message.data), message.data)
        self.order = message.order
        self.is_ready = message.is_ready
        self.stragglers = message.stragglers
        self.outcomes = outcomes
        self.report = outcomes.report
        self.open = 0
        self.read = 0
        self.refused = 0
        self.is_begun = False
        self.exhausted = False
        self.complete = True
        self.error: Exception | None = None
        self.settled_at = 0.0
        self._may_leave = message.may_leave
        self._is_complete = message.is_complete
        self._reading: Reading | None = None
        self._source: Iterator[Recipient] = iter(())
        self._recipients = message.recipients
        self._signed = signed
        self._others = message.others
        self._bodies: dict[str, Body] = {}
        self._is_unfit = False

    def other_body(self, protocol: str) -> Body:
        """The message for recipients of another protocol than text mode."""
        body = self._bodies.get(protocol)
        if body is None:
            make = self._others.get(protocol)
            data = None if make is None else make()
            self._is_unfit = self._is_unfit or data is None
            body = self._bodies[protocol] = UNFIT if data is None else Body(self._signed(data), data)
        return body

    def begin(self, watch: Watch, at_once: int) -> None:
        """Begin to read the recipients, so many parts side by side."""
        self.is_begun = True
        if isinstance(self._recipients, Source):
            self._reading = Reading(self._recipients, watch, at_once)
        else:
            self._source = iter(self._recipients)

    @property
    def reading(self) -> Reading | None:
        """How far the recipients are read in the engine's loop, if they are."""
        return self._reading

    def cut(self) -> None:
        """Ask for no further recipients; those that were read can be taken."""
        if self._reading is not None:
            self.complete = self.complete and self._reading.is_whole
            self._reading.close()

    def take(self, fresh: deque[Post], limit: int) -> None:
        """Read up to so many recipients, and append their posts."""
        before = len(fresh)
        if self._reading is not None:
            self._take_ahead(self._reading, fresh, limit)
        else:
            self._take_next(fresh, limit)
        self.open += len(fresh) - before
        self.read += len(fresh) - before
        if self._is_unfit:
            self._fail_unfit(fresh, len(fresh) - before)

    def _fail_unfit(self, fresh: deque[Post], count: int) -> None:
        """Fail the recipients, among the last ones read, of a protocol in which the message has no form."""
        for post in reversed([fresh.pop() for _ in range(count)]):
            if post.body is UNFIT:
                self.report.unsent += 1
                self.outcomes.count(post.recipient, Outcome.FAILED, None)
                self.open -= 1
            else:
                fresh.append(post)

    def _take_ahead(self, reading: Reading, fresh: deque[Post], limit: int) -> None:
        reading.go_on(time.monotonic())
        ahead = reading.ahead
        fresh.extend(Post(ahead.popleft(), self) for _ in range(min(limit, len(ahead))))
        # The next page is asked for before the posts of this one.
        reading.go_on(0.0)
        self.exhausted = reading.is_exhausted
        if reading.error is not None and self.exhausted:
            self.error = reading.error
            self.complete = False

    def _take_next(self, fresh: deque[Post], limit: int) -> None:
        before = len(fresh)
        try:
            # Not through a list: recipients that come before an exception must be kept.
            fresh.extend(map(Post, islice(self._source, limit), repeat(self)))
            self.exhausted = len(fresh) - before < limit
        except Exception as error:  # noqa: BLE001 - the engine raises it when the recipients read so far are served
            self.error = error
            self.stop()

    def refuse(self) -> bool:
        """Count a recipient that was refused for good; gives whether the others need not be tried any more."""
        self.refused += 1
        return self.refused == REFUSALS_TO_STOP and not self.report.delivered + self.report.gone

    def stop(self) -> None:
        """Read no further recipient; those that the engine's loop has read ahead have no turn.

        Their source counts them as taken, so they must have an outcome, however little time is left.
        """
        reading = self._reading
        if reading is None:
            self.complete = self.complete and self.exhausted
        else:
            self.cut()
            recipients = reading.take_all()
            self.read += len(recipients)
            self.outcomes.leave(recipients)
            if reading.error is not None:
                self.error = reading.error
                self.complete = False
        self.exhausted = True

    def end(self, error: Exception | None, started: float, ended: float, cpu_ms: float) -> None:
        """Complete the report.

        Args:
            error: The exception that handing recipients back raised.
            started: When the run began, in seconds of ``time.monotonic``.
            ended: When it ended.
            cpu_ms: CPU time that this message took.
        """
        report = self.report
        self.error = self.error or error
        report.recipients = self.read
        report.complete = self.complete and self.exhausted
        report.duration_ms = round(((self.settled_at or ended) - started) * 1000, 3)
        report.cpu_ms = round(cpu_ms, 3)

    def unread(self) -> int:
        """Recipients still to be read; an iterable without a length hint counts as many again as were read."""
        if self.exhausted:
            return 0
        if self._reading is not None:
            return len(self._reading.ahead) + self._reading.expected
        return operator.length_hint(self._source, self.read)

    def leaves_few(self) -> bool:
        """Whether the next message of its order may begin: all but a few have this one."""
        report = self.report
        left = self.open + report.late
        is_read = self.exhausted and self.complete and self._is_complete()
        is_any_reached = report.delivered + report.gone > 0
        if self.refused and self.stragglers.on_refused is not None and not is_any_reached:
            # They will be tried again.
            return False
        return is_read and left <= self._may_leave and (not left or is_any_reached or self.stragglers.presume_alone)
