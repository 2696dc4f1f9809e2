"""``sweeper``: counts the connections, and deletes the items of those that do not exist. It has no route.

EventBridge Scheduler invokes it every few minutes. It runs only where it is enabled, and needs no input.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomcast import aws_json, events, logs, questions, rooms, settings, sweep_table, sweeping

if TYPE_CHECKING:
    from collections.abc import Mapping

SETTINGS = settings.from_environment()
ROOMS = rooms.Rooms(SETTINGS)
ENGINE = questions.engine_of(SETTINGS.management_endpoint, SETTINGS.region, SETTINGS.sweep_pace)

LEVELS: Mapping[str, str] = {logs.SERVED: "INFO", questions.REFUSED: "ERROR"}
"""Level of a run's line by its outcome; that of the others is WARNING."""


def handler(_event: object, context: events.Context) -> None:
    """Lambda's entry point."""
    logs.begin(context.aws_request_id)
    table = sweep_table.SweepTable(ROOMS.database, ROOMS.table_name, events.deadline(context))
    try:
        if not table.lease(context.aws_request_id):
            logs.end("INFO", "sweep", outcome="another run has the lease")
            return
        logs.note("", {"connections": table.census()})
        if SETTINGS.sweep_pace:
            sweep(table)
        else:
            logs.end("INFO", "sweep", outcome=logs.SERVED)
    except aws_json.ServiceError as error:
        # The next run is minutes away, and goes on from where the last one ended.
        aws_json.tell("ERROR", "the table failed", error)
        logs.end("ERROR", "sweep", outcome="unavailable")


def sweep(table: sweep_table.SweepTable) -> None:
    """Sweep, and write the line of the run."""
    asked = questions.Questions(ENGINE, SETTINGS.sweep_pace)
    result = sweeping.Sweep(ROOMS, table, asked).run()
    logs.end(
        LEVELS.get(result.outcome, "WARNING"),
        "sweep",
        {"swept": result.swept, "refused": int(asked.ended == questions.REFUSED), **result.stale_share},
        outcome=result.outcome,
        checked=result.checked,
        found=result.found,
        open=asked.opened,
        calls=asked.asked,
        throttled=asked.throttled,
        status=asked.refused_status,
        cycle_begun=result.cycle.begun,
        cycle_checked=result.cycle.checked,
    )
