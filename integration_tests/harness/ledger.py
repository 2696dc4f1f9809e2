"""What a run proves, in the words of Jepsen's set checker: of all messages attempted, acknowledged and received.

A message is an element that its sender adds to the set of its room; every member of the room is one reader.

=============  ========================================================================================
attempted      a send was begun
acknowledged   its receipt came and named no failed delivery
failed         the sender was told that it did not reach everybody (a receipt with failures, or an error)
unanswered     the sender was told nothing: the message may or may not have been delivered
recovered      failed or unanswered, but received by somebody
expected       deliveries owed: one per message and member whose membership surely spans the message
delivered      deliveries that took place, each counted once
lost           owed by an acknowledged message, and not delivered
missing        owed by a failed or unanswered message, and not delivered
duplicated     further copies of a delivery
unexpected     received from another room, or never sent by anybody in this run
=============  ========================================================================================

A membership surely spans a message if the handshake had ended before the send began, and the client began to close
only after the message's receipt had come and its frames had had ``transit`` seconds to arrive. At either edge the
client *may* receive the message, and nothing is concluded.

Every delivery costs one bit: a message keeps one integer whose bit n says that member n of the room received it. A
room of 2,000 members with 10,000 messages, 20 million deliveries, takes some 4 MB.
"""

from __future__ import annotations

import math
import re
from array import array
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from itertools import accumulate
from operator import or_
from typing import TYPE_CHECKING, NamedTuple

from integration_tests.harness.latency import MICROSECONDS, Latency

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SEPARATOR = "|"
EXAMPLES = 10
"""Of each kind of finding."""
FOREIGN = "not a message of this run"


@dataclass(slots=True, eq=False)
class Member:
    """One connection in its room; a client that reconnects is a new member.

    Attributes:
        room: Name of the room.
        name: What examples call this client.
        number: Its place among the room's members.
        joined_at: When its handshake ended, monotonic seconds; infinite if it never did.
        leaving_at: When the client began to close; infinite if it never did.
        left_at: When the connection was gone; infinite while it is open.
        bit: The one that is set in a message it received.
    """

    room: str
    name: str
    number: int
    joined_at: float = math.inf
    leaving_at: float = math.inf
    left_at: float = math.inf
    bit: int = field(init=False)

    def __post_init__(self) -> None:
        self.bit = 1 << self.number

    @property
    def broken(self) -> bool:
        """Whether the connection went without the client having closed it."""
        return self.left_at < self.leaving_at


class Attempt(NamedTuple):
    """One message about to be sent.

    Attributes:
        sequence: Its number, counted from 0 for each sender.
        text: What to send as ``data``; anything may be appended to reach a size.
    """

    sequence: int
    text: str


class Stamp(NamedTuple):
    """What the text of a message says about it."""

    run: str
    room: str
    sender: str
    sequence: int
    intended_at: float


STAMP = re.compile(r"([^|]*)\|([^|]*)\|([^|]*)\|(\d{1,12})\|(\d{1,18})\|")


@lru_cache(maxsize=256)  # all members of a room receive the same text
def read_stamp(text: str) -> Stamp | None:
    """Take apart the text of an :class:`Attempt`; None if it is none."""
    if (match := STAMP.match(text)) is None:
        return None
    run, room, sender, sequence, intended_at = match.groups()
    return Stamp(run, room, sender, int(sequence), int(intended_at) / MICROSECONDS)


class Sender:
    """The messages of one sender in one room; kept when its connection is replaced by a new one.

    Args:
        prefix: Start of every message text: run, room and sender.
    """

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.sent_at = array("d")
        self.answered_at = array("d")
        self.failed: set[int] = set()
        self.seen: dict[int, int] = {}
        self.copies: Counter[int] = Counter()
        self.repeated: dict[int, int] = {}

    def attempt(self, intended_at: float, at: float) -> Attempt:
        """Note that a send begins, immediately before it does.

        Args:
            intended_at: When the schedule wanted the message sent, monotonic seconds; latency counts from here.
            at: The time now, monotonic seconds.
        """
        sequence = len(self.sent_at)
        self.sent_at.append(at)
        self.answered_at.append(math.inf)
        microseconds = round(intended_at * MICROSECONDS)
        return Attempt(sequence, f"{self.prefix}{sequence}{SEPARATOR}{microseconds}{SEPARATOR}")

    def acknowledge(self, sequence: int, at: float) -> None:
        """Note that a receipt came at ``at`` (monotonic seconds) and named no failed delivery."""
        self.answered_at[sequence] = at

    def fail(self, sequence: int) -> None:
        """Note that a receipt named failed deliveries, or that an error came instead."""
        self.failed.add(sequence)

    def acknowledged(self, sequence: int) -> bool:
        """Whether the system claims to have delivered this message to everybody."""
        return self.answered_at[sequence] < math.inf and sequence not in self.failed

    def receive(self, sequence: int, bit: int) -> bool:
        """Note that the member with this bit received a message; return whether it is the first copy."""
        seen = self.seen.get(sequence, 0)
        if seen & bit:
            self.copies[sequence] += 1
            self.repeated[sequence] = self.repeated.get(sequence, 0) | bit
            return False
        self.seen[sequence] = seen | bit
        return True

    def merge(self, other: Sender, shift: int) -> None:
        """Add what another process knows of this sender; its members' bits move up by ``shift``."""
        if self.sent_at and other.sent_at:
            raise ValueError(f"sender {self.prefix!r} sent from two processes; each needs a name of its own")
        self.sent_at.extend(other.sent_at)
        self.answered_at.extend(other.answered_at)
        self.failed |= other.failed
        self.copies += other.copies
        for mine, theirs in ((self.seen, other.seen), (self.repeated, other.repeated)):
            for sequence, mask in theirs.items():
                mine[sequence] = mine.get(sequence, 0) | mask << shift


