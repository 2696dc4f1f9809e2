"""``leave``: takes a client of ``roomcast.v1`` out of a room, also after its token has expired."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from roomcast import events, fanout, frames, protocol, rooms, serving, settings

if TYPE_CHECKING:
    from collections.abc import Mapping

SETTINGS = settings.from_environment()
ROOMS = rooms.Rooms(SETTINGS)
ENGINE = fanout.Engine(SETTINGS.management_endpoint, SETTINGS.region)


def handler(event: Mapping[str, Any], context: events.Context) -> dict[str, int]:
    """Lambda's entry point."""
    return serving.serve_message(event, context, ENGINE, leave, ROOMS)


def leave(event: events.Event, deadline: float) -> str:
    """Delete the membership; a client that has left already is answered as well, because it may ask twice."""
    frame = protocol.parse_object(event.body)
    frames.check_id(frame)
    room = frames.room_in(frame)
    serving.note_room(ROOMS, room)
    caller = ROOMS.find(event.connection_id, deadline)
    if caller is not None and not caller.is_v1:
        raise protocol.Refusal("needs_v1")
    if caller is not None:
        ROOMS.quit(caller, room, deadline)
    return frames.answer("left", frames.tie_of(event.body), room=room)
