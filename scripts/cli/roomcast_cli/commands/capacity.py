"""``roomcast capacity``: which quota a stage reaches first, and what to do about it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from roomcast_cli import dated, last_day, model, stages
from roomcast_cli.commands import options  # noqa: TC001 - typer reads the annotations
from roomcast_cli.output import DONE, NO, WRONG_USAGE, CommandError, document, note, table

LEAST_QUOTA, MOST_QUOTA = 0.001, 1e12
"""Of an account's own quotas: far beyond what AWS grants, and numbers to calculate shares with."""


def capacity(  # noqa: PLR0913 - of the command line
    *,
    connections: options.Connections = None,
    room_size: options.RoomSize = None,
    messages_per_second: options.MessagesPerSecond = None,
    heartbeat: options.Heartbeat = None,
    spread: Annotated[
        float | None, typer.Option(metavar="S", help="Seconds over which clients return: client_limits.spread (5).")
    ] = None,
    pace: Annotated[
        float | None, typer.Option(metavar="N", help="Posts a second of one invocation; 0 for no limit.")
    ] = None,
    ids: options.Ids = False,
    history: options.History = None,
    queued: options.Queued = None,
    fifo: options.Fifo = None,
    sweeper: options.Sweeper = None,
    shards: options.Shards = None,
    quotas_file: Annotated[
        str | None,
        typer.Option("--quotas", metavar="FILE", help='The account\'s own, as JSON: {"requests_per_second": 2500}.'),
    ] = None,
    stage: options.Stage = None,
    outputs_file: options.Outputs = None,
    region: options.Region = None,
    profile: options.Profile = None,
    as_json: options.Json = False,
    no_color: options.NoColor = False,
    _debug: options.Debug = False,
) -> int:
    """Print which quota a stage reaches first, and a remedy.

    Give the most connections at a time, the largest room, and the messages a second: AWS is not asked then. Else they
    are those of the stage's busiest minute in the last 24 hours, and the quotas are those of its account.

    Exit status: 0 no quota is used above 80 %, 1 one is, 2 wrong usage, 3 no such stage, or its metrics do not tell
    what is not given.
    """
    given = {
        "connections": connections,
        "room_size": room_size,
        "messages_per_second": messages_per_second,
        "heartbeat": heartbeat,
        "spread": spread,
        "pace": pace,
        "ids": ids,
        "history": history,
        "queued": True if fifo else queued,
        "fifo": fifo,
        "sweeper": sweeper,
        "shards": shards,
    }
    quotas = dated.entries("quotas")
    own = _read(quotas_file, quotas) if quotas_file else {}
    choice = stages.Choice(stage, outputs_file, region, profile)
    usage, found_stage, account = last_day.usage(given, choice, is_peak=True)
    if found_stage:
        own = {**last_day.quotas(account), **own}
    if sentence := dated.old(quotas, set(quotas) - set(own)):
        note(f"roomcast: quotas {sentence}")
    found = model.capacity(usage, {**dated.values(quotas), **own})
    fits = not any(quota.is_short for quota in found)
    if as_json:
        document({**(found_stage.document() if found_stage else {}), **_fields(usage, found, fits=fits)})
    else:
        rows = [row for number, quota in enumerate(found) for row in _rows(quota, is_first=number == 0)]
        table(["quota", "used", "limit", "share", "remedy"], rows, right=(1, 2, 3), colour=not no_color)
    return DONE if fits else NO


def _read(file: str, known: dict[str, dated.Entry]) -> dict[str, float]:
    """Return an account's own quotas.

    Raises:
        CommandError: The file cannot be read, or holds anything but quotas.
    """
    try:
        own = json.loads(Path(file).read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CommandError(f"{file} cannot be read as JSON: {error}", WRONG_USAGE) from error
    if not isinstance(own, dict) or not own.keys() <= known.keys():
        raise CommandError(f"{file} must be an object with quotas of these names: {', '.join(known)}", WRONG_USAGE)
    for name, value in own.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not LEAST_QUOTA <= value <= MOST_QUOTA:
            raise CommandError(f"{file}: {name} must be a number from {LEAST_QUOTA:g} to {MOST_QUOTA:g}", WRONG_USAGE)
    return own


def _rows(quota: model.Quota, *, is_first: bool) -> list[list[str]]:
    # What is far from its limit needs no remedy, but what comes first should be known.
    remedy = f"-> {quota.remedy}" if quota.is_short or is_first else ""
    rows = [[quota.label, _number(quota.used), _number(quota.limit), f"{quota.share:,.0%}", remedy]]
    if quota.is_short and quota.parts:
        cause = max(quota.parts, key=lambda part: quota.parts[part])
        rows.append([f"  of it {cause}", _number(quota.parts[cause]), "", "", ""])
    return rows


def _number(number: float) -> str:
    return f"{number:,.0f}" if number >= 10 else f"{number:.1f}".removesuffix(".0")


def _fields(usage: model.Usage, found: list[model.Quota], *, fits: bool) -> dict[str, Any]:
    inputs = {name: value for name, value in asdict(usage).items() if name != "measured"}
    quotas = [
        {
            "quota": quota.quota,
            "used": round(quota.used, 2),
            "limit": quota.limit,
            "share": round(quota.share, 4),
            "remedy": quota.remedy,
            **({"parts": {name: round(used, 2) for name, used in quota.parts.items()}} if quota.parts else {}),
        }
        for quota in found
    ]
    return {"inputs": inputs, "quotas": quotas, "first": found[0].quota, "fits": fits}
