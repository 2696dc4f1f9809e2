"""``$connect``: makes a client a member of its room before the handshake is answered.

Any status but 200 refuses the handshake
(https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-route-keys-connect-disconnect.html):
400 for a room name or a subprotocol that is not allowed, 401 for an expired token, 403 for a room without the right
``join`` and for a client that was kicked, 429 for a room that is full, 500 when the table cannot be written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from roomcast import arrivals, aws_json, events, fanout, headcount, identity, logs, protocol, rooms, serving, settings
from roomcast.members import Connection

if TYPE_CHECKING:
    from collections.abc import Mapping

SETTINGS = settings.from_environment()
ROOMS = rooms.Rooms(SETTINGS)
ENGINE = fanout.Engine(SETTINGS.management_endpoint, SETTINGS.region)

UNAVAILABLE = 500

OUTCOMES = {200: logs.SERVED, UNAVAILABLE: "unavailable"}
"""Of a handshake, in its log line, by the status of the answer; any other one refuses the client."""


def handler(event: Mapping[str, Any], context: events.Context) -> dict[str, Any]:
    """Lambda's entry point."""
    handshake = serving.read(event, context)
    if handshake is None:
        return serving.NO_EVENT
    if handshake.type != "CONNECT":
        return serving.refuse_message(event, context, ENGINE, ROOMS)
    client = identity.of(handshake, SETTINGS.authorization)
    status, subprotocol = admit(handshake, client, events.deadline(context))
    metrics = {"join_failed": int(status == UNAVAILABLE)}
    logs.end("INFO", "connect", metrics, status=status, outcome=OUTCOMES.get(status, "refused"))
    answer: dict[str, Any] = {"statusCode": status}
    return {**answer, "headers": {"Sec-WebSocket-Protocol": subprotocol}} if subprotocol else answer


def admit(handshake: events.Event, client: identity.Identity, deadline: float) -> tuple[int, str | None]:
    """Let a client into the room that it asks for; gives the HTTP status, and the subprotocol if it is let in."""
    if client.fault:
        logs.write("WARNING", "the authorizer's context is malformed", part=client.fault)
        return 403, None
    if client.rights.ignored:
        logs.write("WARNING", "rights are ignored", entries=client.rights.ignored)
    if client.is_expired:
        return 401, None
    try:
        subprotocol = protocol.subprotocol_of(handshake.subprotocols)
        spoken = protocol.TEXT if subprotocol is None else protocol.SUBPROTOCOLS[subprotocol]
        # Clients of roomcast.v1 join rooms afterwards, if they name none.
        room = protocol.room_of(handshake.query, "" if spoken == protocol.V1 else protocol.DEFAULT_ROOM)
    except (protocol.InvalidRoomError, protocol.UnknownSubprotocolError):
        return 400, None
    if room:
        serving.note_room(ROOMS, room)
    if not (client.may("join", room) if room else client.rights.somewhere("join")):
        return 403, None
    status = join(handshake, client, room, spoken, deadline)
    return status, subprotocol if status == 200 else None


def join(handshake: events.Event, client: identity.Identity, room: str, spoken: str, deadline: float) -> int:
    """Write the client's items; gives the HTTP status.

    Args:
        handshake: The client's event.
        client: Its name and rights.
        room: Name of the room that it joins; empty for none.
        spoken: Name of its wire protocol.
        deadline: Latest end, in seconds of ``time.monotonic``.
    """
    try:
        ends_at = identity.token_end(handshake, client, room)
        is_told = spoken == protocol.V1 and client.may("presence", room) and ROOMS.marks.watches(room)
        arrived = Connection(
            handshake.connection_id,
            handshake.connected_at,
            {},
            token_ends_at=ends_at,
            protocol=spoken,
            subject=client.subject,
            sees={room} if is_told else (),
        )
        ROOMS.join(arrived, room or None, deadline)
    except headcount.RoomFullError:
        return 429
    except arrivals.DeniedError:
        return 403
    except aws_json.ServiceError as error:
        aws_json.tell("ERROR", "the table failed", error)
        return UNAVAILABLE
    return 200