@dataclass
class Room:
    """Members and senders of one room, and what its members received though nobody sent it to them."""

    members: list[Member] = field(default_factory=list)
    senders: dict[str, Sender] = field(default_factory=dict)
    strays: Counter[str] = field(default_factory=Counter)

    def merge(self, name: str, other: Room, ledger: Ledger) -> None:
        """Add what another process saw of this room."""
        shift = len(self.members)
        for member in other.members:
            self.members.append(replace(member, number=member.number + shift))
        for sender_name, sender in other.senders.items():
            ledger.sender(name, sender_name).merge(sender, shift)
        self.strays += other.strays


@dataclass(frozen=True)
class Tally:
    """Counts of messages (attempted to recovered) and deliveries (the rest), as the module explains."""

    attempted: int = 0
    acknowledged: int = 0
    failed: int = 0
    unanswered: int = 0
    recovered: int = 0
    expected: int = 0
    delivered: int = 0
    lost: int = 0
    missing: int = 0
    duplicated: int = 0
    unexpected: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))

    @property
    def clean(self) -> bool:
        """Whether nothing was lost, missing, duplicated or unexpected."""
        return not (self.lost or self.missing or self.duplicated or self.unexpected)


@dataclass(frozen=True)
class Verdict:
    """The outcome of a run.

    Attributes:
        total: Everything together.
        rooms: By the room whose members were concerned: what leaked counts where it arrived.
        senders: By ``room|sender``: what leaked counts where it came from.
        members: Connections that were, or tried to become, a member of a room.
        broken: Connections that went without the client having closed them.
        examples: Sentences about what went wrong, up to 10 of each kind.
    """

    total: Tally
    rooms: dict[str, Tally]
    senders: dict[str, Tally]
    members: int
    broken: int
    examples: list[str]


class Ledger:
    """Everything a run attempted, was told and received.

    Args:
        run: Short name, unique to the run; a message of another run is unexpected.
        began_at: When the run began, monotonic seconds; examples count from here.
        transit: Seconds that the frames of an acknowledged message may still take to a client.
        latency: Where delivery times go.

    Attributes:
        latency: Delivery times of first copies, from the intended send time.
    """

    def __init__(self, run: str, began_at: float = 0.0, transit: float = 2.0, latency: Latency | None = None) -> None:
        self.run = run
        self.began_at = began_at
        self.transit = transit
        self.latency = latency or Latency()
        self._rooms: dict[str, Room] = {}
        self._stray_examples: list[str] = []

    def member(self, room: str, name: str) -> Member:
        """Add a connection before its handshake begins; the caller sets the times on it."""
        members = self._room(room).members
        member = Member(room, name, len(members))
        members.append(member)
        return member

    def sender(self, room: str, name: str) -> Sender:
        """Return the sender of that name in a room, a new one the first time.

        Raises:
            ValueError: A name contains the character that separates the parts of a message's text.
        """
        senders = self._room(room).senders
        if name not in senders:
            if SEPARATOR in self.run + room + name:
                raise ValueError(f"run, room and sender must not contain {SEPARATOR!r}: {self.run}, {room}, {name}")
            senders[name] = Sender(SEPARATOR.join((self.run, room, name, "")))
        return senders[name]

    def receive(self, member: Member, text: str, at: float) -> None:
        """Note that a member received a text at ``at`` (monotonic seconds); whatever it is, it is accounted for."""
        stamp = read_stamp(text)
        if stamp is None or stamp.run != self.run:
            self._stray(member, FOREIGN, text)
        elif stamp.room != member.room:
            self._stray(member, f"{stamp.room}{SEPARATOR}{stamp.sender}", text)
        elif self.sender(stamp.room, stamp.sender).receive(stamp.sequence, member.bit):
            self.latency.record(at - stamp.intended_at)

    def merge(self, other: Ledger) -> None:
        """Add the ledger of another process of the same run, which is used up by it.

        Raises:
            ValueError: A sender of one name sent from both, or the two are of different runs.
        """
        if other.run != self.run:
            raise ValueError(f"ledgers of the runs {self.run} and {other.run} cannot be merged")
        for name, room in other._rooms.items():
            self._room(name).merge(name, room, self)
        self._stray_examples += other._stray_examples
        self.latency.merge(other.latency)

    def verdict(self) -> Verdict:
        """Judge everything noted so far; call it when the last frames have had their time to arrive."""
        rooms: dict[str, Tally] = {}
        senders: defaultdict[str, Tally] = defaultdict(Tally)
        examples = self._stray_examples[:EXAMPLES]
        for name, room in self._rooms.items():
            judge = _Judge(room, self, examples)
            rooms[name] = Tally(unexpected=room.strays.total())
            for sender_name, sender in room.senders.items():
                tally = judge.tally(sender)
                rooms[name] += tally
                senders[f"{name}{SEPARATOR}{sender_name}"] += tally
            for origin, strays in room.strays.items():
                senders[origin] += Tally(unexpected=strays)
        members = [member for room in self._rooms.values() for member in room.members]
        broken = sum(member.broken for member in members)
        return Verdict(sum(rooms.values(), Tally()), rooms, dict(senders), len(members), broken, examples)

    def _room(self, name: str) -> Room:
        if name not in self._rooms:
            self._rooms[name] = Room()
        return self._rooms[name]

    def _stray(self, member: Member, origin: str, text: str) -> None:
        self._room(member.room).strays[origin] += 1
        if len(self._stray_examples) < EXAMPLES:
            self._stray_examples.append(
                f"unexpected: {member.name} in room {member.room} received {text[:80]!r} ({origin})"
            )


