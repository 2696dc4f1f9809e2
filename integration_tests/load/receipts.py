"""Receipts of ``roomcast.v1`` that a stage sends to one sender, matched with its messages and checked."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from integration_tests.harness.ledger import Number
from integration_tests.harness.quotes import beginning
from integration_tests.load.replies import RECEIPT_REPEATED, counts_of, is_queued

if TYPE_CHECKING:
    from collections.abc import Mapping

    from integration_tests.harness.ledger import Sender
    from integration_tests.report.recovery import Recovery

SEPARATOR = "."
DIGITS = 8
"""Of a message's number in its id, which has 16 characters at least."""
LONGEST_NUMBER = 12
"""Digits of a number that is read: Python refuses to read thousands of them."""
SENT_AGAIN_AFTER = 25.0
"""Seconds after which a message may have two answers: API Gateway ends a request after 29 s with an error, whatever
becomes of the invocation, and the client sends again after 35 s."""


class Problem(NamedTuple):
    """An error that names no message: its text, and when it came in monotonic seconds."""

    text: str
    at: float


class Receipts:
    """Matches receipts with the messages of one sender, each of which may be sent several times under its id.

    One receipt of a message counts the members that it reached, or says that it is queued; those of further copies say
    ``duplicate``, or ``sending`` while the first one is being delivered, and there is none of them without a copy.

    Args:
        sender: The sender; records the answer to each of its messages.
        recovery: Counts the copies that were answered.

    Attributes:
        retried: The messages of which a further copy was answered.
    """

    __slots__ = (
        "_answered",
        "_blamed",
        "_copies",
        "_ended_at",
        "_recovery",
        "_repeated",
        "_sender",
        "_waiting",
        "retried",
    )

    def __init__(self, sender: Sender, recovery: Recovery) -> None:
        self._sender = sender
        self._recovery = recovery
        self._waiting: set[int] = set()
        self._answered: set[int] = set()
        self._copies: Counter[int] = Counter()
        self._repeated: set[int] = set()
        self._blamed: list[Problem] = []
        self._ended_at = -math.inf
        self.retried: set[int] = set()

    @property
    def unanswered(self) -> int:
        """How many messages and copies have had no answer yet."""
        return len(self._waiting) + self._copies.total()

    def expect(self, sequence: int) -> str:
        """Expect the answer to a message; return its ``id``, unique in the room."""
        self._waiting.add(sequence)
        return f"{sequence:0{DIGITS}}{SEPARATOR}{self._sender.name}"

    def expect_copy(self, sequence: int) -> None:
        """Expect one answer more, because a message is sent again."""
        self._copies[sequence] += 1
        self._recovery.retries += 1

    def expect_repetition(self, error: Mapping[str, Any]) -> None:
        """Record an error after which the client may send the message again by itself."""
        if (sequence := self.sequence_of(error.get("id", ""))) is not None:
            self._repeated.add(sequence)

    def fail(self, sequence: int) -> None:
        """Record that the client gave a message up."""
        self._waiting.discard(sequence)
        self._sender.fail(sequence)

    def interrupt(self, at: float, late_after: float) -> None:
        """Record that a connection ended before these answers came, so that they take as long as the client is away.

        Args:
            at: When it ended, monotonic seconds.
            late_after: Seconds after which an answer is late; one that was late then is not excused.
        """
        sent_at = self._sender.sent_at
        self._sender.interrupted |= {each for each in self._waiting if at - sent_at[each] <= late_after}
        self._copies.clear()

    def end(self, at: float) -> None:
        """Record that a socket ends: the client sends again what had no answer over it, whatever became of that."""
        self._ended_at = at
        self._blamed.clear()

    def blame(self, text: str, at: float) -> None:
        """Record an error that names no message, and may be the answer to any that has none."""
        self._blamed.append(Problem(text, at))

    def unasked(self) -> list[Problem]:
        """Return the errors that turn out to be no answers, because there are fewer messages left without one."""
        if not self._blamed:
            return []
        newest = self._blamed[-1].at
        asked = sum(self._sender.sent_at[sequence] <= newest for sequence in self._waiting) + self._copies.total()
        unasked, self._blamed = self._blamed[asked:], self._blamed[:asked]
        return unasked

    def take_error(self, frame: Mapping[str, Any]) -> bool:
        """Return whether an error is the answer to a further copy of a message that has its answer."""
        sequence = self.sequence_of(frame.get("id", ""))
        if sequence is None:
            return False
        if self._copies[sequence] > 0:
            self._copies[sequence] -= 1
            return True
        return self._was_sent_again(sequence, self._sender.answered_at[sequence])

    def _was_sent_again(self, sequence: int, at: float) -> bool:
        """Whether the client may have sent a message again, for want of an answer, before one came at ``at``."""
        sent_at = self._sender.sent_at[sequence]
        return sent_at <= self._ended_at or SENT_AGAIN_AFTER <= at - sent_at < math.inf

    def take(self, frame: Mapping[str, Any], at: float) -> str | None:
        """Account for a ``receipt`` frame; return a mark for the timeline if it deserves one.

        Args:
            frame: The frame.
            at: When it arrived, monotonic seconds.
        """
        sequence = self.sequence_of(frame["id"])
        if sequence is None:
            self._sender.receipts_unknown[beginning(frame["id"])] += 1
            return "a receipt for a message that was never sent"
        if "epoch" in frame and "seq" in frame:
            self._sender.say(sequence, Number(frame["epoch"], frame["seq"]))
        is_of_copy = bool(frame.get("duplicate") or frame.get("sending")) and self._has_copy(sequence, at)
        if (is_of_copy or sequence in self._answered) and self._copies[sequence] > 0:
            self._copies[sequence] -= 1
            self._recovery.retries_answered += 1
            self.retried.add(sequence)
        if not (is_of_copy and frame.get("sending")):  # which is followed by another receipt
            self._acknowledge(frame, sequence, at, is_of_copy=is_of_copy)
        if is_of_copy:
            return None
        if sequence in self._answered:
            self._sender.receipts_repeated[sequence] += 1
            return RECEIPT_REPEATED
        self._answered.add(sequence)
        return None

    def _has_copy(self, sequence: int, at: float) -> bool:
        """Whether a copy of a message may have had no answer before ``at``."""
        return self._copies[sequence] > 0 or sequence in self._repeated or self._was_sent_again(sequence, at)

    def _acknowledge(self, frame: Mapping[str, Any], sequence: int, at: float, *, is_of_copy: bool) -> None:
        counts = None if is_of_copy or is_queued(frame) else counts_of(frame)
        if sequence in self._waiting:
            self._waiting.discard(sequence)
            if at - self._sender.sent_at[sequence] >= SENT_AGAIN_AFTER:
                del self._blamed[:1]  # which was the answer to the first copy
            self._sender.acknowledge(sequence, at, counts, queued=counts is None)
        elif counts is not None:
            self._sender.counts.setdefault(sequence, counts)
        if counts is not None and counts.failed > 0 and "seq" not in frame:  # what is kept reaches its members later
            self._sender.fail(sequence)

    def sequence_of(self, message_id: str) -> int | None:
        """Return the number of the message that was sent with this id; None if there is none."""
        number, _, name = message_id.partition(SEPARATOR)
        if name != self._sender.name or len(number) < DIGITS or not (number.isascii() and number.isdigit()):
            return None
        if len(number) > LONGEST_NUMBER:
            return None
        sequence = int(number)
        is_one = sequence < len(self._sender.sent_at) and f"{sequence:0{DIGITS}}" == number
        return sequence if is_one else None
