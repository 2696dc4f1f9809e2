"""``who``: tells a client of ``roomcast.v1`` who is in a room."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from roomcast import events, fanout, frames, identity, presence, protocol, rooms, serving, settings

if TYPE_CHECKING:
    from collections.abc import Mapping

SETTINGS = settings.from_environment()
ROOMS = rooms.Rooms(SETTINGS)
ENGINE = fanout.Engine(SETTINGS.management_endpoint, SETTINGS.region)

MOST_NAMES = 100
"""Names in one answer, which must fit into a message: a hundred of 160 characters take 64 KB of UTF-8 at most."""


def handler(event: Mapping[str, Any], context: events.Context) -> dict[str, int]:
    """Lambda's entry point."""
    return serving.serve_message(event, context, ENGINE, answer, ROOMS)


def answer(event: events.Event, deadline: float) -> str:
    """The answer: how many members there are, by name, and the first of them; ``more`` if not all were counted."""
    client = identity.of(event, SETTINGS.authorization)
    if client.is_expired:
        raise protocol.Refusal("token_expired")
    frame = protocol.parse_object(event.body)
    frames.check_id(frame)
    room = frames.room_in(frame)
    serving.note_room(ROOMS, room)
    if not client.may("presence", room):
        raise protocol.Refusal("not_allowed")
    serving.v1_caller(ROOMS, event, client, deadline)
    return frames.answer("members", frames.tie_of(event.body), room=room, **members_of(event, room, deadline))


def members_of(event: events.Event, room: str, deadline: float) -> dict[str, object]:
    """The members of a room: of one with presence, those of its last version, from which on changes are told."""
    version: dict[str, int] = {}
    if ROOMS.marks.watches(room):
        # A look that is late is asked for again.
        ROOMS.marks.states([room], deadline)
        shown = presence.published(ROOMS.marks, room, deadline)
        if shown.version:
            version = {"version": shown.version}
        if shown.version and shown.names is not None:
            return {**version, "count": shown.present, "members": presence.listed(shown.names)}
    # It reads as much as a message to a large room.
    if not serving.take_message(ROOMS, event, SETTINGS.messages_per_second, deadline):
        raise protocol.Refusal("rate_limited")
    found, is_whole = ROOMS.roster(room, deadline).names()
    more = {} if is_whole else {"more": True}
    return {**version, "count": len(found), "members": sorted(found)[:MOST_NAMES], **more}
