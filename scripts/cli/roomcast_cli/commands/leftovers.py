"""``roomcast leftovers``: rows of connections that are gone, and their deletion."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Annotated

import typer
from roomcast import sweeping

from roomcast_cli import leftovers as rules
from roomcast_cli import moments, stages
from roomcast_cli.asking import confirm
from roomcast_cli.commands import options  # noqa: TC001 - typer reads the annotations
from roomcast_cli.output import DONE, INTERRUPTED, NO, NOT_REACHABLE, document, note, table
from roomcast_cli.rows import Scan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roomcast.members import Connection


def leftovers(  # noqa: PLR0913 - of the command line
    *,
    fix: Annotated[bool, typer.Option("--fix", help="Delete rows of connections that are gone.")] = False,
    yes: options.Yes = False,
    stage: options.Stage = None,
    outputs_file: options.Outputs = None,
    region: options.Region = None,
    profile: options.Profile = None,
    as_json: options.Json = False,
    no_color: options.NoColor = False,
    _debug: options.Debug = False,
) -> int:
    """Print rows of connections that are gone, or expired.

    Exit status: 0 none, or deleted; 1 there are some, or no connection is alive to compare with; 3 no such stage; 5 API
    Gateway did not answer about some connections.
    """
    found, account = stages.find(stages.Choice(stage, outputs_file, region, profile))
    client = account.client("dynamodb")
    seen = rules.Table.of(Scan(client, found.table, with_expired=True).rows())
    asked = {number for number, each in {**seen.connections, **seen.halves}.items() if rules.is_old(each)}
    questions = rules.Questions(
        account.client("apigatewaymanagementapi", endpoint_url=found.outputs["management_endpoint"])
    )
    gone = questions.gone(sorted(asked))
    if gone and not questions.alive:
        # Young ones are never deleted, but prove that it is the right stage.
        questions.gone(sorted(seen.connections.keys() - asked))
    if fix and gone and questions.alive:
        confirm(f"Delete the rows of {len(gone)} connections of {found.label}?", "--fix", yes=yes)
        time.sleep(sweeping.AGAIN_AFTER_SECONDS)
        gone = questions.gone(sorted(gone))
    connections = [each for number, each in seen.connections.items() if number in gone]
    halves = [each for number, each in seen.halves.items() if number in gone]
    unanswered = {number: status for number, status in questions.unanswered.items() if number in asked}
    counts = {
        "connection is gone": len(connections),
        "membership alone": sum(len(each.rooms) for each in halves),
        "expired, left to TTL": seen.expired,
    }
    deleted, status = 0, NO if connections or halves else DONE
    if fix and gone and not questions.alive:
        note("roomcast: no connection is alive: nothing is deleted, because the stage may be another one")
    elif fix and gone:
        deleted, status = _delete(rules.Deletion(found, account), [*connections, *halves])
    if unanswered:
        statuses = ", ".join(map(str, sorted({*unanswered.values()})))
        note(
            f"roomcast: API Gateway has not told of {len(unanswered):,} of {len(asked):,} connections whether they are "
            f"gone (HTTP {statuses}); try again"
        )
        status = NOT_REACHABLE if status == DONE else status
    if as_json:
        kinds = dict(zip(("gone", "alone", "expired"), counts.values(), strict=True))
        numbers = {"checked": len(asked), "alive": questions.alive, "deleted": deleted, "unanswered": len(unanswered)}
        document({**found.document(), **kinds, **numbers})
        return status
    examples = [_example(connections), _example(halves), ""]
    rows = [[kind, str(number), text] for (kind, number), text in zip(counts.items(), examples, strict=True) if number]
    table(["kind", "rows", "example"], rows, right=(1,), colour=not no_color)
    end = f"; deleted the rows of {deleted}" if fix else ""
    note(f"checked {len(asked):,} connections at {rules.A_SECOND} a second{end}")
    return status


def _example(connections: Sequence[Connection]) -> str:
    if not connections:
        return ""
    first = connections[0]
    age = moments.shown(time.time() - first.connected_at / 1000)
    return f"{first.connection_id} in {', '.join(first.rooms)}, {age} old"


def _delete(deletion: rules.Deletion, connections: Sequence[Connection]) -> tuple[int, int]:
    """Delete rows, and finish the connection in hand after Ctrl-C; gives how many, and the exit status."""
    stopped: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: stopped.append(number))
    deleted = 0
    try:
        for each in connections:
            deletion.connection(each)
            deleted += 1
            if stopped:
                note(f"roomcast: stopped after {deleted} of {len(connections)}")
                return deleted, INTERRUPTED
    finally:
        signal.signal(signal.SIGINT, before)
    return deleted, DONE
