"""``roomcast query NAME``: saved queries of the logs."""

from __future__ import annotations

from typing import Annotated

import typer
from roomcast import logs

from roomcast_cli import moments, queries, stages
from roomcast_cli.commands import options  # noqa: TC001 - typer reads the annotations
from roomcast_cli.commands.hash_ import checked
from roomcast_cli.output import DONE, NO, WRONG_USAGE, CommandError, document, note, table

HOUR = 3_600
Since = Annotated[int, typer.Option(parser=moments.duration, metavar="TIME", help="Begin so long ago: 10m, 1h, 2d.")]


def query(  # noqa: PLR0913 - of the command line
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="The query; without it, all are listed.")] = None,
    *,
    since: Since = "1h",  # type: ignore[assignment] # typer parses it
    id_: Annotated[str | None, typer.Option("--id", metavar="ID", help="For follow and connection.")] = None,
    room: Annotated[str | None, typer.Option("--room", metavar="ROOM", help="For room.")] = None,
    only_print: Annotated[bool, typer.Option("--print", help="Print its text, for the console.")] = False,
    stage: options.Stage = None,
    outputs_file: options.Outputs = None,
    region: options.Region = None,
    profile: options.Profile = None,
    as_json: options.Json = False,
    no_color: options.NoColor = False,
    _debug: options.Debug = False,
) -> int:
    """Run a saved query of the logs, or list them.

    Exit status: 0 done, 1 the query errors has found some, 3 no such stage.
    """
    if name is None:
        if as_json:
            document({"queries": queries.ABOUT})
        else:
            table(["query", "answers"], [[*row] for row in queries.ABOUT.items()], colour=not no_color)
        return DONE
    text = _text(name, id_, needs_values=not only_print)
    if only_print and not room:
        print(text, end="")
        return DONE
    if "HASH" in text and not room:
        raise CommandError(f"the query {name} needs --room", WRONG_USAGE)
    found, account = stages.find(stages.Choice(stage, outputs_file, region, profile))
    if room:
        text = text.replace("HASH", logs.room_hash(found.table, checked(room)))
    if only_print:
        print(text, end="")
        return DONE
    answer = queries.run(account.client("logs"), found, text, since)
    rows = [
        {field.lstrip("@"): queries.log_of(found, row) if field == "@log" else value for field, value in row.items()}
        for row in answer.rows
    ]
    if as_json:
        kept = [{field: value for field, value in row.items() if field != "ptr"} for row in rows]
        document({**found.document(), "query": name, "rows": kept, "gb_read": answer.gb_read})
    else:
        header = [*dict.fromkeys(field for row in rows for field in row if field != "ptr")]
        table(header, [[row.get(field, "") for field in header] for row in rows], colour=not no_color)
        note(queries.cost(answer.gb_read))
    return NO if name == "errors" and rows else DONE


def _text(name: str, id_: str | None, *, needs_values: bool) -> str:
    """Return the text of a query, about an id if one is given."""
    if name not in queries.ABOUT:
        raise CommandError(f"there is no query {name}; there are {', '.join(queries.ABOUT)}", WRONG_USAGE)
    text = queries.text(name)
    if id_:
        return queries.about(text, id_)
    if needs_values and "ID" in text:
        raise CommandError(f"the query {name} needs --id", WRONG_USAGE)
    return text
