"""What a run proves, in the words of Jepsen's set checker: of all messages attempted, acknowledged and received.

A message is an element that its sender adds to the set of its room; every member of the room is one reader.

=================  ====================================================================================
unsent             the schedule wanted a message sent, and no client was connected to send it
attempted          a send was begun
acknowledged       its receipt came and named no failed delivery
failed             the sender was told that it did not reach everybody (a receipt with failures, or an error)
unanswered         the sender was told nothing: the message may or may not have been delivered
abandoned          the sender left before it could expect an answer, so nothing is concluded about the message
recovered          failed, unanswered or abandoned, but received by somebody
expected           deliveries owed: one per message and member whose membership surely spans the message
delivered          deliveries that took place, each counted once
lost               owed by an acknowledged message, and not delivered
missing            owed by a failed or unanswered message, and not delivered
late               deliveries and answers that took longer than ``late_after`` seconds, and deliveries that had not
                   come at the end although others had taken longer than the run could wait for these
duplicated         further copies of a delivery
unexpected         received from another room, or never sent by anybody in this run, or received by a member whose
                   handshake began only when the message was settled
altered            deliveries whose text is not the text that was sent
reordered          deliveries that came before one whose message had been acknowledged earlier
receipts_counted   receipts that say how many members were reached, and so can be checked
receipts_wrong     receipts whose counts cannot be true
receipts_repeated  receipts for a message that had one already
receipts_unknown   receipts for a message that their receiver never sent
=================  ====================================================================================

A membership surely spans a message if the handshake had ended before the send began, and the client began to close
only after the message was settled. An acknowledged message is settled when ``transit`` seconds have passed since its
receipt, for its frames to arrive; any other when ``patience`` seconds have passed since it was sent; and every message
is settled when the run stops waiting (``ended_at``), so that clients that depart after that are owed all of them. At
either edge the client *may* receive the message, and nothing is concluded.

A delivery that has not come at the end is *lost* (or *missing*) if the run waited for it longer than any other delivery
took, and *late* if it did not: then it may still have been on its way.

A receipt's counts cannot be true if fewer members are counted as reached, or as failed, than have received the message;
if more are counted than can have been members; or if members that were there all the time are counted as gone.

Every delivery costs one bit: a message keeps one integer whose bit n says that member n of the room received it. A
room of 2,000 members with 10,000 messages, 20 million deliveries, takes some 4 MB. Only a run that checks the order
(``ordered``) keeps eight bytes for each delivery.
"""

from __future__ import annotations

import copy
import math
import re
import zlib
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
NO_QUESTION = "an error that answers no message of this client"
LONGEST_NAME = 80
"""Characters of a room's or sender's name; rooms of Roomcast have 64 at most."""
PROBE = " \"\\'<&>%41+\t\u00e9e\u0301\u6f22\U0001f600\u2028 "
"""Stands in every message: what escaping, trimming, normalising or encoding once more would change."""
POSTS_TO_THE_DEAD = 10.0
"""Seconds after the end of a connection in which a post to it may still be accepted, and so be counted as delivered."""


@dataclass(frozen=True)
class Terms:
    """What a run grants a stage before it calls something wrong. Times in seconds.

    Attributes:
        transit: How long the frames of an acknowledged message may still take to a client.
        queued_within: The same for a message whose receipt says only that it is queued.
        late_after: How long a delivery or an answer may take before it counts as late.
        patience: How long a message without a receipt is owed, and how long the run waits for anything.
        ordered: Whether the stage promises the order of a room's messages, so that it is checked.
    """

    transit: float = 2.0
    queued_within: float = 30.0
    late_after: float = math.inf
    patience: float = math.inf
    ordered: bool = False

    def scaled_by(self, factor: float) -> Terms:
        """Return the same with all times multiplied."""
        return replace(
            self,
            transit=factor * self.transit,
            queued_within=factor * self.queued_within,
            late_after=factor * self.late_after,
            patience=factor * self.patience,
        )


