"""``join``: a client of ``roomcast.v1`` becomes a member of one room or of several."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from roomcast import changes, events, fanout, frames, headcount, identity, protocol, rooms, serving, settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from roomcast.members import Connection

SETTINGS = settings.from_environment()
ROOMS = rooms.Rooms(SETTINGS)
ENGINE = fanout.Engine(SETTINGS.management_endpoint, SETTINGS.region)


def handler(event: Mapping[str, Any], context: events.Context) -> dict[str, int]:
    """Lambda's entry point."""
    return serving.serve_message(event, context, ENGINE, join, ROOMS)


def join(event: events.Event, deadline: float) -> Sequence[str]:
    """Add the memberships, and answer for each room; errors of single rooms leave the others alone."""
    client = identity.of(event, SETTINGS.authorization)
    if client.is_expired:
        raise protocol.Refusal("token_expired")
    asked = frames.parse_join(protocol.parse_object(event.body))
    allowed = {room: ask for room, ask in asked.items() if may_join(client, room, ask)}
    if not allowed and len(asked) == 1:
        raise protocol.Refusal("not_allowed")
    caller = serving.v1_caller(ROOMS, event, client, deadline)
    with_token = [room for room in allowed if identity.token_end(event, client, room) is not None]
    entered = dict(enter(caller, [*allowed], with_token, deadline))
    tie = frames.tie_of(event.body)
    answers = []
    # A client takes the limits from the first answer of its connection.
    limits = None if caller.version else serving.limits_of(caller, SETTINGS)
    for room, ask in asked.items():
        code = entered.get(room, "") if room in allowed else "not_allowed"
        if code:
            answers.append(frames.error(code, event.request_id, {**tie, "room": room}))
        else:
            answers.append(frames.joined(room, ask, tie, limits))
            limits = None
    return answers


def may_join(client: identity.Identity, room: str, ask: frames.Ask) -> bool:
    """Whether a client has the rights to join a room with this question."""
    return client.may("join", room) and (not ask.wants_history or client.may("history", room))


def enter(
    caller: Connection, wanted: Sequence[str], with_token: Sequence[str], deadline: float
) -> Iterator[tuple[str, str]]:
    """Write the memberships; yields the rooms that cannot be joined, and the error code for each."""
    # Memberships that need no token do not count once all do.
    without = [room for room in wanted if room not in with_token]
    maximum = SETTINGS.max_rooms_per_connection
    for some, ends_at in ((with_token, caller.token_ends_at), (without, None)):
        # Where rooms may have so many members only, each may be full, and is joined by itself.
        for part in [[room] for room in some] if SETTINGS.maximum_room_members else [some]:
            try:
                caller = ROOMS.enter(caller._replace(token_ends_at=ends_at), part, maximum, deadline)
            except headcount.RoomFullError:
                yield part[0], "room_full"
            except changes.GoneError:
                raise protocol.Refusal("reconnect") from None
            else:
                yield from ((room, "too_many_rooms") for room in part if room not in caller.rooms)
