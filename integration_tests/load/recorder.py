"""The records that the clients of one process share, and the result that the process hands over."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from integration_tests.load.terms import PATIENCE
from integration_tests.report.model import Connects, Event

if TYPE_CHECKING:
    from integration_tests.harness.ledger import Ledger

MARKS = 50
"""On the timeline of a process: more could not be told apart, and a stage may invent new errors for ever."""


@dataclass
class Recorder:
    """What the participants of a process write down together.

    Attributes:
        ledger: Every message and membership.
        connects: Handshakes.
        events: The first of each kind of thing that nobody wishes for.
        messages: Texts of any kind that arrived.
        last_message_at: When the last one did, monotonic seconds.
        handshake_within: Seconds that a handshake may take.
    """

    ledger: Ledger
    connects: Connects = field(default_factory=Connects)
    events: dict[str, Event] = field(default_factory=dict)
    messages: int = 0
    last_message_at: float = 0.0
    handshake_within: float = PATIENCE

    def received(self, at: float) -> None:
        """Note that any message at all came."""
        self.messages += 1
        self.last_message_at = at

    def first(self, label: str) -> None:
        """Mark the timeline where something happens for the first time, unless it has marks enough."""
        if len(self.events) < MARKS:
            self.events.setdefault(label, Event(time.monotonic(), label))


class ProcessResult(NamedTuple):
    """What one process contributes to the result.

    Attributes:
        ledger: Every message and membership.
        connects: Handshakes.
        events: The first of each kind of thing that nobody wishes for.
    """

    ledger: Ledger
    connects: Connects
    events: list[Event]
