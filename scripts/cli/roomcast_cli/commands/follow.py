"""``roomcast follow ID``: one message through all logs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from roomcast_cli import moments, queries, stages
from roomcast_cli.commands import options  # noqa: TC001 - typer reads the annotations
from roomcast_cli.log_groups import Line, by_time
from roomcast_cli.output import DONE, NO, document, note, table

if TYPE_CHECKING:
    from roomcast_cli.stages import Stage

MOST_INVOCATIONS = 20
"""Of which Lambda's own lines are looked for."""

Since = Annotated[int, typer.Option(parser=moments.duration, metavar="TIME", help="Begin so long ago: 10m, 1h, 2d.")]


def follow(  # noqa: PLR0913 - of the command line
    id_: Annotated[
        str, typer.Argument(metavar="ID", help="`request_id` of a log line, or `requestId` of a client's error.")
    ],
    *,
    since: Since = "1h",  # type: ignore[assignment] # typer parses it
    stage: options.Stage = None,
    outputs_file: options.Outputs = None,
    region: options.Region = None,
    profile: options.Profile = None,
    as_json: options.Json = False,
    no_color: options.NoColor = False,
    _debug: options.Debug = False,
) -> int:
    """Print what all logs say about one request, in its order.

    Lambda's own lines are included.

    Exit status: 0 found, 1 nothing was found, 3 no such stage.
    """
    text = queries.text("follow")
    first_query = queries.about(text, id_)
    found, account = stages.find(stages.Choice(stage, outputs_file, region, profile))
    client = account.client("logs")
    first = queries.run(client, found, first_query, since)
    invocations = {row["lambda_request_id"] for row in first.rows if row.get("lambda_request_id")} - {id_, "-"}
    lines, gb_read = {_line(found, row) for row in first.rows}, first.gb_read
    for each in sorted(invocations)[:MOST_INVOCATIONS]:
        answer = queries.run(client, found, queries.about(text, each), since)
        lines |= {_line(found, row) for row in answer.rows}
        gb_read += answer.gb_read
    if as_json:
        events = [line.document() for line in by_time(lines)]
        for event in events:
            del event["v"], event["ingested_at"]
        document({**found.document(), "request_id": id_, "events": events, "gb_read": gb_read})
    else:
        rows = [line.cells(exact=True) for line in by_time(lines)]
        table(["time", "log", "level", "message", "details", "request"], rows, colour=not no_color)
        note(queries.cost(gb_read) if rows else f"nothing about {id_}; {queries.cost(gb_read)}")
    return DONE if lines else NO


def _line(stage: Stage, row: dict[str, Any]) -> Line:
    moment = datetime.strptime(row["@timestamp"], "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=UTC)
    return Line(round(moment.timestamp() * 1000), queries.log_of(stage, row), row["@message"])
