"""The records of a room: its members, its senders, and the state of each message."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from integration_tests.harness.latency import MICROSECONDS
from integration_tests.harness.ledger.texts import LONGEST_NAME, SEPARATOR, Stamp

if TYPE_CHECKING:
    from collections.abc import MutableMapping


class Counts(NamedTuple):
    """How many members a receipt says a message reached, came too late for, and could not be delivered to."""

    delivered: int
    gone: int
    failed: int


class Number(NamedTuple):
    """The number of a message in its room, which counts from 1 in each life (``epoch``) of the room's log."""

    epoch: str
    seq: int


NO_COUNTS = Counts(-1, -1, -1)
"""Stands for a receipt that lacks its counts."""


@dataclass(slots=True, eq=False)
class Member:
    """One connection in its room; a client that reconnects is a new member.

    In rooms that keep their messages, a member is a client, which is owed what it missed while it was away, and its
    connections are recorded beside it: :attr:`Room.connections`.

    Attributes:
        room: Name of the room.
        name: Name of the client in examples.
        number: Its place among the room's members.
        joined_at: When its handshake ended, monotonic seconds; infinite if it never did.
        leaving_at: When the client began to close; infinite if it never did.
        left_at: When the connection was gone; infinite while it is open.
        asked_at: When its handshake began, if that is known; from then on it may be counted as a member.
        gaps: Times (from, to) of its absences after which it was told that messages may be missing, monotonic seconds.
        arrivals: Its deliveries in order, where a run checks the order.
        bit: The bit that stands for this member in the masks of messages.
    """

    room: str
    name: str
    number: int
    joined_at: float = math.inf
    leaving_at: float = math.inf
    left_at: float = math.inf
    asked_at: float = -math.inf
    gaps: list[tuple[float, float]] = field(default_factory=list)
    arrivals: list[Stamp] = field(default_factory=list)
    bit: int = field(init=False)

    def __post_init__(self) -> None:
        self.bit = 1 << self.number

    @property
    def broken(self) -> bool:
        """Whether the connection ended although the client had not closed it."""
        return self.left_at < self.leaving_at


class Attempt(NamedTuple):
    """One message about to be sent.

    Attributes:
        sequence: Its number, counted from 0 for each sender.
        text: The ``data`` to send.
    """

    sequence: int
    text: str


