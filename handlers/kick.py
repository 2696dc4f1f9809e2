"""``kick``: throws out a client, or one connection, for backends that invoke this function. It has no route.

The same request may be repeated. A table that cannot be reached is an error of the invocation, so that no backend takes
a client for kicked that is not; Lambda repeats asynchronous invocations then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from roomcast import aws_json, backends, events, fanout, kicks, logs, rooms, settings
from roomcast.members import Connection

if TYPE_CHECKING:
    from collections.abc import Mapping

SETTINGS = settings.from_environment()
ROOMS = rooms.Rooms(SETTINGS)
ENGINE = fanout.Engine(SETTINGS.management_endpoint, SETTINGS.region)
CLOSER = fanout.Engine(SETTINGS.management_endpoint, SETTINGS.region, method="DELETE")


def handler(event: Mapping[str, Any], context: events.Context) -> dict[str, Any]:
    """Lambda's entry point; gives the outcome of each stage, of which there is one."""
    logs.begin(context.aws_request_id)
    deadline = events.deadline(context)
    try:
        kick = kicks.read(event, has_identities=SETTINGS.authorization != "NONE")
    except backends.BackendRefusal as refusal:
        logs.end("WARNING", "kick", outcome=refusal.code)
        return backends.error(refusal.code)
    try:
        found = kicks.expel(kick, ROOMS, deadline)
    except aws_json.ServiceError as error:
        aws_json.tell("ERROR", "the table failed", error)
        raise
    # A connection without items may still be open.
    open_ones = found or [Connection(kick.connection_id, 0, {}) for _ in [kick] if kick.connection_id]
    outcome = kicks.Closing(ENGINE, CLOSER).close(open_ones, kick.frame, deadline)._asdict()
    logs.end("INFO", "kick", outcome=logs.SERVED, **outcome)
    return {"stages": [{"endpoint": SETTINGS.management_endpoint, **outcome}]}
