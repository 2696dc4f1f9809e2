"""The evidence for verdicts: the answers for each recipient so far, and whether throttling is general."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from roomcast.pacing import Retries
from roomcast.shares import History
from roomcast.verdicts import TABLE, Answer, Case, row_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roomcast.shares import Post, Refusals
    from roomcast.verdicts import Row

OTHERS_REFUSED = 1 / 4
"""A recipient counts as refused alone when at most so many others, for each delivery since its last try, wait because
they were refused, too. Ten such refusals in a row happen by chance to one post in ten million."""


class Census:
    """Tells a refusal that is meant for one recipient from throttling that hits all of them.

    Attributes:
        waiting: Recipients that were refused and are still to be reached.
        again: Refusals of recipients that had been refused before, without those presumed to be alone.
        passed: Those of them after others were reached since the recipient's first refusal.
        recovered: Recipients that were reached after a refusal.
    """

    def __init__(self) -> None:
        self.waiting = 0
        self.again = self.passed = 0
        self.recovered = 0

    def count(self, refusals: Refusals, delivered: int, *, presumed: bool) -> tuple[int, float, float]:
        """Count a refusal of one recipient after so many deliveries of the run; as ``Judge._count``."""
        if not refusals.tries:
            self.waiting += 1
            refusals.before = delivered
        elif not presumed:
            self.again += 1
            self.passed += delivered > refusals.before
        refusals.tries += 1
        since, refusals.delivered = delivered - refusals.delivered, delivered
        if since:
            refusals.suspect = self.waiting - 1 <= since * OTHERS_REFUSED
            refusals.alone = refusals.alone + 1 if refusals.suspect else 0
        elif presumed:
            refusals.alone += 1
        elif self.waiting <= delivered or self.retries.fail:
            # No other recipient was reached meanwhile, perhaps because there is none: a hint that weighs less.
            refusals.alone += 1 if refusals.suspect else 0.5
        return refusals.tries, refusals.alone, 0.0

    @property
    def retries(self) -> Retries:
        """What came of posts that had been refused before."""
        return Retries(self.again, self.passed, self.recovered)

    def settle(self, refusals: Refusals, *, is_delivered: bool) -> None:
        """Forget the refusals of one recipient."""
        if refusals.tries:
            self.waiting -= 1
            self.recovered += is_delivered


class Judge:
    """Finds the row of the table for each answer of a run.

    Deliveries of all its messages count: those to one room show that another one is refused alone.

    Args:
        table: The table.

    Attributes:
        throttled: The refusals with 429.
    """

    def __init__(self, table: Sequence[Row] = TABLE) -> None:
        self._table = table
        self.throttled = Census()
        self._errors = Census()

    def judge(self, post: Post, answer: Answer, delivered: int, now: float, asked: float = 0.0) -> tuple[Row, float]:
        """Count an answer; gives the row that holds and the pause before another try.

        Args:
            post: The post that was answered.
            answer: Kind of answer.
            delivered: Deliveries of the run so far.
            now: The time, in seconds of ``time.monotonic``.
            asked: Seconds that the server asks to wait.
        """
        history = post.history = post.history or History(post.share.stragglers.copies)
        if answer is Answer.CLOSED and history.closed:
            answer = Answer.BROKEN
        tries, alone, waited = self._count(post, history, answer, delivered, now)
        case = Case(time.time() - post.recipient.connected_at / 1000, tries, alone, waited, asked)
        row = row_of(answer, case, self._table)
        return row, row.pause(case)

    def _count(
        self, post: Post, history: History, answer: Answer, delivered: int, now: float
    ) -> tuple[int, float, float]:
        """Count an answer; gives ``tries``, ``alone`` and ``waited`` of the case."""
        presumed = post.share.stragglers.presume_alone
        if answer is Answer.THROTTLED:
            return self.throttled.count(history.throttled, delivered, presumed=presumed)
        if answer is Answer.ERROR or answer is Answer.BROKEN:
            return self._errors.count(history.errors, delivered, presumed=presumed)
        if answer is Answer.GONE:
            history.absences += 1
            history.absent_since = history.absent_since or now
            return history.absences, 0.0, now - history.absent_since
        if answer is Answer.SILENT:
            silence = post.silence(now)
            history.copies += 1
            history.silence = silence
            return history.copies, 0.0, silence
        history.closed = history.closed or answer is Answer.CLOSED
        return 1, 0.0, 0.0

    def settle(self, post: Post, *, is_delivered: bool = False) -> None:
        """Forget the refusals of a recipient once its outcome is known."""
        if post.history is not None:
            self.throttled.settle(post.history.throttled, is_delivered=is_delivered)
            self._errors.settle(post.history.errors, is_delivered=is_delivered)
