"""How fast a fan-out posts: pauses between tries, the caller's pace, and a slower rate while throttling is general."""

from __future__ import annotations

import time
from typing import NamedTuple

from roomcast.backoff import RANDOM, backoff_seconds

BACKOFF_BASE_SECONDS = 0.05
"""Upper end of the first pause: a few times as long as an answer takes."""

BACKOFF_CAP_SECONDS = 1.0
"""Upper end of every pause: with longer ones, a recipient would have only a few tries in an invocation of 29 s."""


STRAGGLERS_PACE = 1_000.0
"""Posts per second to stragglers at the beginning of a run: a tenth of an account's quota. While most are taken, the
pace rises; members that do not read use up little of it."""

RETRIES_PER_RECOVERY = 19
"""While refusals are general, at least one retry in twenty gets through: nine in ten refused is the worst that the rate
leaves for long. Of members that do not read, none does."""


class Retries(NamedTuple):
    """What came of posts that had been refused before.

    Attributes:
        again: How many were refused once more.
        passed: Those of them after others were reached since the recipient's first refusal.
        recovered: How many were delivered.
    """

    again: int = 0
    passed: int = 0
    recovered: int = 0

    def since(self, earlier: Retries) -> Retries:
        """Those that came later."""
        return Retries(*(now - then for now, then in zip(self, earlier, strict=True)))

    @property
    def fail(self) -> bool:
        """Whether those refused are so for reasons of their own: others were reached, and they are not.

        Unless most were passed by others, throttling may have begun with their first refusals.
        """
        return self.again > RETRIES_PER_RECOVERY * self.recovered and 2 * self.passed > self.again


NO_RETRIES = Retries()


def pause(attempt: int) -> float:
    """Seconds before the next try, with full jitter, after so many failed ones (from 1)."""
    return backoff_seconds(attempt, base=BACKOFF_BASE_SECONDS, cap=BACKOFF_CAP_SECONDS, random=RANDOM.random)


class Bucket:
    """Token bucket: how many posts per second may be sent.

    Args:
        pace: Tokens per second, 0 for no limit.
        first: The same at the beginning of a run, if that is fewer.
        burst: Tokens of so many seconds may be used at once, but one at least.

    Attributes:
        pace: As given.
        first: Likewise.
        rate: Tokens per second now.
        limited: Whether there is a limit.
        tokens: How many there are, as of the last ``wait``.
    """

    def __init__(self, pace: float, first: float = float("inf"), burst: float = 1.0) -> None:
        self.pace = pace or float("inf")
        self.first = min(self.pace, first)
        self.rate = self.first
        self.limited = self.rate != float("inf")
        self._burst = burst
        self.tokens = max(1.0, self.rate * burst)
        self._filled_at = time.monotonic()

    def set_rate(self, rate: float, now: float) -> None:
        """Allow so many tokens per second from now on; infinitely many for no limit."""
        if not self.limited:
            # An unlimited bucket counts no tokens: it starts empty, and allows no burst on top of the last posts.
            self.tokens, self._filled_at = 0.0, now
        self.rate = rate
        self.limited = rate != float("inf")

    def wait(self, now: float) -> float:
        """Seconds until there is a token; 0 if there is one."""
        if not self.limited:
            return 0.0
        # At least one token fits, also at a pace below one per second.
        self.tokens = min(max(1.0, self.rate * self._burst), self.tokens + (now - self._filled_at) * self.rate)
        self._filled_at = now
        return max(0.0, (1.0 - self.tokens) / self.rate)

    def take(self) -> None:
        """Use a token that ``wait`` has found."""
        self.tokens -= 1.0


class Throttle:
    """Slows a fan-out down while throttling is general: additive increase, multiplicative decrease of the rate.

    A tenth of the posts refused at random is no reason to slow down: those are sent again. With more than a third
    refused, a higher rate only means more refusals.

    Args:
        bucket: The bucket whose rate is set; a new fan-out starts at its first one.
        now: The time, in seconds of ``time.monotonic``.

    Retries of members that do not read say nothing about the others, however many such members there are: retries do
    not count while others are reached after the first refusals and hardly any retry gets through.

    Attributes:
        general: Whether more than ``GENERAL`` of the last answers were refusals that count.
    """

    SAMPLE = 50  # answers: fewer say nothing about a share
    GENERAL = 1 / 3
    DECREASE = 0.7
    INCREASE = 500.0  # posts per second, every second
    SLOWEST = 20.0  # posts per second: a sample every few seconds notices when throttling ends
    MEMORY = 2.0  # seconds

    def __init__(self, bucket: Bucket, now: float) -> None:
        self._bucket = bucket
        self._since = now
        self._delivered = 0
        self._throttled = 0
        self._retries = NO_RETRIES
        self.general = False
        bucket.set_rate(bucket.first, now)

    def adapt(self, delivered: int, throttled: int, now: float, retries: Retries = NO_RETRIES) -> None:
        """Set the rate by the answers since the last call.

        Args:
            delivered: Deliveries of the fan-out so far.
            throttled: Answers with 429 so far.
            now: The time, in seconds of ``time.monotonic``.
            retries: Those answers so far to posts that had been refused before.
        """
        refused = throttled - self._throttled
        answers = delivered - self._delivered + refused
        later = retries.since(self._retries)
        if answers < self.SAMPLE:
            # An observation of long ago says nothing about now.
            self.general = self.general and now - self._since < self.MEMORY
            return
        bucket = self._bucket
        alone = later.again if later.fail else 0
        self.general = refused - alone > (answers - alone) * self.GENERAL
        if self.general:
            achieved = answers / (now - self._since)
            slower = max(self.SLOWEST, min(bucket.rate, achieved) * self.DECREASE)
            bucket.set_rate(min(bucket.pace, slower), now)
        elif bucket.rate < bucket.pace:
            bucket.set_rate(min(bucket.pace, bucket.rate + self.INCREASE * (now - self._since)), now)
        self._since, self._delivered, self._throttled = now, delivered, throttled
        self._retries = retries
