"""``roomcast hash ROOM``: the digest that stands for a room in logs."""

from __future__ import annotations

from typing import Annotated

import typer
from roomcast import logs, protocol

from roomcast_cli import stages
from roomcast_cli.commands import options  # noqa: TC001 - typer reads the annotations
from roomcast_cli.output import DONE, WRONG_USAGE, CommandError, document

Room = Annotated[str, typer.Argument(help="Name of the room.")]


def checked(room: str) -> str:
    """Return the name of a room.

    Raises:
        CommandError: No room has such a name.
    """
    if not protocol.is_room(room):
        raise CommandError(f"{protocol.ERRORS['invalid_room']}", WRONG_USAGE)
    return room


def hash_(  # noqa: PLR0913 - of the command line
    room: Room,
    *,
    stage: options.Stage = None,
    outputs_file: options.Outputs = None,
    region: options.Region = None,
    profile: options.Profile = None,
    as_json: options.Json = False,
    _no_color: options.NoColor = False,
    _debug: options.Debug = False,
) -> int:
    """Print the digest that stands for a room in logs. It hides no name that can be guessed.

    Exit status: 0 done, 2 no name of a room, 3 no such stage.
    """
    found, _ = stages.find(stages.Choice(stage, outputs_file, region, profile))
    digest = logs.room_hash(found.table, checked(room))
    if as_json:
        document({**found.document(), "room": room, "hash": digest})
    else:
        print(digest)
    return DONE
