"""Estimates the cost of a run on AWS, which needs an option above a ceiling."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from integration_tests.load.plan import Plan

PRICES = {
    "API Gateway messages": 1.00e-6,
    "connection minutes": 0.25e-6,
    "DynamoDB write units": 0.625e-6,
    "DynamoDB read units": 0.125e-6,
    "Lambda invocations": 0.20e-6,
    "Lambda GB-seconds": 13.3334e-6,
}
"""USD each, on demand, in us-east-1, read in November 2026; other regions cost up to twice as much. Free tiers are not
counted. https://aws.amazon.com/api-gateway/pricing/, .../dynamodb/pricing/on-demand/, .../lambda/pricing/"""

METERED_CHARACTERS = 32 * 1024
"""API Gateway counts a message once for every 32 KB of it."""
WRITE_UNITS_PER_CONNECTION = 8
"""One transaction writes two small items, and one deletes them: two units for each item each time."""
WRITE_UNITS_PER_KEPT_MESSAGE = 4
"""The room's counter, the message, and its id twice."""
MEMBERS_PER_READ_UNIT = 20
"""A unit reads 4 KB, and a membership is some 200 bytes."""
SECONDS_PER_INVOCATION = 0.1
SECONDS_PER_DELIVERY = 0.0002
GIGABYTES = 0.5
"""Time and memory of a function: rather too much than too little."""

CONNECTIONS_CEILING = 500
MESSAGES_CEILING = 100_000
"""Connections and metered messages of a run on a stage in use without ``--i-accept-the-cost``: some 15 cents."""


@dataclass(frozen=True)
class Usage:
    """Use of AWS by a run.

    Attributes:
        connections: Opened at the same time.
        quantities: By the names of ``PRICES``.
    """

    connections: int
    quantities: dict[str, int]

    @property
    def dollars(self) -> float:
        """The cost in USD."""
        return sum(quantity * PRICES[name] for name, quantity in self.quantities.items())

    @property
    def is_small(self) -> bool:
        """Whether it stays below the ceilings."""
        return self.connections <= CONNECTIONS_CEILING and self.quantities["API Gateway messages"] <= MESSAGES_CEILING

    def __str__(self) -> str:
        lines = ["estimated cost         at most about         USD"]
        for name, quantity in self.quantities.items():
            lines.append(f"  {name:22}{quantity:>15,.0f}{quantity * PRICES[name]:>12.4f}")
        return "\n".join([*lines, f"  {'together':37}{self.dollars:>12.4f}"])


def usage(*plans: Plan) -> Usage:
    """Estimate the use of AWS by plans, one after the other: clients, messages, deliveries and receipts."""
    quantities: Counter[str] = Counter()
    for plan in plans:
        quantities.update(_quantities(plan))
    return Usage(max(plan.connections for plan in plans), dict(quantities))


def _quantities(plan: Plan) -> dict[str, int]:
    members = math.ceil(plan.connections / plan.rooms)
    deliveries = plan.messages * members
    speaks_v1 = plan.manner.speaks_v1  # its clients join in a frame of its own, and its rooms may keep messages
    sent = plan.messages * (1 + plan.manner.copies)
    invocations = (2 + speaks_v1) * plan.joins + sent
    parts = math.ceil(plan.size / METERED_CHARACTERS)
    seconds = SECONDS_PER_INVOCATION * invocations + SECONDS_PER_DELIVERY * deliveries
    return {
        "API Gateway messages": parts * (sent + deliveries) + sent + 2 * speaks_v1 * plan.joins,
        "connection minutes": plan.joins + plan.connections * math.ceil(plan.duration / 60),
        "DynamoDB write units": plan.joins * WRITE_UNITS_PER_CONNECTION
        + speaks_v1 * sent * WRITE_UNITS_PER_KEPT_MESSAGE,
        "DynamoDB read units": sent * (1 + math.ceil(members / MEMBERS_PER_READ_UNIT)),
        "Lambda invocations": invocations,
        "Lambda GB-seconds": math.ceil(GIGABYTES * seconds),
    }
