"""``roomcast cost``: what a stage costs a month, before it is deployed."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from roomcast_cli import dated, last_day, model, stages
from roomcast_cli.commands import options
from roomcast_cli.output import DONE, NO, amount, document, note, table

PAGE = "terraform/COST.md"
ADVICE = {
    "deliveries": "smaller rooms or fewer messages change it; memory and CPU do not",
    "heartbeat": "a longer client_limits.heartbeat, up to 480 s, changes it",
    "sends": "fewer messages change it",
    "receipts": "messages without id change it",
    "connection minutes": "clients that disconnect while nobody looks change it",
}


def cost(  # noqa: PLR0913 - of the command line
    *,
    connections: options.Connections = None,
    room_size: options.RoomSize = None,
    messages_per_second: options.MessagesPerSecond = None,
    bytes_: options.Bytes = 500,
    heartbeat: options.Heartbeat = None,
    hours_a_day: Annotated[float, typer.Option(metavar="N", help="Hours in which clients are connected.")] = 24,
    ids: options.Ids = False,
    history: options.History = None,
    queued: options.Queued = None,
    fifo: options.Fifo = None,
    authorizer: Annotated[bool | None, typer.Option("--authorizer", help="A function checks tokens.")] = None,
    sweeper: options.Sweeper = None,
    nat_zones: Annotated[int, typer.Option(metavar="N", help="Zones with a NAT gateway, for functions in a VPC.")] = 0,
    memory: Annotated[
        int | None, typer.Option(metavar="MB", help="Memory of the functions that fan out (1024).")
    ] = None,
    shards: options.Shards = None,
    free_tier: Annotated[bool, typer.Option("--free-tier", help="Take off what an account has for free.")] = False,
    most: Annotated[
        float | None,
        typer.Option("--max", callback=options.finite, metavar="USD", help="Exit with 1 if it is dearer."),
    ] = None,
    stage: options.Stage = None,
    outputs_file: options.Outputs = None,
    region: options.Region = None,
    profile: options.Profile = None,
    as_json: options.Json = False,
    no_color: options.NoColor = False,
    _debug: options.Debug = False,
) -> int:
    """Print what a stage costs a month, by service, in us-east-1.

    Give connections, members of a room, and messages a second: AWS is not asked then. Else they are the means of a
    stage's last 24 hours. No metric tells the bytes of messages, nor whether they have ids.

    Exit status: 0 done, 1 dearer than --max, 2 wrong usage, 3 no such stage, or its metrics do not tell what is
    not given.
    """
    given = {
        "connections": connections,
        "room_size": room_size,
        "messages_per_second": messages_per_second,
        "bytes": bytes_,
        "heartbeat": heartbeat,
        "hours_a_day": hours_a_day,
        "ids": ids,
        "history": history,
        "queued": True if fifo else queued,
        "fifo": fifo,
        "authorizer": authorizer,
        "sweeper": sweeper,
        "nat_zones": nat_zones,
        "memory": memory,
        "shards": shards,
    }
    choice = stages.Choice(stage, outputs_file, region, profile)
    usage, found_stage, _ = last_day.usage(given, choice, is_peak=False)
    prices = dated.entries("prices")
    values = dated.values(prices)
    found = model.cost(usage, values, free_tier=free_tier)
    others = model.alternatives(usage, values, prices["pusher_plans"].value)
    if sentence := dated.old(prices, {line.price for line in found.lines} | {other.price for other in others}):
        note(f"roomcast: prices {sentence}")
    if as_json:
        fields = _fields(usage, found, others, prices)
        document({**(found_stage.document() if found_stage else {}), **fields})
    else:
        _print(found, others, prices, free_tier=free_tier, colour=not no_color)
    return NO if most is not None and found.usd > most else DONE


def _fields(
    usage: model.Usage, found: model.Cost, others: list[model.Alternative], prices: dict[str, dated.Entry]
) -> dict[str, Any]:
    def dated_price(name: str) -> dict[str, str]:
        return {"source": prices[name].source, "date": prices[name].date}

    inputs = {name: value for name, value in asdict(usage).items() if name != "measured"}
    lines = [
        {
            "service": line.service,
            "item": line.item,
            "quantity": round(line.quantity, 3),
            "unit": line.unit,
            "usd": round(line.usd, 2),
            **dated_price(line.price),
        }
        for line in found.lines
    ]
    elsewhere = [
        {"service": other.service, "usd": None if other.usd is None else round(other.usd), **dated_price(other.price)}
        for other in others
    ]
    return {"inputs": inputs, "lines": lines, "usd": round(found.usd, 2), "alternatives": elsewhere}


def _print(
    found: model.Cost,
    others: list[model.Alternative],
    prices: dict[str, dated.Entry],
    *,
    free_tier: bool,
    colour: bool,
) -> None:
    free = "free tiers are taken off" if free_tier else "free tiers not counted; --free-tier counts them"
    note(f"USD a month, us-east-1, prices of {prices['apigateway_messages'].date} ({free})")
    rows = [[line.item, amount(line.quantity, line.unit), f"{line.usd:,.2f}"] for line in found.lines]
    rows.append(["together", "", f"{found.usd:,.2f}"])
    table(["item", "quantity", "usd"], rows, right=(1, 2), colour=colour)
    elsewhere = ", ".join(
        f"{other.service} {'by contract' if other.usd is None else f'{other.usd:,.0f}'}" for other in others
    )
    note(f"for these connections and messages alone: {elsewhere}; see {PAGE}")
    note(_largest(found))


def _largest(found: model.Cost) -> str:
    """Return a sentence about the dearest term, and of messages about their most frequent cause."""
    line = max(found.lines, key=lambda line: line.usd)
    share = line.usd / found.usd
    cause = line.item
    if line.price == "apigateway_messages":
        cause = max(found.message_parts, key=lambda part: found.message_parts[part])
        of_messages = found.message_parts[cause] / line.quantity
        text = f"the largest term: {line.item} ({share:.0%}), and of these {cause} ({of_messages:.0%})"
    else:
        text = f"the largest term: {line.item} ({share:.0%})"
    return f"{text}: {ADVICE[cause]}" if cause in ADVICE else text
