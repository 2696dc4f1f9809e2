"""``roomcast kick``: throws out a client or a connection, by the stage's function for backends."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from roomcast_cli import functions, moments, stages
from roomcast_cli.asking import confirm
from roomcast_cli.commands import options  # noqa: TC001 - typer reads the annotations
from roomcast_cli.output import DONE, NO, NOT_FOUND, WRONG_USAGE, CommandError, document, note, record


def kick(  # noqa: PLR0913 - of the command line
    connection: Annotated[str | None, typer.Argument(help="Id of one connection.")] = None,
    *,
    user: Annotated[str | None, typer.Option(metavar="ID", help="All connections of a client.")] = None,
    for_: Annotated[
        int | None, typer.Option("--for", parser=moments.duration, metavar="TIME", help="Keep it out so long: 1h.")
    ] = None,
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help="Told to the client.")] = None,
    yes: options.Yes = False,
    stage: options.Stage = None,
    outputs_file: options.Outputs = None,
    region: options.Region = None,
    profile: options.Profile = None,
    as_json: options.Json = False,
    _no_color: options.NoColor = False,
    _debug: options.Debug = False,
) -> int:
    """Throw out a client, or one connection.

    Exit status: 0 done, 1 a connection may still be open, 2 wrong usage, 3 no connection was found, or the stage has no
    function for it.
    """
    if (connection is None) == (user is None):
        raise CommandError("kick takes a connection or --user ID", WRONG_USAGE)
    if connection is not None and for_ is not None:
        raise CommandError("--for needs --user: another connection has another id", WRONG_USAGE)
    found, account = stages.find(stages.Choice(stage, outputs_file, region, profile))
    name = str(user or connection)
    span = f" for {moments.shown(for_)}" if for_ else ""
    confirm(f"Kick {name} from {found.label}{span}?", "kick", yes=yes)
    until = round((time.time() + for_) * 1000) if for_ else None
    request: dict[str, Any] = {"user": user} if user else {"connection": connection}
    request |= {key: value for key, value in {"reason": reason, "until": until}.items() if value is not None}
    try:
        [outcome] = functions.invoke(found, account, "kick", "kick", "kick_enabled", request)["stages"]
    except KeyboardInterrupt:
        note("\nroomcast: the kick was asked for and may be carried out; the same again does no harm")
        raise
    fields = {key: outcome[key] for key in ("closed", "gone", "failed")}
    at = {"until": moments.rfc3339(until)} if until else {}
    whom = {"user": user} if user else {"connection": connection}
    if as_json:
        document({**found.document(), **whom, **fields, **at})
    else:
        end = f", refused until {at['until']}" if at else ""
        sentence = f"{name}  {outcome['closed']} connections closed{end}"
        record(["kicked", *fields, "until"], [name, *map(str, fields.values()), at.get("until", "")], sentence)
    if outcome["failed"]:
        return NO
    return DONE if outcome["closed"] or until else NOT_FOUND
