"""``roomcast rooms``: the rooms of a stage by their members, and the members of one room."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import typer
from roomcast.protocol import TEXT

from roomcast_cli import dated, moments, stages
from roomcast_cli.commands import options  # noqa: TC001 - typer reads the annotations
from roomcast_cli.commands.hash_ import checked
from roomcast_cli.output import DONE, counted, document, note, table
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
    room: Annotated[str | None, typer.Argument(metavar="[ROOM]", help="A room, whose members are printed.")] = None,
    *,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="Rooms, or members, to print at most.")] = 20,
    stage: options.Stage = None,
    outputs_file: options.Outputs = None,
    region: options.Region = None,
    profile: options.Profile = None,
    as_json: options.Json = False,
    no_color: options.NoColor = False,
    _debug: options.Debug = False,
) -> int:
    """Print the rooms with the most members, or who is in one.

    It scans the connections table, and says what that costs. Of a member it prints the id of the connection, which
    roomcast kick takes; the client's name, if the stage has names; and since when it is connected.

    Exit status: 0 done, 3 no such stage.
    """
    found, account = stages.find(stages.Choice(stage, outputs_file, region, profile))
    client, price = account.client("dynamodb"), dated.values(dated.entries("prices"))["dynamodb_reads"]
    _warn(client, found.table, price)
    scan = Scan(client, found.table)
    if room is not None:
        memberships = _members(scan.rows(), checked(room))
        members = [_member(row) for row in memberships[:limit]]
        if as_json:
            document({**found.document(), "room": room, "count": len(memberships), "members": members})
            return DONE
        cells = [[each or "-" for each in member.values()] for member in members]
        table(["connection", "user", "protocol", "connected at"], cells, colour=not no_color)
        note(f"{counted(len(memberships), 'member')} of {room}; {_cost(scan, price)}")
        return DONE
    seen, connections = _count(scan.rows())
    first = sorted(seen.items(), key=lambda each: (-each[1].members, each[0]))[:limit]
    if as_json:
        listed = [
            {
                "room": name,
                "members": each.members,
                "shards": len(each.shards),
                "oldest_connected_at": moments.rfc3339(each.oldest),
            }
            for name, each in first
        ]
        document({**found.document(), "rooms": listed, "connections": connections, "read_units": scan.units})
        return DONE
    rows = [
        [name, str(each.members), str(len(each.shards)), moments.shown(time.time() - each.oldest / 1000)]
        for name, each in first
    ]
    table(["room", "members", "shards", "oldest"], rows, right=(1, 2), colour=not no_color)
    note(f"{counted(len(seen), 'room')}, {counted(connections, 'connection')}; {_cost(scan, price)}")
    return DONE


def _members(rows: Iterable[Mapping[str, Any]], room: str) -> list[Mapping[str, Any]]:
    """Return the memberships of a room, the oldest first."""
    found = [row for row in rows if row["partition_key"]["S"].startswith(ROOM) and place_of(row).room == room]
    return sorted(found, key=lambda row: int(row["connected_at"]["N"]))


def _member(row: Mapping[str, Any]) -> dict[str, str | None]:
    return {
        "connection_id": row["sort_key"]["S"],
        "user": row.get("subject", {}).get("S"),
        "protocol": row.get("protocol", {}).get("S", TEXT),
        "connected_at": moments.rfc3339(int(row["connected_at"]["N"])),
    }


def _cost(scan: Scan, price: float) -> str:
    return f"the scan read {scan.units:,g} units ({scan.units * price / 1e6:.7f} USD)"


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
