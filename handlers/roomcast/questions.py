"""Questions of the sweeper: which connections exist, asked with ``GET`` at a share of the account's requests.

API Gateway counts these requests with all others of the account
(https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from roomcast import fanout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roomcast.members import Connection

BURST_SECONDS = 0.05
"""Of the pace: so many questions come at once at most."""

AT_ONCE = 20
"""Questions of one delivery, after which its answers are looked at. While it is open whether the account has requests
left, there is one."""

MOST_THROTTLED = 3
"""Answers 429 in a run that end it. For ``GET``, one can only mean that the account is short of requests."""

ANSWERED_SECONDS = 5.0
"""Time limit of one delivery, besides what its pace takes."""

REFUSED, THROTTLED, TIME_OUT = "refused", "throttled", "out of time"


class Answers(NamedTuple):
    """Answers to questions.

    Attributes:
        open: Connections that exist.
        gone: Those that do not.
        unasked: Those that were not asked for, because the questions ended before.

    The others were answered with an error, or not at all.
    """

    open: Sequence[Connection]
    gone: Sequence[Connection]
    unasked: Sequence[Connection]


def engine_of(endpoint_url: str, region: str, pace: float) -> fanout.Engine:
    """The engine that asks.

    Args:
        endpoint_url: As of ``fanout.Engine``.
        region: The same.
        pace: Questions in any second at most; 0 for an engine that is not used.
    """
    return fanout.Engine(endpoint_url, region, pace=_rate(pace), method="GET", burst=BURST_SECONDS)


class Questions:
    """The questions of one run.

    Args:
        engine: As of ``engine_of``.
        pace: Questions per second.

    Attributes:
        pace: Questions per second now; each answer 429 halves it.
        asked: Questions so far, repetitions included.
        opened: Connections that exist, so far.
        throttled: Answers 429 so far.
        ended: Why no further question is asked; empty while they are.
        refused_status: The status that no other try changes, such as 403; 0 if there was none.
    """

    def __init__(self, engine: fanout.Engine, pace: float) -> None:
        self._engine = engine
        self.pace = pace
        self.asked = self.opened = self.throttled = self.refused_status = 0
        self.ended = ""
        self._answered = False
        engine.set_pace(_rate(pace))

    def ask(self, connections: Sequence[Connection], deadline: float) -> Answers:
        """Ask for connections.

        Args:
            connections: The connections, each id once.
            deadline: Latest end, in seconds of ``time.monotonic``.
        """
        answers, start = Answers([], [], []), 0
        while start < len(connections):
            if time.monotonic() >= deadline:
                self.ended = self.ended or TIME_OUT
            if self.ended:
                break
            end = start + (AT_ONCE if self._answered and not self.throttled else 1)
            opened, gone = self._ask(connections[start:end], deadline)
            answers = Answers([*answers.open, *opened], [*answers.gone, *gone], [])
            start = end
        return answers._replace(unasked=connections[start:])

    def _ask(
        self, connections: Sequence[Connection], deadline: float
    ) -> tuple[Sequence[Connection], Sequence[Connection]]:
        """Ask for some connections; gives those that exist, and those that do not."""
        gone: set[str] = set()
        failed: set[str] = set()
        message = fanout.Message(
            [fanout.Recipient(each.connection_id, each.connected_at) for each in connections],
            b"",
            on_gone=lambda found: gone.update(each.connection_id for each in found),
            on_failed=lambda found: failed.update(each.connection_id for each in found),
        )
        until = min(deadline, time.monotonic() + len(connections) / self.pace + ANSWERED_SECONDS)
        [result] = self._engine.deliver_all([message], deadline=until)
        report = result.report
        self.asked += report.posts
        self._answered = self._answered or report.delivered + report.gone > 0
        if report.refused:
            self.ended, self.refused_status = REFUSED, report.refused_status
        self._slow_down(report.throttled)
        opened = [each for each in connections if each.connection_id not in gone | failed]
        self.opened += len(opened)
        return opened, [each for each in connections if each.connection_id in gone]

    def _slow_down(self, throttled: int) -> None:
        """Ask at half the pace after each of so many answers 429."""
        if not throttled:
            return
        self.throttled += throttled
        self.pace /= 2**throttled
        self._engine.set_pace(_rate(self.pace))
        if self.throttled >= MOST_THROTTLED:
            self.ended = self.ended or THROTTLED


def _rate(pace: float) -> float:
    """The engine's pace. With the burst before it, no second has more questions than ``pace``."""
    return pace / (1 + BURST_SECONDS)
