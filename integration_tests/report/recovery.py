"""Returns of clients of ``roomcast.v1`` to their rooms, and what the rooms had kept for them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from integration_tests.harness.latency import Durations
from integration_tests.report.clients import times_of

if TYPE_CHECKING:
    from integration_tests.report.documents import Document

COMPLETE = "complete"
"""The answer to a return that the stage could prove to be complete; others are named by their reasons."""
TOO_OLD = "too_old"
"""The answer to a return from which the room's log cannot prove anything any more."""
COUNTS = (
    *("unlogged", "behind", "healed", "doubles_dropped", "rollovers", "in_third_generation"),
    *("retries", "retries_answered", "retried"),
)


@dataclass
class Recovery:
    """Returns, and repetitions of any kind.

    Attributes:
        expected: The answer that is due to each return.
        answers: Returns by the answer of the stage: ``complete``, or the reason of an incomplete one.
        unanswered: Returns that the stage has not answered.
        unlogged: Returns to a room that keeps no messages, which are told nothing.
        behind: Returns to a room in which messages had been stored meanwhile.
        healed: Gaps that a further join closed.
        doubles_dropped: Copies that clients did not hand over, because another socket or a replay had brought the same.
        rollovers: Sockets that clients replaced before the stage would end them.
        in_third_generation: Clients that used three sockets, each one the heir of the one before, or more.
        retries: Copies of messages that were sent again under their id.
        retries_answered: Of these, how many had a receipt.
        retried: Messages of which a further copy was answered.
        times: Seconds from the beginning of a return until everything was handed over.
    """

    expected: str = COMPLETE
    answers: Counter[str] = field(default_factory=Counter)
    unanswered: int = 0
    unlogged: int = 0
    behind: int = 0
    healed: int = 0
    doubles_dropped: int = 0
    rollovers: int = 0
    in_third_generation: int = 0
    retries: int = 0
    retries_answered: int = 0
    retried: int = 0
    times: Durations = field(default_factory=Durations, compare=False)

    @property
    def wrong(self) -> int:
        """How many returns had another answer than was due, or none."""
        return self.unanswered + self.answers.total() - self.answers[self.expected]

    def merge(self, other: Recovery) -> None:
        """Add the returns of another process or machine."""
        self.expected = other.expected
        self.answers += other.answers
        self.unanswered += other.unanswered
        self.times.add(other.times)
        for name in COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def document(self) -> Document:
        """Return this part of the document."""
        return {
            "expected": self.expected,
            "returns": self.answers.total() + self.unanswered + self.unlogged,
            "complete": self.answers[COMPLETE],
            "incomplete": {reason: count for reason, count in sorted(self.answers.items()) if reason != COMPLETE},
            "unanswered": self.unanswered,
            "wrong": self.wrong,
            **{name: getattr(self, name) for name in COUNTS},
            "time": times_of(self.times),
        }

    @staticmethod
    def read(part: Document) -> Recovery:
        """Return the counts of a document, without the times."""
        answers = Counter({COMPLETE: part["complete"], **part["incomplete"]})
        return Recovery(part["expected"], answers, part["unanswered"], **{name: part.get(name, 0) for name in COUNTS})
