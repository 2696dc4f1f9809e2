"""``roomcast rooms``: the rooms of a stage by their members."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roomcast_cli import dated, moments, stages
from roomcast_cli.commands import options  # noqa: TC001 - typer reads the annotations
from roomcast_cli.output import DONE, document, note, table
from roomcast_cli.rows import ROOM, Scan, place_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MANY = 1_000_000
"""Rows of a table, above which the cost of a scan is said before it."""

BYTES_PER_UNIT = 8_192
"""Of a read without strong consistency."""


@dataclass
class Room:
    """What a scan has seen of a room."""

    members: int = 0
    shards: set[int] = field(default_factory=set)
    oldest: int = 0

    def add(self, shard: int, connected_at: int) -> None:
        """Count a member."""
        self.members += 1
        self.shards.add(shard)
        self.oldest = min(self.oldest or connected_at, connected_at)


def rooms(  # noqa: PLR0913 - of the command line
    *,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="Rooms to print at most.")] = 20,
    stage: options.Stage = None,
    outputs_file: options.Outputs = None,
    region: options.Region = None,
    profile: options.Profile = None,
    as_json: options.Json = False,
    no_color: options.NoColor = False,
    _debug: options.Debug = False,
) -> int:
    """Print the rooms with the most members, from a scan of the table.

    Exit status: 0 done, 3 no such stage.
    """
    found, account = stages.find(stages.Choice(stage, outputs_file, region, profile))
    client, price = account.client("dynamodb"), dated.values(dated.entries("prices"))["dynamodb_reads"]
    _warn(client, found.table, price)
    scan = Scan(client, found.table)
    seen, connections = _count(scan.rows())
    first = sorted(seen.items(), key=lambda each: (-each[1].members, each[0]))[:limit]
    if as_json:
        listed = [
            {"room": name, "members": room.members, "shards": len(room.shards), "oldest_connected_at": _at(room)}
            for name, room in first
        ]
        document({**found.document(), "rooms": listed, "connections": connections, "read_units": scan.units})
        return DONE
    rows = [
        [name, str(room.members), str(len(room.shards)), moments.shown(time.time() - room.oldest / 1000)]
        for name, room in first
    ]
    table(["room", "members", "shards", "oldest"], rows, right=(1, 2), colour=not no_color)
    usd = scan.units * price / 1e6
    note(f"{len(seen):,} rooms, {connections:,} connections; the scan read {scan.units:,g} units ({usd:.7f} USD)")
    return DONE


def _at(room: Room) -> str:
    return moments.rfc3339(room.oldest)


def _count(rows: Iterable[Mapping[str, Any]]) -> tuple[dict[str, Room], int]:
    seen: dict[str, Room] = {}
    counts = Counter[bool]()
    for row in rows:
        is_membership = row["partition_key"]["S"].startswith(ROOM)
        counts[is_membership] += 1
        if is_membership:
            name, shard = place_of(row)
            seen.setdefault(name, Room()).add(shard, int(row["connected_at"]["N"]))
    return seen, counts[False]


def _warn(client: Any, name: str, price: float) -> None:  # noqa: ANN401 - a client of botocore
    """Say what the scan of a large table costs. The right to ask is no condition."""
    from botocore.exceptions import ClientError  # noqa: PLC0415 - the client has loaded it

    try:
        described = client.describe_table(TableName=name)["Table"]
    except ClientError:
        return
    if described.get("ItemCount", 0) > MANY:
        units = described.get("TableSizeBytes", 0) / BYTES_PER_UNIT
        note(f"the table has {described['ItemCount']:,} rows: the scan costs some {units * price / 1e6:.4f} USD")
