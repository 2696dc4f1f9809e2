"""Options that several commands have."""

from __future__ import annotations

import math
from typing import Annotated

import typer


def finite(value: float | None) -> float | None:
    """Refuse what is no number, and infinity: a comparison with them says nothing.

    Raises:
        typer.BadParameter: It is one of them.
    """
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"{value} is no finite number")
    return value


Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
NoColor = Annotated[bool, typer.Option("--no-color", help="No colours; as the variable NO_COLOR.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show where an unexpected error came from.")]

# What a stage knows has no default: the stage says it where the command line does not.
Connections = Annotated[float | None, typer.Option("--connections", metavar="N", help="Open connections.")]
RoomSize = Annotated[float | None, typer.Option("--room-size", metavar="N", help="Members of a room.")]
MessagesPerSecond = Annotated[
    float | None,
    typer.Option("--messages-per-second", metavar="N", help="Messages that clients send, in the whole stage."),
]
Bytes = Annotated[int, typer.Option("--bytes", metavar="N", help="Bytes of a message.")]
Heartbeat = Annotated[
    float | None,
    typer.Option("--heartbeat", metavar="S", help="Seconds between two pings (270); 0 for clients in text mode."),
]
Ids = Annotated[bool, typer.Option("--ids", help="Messages have an id, and senders get receipts.")]
History = Annotated[bool | None, typer.Option("--history", help="Rooms keep messages.")]
Queued = Annotated[bool | None, typer.Option("--queued", help="Messages pass through a queue.")]
Fifo = Annotated[bool | None, typer.Option("--fifo", help="The queue keeps their order.")]
Sweeper = Annotated[bool | None, typer.Option("--sweeper", help="A function counts the connections, and sweeps.")]
Shards = Annotated[int | None, typer.Option("--shards", metavar="N", help="Partitions of a room: shards_per_room (1).")]

Stage = Annotated[
    str | None, typer.Option("--stage", metavar="NAME[/STAGE]", help="The stage; else ROOMCAST_STAGE, or the only one.")
]
Outputs = Annotated[
    str | None,
    typer.Option("--outputs", metavar="FILE", help="Output of `terraform output -json`; else ROOMCAST_OUTPUTS."),
]
Region = Annotated[str | None, typer.Option("--region", metavar="NAME", help="The Region; else as the AWS CLI.")]
Profile = Annotated[str | None, typer.Option("--profile", metavar="NAME", help="The profile; else as the AWS CLI.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