class Counts(NamedTuple):
    """How many members a receipt says a message was delivered to, was too late for, and could not be delivered to."""

    delivered: int
    gone: int
    failed: int


NO_COUNTS = Counts(-1, -1, -1)
"""Stands for a receipt whose counts are missing or are no counts."""


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
        asked_at: When its handshake began, if that is known; from then on it may be counted as a member.
        arrivals: What it received, in order, where a run checks the order.
        bit: The one that is set in a message it received.
    """

    room: str
    name: str
    number: int
    joined_at: float = math.inf
    leaving_at: float = math.inf
    left_at: float = math.inf
    asked_at: float = -math.inf
    arrivals: list[Stamp] = field(default_factory=list)
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
        text: What to send as ``data``.
    """

    sequence: int
    text: str


class Stamp(NamedTuple):
    """What the text of a message says about it.

    Attributes:
        run: A token of the run's name.
        room: Name of the room.
        sender: Name of the sender.
        sequence: The sender's number of the message.
        microseconds: When it was meant to be sent, of the monotonic clock.
        waited: Microseconds from then until its sending began.
        size: Characters that the whole text was meant to have.
    """

    run: str
    room: str
    sender: str
    sequence: int
    microseconds: int
    waited: int
    size: int

    @property
    def intended_at(self) -> float:
        """When the schedule wanted the message sent, monotonic seconds."""
        return self.microseconds / MICROSECONDS

    @property
    def sent_at(self) -> float:
        """When its sending began, monotonic seconds."""
        return (self.microseconds + self.waited) / MICROSECONDS

    def written(self) -> str:
        """Return the stamp as it stands in a text: its parts, and a checksum of them."""
        parts = SEPARATOR.join(map(str, self))
        return f"{parts}{SEPARATOR}{_checksum(parts)}{SEPARATOR}"

    def text(self) -> str:
        """Return the message: the stamp at both ends, so that either half says whose it is, and what fills it up."""
        stamp = self.written()
        filler = "." * (self.size - 2 * len(stamp) - len(PROBE) - 2)
        return f" {stamp}{PROBE}{filler}{stamp} "


class Reading(NamedTuple):
    """A text that arrived.

    Attributes:
        stamp: Of the message that it is, or once was.
        difference: How it differs from what was sent; nothing if it does not.
    """

    stamp: Stamp
    difference: str


STAMP = re.compile(
    rf"([0-9a-f]{{8}})\|([^|]{{1,{LONGEST_NAME}}})\|([^|]{{1,{LONGEST_NAME}}})\|(\d{{1,12}})\|(\d{{1,18}})\|(\d{{1,12}})\|(\d{{1,7}})\|([0-9a-f]{{8}})\|"
)


def _checksum(text: str) -> str:
    return f"{zlib.crc32(text.encode()):08x}"


@lru_cache(maxsize=256)  # all members of a room receive the same text
def read(text: str) -> Reading | None:
    """Take apart the text of an :class:`Attempt`, also where it was altered on its way; None if it is none."""
    for match in STAMP.finditer(text):
        run, room, sender, sequence, *numbers, checksum = match.groups()
        if checksum == _checksum(match[0][: -len(checksum) - 2]):
            stamp = Stamp(run, room, sender, int(sequence), *map(int, numbers))
            return Reading(stamp, difference(stamp.text(), text))
    return None


def difference(sent: str, received: str) -> str:
    """Say how a received text differs from the one that was sent; nothing if it does not."""
    if sent == received:
        return ""
    place = next((at for at, pair in enumerate(zip(sent, received, strict=False)) if pair[0] != pair[1]), None)
    lengths = "" if len(sent) == len(received) else f", {len(received)} characters instead of {len(sent)}"
    if place is None:
        return f"what it should{lengths}"
    return (
        f"{received[place : place + 12]!r} instead of {sent[place : place + 12]!r} from character {place} on{lengths}"
    )


