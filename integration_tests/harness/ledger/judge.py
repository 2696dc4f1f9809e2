"""Judge the messages of one room: compare the deliveries that were owed with those that took place."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, NamedTuple

from integration_tests.harness.ledger.memberships import Memberships, bits
from integration_tests.harness.ledger.texts import LONGEST_NAME
from integration_tests.harness.ledger.verdict import Tally

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from integration_tests.harness.ledger.examples import Examples
    from integration_tests.harness.ledger.records import Member, Number, Room, Sender
    from integration_tests.harness.ledger.terms import Terms
    from integration_tests.harness.ledger.texts import Stamp

NAMED = 5
"""Members or numbers that an example names."""


class Finding(NamedTuple):
    """A fault of one message.

    Attributes:
        kind: Name of the count that it belongs to.
        amount: How many deliveries or receipts are concerned.
        sequence: The message's number.
        detail: Clause of a sentence about it.
        mask: Members concerned, if it is about members.
    """

    kind: str
    amount: int
    sequence: int
    detail: str
    mask: int = 0


def written(numbers: Iterable[Number]) -> str:
    """Return numbers of messages as a sentence names them."""
    return ", ".join(f"{each.seq} of epoch {each.epoch[:LONGEST_NAME]!r}" for each in sorted(numbers)[:NAMED])


class Judge:
    """Judges one room's senders.

    Args:
        room: The room.
        terms: The time that the stage is granted.
        ended_at: When the run stopped waiting, monotonic seconds.
        slowest: Seconds from sending that the slowest delivery took; a delivery that the run waited for no longer may
            still come.
        examples: Collects sentences about faults.

    Attributes:
        unposted: Posts that receipts claim, and that have not come to clients that have the message by other means.
    """

    def __init__(self, room: Room, terms: Terms, ended_at: float, slowest: float, examples: Examples) -> None:
        self.room = room
        self.terms = terms
        self.ended_at = ended_at
        self.slowest = slowest
        self.examples = examples
        self.unposted = 0
        self.members = Memberships(room.members)
        self.connections = Memberships(room.connections) if room.connections else self.members
        self._uses = Counter(
            number for sender in room.senders.values() for numbers in sender.numbers.values() for number in numbers
        )
        self._reordered = self._count_reordered()
        self._false_names = self._find_false_names()

    def tally(self, sender: Sender) -> Tally:
        """Judge all messages of one sender."""
        counts = Counter[str](attempted=len(sender.sent_at), reordered=self._reordered[sender.name])
        for sequence in range(len(sender.sent_at)):
            for finding in self._message(sender, sequence, counts):
                self._add(sender, finding, counts)
        for sequence, seen in sender.seen.items():
            counts["delivered"] += seen.bit_count() if sender.sent(sequence) else 0
            for finding in self._strangers(sender, sequence, seen):
                self._add(sender, finding, counts)
        for finding in self._recorded(sender):
            self._add(sender, finding, counts)
        for name, deliveries in self._false_names[sender.name].items():
            counts["altered"] += deliveries
            called = f"{deliveries} of its deliveries name {name[:LONGEST_NAME]!r} as their sender"
            self.examples.add("altered", f"{sender.name} in room {sender.room}: {called}, which is no connection of it")
        for message_id, receipts in sender.receipts_unknown.items():
            counts["receipts_unknown"] += receipts
            received = f"received a receipt for {message_id!r}, which it never sent"
            self.examples.add("receipts_unknown", f"{sender.name} in room {sender.room} {received}")
        return Tally(**counts)

    def _add(self, sender: Sender, finding: Finding, counts: Counter[str]) -> None:
        counts[finding.kind] += finding.amount
        self._example(sender, finding)

    def _message(self, sender: Sender, sequence: int, counts: Counter[str]) -> Iterator[Finding]:
        """Count a message that was sent, and yield its faults."""
        owed = self._owed(sender, sequence)
        seen = sender.seen.get(sequence, 0)
        counts["expected"] += owed.bit_count()
        if sender.acknowledged(sequence):
            counts["acknowledged"] += 1
        else:
            counts["recovered"] += seen > 0
            if self._abandoned(sender, sequence):
                counts["abandoned"] += 1
            else:
                yield self._unacknowledged(sender, sequence)
        took = sender.answered_at[sequence] - sender.sent_at[sequence]
        if self.terms.late_after < took < math.inf and sequence not in sender.interrupted:
            yield Finding("late", 1, sequence, f"answered only {took:.3f} s later")
        if absent := owed & ~seen:
            yield self._absent(sender, sequence, absent)
        counts["receipts_counted"] += sequence in sender.counts
        if untruth := self._untruth(sender, sequence):
            yield Finding("receipts_wrong", 1, sequence, untruth)

    def _owed(self, sender: Sender, sequence: int) -> int:
        """Return the members that a message must reach."""
        sent_at = sender.sent_at[sequence]
        if sender.acknowledged(sequence):
            queued = self.terms.queued_within if sequence in sender.queued else 0.0
            settled_at = sender.answered_at[sequence] + queued + self.terms.transit
        elif self._abandoned(sender, sequence):
            return 0
        else:
            settled_at = sent_at + self.terms.patience
        return self.members.throughout(sent_at, min(settled_at, self.ended_at))

    def _abandoned(self, sender: Sender, sequence: int) -> bool:
        """Whether the sender left without an answer before the answer would have been late."""
        if sequence in sender.failed or sender.acknowledged(sequence) or sequence not in sender.abandoned_at:
            return False
        return sender.abandoned_at[sequence] - sender.sent_at[sequence] <= self.terms.late_after

    @staticmethod
    def _unacknowledged(sender: Sender, sequence: int) -> Finding:
        if sequence not in sender.failed:
            return Finding("unanswered", 1, sequence, "no receipt and no error came")
        if sequence in sender.counts:
            return Finding("failed", 1, sequence, f"its receipt says failed: {sender.counts[sequence].failed}")
        return Finding("failed", 1, sequence, "answered by an error")

    def _absent(self, sender: Sender, sequence: int, absent: int) -> Finding:
        """Return the finding about deliveries that have not come."""
        waited = self.ended_at - sender.sent_at[sequence]
        acknowledged = sender.acknowledged(sequence)
        details = []
        if acknowledged:
            details.append(f"acknowledged {self.examples.clock(sender.answered_at[sequence])}")
        if self.ended_at < math.inf:
            details.append(f"not there {waited:.3f} s after it was sent, when the run ended")
        kind = "lost" if acknowledged else "missing"
        if waited < self.slowest:
            kind = "late"
            details.append(f"though other deliveries took up to {self.slowest:.3f} s")
        return Finding(kind, absent.bit_count(), sequence, ", ".join(details), absent)

    def _untruth(self, sender: Sender, sequence: int) -> str:
        """Say why the counts or the number of a receipt cannot be true; return nothing if they can."""
        numbers = sender.numbers.get(sequence)
        if numbers and (wrong := sender.said.get(sequence, set()) - numbers):
            return f"its receipt says number {max(wrong).seq}, but it came as {max(numbers).seq}"
        if sequence not in sender.counts:
            return ""
        return self._untrue_counts(sender, sequence) or self._untrue_claim(sender, sequence)

    def _untrue_counts(self, sender: Sender, sequence: int) -> str:
        sent_at, answered_at = sender.sent_at[sequence], sender.answered_at[sequence]
        counts = sender.counts[sequence]
        if min(counts) < 0:
            return "its receipt does not say how many members were reached"
        said = f"its receipt says {counts.delivered} delivered, {counts.gone} gone, {counts.failed} failed"
        asked = self.connections.asked_by(answered_at)
        reached = sender.posted if self.room.connections else sender.seen
        received = (reached.get(sequence, 0) & asked).bit_count()
        if counts.delivered + counts.failed < received:
            return f"{said}, but {received} received it"
        alive = asked.bit_count() - self.connections.dead_by(sent_at)
        if counts.delivered > alive:
            return f"{said}, but the room had no more than {alive} members"
        if sum(counts) > asked.bit_count():
            return f"{said}, but the room has had no more than {asked.bit_count()} members"
        absent = (asked & ~self.connections.throughout(sent_at, answered_at)).bit_count()
        if counts.gone > absent:
            return f"{said}, but no more than {absent} can have been gone"
        return ""

    def _untrue_claim(self, sender: Sender, sequence: int) -> str:
        delivered = sender.counts[sequence].delivered
        asked = self.connections.asked_by(sender.answered_at[sequence])
        possible = (asked & ~self._unposted(sender, sequence)).bit_count()
        if delivered <= possible:
            return ""
        self.unposted += delivered - possible
        return f"its receipt says {delivered} delivered, but at most {possible} were posted it; others recovered it"

    def _unposted(self, sender: Sender, sequence: int) -> int:
        """Return the connections that were there all the time and were not posted a message that their clients have.

        A client that does not have it has lost it, which is another finding. A post has as long as the run is patient.
        """
        if not self.room.connections:
            return 0
        posted_by = min(sender.answered_at[sequence] + self.terms.patience, self.ended_at)
        there = self.connections.throughout(sender.sent_at[sequence], posted_by)
        unposted = there & ~sender.posted.get(sequence, 0)
        if not unposted:
            return 0
        seen = {self.room.members[number].name for number in bits(sender.seen.get(sequence, 0))}
        return sum(1 << number for number in bits(unposted) if self.room.connections[number].name in seen)

    def _strangers(self, sender: Sender, sequence: int, seen: int) -> Iterator[Finding]:
        """Yield deliveries of a message that was never sent, or to members that joined after it was settled."""
        if not sender.sent(sequence):
            yield Finding("unexpected", seen.bit_count(), sequence, "which was never sent", seen)
        elif strangers := seen & ~self._may_be_members(sender, sequence):
            detail = "delivered to a member that joined long after it"
            yield Finding("unexpected", strangers.bit_count(), sequence, detail, strangers)

    def _may_be_members(self, sender: Sender, sequence: int) -> int:
        """Return the members that had begun their handshakes when a message was settled."""
        if not sender.acknowledged(sequence):
            return -1
        settled_at = sender.answered_at[sequence] + self.terms.transit
        if sequence in sender.queued:
            settled_at = max(settled_at, sender.sent_at[sequence] + self.terms.patience) + self.terms.queued_within
        return self.members.asked_by(settled_at)

    def _recorded(self, sender: Sender) -> Iterator[Finding]:
        """Yield the faults that the sender's records name themselves."""
        for sequence, copies in sender.copies.items():
            yield Finding("duplicated", copies, sequence, f"further copies: {copies}", sender.repeated[sequence])
        for sequence, late in sender.late.items():
            if sequence in sender.interrupted:
                continue
            detail = f"delivered more than {self.terms.late_after:g} s later"
            yield Finding("late", late.bit_count(), sequence, detail, late)
        for sequence, texts in sender.altered.items():
            yield Finding("altered", texts, sequence, sender.differences[sequence])
        for sequence, numbers in sender.numbers.items():
            if len(numbers) > 1 and sequence not in sender.copies:  # copies may differ
                yield Finding("altered", len(numbers) - 1, sequence, f"came under the numbers {written(numbers)}")
            elif shared := {number for number in numbers if self._uses[number] > 1}:
                yield Finding("altered", 1, sequence, f"came under {written(shared)}, as another message did")
        for sequence, receipts in sender.receipts_repeated.items():
            yield Finding("receipts_repeated", receipts, sequence, f"further receipts: {receipts}")

    def _find_false_names(self) -> defaultdict[str, Counter[str]]:
        """Count by sender the deliveries that name another one, or more names than the sender has had connections.

        A name that two senders share belongs to the one that it was given more often.
        """
        owners: dict[str, Sender] = {}
        for sender in self.room.senders.values():
            for name, deliveries in sender.names.items():
                if name not in owners or deliveries > owners[name].names[name]:
                    owners[name] = sender
        connections = Counter(connection.name for connection in self.room.connections)
        false: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for sender in self.room.senders.values():
            own = [name for name, _ in sender.names.most_common() if owners[name] is sender]
            true = {*own[: connections[sender.name]]}
            false[sender.name].update({name: each for name, each in sender.names.items() if name not in true})
        return false

    def _count_reordered(self) -> Counter[str]:
        """Count by sender the deliveries of an acknowledged message that came after a message sent only later."""
        reordered: Counter[str] = Counter()
        for member in self.room.members:
            for late, newest in self._overtaken(member):
                reordered[late.sender] += 1
                sender, overtaker = self.room.senders[late.sender], self.room.senders[newest.sender]
                detail = (
                    f"acknowledged {self.examples.clock(sender.answered_at[late.sequence])}, came after message "
                    f"{newest.sequence} of {newest.sender}, sent "
                    f"{self.examples.clock(overtaker.sent_at[newest.sequence])}"
                )
                self._example(sender, Finding("reordered", 1, late.sequence, detail, member.bit))
        return reordered

    def _overtaken(self, member: Member) -> Iterator[tuple[Stamp, Stamp]]:
        """Yield each message that came too late to a member, and the newest message that had come before it."""
        newest, newest_sent_at = None, -math.inf
        for stamp in member.arrivals:
            sender = self.room.senders[stamp.sender]
            if not sender.sent(stamp.sequence):
                continue  # counted as unexpected
            acknowledged = sender.acknowledged(stamp.sequence)
            if newest is not None and acknowledged and sender.answered_at[stamp.sequence] < newest_sent_at:
                yield stamp, newest
            if sender.sent_at[stamp.sequence] > newest_sent_at:
                newest, newest_sent_at = stamp, sender.sent_at[stamp.sequence]

    def _example(self, sender: Sender, finding: Finding) -> None:
        """Add a sentence about a finding, unless there are enough of its kind."""
        if not self.examples.wanted(finding.kind):
            return
        sequence = finding.sequence
        sent = f"sent {self.examples.clock(sender.sent_at[sequence])}" if sender.sent(sequence) else ""
        parts = [f"message {sequence} of {sender.name} in room {sender.room}", sent, finding.detail]
        sentence = ", ".join(part for part in parts if part)
        if finding.mask:
            names = [self.room.members[number].name for number in bits(finding.mask)]
            more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
            sentence += f": {', '.join(names[:NAMED])}{more}"
        self.examples.add(finding.kind, sentence)
