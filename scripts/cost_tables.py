"""The tables of the page about cost, from the model of ``roomcast cost``; part of ``module_docs``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from scripts import clients  # noqa: F401 - it lets those below be found
from scripts.markdown import table

# isort: split
from roomcast_cli import dated, model
from roomcast_cli.output import amount

if TYPE_CHECKING:
    from pathlib import Path

DELIVERIES = model.Usage(connections=100, room_size=100, messages_per_second=10_000 / model.MONTH, bytes=500, ids=True)
"""One million deliveries a month: 10,000 messages with receipts, in rooms of 100."""

STAGES = {
    "100 connections, rooms of 10, 1 message/s, 200 B": model.Usage(100, 10, 1, 200),
    "10,000, rooms of 100, 10/s, 500 B": model.Usage(10_000, 100, 10, 500),
    "1,000,000, rooms of 1,000, 1/s, 500 B": model.Usage(1_000_000, 1_000, 1, 500),
}


def of_deliveries() -> list[tuple[str, str, float]]:
    """Return item, quantity and USD of one million deliveries: what they add to a stage without messages."""
    prices = dated.values(dated.entries("prices"))
    with_messages = {line.item: line for line in model.cost(DELIVERIES, prices).lines}
    without = {line.item: line for line in model.cost(replace(DELIVERIES, messages_per_second=0), prices).lines}
    return [
        (item, amount(line.quantity - without[item].quantity, line.unit), line.usd - without[item].usd)
        for item, line in with_messages.items()
        if line.quantity > without[item].quantity
    ]


def costs(_document: Path, _current: str = "") -> str:
    """Return two tables: one million deliveries, and three stages beside other services."""
    rows = [(item, quantity, f"{usd:.3f}") for item, quantity, usd in of_deliveries()]
    rows.append(("**together**", "", f"**{sum(usd for _, _, usd in of_deliveries()):.2f}**"))
    first = table(("one million deliveries", "quantity", "USD"), rows)
    return f"{first}\n\n{_stages()}"


def _stages() -> str:
    entries = dated.entries("prices")
    prices = dated.values(entries)
    found = [model.cost(usage, prices) for usage in STAGES.values()]
    items = [line.item for line in found[0].lines]
    rows = [(item, *(f"{stage.lines[number].usd:,.2f}" for stage in found)) for number, item in enumerate(items)]
    rows.append(("**together**", *(f"**{stage.usd:,.0f}**" for stage in found)))
    elsewhere = [model.alternatives(usage, prices, entries["pusher_plans"].value) for usage in STAGES.values()]
    for number, other in enumerate(elsewhere[0]):
        prices_there = [others[number].usd for others in elsewhere]
        rows.append((other.service, *("by contract" if usd is None else f"{usd:,.0f}" for usd in prices_there)))
    return table(("USD a month", *STAGES), rows)
