"""``kick``: throws out a client, or one connection, for backends that invoke this function. It has no route.

The same request may be repeated. A table that cannot be reached is an error of the invocation, so that no backend takes
a client for kicked that is not; Lambda repeats asynchronous invocations then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from roomcast import backends, events, fanout, kicks, logs, rooms, settings
from roomcast.members import Connection

if TYPE_CHECKING:
    from collections.abc import Mapping

SETTINGS = settings.from_environment()
ROOMS = rooms.Rooms(SETTINGS)
ENGINE = fanout.Engine(SETTINGS.management_endpoint, SETTINGS.region)
CLOSER = fanout.Engine(SETTINGS.management_endpoint, SETTINGS.region, method="DELETE")


def handler(event: Mapping[str, Any], context: events.Context) -> dict[str, Any]:
    """Lambda's entry point; gives the outcome of each stage, of which there is one."""
    deadline = events.deadline(context)
    try:
        kick = kicks.read(event, has_identities=SETTINGS.authorization != "NONE")
    except backends.BackendRefusal as refusal:
        logs.write("WARNING", "a kick is refused", code=refusal.code, request_id=context.aws_request_id)
        return backends.error(refusal.code)
    found = kicks.expel(kick, ROOMS, deadline)
    # A connection without items may still be open.
    open_ones = found or [Connection(kick.connection_id, 0, {}) for _ in [kick] if kick.connection_id]
    outcome = kicks.Closing(ENGINE, CLOSER).close(open_ones, kick.frame, deadline)._asdict()
    logs.write("INFO", "kick", subject=kick.user, request_id=context.aws_request_id, **outcome)
    return {"stages": [{"endpoint": SETTINGS.management_endpoint, **outcome}]}
