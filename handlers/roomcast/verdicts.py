"""Verdicts: the meaning of each answer of ``@connections`` for the recipient, as one table.

Statuses: "Use @connections commands in your backend service" in the API Gateway developer guide
(https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-how-to-call-websocket-api-connections.html).
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from roomcast.pacing import pause

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

MINIMUM_AGE_TO_PRUNE = 35.0
"""Seconds. A younger connection that is answered with 410 may still be connecting: its ``$connect`` may take 29 s."""

NOT_OPEN_RETRY_SECONDS = 3.0
"""How long a connection that may still be connecting is tried again: most handshakes end within a second, a cold start
of ``$connect`` included, and the sender's receipt waits meanwhile."""

TRIES_ALONE = 10
"""Tries of a connection that alone is refused (429 because its client does not read, or 5xx) while others get the
message: some 3 s with the usual pauses. Fewer would give up a client that pauses for a second, more would hold up the
receipt. Tries count, not time: a post may have waited for its turn behind a whole room."""

MAXIMUM_COPIES = 3
"""Copies sent of a post that is not answered. Each may have been delivered, and with the time limit of an answer they
bound how long the sender's receipt waits for a silent member: under 5 s."""


SILENCE_SECONDS = 5.0
"""Silence over all copies of a post after which a sender is told that it failed, also while answers are late in
general. A queue's worker has time for all copies."""

FEW = 20
"""At most so many recipients that are left have trouble of their own, when any other was reached. Of more than were
reached, the trouble is the service's."""


class Answer(Enum):
    """Kinds of answer to a post other than a delivery (2xx), from the status or from the end of the connection."""

    MALFORMED = "400"
    GONE = "410"
    THROTTLED = "429"
    ERROR = "408, 5xx"
    REFUSED = "any other status"
    CLOSED = "none: a kept connection was closed before the first byte, for the first time"
    BROKEN = "none: the connection broke"
    SILENT = "none in time"


class Outcome(Enum):
    """Consequences of an answer."""

    AGAIN = "post again after a pause"
    DEAD = "gone, and handed back as dead"
    ABSENT = "gone"
    MALFORMED = "gone, and handed back as dead if other recipients got the message"
    FAILED = "failed"
    REFUSED = "failed, and the fan-out ends if all others are refused, too"
    LATE = "failed for want of time"


class Case(NamedTuple):
    """The facts that a verdict depends on, besides the kind of answer.

    Attributes:
        age: Seconds since the recipient connected.
        tries: Answers of this kind so far, this one included; of unanswered posts, copies.
        alone: How many of them in a row hit the recipient alone. It stays low while throttling is general.
        waited: Seconds since the first answer of this kind; of unanswered posts to be told of at once, of silence.
        asked: Seconds that the server asks to wait (``Retry-After``).
    """

    age: float = 0.0
    tries: int = 1
    alone: float = 0.0
    waited: float = 0.0
    asked: float = 0.0


def always(_: Case) -> bool:
    """No condition."""
    return True


def was_open(case: Case) -> bool:
    """The connection is too old to be still connecting."""
    return case.age >= MINIMUM_AGE_TO_PRUNE


def may_open(case: Case) -> bool:
    """The connection has not been absent for long."""
    return case.waited < NOT_OPEN_RETRY_SECONDS


def refused_alone(case: Case) -> bool:
    """Others get the message; further tries would only hold up the receipt."""
    return case.alone >= TRIES_ALONE


def copies_used_up(case: Case) -> bool:
    """Each further copy might be one too many."""
    return case.tries >= MAXIMUM_COPIES


def silent_for_long(case: Case) -> bool:
    """The sender waits for the receipt."""
    return case.waited >= SILENCE_SECONDS


def at_once(_: Case) -> float:
    """No pause."""
    return 0.0


def backoff(case: Case) -> float:
    """Full jitter over a range that grows with each try."""
    return pause(case.tries)


def backoff_or_asked(case: Case) -> float:
    """The same, or longer if the server asks for it."""
    return max(case.asked, pause(case.tries))