class _Judge:
    """Tells what one room's senders owed to its members, by looking at who was surely a member when."""

    def __init__(self, room: Room, ledger: Ledger, examples: list[str]) -> None:
        self.room = room
        self.ledger = ledger
        self.examples = examples
        self._joined_at, self._joined = _masks((member.joined_at, member.bit) for member in room.members)
        self._gone_at, self._gone = _masks(
            (min(member.leaving_at, member.left_at), member.bit) for member in room.members
        )

    def tally(self, sender: Sender) -> Tally:
        """Judge all messages of one sender."""
        counts = Counter[str](attempted=len(sender.sent_at))
        for sequence in range(len(sender.sent_at)):
            self._message(sender, sequence, counts)
        for sequence, seen in sender.seen.items():
            if sequence < len(sender.sent_at):
                counts["delivered"] += seen.bit_count()
            else:
                counts["unexpected"] += seen.bit_count()
                self._example("unexpected", sender, sequence, seen, "which was never sent")
        for sequence, copies in sender.copies.items():
            counts["duplicated"] += copies
            self._example("duplicated", sender, sequence, sender.repeated[sequence], f"further copies: {copies}")
        return Tally(**counts)

    def _message(self, sender: Sender, sequence: int, counts: Counter[str]) -> None:
        acknowledged = sender.acknowledged(sequence)
        settled_at = sender.answered_at[sequence] + self.ledger.transit if acknowledged else math.inf
        owed = self._surely_members(sender.sent_at[sequence], settled_at)
        seen = sender.seen.get(sequence, 0)
        absent = owed & ~seen
        counts["expected"] += owed.bit_count()
        if acknowledged:
            counts["acknowledged"] += 1
        else:
            counts["failed" if sequence in sender.failed else "unanswered"] += 1
            counts["recovered"] += seen > 0
        if absent:
            finding = "lost" if acknowledged else "missing"
            counts[finding] += absent.bit_count()
            self._example(
                finding, sender, sequence, absent, f"sent at {sender.sent_at[sequence] - self.ledger.began_at:.3f} s"
            )

    def _surely_members(self, sent_at: float, settled_at: float) -> int:
        joined = self._joined[bisect_right(self._joined_at, sent_at)]
        return joined & ~self._gone[bisect_left(self._gone_at, settled_at)]

    def _example(self, finding: str, sender: Sender, sequence: int, mask: int, detail: str) -> None:
        if sum(example.startswith(finding) for example in self.examples) < EXAMPLES:
            _, room, name, _ = sender.prefix.split(SEPARATOR)
            names = [self.room.members[number].name for number in _bits(mask)]
            whom = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
            self.examples.append(f"{finding}: message {sequence} of {name} in room {room}, {detail}: {whom}")


def _masks(events: Iterable[tuple[float, int]]) -> tuple[list[float], list[int]]:
    """Return the times at which something happened to members, and after the n first of them the bits concerned."""
    happened = sorted(event for event in events if event[0] < math.inf)
    return [at for at, _ in happened], [0, *accumulate((bit for _, bit in happened), or_)]


def _bits(mask: int) -> Iterator[int]:
    while mask:
        lowest = mask & -mask
        yield lowest.bit_length() - 1
        mask ^= lowest
