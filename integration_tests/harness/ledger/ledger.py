"""Everything that a run attempted, was told and received."""

from __future__ import annotations

import copy
import math
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from integration_tests.harness.latency import Latency
from integration_tests.harness.ledger.examples import EXAMPLES, Examples
from integration_tests.harness.ledger.judge import Judge
from integration_tests.harness.ledger.records import Member, Number, Room, add_bits
from integration_tests.harness.ledger.terms import Terms
from integration_tests.harness.ledger.texts import SEPARATOR, checksum, digest, read
from integration_tests.harness.ledger.verdict import Tally, Verdict
from integration_tests.harness.quotes import beginning

if TYPE_CHECKING:
    from integration_tests.harness.ledger.records import Sender
    from integration_tests.harness.ledger.texts import Reading, Stamp

FOREIGN = "not a message of this run"
NO_QUESTION = "an error that answers no message of this client"


class Stray(NamedTuple):
    """An example of a text that reached the wrong member.

    Attributes:
        text: The beginning of a message of this run; of any other text, which may be anybody's, only its digest.
    """

    member: str
    room: str
    text: str
    origin: str
    at: float


class Ledger:
    """Everything a run attempted, was told and received.

    Args:
        run: Short name, unique to the run; a message of another run is unexpected.
        began_at: When the run began, monotonic seconds; examples count from here.
        terms: The time that the stage is granted.
        latency: Records delivery times.

    Attributes:
        latency: Delivery times of first copies, from the intended send time.
        ended_at: When the run stopped waiting, before its clients departed, monotonic seconds.
        slowest: Seconds that the slowest delivery took from its sending, whenever it was due.
        unsent: Due messages that no connected client could send.
    """

    def __init__(
        self, run: str, began_at: float = 0.0, terms: Terms | None = None, latency: Latency | None = None
    ) -> None:
        self.run = run
        self.began_at = began_at
        self.terms = terms or Terms()
        self.latency = latency or Latency()
        self.ended_at = math.inf
        self.slowest = 0.0
        self.unsent = 0
        self._token = checksum(run)
        self._rooms: dict[str, Room] = {}
        self._stray_examples: list[Stray] = []
        self._plain: dict[str, Reading | None] = {}

    def member(self, room: str, name: str) -> Member:
        """Add a connection before its handshake begins; the caller sets the times on it."""
        members = self._room(room).members
        member = Member(room, name, len(members))
        members.append(member)
        return member

    def connection(self, room: str, name: str) -> Member:
        """Add a connection of a client that is a member itself, in a room that may keep its messages."""
        connections = self._room(room).connections
        connection = Member(room, name, len(connections))
        connections.append(connection)
        return connection

    def posted(self, connection: Member, text: str, number: Number | None, *, kept: bool = False) -> bool:
        """Record that a connection was posted a message.

        Args:
            connection: Of a client whose messages :meth:`receive` records.
            text: The message's text.
            number: Its number in the room, if it has one.
            kept: Whether the client has asked for it, so that it is none of the posts that a receipt counts.

        Returns:
            Whether the text is a message to this room; others are for :meth:`receive` to record.
        """
        reading = self._own(text)
        if reading is None or reading.stamp.room != connection.room:
            return False
        bit = 0 if kept else connection.bit
        self.sender(connection.room, reading.stamp.sender).post(reading.stamp.sequence, bit, number)
        return True

    def sender(self, room: str, name: str) -> Sender:
        """Return the sender of that name in a room, a new one the first time.

        Raises:
            ValueError: A name is empty, too long, or contains the character that separates the parts of a stamp.
        """
        return self._room(room).sender(name)

    def in_plain_words(self, text: str, words: str) -> str:
        """Return other words to send instead of a message's text, which from now on identify it.

        Args:
            text: A stamped text that :meth:`Sender.attempt` returned.
            words: Sent once by the run, because they carry no stamp.
        """
        self._plain[words] = read(text)
        return words

    def receive(
        self, member: Member, text: str, at: float, *, kept: bool = False, numbered: bool = False
    ) -> Stamp | None:
        """Record that a member received a text of any kind.

        Args:
            member: The member that received it.
            text: The text.
            at: When it came, monotonic seconds.
            kept: Whether the room had kept it for a member that was away, so that the time says nothing.
            numbered: Whether the room numbers its messages, and so promises their order.

        Returns:
            The stamp, if it is a message to this room that the member had not received before.
        """
        reading = self._own(text)
        if reading is None:
            self.stray(member, FOREIGN, text, at)
            return None
        stamp = reading.stamp
        if stamp.room != member.room:
            self.stray(member, f"{stamp.room}{SEPARATOR}{stamp.sender}", text, at)
            return None
        sender = self.sender(stamp.room, stamp.sender)
        if reading.difference:
            sender.alter(stamp.sequence, f"{member.name} received {reading.difference}")
        if not sender.receive(stamp.sequence, member.bit):
            return None
        if not kept:
            self.latency.record(at - stamp.intended_at)
            took = at - stamp.sent_at
            self.slowest = max(self.slowest, took)
            if took > self.terms.late_after:
                add_bits(sender.late, stamp.sequence, member.bit)
        if self.terms.ordered or numbered:
            member.arrivals.append(stamp)
        return stamp

    def stray(self, member: Member, origin: str, text: str, at: float) -> None:
        """Record that a member received a text that was not meant for it.

        Args:
            member: The member that received it.
            origin: ``room|sender`` where it came from, or why it is no message of this run.
            text: The text.
            at: When it came, monotonic seconds.
        """
        self._room(member.room).strays[origin] += 1
        if len(self._stray_examples) < EXAMPLES:
            shown = repr(beginning(text)) if self._own(text) else digest(text)
            self._stray_examples.append(Stray(member.name, member.room, shown, origin, at))

    def merge(self, other: Ledger) -> None:
        """Add the ledger of another process of the same run, which is used up by it.

        Raises:
            ValueError: A sender of one name sent from both, or the two are of different runs.
        """
        if other.run != self.run:
            raise ValueError(f"ledgers of the runs {self.run} and {other.run} cannot be merged")
        for name, room in other._rooms.items():
            self._room(name).merge(room)
        self._stray_examples += other._stray_examples
        self.slowest = max(self.slowest, other.slowest)
        self.unsent += other.unsent
        self.latency.merge(other.latency)

    def without_latency(self) -> Ledger:
        """Return a ledger with the same verdict that is quicker to send to another process."""
        twin = copy.copy(self)
        twin.latency = Latency(self.latency.interval)
        return twin

    def verdict(self) -> Verdict:
        """Judge all records so far; call it when the last frames have had their time to arrive."""
        rooms: dict[str, Tally] = {}
        senders: defaultdict[str, Tally] = defaultdict(Tally)
        examples = self._examples()
        unposted = 0
        for name, room in self._rooms.items():
            judge = Judge(room, self.terms, self.ended_at, self.slowest, examples)
            rooms[name] = Tally(unexpected=room.strays.total())
            for sender_name, sender in room.senders.items():
                tally = judge.tally(sender)
                rooms[name] += tally
                senders[f"{name}{SEPARATOR}{sender_name}"] += tally
            unposted += judge.unposted
            for origin, strays in room.strays.items():
                senders[origin] += Tally(unexpected=strays)
        total = sum(rooms.values(), Tally(unsent=self.unsent))
        members = [member for room in self._rooms.values() for member in room.connections or room.members]
        broken = sum(member.broken for member in members)
        outstanding = total.outstanding + unposted
        return Verdict(
            total, rooms, dict(senders), len(members), broken, examples.sentences, self._is_ordered, outstanding
        )

    @property
    def _is_ordered(self) -> bool:
        """Whether the order was promised, by the terms or by the numbers of messages."""
        return self.terms.ordered or any(each.arrivals for room in self._rooms.values() for each in room.members)

    def _examples(self) -> Examples:
        """Return sentences about the faults that concern no message of a sender."""
        examples = Examples(self.began_at)
        if self.unsent:
            examples.add("unsent", f"{self.unsent} messages were due while no client was connected to send them")
        for stray in self._stray_examples:
            received = f"{stray.member} in room {stray.room} received {stray.text}"
            examples.add("unexpected", f"{received} {examples.clock(stray.at)} ({stray.origin})")
        return examples

    def _own(self, text: str) -> Reading | None:
        """Return the message of this run that a text is; None for any other text."""
        reading = self._plain.get(text) or read(text)
        return reading if reading is not None and reading.stamp.run == self._token else None

    def _room(self, name: str) -> Room:
        if name not in self._rooms:
            self._rooms[name] = Room(self._token, name)
        return self._rooms[name]
