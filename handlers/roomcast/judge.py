"""The evidence for verdicts: the answers for each recipient so far, and whether throttling is general."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from roomcast.verdicts import Answer, Case, row_of

if TYPE_CHECKING:
    from roomcast.recipients import Recipient
    from roomcast.verdicts import Row

OTHERS_REFUSED = 1 / 4
"""A recipient counts as refused alone when at most so many others, for each delivery since its last try, wait because
they were refused, too. Ten such refusals in a row happen by chance to one post in ten million."""


class Post:
    """The message for one recipient.

    Attributes:
        recipient: The recipient.
        history: The answers so far, or ``None`` before the first one that is not a delivery.
    """

    __slots__ = ("history", "recipient")

    def __init__(self, recipient: Recipient) -> None:
        self.recipient = recipient
        self.history: History | None = None


class History:
    """The answers for one recipient so far, each kind counted by itself: one says nothing about another.

    Attributes:
        copies: Copies of the message that the recipient may have been sent without an answer.
    """

    __slots__ = ("absences", "absent_since", "closed", "copies", "errors", "throttled")

    def __init__(self, copies: int) -> None:
        self.absences = 0
        self.absent_since = 0.0
        self.closed = False
        self.copies = copies
        self.errors = Refusals()
        self.throttled = Refusals()


class Refusals:
    """Refusals of one recipient.

    Attributes:
        tries: All of them.
        alone: Those in a row that hit it alone; less certain ones count half.
        delivered: Deliveries of the fan-out up to the last one.
        suspect: Whether the last one with deliveries before it hit the recipient alone.
    """

    __slots__ = ("alone", "delivered", "suspect", "tries")

    def __init__(self) -> None:
        self.alone = 0.0
        self.delivered = 0
        self.suspect = False
        self.tries = 0


class Census:
    """Tells a refusal that is meant for one recipient from throttling that hits all of them.

    Args:
        presumed: Whether a recipient counts as refused alone until others are seen to be refused.

    Attributes:
        waiting: Recipients that were refused and are still to be reached.
    """

    def __init__(self, *, presumed: bool) -> None:
        self.waiting = 0
        self._presumed = presumed

    def count(self, refusals: Refusals, delivered: int) -> tuple[int, float, float]:
        """Count a refusal of one recipient after so many deliveries of the fan-out; as ``Judge._count``."""
        if not refusals.tries:
            self.waiting += 1
        refusals.tries += 1
        since, refusals.delivered = delivered - refusals.delivered, delivered
        if since:
            refusals.suspect = self.waiting - 1 <= since * OTHERS_REFUSED
            refusals.alone = refusals.alone + 1 if refusals.suspect else 0
        elif self._presumed:
            refusals.alone += 1
        elif self.waiting <= delivered:
            # No other recipient was reached meanwhile, perhaps because there is none: a hint that weighs less.
            refusals.alone += 1 if refusals.suspect else 0.5
        return refusals.tries, refusals.alone, 0.0


class Judge:
    """Finds the row of the table for each answer of one fan-out.

    Args:
        copies: Copies of the message that the recipients may have been sent before.
        presume_alone: Whether a recipient counts as refused alone until others are seen to be refused.
    """

    def __init__(self, copies: int, *, presume_alone: bool) -> None:
        self._copies = copies
        self._throttled = Census(presumed=presume_alone)
        self._errors = Census(presumed=presume_alone)

    def judge(self, post: Post, answer: Answer, delivered: int, now: float, asked: float = 0.0) -> tuple[Row, float]:
        """Count an answer; gives the row that holds and the pause before another try.

        Args:
            post: The post that was answered.
            answer: Kind of answer.
            delivered: Deliveries of the fan-out so far.
            now: The time, in seconds of ``time.monotonic``.
            asked: Seconds that the server asks to wait.
        """
        history = post.history = post.history or History(self._copies)
        if answer is Answer.CLOSED and history.closed:
            answer = Answer.BROKEN
        tries, alone, waited = self._count(history, answer, delivered, now)
        case = Case(time.time() - post.recipient.connected_at / 1000, tries, alone, waited, asked)
        row = row_of(answer, case)
        return row, row.pause(case)

    def _count(self, history: History, answer: Answer, delivered: int, now: float) -> tuple[int, float, float]:
        """Count an answer; gives ``tries``, ``alone`` and ``waited`` of the case."""
        if answer is Answer.THROTTLED:
            return self._throttled.count(history.throttled, delivered)
        if answer is Answer.ERROR or answer is Answer.BROKEN:
            return self._errors.count(history.errors, delivered)
        if answer is Answer.GONE:
            history.absences += 1
            history.absent_since = history.absent_since or now
            return history.absences, 0.0, now - history.absent_since
        if answer is Answer.SILENT:
            history.copies += 1
            return history.copies, 0.0, 0.0
        history.closed = history.closed or answer is Answer.CLOSED
        return 1, 0.0, 0.0

    def settle(self, post: Post) -> None:
        """Forget the refusals of a recipient once its outcome is known."""
        if post.history is not None:
            self._throttled.waiting -= post.history.throttled.tries > 0
            self._errors.waiting -= post.history.errors.tries > 0
