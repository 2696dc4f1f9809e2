"""The records that the clients of one process share, and that the process hands over in the end."""

from __future__ import annotations

import time
import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from integration_tests.load.terms import PATIENCE
from integration_tests.report.clients import Connects
from integration_tests.report.model import Event
from integration_tests.report.recovery import Recovery

if TYPE_CHECKING:
    from integration_tests.harness.ledger import Ledger, Member

MARKS = 50
"""On the timeline of a process: more could not be told apart, and a stage may invent new errors without end."""


@dataclass
class Recorder:
    """The records of the clients of one process.

    Attributes:
        ledger: Every message and membership.
        connects: Handshakes.
        recovery: Returns of clients of ``roomcast.v1``, and repetitions.
        events: The first of each kind of trouble, by its label.
        messages: Texts of any kind that arrived.
        last_message_at: When the last one arrived, monotonic seconds.
        handshake_within: Seconds that a handshake may take.
    """

    ledger: Ledger
    connects: Connects = field(default_factory=Connects)
    recovery: Recovery = field(default_factory=Recovery)
    events: dict[str, Event] = field(default_factory=dict)
    messages: int = 0
    last_message_at: float = 0.0
    handshake_within: float = PATIENCE

    def received(self, at: float) -> None:
        """Note that a text of any kind arrived."""
        self.messages += 1
        self.last_message_at = at

    def first(self, label: str) -> None:
        """Mark the timeline where something happens for the first time, up to ``MARKS`` labels."""
        if len(self.events) < MARKS:
            self.events.setdefault(label, Event(time.monotonic(), label))

    def unrecorded(self, member: Member, error: Exception, text: str, at: float) -> None:
        """Record a text at which recording has failed: the run goes on, and is not clean."""
        place = traceback.extract_tb(error.__traceback__)[-1]
        origin = f"it cannot be recorded: {type(error).__name__} in {place.name}, line {place.lineno}"
        self.ledger.stray(member, origin, text, at)

    def note(self, event: Event) -> None:
        """Keep an event unless one of its label happened before."""
        if event.at < self.events.setdefault(event.label, event).at:
            self.events[event.label] = event

    def merge(self, other: Recorder) -> None:
        """Add the records of another process of the run, which are used up by it."""
        self.ledger.merge(other.ledger)
        self.connects.merge(other.connects)
        self.recovery.merge(other.recovery)
        for event in other.events.values():
            self.note(event)

    def timeline(self) -> list[Event]:
        """Return the first event of each label, in order."""
        return sorted(self.events.values(), key=lambda event: event.at)