class Sender:
    """The messages of one sender in one room; kept when its connection is replaced by a new one.

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

    def attempt(self, intended_at: float, at: float, size: int = 0) -> Attempt:
        """Note that a send begins, immediately before it does.

        Args:
            intended_at: When the schedule wanted the message sent, monotonic seconds; latency counts from here.
            at: The time now, monotonic seconds.
            size: Characters of the text; it is never shorter than what accounting for it needs (some 200).
        """
        sequence = len(self.sent_at)
        self.sent_at.append(at)
        self.answered_at.append(math.inf)
        due, waited = round(intended_at * MICROSECONDS), max(0, round((at - intended_at) * MICROSECONDS))
        stamp = Stamp(self.run, self.room, self.name, sequence, due, waited, size)
        return Attempt(sequence, stamp.text())

    def acknowledge(self, sequence: int, at: float, counts: Counts | None = None, *, queued: bool = False) -> None:
        """Note that a receipt came.

        Args:
            sequence: The message's number.
            at: When it came, monotonic seconds.
            counts: What it says, if that can be checked; it names no failed delivery, or :meth:`fail` is called too.
            queued: Whether it says only that the message is queued.
        """
        self.answered_at[sequence] = at
        self.failed.discard(sequence)  # an error had been taken for its answer
        if counts is not None:
            self.counts[sequence] = counts
        if queued:
            self.queued.add(sequence)

    def fail(self, sequence: int) -> None:
        """Note that a receipt named failed deliveries, or that an error came instead."""
        self.failed.add(sequence)

    def abandon(self, sequence: int, at: float) -> None:
        """Note that the client left by its own will at ``at`` (monotonic seconds), while it had no answer."""
        self.abandoned_at[sequence] = at

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

    def alter(self, sequence: int, difference: str) -> None:
        """Note that a text arrived that is not the one that was sent."""
        self.altered[sequence] += 1
        self.differences.setdefault(sequence, difference)

    def merge(self, other: Sender, shift: int) -> None:
        """Add what another process knows of this sender; its members' bits move up by ``shift``."""
        if self.sent_at and other.sent_at:
            raise ValueError(
                f"sender {self.name!r} of room {self.room!r} sent from two processes; each needs a name of its own"
            )
        self.sent_at.extend(other.sent_at)
        self.answered_at.extend(other.answered_at)
        self.failed |= other.failed
        self.queued |= other.queued
        self.abandoned_at |= other.abandoned_at
        self.counts |= other.counts
        self.receipts_repeated += other.receipts_repeated
        self.receipts_unknown += other.receipts_unknown
        self.copies += other.copies
        self.altered += other.altered
        self.differences = other.differences | self.differences
        for mine, theirs in ((self.seen, other.seen), (self.repeated, other.repeated), (self.late, other.late)):
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
    """Counts of messages (unsent to recovered), deliveries (expected to reordered) and receipts: see the module."""

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
        """Whether nothing went wrong; :attr:`empty` says whether anything went right."""
        return not any(getattr(self, finding) for finding in FINDINGS)

    @property
    def outstanding(self) -> int:
        """Deliveries that are owed and have not come."""
        return self.lost + self.missing

    @property
    def empty(self) -> bool:
        """Whether nothing was acknowledged or nothing was delivered, so that the run shows nothing."""
        return not (self.acknowledged and self.delivered)


FINDINGS = (
    *("unsent", "failed", "unanswered", "lost", "missing", "late", "duplicated", "unexpected", "altered", "reordered"),
    *("receipts_wrong", "receipts_repeated", "receipts_unknown"),
)
"""The counts that are 0 where nothing went wrong."""


