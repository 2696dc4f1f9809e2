"""``roomcast tail``: the lines of all logs of a stage, merged by time."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import typer
from roomcast import logs

from roomcast_cli import aws, log_groups, moments, stages
from roomcast_cli.commands import options  # noqa: TC001 - typer reads the annotations
from roomcast_cli.commands.hash_ import checked
from roomcast_cli.log_groups import Line, by_time
from roomcast_cli.output import DONE, NOT_ALLOWED, NOT_FOUND, CommandError, cell, note

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PAUSE = 2.0
"""Seconds between two looks at the logs; CloudWatch answers five in a second for a group."""

LATE_MILLISECONDS = 10_000
"""Lines come in no order: those of so long before the last look are asked for again."""

WIDTHS = (9, 14, 7)


@dataclass
class Reader:
    """Reads the logs of a stage.

    Attributes:
        client: Of CloudWatch Logs.
        groups: Names of log groups by function.
        since: Lines from then on, epoch milliseconds.
    """

    client: Any
    groups: dict[str, str]
    since: int
    _seen: dict[str, int] = field(default_factory=dict)

    def new(self) -> list[Line]:
        """Return the lines that were not read before, by time.

        Raises:
            CommandError: No log group may be read, or there is none.
        """
        begun = round(time.time() * 1000)
        lines = [line for log in [*self.groups] for line in self._of(log)]
        self.since = max(self.since, begun - LATE_MILLISECONDS)
        self._seen = {key: at for key, at in self._seen.items() if at >= self.since}
        return by_time(lines)

    def _of(self, log: str) -> Iterable[Line]:
        from botocore.exceptions import ClientError  # noqa: PLC0415 - the client has loaded it

        pages = self.client.get_paginator("filter_log_events").paginate(
            logGroupName=self.groups[log], startTime=self.since
        )
        try:
            events = [event for page in pages for event in page["events"]]
        except ClientError as error:
            told = aws.explained(error)
            if told is None or told.status not in {NOT_ALLOWED, NOT_FOUND}:
                raise
            del self.groups[log]
            if not self.groups:
                raise told from error
            note(f"roomcast: {log} is left out: {told}")
            return []
        new = {_key(log, event): event for event in events if _key(log, event) not in self._seen}
        self._seen |= {key: event["timestamp"] for key, event in new.items()}
        return [
            Line(event["timestamp"], log, event["message"], event.get("ingestionTime", 0)) for event in new.values()
        ]


def _key(log: str, event: Mapping[str, Any]) -> str:
    """Return what tells a line from all others; an emulator may give it no id."""
    name = event.get("eventId") or f"{event['timestamp']} {event.get('logStreamName')} {event['message']}"
    return f"{log} {name}"


def tail(  # noqa: PLR0913 - of the command line
    *,
    errors: Annotated[bool, typer.Option("--errors", help="Only lines that tell of an error.")] = False,
    room: Annotated[str | None, typer.Option("--room", metavar="ROOM", help="Only lines about this room.")] = None,
    function: Annotated[str | None, typer.Option(metavar="NAME", help="Only this function's, or `access`.")] = None,
    since: Annotated[
        int | None,
        typer.Option(parser=moments.duration, metavar="TIME", help="Begin so long ago: 10m; now unless given."),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow/--no-follow", help="Go on until Ctrl-C.")] = True,
    stage: options.Stage = None,
    outputs_file: options.Outputs = None,
    region: options.Region = None,
    profile: options.Profile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print an object a line, as the function wrote it.")] = False,
    _no_color: options.NoColor = False,
    _debug: options.Debug = False,
) -> int:
    """Print the lines of all logs, merged by time, until Ctrl-C.

    Exit status: 0 with --no-follow, 3 no such stage or function, 4 no log may be read, 130 Ctrl-C.
    """
    found, account = stages.find(stages.Choice(stage, outputs_file, region, profile))
    groups = log_groups.of(found)
    if function:
        if function not in groups:
            raise CommandError(f"{found.label} has no log of {function}; it has {', '.join(groups)}", NOT_FOUND)
        groups = {function: groups[function]}
    digest = logs.room_hash(found.table, checked(room)) if room else None
    reader = Reader(account.client("logs"), groups, round((time.time() - (since or 0)) * 1000))
    while True:
        for line in reader.new():
            if (errors and not line.is_error) or (digest and line.fields.get("room") != digest):
                continue
            print(json.dumps(line.document()) if as_json else _text(line), flush=True)
        if not follow:
            return DONE
        time.sleep(PAUSE)


def _text(line: Line) -> str:
    cells = [*map(cell, line.cells())]
    if not sys.stdout.isatty():
        return "\t".join(cells)
    padded = [each.ljust(width) for each, width in zip(cells, WIDTHS, strict=False)]
    return "  ".join([*padded, *filter(None, cells[len(WIDTHS) :])])