def backoff_or_rest(case: Case) -> float:
    """The same, but the last try comes at the very end of the time for it.

    A connection that gets one message by that try then also gets the messages sent later.
    """
    return min(pause(case.tries), NOT_OPEN_RETRY_SECONDS - case.waited)


class Row(NamedTuple):
    """A row of the table.

    Attributes:
        answer: Kind of answer.
        condition: The row holds if the case meets it and no earlier row of that answer holds.
        outcome: The consequence.
        pause: Seconds before the next try, if there is one.
        out_of_time: The consequence instead of another try when the fan-out ends before it.
    """

    answer: Answer
    condition: Callable[[Case], bool]
    outcome: Outcome
    pause: Callable[[Case], float] = at_once
    out_of_time: Outcome = Outcome.LATE


TABLE = (
    # No id of a connection. Should API Gateway object to the message instead, the room must not be emptied for it.
    Row(Answer.MALFORMED, always, Outcome.MALFORMED),
    # Closed, never existed, or not open yet.
    Row(Answer.GONE, was_open, Outcome.DEAD),
    Row(Answer.GONE, may_open, Outcome.AGAIN, backoff_or_rest, Outcome.ABSENT),
    Row(Answer.GONE, always, Outcome.ABSENT),
    # Too many calls, or the buffer of this one client is full.
    Row(Answer.THROTTLED, refused_alone, Outcome.FAILED),
    Row(Answer.THROTTLED, always, Outcome.AGAIN, backoff_or_asked),
    Row(Answer.ERROR, refused_alone, Outcome.FAILED),
    Row(Answer.ERROR, always, Outcome.AGAIN, backoff_or_asked),
    # 403: signature, permission or URL. 413: the message is larger than 128 KB. No retry changes the answer.
    Row(Answer.REFUSED, always, Outcome.REFUSED),
    # The server closes idle connections at any moment: this says nothing about the recipient.
    Row(Answer.CLOSED, always, Outcome.AGAIN, at_once),
    Row(Answer.BROKEN, refused_alone, Outcome.FAILED),
    Row(Answer.BROKEN, always, Outcome.AGAIN, backoff),
    Row(Answer.SILENT, copies_used_up, Outcome.FAILED),
    Row(Answer.SILENT, silent_for_long, Outcome.FAILED),
    Row(Answer.SILENT, always, Outcome.AGAIN, backoff),
)


QUESTIONS = (
    # Closed, never existed, or no id of a connection. The caller leaves out those that may not be open yet.
    Row(Answer.MALFORMED, always, Outcome.DEAD),
    Row(Answer.GONE, always, Outcome.DEAD),
    # No recipient is behind this: the account is short of requests, and another try would take one more.
    Row(Answer.THROTTLED, always, Outcome.FAILED),
    Row(Answer.ERROR, always, Outcome.FAILED),
    Row(Answer.REFUSED, always, Outcome.REFUSED),
    Row(Answer.CLOSED, always, Outcome.AGAIN),
    Row(Answer.BROKEN, always, Outcome.FAILED),
    Row(Answer.SILENT, always, Outcome.FAILED),
)
"""The table for ``GET``, which asks whether connections exist: a question without an answer is not repeated, because
the next sweep asks again."""


_ANSWERS = {400: Answer.MALFORMED, 408: Answer.ERROR, 410: Answer.GONE, 429: Answer.THROTTLED}


def answer_of(status: int) -> Answer:
    """The kind of an answer with a status other than 2xx."""
    return Answer.ERROR if status >= 500 else _ANSWERS.get(status, Answer.REFUSED)


def row_of(answer: Answer, case: Case, table: Sequence[Row] = TABLE) -> Row:
    """The row of a table that holds."""
    return next(row for row in table if row.answer is answer and row.condition(case))


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that the server asks to wait; a date, which no AWS service sends, is not read."""
    value = headers.get("retry-after", "")
    return float(value) if value.isascii() and value.isdigit() else 0.0
