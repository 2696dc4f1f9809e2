"""``$connect``: makes a client a member of its room before the handshake is answered.

Any status but 200 refuses the handshake
(https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-route-keys-connect-disconnect.html):
400 for a room name that is not allowed, 500 when the table cannot be written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from roomcast import aws_json, events, fanout, logs, protocol, rooms, serving, settings

if TYPE_CHECKING:
    from collections.abc import Mapping

SETTINGS = settings.from_environment()
ROOMS = rooms.Rooms(SETTINGS)
ENGINE = fanout.Engine(SETTINGS.management_endpoint, SETTINGS.region)


def handler(event: Mapping[str, Any], context: events.Context) -> dict[str, int]:
    """Lambda's entry point."""
    handshake = events.parse(event)
    if handshake.type != "CONNECT":
        return serving.refuse_message(event, context, ENGINE)
    status = join(handshake, events.deadline(context))
    logs.write("INFO", "connect", status=status, connection_id=handshake.connection_id, request_id=handshake.request_id)
    return {"statusCode": status}


def join(handshake: events.Event, deadline: float) -> int:
    """Join the room that the handshake names; gives the HTTP status to answer it with."""
    try:
        room = protocol.room_of(handshake.query)
        ROOMS.join(handshake.connection_id, handshake.connected_at, room, deadline)
    except protocol.InvalidRoomError:
        return 400
    except aws_json.ServiceError as error:
        logs.write("ERROR", "the table failed", error=str(error), request_id=handshake.request_id)
        return 500
    return 200
