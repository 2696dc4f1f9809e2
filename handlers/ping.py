"""``ping``: a client learns that its connection lives, and which of its rooms it is still in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from roomcast import events, fanout, frames, history, identity, protocol, rooms, serving, settings
from roomcast.steps import drive

if TYPE_CHECKING:
    from collections.abc import Mapping

SETTINGS = settings.from_environment()
ROOMS = rooms.Rooms(SETTINGS)
HISTORY = history.History(SETTINGS)
ENGINE = fanout.Engine(SETTINGS.management_endpoint, SETTINGS.region)


def handler(event: Mapping[str, Any], context: events.Context) -> dict[str, int]:
    """Lambda's entry point."""
    return serving.serve_message(event, context, ENGINE, answer, ROOMS, is_quiet=True)


def answer(event: events.Event, deadline: float) -> str:
    """The answer: for each room that the client named, an object, or null if it is not in it or has no right to be."""
    client = identity.of(event, SETTINGS.authorization)
    frame = protocol.parse_object(event.body)
    if "rooms" in frame and client.is_expired:
        raise protocol.Refusal("token_expired")
    caller = ROOMS.find(event.connection_id, deadline)
    if caller is None:
        raise protocol.Refusal(client.why_absent())
    if not caller.is_v1:
        return protocol.PONG
    named = frames.parse_ping(frame)
    tie = frames.tie_of(event.body)
    if named is None:
        return frames.answer("pong", tie)
    if caller.has_ended:
        raise protocol.Refusal(client.why_absent())
    here: dict[str, dict[str, Any] | None] = {
        room: {} if room in caller.rooms and client.may("join", room) else None for room in named
    }
    for details in (heads_of(here, client, deadline), versions_of(here, client, deadline)):
        here |= {room: {**(here[room] or {}), **of_room} for room, of_room in details.items()}
    return frames.answer("pong", tie, rooms=here)


def heads_of(
    here: Mapping[str, object], client: identity.Identity, deadline: float
) -> Mapping[str, Mapping[str, str | int]]:
    """The ends of the logs of rooms that the client is in; one that is behind its position says nothing."""
    logged = [
        room for room, at in here.items() if at is not None and HISTORY.keeps(room) and client.may("history", room)
    ]
    if not logged:
        return {}
    heads = drive(HISTORY.heads.read(logged, deadline, strongly=False))
    return {room: {"epoch": head.epoch, "seq": head.seq} for room, head in heads.items()}


def versions_of(
    here: Mapping[str, object], client: identity.Identity, deadline: float
) -> Mapping[str, Mapping[str, int]]:
    """The versions of the presence of rooms that the client is in and may see it of; a late look is asked for again."""
    rooms_seen = [room for room, at in here.items() if at is not None and client.may("presence", room)]
    states = ROOMS.marks.states(rooms_seen, deadline)
    return {room: {"presence": state.version} for room, state in states.items()}