@dataclass(frozen=True)
class Verdict:
    """The outcome of a run.

    Attributes:
        total: Everything together.
        rooms: By the room whose members were concerned: what leaked counts where it arrived.
        senders: By ``room|sender``: what leaked counts where it came from.
        members: Connections that were, or tried to become, a member of a room.
        broken: Connections that went without the client having closed them.
        examples: Sentences about what went wrong, up to 10 of each kind; times in them count from the run's start.
        ordered: Whether the order was checked.
    """

    total: Tally
    rooms: dict[str, Tally]
    senders: dict[str, Tally]
    members: int
    broken: int
    examples: list[str]
    ordered: bool = False


class Stray(NamedTuple):
    """An example of what was received though it was for somebody else."""

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
        terms: What is granted to the stage.
        latency: Where delivery times go.

    Attributes:
        latency: Delivery times of first copies, from the intended send time.
        ended_at: When the run stopped waiting, before its clients departed, monotonic seconds.
        unsent: Messages that were due and that no client was there to send.
    """

    def __init__(
        self, run: str, began_at: float = 0.0, terms: Terms | None = None, latency: Latency | None = None
    ) -> None:
        self.run = run
        self.began_at = began_at
        self.terms = terms or Terms()
        self.latency = latency or Latency()
        self.ended_at = math.inf
        self.unsent = 0
        self._token = _checksum(run)
        self._rooms: dict[str, Room] = {}
        self._stray_examples: list[Stray] = []

    def member(self, room: str, name: str) -> Member:
        """Add a connection before its handshake begins; the caller sets the times on it."""
        members = self._room(room).members
        member = Member(room, name, len(members))
        members.append(member)
        return member

    def sender(self, room: str, name: str) -> Sender:
        """Return the sender of that name in a room, a new one the first time.

        Raises:
            ValueError: A name is empty, too long, or contains the character that separates the parts of a stamp.
        """
        senders = self._room(room).senders
        if name not in senders:
            if SEPARATOR in room + name:
                raise ValueError(f"room and sender must not contain {SEPARATOR!r}: {room}, {name}")
            if not all(0 < len(each) <= LONGEST_NAME for each in (room, name)):
                raise ValueError(f"room and sender must have 1 to {LONGEST_NAME} characters: {room!r}, {name!r}")
            senders[name] = Sender(self._token, room, name)
        return senders[name]

    def receive(self, member: Member, text: str, at: float) -> Stamp | None:
        """Note that a member received a text; whatever it is, it is accounted for.

        Args:
            member: Who received it.
            text: What it was.
            at: When, monotonic seconds.

        Returns:
            The stamp, if it is a message to this room that the member had not received before.
        """
        reading = read(text)
        if reading is None or reading.stamp.run != self._token:
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
        self.latency.record(at - stamp.intended_at)
        if at - stamp.sent_at > self.terms.late_after:
            sender.late[stamp.sequence] = sender.late.get(stamp.sequence, 0) | member.bit
        if self.terms.ordered:
            member.arrivals.append(stamp)
        return stamp

    def stray(self, member: Member, origin: str, text: str, at: float) -> None:
        """Note that a member received what was for somebody else, or for nobody.

        Args:
            member: Who received it.
            origin: ``room|sender`` where it came from, or why it is no message of this run.
            text: What it was.
            at: When, monotonic seconds.
        """
        self._room(member.room).strays[origin] += 1
        if len(self._stray_examples) < EXAMPLES:
            self._stray_examples.append(Stray(member.name, member.room, text[:80], origin, at))

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
        self.unsent += other.unsent
        self.latency.merge(other.latency)

    def without_latency(self) -> Ledger:
        """Return what can be judged like this ledger and is quicker to send to another process."""
        twin = copy.copy(self)
        twin.latency = Latency(self.latency.interval)
        return twin

    def verdict(self) -> Verdict:
        """Judge everything noted so far; call it when the last frames have had their time to arrive."""
        rooms: dict[str, Tally] = {}
        senders: defaultdict[str, Tally] = defaultdict(Tally)
        examples = Examples(self.began_at)
        if self.unsent:
            examples.add("unsent", f"{self.unsent} messages were due while no client was connected to send them")
        for stray in self._stray_examples:
            received = f"{stray.member} in room {stray.room} received {stray.text!r}"
            examples.add("unexpected", f"{received} {examples.clock(stray.at)} ({stray.origin})")
        slowest = self.latency.total.at_percentiles([100])[0] / 1_000
        for name, room in self._rooms.items():
            judge = _Judge(room, self, slowest, examples)
            rooms[name] = Tally(unexpected=room.strays.total())
            for sender_name, sender in room.senders.items():
                tally = judge.tally(sender)
                rooms[name] += tally
                senders[f"{name}{SEPARATOR}{sender_name}"] += tally
            for origin, strays in room.strays.items():
                senders[origin] += Tally(unexpected=strays)
        members = [member for room in self._rooms.values() for member in room.members]
        broken = sum(member.broken for member in members)
        total = sum(rooms.values(), Tally(unsent=self.unsent))
        return Verdict(total, rooms, dict(senders), len(members), broken, examples.sentences, self.terms.ordered)

    def _room(self, name: str) -> Room:
        if name not in self._rooms:
            self._rooms[name] = Room()
        return self._rooms[name]


class Examples:
    """Sentences about what went wrong, a few of each kind.

    Args:
        began_at: When the run began, monotonic seconds.
    """

    def __init__(self, began_at: float) -> None:
        self.sentences: list[str] = []
        self._began_at = began_at
        self._counts: Counter[str] = Counter()

    def wanted(self, finding: str) -> bool:
        """Whether one more of this kind would be kept."""
        return self._counts[finding] < EXAMPLES

    def add(self, finding: str, sentence: str) -> None:
        """Keep a sentence about a finding, unless there are enough."""
        if self.wanted(finding):
            self._counts[finding] += 1
            self.sentences.append(f"{finding.replace('_', ' ')}: {sentence}")

    def clock(self, at: float) -> str:
        """Write a monotonic time as one since the start of the run."""
        return f"at {at - self._began_at:.3f} s"


class _Judge:
    """Tells what one room's senders owed to its members, by looking at who was surely a member when.

    Args:
        room: The room.
        ledger: What it belongs to.
        slowest: Seconds that the slowest delivery took; what was waited for no longer than that may still come.
        examples: Where sentences go.
    """

    def __init__(self, room: Room, ledger: Ledger, slowest: float, examples: Examples) -> None:
        self.room = room
        self.terms = ledger.terms
        self.ended_at = ledger.ended_at
        self.examples = examples
        self.slowest = slowest
        self._joined_at, self._joined = _masks((member.joined_at, member.bit) for member in room.members)
        self._gone_at, self._gone = _masks(
            (min(member.leaving_at, member.left_at), member.bit) for member in room.members
        )
        self._asked_at, self._asked = _masks((member.asked_at, member.bit) for member in room.members)
        self._dead_at = sorted(member.left_at + POSTS_TO_THE_DEAD for member in room.members)
        self._reordered = self._find_reordered() if ledger.terms.ordered else {}

    def tally(self, sender: Sender) -> Tally:
        """Judge all messages of one sender."""
        counts = Counter[str](attempted=len(sender.sent_at), reordered=self._reordered.get(sender.name, 0))
        for sequence in range(len(sender.sent_at)):
            self._message(sender, sequence, counts)
        for sequence, seen in sender.seen.items():
            if sequence < len(sender.sent_at):
                counts["delivered"] += seen.bit_count()
                if old := seen & ~self._may_be_members(sender, sequence):
                    counts["unexpected"] += old.bit_count()
                    self._example("unexpected", sender, sequence, "delivered to who joined long after it", old)
            else:
                counts["unexpected"] += seen.bit_count()
                self._example("unexpected", sender, sequence, "which was never sent", seen)
        for sequence, copies in sender.copies.items():
            counts["duplicated"] += copies
            self._example("duplicated", sender, sequence, f"further copies: {copies}", sender.repeated[sequence])
        for sequence, late in sender.late.items():
            counts["late"] += late.bit_count()
            self._example("late", sender, sequence, f"delivered more than {self.terms.late_after:g} s later", late)
        for sequence, texts in sender.altered.items():
            counts["altered"] += texts
            self._example("altered", sender, sequence, sender.differences[sequence])
        for sequence, receipts in sender.receipts_repeated.items():
            counts["receipts_repeated"] += receipts
            self._example("receipts_repeated", sender, sequence, f"further receipts: {receipts}")
        for message_id, receipts in sender.receipts_unknown.items():
            counts["receipts_unknown"] += receipts
            self.examples.add(
                "receipts_unknown",
                f"{sender.name} in room {sender.room} received a receipt for {message_id!r}, which it never sent",
            )
        return Tally(**counts)

    def _message(self, sender: Sender, sequence: int, counts: Counter[str]) -> None:
        sent_at, answered_at = sender.sent_at[sequence], sender.answered_at[sequence]
        acknowledged = sender.acknowledged(sequence)
        if acknowledged:
            transit = self.terms.queued_within if sequence in sender.queued else 0.0
            settled_at = answered_at + transit + self.terms.transit
        else:
            settled_at = sent_at + self.terms.patience
        abandoned = self._abandoned(sender, sequence)
        owed = 0 if abandoned else self._surely_members(sent_at, min(settled_at, self.ended_at))
        seen = sender.seen.get(sequence, 0)
        counts["expected"] += owed.bit_count()
        if acknowledged:
            counts["acknowledged"] += 1
        elif abandoned:
            counts["abandoned"] += 1
            counts["recovered"] += seen > 0
        else:
            self._unacknowledged(sender, sequence, counts)
            counts["recovered"] += seen > 0
        if answered_at < math.inf and answered_at - sent_at > self.terms.late_after:
            counts["late"] += 1
            self._example("late", sender, sequence, f"answered only {answered_at - sent_at:.3f} s later")
        if absent := owed & ~seen:
            self._absent(sender, sequence, absent, counts)
        if sequence in sender.counts:
            counts["receipts_counted"] += 1
            if untruth := self._untruth(sender, sequence):
                counts["receipts_wrong"] += 1
                self._example("receipts_wrong", sender, sequence, untruth)

    def _abandoned(self, sender: Sender, sequence: int) -> bool:
        """Whether the sender left without an answer before the answer would have been late."""
        if sequence in sender.failed or sender.acknowledged(sequence) or sequence not in sender.abandoned_at:
            return False
        return sender.abandoned_at[sequence] - sender.sent_at[sequence] <= self.terms.late_after

    def _unacknowledged(self, sender: Sender, sequence: int, counts: Counter[str]) -> None:
        finding = "failed" if sequence in sender.failed else "unanswered"
        counts[finding] += 1
        if sequence in sender.counts:
            detail = f"its receipt says failed: {sender.counts[sequence].failed}"
        else:
            detail = "answered by an error" if finding == "failed" else "no receipt and no error came"
        self._example(finding, sender, sequence, detail)

    def _absent(self, sender: Sender, sequence: int, absent: int, counts: Counter[str]) -> None:
        """Note deliveries that have not come."""
        waited = self.ended_at - sender.sent_at[sequence]
        acknowledged = sender.acknowledged(sequence)
        finding = "lost" if acknowledged else "missing"
        if waited < self.slowest:
            finding = "late"
        counts[finding] += absent.bit_count()
        detail = ""
        if acknowledged:
            detail = f", acknowledged {self.examples.clock(sender.answered_at[sequence])}"
        if self.ended_at < math.inf:
            detail += f", not there {waited:.3f} s after it was sent, when the run ended"
        if finding == "late":
            detail += f", though other deliveries took up to {self.slowest:.3f} s"
        self._example(finding, sender, sequence, detail.removeprefix(", "), absent)

    def _untruth(self, sender: Sender, sequence: int) -> str:
        """Say why the counts of a receipt cannot be true; nothing if they can."""
        sent_at, answered_at = sender.sent_at[sequence], sender.answered_at[sequence]
        counts = sender.counts[sequence]
        if min(counts) < 0:
            return "its receipt does not say how many members were reached"
        said = f"its receipt says {counts.delivered} delivered, {counts.gone} gone, {counts.failed} failed"
        asked = bisect_right(self._asked_at, answered_at)
        received = (sender.seen.get(sequence, 0) & self._asked[asked]).bit_count()
        if counts.delivered + counts.failed < received:
            return f"{said}, but {received} received it"
        alive = asked - bisect_left(self._dead_at, sent_at)
        if counts.delivered > alive:
            return f"{said}, but the room had no more than {alive} members"
        if sum(counts) > asked:
            return f"{said}, but the room has had no more than {asked} members"
        absent = asked - self._surely_members(sent_at, answered_at).bit_count()
        if counts.gone > absent:
            return f"{said}, but no more than {absent} can have been gone"
        return ""

    def _may_be_members(self, sender: Sender, sequence: int) -> int:
        """Return the members whose handshakes had begun when a message was settled."""
        if not sender.acknowledged(sequence):
            return -1
        settled_at = sender.answered_at[sequence] + self.terms.transit
        if sequence in sender.queued:
            settled_at = max(settled_at, sender.sent_at[sequence] + self.terms.patience) + self.terms.queued_within
        return self._asked[bisect_right(self._asked_at, settled_at)]

    def _surely_members(self, sent_at: float, settled_at: float) -> int:
        joined = self._joined[bisect_right(self._joined_at, sent_at)]
        return joined & ~self._gone[bisect_left(self._gone_at, settled_at)]

    def _find_reordered(self) -> Counter[str]:
        """Count by sender the deliveries that came after one whose sending began when theirs was acknowledged."""
        reordered: Counter[str] = Counter()
        for member in self.room.members:
            newest, newest_sent_at = None, -math.inf
            for stamp in member.arrivals:
                sender = self.room.senders[stamp.sender]
                if stamp.sequence >= len(sender.sent_at):
                    continue  # counted as unexpected
                if newest is not None and sender.acknowledged(stamp.sequence):
                    answered_at = sender.answered_at[stamp.sequence]
                    if answered_at < newest_sent_at:
                        reordered[stamp.sender] += 1
                        detail = (
                            f"acknowledged {self.examples.clock(answered_at)}, came after message {newest.sequence} of "
                            f"{newest.sender}, sent {self.examples.clock(newest_sent_at)}"
                        )
                        self._example("reordered", sender, stamp.sequence, detail, member.bit)
                if sender.sent_at[stamp.sequence] > newest_sent_at:
                    newest, newest_sent_at = stamp, sender.sent_at[stamp.sequence]
        return reordered

    def _example(self, finding: str, sender: Sender, sequence: int, detail: str, mask: int = 0) -> None:
        if not self.examples.wanted(finding):
            return
        sent = f"sent {self.examples.clock(sender.sent_at[sequence])}" if sequence < len(sender.sent_at) else ""
        parts = [f"message {sequence} of {sender.name} in room {sender.room}", sent, detail]
        sentence = ", ".join(part for part in parts if part)
        if mask:
            names = [self.room.members[number].name for number in _bits(mask)]
            sentence += f": {', '.join(names[:5])}" + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        self.examples.add(finding, sentence)


def _masks(events: Iterable[tuple[float, int]]) -> tuple[list[float], list[int]]:
    """Return the times at which something happened to members, and after the n first of them the bits concerned."""
    happened = sorted(event for event in events if event[0] < math.inf)
    return [at for at, _ in happened], [0, *accumulate((bit for _, bit in happened), or_)]


def _bits(mask: int) -> Iterator[int]:
    while mask:
        lowest = mask & -mask
        yield lowest.bit_length() - 1
        mask ^= lowest
