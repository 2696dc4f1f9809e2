"""Receipts and errors that a stage sends to one sender, matched with their messages and checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from integration_tests.harness.answers import object_of
from integration_tests.harness.ledger import NO_COUNTS, Counts
from integration_tests.harness.quotes import beginning, printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from integration_tests.harness.ledger import Sender

RECEIPT_REPEATED = "a receipt came twice"
SEPARATOR = "."


class Reply(NamedTuple):
    """The outcome of a text that may have been an answer.

    Attributes:
        taken: Whether it answers a message of the sender.
        event: Label of a mark on the timeline, if it deserves one.
    """

    taken: bool
    event: str | None = None


STRANGE = Reply(taken=False)


class Replies:
    """Matches answers with the messages of one sender.

    A receipt names its message. An error does not, so the oldest message without an answer is taken for its cause,
    until a receipt for that message shows that it was another one.

    Args:
        sender: The sender; records the answer to each of its messages.
    """

    __slots__ = ("_blamed", "_sender", "_waiting")

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._waiting: dict[str, int] = {}
        self._blamed: dict[str, str] = {}

    @property
    def unanswered(self) -> int:
        """How many messages have had no answer yet."""
        return len(self._waiting)

    def awaits(self, begin: float, end: float) -> bool:
        """Whether a message that was sent from ``begin`` to ``end`` (monotonic seconds) has had no answer yet."""
        return any(begin <= self._sender.sent_at[sequence] <= end for sequence in self._waiting.values())

    def expect(self, sequence: int) -> str:
        """Expect the answer to a message; return the ``id`` to send it with, unique in the room."""
        message_id = f"{self._sender.name}{SEPARATOR}{sequence}"
        self._waiting[message_id] = sequence
        return message_id

    def abandon(self, at: float) -> None:
        """Record that the client disconnects on command at ``at`` (monotonic seconds), before these answers came."""
        for sequence in self._waiting.values():
            self._sender.abandon(sequence, at)

    def give_up(self) -> None:
        """Stop waiting for all answers, because the connection has ended."""
        self._waiting.clear()
        self._blamed.clear()

    def take(self, text: str, at: float) -> Reply:
        """Account for a text if it is an answer.

        Args:
            text: The text.
            at: When it arrived, monotonic seconds.
        """
        answer = object_of(text)
        if isinstance(receipt := answer.get("receipt"), dict):
            return self._take_receipt(receipt, at)
        if (problem := problem_of(answer)) is None:
            return STRANGE
        return Reply(self._blame_oldest(problem), f"answer: {problem}")

    def _take_receipt(self, receipt: dict[str, Any], at: float) -> Reply:
        message_id = receipt.get("id")
        if not isinstance(message_id, str):
            return STRANGE
        problem = self._blamed.pop(message_id, None)
        if (sequence := self._waiting.pop(message_id, None)) is not None:
            self._note(receipt, sequence, at)
            return Reply(taken=True)
        sequence = self._sequence_of(message_id)
        if sequence is None:
            self._sender.receipts_unknown[beginning(message_id)] += 1
            return Reply(taken=True, event="a receipt for a message that was never sent")
        if problem is not None:
            self._note(receipt, sequence, at)
            return Reply(self._blame_oldest(problem))
        self._sender.receipts_repeated[sequence] += 1
        return Reply(taken=True, event=RECEIPT_REPEATED)

    def _note(self, receipt: dict[str, Any], sequence: int, at: float) -> None:
        queued = is_queued(receipt)
        counts = None if queued else counts_of(receipt)
        self._sender.acknowledge(sequence, at, counts, queued=queued)
        if counts is not None and counts.failed > 0:
            self._sender.fail(sequence)

    def _sequence_of(self, message_id: str) -> int | None:
        """Return the number of the message that was sent with this id; None if there is none."""
        name, _, number = message_id.rpartition(SEPARATOR)
        if name != self._sender.name or not (number.isascii() and number.isdigit()):
            return None
        sequence = int(number) if len(number) < 12 else len(self._sender.sent_at)
        return sequence if sequence < len(self._sender.sent_at) and str(sequence) == number else None

    def _blame_oldest(self, problem: str) -> bool:
        """Take an error for the answer to the oldest message that has none; return whether there is one."""
        message_id = next(iter(self._waiting), None)
        if message_id is None:
            return False
        self._sender.fail(self._waiting.pop(message_id))
        self._blamed[message_id] = problem
        return True


def is_queued(receipt: Mapping[str, Any]) -> bool:
    """Whether a receipt says only that the message is queued; one that counts all the same is checked as one."""
    return receipt.get("queued") is True and not receipt.keys() & {*Counts._fields}


def counts_of(receipt: Mapping[str, Any]) -> Counts:
    """Return a receipt's counts, or ``NO_COUNTS`` if one is missing or is no count."""
    counts = [count for name in Counts._fields if type(count := receipt.get(name)) is int and count >= 0]
    return Counts(*counts) if len(counts) == len(Counts._fields) else NO_COUNTS


def problem_of(answer: dict[str, Any]) -> str | None:
    """Return the code of an error of ours, the message of one of API Gateway's, or None if it is neither.

    It goes into reports, so it is made short and printable.
    """
    error = answer.get("error")
    if isinstance(error, dict):
        return printable(str(error.get("code")))
    return printable(str(answer["message"])) if {"message", "connectionId"} <= answer.keys() else None
