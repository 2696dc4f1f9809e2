"""``$disconnect``: deletes the items of a client that has disconnected.

API Gateway calls this route as best effort, possibly late, twice or never
(https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-route-keys-connect-disconnect.html).
A second call changes nothing, nor does one after a refused handshake. Items that it misses are deleted after the next
send (410) or by time to live.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from roomcast import aws_json, events, fanout, logs, rooms, serving, settings

if TYPE_CHECKING:
    from collections.abc import Mapping

SETTINGS = settings.from_environment()
ROOMS = rooms.Rooms(SETTINGS)
ENGINE = fanout.Engine(SETTINGS.management_endpoint, SETTINGS.region)


def handler(event: Mapping[str, Any], context: events.Context) -> dict[str, int]:
    """Lambda's entry point; a table that cannot be reached is an error of the invocation, seen in its metric."""
    goodbye = serving.read(event, context)
    if goodbye is None:
        return serving.NO_EVENT
    if goodbye.type != "DISCONNECT":
        return serving.refuse_message(event, context, ENGINE, ROOMS)
    try:
        left = ROOMS.leave(goodbye.connection_id, goodbye.connected_at, events.deadline(context))
    except aws_json.ServiceError as error:
        aws_json.tell("ERROR", "the table failed", error)
        raise
    logs.end("INFO", "disconnect", outcome=logs.SERVED, left=left)
    return serving.OK