class Sender:
    """The messages of one sender in one room; kept when a new connection replaces its old one.

    Args:
        run: Token of the run.
        room: Name of the room.
        name: Name of the sender.
    """

    def __init__(self, run: str, room: str, name: str) -> None:
        self.run = run
        self.room = room
        self.name = name
        self.sent_at = array("d")
        self.answered_at = array("d")
        self.failed: set[int] = set()
        self.queued: set[int] = set()
        self.abandoned_at: dict[int, float] = {}
        self.counts: dict[int, Counts] = {}
        self.receipts_repeated: Counter[int] = Counter()
        self.receipts_unknown: Counter[str] = Counter()
        self.seen: dict[int, int] = {}
        self.copies: Counter[int] = Counter()
        self.repeated: dict[int, int] = {}
        self.late: dict[int, int] = {}
        self.altered: Counter[int] = Counter()
        self.differences: dict[int, str] = {}
        self.interrupted: set[int] = set()
        self.posted: dict[int, int] = {}
        self.numbers: dict[int, set[Number]] = {}
        self.said: dict[int, set[Number]] = {}
        self.names: Counter[str] = Counter()

    def attempt(self, intended_at: float, at: float, size: int = 0) -> Attempt:
        """Record that a send begins, immediately before it does.

        Args:
            intended_at: When the schedule wanted the message sent, monotonic seconds; latency counts from here.
            at: The time now, monotonic seconds.
            size: Characters of the text; the stamps and the probe need some 200, and no text is shorter.
        """
        sequence = len(self.sent_at)
        self.sent_at.append(at)
        self.answered_at.append(math.inf)
        due, waited = round(intended_at * MICROSECONDS), max(0, round((at - intended_at) * MICROSECONDS))
        stamp = Stamp(self.run, self.room, self.name, sequence, due, waited, size)
        return Attempt(sequence, stamp.text())

    def acknowledge(self, sequence: int, at: float, counts: Counts | None = None, *, queued: bool = False) -> None:
        """Record that a receipt came.

        Args:
            sequence: The message's number.
            at: When it came, monotonic seconds.
            counts: The receipt's counts, if it has any to check; after failed deliveries call :meth:`fail` too.
            queued: Whether the receipt says only that the message is queued.
        """
        self.answered_at[sequence] = at
        self.failed.discard(sequence)  # an error had been taken for its answer
        if counts is not None:
            self.counts[sequence] = counts
        if queued:
            self.queued.add(sequence)

    def fail(self, sequence: int) -> None:
        """Record that a receipt named failed deliveries, or that an error came instead."""
        self.failed.add(sequence)

    def abandon(self, sequence: int, at: float) -> None:
        """Record that the client left by its own will at ``at`` (monotonic seconds), before it had an answer."""
        self.abandoned_at[sequence] = at

    def post(self, sequence: int, bit: int, number: Number | None) -> None:
        """Record that the connection with this bit was posted a message, under its number in the room if it has one."""
        add_bits(self.posted, sequence, bit)
        if number is not None:
            self.numbers.setdefault(sequence, set()).add(number)

    def say(self, sequence: int, number: Number) -> None:
        """Record that a receipt says under which number a message is stored."""
        self.said.setdefault(sequence, set()).add(number)

    def call(self, name: str) -> None:
        """Record that a delivery named this sender so, in a run in which each connection has a name of its own."""
        self.names[name] += 1

    def sent(self, sequence: int) -> bool:
        """Whether this sender sent a message of that number."""
        return sequence < len(self.sent_at)

    def acknowledged(self, sequence: int) -> bool:
        """Whether the stage claims to have delivered this message to every member."""
        return self.answered_at[sequence] < math.inf and sequence not in self.failed

    def receive(self, sequence: int, bit: int) -> bool:
        """Record that the member with this bit received a message; return whether it is the first copy."""
        seen = self.seen.get(sequence, 0)
        if seen & bit:
            self.copies[sequence] += 1
            add_bits(self.repeated, sequence, bit)
            return False
        self.seen[sequence] = seen | bit
        return True

    def alter(self, sequence: int, difference: str) -> None:
        """Record that a text arrived that differs from the one that was sent."""
        self.altered[sequence] += 1
        self.differences.setdefault(sequence, difference)

    def merge(self, other: Sender, shift: int, shift_of_connections: int) -> None:
        """Add the records of another process about this sender; bits of members and of connections move up.

        Raises:
            ValueError: The sender sent from both processes.
        """
        if self.sent_at and other.sent_at:
            raise ValueError(
                f"sender {self.name!r} of room {self.room!r} sent from two processes; each needs a name of its own"
            )
        self.sent_at.extend(other.sent_at)
        self.answered_at.extend(other.answered_at)
        self.failed |= other.failed
        self.queued |= other.queued
        self.abandoned_at |= other.abandoned_at
        self.interrupted |= other.interrupted
        self.counts |= other.counts
        self.receipts_repeated += other.receipts_repeated
        self.receipts_unknown += other.receipts_unknown
        self.copies += other.copies
        self.altered += other.altered
        self.differences = other.differences | self.differences
        self.names += other.names
        for mine, theirs in ((self.seen, other.seen), (self.repeated, other.repeated), (self.late, other.late)):
            for sequence, mask in theirs.items():
                add_bits(mine, sequence, mask << shift)
        for sequence, mask in other.posted.items():
            add_bits(self.posted, sequence, mask << shift_of_connections)
        for numbers, others in ((self.numbers, other.numbers), (self.said, other.said)):
            for sequence, found in others.items():
                numbers.setdefault(sequence, set()).update(found)


def add_bits(masks: MutableMapping[int, int], sequence: int, bits: int) -> None:
    """Add members to the mask of a message."""
    masks[sequence] = masks.get(sequence, 0) | bits


@dataclass
class Room:
    """Members and senders of one room.

    Attributes:
        token: Token of the run.
        name: Name of the room.
        members: Every connection, in the order in which they were added; clients in rooms that keep their messages.
        connections: In such rooms, every connection; empty in others.
        senders: By name.
        strays: Texts that members received although no sender of this room sent them, by origin.
    """

    token: str
    name: str
    members: list[Member] = field(default_factory=list)
    connections: list[Member] = field(default_factory=list)
    senders: dict[str, Sender] = field(default_factory=dict)
    strays: Counter[str] = field(default_factory=Counter)

    def sender(self, name: str) -> Sender:
        """Return the sender of that name, a new one the first time.

        Raises:
            ValueError: A name is empty, too long, or contains the character that separates the parts of a stamp.
        """
        if name not in self.senders:
            if SEPARATOR in self.name + name:
                raise ValueError(f"room and sender must not contain {SEPARATOR!r}: {self.name}, {name}")
            if not all(0 < len(each) <= LONGEST_NAME for each in (self.name, name)):
                raise ValueError(f"room and sender must have 1 to {LONGEST_NAME} characters: {self.name!r}, {name!r}")
            self.senders[name] = Sender(self.token, self.name, name)
        return self.senders[name]

    def merge(self, other: Room) -> None:
        """Add the records of another process about this room."""
        shift, shift_of_connections = len(self.members), len(self.connections)
        self.members += [replace(member, number=member.number + shift) for member in other.members]
        self.connections += [replace(each, number=each.number + shift_of_connections) for each in other.connections]
        for name, sender in other.senders.items():
            self.sender(name).merge(sender, shift, shift_of_connections)
        self.strays += other.strays
