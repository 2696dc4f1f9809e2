"""A small run under faults: the injected faults, beside their effect on the guarantees."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from integration_tests.load.replies import RECEIPT_REPEATED
from integration_tests.load.user_group import Arrival, Schedule, UserGroup
from integration_tests.load.virtual_user import CloseMode
from scripts.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Sequence

    from integration_tests.harness.faults.control import FaultControl
    from integration_tests.harness.faults.rule_book import Count
    from integration_tests.harness.faults.rules import Rule
    from integration_tests.harness.ledger import Verdict
    from integration_tests.harness.table import ConnectionsTable
    from integration_tests.report.clients import Connects

CLIENTS = 24
ROOMS = 3
MESSAGES = 45
INTERVAL = 0.05
"""Seconds between two messages; sending does not wait for answers."""
TEXT_SIZE = 256
GONE_WITHIN = 30.0
"""Seconds in which the items of clients that left must be gone."""


@dataclass(frozen=True)
class Site:
    """A stage with functions that reach AWS through a fault proxy.

    Attributes:
        url: The stage's WebSocket URL.
        table: Its connections table, not in use elsewhere.
        faults: Switches faults on and off.
    """

    url: str
    table: ConnectionsTable
    faults: FaultControl


@dataclass(frozen=True)
class Outcome:
    """The injected faults and their effect.

    Attributes:
        rules: In force from the first handshake until the last item was gone.
        counts: Requests that each rule matched and struck.
        verdict: The outcome of the messages.
        connects: The outcome of the handshakes.
        events: Labels of other trouble that clients saw.
        left: Items that were not deleted.
    """

    rules: Sequence[Rule]
    counts: Sequence[Count]
    verdict: Verdict
    connects: Connects
    events: Sequence[str]
    left: int

    @property
    def struck(self) -> dict[str, int]:
        """How many requests each rule struck, by its name."""
        return {count.rule: count.struck for count in self.counts}

    def check(self, *, repeats: int = 0, unanswered: int = 0) -> None:
        """Check that faults struck, and that the guarantees held all the same.

        Args:
            repeats: How many further copies of deliveries are allowed, because a fault may hide that one took place.
            unanswered: How many messages may lack a receipt.

        Raises:
            AssertionError: They did not; the message shows everything.
        """
        total = self.verdict.total
        story = "\n".join(["", str(self), *self.verdict.examples, *self.events])
        assert not self.connects.refused, f"a handshake was refused{story}"
        assert (total.lost, total.missing, total.unexpected, self.left) == (0, 0, 0, 0), f"a guarantee is broken{story}"
        assert (total.altered, total.unsent, total.receipts_unknown) == (0, 0, 0), f"a guarantee is broken{story}"
        assert total.duplicated <= repeats, f"at most {repeats} copies can be explained{story}"
        assert repeats or RECEIPT_REPEATED not in self.events, f"a receipt came twice{story}"
        assert total.attempted - total.acknowledged <= unanswered, f"not every sender had its receipt{story}"
        assert sum(self.struck.values()) >= len(self.rules), f"too few faults to prove anything{story}"

    def __str__(self) -> str:
        """Describe the run in a line, and each rule in one more."""
        total = self.verdict.total
        wrong = ", ".join(
            f"{number} {word}"
            for number, word in (
                (total.lost, "lost"),
                (total.missing, "missing"),
                (total.duplicated, "duplicated"),
                (total.unexpected, "leaked"),
                (self.left, "left"),
            )
        )
        outcome = f"{total.attempted} messages, {total.delivered} of {total.expected} deliveries: {wrong}"
        return "\n".join([outcome, *injected(self.rules, self.counts)])


def injected(rules: Sequence[Rule], counts: Sequence[Count]) -> list[str]:
    """Describe the effect of each rule, one line for each."""
    return [
        f"    {rule.name:<36} {rule.fault.kind:<11} {rule.when:<7} rate {rule.rate:<6g} "
        f"struck {count.struck:>4} of {count.matched}"
        for rule, count in zip(rules, counts, strict=True)
    ]


async def faulty_run(site: Site, rules: Sequence[Rule]) -> Outcome:
    """Let clients join, send and leave, half of them without a closing handshake, while rules are in force."""
    run = secrets.token_hex(4)
    users = UserGroup(site.url, run)
    seats = range(CLIENTS)
    site.faults.replace(rules)
    await users.join([Arrival(seat, f"{run}-{seat % ROOMS}", time.monotonic()) for seat in seats])
    await users.talk(Schedule(time.monotonic(), INTERVAL, MESSAGES, TEXT_SIZE))
    await users.settle()
    await asyncio.gather(users.leave(seats[::2], CloseMode.CLOSE), users.leave(seats[1::2], CloseMode.ABORT))
    left = await items_left(site.table)
    counts = site.faults.replace()
    result = await users.finish()
    return Outcome(rules, counts, result.ledger.verdict(), result.connects, [*result.events], left)


async def items_left(table: ConnectionsTable) -> int:
    """Return how many items are still there after the time that their deletion may take."""
    with contextlib.suppress(AssertionError):
        await eventually(table.size, 0, within=GONE_WITHIN)
    return await table.size()
