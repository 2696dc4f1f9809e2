"""The outcome of a run in counts."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Tally:
    """Counts of messages (unsent to recovered), deliveries (expected to reordered) and receipts: see ``MEANINGS``."""

    unsent: int = 0
    attempted: int = 0
    acknowledged: int = 0
    failed: int = 0
    unanswered: int = 0
    abandoned: int = 0
    recovered: int = 0
    expected: int = 0
    delivered: int = 0
    lost: int = 0
    missing: int = 0
    late: int = 0
    duplicated: int = 0
    unexpected: int = 0
    altered: int = 0
    reordered: int = 0
    receipts_counted: int = 0
    receipts_wrong: int = 0
    receipts_repeated: int = 0
    receipts_unknown: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))

    @property
    def clean(self) -> bool:
        """Whether the run has no fault; :attr:`empty` says whether it shows anything."""
        return not any(getattr(self, finding) for finding in FINDINGS)

    @property
    def outstanding(self) -> int:
        """Deliveries that are owed and have not come."""
        return self.lost + self.missing

    @property
    def empty(self) -> bool:
        """Whether no message was acknowledged or none was delivered, so that the run shows nothing."""
        return not (self.acknowledged and self.delivered)


MEANINGS = {
    "unsent": "due messages that no connected client could send",
    "attempted": "messages that a client began to send",
    "acknowledged": "messages with a receipt that names no failed delivery",
    "failed": "messages with a receipt that names failed deliveries, or answered by an error",
    "unanswered": "messages without any answer: they may or may not have been delivered",
    "abandoned": "messages whose sender left before an answer would have been late; nothing is concluded about them",
    "recovered": "failed, unanswered or abandoned messages that a member received",
    "receipts_counted": "receipts that say how many members were reached, and so can be checked",
    "receipts_wrong": "receipts with counts or a number that cannot be true",
    "receipts_repeated": "receipts for a message that had one already",
    "receipts_unknown": "receipts for a message that their receiver never sent",
    "expected": "deliveries owed: one per message and membership that surely spans it",
    "delivered": "deliveries that took place, each counted once",
    "lost": "deliveries of an acknowledged message that are owed and did not take place",
    "missing": "deliveries of a failed or unanswered message that are owed and did not take place",
    "late": "deliveries and answers that took longer than `late_after` seconds, and deliveries that had not come at "
    "the end although others had taken longer than the run could wait for these",
    "duplicated": "further copies of a delivery",
    "unexpected": "texts from another room or from no sender of this run, and deliveries to a member that began its "
    "handshake only when the message was settled",
    "altered": "deliveries with another text, id or sender than the one that was sent, or under another number than to "
    "other members",
    "reordered": "deliveries of an acknowledged message that came after a message sent only later",
}
"""The counts of messages, of receipts (from ``receipts_counted`` on) and of deliveries (from ``expected`` on)."""

FINDINGS = (
    *("unsent", "failed", "unanswered", "lost", "missing", "late", "duplicated", "unexpected", "altered", "reordered"),
    *("receipts_wrong", "receipts_repeated", "receipts_unknown"),
)
"""The counts that are 0 in a run without a fault."""


@dataclass(frozen=True)
class Verdict:
    """The outcome of a run.

    Attributes:
        total: All rooms together.
        rooms: By room of the members concerned: a leak counts where it arrived.
        senders: By ``room|sender``: a leak counts where it came from.
        members: Connections that were, or tried to become, a member of a room.
        broken: Connections that ended, or that were taken out of their room, although the client had not asked for it.
        examples: Sentences about faults, up to 10 of each kind; their times count from the run's start.
        ordered: Whether the order was checked.
        outstanding: Deliveries that are owed, and posts that receipts claim, and that have not come.
    """

    total: Tally
    rooms: dict[str, Tally]
    senders: dict[str, Tally]
    members: int
    broken: int
    examples: list[str]
    ordered: bool = False
    outstanding: int = 0
