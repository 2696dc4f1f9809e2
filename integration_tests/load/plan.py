"""What a load run is to do, and the names it uses while it does it."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field

from integration_tests.harness.faults.rules import NO_FAULTS, FaultPlan
from integration_tests.harness.ledger import Terms
from integration_tests.harness.table import ROOM_PREFIX
from integration_tests.load.terms import LATE_AFTER, PATIENCE, QUEUED_WITHIN, QUIET


def new_run_name() -> str:
    """Return a name that no other run has: the date, to the second and in UTC, for people; chance for the rest."""
    return f"{ROOM_PREFIX}{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(4)}"


@dataclass(frozen=True)
class Plan:
    """What a load run is to do.

    Attributes:
        scenario: A key of ``scenarios.SCENARIOS``.
        connections: Clients connected at the same time.
        rooms: Rooms that they are spread over evenly.
        messages: Sent in all, by turns from every client.
        rate: Messages due per second, whatever becomes of those before.
        size: Characters of a message; never shorter than what accounting for it needs (some 250).
        connect_rate: Handshakes due per second; 0 for all at once.
        lifetime: In a soak, mean time until a client is replaced, in seconds.
        processes: Client processes, each on one core.
        faults: What goes wrong meanwhile between the functions and AWS, if anything.
        patience: Seconds that the run waits for a handshake, an answer, a delivery, or a client that could send.
        late_after: Seconds after which a delivery or an answer is late; no more than ``patience``.
        quiet: Seconds without any message after which nothing is on its way any more.
        ordered: Whether the stage promises the order of a room's messages.
        run: Unique name of the run; its rooms' names begin with it.
    """

    scenario: str
    connections: int
    rooms: int
    messages: int
    rate: float
    size: int
    connect_rate: float
    lifetime: float
    processes: int
    faults: FaultPlan = NO_FAULTS
    patience: float = PATIENCE
    late_after: float = LATE_AFTER
    quiet: float = QUIET
    ordered: bool = False
    run: str = field(default_factory=new_run_name)

    @property
    def terms(self) -> Terms:
        """What is granted to the stage."""
        return Terms(self.quiet, QUEUED_WITHIN, self.late_after, self.patience, self.ordered)

    @property
    def duration(self) -> float:
        """Seconds from the first message to the last."""
        return self.messages / self.rate

    @property
    def joins(self) -> int:
        """How many connections are made in all, about: clients that are replaced or cut off connect again."""
        again = {"reconnect-storm": self.connections, "soak": round(self.connections * self.duration / self.lifetime)}
        return self.connections + again.get(self.scenario, 0)

    @property
    def seats(self) -> range:
        """All seats: one client each, and its successors if it is replaced."""
        return range(self.connections)

    @property
    def room_names(self) -> list[str]:
        """Every room of the run."""
        return [f"{self.run}-{number}" for number in range(self.rooms)]

    def room_of(self, seat: int) -> str:
        """Return the room that a seat is in."""
        return f"{self.run}-{seat % self.rooms}"

    def process_of(self, seat: int) -> int:
        """Return the number of the process that a seat's client lives in: each process has some of every room."""
        return seat // self.rooms % self.processes

    def parameters(self) -> dict[str, str | int | float | bool]:
        """Return what was asked for, which makes runs comparable; the name differs in every run.

        What is as it is by default is left out where earlier runs did not have it, so that they can be compared; so is
        when something is late, which changes no measurement.
        """
        asked = {
            name: value for name, value in vars(self).items() if name not in {"run", "faults", "late_after", *SINCE}
        }
        changed = {name: getattr(self, name) for name, default in SINCE.items() if getattr(self, name) != default}
        return {**asked, **changed, **({"faults": str(self.faults)} if self.faults.rules else {})}


SINCE = {"patience": PATIENCE, "quiet": QUIET, "ordered": False}
"""Parameters that the first reports did not have, with their defaults."""
