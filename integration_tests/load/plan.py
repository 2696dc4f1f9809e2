"""The plan of a load run, and the names of its rooms."""

from __future__ import annotations

import math
import secrets
import time
from dataclasses import dataclass, field

from integration_tests.harness.faults.rules import NO_FAULTS, FaultPlan
from integration_tests.harness.ledger import Terms
from integration_tests.harness.table import ROOM_PREFIX
from integration_tests.load.manner import Manner
from integration_tests.load.terms import LATE_AFTER, PATIENCE, QUEUED_WITHIN, QUIET
from integration_tests.load.user_group import GENERATIONS

TEXT, V1 = PROTOCOLS = ("text", "v1")
OUTAGE = 5.0
"""Seconds: what clients spread their return over by default."""
COPIES = 2
"""How often a message is sent again in a retry storm."""


def new_run_name() -> str:
    """Return a unique name: the time in UTC, for readers, and a random part."""
    return f"{ROOM_PREFIX}{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(4)}"


@dataclass(frozen=True)
class Plan:
    """The plan of a load run.

    Attributes:
        scenario: A key of ``scenarios.SCENARIOS``.
        connections: Clients connected at the same time.
        rooms: Rooms that they are spread over evenly.
        messages: Sent in all, by turns from every client.
        rate: Messages due per second; sending does not wait for answers.
        size: Characters of a message; at least the some 250 that accounting for it needs.
        connect_rate: Handshakes due per second; 0 for all at once.
        lifetime: Seconds until a client is replaced, on average, in a soak; until it replaces its socket in a rollover.
        processes: Client processes, each on one core.
        protocol: ``text`` or ``v1``: how clients speak.
        outage: In a resume storm, seconds until the clients that were cut off return, at least.
        expired: In a resume storm, whether what the rooms keep is deleted meanwhile, as DynamoDB deletes expired items.
        faults: Faults injected between the functions and AWS.
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
    protocol: str = TEXT
    outage: float = OUTAGE
    expired: bool = False
    faults: FaultPlan = NO_FAULTS
    patience: float = PATIENCE
    late_after: float = LATE_AFTER
    quiet: float = QUIET
    ordered: bool = False
    run: str = field(default_factory=new_run_name)

    @property
    def terms(self) -> Terms:
        """The times that the stage is granted."""
        return Terms(self.quiet, QUEUED_WITHIN, self.late_after, self.patience, self.ordered)

    @property
    def manner(self) -> Manner:
        """How the clients behave."""
        lifetime = self.lifetime if self.scenario == "rollover" else math.inf
        return Manner(self.protocol == V1, lifetime, COPIES if self.scenario == "retry-storm" else 0)

    @property
    def duration(self) -> float:
        """Seconds from the first message to the last."""
        return self.messages / self.rate

    @property
    def joins(self) -> int:
        """How many connections are made in all, about: clients that are replaced or cut off connect again."""
        replaced = round(self.connections * self.duration / self.lifetime)
        again = {
            "reconnect-storm": self.connections,
            "resume-storm": self.connections,
            "soak": replaced,
            "rollover": max(GENERATIONS * self.connections, replaced),
        }
        return self.connections + again.get(self.scenario, 0)

    @property
    def seats(self) -> range:
        """All seats: one client each, and its successors if it is replaced."""
        return range(self.connections)

    @property
    def room_names(self) -> list[str]:
        """Names of all rooms of the run."""
        return [f"{self.run}-{number}" for number in range(self.rooms)]

    def room_of(self, seat: int) -> str:
        """Return the room that a seat is in."""
        return f"{self.run}-{seat % self.rooms}"

    def process_of(self, seat: int) -> int:
        """Return the number of the process that a seat's client lives in: each process has some of every room."""
        return seat // self.rooms % self.processes

    def parameters(self) -> dict[str, str | int | float | bool]:
        """Return the parameters that must be equal for two runs to be compared.

        Parameters that earlier versions did not have are left out at their defaults, so that reports stay comparable;
        ``late_after`` is left out because it changes no measurement.
        """
        asked = {
            name: value for name, value in vars(self).items() if name not in {"run", "faults", "late_after", *SINCE}
        }
        changed = {name: getattr(self, name) for name, default in SINCE.items() if getattr(self, name) != default}
        return {**asked, **changed, **({"faults": str(self.faults)} if self.faults.rules else {})}


SINCE = {
    "patience": PATIENCE,
    "quiet": QUIET,
    "ordered": False,
    "protocol": TEXT,
    "outage": OUTAGE,
    "expired": False,
}
"""Parameters that the first reports did not have, with their defaults."""
