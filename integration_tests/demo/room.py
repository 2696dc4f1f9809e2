"""One room of the demo and its clients."""

from __future__ import annotations

import asyncio
import math
import time

from integration_tests.demo.outcomes import Outcome
from integration_tests.harness.latency import Latency
from integration_tests.harness.ledger import Terms, Verdict
from integration_tests.load.user_group import Arrival, Schedule, UserGroup
from integration_tests.load.virtual_user import CloseMode
from scripts.waiting import scaled

TERMS = Terms(transit=1.0, late_after=15.0, patience=30.0)
"""Long times, because this machine, which may be busy, stands for all of AWS."""

LOOK_EVERY = 0.05
"""Seconds between two looks at the progress."""


class Room:
    """One room and its clients.

    Args:
        url: The stage's WebSocket URL.
        run: Name of the demo's run.
        name: Name of the room.
        members: How many clients it has.
    """

    def __init__(self, url: str, run: str, name: str, members: int) -> None:
        self.name = name
        self.members = members
        self.latency = Latency()
        self.users = UserGroup(url, run, self.latency, TERMS)
        self._ended_at = math.inf

    async def join(self) -> list[str]:
        """Connect all clients at the same time; return why handshakes were refused."""
        now = time.monotonic()
        arrivals = [Arrival(seat, self.name, now) for seat in range(self.members)]
        return [*(await self.users.join(arrivals)).values()]

    async def send(self, messages: int, words: str = "") -> None:
        """Send from as many clients at the same time, and wait for their receipts; some words can be sent once."""
        await self.users.talk(Schedule(time.monotonic(), 0.0, messages, 0, words))
        await self.users.answered(scaled(TERMS.patience))

    async def settle(self) -> None:
        """Wait until every owed delivery has come, or patience ends, and nothing is on its way."""
        deadline = time.monotonic() + scaled(TERMS.patience)
        while self.verdict().total.outstanding:
            if time.monotonic() > deadline:
                break
            await asyncio.sleep(LOOK_EVERY)
        await self.users.quiet()

    async def leave(self) -> None:
        """Disconnect every second client with a closing handshake, and cut the others off."""
        self._ended_at = time.monotonic()
        seats = range(self.members)
        closing, cut = self.users.leave(seats[1::2], CloseMode.CLOSE), self.users.leave(seats[::2], CloseMode.ABORT)
        await asyncio.gather(closing, cut)

    def verdict(self) -> Verdict:
        """Judge the room until now, or until its clients left."""
        self.users.absent()  # notes connections that have ended
        ledger = self.users.ledger()
        ledger.ended_at = min(time.monotonic(), self._ended_at)
        return ledger.verdict()

    def outcome(self) -> Outcome:
        """Return the room's line of the final table."""
        return Outcome(self.name, self.members, self.verdict().total, self.latency.total)
