"""Arithmetic: from the posts that arrived to the figures of a row."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

LAST_PART = 10
"""The last members are this part of a room: a tenth."""


class NothingMeasuredError(Exception):
    """A figure would stand for no measurement."""


class Post(NamedTuple):
    """A post that the service accepted.

    Attributes:
        at: When it had arrived whole, in seconds of ``time.monotonic``.
        member: Number of the member.
        text: Its text.
    """

    at: float
    member: int
    text: str


class Call(NamedTuple):
    """A call that a service in place of AWS's has answered, in seconds of ``time.monotonic``.

    Attributes:
        operation: Its name.
        began: When it had arrived whole.
        answered: The earliest moment at which the answer was sent.
    """

    operation: str
    began: float
    answered: float


class Counts(NamedTuple):
    """Calls of DynamoDB and SQS for one message.

    Attributes:
        calls: How many there were.
        before_posts: How many of them, one after the other, before the first post to another member than the sender.
        before_receipt: The same before the receipt; ``None`` without one.
    """

    calls: int
    before_posts: int
    before_receipt: int | None


def in_a_row(calls: Sequence[Call], before: float) -> int:
    """Return how many calls followed each other, each made after the answer to the one before, until a moment.

    Calls that were made side by side count as one, if the second had arrived before the first was answered.

    Args:
        calls: The calls.
        before: They must have been answered before this moment of ``time.monotonic``.
    """
    count, end = 0, -math.inf
    for call in sorted(calls, key=lambda each: each.answered):
        if end <= call.began and call.answered < before:
            count, end = count + 1, call.answered
    return count


class Waits(NamedTuple):
    """Times of one turn, in seconds after the function had the event.

    Attributes:
        first: The first living member's.
        p50: Median of the living members.
        p99: 99th percentile, by the nearest rank.
        last: The last living member's; of several messages, of the last one.
        receipt: When the sender's receipt arrived, after ``sendmessage`` had its event; ``None`` without one.
        invocation: Length of the invocation that delivered; its limit if the invocation was ended.
        sending: Length of the invocation of ``sendmessage`` with a queue; ``None`` without.
        cpu: CPU time of that invocation; ``None`` if the invocation was ended.
        init: Time of the handler's import; ``None`` in a process that was used before.
        missing: Messages times living members that it has not reached.
        twice: Messages times living members that it reached more than once.
        last_members: The last tenth of the members to get the message.
        ended: Whether the invocation was ended, because it took longer than its limit.
        counts: What was asked of the other services; ``None`` for several messages.
    """

    first: float
    p50: float
    p99: float
    last: float
    receipt: float | None
    invocation: float
    sending: float | None
    cpu: float | None
    init: float | None
    missing: int
    twice: int
    last_members: Sequence[int]
    ended: bool = False
    counts: Counts | None = None


class Arrivals(NamedTuple):
    """Result of sorting the posts of one turn.

    Attributes:
        waits: Seconds that each living member waited for each message that it got, ascending.
        members: The members in the same order.
        missing: Messages times living members that it has not reached.
        twice: Messages times living members that it reached more than once.
    """

    waits: Sequence[float]
    members: Sequence[int]
    missing: int
    twice: int


def arrivals(posts: Sequence[Post], texts: Collection[str], living: Collection[int], began: float) -> Arrivals:
    """Sort the posts of one turn.

    Args:
        posts: All accepted posts.
        texts: Texts of the turn's messages; posts of other texts, such as receipts, are left out.
        living: Members that count.
        began: When the function had the event.

    Raises:
        NothingMeasuredError: No living member got a message, or one got it before the function had the event.
    """
    copies: Counter[tuple[str, int]] = Counter()
    firsts: list[tuple[float, int]] = []
    for post in sorted(posts):
        if post.text in texts and post.member in living:
            copies[post.text, post.member] += 1
            if copies[post.text, post.member] == 1:
                firsts.append((post.at - began, post.member))
    if not firsts:
        raise NothingMeasuredError("no member got a message")
    if firsts[0][0] < 0:
        raise NothingMeasuredError("a post came before the function had the event")
    return Arrivals(
        waits=[wait for wait, _ in firsts],
        members=[member for _, member in firsts],
        missing=len(texts) * len(living) - len(firsts),
        twice=sum(count > 1 for count in copies.values()),
    )


def percentile(ascending: Sequence[float], share: float) -> float:
    """Return a percentile by the nearest rank.

    Args:
        ascending: Values in ascending order, at least one.
        share: Share of the values that are at most as large, above 0 and up to 1.
    """
    return ascending[math.ceil(share * len(ascending)) - 1]


def last_part(members: Sequence[int]) -> list[int]:
    """Return the members of the last tenth, at least one."""
    return list(members[-max(1, len(members) // LAST_PART) :])


def most_often_last(turns: Sequence[Waits]) -> int:
    """Return how often the same member was among the last tenth."""
    counts = Counter(member for turn in turns for member in turn.last_members)
    return max(counts.values())


class Summary(NamedTuple):
    """One contender's figures of one row: medians over its turns, in seconds.

    Attributes:
        turns: Number of turns.
        times: Medians by the name of ``Waits``'s attribute; ``None`` where no turn has a value.
        worst: The largest ``last``.
        ratio: Median of ``last``, divided by the row's floor.
        missing: Sum over all turns.
        twice: Sum over all turns.
        most_often_last: How often the same member was among the last tenth.
        ended: Whether an invocation was ended.
        counts: The most of each turn; ``None`` where there are none.
    """

    turns: int
    times: Mapping[str, float | None]
    worst: float
    ratio: float
    missing: int
    twice: int
    most_often_last: int
    ended: bool
    counts: Counts | None = None


TIMES = ("first", "p50", "p99", "last", "receipt", "invocation", "sending", "cpu", "init")


def summary(turns: Sequence[Waits], floor: float) -> Summary:
    """Return the figures of a contender's turns.

    Raises:
        NothingMeasuredError: There was no turn.
    """
    if not turns:
        raise NothingMeasuredError("no turn was measured")
    times = {}
    for name in TIMES:
        values = [value for turn in turns if (value := getattr(turn, name)) is not None]
        times[name] = statistics.median(values) if values else None
    return Summary(
        turns=len(turns),
        times=times,
        worst=max(turn.last for turn in turns),
        ratio=statistics.median(turn.last for turn in turns) / floor,
        missing=sum(turn.missing for turn in turns),
        twice=sum(turn.twice for turn in turns),
        most_often_last=most_often_last(turns),
        ended=any(turn.ended for turn in turns),
        counts=_counts([turn.counts for turn in turns if turn.counts is not None]),
    )


def _counts(found: Sequence[Counts]) -> Counts | None:
    if not found:
        return None
    receipts = [each.before_receipt for each in found if each.before_receipt is not None]
    return Counts(
        max(each.calls for each in found), max(each.before_posts for each in found), max(receipts, default=None)
    )
